// Keys that were deleted give their space back also when nobody writes any more and the deletes fill no table.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct QuietDeletesTests {
    /// What the threads do in a second without writes.
    private func second(_ store: Store) throws {
        store.logManager.sealIfOld()
        while store.logManager.oldestSealed() != nil { try store.controller.flushOldest() }
        while try store.controller.mergeOnce() {}
        try store.collectGarbage()
        store.janitor.drain()
    }

    @Test func mostKeysDeletedGiveTheirSpaceBack() throws {
        var fixture = try GarbageFixture { $0.deletesEntriesMin = 100 }
        for i in 0..<600 { try fixture.put("k\(i)", 3000) }
        try fixture.store.flushTables()
        try second(fixture.store)
        for i in 0..<600 where i % 10 != 0 { try fixture.delete("k\(i)") }
        for _ in 0..<4 { try second(fixture.store) }
        let figures = fixture.store.collector.figures
        let live = 60 * DiscardList.recordBytes(keyBytes: 9, valueBytes: 3000)
        // Segments are small here: the two blocks of each that are no values count.
        #expect(figures.allocatedBytes - figures.segments * 2 * LogFormat.blockBytes <= live * 3 / 2, "\(figures)")
        #expect(figures.referencedBytes <= live)
        try fixture.expectAll("deleted")
    }

    /// Few deletes among many entries are not worth two syncs.
    @Test func fewDeletesWait() throws {
        var fixture = try GarbageFixture { $0.deletesEntriesMin = 10 }
        for i in 0..<600 { try fixture.put("k\(i)", 300) }
        try fixture.store.flushTables()
        try second(fixture.store)
        let flushes = fixture.store.controller.counters.flushes
        for i in 0..<20 { try fixture.delete("k\(i)") }
        for _ in 0..<4 { try second(fixture.store) }
        #expect(fixture.store.controller.counters.flushes == flushes)
    }
}
