// A sorted table with what belongs to it as one step of the log: where its entries lie in the log, and how it changes
// the key counts. The active one takes writes (under the commit lock); sealed ones wait for their flush, oldest first.

import ValkBase

final class MemoryTable: @unchecked Sendable {  // `sorted` has its own rules; the rest is behind the commit lock.
    let sorted: SortedTable
    /// Replay from here (skipping what older tables hold) sees everything in this table.
    let startPosition: LogPosition
    /// Replay from here (skipping up to `lastSequence`) sees nothing of this table. Set when sealed.
    var endPosition: LogPosition = .zero
    /// Last sequence of the table; set when sealed.
    var lastSequence: UInt64 = 0
    var deltas = CountDeltas()
    let weights = MemoryWeights()
    /// Monotonic nanoseconds of the first write; 0 while empty.
    var firstWriteTime: UInt64 = 0
    /// Deletes that were written to it.
    var deleteCount = 0
    /// Upper bound of the log bytes that a replay of this table reads.
    var logBytes = 0
    /// Those that were written while the table was the active one, oldest first.
    var rangeTombstones: [RangeTombstone] = []
    /// All that there were when the table was sealed; none is newer than `lastSequence`.
    var rangesWhenSealed = RangeDeletions.none
    /// Keep the segments that this table's records and values lie in.
    var segmentHolds: [SegmentHold] = []

    init(pool: ChunkPool, startPosition: LogPosition, tableBytes: Int) {
        // About sixteen bits for each entry of some hundred bytes that fits the table.
        sorted = SortedTable(pool: pool, filterBytes: tableBytes / 64)
        self.startPosition = startPosition
    }

    /// Counts a write to a counted key. `older` is the version that it hides in this table; `olderIsDeleted`: a range
    /// deletion came between the two.
    func count(
        _ key: ByteView, _ kind: EntryKind, _ given: EntryFlags, _ expireAt: UInt64, _ older: TableRecord?,
        olderIsDeleted: Bool
    ) {
        guard let namespace = CountedKey.namespace(key) else { return }
        var flags = given
        if let older {
            flags = older.kind == .put && !olderIsDeleted ? .priorPresent : []
            if flags.contains(.priorPresent) && older.expireAt != 0 { flags.insert(.priorExpiring) }
        }
        deltas.withCounts(namespace) { counts in
            if kind == .put && expireAt != 0 { counts.expires += 1 }
            if flags.contains(.priorUnknown) {
                counts.unknown += 1
                return
            }
            if kind == .put {
                if !flags.contains(.priorPresent) { counts.keys += 1 }
            } else if flags.contains(.priorPresent) {
                counts.keys -= 1
            }
            if flags.contains(.priorExpiring) { counts.expires -= 1 }
        }
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
