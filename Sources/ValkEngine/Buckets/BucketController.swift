// Plans and publishes: takes sealed tables to the root bucket, has jobs run on the tree, makes every change durable,
// and hands readers a new view. The only writer of structure. Jobs are in BucketController+Jobs, publishing is in
// BucketController+Install.
//
// A change travels: a job writes and syncs new files -> the directory is synced -> one manifest edit is appended and
// synced -> the new view is published -> files that were replaced are removed when the last view that shows them is
// gone.
//
// Threads: one for flushes, so that memory never waits behind a long merge, and some for jobs. A job names what it is
// about by key range and height, never by bucket: buckets come and go while it runs. It has its range to itself for its
// whole life; two jobs run at once when their ranges have no key in common. A flush needs no range, it only adds a run
// in front of the root's. Locks, in order: `flushGate` (a flush or a look at the counts in memory), `structure`
// (manifest, tree and the list of jobs), the commit lock. The threads hold the controller until `stop`, and through it
// all that they need, but not the store.

import Synchronization
import ValkBase
import ValkDisk

final class BucketController: FileNumbers, @unchecked Sendable {  // State behind the locks named above.
    let disk: any Disk
    let directory: String
    let options: StoreOptions
    let cache: BlockCache
    let janitor: Janitor
    let logManager: LogManager
    let segments: SegmentRegistry
    /// Shared with the garbage collector.
    let budget: IOBudget

    let flushGate = Lock()
    let structure = Lock()
    // Behind `structure`:
    let manifest: ManifestWriter
    var state: ManifestState
    /// The range deletions of `state`.
    var durableRanges: RangeList
    /// How many fragments name each file.
    var references: [UInt64: Int] = [:]
    var jobs: [RunningJob] = []
    var history = JobHistory()
    var failures = JobFailures()
    var hints = JobHints()
    var pauses = 0
    /// Files of edits that failed for lack of space: the manifest may name them until the next edit has been written.
    var stranded: [String] = []
    /// Grows with every step of a job that is installed.
    var mergeCount: UInt64 = 0
    /// Grows with every settlement of counts; merges that overlap one discard what they found themselves.
    var resolutionCount: UInt64 = 0
    private var nextRun: UInt64
    private var nextJob: UInt64 = 1
    /// Signalled when a job has ended.
    let jobEnded = Condition()
    let fileIds: Atomic<UInt64>

    private var flushBell: Bell { logManager.sealBell }
    let mergeBell: Bell
    let readNotes: ReadNotes
    /// Monotonic nanoseconds, by which failed jobs are tried again and heat fades.
    var clock: @Sendable () -> UInt64 = { Monotonic.nanoseconds() }
    /// For tests, nil otherwise: called at the seams of jobs, flushes and rounds of the collector, where other threads
    /// may come in between. Set before any of them begins. True leaves the rest of a job for later.
    var atSeam: (@Sendable (JobSeam) -> Bool)?
    var progressBell: Bell { logManager.progressBell }
    private let cancelled = Atomic<Bool>(false)
    /// What the space governor lets be hidden, and how much of what is written hides something. Guarded by `structure`.
    var hiddenLimit = HiddenLimit()
    var overlap = OverlapEstimate()
    /// For filters; set before any job begins.
    weak var store: Store?
    let deadWeights = DeadEstimator()
    /// The same for figures, which know more ranges.
    let shownDeadWeights = DeadEstimator()
    private var threads: [PThread] = []
    private let counterLock = Lock()
    private var counted = BackgroundCounters()
    /// What the background did since the start.
    var counters: BackgroundCounters { counterLock.withLock { counted } }
    func count(_ body: (inout BackgroundCounters) -> Void) { counterLock.withLock { body(&counted) } }

    init(
        disk: any Disk, options: StoreOptions, cache: BlockCache, janitor: Janitor, segments: SegmentRegistry,
        manifest: ManifestWriter, state: ManifestState, logManager: LogManager
    ) {
        self.disk = disk
        self.options = options
        directory = options.path
        self.cache = cache
        self.janitor = janitor
        self.segments = segments
        self.manifest = manifest
        self.state = state
        durableRanges = RangeDeletions(state.rangeTombstones).list
        self.logManager = logManager
        let bell = Bell()
        mergeBell = bell
        readNotes = ReadNotes(wake: bell)
        budget = IOBudget(bytesPerSecond: options.backgroundBytesPerSecond)
        fileIds = Atomic(state.nextFileId)
        nextRun = state.nextRunId
        for fragment in state.fragments { references[fragment.file, default: 0] += 1 }
    }

