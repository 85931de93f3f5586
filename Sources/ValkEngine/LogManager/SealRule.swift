// When the active table is sealed for its flush: when it is full, when too much log hangs on it, and when what it hides
// should come to light. Plain arithmetic; the commit lock of its owner guards it.

import ValkBase

struct SealRule {
    private let tableBytes, replayBytesMax, rangeDeletionsMax: Int
    private let deletesEntriesMin: UInt64
    /// A range was deleted: a flush gives its space back.
    var hasNewRange = false
    /// Log of a table that is sealed for it, however small the table is.
    private var unflushedMax: Int
    /// ... beside what is in the table itself: of values that stay in the log.
    private var separatedMax: Int
    /// As the space governor said last.
    private var treeEntries = Int.max / 64
    private var treeOverlap = 0.0
    private var entriesAtLastLook = 0

    /// The log of one table is at most such a part of the store (but `replayBytesMax` in a large one): until it is
    /// flushed nobody knows what it hides, and the space of that comes back in one piece. For less than `unflushedMin`
    /// a flush is not worth its syncs.
    private static let unflushedShare = 16
    private static let unflushedMin = 64 << 20
    /// Of values in the log less may wait: their flush writes next to nothing, and their garbage is most of all.
    private static let separatedShare = 64
    private static let separatedMin = 16 << 20
    /// A table is flushed after so long.
    private static let oldNanoseconds: UInt64 = 300_000_000_000

    init(_ options: StoreOptions) {
        tableBytes = options.tableBytes
        replayBytesMax = options.replayBytesMax
        rangeDeletionsMax = options.rangeDeletionsMax
        deletesEntriesMin = options.deletesEntriesMin
        unflushedMax = options.replayBytesMax
        separatedMax = options.replayBytesMax
    }

    /// How many entries the tree has, how much of what is written hides one of them (0 to 1), and what all of it takes
    /// with its values.
    mutating func setTree(entries: Int, overlap: Double, liveBytes: Int) {
        (treeEntries, treeOverlap) = (entries, overlap)
        unflushedMax = min(replayBytesMax, max(SealRule.unflushedMin, liveBytes / SealRule.unflushedShare))
        separatedMax = min(replayBytesMax, max(SealRule.separatedMin, liveBytes / SealRule.separatedShare))
    }

    /// After each batch. `ranges`: all range deletions that have something to hide.
    @inline(__always)
    func isFull(_ table: MemoryTable, ranges: @autoclosure () -> Int) -> Bool {
        let used = table.sorted.usedBytes
        return used >= tableBytes || table.logBytes >= unflushedMax || table.logBytes - used >= separatedMax
            || (hasNewRange && isWorthSealing(table, ranges: ranges()))
    }

    /// Not at once for every range deletion: a flush costs two syncs. `isOld` sees to the rest within a second or two.
    private func isWorthSealing(_ table: MemoryTable, ranges: Int) -> Bool {
        let rangesMax = ranges > rangeDeletionsMax ? 0 : 64
        return table.sorted.usedBytes > 1 << 20 || table.rangeTombstones.count > rangesMax
    }

    /// Asked once a second: a table that has been open for long, so that its log can be given back, one with a range
    /// deletion that frees table files (`hasRuns`), and one that nobody writes to any more and that hides much of what
    /// is in the tree, since before its flush nobody can find that out. `isNearlyFull`: the device.
    mutating func isOld(_ table: MemoryTable, hasRuns: Bool, isNearlyFull: Bool) -> Bool {
        if hasNewRange && (hasRuns || table.logBytes > 1 << 20) { return true }
        guard table.firstWriteTime != 0 else { return false }
        // What deletes give back is only known when they are in the tree, and nothing else is written now.
        if isNearlyFull { return true }
        let isQuiet = table.sorted.entryCount == entriesAtLastLook
        entriesAtLastLook = table.sorted.entryCount
        if isQuiet && hidesMuch(table) { return true }
        guard table.sorted.usedBytes > 1 << 20 || table.logBytes > 8 << 20 else { return false }
        return Monotonic.nanoseconds() - table.firstWriteTime > SealRule.oldNanoseconds
    }

    /// Whether a twentieth of the tree or more is likely hidden by what is in `table`.
    private func hidesMuch(_ table: MemoryTable) -> Bool {
        let deletes = min(table.deleteCount, table.sorted.entryCount)
        let hidden = Double(deletes) + treeOverlap * Double(table.sorted.entryCount - deletes)
        return hidden >= Double(deletesEntriesMin) && hidden * 20 >= Double(treeEntries)
    }
}
