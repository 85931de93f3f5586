// The verification of table files: the file by itself, what the manifest says of it, and where its pointers lead.

import ValkBase
import ValkDisk

extension StoreVerifier {
    /// `record`: what the manifest says of the file; nil when there is no manifest to ask.
    func checkTable(_ path: String, _ fileId: UInt64, _ record: TableRecordItem?) {
        let table: Table
        do throws(StoreError) {
            table = try Table.open(disk: disk, path: path, fileId: fileId, cache: cache)
        } catch {
            report.error(error, in: path)
            return
        }
        defer { advance(table.fileBytes, path) }
        report.tables += 1
        report.blocks += table.blockCount
        if let record { compare(table, record) }
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        var shares: [UInt32: SegmentReference] = [:]
        var named: NamedPriors?
        if let record, let state {
            named = NamedPriors(
                record, state, shown, disk: disk, directory: folder.directory, cache: cache, pins: pins)
        }
        do throws(StoreError) {
            let seen = try table.verify(pins) { entry, block in
                if entry.isSeparated { follow(entry, table, block, &shares, named) }
            }
            report.entries += seen.entries
            let counted = shares.values.sorted { $0.segment < $1.segment }
            if counted != table.properties.segments {
                report.error("the properties' references to segments are not those of the entries", path)
            }
        } catch {
            if !reportDamagedBlocks(table) { report.error(error, in: path) }
        }
        checkPadding(table)
    }

    private func compare(_ table: Table, _ record: TableRecordItem) {
        let p = table.properties
        let shares = record.segments.map { SegmentReference(segment: $0.segment, bytes: $0.bytes, count: $0.count) }
        func same<T: Equatable>(_ name: String, _ file: T, _ manifest: T) {
            if file != manifest {
                report.error("\(name): the file says \(file), the manifest \(manifest)", table.path)
            }
        }
        same("bytes", UInt64(table.fileBytes), record.bytes)
        same("entries", p.entryCount, record.entries)
        same("deletes", p.tombstoneCount, record.tombstones)
        // 0 in the manifest: they were accounted for after the file was written.
        if record.unknownPriors != 0 { same("blind writes", p.unknownPriorCount, record.unknownPriors) }
        same("named priors", p.namedPriorCount, record.namedPriors)
        same("smallest sequence", p.sequenceMin, record.sequenceMin)
        same("largest sequence", p.sequenceMax, record.sequenceMax)
        same("smallest expiry", p.expireAtMin, record.expireAtMin)
        same("largest expiry", p.expireAtMax, record.expireAtMax)
        if p.smallestKey != record.smallest || p.largestKey != record.largest {
            report.error("the manifest has other bounds for its keys", table.path)
        }
        if p.segments != shares { report.error("the manifest has other references to segments", table.path) }
    }

    private func follow(
        _ entry: Entry, _ table: Table, _ block: Int, _ shares: inout [UInt32: SegmentReference],
        _ named: NamedPriors?
    ) {
        let pointer = entry.pointer
        shares[pointer.segment, default: SegmentReference(segment: pointer.segment, bytes: 0, count: 0)].bytes +=
            UInt64(pointer.length)
        shares[pointer.segment]?.count += 1
        report.pointers += 1
        if let fragments = shown[table.fileId] {
            let isShown = fragments.contains { fragment in
                fragment.lower.withView { $0.compare(entry.key) <= 0 }
                    && (fragment.upper.isEmpty || fragment.upper.withView { entry.key.compare($0) < 0 })
            }
            if !isShown { return }
        }
        if dead[pointer.segment]?.contains(pointer.offset) == true {
            if named?.includes(entry) == true { return }
            report.error(
                "the manifest lists the value of key \(Table.printable(entry.key.array)) as dead, in \(table.path)",
                values.path(pointer.segment), Int(pointer.offset))
        }
        if let problem = values.problem(entry), named?.includes(entry) != true {
            let key = Table.printable(entry.key.array)
            report.error(
                "\(problem): value of key \(key), sequence \(entry.sequence), in \(table.path) block \(block)",
                values.path(pointer.segment), Int(pointer.offset))
        }
    }

    /// Tells of each block that cannot be read; false when all can.
    private func reportDamagedBlocks(_ table: Table) -> Bool {
        var isDamaged = false
        for block in 0..<table.blockCount {
            if let problem = table.problem(block) {
                report.error("data block \(block) \(problem)", table.path, table.index.blocks[block].offset)
                isDamaged = true
            }
        }
        return isDamaged
    }

