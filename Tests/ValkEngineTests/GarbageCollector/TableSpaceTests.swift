// What newer versions hide in the tables themselves is bounded like garbage of the log: values that lie in the tables
// are overwritten in random order, and at the end of each pass the tables hold little more than what is live.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct TableSpaceTests {
    private static let keys = 4000
    private static let valueBytes = 100

    private func makeFixture(_ disk: SimulatedDisk = SimulatedDisk()) throws -> GarbageFixture {
        try GarbageFixture(disk) {
            $0.tableBytes = 48 << 10
            $0.tableFileBytes = 32 << 10
            $0.pushBytes = 64 << 10
            $0.leafBytes = 128 << 10
            $0.jobBytes = 96 << 10
            $0.mergeWidth = 8
            $0.fanOut = 8
            $0.blockBytes = 1024
            $0.segmentBytes = 64 << 10
            $0.spaceTarget = 1.3
        }
    }

    /// What the threads would do. Every flush is followed by a look of the governor.
    private func work(_ fixture: GarbageFixture, collects: Bool = true) throws {
        while fixture.store.logManager.oldestSealed() != nil {
            try fixture.store.controller.flushOldest()
            while try fixture.store.controller.mergeOnce() {}
            if collects { try fixture.store.collectGarbage() }
        }
    }

    private func fill(_ fixture: inout GarbageFixture, collects: Bool = true) throws {
        for i in 0..<Self.keys {
            try fixture.put("key:\(10_000 + i)", Self.valueBytes)
            try work(fixture, collects: collects)
        }
    }

    private func overwrite(_ fixture: inout GarbageFixture, _ random: inout SeededRandom, collects: Bool = true) throws
    {
        for _ in 0..<Self.keys {
            try fixture.put("key:\(10_000 + random.below(Self.keys))", Self.valueBytes, fill: UInt8(random.below(256)))
            try work(fixture, collects: collects)
        }
    }

    /// Bytes of all tables over those of the live entries, both as tables hold them.
    private func amplification(_ store: Store) -> Double {
        let tables = store.controller.state.tables.values
        let entries = tables.reduce(0) { $0 + $1.entries }
        return Double(entries) / Double(Self.keys)
    }

    @Test func randomOverwritesHideLittle() throws {
        var random = SeededRandom(seed: TestSeed("TableSpaceTests.randomOverwritesHideLittle").value)
        var fixture = try makeFixture()
        try fill(&fixture)
        let filled = fixture.store.controller.counters
        // Keys that are new hide nothing: no merge is made for space.
        #expect(fixture.store.controller.overlap.ratio < 0.1)
        #expect(filled.entriesDropped == 0)
        for pass in 1...3 {
            try overwrite(&fixture, &random)
            let found = amplification(fixture.store)
            #expect(found <= 1.45, "pass \(pass)")
        }
        #expect(fixture.store.controller.overlap.ratio > 0.7)
        let after = fixture.store.controller.counters
        let merged = after.mergeBytesWritten - filled.mergeBytesWritten
        let flushed = after.flushBytesWritten - filled.flushBytesWritten
        #expect(merged < 8 * flushed, "\(merged) bytes merged for \(flushed)")
        try fixture.expectAll("overwritten")
        #expect(fixture.store.root.fault() == nil)
        expectExactGarbage(fixture.store, "overwritten")
    }

    /// After a start nothing has been written yet that could tell: some blocks of the tables do.
    @Test func whatIsHiddenIsFoundOutAfterAStart() throws {
        var random = SeededRandom(seed: TestSeed("TableSpaceTests.whatIsHiddenIsFoundOutAfterAStart").value)
        var fixture = try makeFixture()
        try fill(&fixture, collects: false)
        try fixture.reopen()
        try fixture.store.controller.sampleTree()
        #expect(fixture.store.controller.overlap.ratio < 0.1)
        try overwrite(&fixture, &random, collects: false)
        let before = amplification(fixture.store)
        #expect(before > 1.5)
        try fixture.reopen()
        try fixture.store.collectGarbage()
        #expect(fixture.store.controller.overlap.ratio > 0.7)
        let after = amplification(fixture.store)
        #expect(after <= 1.45)
        try fixture.expectAll("opened again")
    }
}
