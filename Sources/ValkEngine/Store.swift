// The store as a whole: takes batches, hands out views. Opening is in Store+Open, counts in Store+Counts.
//
// Threads: everything here may be called from any thread. `commit` holds one short lock in which a batch gets its
// sequence numbers, its place in the log and its entries in the active sorted table; the log itself is written by
// `flushLog`, outside of it. Readers take no lock at all: they hold a view and read up to the visible sequence.
//
// Invariants: 1. the log holds a batch before readers can see it only up to memory: a batch is seen by readers before
// it is written, but no acknowledgement leaves before the log has it. 2. Sequence numbers, log order and table order
// agree, because all three are given under the commit lock. 3. A sealed table's records lie before its end position or
// in the frame that was open when it was sealed.

import CValk
import Synchronization
import ValkBase
import ValkDisk

public final class Store: @unchecked Sendable {  // Mutable state is behind the commit lock or atomic.
    package let options: StoreOptions
    let disk: any Disk
    let pool: ChunkPool
    let log: ValueLog
    let cache: BlockCache
    let janitor: Janitor
    let segments: SegmentRegistry
    let reportEvent: @Sendable (StoreEvent) -> Void
    let lockFile: any DiskLock
    package let recoveryReport: RecoveryReport
    /// Set once, while opening.
    private(set) var controller: BucketController!  // Needs the store, and the store needs it: set at the end of init.

    /// The log's commit lock: guards everything from here to `MARK: Reading`.
    let commitLock: Lock
    private(set) var view: View
    private var nextSequence: UInt64
    private var lastPosition: LogPosition
    private var heldSegment: UInt32 = 0
    private(set) var baseCounts: CountDeltas
    private var hasNoSpace = false
    private(set) var stopReason: StoreError?

    private let viewGeneration = Atomic<UInt64>(1)
    private let visibleAtomic: Atomic<UInt64>
    private let separationThreshold: Atomic<Int>
    /// Grows with every settlement of counts; merges that overlap one discard what they found themselves.
    let resolutions = Atomic<UInt64>(0)
    let resolveLock = Lock()

    /// Sealed tables that may wait for their flush before writers wait.
    static let sealedTablesMax = 4

    init(_ parts: OpenedParts) {
        options = parts.options
        disk = parts.disk
        pool = parts.pool
        log = parts.log
        cache = parts.cache
        janitor = parts.janitor
        segments = parts.segments
        reportEvent = parts.report
        lockFile = parts.lockFile
        recoveryReport = parts.recovery
        commitLock = parts.log.commitLock
        view = parts.view
        nextSequence = parts.lastSequence + 1
        lastPosition = parts.log.replayPosition
        baseCounts = parts.baseCounts
        visibleAtomic = Atomic(parts.lastSequence)
        separationThreshold = Atomic(parts.options.valueSeparationThreshold)
        controller = BucketController(
            disk: disk, options: options, cache: cache, janitor: janitor, segments: segments, manifest: parts.manifest,
            state: parts.state, store: self)
        heldSegment = view.active.startPosition.segment
    }

    // MARK: Reading

    package var generation: UInt64 { viewGeneration.load(ordering: .acquiring) }
    package var visibleSequence: UInt64 { visibleAtomic.load(ordering: .acquiring) }

    func currentView() -> (View, UInt64) {
        commitLock.withLock { (view, viewGeneration.load(ordering: .relaxed)) }
    }

    var root: Bucket { commitLock.withLock { view.root } }
    var rangeTombstones: [RangeTombstone] { commitLock.withLock { view.rangeTombstones } }

    // MARK: Writing

