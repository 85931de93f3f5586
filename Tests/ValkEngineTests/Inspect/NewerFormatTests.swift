// Files of a newer build are refused, whatever file it is: by kind of error, with the number found and the number
// known, with the file's path, and without a change of anything that is there.
//
// Manifest and log are read at the start, which is refused. Tables and segments that are not replayed are read when
// they are first needed: the read is refused and the event says why.

import CValk
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct NewerFormatTests {
    enum Place: String, CaseIterable {
        /// Refused at the start.
        case manifest, manifestItem, replayedSegment, frame
        /// Refused when they are read.
        case table, segment, rewrittenSegment

        var isReadAtStart: Bool { self != .table && self != .segment && self != .rewrittenSegment }
        /// What the message says, the number found first.
        var words: [String] {
            switch self {
            case .manifest, .replayedSegment, .segment, .rewrittenSegment: ["format 7", "1"]
            case .table: ["format 7", "\(TableFormat.version)"]
            // Kinds have no number of their own to compare with.
            case .manifestItem: ["item of kind 99", "does not know"]
            case .frame: ["flags 2", "without"]
            }
        }
    }

    /// Makes one file of `disk` a newer build's. Returns its path.
    private static func age(_ disk: SimulatedDisk, _ place: Place, in directory: String) throws -> String {
        let loaded = try #require(try ManifestReader.load(disk, directory))
        let state = loaded.state
        let replayed = state.checkpoint.position
        func segment(_ number: UInt32) -> String {
            let generation = state.generations[number] ?? 0
            return directory + "/log/" + LogFormat.segmentName(number, generation: generation)
        }
        let path: String
        switch place {
        case .manifest, .manifestItem: path = directory + "/" + ManifestFormat.name(loaded.number)
        case .table: path = BucketManager.path(directory, try #require(state.tables.keys.min()))
        case .replayedSegment, .frame: path = segment(replayed.segment)
        case .segment:
            let values = state.garbage.filter { $0.value.generation == 0 && $0.key < replayed.segment }
            path = segment(try #require(values.keys.min()))
        case .rewrittenSegment:
            path = segment(try #require(state.garbage.filter { $0.value.generation > 0 }.keys.min()))
        }
        var bytes = try disk.readFile(path)
        let storeId = StoreId(high: state.identity.idHigh, low: state.identity.idLow)
        if place == .manifestItem {
            bytes += newItem(number: UInt64(loaded.editCount + 1))
        } else {
            bytes.withUnsafeMutableBytes { raw in
                guard let base = raw.baseAddress else { return }
                func seal(_ from: Int, _ to: Int, _ at: Int, salt: UInt32 = 0) {
                    base.storeFixed(valk_crc32c(salt, base + from, to - from), at)
                }
                switch place {
                case .manifest:
                    base.storeFixed(UInt32(7), 8)
                    seal(0, 12, 12)
                case .table:
                    let footer = raw.count - TableFormat.footerBytes
                    base.storeFixed(UInt32(7), footer + 80)
                    seal(footer, footer + 84, footer + 84)
                case .frame:
                    let frame = max(Int(replayed.offset), LogFormat.segmentHeaderBytes)
                    base.storeFixed(UInt16(2), frame + 62)
                    seal(frame + 8, frame + LogFormat.frameHeaderBytes, frame + 4, salt: storeId.salt)
                default:
                    base.storeFixed(UInt32(7), 8)
                    seal(0, 60, 60)
                }
            }
        }
        try disk.writeFile(path, bytes)
        return path
    }

    /// An edit with an item that must be understood.
    private static func newItem(number: UInt64) -> [UInt8] {
        var payload = ByteBuffer(capacity: 64)
        payload.appendFixed(number)
        payload.appendVarint(99)
        payload.appendVarint(1)
        payload.append(0)
        var record = ByteBuffer(capacity: 64)
        record.appendFixed(UInt32(payload.count - 8))
        record.appendFixed(valk_crc32c(0, payload.base, payload.count))
        record.append(payload.view)
        return record.view.array
    }

    /// Every name below `directory` with its bytes. Only the lock's own file may change.
    private static func everything(_ disk: SimulatedDisk, _ directory: String) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for name in try disk.list(directory) where name != "LOCK" {
            let path = directory + "/" + name
            if ["tables", "log", "backups"].contains(name) {
                found[path] = []
                found.merge(try everything(disk, path)) { a, _ in a }
            } else {
                found[path] = try disk.readFile(path)
            }
        }
        return found
    }

    private static func expectRefusal(_ error: StoreError?, _ place: Place, _ path: String, _ context: String) {
        guard let error else {
            Issue.record("\(place) is not refused: \(context)")
            return
        }
        #expect(error.kind == .newerFormat && error.path == path, "\(error), \(context)")
        for word in place.words { #expect(error.message.contains(word), "\(error), \(context)") }
        #expect(error.description.contains(path), "\(context)")
    }

    @Test(arguments: Place.allCases.filter(\.isReadAtStart), [false, true])
    func aStartIsRefusedAndChangesNothing(place: Place, isBackup: Bool) throws {
        let swept = try SweptStore(.collected)
        var options = swept.options
        if isBackup {
            let plan = try BackupPlan(disk: swept.disk, directory: SweptStore.directory)
            _ = try BackupWriter.write(swept.disk, plan, to: "/backup", BackupOptions())
            options.path = "/backup"
        }
        let path = try Self.age(swept.disk, place, in: options.path)
        let before = try Self.everything(swept.disk, options.path)
        func refused(_ context: String, _ body: () throws(StoreError) -> Void) throws {
            var fault: StoreError?
            do throws(StoreError) { try body() } catch { fault = error }
            Self.expectRefusal(fault, place, path, context)
            #expect(try Self.everything(swept.disk, options.path) == before, "\(context) changed something")
        }
        // Twice: the first refusal leaves no lock behind.
        for attempt in 1...2 {
            try refused("opening, \(attempt)") { () throws(StoreError) in
                try Store.open(options, disk: swept.disk).close()
            }
        }
        try refused("backup") { () throws(StoreError) in
            _ = try BackupPlan(disk: swept.disk, directory: options.path)
        }
        if place == .manifest || place == .manifestItem {
            try refused("verify") { () throws(StoreError) in
                _ = try StoreVerifier.verify(disk: swept.disk, directory: options.path)
            }
            try refused("salvage") { () throws(StoreError) in
                _ = try Salvage.run(disk: swept.disk, directory: options.path, to: "/rescued")
            }
        } else {
            let report = try StoreVerifier.verify(disk: swept.disk, directory: options.path)
            #expect(report.findings.contains { $0.path == path && $0.message.contains(place.words[0]) })
        }
    }

    @Test(arguments: Place.allCases.filter { !$0.isReadAtStart })
    func aReadIsRefusedAndChangesNothing(place: Place) throws {
        let swept = try SweptStore(.collected)
        let path = try Self.age(swept.disk, place, in: SweptStore.directory)
        let bytes = try swept.disk.readFile(path)
        let events = NewerEvents()
        let store = try Store.open(swept.options, disk: swept.disk) { events.add($0) }
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        var refused = 0
        for (key, value) in swept.expected {
            do {
                let found = try key.withView { view -> [UInt8]? in
                    guard let entry = try reader.find(view) else { return nil }
                    return try reader.value(entry).array
                }
                #expect(found == value, "\(key)")
            } catch {
                #expect(error as? Interruption == .damaged)
                refused += 1
            }
        }
        reader.end()
        #expect(refused > 0 && refused < swept.expected.count)
        // A table keeps its story until it is asked for it, and each place is told of once.
        store.reportTableFaults()
        let told = events.newer
        #expect(!told.isEmpty)
        for error in told { Self.expectRefusal(error, place, path, "reading") }
        // Work on it is refused as well, and the file stays as it is.
        try? store.flushTables()
        try? store.mergeAll()
        try? store.collectGarbage()
        try store.close()
        #expect(try swept.disk.readFile(path) == bytes)
        let report = try StoreVerifier.verify(disk: swept.disk, directory: SweptStore.directory)
        #expect(report.findings.contains { $0.path == path && $0.message.contains(place.words[0]) })
    }

    /// CURRENT has no format number: what this build would not have written is refused by name.
    @Test func aCurrentOfAnotherKindIsRefused() throws {
        let swept = try SweptStore(.runs)
        let path = SweptStore.directory + "/CURRENT"
        try swept.disk.writeFile(path, Array("format 2\nMANIFEST-1\n".utf8))
        let before = try Self.everything(swept.disk, SweptStore.directory)
        let error = #expect(throws: StoreError.self) { try Store.open(swept.options, disk: swept.disk) }
        #expect(error?.kind == .corruption && error?.path == path && error?.message.contains("CURRENT") == true)
        #expect(try Self.everything(swept.disk, SweptStore.directory) == before)
    }
}

/// What a store told about newer formats.
private final class NewerEvents: @unchecked Sendable {  // Guarded by `lock`.
    private let lock = Lock()
    private var found: [StoreError] = []
    var newer: [StoreError] { lock.withLock { found } }

    func add(_ event: StoreEvent) {
        guard case .log(.damaged(let error)) = event, error.kind == .newerFormat else { return }
        lock.withLock { found.append(error) }
    }
}
