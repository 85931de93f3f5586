// Segments that are rewritten under their own number: everything that was live is read as before, by everybody, and
// what was dead gives its space back.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct RewriteTests {
    /// Several sealed segments of which every other value is dead.
    private func halfDead(_ bytes: Int = 3000) throws -> GarbageFixture {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        let count = 400_000 / bytes
        for i in 0..<count { try fixture.put("k\(i)", bytes) }
        try fixture.store.flushTables()
        for i in stride(from: 0, to: count, by: 2) { try fixture.put("k\(i)", bytes, fill: 5) }
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        return fixture
    }

    @Test(arguments: [300, 3000, 12_000]) func liveValuesMoveAndAreRead(bytes: Int) throws {
        var fixture = try halfDead(bytes)
        try fixture.expectAll("before")
        let generationsBefore = fixture.garbage.values.map(\.generation)
        #expect(generationsBefore.allSatisfy { $0 == 0 })
        try fixture.store.collectGarbage()
        let rewritten = fixture.garbage.filter { $0.value.generation == 1 }
        #expect(rewritten.count >= 3)
        for known in rewritten.values { #expect(known.deadCount == 0) }
        try fixture.expectAll("after")
        // The old files have gone, the new ones are smaller.
        fixture.store.janitor.drain()
        let names = try fixture.disk.list("/store/log").compactMap { LogFormat.parseSegmentName($0) }
        for segment in rewritten.keys { #expect(!names.contains { $0.segment == segment && $0.generation == 0 }) }
        try fixture.reopen()
        try fixture.expectAll("opened again")
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
        // And once more.
        for i in 0..<(400_000 / bytes) where i % 3 == 1 { try fixture.put("k\(i)", bytes, fill: 6) }
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        try fixture.store.collectGarbage()
        #expect(bytes > 3000 || fixture.garbage.values.contains { $0.generation == 2 })
        try fixture.expectAll("twice")
        try fixture.store.close()
        let report = try StoreVerifier.verify(disk: fixture.disk, directory: "/store")
        #expect(report.errorCount == 0, "\(report.findings)")
    }

    /// A snapshot from before reads what is dead for all others, also when it reads for the first time after a rewrite.
    @Test func snapshotsReadWhatTheyShow() throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<100 { try fixture.put("k\(i)", 3000) }
        try fixture.store.flushTables()
        let old = fixture.model
        var snapshot: StoreReader? = StoreReader(fixture.store, mayBlock: true)
        snapshot?.begin()
        for i in stride(from: 0, to: 100, by: 2) { try fixture.put("k\(i)", 3000, fill: 5) }
        try fixture.delete("k1")
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.allSatisfy { $0.generation == 0 })
        for (name, value) in old {
            let found = try GarbageFixture.key(name).withView { k -> [UInt8]? in
                guard let reader = snapshot, let entry = try reader.find(k) else { return nil }
                return try reader.value(entry).array
            }
            #expect(found == value, "\(name)")
        }
        try fixture.expectAll("with a snapshot")
        snapshot = nil
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
        try fixture.expectAll("without")
    }

    /// A published failure of others: what was deleted while the collector moved it came back. Here a rewrite that
    /// began before the delete moves the record, and the delete holds all the same.
    @Test func aDeletedKeyStaysDeleted() throws {
        var fixture = try halfDead()
        // Nothing of it is known to be dead yet when its segment is rewritten.
        try fixture.delete("k1")
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
        #expect(try fixture.value("k1") == nil)
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        try fixture.store.collectGarbage()
        #expect(try fixture.value("k1") == nil)
        try fixture.expectAll("deleted")
        try fixture.reopen()
        #expect(try fixture.value("k1") == nil)
        try fixture.expectAll("opened again")
    }

    /// A published failure of others: values below the threshold kept whole segments alive beside one live value.
    @Test func smallValuesDoNotPinSegments() throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<2000 {
            try fixture.put("small\(i)", 40)
            if i % 100 == 0 { try fixture.put("large\(i)", 2000) }
        }
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        try fixture.store.collectGarbage()
        let rewritten = fixture.garbage.filter { $0.value.generation == 1 }
        #expect(!rewritten.isEmpty)
        let figures = fixture.store.collector.figures
        #expect(figures.allocatedBytes <= 64 << 10, "\(figures)")
        try fixture.expectAll("small and large")
    }

    /// A published failure of others: the segment with the most garbage was the one being written, and nothing was
    /// collected at all.
    @Test func theSegmentBeingWrittenStarvesNobody() throws {
        var fixture = try halfDead()
        let current = try #require(fixture.store.log.segments.last)
        for round in 0..<15 { try fixture.put("hot", 3000, fill: UInt8(round)) }
        try fixture.store.flushTables()
        try fixture.store.collectGarbage()
        let checkpoint = fixture.store.controller.state.checkpoint.position.segment
        #expect(checkpoint >= current)
        #expect(fixture.garbage.allSatisfy { $0.key < checkpoint || $0.value.generation == 0 })
        #expect(fixture.garbage.filter { $0.value.generation == 1 }.count >= 3)
        try fixture.expectAll("hot")
    }

    /// No room for the new file: the rewrite is given up and nothing is lost; it is done when there is room.
    @Test func withoutRoomNothingIsLost() throws {
        var fixture = try halfDead()
        let disk = try #require(fixture.disk as? SimulatedDisk)
        let space = try disk.space("/store")
        disk.capacityBytes = Int(space.total - space.free) + 4096
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.allSatisfy { $0.generation == 0 })
        // What cannot be is not tried.
        #expect(fixture.store.collector.counters.withLock { $0.bytesMoved } == 0)
        try fixture.expectAll("full")
        disk.capacityBytes = 1 << 30
        try fixture.store.collectGarbage()
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
        try fixture.expectAll("room again")
        try fixture.reopen()
        try fixture.expectAll("opened again")
    }

    /// A damaged value is not moved, nor is it made to look whole: its segment stays as it is.
    @Test func aDamagedSegmentIsLeftAlone() throws {
        let fixture = try halfDead()
        let path = fixture.store.log.files.path(1)
        let file = try fixture.disk.open(path, .readWrite)
        let bytes = try file.read(1, at: 20_000)
        try file.write([bytes[0] ^ 1], at: 20_000)
        try fixture.store.collectGarbage()
        #expect(fixture.garbage[1]?.generation == 0)
        #expect(fixture.garbage.values.contains { $0.generation == 1 })
    }
}
