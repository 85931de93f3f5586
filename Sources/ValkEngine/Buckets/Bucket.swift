// A node of the trie: the runs it houses and the children below it.
//
// The tree is immutable and path-copied: a change makes new buckets from the changed one up to the root. Pivots split a
// bucket's range into slots, one a child; runs are not cut at them, what belongs to a slot is computed where it is
// needed, so a pivot that is born later changes no run.
//
// Invariants. Age: for any key, what an ancestor has is newer than what a descendant has, and in a bucket an earlier
// run is newer than a later one. Cover: children partition their bucket's range, and runs lie inside of the range.
// Depth: all leaves have height 0. A reader goes from the root to the leaf, newest run first; the first hit wins.

import ValkBase

final class Bucket: @unchecked Sendable {  // Immutable after init.
    let id: UInt64
    /// 0 for a leaf.
    let height: Int
    let range: KeyRange
    /// Child `i` has the keys from pivot `i - 1` up to pivot `i`. One less than there are children.
    let pivots: [[UInt8]]
    let children: [Bucket]
    /// Newest first.
    let runs: [Run]
    // The same in flat memory, for reads without reference counting.
    private let runRefs: UnsafeMutablePointer<Unmanaged<Run>>
    let runCount: Int
    private let childRefs: UnsafeMutablePointer<Unmanaged<Bucket>>
    private let pivotRefs: UnsafeMutablePointer<ByteView>
    private let pivotCount: Int
    private let pivotBytes: UnsafeMutableRawPointer

    static let rootId: UInt64 = 0
    static let heightMax = 40

    init(id: UInt64, height: Int, range: KeyRange, pivots: [[UInt8]], children: [Bucket], runs: [Run]) {
        self.id = id
        self.height = height
        self.range = range
        self.pivots = pivots
        self.children = children
        self.runs = runs
        runCount = runs.count
        runRefs = .allocate(capacity: max(1, runs.count))
        for (i, run) in runs.enumerated() { (runRefs + i).initialize(to: .passUnretained(run)) }
        childRefs = .allocate(capacity: max(1, children.count))
        for (i, child) in children.enumerated() { (childRefs + i).initialize(to: .passUnretained(child)) }
        pivotCount = pivots.count
        pivotRefs = .allocate(capacity: max(1, pivots.count))
        pivotBytes = .allocate(byteCount: pivots.reduce(1) { $0 + $1.count }, alignment: 8)
        var at = pivotBytes
        for (i, pivot) in pivots.enumerated() {
            pivot.withUnsafeBytes { at.copyMemory(from: $0.baseAddress ?? emptyBytes, byteCount: pivot.count) }
            (pivotRefs + i).initialize(to: ByteView(base: UnsafeRawPointer(at), count: pivot.count))
            at += pivot.count
        }
    }

    /// A leaf that is the whole tree.
    convenience init(rootRuns runs: [Run]) {
        self.init(id: Bucket.rootId, height: 0, range: .all, pivots: [], children: [], runs: runs)
    }

    deinit {
        runRefs.deallocate()
        childRefs.deallocate()
        pivotRefs.deallocate()
        pivotBytes.deallocate()
    }

    var isLeaf: Bool { height == 0 }

    /// Of its own runs.
    var bytes: Int { runs.reduce(0) { $0 + $1.bytes } }

    /// The child whose range holds `key`.
    @inline(__always)
    func slot(_ key: ByteView) -> Int {
        var low = 0
        var high = pivotCount
        while low < high {
            let middle = (low &+ high) >> 1
            if pivotRefs[middle].compare(key) <= 0 { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    @inline(__always)
    func run(_ index: Int) -> Unmanaged<Run> { runRefs[index] }

    @inline(__always)
    func child(_ key: ByteView) -> Unmanaged<Bucket> { childRefs[slot(key)] }

    /// Calls `body` for this bucket and all below it, a bucket before its children.
    func forEach(_ body: (Bucket) throws -> Void) rethrows {
        try body(self)
        for child in children { try child.forEach(body) }
    }

    /// The bucket of this height whose range holds `key`.
    func descendant(height: Int, at key: [UInt8]) -> Bucket? {
        var bucket = self
        while bucket.height > height {
            bucket = bucket.children[key.withView { bucket.slot($0) }]
        }
        return bucket.height == height ? bucket : nil
    }
}

/// The runs that may hold a key, in reading order: a place on the way from a bucket down to the key's leaf. Holds
/// nothing; the tree must be kept alive by somebody else.
struct RunPath {
    private var bucket: Unmanaged<Bucket>
    private var run: Int

    @inline(__always)
    init(_ bucket: Unmanaged<Bucket>, from run: Int = 0) {
        self.bucket = bucket
        self.run = run
    }

    /// The next run, nil behind the last one.
    @inline(__always)
    mutating func next(_ key: ByteView) -> Unmanaged<Run>? {
        while true {
            if run < bucket._withUnsafeGuaranteedRef({ $0.runCount }) {
                run &+= 1
                return bucket._withUnsafeGuaranteedRef { $0.run(run &- 1) }
            }
            if bucket._withUnsafeGuaranteedRef({ $0.height }) == 0 { return nil }
            bucket = bucket._withUnsafeGuaranteedRef { $0.child(key) }
            run = 0
        }
    }
}
