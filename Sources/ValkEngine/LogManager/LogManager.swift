// Where every write goes first: gives a batch its sequence numbers, its place in the value log and its entries in the
// active sorted table, takes new tables into use, and holds the view that readers see. The background asks it for full
// tables and gives it new structure to show.
//
// Threads: everything here may be called from any thread. `commit` holds one short lock; the log itself is written by
// `ValueLog.flush`, outside of it. Readers take no lock: they hold a view and read up to the visible sequence.
//
// Invariants: 1. a batch is seen by readers before it is written, but no acknowledgement leaves before the log has it,
// and no answer of a reader that has seen something of it (`StoreReader.dependency`).
// 2. Sequence numbers, log order and table order agree, because all three are given under the commit lock. 3. A sealed
// table's records lie before its end position or in the frame that was open when it was sealed.
//
// It knows nothing of the store that it belongs to, so that a background thread can hold it when the store is gone.

import Synchronization
import ValkBase
import ValkDisk

final class LogManager: @unchecked Sendable {  // Mutable state is behind the commit lock or atomic.
    let options: StoreOptions
    let log: ValueLog
    private let pool: ChunkPool
    private let segments: SegmentRegistry
    private let reportEvent: @Sendable (StoreEvent) -> Void

    /// Rung when a table was sealed.
    let sealBell = Bell()
    /// Rung when a flush has ended, well or not, and at the end.
    let progressBell = Bell()

    /// The log's commit lock: guards what follows.
    let commitLock: Lock
    private(set) var view: View
    private var nextSequence: UInt64
    private var heldSegment: UInt32
    private(set) var baseCounts: CountDeltas
    /// Of the view, and of the batch that is being applied.
    private var ranges: RangeDeletions
    private var newestRange: UInt64
    /// The batch that is being applied deletes a range.
    private var hasNewRanges = false
    private var hasNoSpace = false
    /// The space governor keeps what is left of the device for deletes and for giving space back.
    private var isNearlyFull = false
    private var isEnding = false
    private var stopReason: StoreError?
    private var sealRule: SealRule

    private let viewGeneration = Atomic<UInt64>(1)
    let horizon = ViewHorizon()
    let pace: WritePace
    private let viewObservers = Guarded<[@Sendable () -> Void]>([])
    let deadHints = DeadHints()
    private let visibleAtomic: Atomic<UInt64>
    /// Where the newest batch ends in the log; set before its sequences can be seen.
    private let committedAtomic = Atomic<UInt64>(0)
    private let separationThreshold: Atomic<Int>

    /// Sealed tables that may wait for their flush before writers wait.
    static let sealedTablesMax = 4

    init(
        options: StoreOptions, log: ValueLog, pool: ChunkPool, segments: SegmentRegistry, view: View,
        lastSequence: UInt64, baseCounts: CountDeltas, report: @escaping @Sendable (StoreEvent) -> Void
    ) {
        self.options = options
        self.log = log
        self.pool = pool
        self.segments = segments
        self.view = view
        ranges = view.rangeDeletions
        newestRange = ranges.newest
        pace = WritePace(mergeWidth: options.mergeWidth)
        sealRule = SealRule(options)
        self.baseCounts = baseCounts
        reportEvent = report
        commitLock = log.commitLock
        nextSequence = lastSequence + 1
        view.ticket = horizon.enter(1)
        heldSegment = view.active.startPosition.segment
        visibleAtomic = Atomic(lastSequence)
        separationThreshold = Atomic(options.valueSeparationThreshold)
        log.acknowledgedSequence.store(lastSequence, ordering: .relaxed)
    }

    // MARK: Reading

    var generation: UInt64 { viewGeneration.load(ordering: .acquiring) }
    var visibleSequence: UInt64 { visibleAtomic.load(ordering: .acquiring) }

    /// Where the newest batch that can be seen, or a later one, ends in the log; zero when nothing has been written
    /// since the start.
    var committedPosition: LogPosition { LogPosition(rawValue: committedAtomic.load(ordering: .relaxed)) }

    func currentView() -> (View, UInt64) {
        commitLock.withLock { (view, viewGeneration.load(ordering: .relaxed)) }
    }

    var root: Bucket { commitLock.withLock { view.root } }

    /// Keys of a namespace; not exact while `unknown` is not 0.
    func counts(namespace: UInt32) -> NamespaceCounts {
        commitLock.withLock {
            var sum = baseCounts.counts(namespace)
            sum += view.active.deltas.counts(namespace)
            for table in view.sealed { sum += table.deltas.counts(namespace) }
            return sum
        }
    }

