// What readers tell the planner: ranges in which they had to step over many dead entries, and leaves that are walked
// often. Cheap for them, and lost at a restart.
//
// Dead entries are deletes and versions below newer ones. A walk that steps over more than `skipsMax` of them before it
// finds something to show notes the range; the planner brings what is there down and merges it (a queue whose head was
// deleted is the usual case). Walks count in a table of counters by the leaf's number, which is halved every ten
// seconds; two leaves may share a counter, so that one may be taken for hot that is not.
//
// Any thread. Readers hold the lock for a moment, once in a thousand entries.

import Synchronization
import ValkBase

final class ReadNotes: @unchecked Sendable {  // `ranges` behind `lock`; the counters are atomic.
    private let lock = Lock()
    private var ranges: [KeyRange] = []
    private let counters: UnsafeMutablePointer<Atomic<UInt32>>
    private let halvedAt = Atomic<UInt64>(0)
    private let isWarm = Atomic<Bool>(false)
    private let wake: Bell

    /// Dead entries in a row that a walk puts up with.
    static let skipsMax = 1000
    /// Walks, of late, that make a leaf hot.
    static let hotWalks: UInt32 = 500
    private static let countersCount = 1024
    private static let halfLifeNanoseconds: UInt64 = 10_000_000_000
    private static let rangesMax = 16

    init(wake: Bell) {
        self.wake = wake
        counters = .allocate(capacity: ReadNotes.countersCount)
        for i in 0..<ReadNotes.countersCount { (counters + i).initialize(to: Atomic(0)) }
    }

    deinit {
        counters.deinitialize(count: ReadNotes.countersCount)
        counters.deallocate()
    }

    // MARK: Skipped ranges

    /// A walk found nothing alive from `first` to `last`, both included, and much that was dead.
    func noteSkips(_ first: ByteView, _ last: ByteView) {
        var range =
            first.compare(last) <= 0
            ? KeyRange(lower: first.array, upper: last.array + [0])
            : KeyRange(lower: last.array, upper: first.array + [0])
        lock.withLock {
            // One with what it touches.
            for other in ranges where other.overlaps(range) || other.upper == range.lower || range.upper == other.lower
            {
                range.lower = KeyRange.isBefore(range.lower, other.lower) ? range.lower : other.lower
                range.upper = KeyRange.later(range.upper, other.upper)
            }
            ranges.removeAll { range.contains($0) }
            if ranges.count == ReadNotes.rangesMax { ranges.removeFirst() }
            ranges.append(range)
        }
        wake.ring()
    }

    var skipped: [KeyRange] { lock.withLock { ranges } }

    func forget(_ range: KeyRange) { lock.withLock { ranges.removeAll { $0 == range } } }

    // MARK: Heat

    @inline(__always)
    private func counter(_ leaf: UInt64) -> UnsafeMutablePointer<Atomic<UInt32>> {
        counters + Int(leaf % UInt64(ReadNotes.countersCount))
    }

    /// A walk began in this leaf.
    @inline(__always)
    func noteWalk(_ leaf: UInt64) {
        let count = counter(leaf).pointee.wrappingAdd(1, ordering: .relaxed).newValue
        if count == ReadNotes.hotWalks { turnHot() }
    }

    @inline(never)
    private func turnHot() {
        isWarm.store(true, ordering: .relaxed)
        wake.ring()
    }

    /// Whether any leaf may be hot.
    var hasHeat: Bool { isWarm.load(ordering: .relaxed) }

    func isHot(_ leaf: UInt64) -> Bool { counter(leaf).pointee.load(ordering: .relaxed) >= ReadNotes.hotWalks }

    /// Forgets half of the walks for each ten seconds that passed. `now`: monotonic nanoseconds. For the planner.
    func cool(now: UInt64) {
        let last = halvedAt.load(ordering: .relaxed)
        if last == 0 || now < last { return halvedAt.store(now, ordering: .relaxed) }
        let halves = (now - last) / ReadNotes.halfLifeNanoseconds
        if halves == 0 { return }
        halvedAt.store(last + halves * ReadNotes.halfLifeNanoseconds, ordering: .relaxed)
        var warm = false
        for i in 0..<ReadNotes.countersCount {
            let count = counters[i].load(ordering: .relaxed)
            if count == 0 { continue }
            let left = halves > 31 ? 0 : count >> UInt32(halves)
            counters[i].store(left, ordering: .relaxed)
            if left >= ReadNotes.hotWalks { warm = true }
        }
        isWarm.store(warm, ordering: .relaxed)
    }
}

extension Bucket {
    /// The number of the leaf that holds `key`.
    func leafId(_ key: ByteView) -> UInt64 {
        var bucket = Unmanaged.passUnretained(self)
        while bucket._withUnsafeGuaranteedRef({ $0.height }) > 0 {
            bucket = bucket._withUnsafeGuaranteedRef { $0.child(key) }
        }
        return bucket._withUnsafeGuaranteedRef { $0.id }
    }
}
