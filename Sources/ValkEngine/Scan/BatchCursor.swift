// A batch's own puts and deletes as an ordered source, so that a cursor inside a transaction sees what the transaction
// wrote. The batch is sorted once, when the cursor is made; writes after that are not seen.

import ValkBase

final class BatchCursor: EntryCursor {
    private let batch: WriteBatch
    /// Newest operation of each key, by key.
    private var order: [WriteBatch.Operation] = []
    private var at = 0
    private let slot: UnsafeMutablePointer<Entry>

    /// All entries have the largest sequence that there is. What a later range deletion of the batch covers is shown as
    /// deleted.
    init(_ batch: WriteBatch) {
        self.batch = batch
        slot = .allocate(capacity: 1)
        slot.initialize(to: Entry())
        super.init()
        let ranges = batch.rangeDeletions
        let points = batch.operations.enumerated().filter { $0.element.action != .deleteRange }
        let sorted = points.sorted {
            let byKey = batch.key($0.element).compare(batch.key($1.element))
            return byKey != 0 ? byKey < 0 : $0.offset > $1.offset
        }
        for item in sorted {
            if let last = order.last, batch.key(last) == batch.key(item.element) { continue }
            order.append(item.element)
            if !ranges.isEmpty, ranges.sequence(over: batch.key(item.element)) > UInt64(item.offset) {
                order[order.count - 1].action = .delete
            }
        }
        at = order.count
    }

    deinit { slot.deallocate() }

    private func go(to index: Int) {
        at = index
        guard at >= 0 && at < order.count else {
            position = nil
            return
        }
        let operation = order[at]
        slot.pointee = Entry(
            key: batch.key(operation), sequence: UInt64.max, kind: operation.action == .put ? .put : .delete, flags: [],
            tag: operation.tag, expireAt: operation.expireAt, value: batch.value(operation))
        position = UnsafePointer(slot)
    }

    private func lowerBound(_ key: ByteView) -> Int {
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            if batch.key(order[middle]).compare(key) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    override func seek(_ key: ByteView) { go(to: lowerBound(key)) }
    override func seekBefore(_ key: ByteView) { go(to: lowerBound(key) - 1) }
    override func seekToFirst() { go(to: 0) }
    override func seekToLast() { go(to: order.count - 1) }
    override func next() { go(to: at + 1) }
    override func previous() { go(to: at - 1) }
}