    // MARK: Writing

    /// Applies `batch` as a whole: readers see all of it or nothing. Returns where it ends in the log; the caller
    /// acknowledges it to its client after `flushLog` of that position. The batch is left as it is. Throws before
    /// anything is applied: `.wouldBlock` (only without `mayBlock`) when the store cannot keep up or needs a new log
    /// segment, `.noSpace` (deletes go on), `.writesStopped`. `keepsPace`: one that may block also waits as long as the
    /// pace asks for; who does not must see to `pace.delay` himself.
    func commit(
        _ batch: WriteBatch, mayBlock: Bool, keepsPace: Bool = true
    ) throws(Interruption) -> LogPosition {
        let threshold = separationThreshold.load(ordering: .relaxed)
        var bytes = 0
        var onlyDeletes = true
        for operation in batch.operations {
            let value = operation.valueLength
            bytes &+= LogFormat.bytesMax(
                keyBytes: operation.keyLength, valueBytes: value,
                isSeparated: operation.action == .put && value >= threshold)
            if operation.action == .put { onlyDeletes = false }
        }
        if mayBlock && keepsPace && !onlyDeletes { pace.wait() }
        commitLock.lock()
        do throws(Interruption) {
            try admit(bytes, onlyDeletes, mayBlock)
        } catch {
            commitLock.unlock()
            throw error
        }
        // The view keeps the table, and the lock the view.
        let position = Unmanaged.passUnretained(view.active).borrow { apply(batch, threshold, bytes, to: $0) }
        commitLock.unlock()
        if !onlyDeletes { pace.take(bytes) }
        return position
    }

    /// The batch goes into the log and the active table. With the commit lock held.
    @inline(__always)
    private func apply(_ batch: WriteBatch, _ threshold: Int, _ bytes: Int, to table: MemoryTable) -> LogPosition {
        var sequence = nextSequence
        for operation in batch.operations {
            apply(batch, operation, sequence, threshold, table)
            sequence &+= 1
        }
        let position = log.endBatch()
        if position.segment != heldSegment {
            heldSegment = position.segment
            table.segmentHolds.append(segments.hold(heldSegment))
        }
        batch.noteCommit(nextSequence, sequence &- 1)
        nextSequence = sequence
        if batch.hasDeadRanges { noteDead(batch) }
        // Before the sequences can be seen; see `StoreReader.begin`.
        if hasNewRanges { showRanges() }
        committedAtomic.store(position.rawValue, ordering: .relaxed)
        visibleAtomic.store(sequence &- 1, ordering: .releasing)
        table.logBytes &+= bytes
        if sealRule.isFull(table, ranges: ranges.count) { seal() }
        return position
    }

    /// With the commit lock held; gives it up while it waits.
    private func admit(_ bytes: Int, _ onlyDeletes: Bool, _ mayBlock: Bool) throws(Interruption) {
        while true {
            if stopReason != nil || isEnding { throw .writesStopped }
            if (hasNoSpace || isNearlyFull) && !onlyDeletes { throw .noSpace }
            if view.sealed.count < LogManager.sealedTablesMax || !options.usesThreads { break }
            // Deletes are taken without room as long as there is memory for them.
            if hasNoSpace { throw .noSpace }
            if !mayBlock { throw .wouldBlock }
            commitLock.unlock()
            waitForFlush()
            commitLock.lock()
        }
        try log.reserve(bytes, isUrgent: onlyDeletes, mayBlock: mayBlock)
        if stopReason != nil || isEnding { throw .writesStopped }
    }

