// Tables that a range deletion dropped whole: which records in the log died with them. Each is read once, in order,
// when no view shows it any more; then its file goes. One that the disk refuses to read is tried again for a minute.

import Synchronization
import ValkBase
import ValkDisk

extension GarbageCollector {
    /// Settles what is owed. With `gate` held.
    func settleOwed() throws(StoreError) -> Bool {
        let horizon = controller.logManager.horizon.horizon
        let due = controller.structure.withLock { controller.state.owed.filter { $0.shownFrom <= horizon } }
        var settled = 0
        for table in due {
            if cancelled.load(ordering: .relaxed) { return true }
            let discards: DiscardList
            do { discards = try discardsOf(table) } catch {
                let tries = owedTries[table.fileId, default: 0]
                if error.kind != .corruption && tries < GarbageCollector.owedTriesMax {
                    if tries == 0 { controller.logManager.report(.log(.note(error))) }
                    owedTries[table.fileId] = tries + 1
                    continue
                }
                // Its records stay uncounted: their space comes back with their segments. Nothing else is lost.
                controller.logManager.report(.log(.note(error)))
                discards = DiscardList()
            }
            owedTries[table.fileId] = nil
            settled += 1
            _ = controller.atSeam?(.owedRead)
            try controller.structure.withLock { () throws(StoreError) in
                try controller.note(discards.editItems + [.garbage(.settle(table))])
                let isNamed = controller.state.tables[table.fileId] != nil || controller.state.owes(table.fileId)
                if !isNamed { controller.janitor.remove(BucketManager.path(controller.directory, table.fileId)) }
            }
        }
        return settled > 0
    }

    private static let owedTriesMax = 60

    private func discardsOf(_ owed: OwedTable) throws(StoreError) -> DiscardList {
        var discards = DiscardList()
        let path = BucketManager.path(controller.directory, owed.fileId)
        let table = try Table.open(disk: disk, path: path, fileId: owed.fileId, cache: controller.cache)
        let pins = BlockPins.make(controller.cache)
        defer { BlockPins.destroy(pins) }
        let cursor = TableCursor(table, pins, access: .merge, mayBlock: true)
        do {
            try owed.smallest.withView { try cursor.seek($0) }
            while let entry = cursor.position {
                let order = owed.largest.withView { $0.compare(entry.pointee.key) }
                if order < 0 || (order == 0 && owed.excludesLargest) { break }
                discards.add(entry)
                try cursor.next()
            }
        } catch {
            throw StoreError(
                error as? Interruption == .readFailed ? .disk : .corruption,
                "a table that was dropped cannot be read (\(error))",
                path: path)
        }
        return discards
    }
}
