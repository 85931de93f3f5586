// A sorted table with what belongs to it as one step of the log: where its entries lie in the log, and how it changes the
// key counts. The active one takes writes (under the commit lock); sealed ones wait for their flush, oldest first.

import ValkBase

/// Count changes per namespace. A handful of namespaces: linear search beats hashing.
struct CountDeltas {
    private(set) var items: [(namespace: UInt32, counts: NamespaceCounts)] = []
    private var last = 0

    mutating func withCounts(_ namespace: UInt32, _ body: (inout NamespaceCounts) -> Void) {
        if last < items.count && items[last].namespace == namespace {
            body(&items[last].counts)
            return
        }
        if let i = items.firstIndex(where: { $0.namespace == namespace }) {
            last = i
        } else {
            items.append((namespace, NamespaceCounts()))
            last = items.count - 1
        }
        body(&items[last].counts)
    }

    func counts(_ namespace: UInt32) -> NamespaceCounts {
        items.first { $0.namespace == namespace }?.counts ?? NamespaceCounts()
    }

    mutating func add(_ other: CountDeltas) {
        for item in other.items { withCounts(item.namespace) { $0 += item.counts } }
    }
}

final class MemoryTable: @unchecked Sendable {  // `sorted` has its own rules; the rest is behind the commit lock.
    let sorted: SortedTable
    /// Everything from here on that is before `endPosition` is in this table.
    let startPosition: LogPosition
    /// Set when sealed.
    var endPosition: LogPosition = .zero
    var deltas = CountDeltas()
    /// Monotonic nanoseconds of the first write; 0 while empty.
    var firstWriteTime: UInt64 = 0
    /// Keep the segments that this table's records and values lie in.
    var segmentHolds: [SegmentHold] = []

    init(pool: ChunkPool, startPosition: LogPosition) {
        sorted = SortedTable(pool: pool)
        self.startPosition = startPosition
    }
}

/// While somebody holds this, the log segment stays. The last release hands the segment to `onRelease`.
final class SegmentHold: Sendable {
    let segment: UInt32
    private let onRelease: @Sendable (UInt32) -> Void

    init(segment: UInt32, onRelease: @escaping @Sendable (UInt32) -> Void) {
        self.segment = segment
        self.onRelease = onRelease
    }

    deinit { onRelease(segment) }
}