    @inline(__always)
    private func apply(
        _ batch: WriteBatch, _ operation: WriteBatch.Operation, _ sequence: UInt64, _ threshold: Int,
        _ table: MemoryTable
    ) {
        let key = batch.key(operation)
        let value = batch.value(operation)
        var flags = operation.flags
        let separates = operation.action == .put && value.count >= threshold
        if separates { flags.insert(.separated) }
        let type: RecordType
        switch operation.action {
        case .put: type = .put
        case .delete: type = .delete
        case .deleteRange: type = .deleteRange
        }
        let pointer = log.add(
            type, flags: flags, tag: operation.tag, expireAt: operation.expireAt, sequence: sequence, key: key,
            value: value, isSeparated: separates)
        if operation.action == .deleteRange {
            addRangeTombstone(RangeTombstone(lower: key.array, upper: value.array, sequence: sequence), to: table)
            return
        }
        if table.firstWriteTime == 0 { table.firstWriteTime = Monotonic.nanoseconds() }
        let kind: EntryKind = operation.action == .put ? .put : .delete
        if kind == .delete { table.deleteCount &+= 1 }
        let older = table.sorted.insert(
            key: key, sequence: sequence, kind: kind, flags: flags, tag: operation.tag, expireAt: operation.expireAt,
            value: value, pointer: pointer)
        if options.countsNamespaces {
            let isDeleted = older.map { isRangeDeleted(key, $0.sequence) } ?? false
            table.count(key, kind, flags, operation.expireAt, older, olderIsDeleted: isDeleted)
            table.weights.add(key, kind, flags, valueBytes: value.count, older: isDeleted ? nil : older)
        }
    }

    /// With the commit lock held.
    @inline(__always)
    private func isRangeDeleted(_ key: ByteView, _ sequence: UInt64) -> Bool {
        sequence < newestRange && ranges.sequence(over: key) > sequence
    }

    private func addRangeTombstone(_ tombstone: RangeTombstone, to table: MemoryTable) {
        ranges = ranges.adding(tombstone)
        newestRange = ranges.newest
        hasNewRanges = true
        table.rangeTombstones.append(tombstone)
        sealRule.hasNewRange = true
        if let (lower, upper) = tombstone.namespaces {
            for table in [view.active] + view.sealed { table.weights.forget(lower, upper) }
        }
    }

    private func noteDead(_ batch: WriteBatch) {
        if options.mergeFilter == nil { return }
        batch.forEachDeadRange { lower, upper in
            deadHints.add(RangeTombstone(lower: lower.array, upper: upper.array, sequence: nextSequence - 1))
        }
    }

    /// See `Store.noteDead`.
    func noteDead(_ lower: ByteView, _ upper: ByteView) {
        if options.mergeFilter == nil { return }
        commitLock.withLock {
            deadHints.add(RangeTombstone(lower: lower.array, upper: upper.array, sequence: nextSequence - 1))
        }
    }

    private func showRanges() {
        hasNewRanges = false
        replaceView(View(active: view.active, sealed: view.sealed, root: view.root, rangeDeletions: ranges))
    }

    /// Shows the same again under a new number: who needs what has just been replaced holds an older one.
    func renewView() {
        let old = commitLock.withLock { () -> View in
            let old = view
            replaceView(
                View(active: old.active, sealed: old.sealed, root: old.root, rangeDeletions: old.rangeDeletions))
            return old
        }
        withExtendedLifetime(old) {}
        tellViewObservers()
    }

    func addViewObserver(_ body: @escaping @Sendable () -> Void) { viewObservers.withLock { $0.append(body) } }

    private func tellViewObservers() { for tell in viewObservers.withLock({ $0 }) { tell() } }

    private func replaceView(_ new: View) {
        new.ticket = horizon.enter(viewGeneration.load(ordering: .relaxed) + 1)
        view = new
        viewGeneration.wrappingAdd(1, ordering: .releasing)
    }

    /// With the commit lock held: the active table becomes the newest sealed one.
    private func seal() {
        sealRule.hasNewRange = false
        let table = view.active
        table.endPosition = log.replayPosition
        table.lastSequence = nextSequence &- 1
        table.rangesWhenSealed = ranges
        let next = MemoryTable(pool: pool, startPosition: table.endPosition, tableBytes: options.tableBytes)
        next.segmentHolds = [segments.hold(table.endPosition.segment)]
        if heldSegment != table.endPosition.segment { next.segmentHolds.append(segments.hold(heldSegment)) }
        replaceView(
            View(active: next, sealed: [table] + view.sealed, root: view.root, rangeDeletions: ranges))
        if options.usesThreads { pace.set(sealed: view.sealed.count) }
        sealBell.ring()
    }

    /// Until there is room for another sealed table, or there will be none. No locks held.
    private func waitForFlush() {
        while true {
            let token = progressBell.token
            let waits = commitLock.withLock {
                view.sealed.count >= LogManager.sealedTablesMax && stopReason == nil && !hasNoSpace && !isEnding
            }
            if !waits { return }
            progressBell.wait(after: token, milliseconds: 1000)
        }
    }

    /// Seals the active table if anything is in it.
    func sealNow() { commitLock.withLock { if view.active.sorted.entryCount > 0 || sealRule.hasNewRange { seal() } } }

