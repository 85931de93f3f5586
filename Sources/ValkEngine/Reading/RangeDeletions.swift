// Which parts of the key space are deleted, and since when: an immutable, ordered index.
//
// Deletions that overlap are cut into pieces that do not; of each piece only the newest sequence is kept. That is all
// that anybody needs: every reader's moment is later than all deletions of its view (see LogManager), so an entry is
// hidden when the piece over its key is newer than the entry.
//
// A look-up is two binary searches, without allocation and without reference counting. Deletions come in the order of
// their sequences: a new one goes into a short list in front of a long one, and when the short list has grown to about
// the square root of the long one the two become one. So n deletions cost n * sqrt(n) small copies, not n * n.

import ValkBase

/// All keys in `lower ..< upper` older than `sequence` are deleted..
struct RangeTombstone: Equatable, Sendable {
    let lower: [UInt8]
    let upper: [UInt8]
    let sequence: UInt64

    func covers(_ key: ByteView) -> Bool {
        lower.withView { $0.compare(key) } <= 0 && upper.withView { key.compare($0) } < 0
    }
}

/// A piece of the key space, `lower ..< upper`, and the newest deletion of it. The bytes belong to the list.
struct DeletedRange {
    var lower: ByteView
    var upper: ByteView
    var sequence: UInt64
}

/// Pieces in key order that do not overlap, in flat memory.
final class RangeList: @unchecked Sendable {  // Immutable after init.
    let count: Int
    let items: UnsafeMutablePointer<DeletedRange>
    /// Largest sequence; 0 when there is none.
    let newest: UInt64
    private let bytes: UnsafeMutableRawPointer

    static let none = RangeList([])

    /// `sorted`: in order, disjoint, none of them empty. The bytes are copied.
    init(_ sorted: [DeletedRange]) {
        count = sorted.count
        items = .allocate(capacity: max(1, count))
        bytes = .allocate(byteCount: sorted.reduce(1) { $0 + $1.lower.count + $1.upper.count }, alignment: 8)
        var at = bytes
        var newest: UInt64 = 0
        func keep(_ key: ByteView) -> ByteView {
            at.copyMemory(from: key.base, byteCount: key.count)
            defer { at += key.count }
            return ByteView(base: UnsafeRawPointer(at), count: key.count)
        }
        for (i, range) in sorted.enumerated() {
            (items + i).initialize(
                to: DeletedRange(lower: keep(range.lower), upper: keep(range.upper), sequence: range.sequence))
            newest = max(newest, range.sequence)
        }
        self.newest = newest
    }

    deinit {
        items.deallocate()
        bytes.deallocate()
    }

    /// The number of the first piece that ends behind `key`; `count` when there is none.
    @inline(__always)
    func index(_ key: ByteView) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) >> 1
            if items[middle].upper.compare(key) <= 0 { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The piece that holds `key`.
    @inline(__always)
    func piece(over key: ByteView) -> UnsafePointer<DeletedRange>? {
        let at = index(key)
        return at < count && items[at].lower.compare(key) <= 0 ? UnsafePointer(items + at) : nil
    }

    /// This list with all of `newer` laid over it.
    func overlaid(_ newer: RangeList) -> RangeList {
        if newer.count == 0 { return self }
        if count == 0 { return newer }
        var result: [DeletedRange] = []
        result.reserveCapacity(count + 2 * newer.count)
        // What is left of the piece of the older list that comes next.
        var rest = items[0]
        var at = 0
        func skip() {
            at += 1
            if at < count { rest = items[at] }
        }
        for n in 0..<newer.count {
            let top = newer.items[n]
            while at < count, rest.lower.compare(top.lower) < 0 {
                if rest.upper.compare(top.lower) <= 0 {
                    result.append(rest)
                    skip()
                } else {
                    result.append(DeletedRange(lower: rest.lower, upper: top.lower, sequence: rest.sequence))
                    rest.lower = top.lower
                }
            }
            result.append(top)
            while at < count, rest.lower.compare(top.upper) < 0 {
                if rest.upper.compare(top.upper) <= 0 {
                    skip()
                } else {
                    rest.lower = top.upper
                }
            }
        }
        while at < count {
            result.append(rest)
            skip()
        }
        return RangeList(result)
    }

    /// Without the pieces of these deletions.
    func removing(_ sequences: Set<UInt64>) -> RangeList {
        let kept = (0..<count).map { items[$0] }.filter { !sequences.contains($0.sequence) }
        return kept.count == count ? self : RangeList(kept)
    }
}

