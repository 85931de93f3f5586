// The work on one bucket: taking in a sealed table as a new run (flush), merging runs. Later: pushing to children,
// splits.
//
// A job reads immutable inputs, writes new table files, and returns what changed; it shows nothing to readers and
// removes nothing. The Bucket Controller publishes. Jobs run on background threads and may wait for the disk. A job
// that fails leaves nothing behind but files that nobody names; it removes those itself.

import ValkBase
import ValkDisk

/// A table file that a job wrote.
struct NewFile {
    var record: TableRecordItem
    /// What the writer left in the cache.
    let finished: FinishedTable
}

/// What a job made.
struct JobResult {
    /// The new run's files, by key; empty when nothing was left.
    var files: [NewFile] = []
    /// What was learned of blind writes on the way.
    var deltas = CountDeltas()
    var bytesRead = 0
    var bytesWritten = 0
    var entriesRead = 0
    var entriesWritten = 0
}

/// Numbers for new files; handed out by the controller.
protocol FileNumbers: AnyObject {
    func nextFileId() -> UInt64
}

struct BucketManager {
    let disk: any Disk
    let directory: String
    let options: StoreOptions
    let cache: BlockCache
    let numbers: any FileNumbers
    /// Set when the store is closing: long jobs give up at the next file border.
    let isCancelled: @Sendable () -> Bool

    static func path(_ directory: String, _ id: UInt64) -> String {
        directory + "/tables/" + hexadecimal(id, digits: 16) + ".vsst"
    }

    // MARK: Jobs

    /// Writes a sealed table as one run. Keeps the newest version of each key: views keep older ones in memory.
    func flush(_ table: MemoryTable, runId: UInt64, rangeTombstones: [RangeTombstone]) throws(StoreError) -> JobResult {
        var result = JobResult()
        var output = RunOutput(self, runId: runId, warms: true)
        let cursor = SortedTableCursor(table.sorted, maxSequence: UInt64.max, allVersions: true)
        do {
            cursor.seekToFirst()
            var key = ByteBuffer(capacity: 256)
            while cursor.isValid {
                var newest = cursor.entry
                key.removeAll()
                key.append(newest.key)
                result.entriesRead += 1
                // Inside one table the priors of all but the oldest version are known and counted.
                var oldest = newest.flags
                cursor.next()
                while cursor.isValid, cursor.entry.key == key.view {
                    oldest = cursor.entry.flags
                    result.entriesRead += 1
                    cursor.next()
                }
                if hides(rangeTombstones, newest) { continue }
                newest.flags.remove(.priorUnknown)
                if oldest.contains(.priorUnknown) && options.countsNamespaces
                    && CountedKey.namespace(newest.key) != nil
                {
                    newest.flags.insert(.priorUnknown)
                }
                try output.add(newest)
            }
            try output.finish(&result)
        } catch {
            output.abandon()
            throw error
        }
        return result
    }

    /// Merges neighbouring runs (newest first) into one. `isBottom`: no older run exists, so deletes have done their
    /// work.
    func merge(
        _ runs: [Run], runId: UInt64, isBottom: Bool, rangeTombstones: [RangeTombstone]
    ) throws(StoreError) -> JobResult {
        var result = JobResult()
        result.bytesRead = runs.reduce(0) { $0 + $1.bytes }
        var output = RunOutput(self, runId: runId, warms: false)
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let merged = MergeCursor(runs.map { RunCursor($0, pins, access: .merge, mayBlock: true) })
        defer { merged.clear() }
        let resolvedUpTo = runs.map { run in (run, run.files.allSatisfy(\.countsResolved)) }
        do {
            try reading { () throws(Interruption) in try merged.seekToFirst() }
            var key = ByteBuffer(capacity: 256)
            var value = ByteBuffer(capacity: 4096)
            while merged.isValid {
                // The newest version is copied: the cursor moves on before it is written.
                var newest = merged.entry
                key.removeAll()
                key.append(newest.key)
                value.removeAll()
                value.append(newest.value)
                newest.key = key.view
                newest.value = value.view
                var chain = VersionChain()
                var isHidden = false
                repeat {
                    let entry = merged.entry
                    result.entriesRead += 1
                    isHidden = isHidden || hides(rangeTombstones, entry)
                    if options.countsNamespaces && !isHidden {
                        let isResolved = resolvedUpTo.contains { $0.1 && $0.0.covers(entry.sequence) }
                        chain.take(entry, isResolved: isResolved, deltas: &result.deltas)
                    }
                    try reading { () throws(Interruption) in try merged.next() }
                } while merged.isValid && merged.entry.key == key.view
                let isOpen = chain.finish(isBottom: isBottom || isHidden, deltas: &result.deltas)
                if hides(rangeTombstones, newest) { continue }
                if newest.kind == .delete && isBottom { continue }
                newest.flags.remove(.priorUnknown)
                if isOpen { newest.flags.insert(.priorUnknown) }
                try output.add(newest)
            }
            try output.finish(&result)
        } catch {
            output.abandon()
            throw error
        }
        return result
    }

