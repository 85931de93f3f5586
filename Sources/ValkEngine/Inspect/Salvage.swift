// Brings everything that can be read out of a damaged store into a new one. The damaged one is only read.
//
// All versions that are found, in table files and in the log, are merged by key; the newest one of each key counts,
// with the range deletions that are known. Without a manifest every table file and the whole log are taken. A part that
// cannot be read is passed over and reported: a table, a block with its range of keys, a value, a stretch of the log.
// Where a block or a part of the log is lost, an older version of a key may come back, since nothing says that there
// was a newer one.
//
// The log's records lie in memory meanwhile (not the separated values): with a manifest those behind the checkpoint,
// without one all.

import ValkBase
import ValkDisk

package struct SalvageReport: Sendable {
    package fileprivate(set) var lost: [Finding] = []
    /// All of them; `lost` has the first `VerificationReport.findingsMax`.
    package fileprivate(set) var lostCount = 0
    package fileprivate(set) var keys = 0
    package fileprivate(set) var tables = 0
    package fileprivate(set) var logRecords = 0
    package fileprivate(set) var hasManifest = false

    fileprivate mutating func lose(_ message: String, _ path: String, _ offset: Int = -1) {
        lostCount += 1
        guard lost.count < VerificationReport.findingsMax else { return }
        lost.append(Finding(severity: .error, path: path, offset: offset, message: message))
    }
}

