// Verification: sound stores verify clean whatever was done to them; damage is found, or changes nothing that can be
// read.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// A store on a simulated disk, made by a fixed script, closed.
struct InspectFixture {
    static let directory = "/store"
    let disk: SimulatedDisk
    var expected: [[UInt8]: [UInt8]] = [:]
    let options: StoreOptions

    init(merged: Bool = false) throws {
        disk = SimulatedDisk()
        var options = StoreOptions(path: InspectFixture.directory)
        options.tableBytes = 1 << 20
        options.segmentBytes = 64 << 10
        options.blockBytes = 256
        options.valueSeparationThreshold = 64
        options.memoryBytes = 1 << 20
        self.options = options
        // The background would merge these few runs when it gets round to it.
        options.usesThreads = false
        let store = try Store.open(options, disk: disk)
        for round in 0..<3 {
            for i in 0..<20 {
                let value = [UInt8](repeating: UInt8(round * 20 + i), count: i % 4 == 0 ? 100 + i : 5 + i)
                try write(store) { batch in batch.put(key(i + round * 7), value) }
                expected[key(i + round * 7)] = value
            }
            try write(store) { batch in batch.remove(key(round)) }
            expected[key(round)] = nil
            // The last round stays in the log.
            if round < 2 { try store.flushTables() }
        }
        if merged { try store.mergeAll() }
        try store.close()
    }

    func key(_ i: Int) -> [UInt8] { Array("key:\(100 + i)".utf8) }

    func write(_ store: Store, _ body: (inout TestBatch) -> Void) throws {
        var batch = TestBatch()
        body(&batch)
        let position = try store.commit(batch.batch, mayBlock: true)
        try store.waitForLog(position)
    }

    func verify(_ disk: (any Disk)? = nil) throws -> VerificationReport {
        try StoreVerifier.verify(disk: disk ?? self.disk, directory: InspectFixture.directory)
    }

    /// Paths of all files that hold data.
    func files() throws -> [String] {
        var paths = try disk.list(InspectFixture.directory).filter { $0 == "CURRENT" || $0.hasPrefix("MANIFEST-") }
            .map { InspectFixture.directory + "/" + $0 }
        for folder in ["tables", "log"] {
            let path = InspectFixture.directory + "/" + folder
            paths += try disk.list(path).filter { !$0.hasSuffix(".vspare") }.map { path + "/" + $0 }
        }
        return paths.sorted()
    }

    /// Opens a copy of the store and reads everything. Throws what opening or reading throws.
    func contents(_ disk: SimulatedDisk) throws -> [[UInt8]: [UInt8]] {
        let store = try Store.open(options, disk: disk)
        defer { try? store.close() }
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        var found: [[UInt8]: [UInt8]] = [:]
        let cursor = try [0].withView { l in try [255, 255].withView { try reader.cursor(lower: l, upper: $0) } }
        try cursor.seekToFirst()
        while cursor.isValid {
            let key = cursor.key.array
            found[key] = try cursor.value().array
            try cursor.next()
        }
        return found
    }
}

/// Arrays into a batch, kept alive until the batch goes.
struct TestBatch {
    let batch = WriteBatch()

    func put(_ key: [UInt8], _ value: [UInt8]) {
        precondition(value.count <= WriteBatch.copiedValueBytesMax)
        key.withView { k in value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
    }

    func remove(_ key: [UInt8]) { key.withView { batch.delete($0, prior: .present(hadExpiry: false)) } }
}

@Suite struct VerifyTests {
    @Test(arguments: [false, true])
    func soundStoreVerifiesClean(merged: Bool) throws {
        let fixture = try InspectFixture(merged: merged)
        let before = fixture.disk.operationCount
        let report = try fixture.verify()
        #expect(report.findings.map(\.description) == [])
        #expect(report.isSound && report.tables == (merged ? 1 : 2) && report.pointers > 0 && report.frames > 0)
        #expect(report.tailRecords == 21)
        #expect(fixture.disk.operationCount == before, "verification changed something")
    }

