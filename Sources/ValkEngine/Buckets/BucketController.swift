// Plans and publishes: takes sealed tables to the root bucket, merges runs, makes every change durable, and hands
// readers a new view. The only writer of structure.
//
// A change travels: a job writes and syncs new files -> the directory is synced -> one manifest edit is appended and
// synced -> the new view is published -> files that were replaced are removed when the last view that shows them is
// gone.
//
// Threads: one for flushes, so that memory never waits behind a long merge, and one for merges. Locks, in order:
// `flushGate` (a flush or a look at the counts in memory), `mergeGate` (a merge), `structure` (manifest and runs), the
// commit lock. The threads hold the controller until `stop`, and through it all that they need, but not the store.

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

    let flushGate = Lock()
    /// Held by a merge from beginning to end.
    let mergeGate = Lock()
    let structure = Lock()
    private let manifest: ManifestWriter
    /// Changed by the controller and the garbage collector.
    var state: ManifestState
    private var busyRuns: Set<UInt64> = []
    /// Files of edits that failed for lack of space: the manifest may name them until the next edit has been written.
    var stranded: [String] = []
    /// Grows with every merge that is installed.
    private(set) var mergeCount: UInt64 = 0
    /// Grows with every settlement of counts; merges that overlap one discard what they found themselves.
    private var resolutionCount: UInt64 = 0
    private let fileIds: Atomic<UInt64>
    private let runIds: Atomic<UInt64>

    private var flushBell: Bell { logManager.sealBell }
    private let mergeBell = Bell()
    private var progressBell: Bell { logManager.progressBell }
    private let cancelled = Atomic<Bool>(false)
    private var threads: [PThread] = []
    private let counterLock = Lock()
    private var counted = BackgroundCounters()
    /// What the background did since the start.
    var counters: BackgroundCounters { counterLock.withLock { counted } }

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
        self.logManager = logManager
        fileIds = Atomic(state.nextFileId)
        runIds = Atomic(state.nextRunId)
    }

    func nextFileId() -> UInt64 { fileIds.wrappingAdd(1, ordering: .relaxed).oldValue }
    private func nextRunId() -> UInt64 { runIds.wrappingAdd(1, ordering: .relaxed).oldValue }

    private var manager: BucketManager {
        BucketManager(disk: disk, directory: directory, options: options, cache: cache, numbers: self) { [self] in
            cancelled.load(ordering: .relaxed)
        }
    }

    // MARK: Life

    func start() {
        threads.append(PThread(name: "valk-flush") { [self] in runFlushes() })
        threads.append(PThread(name: "valk-merge") { [self] in runMerges() })
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

    private var isClosing: Bool { cancelled.load(ordering: .relaxed) }

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
                if try !mergeOnce() { mergeBell.wait(after: token, milliseconds: 60_000) }
            } catch {
                if isClosing { return }
                logManager.report(.mergeFailed(error))
                // Without a manifest no merge will ever be of use.
                if case .stopped = logManager.writeState { return }
                pause()
            }
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
            let tombstones = logManager.rangeTombstones.filter { $0.sequence <= table.lastSequence }
            let result = try manager.flush(table, runId: nextRunId(), rangeTombstones: tombstones)
            try syncTables(result)
            try structure.withLock { () throws(StoreError) in
                var items: [EditItem] = result.files.map { .addTable($0.record) }
                items.append(
                    .checkpoint(Checkpoint(position: table.endPosition, sequence: table.lastSequence)))
                items.append(.durableLog(logManager.log.durable))
                for (namespace, counts) in logManager.countsAfterFlush(of: table) {
                    items.append(.counts(namespace, counts))
                }
                let known = Set(state.rangeTombstones.map(\.sequence))
                for tombstone in tombstones
                where !known.contains(tombstone.sequence) {
                    items.append(.addRangeTombstone(tombstone))
                }
                items += result.values.editItems + result.discards.editItems
                try install(items, flushed: table, added: result.files, merged: [])
            }
            counterLock.withLock {
                counted.flushes += 1
                counted.flushNanoseconds += Monotonic.nanoseconds() - begin
                counted.flushBytesWritten += UInt64(result.bytesWritten)
            }
        }
        progressBell.ring()
        mergeBell.ring()
    }

    private func syncTables(_ result: JobResult) throws(StoreError) {
        guard !result.files.isEmpty else { return }
        do { try disk.syncDirectory(directory + "/tables") } catch {
            for file in result.files { janitor.remove(file.finished.path) }
            throw StoreError(error)
        }
    }

    // MARK: Merge

    private func pickMerge() -> Range<Int>? {
        let picker = MergePicker(width: options.mergeWidth)
        return picker.pick(logManager.root.runs.map(\.bytes))
    }

    /// Runs one merge if one is due. Blocking. Returns whether it did.
    func mergeOnce() throws(StoreError) -> Bool {
        mergeGate.lock()
        defer { mergeGate.unlock() }
        structure.lock()
        let runs = logManager.root.runs
        guard let range = pickMerge() else {
            structure.unlock()
            return false
        }
        let inputs = Array(runs[range])
        let isBottom = range.upperBound == runs.count
        busyRuns = Set(inputs.map(\.id))
        structure.unlock()
        defer { structure.withLock { busyRuns = [] } }
        try mergeRuns(inputs, isBottom: isBottom)
        return true
    }

    /// Merges everything into one run. Blocking; for tools and tests.
    func mergeAll() throws(StoreError) {
        mergeGate.lock()
        defer { mergeGate.unlock() }
        let runs = structure.withLock { () -> [Run] in
            busyRuns = Set(logManager.root.runs.map(\.id))
            return logManager.root.runs
        }
        defer { structure.withLock { busyRuns = [] } }
        if runs.count > 1 || runs.contains(where: { $0.files.contains { $0.record.tombstones > 0 } }) {
            try mergeRuns(runs, isBottom: true)
        }
    }

    private func mergeRuns(_ inputs: [Run], isBottom: Bool) throws(StoreError) {
        let begin = Monotonic.nanoseconds()
        // Only what is durable may hide entries for good.
        let (tombstones, resolvedBefore) = structure.withLock { (state.rangeTombstones, resolutionCount) }
        var result = try manager.merge(inputs, runId: nextRunId(), isBottom: isBottom, rangeTombstones: tombstones)
        try syncTables(result)
        try structure.withLock { () throws(StoreError) in
            if resolutionCount != resolvedBefore {
                // Somebody settled the counts of all runs meanwhile: what this merge found is in them already.
                result.deltas = CountDeltas()
                for i in result.files.indices { result.files[i].record.unknownPriors = 0 }
            }
            var items: [EditItem] = inputs.flatMap { $0.files.map { .removeTable($0.id) } }
            items += result.files.map { .addTable($0.record) }
            items += result.discards.editItems
            for (namespace, counts) in logManager.countsAfterMerge(result.deltas) {
                items.append(.counts(namespace, counts))
            }
            try install(items, flushed: nil, added: result.files, merged: inputs, deltas: result.deltas)
            mergeCount += 1
        }
        counterLock.withLock {
            counted.merges += 1
            counted.mergeNanoseconds += Monotonic.nanoseconds() - begin
            counted.mergeBytesRead += UInt64(result.bytesRead)
            counted.mergeBytesWritten += UInt64(result.bytesWritten)
            counted.entriesDropped += UInt64(max(0, result.entriesRead - result.entriesWritten))
        }
    }

    // MARK: Install (with `structure` held)

    private func install(
        _ items: [EditItem], flushed: MemoryTable?, added: [NewFile], merged: [Run],
        deltas: CountDeltas = CountDeltas()
    ) throws(StoreError) {
        var items = items
        items.append(.nextFileId(fileIds.load(ordering: .relaxed)))
        items.append(.nextRunId(runIds.load(ordering: .relaxed)))
        var next = state
        if let fault = next.apply(VersionEdit(items: items)) {
            preconditionFailure("an edit does not fit the state it was made for: \(fault)")
        }
        // Files that a durable range deletion covers whole are dropped without reading them.
        let busy = busyRuns.subtracting(merged.map(\.id))
        var dropped: [UInt64] = []
        for (id, table) in next.tables where !busy.contains(table.runId) {
            if next.rangeTombstones.contains(where: { $0.coversAll(of: table) }) { dropped.append(id) }
        }
        var forgotten: [UInt32] = []
        var more: [EditItem] = dropped.sorted().map { .removeTable($0) }
        let gone = dropped.sorted().compactMap { next.tables[$0] }
        for id in dropped { next.tables[id] = nil }
        let debts = next.debts(for: gone)
        for case .garbage(let item) in debts { _ = next.apply(item) }
        more += debts
        for tombstone in next.rangeTombstones
        where tombstone.sequence <= next.checkpoint.sequence
            && !next.tables.values.contains(where: { tombstone.mayHide(in: $0) })
        {
            more.append(.removeRangeTombstone(tombstone.sequence))
        }
        var settled = Set<UInt64>()
        for case .removeRangeTombstone(let sequence) in more { settled.insert(sequence) }
        let shown = next.rangeTombstones
        next.rangeTombstones.removeAll { settled.contains($0.sequence) }
        // Namespaces that were deleted whole are gone for good, and so are their counts.
        for tombstone in shown where settled.contains(tombstone.sequence) {
            guard let namespace = tombstone.wholeNamespace, options.countsNamespaces else { continue }
            more.append(.counts(namespace, NamespaceCounts()))
            next.counts[namespace] = nil
            forgotten.append(namespace)
        }
        items += more
        // Opened before the edit, so that nothing can fail once the change is durable.
        let droppedIds = Set(dropped)
        let newFiles = added.filter { !droppedIds.contains($0.record.fileId) }
        let newRun: Run?
        do { newRun = newFiles.isEmpty ? nil : try openRun(newFiles) } catch {
            for file in added { janitor.remove(file.finished.path) }
            throw error
        }
        do { try appendEdit(items) } catch {
            stranded += added.map(\.finished.path)
            throw error
        }
        for path in stranded { janitor.remove(path) }
        stranded = []
        let old = state
        state = next

        let mergedIds = Set(merged.map(\.id))
        var runs: [Run] = []
        if flushed != nil, let newRun { runs.append(newRun) }
        var placed = flushed != nil
        for run in logManager.root.runs {
            if mergedIds.contains(run.id) {
                if !placed, let newRun { runs.append(newRun) }
                placed = true
                continue
            }
            let kept = run.files.filter { !droppedIds.contains($0.id) }
            if kept.count == run.files.count {
                runs.append(run)
            } else if !kept.isEmpty {
                runs.append(Run(id: run.id, files: kept))
            }
        }
        for run in logManager.root.runs {
            for file in run.files where mergedIds.contains(run.id) || droppedIds.contains(file.id) {
                if !next.owes(file.id) { file.markObsolete() }
            }
        }
        for id in droppedIds where !next.owes(id) && added.contains(where: { $0.record.fileId == id }) {
            janitor.remove(BucketManager.path(directory, id))
        }
        let settledTombstones = Set(old.rangeTombstones.map(\.sequence)).subtracting(
            next.rangeTombstones.map(\.sequence))
        logManager.publish(
            root: Bucket(id: Bucket.rootId, runs: runs), flushed: flushed, deltas: deltas,
            removedTombstones: settledTombstones, forgottenNamespaces: forgotten)
        state.showDiscards(of: items, from: logManager.generation)
    }

    /// Makes an edit durable that changes nothing that readers see, and applies it. With `structure` held.
    func note(_ items: [EditItem]) throws(StoreError) {
        try appendEdit(items)
        for path in stranded { janitor.remove(path) }
        stranded = []
        if let fault = state.apply(VersionEdit(items: items)) { preconditionFailure(fault) }
        state.showDiscards(of: items, from: 0)
    }

    /// Makes an edit durable. For lack of space it may be tried again; after any other failure nothing is written any
    /// more.
    func appendEdit(_ items: [EditItem]) throws(StoreError) {
        do { try manifest.append(VersionEdit(items: items), state: state) } catch {
            if error.kind != .noSpace { logManager.stopWrites(error) }
            throw error
        }
    }

    private func openRun(_ files: [NewFile]) throws(StoreError) -> Run {
        var opened: [TableFile] = []
        for file in files { opened.append(try openFile(file.record, file.finished)) }
        return Run(id: files[0].record.runId, files: opened)
    }

    private func openFile(_ record: TableRecordItem, _ finished: FinishedTable?) throws(StoreError) -> TableFile {
        try TableFile.open(
            record, disk: disk, directory: directory, cache: cache, segments: segments, janitor: janitor, warm: finished
        )
    }

    /// Marks runs as resolved, durably. With `structure` held by the caller.
    func markResolved(_ runs: [Run], counts: [(UInt32, NamespaceCounts)]) throws(StoreError) {
        resolutionCount += 1
        var items: [EditItem] = counts.map { .counts($0.0, $0.1) }
        for run in runs {
            for file in run.files where state.tables[file.id] != nil && !file.countsResolved {
                items.append(.resolveTable(file.id))
            }
        }
        try appendEdit(items)
        if let fault = state.apply(VersionEdit(items: items)) { preconditionFailure(fault) }
        for run in runs { for file in run.files { file.markResolved() } }
    }
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
}

extension RangeTombstone {
    /// The namespace whose keys this deletes, all of them and nothing else; nil for other ranges.
    var wholeNamespace: UInt32? {
        guard lower.count == 4, upper.count == 4 else { return nil }
        let first = lower.withView { $0.base.bigEndian(0, UInt32.self) }
        let next = upper.withView { $0.base.bigEndian(0, UInt32.self) }
        return next == first &+ 1 ? first : nil
    }

    /// Whether nothing in the table outlives this range deletion.
    func coversAll(of table: TableRecordItem) -> Bool {
        table.sequenceMax < sequence && table.smallest.withView { covers($0) } && table.largest.withView { covers($0) }
    }

    /// Whether the table may hold entries that this range deletion hides.
    func mayHide(in table: TableRecordItem) -> Bool {
        if table.sequenceMin >= sequence { return false }
        let startsAfter = table.smallest.withView { s in upper.withView { s.compare($0) >= 0 } }
        let endsBefore = table.largest.withView { l in lower.withView { l.compare($0) < 0 } }
        return !startsAfter && !endsBefore
    }
}