    /// Applies `batch` as a whole: readers see all of it or nothing. Returns where it ends in the log; the caller
    /// acknowledges it to its client after `flushLog` of that position. The batch is left as it is. Throws before
    /// anything is applied: `.wouldBlock` (only without `mayBlock`) when the store cannot keep up or needs a new log
    /// segment, `.noSpace` (deletes go on), `.writesStopped`.
    package func commit(_ batch: WriteBatch, mayBlock: Bool = false) throws(Interruption) -> LogPosition {
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
        commitLock.lock()
        do throws(Interruption) {
            try admit(bytes, onlyDeletes, mayBlock)
        } catch {
            commitLock.unlock()
            throw error
        }
        let table = view.active
        var sequence = nextSequence
        for operation in batch.operations {
            apply(batch, operation, sequence, threshold, table)
            sequence &+= 1
        }
        let position = log.endBatch()
        lastPosition = position
        if position.segment != heldSegment {
            heldSegment = position.segment
            table.segmentHolds.append(segments.hold(heldSegment))
        }
        nextSequence = sequence
        visibleAtomic.store(sequence &- 1, ordering: .releasing)
        table.logBytes &+= bytes
        if table.sorted.usedBytes >= options.tableBytes || table.logBytes >= options.replayBytesMax
            || (wantsSeal && isWorthSealing)
        {
            seal()
        }
        commitLock.unlock()
        return position
    }

    /// A range was deleted: a flush gives its space back.
    private var wantsSeal = false

    /// Range deletions since the last seal.
    private var rangeDeletions = 0

    /// Not at once for every range deletion: a flush costs two syncs. `sealIfOld` sees to the rest within a second or
    /// two.
    private var isWorthSealing: Bool { view.active.sorted.usedBytes > 1 << 20 || rangeDeletions > 64 }

