// The governor on a disk that fills up: writers slow down, then only deletes are taken, and what they give back opens
// the store again. And what a dropped namespace gives back.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct FullDiskTests {
    /// What the background does in about a second.
    private func second(_ fixture: GarbageFixture) throws {
        let store = fixture.store
        store.logManager.sealIfOld()
        do throws(StoreError) {
            while store.logManager.oldestSealed() != nil { try store.controller.flushOldest() }
            while try store.controller.mergeOnce() {}
        } catch {
            guard store.logManager.backgroundFailed(error) else { throw error }
        }
        try store.collectGarbage()
        store.janitor.drain()
    }

    @Test func theRateFallsEvenlyToTheReserve() {
        let total: UInt64 = 100 << 30
        let reserve = GarbageCollector.reserve(total, 64 << 20)
        #expect(reserve == 1 << 30)
        #expect(GarbageCollector.reserve(8 << 30, 64 << 20) == 256 << 20)
        #expect(GarbageCollector.writeRate(free: total / 20, total: total, reserve: reserve) == 0)
        var last = Int.max
        for step in 1...60 as ClosedRange<UInt64> {
            let rate = GarbageCollector.writeRate(
                free: total / 20 - step * (total / 1200), total: total, reserve: reserve)
            #expect(rate >= 1 && rate <= last)
            last = rate
        }
        #expect(last == 1)
        #expect(GarbageCollector.writeRate(free: 0, total: 0, reserve: 0) == 0)
    }

    @Test func aFullDiskTakesDeletesAndOpensAgain() throws {
        let disk = SimulatedDisk()
        disk.capacityBytes = 8 << 20
        var fixture = try GarbageFixture(disk) { $0.spaceTarget = 1.3 }
        var count = 0
        var rates: [UInt64] = []
        while true {
            do { try fixture.put("k\(count)", 4000) } catch Interruption.noSpace { break }
            count += 1
            if count % 10 == 0 {
                try second(fixture)
                rates.append(fixture.store.logManager.pace.figures.bytesPerSecond)
            }
            if count > 3000 { break }
        }
        #expect(count > 1000 && count < 2100)
        // First at full speed, then slowly.
        #expect(rates.first == 0 && rates.contains { $0 > 0 }, "\(rates)")
        guard case .deletesOnly = fixture.store.writeState else {
            Issue.record("\(fixture.store.writeState)")
            return
        }
        #expect(try fixture.value("k0") == fixture.model["k0"])
        try second(fixture)
        guard case .deletesOnly = fixture.store.writeState else {
            Issue.record("\(fixture.store.writeState)")
            return
        }
        for i in stride(from: 0, to: count, by: 2) { try fixture.delete("k\(i)") }
        for _ in 0..<20 { try second(fixture) }
        guard case .open = fixture.store.writeState else {
            Issue.record("\(fixture.store.writeState), \(fixture.store.collector.figures), \(rates)")
            return
        }
        #expect(fixture.store.logManager.pace.figures.bytesPerSecond == 0)
        try fixture.put("again", 4000)
        try fixture.expectAll("open again")
        try fixture.reopen()
        try fixture.expectAll("opened")
    }

    /// FLUSHDB in a store of small and large values: files and whole segments go, within two seconds' work and without
    /// a byte of them read.
    @Test func aDroppedNamespaceGivesItsSpaceBackAtOnce() throws {
        var fixture = try GarbageFixture {
            $0.spaceTarget = 1.3
            $0.segmentBytes = 256 << 10
        }
        for i in 0..<600 {
            try fixture.put("small\(i)", 40, namespace: 3)
            if i % 3 == 0 { try fixture.put("middle\(i)", 3000, namespace: 3) }
            if i % 20 == 0 { try fixture.put("large\(i)", 70_000, namespace: 3) }
            if i % 100 == 99 { try second(fixture) }
        }
        try fixture.put("other", 3000)
        let written = fixture.store.controller.counters.mergeBytesRead
        func taken(_ directory: String, _ suffix: String) throws -> Int {
            try fixture.disk.list(directory).filter { $0.hasSuffix(suffix) }.reduce(0) { sum, name in
                let file = try fixture.disk.open(directory + "/" + name, .readOnly)
                defer { file.close() }
                return try sum + file.allocatedBytes()
            }
        }
        #expect(try taken("/store/log", ".vseg") > 2 << 20)
        try fixture.deleteNamespace(3)
        for _ in 0..<2 { try second(fixture) }
        #expect(try taken("/store/tables", ".vsst") <= 16 << 10)
        // The one that is written, the next one, and that of the value that stays.
        #expect(try taken("/store/log", ".vseg") <= 3 * (256 << 10))
        #expect(fixture.store.controller.counters.mergeBytesRead <= written + (16 << 10))
        try fixture.expectAll("dropped")
        try fixture.reopen()
        try fixture.expectAll("opened again")
    }

    /// A published failure of others: a small hot set never fills a table, so nothing is ever flushed and no garbage is
    /// ever known (dgraph #3511). Here the log that a table leaves behind counts, and its age does.
    @Test func aSmallHotSetIsFlushedByItsLog() throws {
        var fixture = try GarbageFixture {
            $0.segmentBytes = 256 << 10
            $0.tableBytes = 64 << 20
            $0.replayBytesMax = 1 << 20
        }
        for round in 0..<200 {
            for i in 0..<4 { try fixture.put("hot\(i)", 3000, fill: UInt8(round)) }
            if round % 10 == 0 { try second(fixture) }
        }
        try second(fixture)
        #expect(fixture.store.controller.counters.flushes >= 2)
        #expect(fixture.store.log.segments.count <= 8)
        try fixture.expectAll("hot")
    }

    /// ... and a quiet store flushes what it has been holding for long, however little of a table that is.
    @Test func aQuietStoreFlushesItsLog() throws {
        var fixture = try GarbageFixture {
            $0.segmentBytes = 1 << 20
            $0.tableBytes = 64 << 20
        }
        for i in 0..<130 { try fixture.put("k\(i % 3)", 70_000, fill: UInt8(i)) }
        try second(fixture)
        #expect(fixture.store.controller.counters.flushes == 0)
        fixture.store.currentView().0.active.firstWriteTime = Monotonic.nanoseconds() - 301_000_000_000
        try second(fixture)
        #expect(fixture.store.controller.counters.flushes == 1)
        #expect(fixture.store.log.segments.count <= 3)
        try fixture.expectAll("quiet")
    }
}
