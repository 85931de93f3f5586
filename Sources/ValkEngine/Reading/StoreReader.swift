// One thread's window on the store: point reads, cursors, and the pins that keep what was read in place for a command.
//
// Use: `begin()`, any number of reads, `end()`. Between them all reads see the same moment, plus the thread's own batch.
// A reader belongs to one thread. With `mayBlock` false a read that would wait for the device throws `.wouldBlock`.

import CValk
import ValkBase

package final class StoreReader {
    package let store: Store
    /// Whether reads may wait for the device: false on loops, true on workers.
    package var mayBlock: Bool
    /// Own writes that are to be seen first: the batch of the running command or transaction.
    package var batch: WriteBatch?

    private var view: View
    private var generation: UInt64
    private(set) var visible: UInt64 = 0
    private let slot: UnsafeMutablePointer<Entry>

    package init(_ store: Store, mayBlock: Bool = false) {
        self.store = store
        self.mayBlock = mayBlock
        (view, generation) = store.currentView()
        slot = .allocate(capacity: 1)
        slot.initialize(to: Entry())
    }

    deinit { slot.deallocate() }

    /// Starts a command: takes the newest view, then the visible sequence (in this order: see View).
    package func begin() {
        let now = store.generation
        if now != generation { (view, generation) = store.currentView() }
        visible = store.visibleSequence
    }

    /// Ends a command: views handed out by `find` and `value` are invalid from here on.
    package func end() {}

    /// The newest visible put of `key` (also when its expiry has passed), nil when there is none or it was deleted. The
    /// entry is valid until the next `find`; its views until `end`.
    package func find(_ key: ByteView) throws(Interruption) -> UnsafePointer<Entry>? {
        if let batch, !batch.isEmpty, let own = batch.lookUp(key) { return findOwn(own, batch) }
        let maxSequence = visible
        let count = view.memoryCount
        let tables = view.memory
        var i = 0
        while i < count {
            let record = tables[i]._withUnsafeGuaranteedRef { $0.find(key, maxSequence: maxSequence) }
            if let record {
                if record.kind == .delete { return nil }
                record.fill(slot)
                return checked(key, maxSequence)
            }
            i &+= 1
        }
        return nil
    }

    @inline(__always)
    private func checked(_ key: ByteView, _ maxSequence: UInt64) -> UnsafePointer<Entry>? {
        if view.hasRangeTombstones
            && view.isRangeDeleted(key, sequence: slot.pointee.sequence, maxSequence: maxSequence)
        {
            return nil
        }
        return UnsafePointer(slot)
    }

    private func findOwn(_ own: WriteBatch.Own, _ batch: WriteBatch) -> UnsafePointer<Entry>? {
        switch own {
        case .deleted: return nil
        case .put(let operation):
            slot.pointee = Entry(
                key: batch.key(operation), sequence: visible, kind: .put, flags: [], tag: operation.tag,
                expireAt: operation.expireAt, value: batch.value(operation))
            return UnsafePointer(slot)
        }
    }

    /// The value of an entry that `find` or a cursor returned; valid until `end`.
    package func value(_ entry: UnsafePointer<Entry>) throws(Interruption) -> ByteView {
        entry.pointee.value
    }

    /// A cursor over the live puts of `lower ..< upper` as of now, own batch included.
    package func cursor(lower: ByteView, upper: ByteView) throws(Interruption) -> StoreCursor {
        StoreCursor(
            store: store, view: view, maxSequence: visible, lower: lower, upper: upper, batch: batch, mayBlock: mayBlock
        )
    }
}