    /// With the commit lock held; gives it up while it waits.
    private func admit(_ bytes: Int, _ onlyDeletes: Bool, _ mayBlock: Bool) throws(Interruption) {
        while true {
            if stopReason != nil { throw .writesStopped }
            if hasNoSpace && !onlyDeletes { throw .noSpace }
            if view.sealed.count < Store.sealedTablesMax || !options.usesThreads { break }
            // Deletes are taken without room as long as there is memory for them.
            if hasNoSpace { throw .noSpace }
            if !mayBlock { throw .wouldBlock }
            commitLock.unlock()
            controller.waitForFlush(below: Store.sealedTablesMax)
            commitLock.lock()
        }
        try log.reserve(bytes, isUrgent: onlyDeletes, mayBlock: mayBlock)
        if stopReason != nil { throw .writesStopped }
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
            addRangeTombstone(RangeTombstone(lower: key.array, upper: value.array, sequence: sequence))
            wantsSeal = true
            rangeDeletions += 1
            return
        }
        if table.firstWriteTime == 0 { table.firstWriteTime = Monotonic.nanoseconds() }
        let kind: EntryKind = operation.action == .put ? .put : .delete
        let older = table.sorted.insert(
            key: key, sequence: sequence, kind: kind, flags: flags, tag: operation.tag, expireAt: operation.expireAt,
            value: value, pointer: pointer)
        if options.countsNamespaces { table.count(key, kind, flags, operation.expireAt, older, in: view) }
    }

    private func addRangeTombstone(_ tombstone: RangeTombstone) {
        replaceView(
            View(
                active: view.active, sealed: view.sealed, root: view.root,
                rangeTombstones: view.rangeTombstones + [tombstone]))
    }

    private func replaceView(_ new: View) {
        view = new
        viewGeneration.wrappingAdd(1, ordering: .releasing)
    }

    /// With the commit lock held: the active table becomes the newest sealed one.
    private func seal() {
        wantsSeal = false
        rangeDeletions = 0
        let table = view.active
        table.endPosition = log.replayPosition
        table.lastSequence = nextSequence &- 1
        let next = MemoryTable(pool: pool, startPosition: table.endPosition, tableBytes: options.tableBytes)
        next.segmentHolds = [segments.hold(table.endPosition.segment)]
        if heldSegment != table.endPosition.segment { next.segmentHolds.append(segments.hold(heldSegment)) }
        replaceView(
            View(active: next, sealed: [table] + view.sealed, root: view.root, rangeTombstones: view.rangeTombstones))
        controller.wakeFlush()
    }

    // MARK: The log

    /// Makes sure that the log up to `position` is on its way as the policy asks. True: acknowledgements may leave now.
    /// False: they may leave when `acknowledgedPosition` has reached `position` (observers are told). Throws
    /// `.writesStopped` when that will never be.
    package func flushLog(_ position: LogPosition) throws(Interruption) -> Bool { try log.flush(upTo: position) }

    /// As `flushLog`, and waits. For threads that may block.
    package func waitForLog(_ position: LogPosition) throws(Interruption) { try log.waitUntilAcknowledged(position) }

    package var acknowledgedPosition: LogPosition { log.acknowledged }

    /// The log takes nothing any more; `acknowledgedPosition` stands still.
    package var logHasStopped: Bool { log.isStopped.load(ordering: .acquiring) }

    /// `wake` is called on a background thread whenever `acknowledgedPosition` has advanced or writing has stopped. It
    /// must be quick and must not call the store.
    package func addLogObserver(_ wake: @escaping @Sendable () -> Void) { log.addObserver(wake) }

    /// Everything committed so far is durable when this returns. Blocking.
    package func sync() throws(StoreError) {
        do { try log.sync() } catch { throw stopError }
    }

    var stopError: StoreError {
        log.stopReason ?? commitLock.withLock { stopReason } ?? StoreError(.disk, "the log cannot be written")
    }

    func syncLog(upTo position: LogPosition) throws(StoreError) { try sync() }

    package func setSyncPolicy(_ policy: SyncPolicy) { log.setPolicy(policy) }
    package func setValueSeparationThreshold(_ bytes: Int) { separationThreshold.store(bytes, ordering: .relaxed) }

    package var writeState: WriteState {
        if let reason = log.stopReason { return .stopped(reason) }
        return commitLock.withLock {
            if let stopReason { return .stopped(stopReason) }
            return hasNoSpace ? .deletesOnly : .open
        }
    }

    // MARK: For the controller

    func report(_ event: StoreEvent) { reportEvent(event) }

    func oldestSealed() -> MemoryTable? { commitLock.withLock { view.sealed.last } }
    var sealedCount: Int { commitLock.withLock { view.sealed.count } }
    var canFlush: Bool { commitLock.withLock { stopReason == nil && !hasNoSpace } }

    /// Seals a table that has been open for long, so that its log can be given back, and one with a range deletion
    /// that frees table files. Called once a second while there is nothing to flush.
    func sealIfOld() {
        commitLock.withLock {
            if wantsSeal && !view.root.runs.isEmpty { return seal() }
            let table = view.active
            guard table.firstWriteTime != 0, table.sorted.usedBytes > 1 << 20 else { return }
            if Monotonic.nanoseconds() - table.firstWriteTime > 300_000_000_000 { seal() }
        }
    }

    /// A flush failed. Returns whether it is worth another try.
    func backgroundFailed(_ error: StoreError) -> Bool {
        if error.kind == .noSpace {
            let isNews = commitLock.withLock { () -> Bool in
                defer { hasNoSpace = true }
                return !hasNoSpace
            }
            if isNews { report(.spaceRunsOut) }
            return true
        }
        stopWrites(error)
        return false
    }

    func stopWrites(_ error: StoreError) {
        commitLock.withLock { if stopReason == nil { stopReason = error } }
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
            replaceView(
                View(
                    active: view.active, sealed: view.sealed.filter { $0 !== flushed }, root: root,
                    rangeTombstones: view.rangeTombstones.filter { !removedTombstones.contains($0.sequence) }))
            let wasFull = hasNoSpace
            hasNoSpace = false
            return (old, wasFull)
        }
        // The old view may be the last holder of a table: it goes outside of the lock.
        withExtendedLifetime(old) {}
        if spaceIsBack { report(.spaceIsBack) }
    }

    // MARK: Blocking services

    /// Seals the active table and flushes everything in memory. Waits for the disk.
    package func flushTables() throws(StoreError) {
        commitLock.withLock { if view.active.sorted.entryCount > 0 || wantsSeal { seal() } }
        while oldestSealed() != nil {
            if case .stopped(let reason) = writeState { throw reason }
            do { try controller.flushOldest() } catch {
                _ = backgroundFailed(error)
                throw error
            }
        }
    }

    /// Merges all runs into one. Waits for the disk; for tools and tests.
    package func mergeAll() throws(StoreError) { try controller.mergeAll() }

    /// Syncs the log, stops the background, releases the directory. Nobody may use the store afterwards.
    package func close() throws(StoreError) {
        controller.stop()
        var fault: StoreError?
        do { try log.close() } catch { fault = stopError }
        controller.close(durableLog: fault == nil ? log.durable : nil)
        janitor.close()
        lockFile.release()
        if let fault { throw fault }
    }
}