    /// The zeros in front of the footer, the only bytes of a table that no checksum covers.
    private func checkPadding(_ table: Table) {
        let count = min(table.fileBytes, TableFormat.pageBytes + TableFormat.footerBytes)
        var bytes = ByteBuffer()
        let start = table.fileBytes - count
        do throws(DiskError) {
            let target = UnsafeMutableRawBufferPointer(start: bytes.reserve(count), count: count)
            guard try table.file.read(into: target, at: start) == count else { return }
            bytes.advance(count)
        } catch {
            report.error(StoreError(error), in: table.path)
            return
        }
        let footer = bytes.view.base + (count - TableFormat.footerBytes)
        let properties = Int(footer.fixed(40, UInt64.self)) + Int(footer.fixed(48, UInt64.self))
        let from = max(properties - start, 0)
        guard from <= count - TableFormat.footerBytes else { return }
        for at in from..<(count - TableFormat.footerBytes) where bytes.view[at] != 0 {
            report.note("the padding in front of the footer should be zeros", table.path, start + at)
            return
        }
    }
}

/// Follows pointers of table entries into the log and proves what they lead to.
final class ValueCheck {
    private let disk: any Disk
    private let folder: StoreFolder
    private let paths: [UInt32: String]
    private let generations: [UInt32: UInt32]
    private var files: [UInt32: any DiskFile] = [:]
    private var record = ByteBuffer()
    private static let openFilesMax = 128

    init(disk: any Disk, folder: StoreFolder) {
        self.disk = disk
        self.folder = folder
        generations = Dictionary(uniqueKeysWithValues: folder.segments.map { ($0.number, $0.generation) })
        paths = Dictionary(uniqueKeysWithValues: folder.segments.map { ($0.number, folder.path($0)) })
    }

    deinit { for file in files.values { file.close() } }

    func path(_ segment: UInt32) -> String {
        paths[segment] ?? folder.path((segment, 0))
    }

    /// What is wrong with the value that `entry` points at; nil when nothing is.
    func problem(_ entry: Entry) -> String? {
        let pointer = entry.pointer
        guard let path = paths[pointer.segment] else { return "the segment is missing" }
        let size = LogFormat.valueHeaderBytes + entry.key.count + Int(pointer.length)
        record.removeAll()
        let target = UnsafeMutableRawBufferPointer(start: record.reserve(size), count: size)
        do throws(DiskError) {
            let n = try open(pointer.segment, path).read(into: target, at: Int(pointer.offset))
            guard n == size else { return "the segment ends inside the value" }
        } catch {
            return "cannot be read (\(error))"
        }
        record.advance(size)
        guard let found = ValueRecord(record.view, verifies: true) else { return "no whole value record is here" }
        guard found.crc == pointer.crc, found.key == entry.key, found.value.count == Int(pointer.length) else {
            return "the value record here belongs to another entry"
        }
        guard found.sequence == entry.sequence, found.expireAt == entry.expireAt, found.tag == entry.tag else {
            return "the value record has another sequence, expiry or tag than its entry"
        }
        return nil
    }

    /// The value that `entry` points at, for people; nil when it cannot be had.
    func value(_ entry: Entry) -> [UInt8]? {
        guard problem(entry) == nil else { return nil }
        return record.view.dropFirst(LogFormat.valueHeaderBytes + entry.key.count).array
    }

    private func open(_ segment: UInt32, _ path: String) throws(DiskError) -> any DiskFile {
        if let file = files[segment] { return file }
        if files.count >= ValueCheck.openFilesMax {
            for file in files.values { file.close() }
            files.removeAll()
        }
        var file = try disk.open(path, .readOnly)
        if let generation = generations[segment], generation > 0 {
            do throws(StoreError) {
                file = RewrittenFile(file, try SegmentMap.load(file, segment: segment, generation: generation).map)
            } catch {
                throw DiskError(.system, "read the map of", path, offset: error.offset)
            }
        }
        files[segment] = file
        return file
    }
}

extension Table {
    /// Why a data block cannot be read; nil when it can.
    func problem(_ block: Int) -> String? {
        let reference = index.blocks[block]
        let stored = Int(reference.stored)
        var raw = ByteBuffer()
        var content = ByteBuffer()
        let target = UnsafeMutableRawBufferPointer(start: raw.reserve(stored), count: stored)
        do throws(DiskError) {
            let n = try file.read(into: target, at: reference.offset)
            guard n == stored else { return "ends early, \(n) of \(stored) bytes" }
        } catch {
            return "cannot be read: \(error)"
        }
        return unpack(block, UnsafeRawPointer(raw.base), into: content.reserve(reference.content))
    }
}
