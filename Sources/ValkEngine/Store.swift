// The store as a whole: takes batches, hands out views. Opening is in Store+Open, counts in Store+Counts; the work is
// done by its parts: the Log Manager takes writes and holds the view, the Bucket Controller sees to the files.
//
// Threads: everything here may be called from any thread. The background threads hold parts and never the store, so
// the store goes when its users let go of it. `close` ends it properly; without `close` it ends as if the process had
// been killed: nothing more is written, and the next start finds what was acknowledged.

import Synchronization
import ValkBase
import ValkDisk

public final class Store: Sendable {
    package let options: StoreOptions
    let disk: any Disk
    let log: ValueLog
    let cache: BlockCache
    let values: ValueCache
    let janitor: Janitor
    let logManager: LogManager
    let controller: BucketController
    let collector: GarbageCollector
    let scrubber: Scrubber
    let knownFaults = KnownFaults()
    let opener: TableOpener
    private let lockFile: any DiskLock
    package let recoveryReport: RecoveryReport
    private let isClosed = Atomic<Bool>(false)
    /// Held by whoever settles counts.
    let resolveLock = Lock()
    /// Held while a backup is made.
    let backupLock = Lock()
    let liveLock = Lock()
    // SAFETY: read and written under `liveLock` only.
    nonisolated(unsafe) var treeLive = TreeLiveWeight()

    init(
        options: StoreOptions, disk: any Disk, cache: BlockCache, janitor: Janitor, logManager: LogManager,
        controller: BucketController, lockFile: any DiskLock, recovery: RecoveryReport
    ) {
        self.options = options
        self.disk = disk
        log = logManager.log
        self.cache = cache
        values = ValueCache(cache)
        self.janitor = janitor
        self.logManager = logManager
        self.controller = controller
        collector = GarbageCollector(
            controller: controller, log: logManager.log, budget: controller.budget)
        scrubber = Scrubber(
            disk: disk, controller: controller, log: logManager.log, periodSeconds: options.scrubPeriodSeconds,
            bytesPerSecond: options.scrubBytesPerSecond
        ) { [logManager] error in logManager.report(.log(.damaged(error))) }
        opener = TableOpener(logManager.root, cache) { [logManager] error in logManager.report(.log(.damaged(error))) }
        self.lockFile = lockFile
        recoveryReport = recovery
        controller.store = self
    }

    deinit {
        // Without threads there is nothing to end: the files close and the lock goes with what holds them.
        guard options.usesThreads, !isClosed.load(ordering: .acquiring) else { return }
        let (logManager, controller, janitor, lockFile) = (logManager, controller, janitor, lockFile)
        let end: @Sendable () -> Void = { [scrubber, collector, opener] in
            logManager.end()
            opener.stop()
            scrubber.stop()
            collector.stop()
            controller.stop()
            logManager.log.abandon()
            janitor.close()
            lockFile.release()
        }
        // An observer may let go of the store on a thread that has to end first: that one is not waited for here.
        let isOwnThread =
            collector.isOnOwnThread || controller.isOnOwnThread || log.isOnOwnThread || janitor.isOnOwnThread
            || scrubber.isOnOwnThread || opener.isOnOwnThread
        if isOwnThread { _ = PThread(name: "valk-end", end) } else { end() }
    }

    // MARK: Reading

    package var generation: UInt64 { logManager.generation }
    /// How many views the oldest that somebody looks at is behind the newest: what became garbage since stays.
    package var oldestViewBehind: UInt64 {
        let newest = logManager.generation
        return newest - min(newest, logManager.horizon.horizon)
    }
    package var visibleSequence: UInt64 { logManager.visibleSequence }
    func currentView() -> (View, UInt64) { logManager.currentView() }
    var root: Bucket { logManager.root }

    // MARK: Writing

    /// Applies `batch` as a whole: readers see all of it or nothing. Returns where it ends in the log; the caller
    /// acknowledges it to its client after `flushLog` of that position. The batch is left as it is. Throws before
    /// anything is applied: `.wouldBlock` (only without `mayBlock`) when the store cannot keep up or needs a new log
    /// segment, `.noSpace` (deletes go on), `.writesStopped`.
    /// Where `keepsPace` is false the caller must do nothing for `writeDelay` afterwards, in its own way; otherwise a
    /// commit that may block waits here.
    package func commit(
        _ batch: WriteBatch, mayBlock: Bool = false, keepsPace: Bool = true
    ) throws(Interruption) -> LogPosition {
        try logManager.commit(batch, mayBlock: mayBlock, keepsPace: keepsPace)
    }

