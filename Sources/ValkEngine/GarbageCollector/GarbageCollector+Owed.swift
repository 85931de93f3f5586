// Tables that a range deletion dropped whole: which records in the log died with them. Each is read once, in order,
// when no view shows it any more; then its file goes.

import Synchronization
import ValkBase
import ValkDisk

extension GarbageCollector {
    /// Settles what is owed. With `gate` held.
    func settleOwed() throws(StoreError) -> Bool {
        let horizon = controller.logManager.horizon.horizon
        let due = controller.structure.withLock { controller.state.owed.filter { $0.shownFrom <= horizon } }
        for table in due {
            if cancelled.load(ordering: .relaxed) { return true }
            let discards: DiscardList
            do { discards = try discardsOf(table) } catch {
                // Its records stay uncounted: their space comes back with their segments. Nothing else is lost.
                controller.logManager.report(.log(.note(error)))
                discards = DiscardList()
            }
            try controller.structure.withLock { () throws(StoreError) in
                try controller.note(discards.editItems + [.garbage(.settle(table))])
                let isNamed = controller.state.tables[table.fileId] != nil || controller.state.owes(table.fileId)
                if !isNamed { controller.janitor.remove(BucketManager.path(controller.directory, table.fileId)) }
            }
        }
        return !due.isEmpty
    }

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
            throw StoreError(.corruption, "a table that was dropped cannot be read (\(error))", path: path)
        }
        return discards
    }
}
