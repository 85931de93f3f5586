// The manifest on disk: `MANIFEST-n`, an append-only list of edits, and `CURRENT`, which names the one in force.
//
//   file   := magic u64 "VALKMAN1" | format u32 | CRC32C of the 12 bytes u32 | record*
//   record := length u32 (of the payload) | CRC32C u32 (over number and payload) | number u64 (1, 2, ...) | payload
//
// Rules: 1. an edit counts when its record is whole; a broken record ends the list, unless a whole record with a later
// number follows, which is corruption. 2. An edit is synced before the change it describes is shown to anybody. 3.
// CURRENT changes by writing a new file, syncing it, renaming it over the old one and syncing the directory.

import CValk
import ValkBase
import ValkDisk

enum ManifestFormat {
    /// "VALKMAN1" as little-endian bytes.
    static let magic: UInt64 = 0x314E_414D_4B4C_4156
    static let version: UInt32 = 1
    static let headerBytes = 16
    static let recordHeaderBytes = 16
    static let recordBytesMax = 1 << 30

    static func name(_ number: UInt64) -> String { "MANIFEST-\(number)" }

    static func number(of name: String) -> UInt64? {
        guard name.hasPrefix("MANIFEST-") else { return nil }
        return UInt64(name.dropFirst(9))
    }
}

enum ManifestReader {
    struct Loaded {
        var state: ManifestState
        var number: UInt64
        /// Bytes of a torn last edit that were ignored.
        var tornBytes: Int
        var editCount: Int
    }

    /// One edit, its number and its offset in the file.
    typealias EditVisitor = (VersionEdit, UInt64, Int) -> Void

    /// Reads the manifest in force. Nil when the directory holds no store (no CURRENT). `visit` is shown each edit.
    static func load(
        _ disk: any Disk, _ directory: String, visit: EditVisitor = { _, _, _ in }
    ) throws(StoreError) -> Loaded? {
        do {
            let currentPath = directory + "/CURRENT"
            guard try disk.exists(currentPath) else { return nil }
            let current = try readAll(disk, currentPath)
            let name = String(decoding: current, as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
            guard let number = ManifestFormat.number(of: name) else {
                throw StoreError(.corruption, "CURRENT does not name a manifest", path: currentPath, offset: 0)
            }
            let path = directory + "/" + name
            let bytes = try readAll(disk, path)
            return try bytes.withUnsafeBytes { raw throws(StoreError) in
                try parse(ByteView(raw), number: number, path: path, visit: visit)
            }
        } catch let error as DiskError {
            throw StoreError(error)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("unexpected error \(error)")
        }
    }

    private static func readAll(_ disk: any Disk, _ path: String) throws(DiskError) -> [UInt8] {
        let file = try disk.open(path, .readOnly)
        defer { file.close() }
        let size = try file.size()
        if size == 0 { return [] }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { memory.deallocate() }
        let count = try file.read(into: memory, at: 0)
        return Array(memory[0..<count])
    }

    static func parse(
        _ bytes: ByteView, number: UInt64, path: String, visit: EditVisitor = { _, _, _ in }
    ) throws(StoreError) -> Loaded {
        guard bytes.count >= ManifestFormat.headerBytes, bytes.base.fixed(0, UInt64.self) == ManifestFormat.magic,
            bytes.base.fixed(12, UInt32.self) == valk_crc32c(0, bytes.base, 12)
        else { throw StoreError(.corruption, "the manifest's header is damaged", path: path, offset: 0) }
        let version = bytes.base.fixed(8, UInt32.self)
        guard version <= ManifestFormat.version else {
            throw StoreError(
                .newerFormat, "manifest format \(version) is newer than this build's \(ManifestFormat.version)",
                path: path, offset: 8)
        }
        var state = ManifestState()
        var at = ManifestFormat.headerBytes
        var expected: UInt64 = 1
        while let payload = record(bytes, at, expected) {
            let edit: VersionEdit
            do { edit = try VersionEdit.decode(payload) } catch {
                switch error {
                case .newer(let kind):
                    throw StoreError(
                        .newerFormat, "the manifest holds an item of kind \(kind), which this build does not know",
                        path: path, offset: at)
                case .damaged:
                    throw StoreError(.corruption, "edit \(expected) cannot be decoded", path: path, offset: at)
                }
            }
            if let fault = state.apply(edit) {
                throw StoreError(.corruption, "edit \(expected) does not fit: \(fault)", path: path, offset: at)
            }
            visit(edit, expected, at)
            at += ManifestFormat.recordHeaderBytes + payload.count
            expected += 1
        }
        guard expected > 1 else {
            throw StoreError(.corruption, "the manifest's first edit is damaged", path: path, offset: at)
        }
        // A whole later record behind the break means that something in the middle was lost.
        var probe = at + 1
        while probe + ManifestFormat.recordHeaderBytes <= bytes.count {
            let later = bytes.base.fixed(probe + 8, UInt64.self)
            if later >= expected && later < expected + 1_000_000 && record(bytes, probe, later) != nil {
                throw StoreError(
                    .corruption, "edit \(expected) is damaged but edit \(later) follows it", path: path, offset: at)
            }
            probe += 1
        }
        state.settleLegacyRuns()
        return Loaded(state: state, number: number, tornBytes: bytes.count - at, editCount: Int(expected - 1))
    }

    /// The payload of a whole record with this number at `at`, nil when there is none.
    private static func record(_ bytes: ByteView, _ at: Int, _ number: UInt64) -> ByteView? {
        guard at + ManifestFormat.recordHeaderBytes <= bytes.count else { return nil }
        let length = Int(bytes.base.fixed(at, UInt32.self))
        guard length > 0, length <= bytes.count - at - ManifestFormat.recordHeaderBytes,
            bytes.base.fixed(at + 8, UInt64.self) == number,
            bytes.base.fixed(at + 4, UInt32.self) == valk_crc32c(0, bytes.base + at + 8, 8 + length)
        else { return nil }
        return bytes[at + ManifestFormat.recordHeaderBytes..<at + ManifestFormat.recordHeaderBytes + length]
    }
}

/// Appends edits. One thread at a time (the store's structure lock). After a throw it is unknown whether the edit is on
/// the disk. For lack of space that is no end: the next edit starts a new manifest, which knows nothing of the failed
/// one, and until then the files that the failed edit names must stay. After any other throw nothing more may be
/// appended.
final class ManifestWriter {
    private let disk: any Disk
    private let directory: String
    private var file: any DiskFile
    private(set) var number: UInt64
    private var nextRecord: UInt64
    private(set) var bytes: Int
    private var firstRecordBytes: Int
    private(set) var failure: StoreError?
    private let rollBytes: Int
    /// The largest number that a manifest of this writer has had, finished or not. None is used twice: CURRENT may name
    /// it.
    private var lastNumber: UInt64
    private var mustRoll = false
    /// Old manifests that could not be removed.
    private(set) var orphans = 0

