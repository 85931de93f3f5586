// Opening a store: lock the directory, read the manifest, replay the log, and go on in a new segment. Table files are
// opened when they are first needed: a start takes as long as manifest and log do, however many tables there are.
//
// Order of what is written, so that a crash at any point leaves a store that opens: directories and LOCK; for a new
// store a manifest and CURRENT before the first segment; for an old one nothing at all until the log has been read,
// then a fresh manifest that says the same as the old one. Orphan files are removed last.

import CValk
import ValkBase
import ValkDisk

extension Store {
    /// Opens the store in `options.path`, or makes a new one there. Throws `.inUse` when another process has it,
    /// `.corruption` with file and offset, `.newerFormat`, `.disk`. `report` hears of faults from then on.
    package static func open(
        _ options: StoreOptions, disk: any Disk, report: @escaping @Sendable (StoreEvent) -> Void = { _ in }
    ) throws(StoreError) -> Store {
        let begin = Monotonic.nanoseconds()
        try check(options)
        let directory = options.path
        let lockFile: any DiskLock
        do {
            try disk.createDirectory(directory)
            lockFile = try disk.lock(directory + "/LOCK")
            try disk.createDirectory(directory + "/tables")
            try disk.createDirectory(directory + "/log")
            try disk.syncDirectory(directory)
        } catch {
            throw StoreError(error)
        }
        do throws(StoreError) {
            let opener = Opener(options: options, disk: disk, report: report)
            let store = try opener.open(lockFile, begin)
            if options.usesThreads {
                store.controller.start()
                store.scrubber.start()
                store.opener.start()
                store.collector.start()
            }
            return store
        } catch {
            lockFile.release()
            throw error
        }
    }

    private static func check(_ options: StoreOptions) throws(StoreError) {
        func require(_ holds: Bool, _ what: String) throws(StoreError) {
            if !holds { throw StoreError(.invalid, "\(what) is out of range") }
        }
        try require(options.tableBytes >= 1 << 12 && options.tableBytes <= 1 << 30, "table size")
        try require(options.segmentBytes >= 64 << 10 && options.segmentBytes <= 1 << 30, "segment size")
        try require(options.blockBytes >= 64 && options.blockBytes <= 1 << 20, "block size")
        try require(options.mergeWidth >= 2 && options.mergeWidth <= 16, "merge width")
        try require(min(options.pushBytes, options.leafBytes, options.jobBytes) >= 4096, "size of a bucket's parts")
        try require(options.fanOut >= 3 && options.fanOut <= 64, "fan-out")
        try require(options.valueSeparationThreshold >= 16, "value separation threshold")
        try require(options.spaceTarget >= 1.05 && options.spaceTarget <= 10, "space target")
        try require(options.rangeDeletionsMax >= 16, "range deletions")
        if let interest = options.mergeFilter?.interest, options.countsNamespaces {
            precondition(
                interest.offset == 4 && interest.byte != CountedKey.space,
                "a filter for byte \(interest.byte) at \(interest.offset) would meet keys that are counted")
        }
        try require(options.filterBitsPerKey >= 0 && options.filterBitsPerKey <= 32, "filter bits per key")
    }
}

private struct Opener {
    let options: StoreOptions
    let disk: any Disk
    let report: @Sendable (StoreEvent) -> Void