    private func hides(_ tombstones: [RangeTombstone], _ entry: Entry) -> Bool {
        for tombstone in tombstones where tombstone.sequence > entry.sequence && tombstone.covers(entry.key) {
            return true
        }
        return false
    }

    private func reading(_ body: () throws(Interruption) -> Void) throws(StoreError) {
        do { try body() } catch {
            throw StoreError(
                error == .damaged ? .corruption : .disk, "a table could not be read during a merge (\(error))")
        }
    }
}

/// The files of a run that is being written: a new one is begun when the last has reached its size.
struct RunOutput {
    private let manager: BucketManager
    private let runId: UInt64
    private let warms: Bool
    private var writer: TableWriter?
    private var fileId: UInt64 = 0
    private var written: [NewFile] = []
    private var entries = 0
    private var lastNamespace: UInt32 = 0

    init(_ manager: BucketManager, runId: UInt64, warms: Bool) {
        self.manager = manager
        self.runId = runId
        self.warms = warms
    }

    mutating func add(_ entry: Entry) throws(StoreError) {
        // Files do not span namespaces, so that dropping a namespace drops whole files.
        let namespace =
            manager.options.countsNamespaces && entry.key.count >= 4 ? entry.key.base.bigEndian(0, UInt32.self) : 0
        if let writer, writer.estimatedFileBytes >= manager.options.tableFileBytes || namespace != lastNamespace {
            try close(writer)
            if manager.isCancelled() { throw StoreError(.invalid, "the store is closing") }
        }
        lastNamespace = namespace
        let target: TableWriter
        if let writer {
            target = writer
        } else {
            fileId = manager.numbers.nextFileId()
            target = try TableWriter(
                disk: manager.disk, path: BucketManager.path(manager.directory, fileId), fileId: fileId,
                options: TableOptions(manager.options), cache: warms ? manager.cache : nil)
            writer = target
        }
        try target.add(entry)
        entries += 1
    }

    private mutating func close(_ writer: TableWriter) throws(StoreError) {
        let finished = try writer.finish()
        written.append(NewFile(record: TableRecordItem(finished, runId: runId), finished: finished))
        self.writer = nil
    }

    mutating func finish(_ result: inout JobResult) throws(StoreError) {
        if let writer { try close(writer) }
        result.files = written
        result.entriesWritten = entries
        result.bytesWritten = written.reduce(0) { $0 + $1.finished.fileBytes }
    }

    /// Removes what was written.
    mutating func abandon() {
        if let writer {
            writer.abandon()
            remove(BucketManager.path(manager.directory, fileId))
        }
        writer = nil
        for file in written { remove(file.finished.path) }
        written = []
    }

    private func remove(_ path: String) {
        // What cannot be removed now is an orphan that the next start removes.
        do { try manager.disk.remove(path) } catch { return }
    }
}

extension TableRecordItem {
    init(_ finished: FinishedTable, runId: UInt64) {
        let properties = finished.properties
        self.init(
            fileId: finished.fileId, runId: runId, bucketId: Bucket.rootId, slot: 0,
            bytes: UInt64(finished.fileBytes), entries: properties.entryCount,
            tombstones: properties.tombstoneCount, unknownPriors: properties.unknownPriorCount,
            sequenceMin: properties.sequenceMin, sequenceMax: properties.sequenceMax,
            expireAtMin: properties.expireAtMin, expireAtMax: properties.expireAtMax,
            smallest: properties.smallestKey, largest: properties.largestKey,
            segments: properties.segments.map {
                SegmentShare(segment: $0.segment, bytes: $0.bytes, count: $0.count)
            })
    }
}

extension TableOptions {
    init(_ options: StoreOptions) {
        self.init()
        blockBytes = options.blockBytes
        filterBitsPerKey = options.filterBitsPerKey
    }
}
