// Holes in segments: dead values give their blocks back where they lie, and everything else is read as before, also by
// those who look at a store from outside.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct PunchTests {
    private static let bytes = 70_000
    private static let count = 60

    /// Sealed segments of which every third value is dead.
    private func partlyDead(_ disk: any Disk, _ change: (inout StoreOptions) -> Void = { _ in }) throws
        -> GarbageFixture
    {
        var fixture = try GarbageFixture(disk) {
            $0.mergeWidth = 16
            $0.segmentBytes = 1 << 20
            $0.spaceTarget = 1.3
            change(&$0)
        }
        for i in 0..<Self.count { try fixture.put("k\(i)", Self.bytes) }
        try fixture.store.flushTables()
        try overwrite(&fixture, every: 3, fill: 5)
        return fixture
    }

    private func overwrite(_ fixture: inout GarbageFixture, every: Int, fill: UInt8) throws {
        for i in stride(from: 0, to: Self.count, by: every) { try fixture.put("k\(i)", Self.bytes, fill: fill) }
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
    }

    private func work(_ fixture: GarbageFixture) -> GarbageCounters {
        fixture.store.collector.counters.withLock { $0 }
    }

    private func allocated(_ fixture: GarbageFixture) throws -> Int {
        let checkpoint = fixture.store.controller.state.checkpoint.position.segment
        return try fixture.disk.list("/store/log").reduce(0) { sum, name in
            guard let (segment, _) = LogFormat.parseSegmentName(name), segment < checkpoint else { return sum }
            let file = try fixture.disk.open("/store/log/" + name, .readOnly)
            defer { file.close() }
            return try sum + file.allocatedBytes()
        }
    }

    private func expectSound(_ disk: any Disk, _ path: String = "/store") throws {
        let report = try StoreVerifier.verify(disk: disk, directory: path)
        #expect(report.errorCount == 0, "\(report.findings)")
    }

    @Test func largeDeadValuesBecomeHoles() throws {
        var fixture = try partlyDead(SimulatedDisk())
        let before = try allocated(fixture)
        try fixture.store.collectGarbage()
        let done = work(fixture)
        #expect(done.segmentsPunched >= 3 && done.holes >= 9 && done.segmentsRewritten == 0, "\(done)")
        #expect(try allocated(fixture) <= before - Int(done.holes) * 65_536)
        #expect(fixture.garbage.values.allSatisfy { $0.generation == 0 })
        #expect(fixture.garbage.values.filter { $0.known != nil }.count == Int(done.segmentsPunched))
        try fixture.expectAll("punched")
        // Neighbours of holes die: the holes grow, and nothing is punched twice.
        try overwrite(&fixture, every: 4, fill: 6)
        try fixture.store.collectGarbage()
        #expect(work(fixture).holes > done.holes && work(fixture).segmentsRewritten == 0)
        let settled = work(fixture)
        try fixture.store.collectGarbage()
        #expect(work(fixture) == settled)
        try fixture.expectAll("punched again")
        try fixture.reopen()
        try fixture.expectAll("opened again")
        try fixture.store.collectGarbage()
        #expect(work(fixture).segmentsRewritten == 0)
        try fixture.store.close()
        try expectSound(fixture.disk)
    }

    /// What the walks of tools, scrubs and salvage make of it, and a rewrite.
    @Test func segmentsWithHolesAreStillSegments() throws {
        var fixture = try partlyDead(SimulatedDisk())
        try fixture.store.collectGarbage()
        let holed = fixture.garbage.filter { $0.value.known != nil }.keys.sorted()
        let punched = try #require(fixture.garbage.first { $0.value.known != nil })
        fixture.store.scrubber.round(paced: false)
        #expect(fixture.store.scrubber.figures.totalErrors == 0, "\(fixture.store.scrubber.figures.lastDamage)")
        var walk = try SegmentWalk(disk: fixture.disk, path: fixture.store.log.files.path(punched.key))
        try walk.run()
        #expect(walk.isLoose && UInt64(walk.summary.valueRecords) == punched.value.valueCount)
        let report = try Salvage.run(disk: fixture.disk, directory: "/store", to: "/rescued")
        #expect(report.lost.isEmpty && report.keys == Self.count)
        // Nothing is punched any more: the next rung finds its way.
        fixture.store.collector.mayPunch = false
        try overwrite(&fixture, every: 2, fill: 7)
        try fixture.store.collectGarbage()
        let rewritten = holed.compactMap { fixture.garbage[$0] }.filter { $0.generation == 1 && $0.known == nil }
        #expect(!rewritten.isEmpty, "\(fixture.garbage)")
        try fixture.expectAll("rewritten")
        // And holes in what was rewritten.
        fixture.store.collector.mayPunch = true
        fixture.store.collector.judged = [:]
        for i in 0..<Self.count where i % 5 != 0 { try fixture.put("k\(i)", Self.bytes, fill: 8) }
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        try fixture.store.collectGarbage()
        try fixture.expectAll("all rungs")
        try fixture.reopen()
        try fixture.expectAll("opened again")
        try fixture.store.close()
        try expectSound(fixture.disk)
    }

    /// Damage beside a hole is damage.
    @Test func damageIsToldFromHoles() throws {
        let fixture = try partlyDead(SimulatedDisk())
        try fixture.store.collectGarbage()
        let punched = try #require(fixture.garbage.first { $0.value.known != nil })
        let offset = try #require(punched.value.known.flatMap { DiscardChunk.decode($0) }?.first)
        let path = fixture.store.log.files.path(punched.key)
        try fixture.store.close()
        try expectSound(fixture.disk)
        let file = try fixture.disk.open(path, .readWrite)
        let byte = try file.read(1, at: Int(offset) + 500)
        try file.write([byte[0] ^ 1], at: Int(offset) + 500)
        let report = try StoreVerifier.verify(disk: fixture.disk, directory: "/store")
        #expect(report.errorCount > 0)
    }

    @Test func viewsHoldHolesBack() throws {
        var fixture = try GarbageFixture(SimulatedDisk()) {
            $0.mergeWidth = 16
            $0.segmentBytes = 1 << 20
        }
        for i in 0..<Self.count { try fixture.put("k\(i)", Self.bytes) }
        try fixture.store.flushTables()
        let old = fixture.model
        var snapshot: StoreReader? = StoreReader(fixture.store, mayBlock: true)
        snapshot?.begin()
        try overwrite(&fixture, every: 2, fill: 5)
        try fixture.store.collectGarbage()
        #expect(work(fixture).holes == 0)
        for (name, value) in old {
            let found = try GarbageFixture.key(name).withView { k -> [UInt8]? in
                guard let reader = snapshot, let entry = try reader.find(k) else { return nil }
                return try reader.value(entry).array
            }
            #expect(found == value, "\(name)")
        }
        snapshot = nil
        try fixture.store.collectGarbage()
        #expect(work(fixture).holes > 0)
        try fixture.expectAll("without")
    }

    /// A published failure of others: a backup of hard links lost what was punched in the source afterwards.
    @Test func aBackupOfLinksIsNotPunched() throws {
        var fixture = try partlyDead(SimulatedDisk())
        let model = fixture.model
        try fixture.store.backup(to: "/backup")
        try fixture.store.collectGarbage()
        #expect(work(fixture).holes == 0)
        #expect(work(fixture).segmentsRewritten > 0)
        try fixture.expectAll("shared")
        try expectSound(fixture.disk, "/backup")
        // One taken of segments with holes, by links and by copies, before and after more of them.
        try overwrite(&fixture, every: 4, fill: 9)
        try fixture.store.collectGarbage()
        var copying = BackupOptions()
        copying.links = false
        copying.verifiesAll = true
        try fixture.store.backup(to: "/copy", copying)
        try fixture.store.backup(to: "/links")
        try overwrite(&fixture, every: 3, fill: 10)
        try fixture.store.collectGarbage()
        for name in ["/backup", "/copy", "/links"] { try expectSound(fixture.disk, name) }
        var options = fixture.options
        options.path = "/backup"
        let restored = try Store.open(options, disk: fixture.disk)
        let reader = StoreReader(restored, mayBlock: true)
        reader.begin()
        for (name, value) in model {
            let found = try GarbageFixture.key(name).withView { k in
                try reader.find(k).map { try reader.value($0).array }
            }
            #expect(found == value, "\(name)")
        }
        reader.end()
    }

    @Test func fileSystemsWithoutHolesAreAskedOnce() throws {
        let base = SimulatedDisk()
        let disk = FaultyDisk(base, rules: [FaultRule([.punch], forever: true, .error(95))])
        let fixture = try partlyDead(disk)
        try fixture.store.collectGarbage()
        try fixture.store.collectGarbage()
        let done = work(fixture)
        #expect(done.punchingIsUnsupported && done.holes == 0 && done.punchesFailed == 0)
        #expect(disk.injected.count == 1)
        #expect(done.segmentsRewritten >= 3)
        try fixture.expectAll("rewritten instead")
    }

    @Test func aHoleThatCannotBeMadeIsNoFault() throws {
        let disk = FaultyDisk(SimulatedDisk(), rules: [FaultRule([.punch], nth: 2, .io)])
        let fixture = try partlyDead(disk)
        try fixture.store.collectGarbage()
        #expect(work(fixture).punchesFailed == 1 && work(fixture).holes > 3)
        try fixture.expectAll("one failed")
        if case .open = fixture.store.writeState {} else { Issue.record("\(fixture.store.writeState)") }
        try fixture.store.close()
        try expectSound(disk)
    }

    /// The edit is there and the holes are not, or not all of them, or not for good: the next start makes them, also
    /// when it crashes as well.
    @Test func holesThatACrashPreventedAreMadeLater() throws {
        let disk = SimulatedDisk()
        let fixture = try partlyDead(disk)
        nonisolated(unsafe) var clones: [SimulatedDisk] = []
        disk.onOperation = { [unowned disk] operation in
            guard clones.count < 12, let last = disk.recentOperations.last else { return }
            if last.contains("punch") || last.contains("sync /store/MANIFEST") {
                let policies: [CrashPolicy] = [.keepAll, .dropAll, .random]
                clones.append(disk.crashClone(seed: UInt64(operation), policy: policies[clones.count % 3]))
            }
        }
        try fixture.store.collectGarbage()
        disk.onOperation = nil
        let done = work(fixture)
        #expect(clones.count == 12 && done.segmentsRewritten == 0)
        let wanted = try allocated(fixture)
        var options = fixture.options
        options.path = "/store"
        for (i, clone) in clones.enumerated() {
            let again = clone.crashClone(seed: 1, policy: .keepAll)
            again.crashAt(operation: again.operationCount + 8 + i)
            do {
                let store = try Store.open(options, disk: again)
                try store.collectGarbage()
            } catch {}
            let last = again.crashClone(seed: UInt64(i), policy: .random)
            let store = try Store.open(options, disk: last)
            try store.collectGarbage()
            #expect(store.collector.counters.withLock { $0.segmentsRewritten } == 0, "\(i)")
            let other = fixture.other(store, last)
            try other.expectAll("clone \(i)")
            #expect(try allocated(other) <= wanted, "\(i)")
            try store.close()
            try expectSound(last)
        }
    }

    /// The tests above must notice holes that are made before their edit is durable.
    @Test func aForgottenSyncOfTheEditIsNoticed() throws {
        let disk = SimulatedDisk()
        let fixture = try partlyDead(disk)
        var mutation = SimulatedDisk.Mutation()
        mutation.ignoresSync = { $0.contains("/MANIFEST-") }
        disk.mutation = mutation
        nonisolated(unsafe) var failures = 0
        disk.onOperation = { [unowned disk] operation in
            guard failures == 0, disk.recentOperations.last?.contains("punch") == true else { return }
            for seed in 0..<8 as Range<UInt64> where failures == 0 {
                let clone = disk.crashClone(seed: seed, policy: .random)
                clone.mutation = .none
                let report = try? StoreVerifier.verify(disk: clone, directory: "/store")
                if report?.errorCount != 0 { failures += 1 }
            }
        }
        try fixture.store.collectGarbage()
        #expect(failures > 0 && disk.ignoredSyncCount > 0)
    }
}