    func open(_ lockFile: any DiskLock, _ begin: UInt64) throws(StoreError) -> Store {
        let directory = options.path
        var recovery = RecoveryReport()
        let loaded = try ManifestReader.load(disk, directory)
        var state = ManifestState()
        if let loaded {
            state = loaded.state
            recovery.manifestTornBytes = loaded.tornBytes
            guard state.identity.countsNamespaces == options.countsNamespaces else {
                throw StoreError(
                    .invalid,
                    "the store was made \(state.identity.countsNamespaces ? "by the server" : "by a library")"
                        + " and cannot be opened as the other", path: directory)
            }
        } else {
            recovery.isNew = true
            let id = StoreId.random()
            state.identity = StoreIdentity(
                idHigh: id.high, idLow: id.low, fanOut: UInt32(options.fanOut),
                countsNamespaces: options.countsNamespaces)
            let leftovers = try LogReplay.segments(disk: disk, directory: directory + "/log")
            guard leftovers.isEmpty else {
                throw StoreError(.corruption, "there is a log but no CURRENT manifest", path: directory)
            }
            // The name of a new store's directory must last as long as what is in it.
            do { try disk.syncDirectory(parentDirectory(of: directory)) } catch { throw StoreError(error) }
        }
        let storeId = StoreId(high: state.identity.idHigh, low: state.identity.idLow)
        let pool = ChunkPool(idleChunksMax: options.tableBytes / ChunkPool.chunkBytes + 4)
        let cacheBytes = max(options.memoryBytes - 2 * options.tableBytes, options.memoryBytes / 4, 4 << 20)
        let cache = BlockCache(budgetBytes: cacheBytes)
        let janitor = Janitor(disk: disk, usesThread: options.usesThreads)
        let segments = SegmentRegistry(janitor: janitor)
        do throws(StoreError) {
            let root = try openTree(state, cache, segments, janitor)
            recovery.tables = state.tables.count

            let replayed = MemoryTable(
                pool: pool, startPosition: state.checkpoint.position, tableBytes: options.tableBytes)
            let replay = try replayLog(into: replayed, storeId, state)
            let ranges = RangeDeletions(state.rangeTombstones + replayed.rangeTombstones)
            recovery.replayedRecords = replay.records
            recovery.replayedBytes = replay.bytes
            recovery.tornTail = replay.tornTail?.description
            for segment in replay.resume.segments where segment.number >= state.checkpoint.position.segment {
                replayed.segmentHolds.append(segments.hold(segment.number))
            }

            let manifest = try ManifestWriter(
                disk, directory, number: (loaded?.number ?? 0) + 1, state: state,
                rollBytes: options.manifestRollBytes)
            let log = try openLog(storeId, replay.resume)
            for (segment, known) in state.garbage where known.known != nil { log.files.markPunched(segment) }
            janitor.start { [log] segment in log.retire(segment) }
            recovery.orphansRemoved = removeOrphans(state, manifest.number)
            recovery.missingTables = reportMissing(state)
            for segment in replay.resume.segments where !segments.isHeld(segment.number) { log.retire(segment.number) }

            let lastSequence = max(replay.lastSequence, state.checkpoint.sequence)
            var active = replayed
            var sealed: [MemoryTable] = []
            if replayed.sorted.usedBytes > options.tableBytes / 2 {
                replayed.endPosition = log.replayPosition
                replayed.lastSequence = lastSequence
                replayed.rangesWhenSealed = ranges
                sealed = [replayed]
                active = MemoryTable(
                    pool: pool, startPosition: log.replayPosition, tableBytes: options.tableBytes)
                active.segmentHolds = [segments.hold(log.replayPosition.segment)]
            }
            var base = CountDeltas()
            for (namespace, counts) in state.counts { base.withCounts(namespace) { $0 = counts } }
            recovery.milliseconds = Double(Monotonic.nanoseconds() - begin) / 1e6
            let view = View(
                active: active, sealed: sealed, root: root, rangeDeletions: ranges)
            let logManager = LogManager(
                options: options, log: log, pool: pool, segments: segments, view: view, lastSequence: lastSequence,
                baseCounts: base, report: report)
            let controller = BucketController(
                disk: disk, options: options, cache: cache, janitor: janitor, segments: segments, manifest: manifest,
                state: state, logManager: logManager)
            return Store(
                options: options, disk: disk, cache: cache, janitor: janitor, logManager: logManager,
                controller: controller, lockFile: lockFile, recovery: recovery)
        } catch {
            janitor.close()
            throw error
        }
    }

    private func openTree(
        _ state: ManifestState, _ cache: BlockCache, _ segments: SegmentRegistry, _ janitor: Janitor
    ) throws(StoreError) -> Bucket {
        try Bucket.load(state, path: options.path) { record in
            TableFile.named(
                record, disk: disk, directory: options.path, cache: cache, segments: segments, janitor: janitor)
        }
    }