package final class Salvage {
    private let source: any Disk
    private let folder: StoreFolder
    private let cache = BlockCache(budgetBytes: 16 << 20)
    private let values: ValueCheck
    private let logTable: SortedTable
    private var tombstones: [RangeTombstone] = []
    private var checkpoint = Checkpoint()
    private var storeId: StoreId?
    /// The manifest knows that the log was durable up to here.
    private var durableLog = LogPosition.zero
    /// End of the last whole frame read.
    private var logEnd = LogPosition.zero
    private var report = SalvageReport()

    /// Bytes of values after which a batch is committed.
    private static let batchBytes = 1 << 20

    /// Makes the new store `target` (missing or empty) from what can be read in `directory`; the caller holds its lock.
    /// `isServerStore` is asked for when no manifest tells. Throws `.invalid` when there is no store or the target is
    /// taken, and what writing the new store throws; `.newerFormat` for the manifest.
    package static func run(
        disk: any Disk, directory: String, to target: String, isServerStore: Bool = true
    ) throws(StoreError) -> SalvageReport {
        try BackupWriter.check(disk, target, source: directory)
        let salvage = try Salvage(ReadOnlyDisk(disk), directory)
        let state = try salvage.readManifest()
        var options = StoreOptions(path: target)
        options.countsNamespaces = state?.identity.countsNamespaces ?? isServerStore
        options.usesThreads = false
        let store = try Store.open(options, disk: disk)
        do throws(StoreError) {
            try salvage.readLog()
            try salvage.write(salvage.tables(state), to: store)
            try store.flushTables()
        } catch {
            do throws(StoreError) { try store.close() } catch { throw error }
            throw error
        }
        try store.close()
        return salvage.report
    }

    private init(_ source: any Disk, _ directory: String) throws(StoreError) {
        self.source = source
        folder = try StoreFolder(disk: source, directory: directory)
        guard folder.isStore else { throw StoreError(.invalid, "there is no store in \(directory)") }
        values = ValueCheck(disk: source, folder: folder)
        logTable = SortedTable(pool: ChunkPool(idleChunksMax: 4))
    }

    // MARK: Reading

    private func readManifest() throws(StoreError) -> ManifestState? {
        do throws(StoreError) {
            guard let loaded = try ManifestReader.load(source, folder.directory) else {
                report.lose("missing: every table and the whole log are read", folder.directory + "/CURRENT")
                return nil
            }
            report.hasManifest = true
            checkpoint = loaded.state.checkpoint
            durableLog = loaded.state.durableLog
            if loaded.tornBytes > 0 {
                let path = folder.directory + "/" + ManifestFormat.name(loaded.number)
                report.lose("\(loaded.tornBytes) bytes at the manifest's end are no whole edit", path)
            }
            tombstones = loaded.state.rangeTombstones
            storeId = StoreId(high: loaded.state.identity.idHigh, low: loaded.state.identity.idLow)
            return loaded.state
        } catch {
            if error.kind == .newerFormat { throw error }
            report.lose("\(error.message): every table and the whole log are read", error.path, error.offset)
            return nil
        }
    }

    /// A table, and the keys for which it counts: runs may house parts of a file, and what lies outside is out of date.
    private struct Source {
        var reader: Table
        var ranges: [KeyRange]
    }

    private func tables(_ state: ManifestState?) -> [Source] {
        let ids = state.map { $0.tables.keys.sorted() } ?? folder.tables.map(\.id)
        var tables: [Source] = []
        var ranges: [UInt64: [KeyRange]] = [:]
        for fragment in state?.fragments.sorted() ?? [] {
            ranges[fragment.file, default: []].append(KeyRange(lower: fragment.lower, upper: fragment.upper))
        }
        for id in ids {
            let path = BucketManager.path(folder.directory, id)
            do throws(StoreError) {
                let table = try Table.open(disk: source, path: path, fileId: id, cache: cache)
                tables.append(Source(reader: table, ranges: state == nil ? [.all] : ranges[id] ?? []))
                report.tables += 1
            } catch {
                let known = state?.tables[id].map { record in
                    ": \(record.entries) entries from \(Table.printable(record.smallest)) to "
                        + Table.printable(record.largest)
                }
                report.lose("the whole table, \(error.message)\(known ?? "")", path, error.offset)
            }
        }
        return tables
    }

    private func readLog() throws(StoreError) {
        for segment in folder.segments where segment.number >= checkpoint.position.segment {
            let path = folder.path(segment)
            do throws(StoreError) {
                try read(segment, path)
            } catch {
                report.lose("the rest of the segment, \(error.message)", path, error.offset)
            }
        }
        if logEnd < durableLog && checkpoint.position < durableLog {
            report.lose(
                "the log's end: it was durable up to \(durableLog) and is read up to \(logEnd)", folder.logDirectory)
        }
    }

    /// Every whole frame, also behind damage.
    private func read(_ segment: (number: UInt32, generation: UInt32), _ path: String) throws(StoreError) {
        let header = try SegmentWalk(
            disk: source, directory: folder.logDirectory, segment: segment, storeId: storeId)
        let reader = try SegmentReader(
            disk: source, directory: folder.logDirectory, segment: segment.number, generation: segment.generation,
            storeId: header.summary.storeId)
        var at = LogFormat.segmentHeaderBytes
        while true {
            switch try reader.frame(at: at) {
            case .frame(let header, let bytes):
                if header.previousEnd > logEnd && logEnd != .zero && at == LogFormat.segmentHeaderBytes {
                    report.lose("the log from \(logEnd) to \(header.previousEnd)", path, at)
                }
                logEnd = header.end
                var records = FrameRecords(bytes, header, verifiesValues: false)
                while let record = records.next() { take(record, header) }
                at += Int(header.frameBytes)
                continue
            case .broken(let header, let inside, let reason):
                if try readBroken(reader, header, at) {
                    logEnd = header.end
                    at += Int(header.frameBytes)
                    continue
                }
                report.lose("a frame of the log: \(reason)", path, at + inside)
            case .nothing: break
            }
            guard let next = try reader.nextHeader(from: at + 8) else { return }
            let found = Int(next.position.offset)
            if case .nothing = try reader.frame(at: at) { report.lose("\(found - at) bytes of the log", path, at) }
            at = found
        }
    }

    /// Takes the records of a frame in which only value records are damaged. Each of those is told of: the damage may
    /// be in its key, and then nobody will ever want the value under that name.
    private func readBroken(
        _ reader: SegmentReader, _ header: FrameHeader, _ at: Int
    ) throws(StoreError) -> Bool {
        let start = LogFormat.frameHeaderBytes + header.valueBytes
        guard let bytes = try reader.bytes(at: at, count: Int(header.frameBytes)),
            bytes[start..<start + Int(header.smallBytes)].crc32c == header.smallCRC
        else { return false }
        var records = FrameRecords(bytes, header, verifiesValues: false)
        while let record = records.next() {
            if let pointer = record.pointer {
                let offset = Int(pointer.offset) - at
                let size = LogFormat.valueHeaderBytes + record.key.count + Int(pointer.length)
                if offset < 0 || offset + size > bytes.count
                    || bytes[offset + 4..<offset + size].crc32c != pointer.crc
                {
                    report.lose(
                        "a value, of key \(Table.printable(record.key.array)) as far as can be read", reader.path,
                        Int(pointer.offset))
                }
            }
            take(record, header)
        }
        if let fault = records.fault { report.lose("the rest of a frame: \(fault)", reader.path, at) }
        return true
    }

    private func take(_ record: LogRecord, _ header: FrameHeader) {
        guard record.sequence > checkpoint.sequence else { return }
        report.logRecords += 1
        if record.type == .deleteRange {
            tombstones.append(
                RangeTombstone(lower: record.key.array, upper: record.value.array, sequence: record.sequence))
            return
        }
        var flags = record.flags
        if record.pointer != nil { flags.insert(.separated) } else { flags.remove(.separated) }
        _ = logTable.insert(
            key: record.key, sequence: record.sequence, kind: record.type == .put ? .put : .delete, flags: flags,
            tag: record.tag, expireAt: record.expireAt, value: record.value, pointer: record.pointer ?? .none)
    }

    // MARK: Writing

    private func write(_ tables: [Source], to store: Store) throws(StoreError) {
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        var sources: [EntryCursor] = [SortedTableCursor(logTable, maxSequence: UInt64.max)]
        for table in tables {
            sources.append(
                SalvageCursor(table.reader, table.ranges, pins) { [self] message, offset in
                    report.lose(message, table.reader.path, offset)
                })
        }
        let merged = MergeCursor(sources)
        defer { merged.clear() }
        var kept: [[UInt8]] = []
        var bytes = 0
        let batch = WriteBatch()
        do {
            try merged.seekToFirst()
            var last: [UInt8] = []
            while merged.isValid {
                let entry = merged.entry
                if report.keys + kept.count == 0 && last.isEmpty || entry.key.array != last {
                    last = entry.key.array
                    if let value = value(entry) {
                        entry.key.array.withView { key in
                            value.withView {
                                batch.put(key, tag: entry.tag, expireAt: entry.expireAt, value: $0, prior: .absent)
                            }
                        }
                        // Large values are only referenced by the batch.
                        kept.append(value)
                        bytes += value.count + last.count
                    }
                }
                try merged.next()
                if bytes >= Salvage.batchBytes {
                    try commit(batch, store)
                    report.keys += kept.count
                    kept = []
                    bytes = 0
                }
            }
            if !kept.isEmpty { try commit(batch, store) }
            report.keys += kept.count
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(.corruption, "reading ended (\(error))", path: folder.directory)
        }
    }

    /// Nil: a delete, a hidden version, or one whose value is lost.
    private func value(_ entry: Entry) -> [UInt8]? {
        guard entry.kind == .put,
            !tombstones.contains(where: { $0.sequence > entry.sequence && $0.covers(entry.key) })
        else { return nil }
        guard entry.isSeparated else { return entry.value.array }
        if let value = values.value(entry) { return value }
        report.lose(
            "the value of key \(Table.printable(entry.key.array)): \(values.problem(entry) ?? "cannot be read")",
            values.path(entry.pointer.segment), Int(entry.pointer.offset))
        return nil
    }

    private func commit(_ batch: WriteBatch, _ store: Store) throws(StoreError) {
        defer { batch.clear() }
        do throws(Interruption) {
            _ = try store.flushLog(try store.commit(batch, mayBlock: true))
        } catch {
            throw error == .noSpace
                ? StoreError(.noSpace, "no space left for the new store", path: store.options.path) : store.stopError
        }
        try store.flushTablesIfSealed()
    }
}