    func nextFileId() -> UInt64 { fileIds.wrappingAdd(1, ordering: .relaxed).oldValue }

    /// A number for a run or a bucket, higher than all before it. With `structure` held.
    func nextNumber() -> UInt64 {
        nextRun += 1
        return nextRun - 1
    }

    /// With `structure` held.
    var runIds: UInt64 { nextRun }

    func nextJobId() -> UInt64 {
        nextJob += 1
        return nextJob - 1
    }

    /// With `structure` held, where it plans.
    var planner: JobPlanner { JobPlanner(options: options, fanOut: fanOut, hints: hints) }
    /// Its sizes alone, for who does not hold `structure`.
    var limits: JobPlanner { JobPlanner(options: options, fanOut: options.fanOut) }
    var fanOut: Int { Int(state.identity.fanOut) }

    func manager(_ priority: IOPriority) -> BucketManager {
        BucketManager(
            disk: disk, directory: directory, options: options, cache: cache, numbers: self, budget: budget,
            priority: priority
        ) { [self] in cancelled.load(ordering: .relaxed) }
    }

    // MARK: Life

    func start() {
        threads.append(PThread(name: "valk-flush") { [self] in runFlushes() })
        for number in 1...options.mergeThreads {
            threads.append(PThread(name: "valk-merge-\(number)", nice: 5) { [self] in runMerges() })
        }
    }

    /// Ends the threads; jobs that run give up.
    func stop() {
        cancelled.store(true, ordering: .relaxed)
        flushBell.ring()
        mergeBell.ring()
        progressBell.ring()
        for thread in threads { thread.join() }
        threads = []
    }

    /// After `stop`. `durableLog`: where the log ends, when all of it is durable. With it the next start can tell
    /// damage from a torn tail.
    func close(durableLog: LogPosition?) {
        structure.withLock {
            if let durableLog, manifest.failure == nil {
                do throws(StoreError) {
                    try manifest.append(VersionEdit(items: [.durableLog(durableLog)]), state: state)
                } catch {
                    // Nothing but the proof is missing.
                    logManager.report(.log(.note(error)))
                }
            }
            manifest.close()
        }
    }

    var isClosing: Bool { cancelled.load(ordering: .relaxed) }

    /// Whether the caller is one of the threads that `stop` waits for.
    var isOnOwnThread: Bool { threads.contains { $0.isCurrent } }

    private func runFlushes() {
        while true {
            let token = flushBell.token
            if isClosing { return }
            guard logManager.oldestSealed() != nil else {
                flushBell.wait(after: token, milliseconds: 1000)
                logManager.sealIfOld()
                continue
            }
            let progress = progressBell.token
            if rootIsFull {
                progressBell.wait(after: progress, milliseconds: 1000)
                continue
            }
            do {
                try flushOldest()
            } catch {
                if isClosing { return }
                // Without room the table stays in memory and is tried again; writers are told.
                if !logManager.backgroundFailed(error) { return }
                pause()
            }
        }
    }

    private func runMerges() {
        while true {
            let token = mergeBell.token
            if isClosing { return }
            do {
                if try !mergeOnce() { mergeBell.wait(after: token, milliseconds: idleMilliseconds) }
            } catch {
                if isClosing { return }
                // It has been told, and its place is left alone for a while.
                // Without a manifest no merge will ever be of use.
                if case .stopped = logManager.writeState { return }
                if error.kind == .noSpace { pause() }
            }
        }
    }

    /// How long a thread without a job sleeps at most.
    private var idleMilliseconds: UInt64 {
        structure.withLock {
            guard let retry = failures.nextRetry else { return 60_000 }
            let now = clock()
            return retry > now ? min(60_000, (retry - now) / 1_000_000 + 1) : 1000
        }
    }

    /// Whether a flush should wait: readers pass as many runs in the root as they ever should, and somebody is about to
    /// make them fewer. When nobody is (jobs fail, or wait for a backup), writers need the memory more.
    private var rootIsFull: Bool {
        structure.withLock {
            let root = logManager.root
            guard root.runsMost > planner.rootRunsEver, pauses == 0 else { return false }
            if jobs.contains(where: { $0.height == root.height }) { return true }
            let now = clock()
            let best = planner.best(
                root, isFree: { range in !self.jobs.contains { $0.range.overlaps(range) } },
                isDue: { $0.height == root.height && !self.failures.refuses($0, now: now) })
            return best != nil
        }
    }