    /// Nanoseconds for which somebody who has just written should write nothing, so that the background keeps up; at
    /// most a second.
    @inline(__always)
    package var writeDelay: UInt64 { logManager.pace.delay }

    /// Somebody was held up for `writeDelay`.
    package func countWriteDelay() { logManager.pace.countDelay() }

    /// Says that everything in `lower ..< upper` that has been written is dead for the layer above; see
    /// `WriteBatch.noteDead`. Any thread, quick. Without a filter it does nothing. A restart forgets it.
    package func noteDead(_ lower: ByteView, _ upper: ByteView) { logManager.noteDead(lower, upper) }

    // MARK: The log

    /// Makes sure that the log up to `position` is on its way as the policy asks. True: acknowledgements may leave now.
    /// False: they may leave when `acknowledgedPosition` has reached `position` (observers are told). Throws
    /// `.writesStopped` when that will never be. `maySync`: nobody minds if the calling thread waits for the device.
    package func flushLog(_ position: LogPosition, maySync: Bool = false) throws(Interruption) -> Bool {
        try log.flush(upTo: position, maySync: maySync)
    }

    /// As `flushLog`, and waits. For threads that may block.
    package func waitForLog(_ position: LogPosition) throws(Interruption) { try log.waitUntilAcknowledged(position) }

    package var acknowledgedPosition: LogPosition { log.acknowledged }
    var acknowledgedSequence: UInt64 { log.acknowledgedSequence.load(ordering: .relaxed) }
    /// Where the newest batch that readers see ends in the log.
    var committedPosition: LogPosition { logManager.committedPosition }

    /// The log takes nothing any more; `acknowledgedPosition` stands still.
    package var logHasStopped: Bool { log.isStopped.load(ordering: .acquiring) }

    /// `wake` is called on a background thread whenever `acknowledgedPosition` has advanced or writing has stopped. It
    /// must be quick and must not call the store.
    package func addLogObserver(_ wake: @escaping @Sendable () -> Void) { log.addObserver(wake) }

    /// `body` is called on a background thread when tables or segments were replaced: who holds an older view without
    /// need may let it go. It must be quick.
    func addViewObserver(_ body: @escaping @Sendable () -> Void) { logManager.addViewObserver(body) }

    /// Everything committed so far is durable when this returns. Blocking.
    package func sync() throws(StoreError) { try logManager.sync() }

    var stopError: StoreError { logManager.stopError }

    package func setSyncPolicy(_ policy: SyncPolicy) { log.setPolicy(policy) }
    package func setScrub(periodSeconds: Int? = nil, bytesPerSecond: Int? = nil) {
        scrubber.set(periodSeconds: periodSeconds, bytesPerSecond: bytesPerSecond)
    }
    package func setValueSeparationThreshold(_ bytes: Int) { logManager.setSeparationThreshold(bytes) }
    /// What merges and the garbage collector may read and write in a second, bytes; 0: no limit.
    package func setBackgroundRate(_ bytesPerSecond: Int) { controller.budget.bytesPerSecond = bytesPerSecond }
    package func setSpaceTarget(_ ratio: Double) {
        collector.targetThousandths.store(Int(ratio * 1000), ordering: .relaxed)
    }
    package var writeState: WriteState { logManager.writeState }

    // MARK: Blocking services

    /// Seals the active table and flushes everything in memory. Waits for the disk.
    package func flushTables() throws(StoreError) {
        logManager.sealNow()
        while logManager.oldestSealed() != nil {
            if case .stopped(let reason) = writeState { throw reason }
            do { try controller.flushOldest() } catch {
                _ = logManager.backgroundFailed(error)
                throw error
            }
        }
    }

    /// Merges all runs into one. Waits for the disk; for tools and tests.
    package func mergeAll() throws(StoreError) { try controller.mergeAll() }

    /// One round of the garbage collector. Waits for the disk; for tools and tests.
    package func collectGarbage() throws(StoreError) { try collector.step() }

    /// Syncs the log, stops the background, releases the directory. Nobody may use the store afterwards. Not from a
    /// closure that the store calls. A second call does nothing.
    package func close() throws(StoreError) {
        if isClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
        logManager.end()
        opener.stop()
        scrubber.stop()
        collector.stop()
        controller.stop()
        var fault: StoreError?
        do { try log.close() } catch { fault = stopError }
        controller.close(durableLog: fault == nil ? log.durable : nil)
        janitor.close()
        lockFile.release()
        if let fault { throw fault }
    }
}