    /// Goal: no false alarm. Method: the model test's random work, verified now and then, closed or copied as a crash
    /// would leave it.
    @Test(arguments: 0..<6)
    func randomWorkVerifiesClean(round: Int) throws {
        let folder = TemporaryFolder()
        let seed = TestSeed("VerifyTests").value &+ UInt64(round)
        let path = folder.path + "/store"
        let run = try ModelRun(seed: seed, disk: PosixDisk(), path: path)
        for i in 0..<900 {
            try run.step()
            if i % 150 != 149 { continue }
            try run.store.close()
            let report = try StoreVerifier.verify(disk: PosixDisk(), directory: path)
            #expect(report.errorCount == 0, "seed \(seed), step \(i): \(report.findings)")
            run.store = try Store.open(run.options, disk: run.disk)
            run.reader = StoreReader(run.store, mayBlock: true)
        }
        try run.store.close()
    }

    /// A process that was killed leaves notes at most.
    @Test(arguments: 0..<4)
    func killedStoreVerifiesWithoutErrors(round: Int) throws {
        let disk = SimulatedDisk()
        let seed = TestSeed("VerifyTests.killed").value &+ UInt64(round)
        let run = try ModelRun(seed: seed, disk: disk, path: "/store")
        for i in 0..<400 {
            try run.step()
            if i % 40 != 39 { continue }
            let copy = disk.crashClone(seed: seed &+ UInt64(i), policy: .keepAll)
            let report = try StoreVerifier.verify(disk: copy, directory: "/store")
            #expect(report.errorCount == 0, "seed \(seed), step \(i): \(report.findings)")
        }
        try run.store.close()
    }

    /// Goal: a changed byte is reported, or it is one that nothing reads. Method: change every byte of every file in
    /// turn (of long stretches of one byte, some); where nothing is reported, the store must open and hold what it
    /// held.
    @Test func everyFlippedByteIsReportedOrHarmless() throws {
        let fixture = try InspectFixture()
        var reported = 0
        var harmless = 0
        for path in try fixture.files() {
            let bytes = try fixture.disk.readFile(path)
            var repeats = 0
            for i in bytes.indices {
                repeats = i > 0 && bytes[i] == bytes[i - 1] ? repeats + 1 : 0
                if repeats > 8 && i % (bytes[i] == 0 ? 997 : 13) != 0 { continue }
                let file = try fixture.disk.open(path, .readWrite)
                defer { file.close() }
                try file.write([bytes[i] ^ [0x01, 0x80, 0xFF][i % 3]], at: i)
                let report = try? fixture.verify()
                if report?.findings.isEmpty ?? false {
                    harmless += 1
                    let copy = fixture.disk.crashClone(seed: 1, policy: .keepAll)
                    let isSame = try fixture.contents(copy) == fixture.expected
                    #expect(isSame, "\(path) byte \(i)")
                } else {
                    reported += 1
                }
                try file.write([bytes[i]], at: i)
            }
        }
        #expect(reported > 1000, "\(reported) reported, \(harmless) harmless")
        #expect(try fixture.verify().findings.isEmpty)
    }

    @Test(arguments: [false, true])
    func fixtureHoldsWhatIsExpected(merged: Bool) throws {
        let fixture = try InspectFixture(merged: merged)
        let contents = try fixture.contents(fixture.disk.crashClone(seed: 1, policy: .keepAll))
        for key in Set(contents.keys).union(fixture.expected.keys) {
            #expect(contents[key] == fixture.expected[key], "\(Table.printable(key))")
        }
    }

    @Test func truncatedFilesAreReported() throws {
        let fixture = try InspectFixture()
        for path in try fixture.files() {
            let bytes = try fixture.disk.readFile(path)
            // Behind the last frame of a segment nothing is missed.
            let used = bytes.lastIndex { $0 != 0 } ?? 0
            for length in [0, 1, used / 2, used] where length < bytes.count {
                // The line feed at the end of CURRENT says nothing.
                if length == used && path.hasSuffix("CURRENT") { continue }
                try fixture.disk.writeFile(path, Array(bytes.prefix(length)))
                let report = try? fixture.verify()
                #expect(report?.findings.isEmpty != true, "\(path) cut to \(length) of \(bytes.count) bytes")
            }
            try fixture.disk.writeFile(path, bytes)
        }
        #expect(try fixture.verify().findings.isEmpty)
    }

