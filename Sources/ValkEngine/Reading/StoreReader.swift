// One thread's window on the store: point reads, cursors, and the pins that keep what was read in place for a command.
//
// Use: `begin()`, any number of reads, `end()`. Between them all reads see the same moment, plus the thread's own
// batch. A reader belongs to one thread. With `mayBlock` false a read that would wait for the device throws
// `.wouldBlock`.

import CValk
import ValkBase

package final class StoreReader {
    package let store: Store
    /// Whether reads may wait for the device: false on loops, true on workers.
    package var mayBlock: Bool
    /// Own writes that are to be seen first: the batch of the running command or transaction.
    package var batch: WriteBatch?

    private(set) var view: View
    /// What is known of the keys of the commands to come.
    let ahead: UnsafeMutablePointer<LookAhead>
    private var generation: UInt64
    private(set) var visible: UInt64 = 0
    /// The newest sequence that an answer since `begin` depends on, as far as it may not be acknowledged: of entries
    /// and deletions met in the tables in memory. What is in a file was acknowledged before.
    private var seen: UInt64 = 0
    private let slot: UnsafeMutablePointer<Entry>
    private let pins: UnsafeMutablePointer<BlockPins>
    let values: ValueCache
    private let memory: UnsafeMutablePointer<RememberedEntry>
    /// Of the beginning and of the end of a range.
    private let order: UnsafeMutablePointer<RememberedKeys>
    /// Of this reader's view, without a batch, used by nobody just now.
    private var spareCursor: StoreCursor?
    /// Buffers for separated values, one a value; reused from command to command.
    private var buffers: [UnsafeMutablePointer<ByteBuffer>] = []
    private var buffersUsed = 0
    private static let bufferBytesKept = 1 << 20

    package init(_ store: Store, mayBlock: Bool = false) {
        self.store = store
        self.mayBlock = mayBlock
        (view, generation) = store.currentView()
        slot = .allocate(capacity: 1)
        slot.initialize(to: Entry())
        ahead = .allocate(capacity: 1)
        ahead.initialize(to: LookAhead())
        pins = BlockPins.make(store.cache)
        values = store.values
        memory = .allocate(capacity: 1)
        memory.initialize(to: RememberedEntry())
        order = .allocate(capacity: 2)
        order.initialize(to: RememberedKeys(isFromEnd: false))
        (order + 1).initialize(to: RememberedKeys(isFromEnd: true))
    }

    deinit {
        slot.deallocate()
        ahead.deinitialize(count: 1)
        ahead.deallocate()
        BlockPins.destroy(pins)
        memory.deinitialize(count: 1)
        memory.deallocate()
        order.deinitialize(count: 2)
        order.deallocate()
        for buffer in buffers {
            buffer.deinitialize(count: 1)
            buffer.deallocate()
        }
    }

    /// Starts a command: takes the newest view, then the visible sequence (in this order: see View). A batch that
    /// deletes a range is part of the view, not of the tables, so a view from before it does not do for a sequence of
    /// after it.
    @inline(__always)
    package func begin() {
        seen = 0
        while true {
            visible = store.visibleSequence
            if store.generation == generation { return }
            renew()
        }
    }

    @inline(never)
    private func renew() {
        // What was looked up ahead of time holds for the old view.
        ahead.pointee.reset()
        spareCursor = nil
        var old: View? = view
        (view, generation) = store.currentView()
        store.janitor.discard(&old)
    }

    /// Ends a command: views handed out by `find` and `value` are invalid from here on.
    package func end() {
        pins.pointee.releaseAll()
        if buffersUsed > 0 { releaseBuffers() }
    }

    @inline(never)
    private func releaseBuffers() {
        for i in 0..<buffersUsed {
            if buffers[i].pointee.capacity > StoreReader.bufferBytesKept {
                buffers[i].pointee.release()
            } else {
                buffers[i].pointee.removeAll()
            }
        }
        buffersUsed = 0
    }

    /// Lets go of the view while the thread has nothing to do, so that an idle thread does not keep old tables alive.
    package func rest() {
        if store.generation != generation { renew() }
    }

    /// The newest visible put of `key` (also when its expiry has passed), nil when there is none or it was deleted. The
    /// entry is valid until the next `find`; its views until `end`.
    package func find(_ key: ByteView) throws(Interruption) -> UnsafePointer<Entry>? {
        if let batch, !batch.isEmpty, let own = batch.lookUp(key) { return findOwn(own, batch) }
        let ahead = self.ahead
        ahead.pointee.sawReads = true
        if !ahead.pointee.isEmpty, let item = ahead.pointee.take(key) { return try findAhead(key, item) }
        let view = self.view
        let hash = key.hash64
        // The filters of the runs are likely not in the processor's cache: ask for all of them before waiting for one.
        var path = view.path
        while let run = path.next(key) { run._withUnsafeGuaranteedRef { $0.prefetch(key, hash) } }
        switch findInMemory(view, key, hash) {
        case .found: return checked(key)
        case .deleted: return nil
        case .absent: return view.hasRuns ? try findInRuns(key, hash, view.path) : nil
        }
    }

    private enum InMemory {
        case found
        case deleted
        case absent
    }

    @inline(__always)
    private func findInMemory(_ view: View, _ key: ByteView, _ hash: UInt64) -> InMemory {
        let maxSequence = visible
        let count = view.memoryCount
        let tables = view.memory
        var i = 0
        while i < count {
            if let record = tables[i]._withUnsafeGuaranteedRef({ $0.find(key, hash, maxSequence: maxSequence) }) {
                note(record.sequence)
                if record.kind == .delete { return .deleted }
                record.fill(slot)
                return .found
            }
            i &+= 1
        }
        return .absent
    }

    /// As `find`, for a key whose search in the runs is done already. Ends or takes over the item's pin.
    @inline(__always)
    private func findAhead(
        _ key: ByteView, _ item: UnsafePointer<LookAhead.Item>
    ) throws(Interruption) -> UnsafePointer<Entry>? {
        let view = self.view
        switch findInMemory(view, key, item.pointee.hash) {
        case .found:
            item.pointee.frame?.unpin()
            return checked(key)
        case .deleted:
            item.pointee.frame?.unpin()
            return nil
        case .absent: break
        }
        guard let frame = item.pointee.frame else {
            return item.pointee.isPast ? nil : try findInRuns(key, item.pointee.hash, item.pointee.path)
        }
        pins.pointee.countHit()
        pins.pointee.add(frame)
        BlockView(frame).readBody(item.pointee.body, item.pointee.bodyLength, into: slot)
        slot.pointee.key = key
        return slot.pointee.kind == .delete ? nil : checked(key)
    }

    private func findInRuns(
        _ key: ByteView, _ hash: UInt64, _ first: RunPath
    ) throws(Interruption) -> UnsafePointer<Entry>? {
        let maxSequence = visible
        var path = first
        let deleted = view.hasRangeDeletions ? view.rangeDeletion(of: key) : 0
        note(deleted)
        while let run = path.next(key) {
            // What is older than the key's deletion need not be read.
            if deleted != 0 && run._withUnsafeGuaranteedRef({ $0.sequenceMax(at: key) }) < deleted { continue }
            let result = run._withUnsafeGuaranteedRef {
                $0.find(key, hash, maxSequence: maxSequence, slot, pins, mayBlock: mayBlock)
            }
            switch result {
            case .absent: continue
            case .found:
                if slot.pointee.kind == .delete { return nil }
                return checked(key)
            case .wouldBlock: throw .wouldBlock
            case .damaged: throw .damaged
            case .readFailed: throw .readFailed
            }
        }
        return nil
    }

    @inline(__always)
    private func checked(_ key: ByteView) -> UnsafePointer<Entry>? {
        if !view.isRangeDeleted(key, sequence: slot.pointee.sequence) { return UnsafePointer(slot) }
        note(view.rangeDeletion(of: key))
        return nil
    }

    // MARK: What the log has to vouch for

    @inline(__always)
    private func note(_ sequence: UInt64) { if sequence > seen { seen = sequence } }

    /// The answer depends on everything that was visible at `begin`.
    package func dependsOnAll() { seen = visible }

    /// How far the log must be acknowledged before what was read since `begin` may be told to anybody, who could find
    /// it gone after a crash otherwise; zero when it is acknowledged already.
    @inline(__always)
    package var dependency: LogPosition {
        if seen == 0 || seen <= store.acknowledgedSequence { return .zero }
        return newestPosition
    }

    /// A log that has stopped will vouch for nothing any more, and reads go on.
    @inline(never)
    private var newestPosition: LogPosition {
        store.logHasStopped ? .zero : store.committedPosition
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
    @inline(__always)
    package func value(_ entry: UnsafePointer<Entry>) throws(Interruption) -> ByteView {
        if !entry.pointee.isSeparated { return entry.pointee.value }
        return try separatedValue(entry)
    }

    @inline(never)
    private func separatedValue(_ entry: UnsafePointer<Entry>) throws(Interruption) -> ByteView {
        let pointer = entry.pointee.pointer
        if let kept = values.find(pointer, pins) { return kept }
        if buffersUsed == buffers.count {
            let buffer = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
            buffer.initialize(to: ByteBuffer())
            buffers.append(buffer)
        }
        let buffer = buffers[buffersUsed]
        buffersUsed += 1
        let value = try store.log.readValue(pointer, key: entry.pointee.key, into: buffer, mayBlock: mayBlock)
        pins.pointee.countMiss()
        values.insert(pointer, value)
        return value
    }

    /// A cursor over the live puts of `lower ..< upper` as of now, own batch included.
    package func cursor(lower: ByteView, upper: ByteView) throws(Interruption) -> StoreCursor {
        dependsOnAll()
        return StoreCursor(
            store: store, view: view, maxSequence: visible, lower: lower, upper: upper, batch: batch, mayBlock: mayBlock
        )
    }

    /// As `cursor`, for a walk that ends with the command: give it back with `giveBack` instead of releasing it. The
    /// next one is then likely the same, which spares making one.
    package func takeCursor(lower: ByteView, upper: ByteView) throws(Interruption) -> Unmanaged<StoreCursor> {
        if batch?.isEmpty ?? true, let spare = spareCursor {
            spareCursor = nil
            if spare.mayBlock == mayBlock {
                dependsOnAll()
                spare.reuse(maxSequence: visible, lower: lower, upper: upper)
                return .passRetained(spare)
            }
        }
        return .passRetained(try cursor(lower: lower, upper: upper))
    }

    package func giveBack(_ cursor: Unmanaged<StoreCursor>) {
        let returned = cursor.takeRetainedValue()
        if spareCursor != nil || !returned.sawNoBatch || returned.view !== view { return }
        returned.pause()
        spareCursor = returned
    }

    // MARK: What is remembered

    /// The entry of `key`, with its hash, if it is the one that is remembered; only while the batch is empty. Valid
    /// until another is remembered or the batch is committed.
    @inline(__always)
    package func recall(_ key: ByteView) -> (entry: UnsafePointer<Entry>, hash: UInt64)? {
        if !memory.pointee.holds(key, at: visible) { return nil }
        if let batch, !batch.isEmpty { return nil }
        note(memory.pointee.entry.pointee.sequence)
        return (UnsafePointer(memory.pointee.entry), memory.pointee.hash)
    }

    /// Remembers what `find` has just answered for `key`, with no batch or an empty one; see RememberedEntry.
    package func remember(_ entry: UnsafePointer<Entry>, _ key: ByteView, _ hash: UInt64) {
        if let batch, !batch.isEmpty { return }
        memory.pointee.keep(entry, key, hash, at: visible)
    }

    /// The batch has been committed.
    @inline(__always)
    package func noteCommit() {
        noteWrite()
        guard let batch else { return }
        if memory.pointee.sequence != 0 { memory.pointee.follow(batch) }
        if order[0].sequence | order[1].sequence != 0 { followOrder(batch) }
    }

    @inline(never)
    private func followOrder(_ batch: WriteBatch) {
        for i in 0..<2 where order[i].sequence != 0 { order[i].follow(batch) }
    }

    /// The first keys that begin with `prefix`, or the last ones, as far as they are remembered; nil where they are
    /// not. Valid until the next of these calls or the next commit.
    package func recallKeys(_ prefix: ByteView, fromEnd: Bool) -> UnsafePointer<RememberedKeys>? {
        let keys = order + (fromEnd ? 1 : 0)
        if !keys.pointee.holds(prefix, at: visible) { return nil }
        if let batch, !batch.isEmpty { return nil }
        dependsOnAll()
        return UnsafePointer(keys)
    }

    /// Has the keys remembered that a walk finds from the beginning of all keys with `prefix` on, or from their end:
    /// `rememberKey` with each of them, then `endKeys`. Without the end nothing is remembered.
    package func beginKeys(_ prefix: ByteView, fromEnd: Bool) { order[fromEnd ? 1 : 0].begin(prefix) }

    /// What follows the prefix, in two parts.
    package func rememberKey(_ first: ByteView, _ second: ByteView, fromEnd: Bool) {
        order[fromEnd ? 1 : 0].add(first, second)
    }

    /// `isWhole`: there are no more.
    package func endKeys(isWhole: Bool, fromEnd: Bool) {
        if let batch, !batch.isEmpty { return }
        order[fromEnd ? 1 : 0].end(isWhole: isWhole, at: visible)
    }
}
