// Backups of stores that serve: what is in them, what is shared, and that neither side ever harms the other.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct BackupTests {
    /// A script's store, alive, with the state that it holds.
    private static func alive(
        _ disk: any Disk, seed: UInt64, steps: Int = 40
    ) throws -> (store: Store, promises: StorePromises) {
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: .everySecond, seed: seed)
        try script.run(lives: 1, steps: steps)
        let store = try StoreScript.open(disk, .everySecond)
        promises.restart(at: try #require(promises.count(upTo: store.visibleSequence)))
        return (store, promises)
    }

    private static func put(_ store: Store, _ number: Int, _ bytes: Int, _ state: inout [[UInt8]: ModelValue]) throws {
        let key: [UInt8] = [0, 0, 0, 1, 7] + Array("key:\(number % 24)".utf8)
        let value = ModelValue(tag: 1, expireAt: 0, bytes: [UInt8](repeating: UInt8(number % 251), count: bytes))
        let batch = WriteBatch()
        try key.withView { k in
            try value.bytes.withView {
                batch.put(k, tag: 1, value: $0, prior: .unknown)
                _ = try store.flushLog(try store.commit(batch, mayBlock: true))
            }
        }
        state[key] = value
    }

    @Test func backupHoldsTheMomentAndNothingLater() throws {
        let seed = TestSeed("BackupTests.backupHoldsTheMoment").value
        let disk = SimulatedDisk()
        let (store, promises) = try BackupTests.alive(disk, seed: seed)
        let moment = promises.state
        let report = try store.backup(to: "/backup")
        #expect(report.linkedFiles > 0)
        var later = moment
        for number in 0..<200 { try BackupTests.put(store, number, 700, &later) }
        try store.flushTables()
        try store.mergeAll()
        store.janitor.drain()
        expectState(store, later, "the source goes on")
        #expect(try StoreVerifier.verify(disk: disk, directory: "/backup").findings.map(\.description) == [])

        let copy = try StoreScript.open(disk, .everySecond, at: "/backup")
        expectState(copy, moment, "the backup")
        expectCounts(copy, moment, "the backup")
        try copy.close()
        try store.close()
        #expect(try StoreVerifier.verify(disk: disk, directory: "/store").isSound)
    }

    /// A backup that is used as a store goes its own way, and so does the source: files that both have are changed by
    /// neither.
    @Test func bothSidesGoOnByThemselves() throws {
        let seed = TestSeed("BackupTests.bothSides").value
        let disk = SimulatedDisk()
        var (store, promises) = try BackupTests.alive(disk, seed: seed)
        var random = SeededRandom(seed: seed)
        try store.backup(to: "/backup")
        var copy = try StoreScript.open(disk, .everySecond, at: "/backup")
        var states = [promises.state, promises.state]
        for round in 0..<6 {
            for (i, one) in [store, copy].enumerated() {
                for _ in 0..<60 {
                    try BackupTests.put(one, random.below(1000), [10, 100, 2000, 9000][random.below(4)], &states[i])
                }
                try one.flushTables()
                if random.oneIn(2) { try one.mergeAll() }
                one.janitor.drain()
            }
            expectState(store, states[0], "the source in round \(round)")
            expectState(copy, states[1], "the backup in round \(round)")
            try store.close()
            try copy.close()
            for path in ["/store", "/backup"] {
                let report = try StoreVerifier.verify(disk: disk, directory: path)
                if !report.isSound { Issue.record("\(path) in round \(round): \(report.findings)") }
            }
            store = try StoreScript.open(disk, .everySecond)
            copy = try StoreScript.open(disk, .everySecond, at: "/backup")
        }
        withExtendedLifetime((store, copy)) {}
    }

    @Test func copiesWhereLinksDoNotWork() throws {
        let base = SimulatedDisk()
        let (store, promises) = try BackupTests.alive(base, seed: 3)
        try store.close()
        let disk = FaultyDisk(base, rules: [FaultRule([.link], forever: true, .error(95))])
        let again = try StoreScript.open(disk, .everySecond)
        let report = try again.backup(to: "/backup")
        #expect(report.linkedFiles == 0 && report.copiedFiles > 2)
        try again.close()
        let copy = try StoreScript.open(base, .everySecond, at: "/backup")
        expectState(copy, promises.state, "the copied backup")
    }

    @Test func refusesPlacesThatAreTaken() throws {
        let disk = SimulatedDisk()
        let (store, _) = try BackupTests.alive(disk, seed: 4)
        try disk.createDirectory("/full")
        try disk.writeFile("/full/x", [1])
        for path in ["/full", "/store", "/store/tables", "/store/log/x", "/missing/backup"] {
            let error = #expect(throws: StoreError.self) { try store.backup(to: path) }
            #expect(error?.kind == (path.hasPrefix("/missing") ? .disk : .invalid))
        }
        #expect(try disk.list("/full") == ["x"])
        // Empty is good enough, and so is what an earlier try has left.
        try disk.createDirectory("/empty")
        try disk.createDirectory("/empty.partial")
        try disk.createDirectory("/empty.partial/tables")
        try disk.writeFile("/empty.partial/tables/0000000000000001.vsst", [1])
        try store.backup(to: "/empty/")
        #expect(try StoreVerifier.verify(disk: disk, directory: "/empty").isSound)
        // An empty store has backups too.
        let bare = try StoreScript.open(disk, .everySecond, at: "/bare")
        try bare.backup(to: "/bare-backup")
        let copy = try StoreScript.open(disk, .everySecond, at: "/bare-backup")
        expectState(copy, [:], "the backup of an empty store")
    }

    @Test func givenUpItLeavesNothing() throws {
        let disk = SimulatedDisk()
        let (store, promises) = try BackupTests.alive(disk, seed: 5)
        var options = BackupOptions()
        options.isCancelled = { true }
        #expect(throws: StoreError.self) { try store.backup(to: "/backup", options) }
        #expect(try disk.list("/").sorted() == ["store"])
        expectState(store, promises.state, "after a backup that was given up")
    }

    /// Damage in a table's footer or in the log's tail is found before the backup has its name; damage elsewhere when
    /// everything is verified.
    @Test func damagedFilesMakeNoBackup() throws {
        let base = SimulatedDisk()
        let (store, _) = try BackupTests.alive(base, seed: 6)
        try store.flushTables()
        let table = try #require(store.root.runs.first?.fragments.first).file.table.path
        let file = try base.open(table, .readWrite)
        let byte = try file.read(1, at: 10)
        try file.write([byte[0] ^ 1], at: 10)
        var options = BackupOptions()
        options.verifiesAll = true
        let error = #expect(throws: StoreError.self) { try store.backup(to: "/backup", options) }
        #expect(error?.kind == .corruption)
        let size = try file.size()
        let last = try file.read(1, at: size - 20)
        try file.write([last[0] ^ 1], at: size - 20)
        #expect(throws: StoreError.self) { try store.backup(to: "/backup") }
        #expect(try base.list("/").sorted() == ["store"])
    }

    /// A directory that nobody uses, also one that a crash has left.
    @Test func backupOfADirectoryAtRest() throws {
        let seed = TestSeed("BackupTests.backupOfADirectoryAtRest").value
        let disk = SimulatedDisk()
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: .always, seed: seed)
        try script.run(lives: 2, steps: 25)
        script.abandon()
        let clone = disk.crashClone(seed: seed, policy: .torn)
        let plan = try BackupPlan(disk: clone, directory: "/store")
        var options = BackupOptions()
        options.verifiesAll = true
        _ = try BackupWriter.write(clone, plan, to: "/backup", options)
        let source = try StoreScript.open(clone, .always)
        let copy = try StoreScript.open(clone, .always, at: "/backup")
        #expect(source.visibleSequence == copy.visibleSequence)
        let found = try #require(promises.count(upTo: copy.visibleSequence))
        #expect(found >= promises.durable)
        expectState(copy, promises.states[found], "the backup at rest")
    }
}