    @Test func missingFilesAreErrors() throws {
        let fixture = try InspectFixture()
        for path in try fixture.files() {
            try fixture.disk.rename(path, to: "/elsewhere")
            let report = try fixture.verify()
            #expect(!report.isSound, "\(path) is missing")
            try fixture.disk.rename("/elsewhere", to: path)
        }
        #expect(try fixture.verify().isSound)
    }

    @Test func newerFormatsAreNamed() throws {
        let fixture = try InspectFixture()
        let segment = try #require(try fixture.files().first { $0.hasSuffix(".vseg") })
        var bytes = try fixture.disk.readFile(segment)
        bytes.withUnsafeMutableBytes { raw in
            guard let base = raw.baseAddress else { return }
            base.storeFixed(UInt32(9), 8)
            base.storeFixed(ByteView(base: UnsafeRawPointer(base), count: 60).crc32c, 60)
        }
        try fixture.disk.writeFile(segment, bytes)
        let report = try fixture.verify()
        #expect(report.findings.contains { $0.path == segment && $0.message.contains("format 9") })

        let other = try InspectFixture()
        let manifest = try #require(try other.files().first { $0.contains("MANIFEST-") })
        bytes = try other.disk.readFile(manifest)
        bytes.withUnsafeMutableBytes { raw in
            guard let base = raw.baseAddress else { return }
            base.storeFixed(UInt32(9), 8)
            base.storeFixed(ByteView(base: UnsafeRawPointer(base), count: 12).crc32c, 12)
        }
        try other.disk.writeFile(manifest, bytes)
        do {
            _ = try other.verify()
            Issue.record("a newer manifest was read")
        } catch let error as StoreError {
            #expect(error.kind == .newerFormat)
        }
    }

    @Test func orphansAreNoted() throws {
        let fixture = try InspectFixture()
        let table = try #require(try fixture.files().first { $0.hasSuffix(".vsst") })
        let orphan = InspectFixture.directory + "/tables/00000000000000ff.vsst"
        try fixture.disk.writeFile(orphan, try fixture.disk.readFile(table))
        try fixture.disk.writeFile(InspectFixture.directory + "/notes.txt", [1])
        try fixture.disk.writeFile(InspectFixture.directory + "/log/0000000000000fff.vtmp", [1])
        let report = try fixture.verify()
        #expect(report.isSound)
        #expect(
            report.findings.map { $0.path.split(separator: "/").last.map(String.init) ?? "" }.sorted() == [
                "00000000000000ff.vsst", "0000000000000fff.vtmp", "notes.txt",
            ])
    }

    @Test func refusesWhatIsNoStoreAndWhatIsInUse() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/empty")
        #expect(throws: StoreError.self) { try StoreVerifier.verify(disk: disk, directory: "/empty") }
        #expect(throws: StoreError.self) { try StoreVerifier.verify(disk: disk, directory: "/nothing") }

        let folder = TemporaryFolder()
        let store = try Store.open(StoreOptions(path: folder.path), disk: PosixDisk())
        do {
            _ = try InspectionLock.take(disk: PosixDisk(), directory: folder.path)
            Issue.record("took the lock of an open store")
        } catch {
            #expect(error.kind == .inUse(getpid()))
        }
        try store.close()
        let lock = try InspectionLock.take(disk: PosixDisk(), directory: folder.path)
        #expect(lock != nil)
        #expect(throws: StoreError.self) { try Store.open(StoreOptions(path: folder.path), disk: PosixDisk()) }
        lock?.release()
        try Store.open(StoreOptions(path: folder.path), disk: PosixDisk()).close()
    }
}