    func setSeparationThreshold(_ bytes: Int) { separationThreshold.store(bytes, ordering: .relaxed) }

    /// Nothing is taken from now on: whoever waits to write is refused.
    func end() {
        commitLock.withLock { isEnding = true }
        progressBell.ring()
    }

    // MARK: State

    func report(_ event: StoreEvent) { reportEvent(event) }

    var writeState: WriteState {
        if let reason = log.stopReason { return .stopped(reason) }
        return commitLock.withLock {
            if let stopReason { return .stopped(stopReason) }
            return hasNoSpace || isNearlyFull ? .deletesOnly : .open
        }
    }

    var stopError: StoreError {
        log.stopReason ?? commitLock.withLock { stopReason } ?? StoreError(.disk, "the log cannot be written")
    }

    /// Everything committed so far is durable when this returns.
    func sync() throws(StoreError) {
        do { try log.sync() } catch { throw stopError }
    }

    // MARK: For the controller

    func oldestSealed() -> MemoryTable? { commitLock.withLock { view.sealed.last } }
    var sealedCount: Int { commitLock.withLock { view.sealed.count } }

    /// Seals the active table where its flush should not wait for more to come (`SealRule.isOld`). Called once a second
    /// while there is nothing to flush.
    func sealIfOld() {
        commitLock.withLock {
            if sealRule.isOld(view.active, hasRuns: view.hasRuns, isNearlyFull: isNearlyFull) { seal() }
        }
    }

    /// See `SealRule.setTree`.
    func setTree(entries: Int, overlap: Double, liveBytes: Int) {
        commitLock.withLock { sealRule.setTree(entries: entries, overlap: overlap, liveBytes: liveBytes) }
    }

    /// A flush failed. Returns whether it is worth another try.
    func backgroundFailed(_ error: StoreError) -> Bool {
        if error.kind == .noSpace {
            let isNews = commitLock.withLock { () -> Bool in
                defer { hasNoSpace = true }
                return !hasNoSpace
            }
            progressBell.ring()
            if isNews { report(.spaceRunsOut) }
            return true
        }
        stopWrites(error)
        return false
    }

    func setNearlyFull(_ isFull: Bool) {
        let isNews = commitLock.withLock { () -> Bool in
            defer { isNearlyFull = isFull }
            return isNearlyFull != isFull
        }
        if isNews {
            progressBell.ring()
            report(isFull ? .spaceRunsOut : .spaceIsBack)
        }
    }

    func stopWrites(_ error: StoreError) {
        commitLock.withLock { if stopReason == nil { stopReason = error } }
        progressBell.ring()
        report(.writesStopped(error))
    }

    func countsAfterFlush(of table: MemoryTable) -> [(UInt32, NamespaceCounts)] {
        commitLock.withLock { changed(by: table.deltas) }
    }

    func countsAfterMerge(_ deltas: CountDeltas) -> [(UInt32, NamespaceCounts)] {
        commitLock.withLock { changed(by: deltas) }
    }

    private func changed(by deltas: CountDeltas) -> [(UInt32, NamespaceCounts)] {
        deltas.items.map { item in
            var sum = baseCounts.counts(item.namespace)
            sum += item.counts
            return (item.namespace, sum)
        }
    }

    func addToBase(_ deltas: CountDeltas) { commitLock.withLock { baseCounts.add(deltas) } }

    /// Shows a new structure to readers.
    func publish(
        root: Bucket, flushed: MemoryTable?, deltas: CountDeltas, removedTombstones: Set<UInt64>,
        forgottenNamespaces: [UInt32]
    ) {
        let (old, spaceIsBack) = commitLock.withLock { () -> (View, Bool) in
            let old = view
            if let flushed { baseCounts.add(flushed.deltas) }
            baseCounts.add(deltas)
            for namespace in forgottenNamespaces { baseCounts.forget(namespace) }
            ranges = ranges.removing(removedTombstones)
            newestRange = ranges.newest
            replaceView(
                View(
                    active: view.active, sealed: view.sealed.filter { $0 !== flushed }, root: root,
                    rangeDeletions: ranges))
            if options.usesThreads { pace.set(sealed: view.sealed.count) }
            let wasFull = hasNoSpace
            hasNoSpace = false
            return (old, wasFull)
        }
        // The old view may be the last holder of a table: it goes outside of the lock.
        withExtendedLifetime(old) {}
        tellViewObservers()
        if spaceIsBack { report(.spaceIsBack) }
    }
}
