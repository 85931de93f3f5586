// An immutable picture of the store's structure: which sorted tables are in memory, and the tree of buckets with their
// runs of table files below them.
//
// A reader that holds a view sees, for every sequence up to the one it read *after* taking the view, exactly the
// entries of that moment, for as long as it likes: the view keeps its tables and files alive. So flushes and merges
// keep only the newest version of a key and know nothing of snapshots.
//
// Order of reading, first hit wins: active table, sealed tables newest first, then the buckets from the root down to
// the key's leaf, the runs of each newest first.

import ValkBase

final class View: @unchecked Sendable {  // Immutable after init; the sorted tables have their own rules.
    let active: MemoryTable
    /// Newest first.
    let sealed: [MemoryTable]
    let root: Bucket
    /// All of them are older than any moment at which the view is read.
    let rangeDeletions: RangeDeletions
    /// Counts the view among the living; set before it is shown.
    var ticket: ViewTicket?

    /// The tables in memory in reading order, so that a read touches no reference counts.
    let memory: UnsafeMutablePointer<Unmanaged<SortedTable>>
    let memoryCount: Int
    private let rootRef: Unmanaged<Bucket>
    private let rangeRef: Unmanaged<RangeDeletions>
    /// Whether there is anything below the tables in memory.
    let hasRuns: Bool
    /// Largest sequence of a range deletion, 0 when there is none: entries written later need no look at them.
    private let newestRangeDeletion: UInt64

    init(active: MemoryTable, sealed: [MemoryTable], root: Bucket, rangeDeletions: RangeDeletions) {
        self.active = active
        self.sealed = sealed
        self.root = root
        self.rangeDeletions = rangeDeletions
        rangeRef = .passUnretained(rangeDeletions)
        newestRangeDeletion = rangeDeletions.newest
        memoryCount = sealed.count + 1
        memory = .allocate(capacity: memoryCount)
        memory.initialize(to: Unmanaged.passUnretained(active.sorted))
        for (i, table) in sealed.enumerated() {
            (memory + i + 1).initialize(to: Unmanaged.passUnretained(table.sorted))
        }
        rootRef = .passUnretained(root)
        hasRuns = !root.runs.isEmpty || !root.isLeaf
    }

    deinit {
        memory.deallocate()
    }

    /// Where the search for a key in the runs begins.
    @inline(__always) var path: RunPath { RunPath(rootRef) }

    /// One cursor for each sorted table and each run of the root, in reading order, and one for all children of the
    /// root. `pins` must outlive them. Those over runs leave out what `hiding` hides.
    func cursors(
        maxSequence: UInt64, pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool, hiding: RangeDeletions
    ) -> [EntryCursor] {
        var cursors: [EntryCursor] = [SortedTableCursor(active.sorted, maxSequence: maxSequence)]
        for table in sealed {
            cursors.append(SortedTableCursor(table.sorted, maxSequence: maxSequence))
        }
        return cursors + root.cursors(pins, access: .scan, mayBlock: mayBlock, hiding: hiding)
    }

    @inline(__always) var hasRangeDeletions: Bool { newestRangeDeletion != 0 }

    /// Sequence of the newest range deletion of `key`, 0 when there is none.
    func rangeDeletion(of key: ByteView) -> UInt64 {
        rangeRef._withUnsafeGuaranteedRef { $0.sequence(over: key) }
    }

    /// Whether a range deletion hides the version of `key` with this sequence.
    @inline(__always)
    func isRangeDeleted(_ key: ByteView, sequence: UInt64) -> Bool {
        if sequence >= newestRangeDeletion { return false }
        return rangeDeletion(of: key) > sequence
    }
}