final class RangeDeletions: @unchecked Sendable {  // Immutable after init.
    /// Most of them.
    private let base: RangeList
    /// All newer than those in `base`.
    private let recent: RangeList
    private let baseRef: Unmanaged<RangeList>
    private let recentRef: Unmanaged<RangeList>
    /// Largest sequence: entries written later are hidden by none.
    let newest: UInt64

    static let none = RangeDeletions(.none, .none)

    private init(_ base: RangeList, _ recent: RangeList) {
        self.base = base
        self.recent = recent
        baseRef = .passUnretained(base)
        recentRef = .passUnretained(recent)
        newest = max(base.newest, recent.newest)
    }

    /// `tombstones` in the order of their sequences.
    convenience init(_ tombstones: [RangeTombstone]) {
        let all = tombstones.reduce(RangeDeletions.none) { $0.adding($1) }
        self.init(all.base, all.recent)
    }

    var isEmpty: Bool { base.count == 0 && recent.count == 0 }

    /// How many pieces there are, about.
    var count: Int { base.count + recent.count }

    /// Of those, the ones that the next one is put among.
    var recentCount: Int { recent.count }

    /// With one more, which is newer than all others. A range without keys adds nothing.
    func adding(_ tombstone: RangeTombstone) -> RangeDeletions {
        let top = tombstone.lower.withView { lower in
            tombstone.upper.withView { upper in
                lower.compare(upper) < 0
                    ? RangeList([DeletedRange(lower: lower, upper: upper, sequence: tombstone.sequence)]) : .none
            }
        }
        if top.count == 0 { return self }
        let front = recent.overlaid(top)
        if front.count <= 16 || front.count * front.count <= 4 * base.count { return RangeDeletions(base, front) }
        return RangeDeletions(base.overlaid(front), .none)
    }

    /// Without these. What newer ones covered of others stays gone.
    func removing(_ sequences: Set<UInt64>) -> RangeDeletions {
        sequences.isEmpty ? self : RangeDeletions(list.removing(sequences), .none)
    }

    /// As one list.
    var list: RangeList { base.overlaid(recent) }

    /// The sequences that still have a piece.
    var sequences: Set<UInt64> {
        let list = list
        return Set((0..<list.count).map { list.items[$0].sequence })
    }

    /// A piece that holds `key`, the newest if there are two; valid as long as this object.
    @inline(never)
    func piece(over key: ByteView) -> UnsafePointer<DeletedRange>? {
        if let newer = recentRef._withUnsafeGuaranteedRef({ $0.piece(over: key) }) { return newer }
        return baseRef._withUnsafeGuaranteedRef { $0.piece(over: key) }
    }

    /// The newest deletion of `key`, 0 when there is none.
    func sequence(over key: ByteView) -> UInt64 { piece(over: key)?.pointee.sequence ?? 0 }
}

/// Looks pieces up for keys that come in ascending order, without a search for each. The list must live as long.
struct RangeWalk {
    private var next: UnsafePointer<DeletedRange>
    private let end: UnsafePointer<DeletedRange>
    private let list: Unmanaged<RangeList>
    private let newest: UInt64
    private var hasBegun = false

    init(_ list: RangeList) {
        self.list = .passUnretained(list)
        next = UnsafePointer(list.items)
        end = next + list.count
        newest = list.newest
    }

    /// Whether a deletion hides the entry.
    @inline(__always)
    mutating func hides(_ entry: UnsafePointer<Entry>) -> Bool {
        if entry.pointee.sequence >= newest { return false }
        return look(entry.pointee.key) > entry.pointee.sequence
    }

    @inline(never)
    private mutating func look(_ key: ByteView) -> UInt64 {
        if !hasBegun {
            hasBegun = true
            next += list._withUnsafeGuaranteedRef { $0.index(key) }
        }
        while next < end, next.pointee.upper.compare(key) <= 0 { next += 1 }
        return next < end && next.pointee.lower.compare(key) <= 0 ? next.pointee.sequence : 0
    }
}