extension Store {
    /// Without threads nobody else does it.
    fileprivate func flushTablesIfSealed() throws(StoreError) {
        while logManager.oldestSealed() != nil { try controller.flushOldest() }
        while try controller.mergeOnce() {}
    }
}

/// A table's entries, forward only; blocks that cannot be read are told of and passed over.
private final class SalvageCursor: EntryCursor {
    private let cursor: TableCursor
    private let table: Table
    /// Entries outside of these are passed over.
    private let ranges: [KeyRange]
    private let lose: (String, Int) -> Void
    private var told: Set<Int> = []

    init(
        _ table: Table, _ ranges: [KeyRange], _ pins: UnsafeMutablePointer<BlockPins>,
        lose: @escaping (String, Int) -> Void
    ) {
        cursor = TableCursor(table, pins, access: .merge, mayBlock: true)
        self.table = table
        self.ranges = ranges
        self.lose = lose
        super.init()
    }

    override func seekToFirst() throws(Interruption) {
        move(from: 0) { () throws(Interruption) in try cursor.seekToFirst() }
    }

    override func seek(_ key: ByteView) throws(Interruption) {
        move(from: table.index.lowerBound(key)) { () throws(Interruption) in try cursor.seek(key) }
    }

    override func next() throws(Interruption) {
        // The cursor's block, or the one after it.
        move(from: cursor.currentBlock) { () throws(Interruption) in try cursor.next() }
    }

    private func move(from first: Int, _ body: () throws(Interruption) -> Void) {
        step(from: first, body)
        if ranges == [.all] { return }
        while let position {
            let key = position.pointee.key.array
            if ranges.contains(where: { $0.contains(key) }) { return }
            step(from: cursor.currentBlock) { () throws(Interruption) in try cursor.next() }
        }
    }

    private func step(from first: Int, _ body: () throws(Interruption) -> Void) {
        do throws(Interruption) {
            try body()
            position = cursor.position
        } catch {
            pass(from: first)
        }
    }

    /// To the first entry behind the first block from `first` on that cannot be read.
    private func pass(from first: Int) {
        var block = first
        while block < table.blockCount {
            if let problem = table.problem(block) {
                let summary = table.blockSummary(block)
                if told.insert(block).inserted {
                    let from = block == 0 ? table.properties.smallestKey : table.blockSummary(block - 1).separator
                    lose(
                        "data block \(block) \(problem): keys from \(Table.printable(from)) to "
                            + Table.printable(summary.separator), summary.offset)
                }
                // Longer by a zero byte is the next key in order.
                var behind = ByteBuffer(capacity: 64)
                behind.append(summary.separator + [0])
                do throws(Interruption) {
                    try cursor.seek(behind.view)
                    position = cursor.position
                    return
                } catch {
                    block += 1
                    continue
                }
            }
            block += 1
        }
        lose("the rest of the table, from block \(first) on, cannot be read", -1)
        position = nil
    }
}
