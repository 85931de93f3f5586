// A flush names dead what its entries hide in the tree; merges do not name it again, and nobody who may still look at
// it loses it.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct PriorSearchTests {
    /// 100 values of 3,000 bytes in the tree, and over them an overwrite of every other one and two deletes, flushed.
    private func overwritten(_ between: (GarbageFixture) throws -> Void = { _ in }) throws -> GarbageFixture {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<100 { try fixture.put("k\(i)", 3000) }
        try fixture.store.flushTables()
        try between(fixture)
        for i in stride(from: 0, to: 100, by: 2) { try fixture.put("k\(i)", 3000, fill: 5) }
        try fixture.delete("k1")
        try fixture.delete("k3")
        try fixture.put("new", 3000)
        try fixture.store.flushTables()
        return fixture
    }

    private func expectClean(_ fixture: GarbageFixture) throws {
        try fixture.store.close()
        let report = try StoreVerifier.verify(disk: fixture.disk, directory: "/store")
        #expect(report.errorCount == 0, "\(report.findings)")
    }

    @Test func aFlushNamesWhatItHides() throws {
        var fixture = try overwritten()
        #expect(fixture.deadCount == 52)
        try fixture.expectAll("flushed")
        let hidden = fixture.store.controller.structure.withLock { fixture.store.controller.hiddenBytes }
        #expect(hidden.values == 0)
        #expect(hidden.tables > 0)
        try fixture.store.mergeAll()
        #expect(fixture.deadCount == 52)
        try fixture.expectAll("merged")
        try fixture.reopen()
        #expect(fixture.deadCount == 52)
        try fixture.expectAll("opened again")
        try expectClean(fixture)
    }

    /// What was named is collected while tables still have it; merges and verification pass it by.
    @Test func namedValuesAreCollectedBeforeAnyMerge() throws {
        var fixture = try overwritten()
        let merges = fixture.store.controller.counters.merges
        try fixture.store.collectGarbage()
        #expect(fixture.store.controller.counters.merges == merges)
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
        try fixture.expectAll("collected")
        let explained = try KeyExplanation.explain(
            disk: fixture.disk, directory: "/store", key: GarbageFixture.key("k2"))
        #expect(explained.versions.map(\.isNamedDead) == [false, true])
        #expect(explained.versions.allSatisfy { $0.fault == nil })
        try fixture.reopen()
        try fixture.store.mergeAll()
        try fixture.expectAll("merged")
        try fixture.store.collectGarbage()
        try fixture.expectAll("collected again")
        try expectClean(fixture)
    }

    /// A segment of which nothing is live any more gives its space back although tables point into it.
    @Test func aSegmentThatIsAllDeadShrinks() throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<300 { try fixture.put("k\(i)", 3000) }
        try fixture.store.flushTables()
        for i in 0..<300 { try fixture.put("k\(i)", 3000, fill: 5) }
        try fixture.store.flushTables()
        let allDead = fixture.garbage.filter { $0.value.liveBytes == 0 }.keys
        #expect(!allDead.isEmpty)
        try fixture.store.collectGarbage()
        fixture.store.janitor.drain()
        for segment in allDead {
            let known = fixture.garbage[segment]
            #expect(known == nil || known?.valueCount == 0, "\(segment)")
            #expect(try fixture.store.log.files.size(segment) <= 8192, "\(segment)")
        }
        try fixture.expectAll("collected")
        try fixture.reopen()
        try fixture.expectAll("opened again")
        try expectClean(fixture)
    }

    /// Whoever looks at the store as it was before the flush reads what the flush has named.
    @Test func olderViewsKeepWhatWasNamed() throws {
        var snapshot: StoreReader?
        let fixture = try overwritten { fixture in
            snapshot = StoreReader(fixture.store, mayBlock: true)
            snapshot?.begin()
        }
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.allSatisfy { $0.generation == 0 })
        for i in 0..<100 {
            let found = try GarbageFixture.key("k\(i)").withView { k -> [UInt8]? in
                guard let reader = snapshot, let entry = try reader.find(k) else { return nil }
                return try reader.value(entry).array
            }
            #expect(found?.count == 3000 && found?.first == 1, "k\(i)")
        }
        snapshot = nil
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
        try fixture.expectAll("without a snapshot")
    }

    /// A version that names another's value and one that a range deletion takes both away: the value is named twice,
    /// once with its file still there or once with a file that has it no more.
    @Test(arguments: [false, true]) func namedTwiceIsDeadOnce(collectsBetween: Bool) throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<100 {
            try fixture.put("k\(i)", 3000)
            try fixture.put("k\(i)", 3000, namespace: 2)
        }
        try fixture.store.flushTables()
        for i in 0..<100 where i % 2 == 0 { try fixture.put("k\(i)", 3000, fill: 5, namespace: 2) }
        try fixture.store.flushTables()
        #expect(fixture.deadCount == 50)
        if collectsBetween { try fixture.store.collectGarbage() }
        try fixture.deleteNamespace(2)
        try fixture.store.flushTables()
        for _ in 0..<4 { try fixture.store.collectGarbage() }
        try fixture.store.mergeAll()
        for _ in 0..<4 { try fixture.store.collectGarbage() }
        try fixture.expectAll("collected", mayRepeat: true)
        #expect(fixture.store.spaceStatistics.work.rewritesFailed == 0)
        let live = fixture.garbage.values.reduce(0) { $0 + $1.valueCount } - fixture.deadCount
        #expect(live == 100)
        try fixture.reopen()
        try fixture.expectAll("opened again", mayRepeat: true)
        try expectClean(fixture)
    }

    /// Where hardly anything is hidden nothing is searched, and the merge names what there is.
    @Test func aFewOverwritesAreLeftToTheMerge() throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<600 { try fixture.put("a\(i)", 3000) }
        try fixture.store.flushTables()
        for round in 0..<2 {
            for i in 0..<300 { try fixture.put("b\(round)-\(i)", 3000) }
            try fixture.put("a7", 3000, fill: UInt8(5 + round))
            try fixture.store.flushTables()
        }
        #expect(fixture.deadCount == 0)
        try fixture.store.mergeAll()
        #expect(fixture.deadCount == 2)
        try fixture.expectAll("merged")
    }
}