    /// Starts a new manifest `number` that begins with `state`, and makes it the one in force. A manifest larger than
    /// `rollBytes` (and than twice its first record) is rolled over.
    init(
        _ disk: any Disk, _ directory: String, number: UInt64, state: ManifestState, rollBytes: Int = 1 << 20
    ) throws(StoreError) {
        self.rollBytes = rollBytes
        self.disk = disk
        self.directory = directory
        self.number = number
        lastNumber = number
        do {
            let started = try ManifestWriter.start(disk, directory, number, state)
            file = started.file
            bytes = started.bytes
            firstRecordBytes = started.bytes
            nextRecord = 2
        } catch {
            throw StoreError(error)
        }
    }

    private static func start(
        _ disk: any Disk, _ directory: String, _ number: UInt64, _ state: ManifestState
    ) throws(DiskError) -> (file: any DiskFile, bytes: Int) {
        let path = directory + "/" + ManifestFormat.name(number)
        let file = try disk.open(path, [.readWrite, .create, .truncate])
        var buffer = ByteBuffer(capacity: 4096)
        buffer.appendFixed(ManifestFormat.magic)
        buffer.appendFixed(ManifestFormat.version)
        buffer.appendFixed(valk_crc32c(0, buffer.base, 12))
        appendRecord(state.snapshot, 1, &buffer)
        try file.write(buffer.view.buffer, at: 0)
        try file.sync()
        try disk.syncDirectory(directory)
        let temporary = directory + "/CURRENT.tmp"
        let current = try disk.open(temporary, [.readWrite, .create, .truncate])
        defer { current.close() }
        let line = Array((ManifestFormat.name(number) + "\n").utf8)
        try ManifestWriter.write(line, current)
        try current.sync()
        try disk.rename(temporary, to: directory + "/CURRENT")
        try disk.syncDirectory(directory)
        return (file, buffer.count)
    }

    private static func write(_ bytes: [UInt8], _ file: any DiskFile) throws(DiskError) {
        var buffer = ByteBuffer(capacity: bytes.count)
        buffer.append(bytes)
        try file.write(buffer.view.buffer, at: 0)
    }

    private static func appendRecord(_ edit: VersionEdit, _ number: UInt64, _ buffer: inout ByteBuffer) {
        var payload = ByteBuffer(capacity: 1024)
        payload.appendFixed(number)
        edit.encode(into: &payload)
        buffer.appendFixed(UInt32(payload.count - 8))
        buffer.appendFixed(valk_crc32c(0, payload.base, payload.count))
        buffer.append(payload.view)
    }

    /// Makes `edit` durable. Rolls to a new manifest first when this one has grown large; `state` is what holds before
    /// it.
    func append(_ edit: VersionEdit, state: ManifestState) throws(StoreError) {
        if let failure { throw failure }
        do {
            if mustRoll || bytes > rollBytes && bytes > 2 * firstRecordBytes { try roll(state) }
            var buffer = ByteBuffer(capacity: 4096)
            ManifestWriter.appendRecord(edit, nextRecord, &buffer)
            try file.write(buffer.view.buffer, at: bytes)
            try file.sync()
            bytes += buffer.count
            nextRecord += 1
        } catch {
            let fault = StoreError(error)
            if fault.kind == .noSpace { mustRoll = true } else { failure = fault }
            throw fault
        }
    }

    private func roll(_ state: ManifestState) throws(DiskError) {
        lastNumber += 1
        let started = try ManifestWriter.start(disk, directory, lastNumber, state)
        let old = file
        let oldName = ManifestFormat.name(number)
        file = started.file
        number = lastNumber
        bytes = started.bytes
        firstRecordBytes = started.bytes
        nextRecord = 2
        mustRoll = false
        old.close()
        // Nothing reads it any more: left behind, it is an orphan that the next start removes.
        do { try disk.remove(directory + "/" + oldName) } catch { orphans += 1 }
    }

    func close() { file.close() }
}
