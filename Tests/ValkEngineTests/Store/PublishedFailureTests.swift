// Failures that other stores have published, each as a test whose name says it. Those that have a test elsewhere:
//
//   badger 2286, a deleted key reappears after the collector    RewriteTests.aDeletedKeyStaysDeleted
//   badger 2334, the active segment starves the collector       RewriteTests.theSegmentBeingWrittenStarvesNobody
//   badger 1068 and 1346, small values pin segments             RewriteTests.smallValuesDoNotPinSegments
//   badger 1302, a store grows by its deletes                   QuietDeletesTests.mostKeysDeletedGiveTheirSpaceBack
//   dgraph 3511, a small hot set is never flushed               FullDiskTests.aSmallHotSetIsFlushedByItsLog
//   the same of a store that nobody writes to                   FullDiskTests.aQuietStoreFlushesItsLog
//   rocksdb 10296, figures that say less than the disk holds    expectExactGarbage, in all scripts
//   rocksdb 9235, one live value keeps a file                   RewriteTests.liveValuesMoveAndAreRead
//   rocksdb 10399, no bound for the space that is used          SpaceBoundTests.randomOverwritesStayNearTheTarget
//   backups by hard links lose what the source punches          PunchTests, with links
//   log files with another life replay their old frames         LogRoundTripTests.deadSegmentsAreRecycledAndTheir…
//   stored values that look like frames (LevelDB's salvage)     LogDamageTests.aFrameInAStoredValueIsNotTakenForOne
//   rocksdb 10573, a lost name of a file that links to all      StoreCrashTests.forgottenSyncsAreNoticed
//   the same of a directory of backups                          BackupShelfTests
//   rocksdb 10185, false alarms of damage after a crash         StoreCrashTests.crashAfterEveryOperation
//   rocksdb 498, ssdb 1349, starts that open every file         LazyOpenTests.aStartOpensNoTable
//   kvrocks 494, fjall 115, queues whose head is all deletes    TriggerTests.aQueueWhoseHeadWasDeletedIsMerged…
//   splinterdb 368, 626, 628, a node splits under a job         TreeOrderTests, StoreThreadTests

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct PublishedFailureTests {
    private static func store(
        _ disk: any Disk, _ policy: SyncPolicy, _ change: (inout StoreOptions) -> Void = { _ in }
    ) throws -> Store {
        try TinyStore(disk) {
            $0.syncPolicy = policy
            change(&$0)
        }.store
    }

    /// Commits without waiting for anything.
    @discardableResult
    private static func put(_ store: Store, _ name: String, _ bytes: Int = 10) throws -> LogPosition {
        let batch = WriteBatch()
        return try Array(name.utf8).withView { key in
            try value(name, bytes).withView { value in
                batch.put(key, tag: 0, value: value, prior: .unknown)
                let position = try store.commit(batch, mayBlock: true)
                _ = try store.flushLog(position)
                return position
            }
        }
    }

    private static func value(_ name: String, _ bytes: Int) -> [UInt8] {
        [UInt8](repeating: Array(name.utf8).last ?? 0, count: bytes)
    }

    private static func get(_ store: Store, _ name: String) throws -> [UInt8]? { try get(store, Array(name.utf8)) }

    private static func get(_ store: Store, _ key: [UInt8]) throws -> [UInt8]? {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        return try key.withView { key -> [UInt8]? in
            guard let entry = try reader.find(key) else { return nil }
            return try reader.value(entry).array
        }
    }

    // MARK: Syncs

    /// "fsyncgate": the system forgets the pages whose sync failed, says yes to the next sync, and the store believes
    /// it. Here a failed sync is the log's last one: nothing is acknowledged any more.
    @Test func aFailedSyncIsNotRetriedAsSuccess() throws {
        let base = SimulatedDisk()
        let disk = FaultyDisk(base)
        let store = try Self.store(disk, .always)
        try store.waitForLog(try Self.put(store, "a"))
        disk.add(FaultRule([.sync], suffix: ".vseg", .lostPages))
        let batch = WriteBatch()
        Array("b".utf8).withView { batch.put($0, tag: 0, value: $0, prior: .unknown) }
        let position = try store.commit(batch, mayBlock: true)
        #expect(throws: Interruption.writesStopped) { try store.waitForLog(position) }
        #expect(disk.injected.count == 1)
        let syncs = disk.count(.sync)
        for _ in 0..<3 {
            #expect(throws: Interruption.writesStopped) { try store.waitForLog(position) }
            #expect(throws: StoreError.self) { try store.sync() }
            #expect(throws: Interruption.writesStopped) { try Self.put(store, "c") }
        }
        #expect(disk.count(.sync) == syncs && store.acknowledgedPosition < position)
        #expect(try Self.get(store, "a") == Self.value("a", 10))
        #expect(throws: StoreError.self) { try store.close() }
        let again = try Self.store(base.crashClone(seed: 1, policy: .dropAll), .always)
        #expect(try Self.get(again, "a") == Self.value("a", 10))
        #expect(try Self.get(again, "b") == nil && Self.get(again, "c") == nil)
    }

    enum NewFile: CaseIterable { case table, segment }

    /// The bytes of a new file were synced, its name was not (rocksdb 10573, titan 136).
    @Test(arguments: NewFile.allCases) func aNewFileKeepsItsName(file: NewFile) throws {
        let disk = SimulatedDisk()
        let store = try Self.store(disk, .always) { $0.segmentBytes = 64 << 10 }
        let names = (0..<8).map { "key\($0)" }
        for name in names { try store.waitForLog(try Self.put(store, name, file == .table ? 100 : 20_000)) }
        if file == .table { try store.flushTables() } else { #expect(store.log.segments.count >= 3) }
        let clone = try Self.store(disk.crashClone(seed: 1, policy: .dropAll), .always)
        #expect(clone.recoveryReport.missingTables == 0)
        for name in names { #expect(try Self.get(clone, name) == Self.get(store, name), "\(name)") }
    }

    // MARK: The end of the log

    /// Where the frames of some keys begin in the first segment, the end of the last one behind them.
    private struct Frames {
        let disk = SimulatedDisk()
        private(set) var starts = [LogFormat.segmentHeaderBytes]
        private(set) var path = ""

        /// `synced` of the frames are durable, and all later ones know it.
        init(_ names: [String], synced: Int) throws {
            let store = try PublishedFailureTests.store(disk, .everySecond)
            for (i, name) in names.enumerated() {
                if i == synced { try store.sync() }
                let end = try PublishedFailureTests.put(store, name)
                starts.append(LogFormat.aligned(Int(end.offset), 8))
                path = store.log.files.path(end.segment)
            }
            // The process ends here, without a word.
        }

        /// A copy of the disk with a bit of a frame flipped.
        func damaged(_ frame: Int) throws -> SimulatedDisk {
            let copy = disk.crashClone(seed: 1, policy: .keepAll)
            let file = try copy.open(path, .readWrite)
            defer { file.close() }
            let at = starts[frame] + LogFormat.frameHeaderBytes + 2
            try file.write([try file.read(1, at: at)[0] ^ 4], at: at)
            return copy
        }
    }

    /// After a kill the store refused to open without an option that "might lose data" (badger 434, 1353; jaeger 1832;
    /// oasis 2732), because nobody could tell a torn end from damage. Here the first opens by itself and is told, and
    /// the second is refused with its place, whatever is set.
    @Test func aTornTailIsCutAndDamageIsRefused() throws {
        let frames = try Frames(["a", "b", "c"], synced: 2)
        let torn = try Self.store(try frames.damaged(2), .everySecond)
        #expect(torn.recoveryReport.tornTail?.contains(frames.path) == true, "\(torn.recoveryReport)")
        #expect(try Self.get(torn, "b") != nil && Self.get(torn, "c") == nil)
        for frame in 0..<2 {
            let error = #expect(throws: StoreError.self) { try Self.store(try frames.damaged(frame), .everySecond) }
            #expect(error?.kind == .corruption && error?.path == frames.path)
            #expect(error?.offset == frames.starts[frame], "\(error.map { "\($0)" } ?? "") \(frames.starts)")
        }
    }

    /// A write that was missing before later ones was passed over, and the later ones were replayed (rocksdb 10560).
    @Test func aHoleInTheLogEndsIt() throws {
        let frames = try Frames(["a", "b", "c", "d"], synced: 1)
        let store = try Self.store(try frames.damaged(1), .everySecond)
        #expect(store.recoveryReport.tornTail != nil)
        #expect(try Self.get(store, "a") != nil)
        for name in ["b", "c", "d"] { #expect(try Self.get(store, name) == nil, "\(name)") }
        #expect(store.visibleSequence == 1)
    }

    /// Starts replayed the log from its beginning, hours of it, because nothing moved the place to begin (badger 676).
    @Test func aStartReplaysOnlyWhatIsNew() throws {
        let disk = SimulatedDisk()
        let store = try Self.store(disk, .everySecond) { $0.segmentBytes = 64 << 10 }
        for i in 0..<400 { try Self.put(store, "key\(i)", 500) }
        try store.flushTables()
        for i in 0..<3 { try Self.put(store, "key\(i)", 20) }
        try store.close()
        let again = try Self.store(disk, .everySecond) { $0.segmentBytes = 64 << 10 }
        #expect(again.recoveryReport.replayedRecords == 3)
        #expect(again.recoveryReport.replayedBytes < 1000, "\(again.recoveryReport)")
        #expect(try Self.get(again, "key2") == Self.value("key2", 20))
    }

    // MARK: The tree and the collector

    /// A merge dropped a tombstone although an older version of the key was still below it (badger 2143, 2278).
    @Test func aDeleteOutlivesWhatItHides() throws {
        let tiny = try TinyStore()
        try tiny.run(of: 0..<3000)
        try tiny.store.mergeAll()
        try tiny.settle()
        // Some runs that are merged with each other, above what was there before.
        var deleted: [Int] = []
        for round in 0..<6 {
            for n in stride(from: round, to: 3000, by: 97) {
                try tiny.delete(TinyStore.key(n))
                deleted.append(n)
            }
            try tiny.run(of: stride(from: 3000 + round * 50, to: 3050 + round * 50, by: 1))
            repeat {
                let alive = try deleted.filter { try Self.get(tiny.store, TinyStore.key($0)) != nil }
                #expect(alive == [], "in round \(round)")
            } while try tiny.controller.mergeOnce()
        }
        #expect(tiny.controller.counters.merges > 1)
        try tiny.store.mergeAll()
        #expect(try tiny.walk() == 3300 - deleted.count)
        #expect(tiny.deletes == 0)
    }

    /// Files that nothing needs any more were removed and stayed open, and the disk filled (kvrocks 2604, rocksdb
    /// 13066).
    @Test func removedFilesAreClosed() throws {
        let folder = TemporaryFolder()
        var fixture = try GarbageFixture(PosixDisk()) {
            $0.path = folder.file("store")
            $0.mergeWidth = 16
        }
        for round in 0..<3 {
            for i in stride(from: 0, to: 80, by: 1 + round) {
                try fixture.put("k\(i)", 3000, fill: UInt8(round))
                try fixture.put("small\(i)", 20, fill: UInt8(round))
            }
            try fixture.store.flushTables()
            // Opens what it reads.
            for i in 0..<80 { #expect(try fixture.value("k\(i)") != nil) }
            try fixture.store.mergeAll()
            try fixture.store.collectGarbage()
            fixture.store.janitor.drain()
        }
        let work = fixture.store.collector.counters.withLock { $0 }
        #expect(work.segmentsRewritten > 0)
        let open = openFiles(below: folder.path)
        #expect(open.contains { $0.hasSuffix(".vseg") } && open.contains { $0.hasSuffix(".vsst") }, "\(open)")
        #expect(open.filter { $0.hasSuffix(" (deleted)") } == [])
        try fixture.store.close()
    }

    /// What this process has open there, as the system names it.
    private func openFiles(below folder: String) -> [String] {
        // Servers of other tests may have thousands open meanwhile.
        (0..<65_536).compactMap { descriptor in
            var text = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/fd/\(descriptor)", &text, text.count)
            guard count > 0 else { return nil }
            let path = String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return path.hasPrefix(folder) ? path : nil
        }
    }

    /// Values that are only ever inserted were moved again and again because their files were old (rocksdb 11570).
    @Test func whatIsOnlyInsertedIsNeverMoved() throws {
        var fixture = try GarbageFixture()
        for round in 0..<4 {
            for i in 0..<40 { try fixture.put("k\(round).\(i)", 3000) }
            try fixture.store.flushTables()
            try fixture.store.mergeAll()
            try fixture.store.collectGarbage()
        }
        let work = fixture.store.collector.counters.withLock { $0 }
        #expect(work.segmentsRewritten == 0 && work.holes == 0, "\(work)")
        #expect(fixture.garbage.count >= 5)
        try fixture.expectAll("inserted")
    }
}