    private func replayLog(
        into table: MemoryTable, _ storeId: StoreId, _ state: ManifestState
    ) throws(StoreError) -> LogReplay.Report {
        let counting = options.countsNamespaces
        var ranges = RangeDeletions(state.rangeTombstones)
        let result = try LogReplay.run(
            disk: disk, directory: options.path + "/log", storeId: storeId, from: state.checkpoint.position,
            after: state.checkpoint.sequence, floor: state.durableLog, generations: state.generations
        ) { (record: LogRecord) throws(StoreError) in
            if record.type == .deleteRange {
                let tombstone = RangeTombstone(
                    lower: record.key.array, upper: record.value.array, sequence: record.sequence)
                table.rangeTombstones.append(tombstone)
                ranges = ranges.adding(tombstone)
                if let (lower, upper) = tombstone.namespaces { table.weights.forget(lower, upper) }
                return
            }
            let kind: EntryKind = record.type == .put ? .put : .delete
            var flags = record.flags
            if record.pointer != nil { flags.insert(.separated) } else { flags.remove(.separated) }
            let older = table.sorted.insert(
                key: record.key, sequence: record.sequence, kind: kind, flags: flags, tag: record.tag,
                expireAt: record.expireAt, value: record.value, pointer: record.pointer ?? .none)
            if counting {
                let isDeleted = older.map { ranges.sequence(over: record.key) > $0.sequence } ?? false
                table.count(record.key, kind, flags, record.expireAt, older, olderIsDeleted: isDeleted)
                table.weights.add(
                    record.key, kind, flags, valueBytes: record.pointer.map { Int($0.length) } ?? record.value.count,
                    older: isDeleted ? nil : older)
            }
        }
        if table.sorted.entryCount > 0 { table.firstWriteTime = Monotonic.nanoseconds() }
        table.logBytes = result.bytes
        return result
    }

    private func openLog(_ storeId: StoreId, _ resume: LogResume) throws(StoreError) -> ValueLog {
        var logOptions = LogOptions()
        logOptions.segmentBytes = options.segmentBytes
        logOptions.policy = options.syncPolicy
        logOptions.usesThreads = options.usesThreads
        return try ValueLog(
            disk: disk, directory: options.path + "/log", storeId: storeId, options: logOptions, resume: resume,
            report: { [report] event in report(.log(event)) })
    }

    /// Names the table files that the manifest knows and the directory does not have: their keys answer with errors,
    /// all others are served. Returns how many. By a look at the directory; nothing is opened.
    private func reportMissing(_ state: ManifestState) -> Int {
        do {
            let present = Set(try disk.list(options.path + "/tables"))
            let missing = state.tables.keys.sorted().filter { !present.contains(BucketManager.name($0)) }
            for id in missing {
                let path = BucketManager.path(options.path, id)
                report(.log(.damaged(StoreError(.corruption, "a table file is missing", path: path))))
            }
            return missing.count
        } catch {
            report(.log(.note(StoreError(error))))
            return 0
        }
    }

    /// Removes files that no manifest names: left by jobs that a crash cut short. Returns how many.
    private func removeOrphans(_ state: ManifestState, _ manifestNumber: UInt64) -> Int {
        var removed = 0
        func remove(_ path: String) {
            do {
                try disk.remove(path)
                removed += 1
            } catch {
                report(.log(.note(StoreError(error))))
            }
        }
        do {
            let named = Set((Array(state.tables.keys) + state.owed.map(\.fileId)).map { BucketManager.name($0) })
            for name in try disk.list(options.path + "/tables") where !named.contains(name) {
                remove(options.path + "/tables/" + name)
            }
            let generations = state.generations
            for name in try disk.list(options.path + "/log") {
                // A rewrite that was cut short, or what one replaced.
                guard let (segment, generation) = LogFormat.parseSegmentName(name) else { continue }
                if generation != generations[segment] ?? 0 { remove(options.path + "/log/" + name) }
            }
            for name in try disk.list(options.path) {
                if let number = ManifestFormat.number(of: name), number != manifestNumber {
                    remove(options.path + "/" + name)
                }
            }
        } catch {
            report(.log(.note(StoreError(error))))
        }
        return removed
    }
}
