// Ordered reads for users of the store: the live keys of a range, each once, newest visible version, forward and
// backward.
//
// The cursor holds its view, so it sees one moment however long it lives, and it keeps the memory and the files of that
// moment alive: let it go when done. Bounds are copied. One thread at a time. Any move may throw `.wouldBlock` when the
// cursor must not wait; it then has to be positioned again.
//
// Values in the log come from the value cache or, one read each, from the log; those that were read are kept as what a
// walk brought. Where a read would wait for the device, the values that come next are asked for as well, in the order
// of their places, so that the device works on many of them at once.
//
// Forward, the merge stands on the version that is shown, and what is shown are its views. Backward, versions of a key
// come oldest first, so the last one seen is kept as a copy while the merge already stands before the key
// (`mergeIsBefore`).
//
// Making a cursor costs more than a short walk. One that saw no batch can walk again over other bounds of the same view
// (`reuse`); a reader keeps one for that.

import ValkBase

package final class StoreCursor {
    private let store: Store
    let view: View
    /// Those of the view, and of the batch.
    private let ranges: RangeDeletions
    let mayBlock: Bool
    /// The batch had nothing in it.
    let sawNoBatch: Bool
    private let merge: MergeCursor
    private var lower = ByteBuffer()
    private var upper = ByteBuffer()
    /// The key at the cursor and its inline value, walking backward; forward, the key that is to be passed.
    private var keyBytes = ByteBuffer()
    private var valueBytes = ByteBuffer()
    private let fetched: UnsafeMutablePointer<ByteBuffer>
    private let pins: UnsafeMutablePointer<BlockPins>
    private let slot: UnsafeMutablePointer<Entry>
    /// What is shown: the merge's entry, or the slot.
    private var shown: UnsafePointer<Entry>
    private var mergeIsBefore = false
    /// Moves to the next key since the last seek, up to a few: whether this is a walk.
    private var steps = 0
    /// Steps that make a walk.
    private static let walkSteps = 2
    /// Values that are asked for at once.
    private static let aheadMax = 32
    package private(set) var isValid = false
    /// Dead entries that the cursor may still pass. When they are more, it ends where it is: not valid, with nothing
    /// left here. For users who know another way to their entries.
    package var deadBudget = Int.max

    init(
        store: Store, view: View, maxSequence: UInt64, lower: ByteView, upper: ByteView, batch: WriteBatch?,
        mayBlock: Bool
    ) {
        self.store = store
        self.view = view
        self.mayBlock = mayBlock
        sawNoBatch = batch?.isEmpty ?? true
        pins = BlockPins.make(store.cache)
        fetched = .allocate(capacity: 1)
        fetched.initialize(to: ByteBuffer())
        ranges = batch.map { $0.rangeDeletions(over: view.rangeDeletions) } ?? view.rangeDeletions
        var sources = view.cursors(maxSequence: maxSequence, pins: pins, mayBlock: mayBlock, hiding: ranges)
        if let batch, !batch.isEmpty { sources.append(BatchCursor(batch)) }
        merge = MergeCursor(sources)
        slot = .allocate(capacity: 1)
        slot.initialize(to: Entry())
        shown = UnsafePointer(slot)
        self.lower.append(lower)
        self.upper.append(upper)
    }

    deinit {
        merge.clear()
        BlockPins.destroy(pins)
        fetched.deinitialize(count: 1)
        fetched.deallocate()
        slot.deallocate()
    }

    /// Begins anew with other bounds, at a later moment of the same view.
    func reuse(maxSequence: UInt64, lower: ByteView, upper: ByteView) {
        self.lower.removeAll()
        self.lower.append(lower)
        self.upper.removeAll()
        self.upper.append(upper)
        merge.show(upTo: maxSequence)
    }

    /// Lets go of what the walk has brought, until it is used again.
    func pause() {
        isValid = false
        mergeIsBefore = false
        deadBudget = Int.max
        shown = UnsafePointer(slot)
        pins.pointee.releaseAll()
        if fetched.pointee.capacity > StoreCursor.fetchedKept { fetched.pointee.release() }
    }

    private static let fetchedKept = 64 << 10

    /// The key at the cursor; valid until it moves.
    package var key: ByteView { shown.pointee.key }
    /// The entry at the cursor; valid until it moves.
    package var entry: UnsafePointer<Entry> { shown }

    /// The value at the cursor; valid until it moves or the next call.
    package func value() throws(Interruption) -> ByteView {
        if !shown.pointee.isSeparated { return shown.pointee.value }
        return try separatedValue()
    }

    @inline(never)
    private func separatedValue() throws(Interruption) -> ByteView {
        pins.pointee.releaseAll()
        let pointer = shown.pointee.pointer
        if let kept = store.values.find(pointer, pins, warm: false) { return kept }
        pins.pointee.countMiss()
        fetched.pointee.removeAll()
        let value = try readValue(pointer)
        store.values.insert(pointer, value, cold: true)
        return value
    }

    private func readValue(_ pointer: ValuePointer) throws(Interruption) -> ByteView {
        let key = shown.pointee.key
        guard mayBlock && steps >= Self.walkSteps else {
            return try store.log.readValue(pointer, key: key, into: fetched, mayBlock: mayBlock)
        }
        do throws(Interruption) {
            return try store.log.readValue(pointer, key: key, into: fetched, mayBlock: false)
        } catch {
            guard error == .wouldBlock else { throw error }
        }
        askAhead(pointer)
        return try store.log.readValue(pointer, key: key, into: fetched, mayBlock: true)
    }

    /// Has the device begin with this value and the ones that come after it.
    private func askAhead(_ pointer: ValuePointer) {
        withUnsafeTemporaryAllocation(of: ValuePointer.self, capacity: Self.aheadMax) { room in
            guard let pointers = room.baseAddress else { return }
            pointers.initialize(to: pointer)
            let count = 1 + merge.upcoming(pointers + 1, Self.aheadMax - 1)
            store.askFor(pointers, count, keyBytes: shown.pointee.key.count)
        }
    }

    package func seekToFirst() throws(Interruption) { try seek(lower.view) }

    /// To the first live key at or after `key` (and the lower bound).
    package func seek(_ key: ByteView) throws(Interruption) {
        isValid = false
        steps = 0
        mergeIsBefore = false
        let from = key.compare(lower.view) < 0 ? lower.view : key
        noteWalk(from)
        try merge.seek(from)
        try settleForward()
    }

    @inline(__always)
    private func noteWalk(_ key: ByteView) {
        if view.hasRuns { store.controller.readNotes.noteWalk(view.root.leafId(key)) }
    }

    package func seekToLast() throws(Interruption) { try seekBefore(upper.view) }

    /// To the last live key before `key` (and the upper bound).
    package func seekBefore(_ key: ByteView) throws(Interruption) {
        isValid = false
        steps = 0
        let from = key.compare(upper.view) > 0 ? upper.view : key
        noteWalk(from)
        try merge.seekBefore(from)
        try settleBackward()
    }

    package func next() throws(Interruption) {
        isValid = false
        if steps < Self.walkSteps { steps += 1 }
        if mergeIsBefore {
            mergeIsBefore = false
            try merge.seek(keyBytes.view)
            try skip()
        } else {
            try pass()
        }
        try settleForward()
    }

    package func previous() throws(Interruption) {
        isValid = false
        if !mergeIsBefore {
            keepKey()
            try merge.seekBefore(keyBytes.view)
        }
        try settleBackward()
    }

    /// Copies the key at the merge to `keyBytes`.
    @inline(__always)
    private func keepKey() {
        keyBytes.removeAll()
        if let position = merge.position { keyBytes.append(position.pointee.key) }
    }

    /// Past all versions of the key at the merge.
    @inline(__always)
    private func pass() throws(Interruption) {
        if !merge.mayMeetAgain { return try merge.next() }
        keepKey()
        try skip()
    }

    /// Past all versions of `keyBytes`.
    private func skip() throws(Interruption) {
        while merge.isValid, merge.entry.key == keyBytes.view { try merge.next() }
    }

    @inline(__always)
    private func isLive(_ entry: UnsafePointer<Entry>) -> Bool {
        if entry.pointee.kind == .delete { return false }
        return entry.pointee.sequence >= ranges.newest
            || ranges.sequence(over: entry.pointee.key) <= entry.pointee.sequence
    }

    /// Where a stretch of dead entries began, and how many there are; noted for the planner when they are too many.
    private var skipStart = ByteBuffer()
    private var skips = 0

    @inline(__always)
    private func countSkip() {
        skips &+= 1
        deadBudget &-= 1
        if skips == 1 {
            skipStart.removeAll()
            skipStart.append(keyBytes.view)
        }
    }

    /// The stretch ends at `keyBytes`.
    @inline(__always)
    private func endSkips() {
        if skips == 0 { return }
        if skips > ReadNotes.skipsMax { store.controller.readNotes.noteSkips(skipStart.view, keyBytes.view) }
        skips = 0
    }

    private func settleForward() throws(Interruption) {
        defer { endSkips() }
        while let entry = merge.position {
            if entry.pointee.key.compare(upper.view) >= 0 { return }
            if isLive(entry) {
                shown = entry
                isValid = true
                return
            }
            keepKey()
            countSkip()
            if deadBudget <= 0 { return }
            try skip()
        }
    }

    private func settleBackward() throws(Interruption) {
        mergeIsBefore = true
        shown = UnsafePointer(slot)
        defer { endSkips() }
        while merge.isValid {
            if merge.entry.key.compare(lower.view) < 0 { return }
            keyBytes.removeAll()
            keyBytes.append(merge.entry.key)
            while merge.isValid, merge.entry.key == keyBytes.view {
                let entry = merge.entry
                valueBytes.removeAll()
                valueBytes.append(entry.value)
                slot.pointee = entry
                try merge.previous()
            }
            slot.pointee.key = keyBytes.view
            slot.pointee.value = valueBytes.view
            if isLive(shown) {
                isValid = true
                return
            }
            countSkip()
            if deadBudget <= 0 { return }
        }
    }
}
