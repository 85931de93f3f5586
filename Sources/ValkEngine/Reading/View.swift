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

/// All keys in `lower ..< upper` older than `sequence` are deleted.
struct RangeTombstone: Equatable, Sendable {
    let lower: [UInt8]
    let upper: [UInt8]
    let sequence: UInt64

    func covers(_ key: ByteView) -> Bool {
        lower.withView { $0.compare(key) } <= 0 && upper.withView { key.compare($0) } < 0
    }
}

final class View: @unchecked Sendable {  // Immutable after init; the sorted tables have their own rules.
    let active: MemoryTable
    /// Newest first.
    let sealed: [MemoryTable]
    let root: Bucket
    let rangeTombstones: [RangeTombstone]
    /// Counts the view among the living; set before it is shown.
    var ticket: ViewTicket?

    /// The tables in memory in reading order, so that a read touches no reference counts.
    let memory: UnsafeMutablePointer<Unmanaged<SortedTable>>
    let memoryCount: Int
    private let rootRef: Unmanaged<Bucket>
    /// Whether there is anything below the tables in memory.
    let hasRuns: Bool
    let hasRangeTombstones: Bool
    /// Largest sequence of a range deletion: entries written later need no look at them.
    let newestTombstone: UInt64

    init(active: MemoryTable, sealed: [MemoryTable], root: Bucket, rangeTombstones: [RangeTombstone]) {
        self.active = active
        self.sealed = sealed
        self.root = root
        self.rangeTombstones = rangeTombstones
        hasRangeTombstones = !rangeTombstones.isEmpty
        newestTombstone = rangeTombstones.reduce(0) { max($0, $1.sequence) }
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
    /// root. `pins` must outlive them.
    func cursors(maxSequence: UInt64, pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool) -> [EntryCursor] {
        var cursors: [EntryCursor] = [SortedTableCursor(active.sorted, maxSequence: maxSequence)]
        for table in sealed {
            cursors.append(SortedTableCursor(table.sorted, maxSequence: maxSequence))
        }
        return cursors + root.cursors(pins, access: .scan, mayBlock: mayBlock)
    }

    /// Whether a range deletion newer than `sequence` and not newer than `maxSequence` hides `key`.
    func isRangeDeleted(_ key: ByteView, sequence: UInt64, maxSequence: UInt64) -> Bool {
        if sequence > newestTombstone { return false }
        for tombstone in rangeTombstones
        where tombstone.sequence > sequence && tombstone.sequence <= maxSequence && tombstone.covers(key) {
            return true
        }
        return false
    }
}