    /// Waits a second, or until something moves.
    private func pause() { progressBell.wait(after: progressBell.token, milliseconds: 1000) }

    // MARK: Flush

    /// Flushes the oldest sealed table, if there is one. Blocking.
    func flushOldest() throws(StoreError) {
        try flushGate.withLock { () throws(StoreError) in
            guard let table = logManager.oldestSealed() else { return }
            let begin = Monotonic.nanoseconds()
            // Pointers and the checkpoint may only be durable when the log before them is.
            try logManager.sync()
            _ = atSeam?(.flushBegun)
            let (root, estimate) = structure.withLock { (logManager.root, overlap) }
            let result = try manager(.urgent).flush(table, over: root, overlap: estimate.isKnown ? estimate.ratio : nil)
            try syncTables(result)
            _ = atSeam?(.flushWritten)
            try structure.withLock { () throws(StoreError) in
                var items: [EditItem] = [
                    .checkpoint(Checkpoint(position: table.endPosition, sequence: table.lastSequence))
                ]
                items.append(.durableLog(logManager.log.durable))
                for (namespace, counts) in logManager.countsAfterFlush(of: table) {
                    items.append(.counts(namespace, counts))
                }
                // Not those that later ones cover whole.
                let lasting = table.rangeTombstones.isEmpty ? [] : RangeDeletions(table.rangeTombstones).sequences
                for tombstone in table.rangeTombstones where lasting.contains(tombstone.sequence) {
                    items.append(.addRangeTombstone(tombstone))
                }
                overlap.take(result.overlap)
                items += result.values.editItems + result.discards.editItems
                try install(result.files, items, flushed: table) { root, fragments in
                    if fragments.isEmpty { return root }
                    let run = Run(id: nextNumber(), fragments: fragments)
                    // Under a job the runs must stay what it knows.
                    return root.taking(run, sinks: !jobs.contains { $0.range.overlaps(run.hull) })
                }
            }
            let took = Monotonic.nanoseconds() - begin
            structure.withLock {
                history.add(
                    JobLine(
                        id: nextJobId(), kind: JobKind.flush.rawValue, reason: "a table in memory", bytesRead: 0,
                        bytesWritten: result.bytesWritten, milliseconds: took / 1_000_000, outcome: "done"))
            }
            if options.usesThreads { logManager.pace.noteFlush(logBytes: table.logBytes, nanoseconds: took) }
            counterLock.withLock {
                counted.flushes += 1
                counted.flushNanoseconds += took
                counted.flushBytesWritten += UInt64(result.bytesWritten)
            }
        }
        progressBell.ring()
        mergeBell.ring()
    }

    func syncTables(_ result: JobResult) throws(StoreError) {
        guard !result.files.isEmpty else { return }
        do { try disk.syncDirectory(directory + "/tables") } catch {
            for file in result.files { janitor.remove(file.finished.path) }
            throw StoreError(error)
        }
    }
}

/// Where the work of the background can be interleaved with that of others. No lock is held but what keeps flushes, and
/// rounds of the collector, one at a time.
enum JobSeam: CaseIterable, Sendable {
    /// The log is durable, the table is not read yet.
    case flushBegun
    /// New files are durable and not shown.
    case flushWritten, stepWritten
    /// A job has its range.
    case jobTaken
    /// The step knows which range deletions are durable, and has read nothing.
    case stepBegun
    case stepShown
    /// The next generation is durable and not in force.
    case segmentCopied
    /// Holes are planned; they are noted and not made.
    case holesPlanned, holesNoted
    /// What a dropped table pointed at is known and not noted.
    case owedRead
}

/// What the background did since the start.
package struct BackgroundCounters: Sendable {
    package var flushes: UInt64 = 0
    package var flushNanoseconds: UInt64 = 0
    package var flushBytesWritten: UInt64 = 0
    package var merges: UInt64 = 0
    package var mergeNanoseconds: UInt64 = 0
    package var mergeBytesRead: UInt64 = 0
    package var mergeBytesWritten: UInt64 = 0
    package var entriesDropped: UInt64 = 0
    /// The most that a step of a job read before it was published.
    package var stepBytesMax = 0
    /// Entries that the layer above had dropped or turned into deletes, and looks of its filter that failed.
    package var entriesFiltered: UInt64 = 0
    package var filterFailures: UInt64 = 0
    /// Jobs on the tree that have ended, by kind.
    package var jobs: [String: UInt64] = [:]
    package var jobsFailed: UInt64 = 0
}
