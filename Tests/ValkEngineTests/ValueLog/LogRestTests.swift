// What the log reserves ahead: its segments go with the size of the store, and a log that nobody writes to gives back
// what it has reserved and goes on when somebody does.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct LogRestTests {
    private static let mib = 1 << 20

    private static func fixture(_ disk: SimulatedDisk) throws -> LogFixture {
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet(segmentBytes: 64 * mib))
        fixture.log.prepareSegments()
        return fixture
    }

    private static func put(_ fixture: LogFixture, _ key: String, bytes: Int) throws -> [Written] {
        let added = try fixture.add([.put(key, bytes: bytes, isSeparated: true)])
        _ = try fixture.log.flush(upTo: added.position)
        return added.records
    }

    @Test func aRestingLogTakesNextToNothing() throws {
        let disk = SimulatedDisk()
        let fixture = try Self.fixture(disk)
        let log = fixture.log
        var expected = try Self.put(fixture, "first", bytes: 1000)
        #expect(log.bytesAhead(from: 0).reserved > 7 * Self.mib)
        log.rest()
        let (used, reserved) = log.bytesAhead(from: 0)
        #expect(used >= 1000 && used < 16 << 10)
        #expect(reserved <= 2 * Self.mib + 3 * LogFormat.blockBytes)
        var taken = 0
        for name in try disk.list("/log") {
            let file = try disk.open("/log/" + name, .readOnly)
            taken += try file.allocatedBytes()
            file.close()
        }
        #expect(taken <= 2 * Self.mib + 4 * LogFormat.blockBytes)
        // Through the rest of the current segment and far into the next ones.
        for i in 0..<30 { expected += try Self.put(fixture, "key\(i)", bytes: 500_000) }
        let size = log.segmentBytesWanted
        #expect(log.bytesAhead(from: 0).used > 14 * Self.mib)
        #expect(log.segments.count <= 2 + 15 * Self.mib / (size - Self.mib))
        try log.close()
        let (records, report) = try LogFixture.replay(disk, "/log")
        #expect(records == expected)
        #expect(report.tornTail == nil)
    }

    /// Cut while spares and a segment made ahead are there, then used again, then cut again.
    @Test func restsAgain() throws {
        let disk = SimulatedDisk()
        let fixture = try Self.fixture(disk)
        let log = fixture.log
        var expected: [Written] = []
        for round in 0..<4 {
            for i in 0..<8 { expected += try Self.put(fixture, "\(round).\(i)", bytes: 900_000) }
            log.prepareSegments()
            log.rest()
            #expect(log.bytesAhead(from: 0).reserved <= 2 * Self.mib + 3 * LogFormat.blockBytes)
        }
        try log.close()
        #expect(try LogFixture.replay(disk, "/log").records == expected)
    }

    /// The segments to come have grown, the one that is ready has not, and a batch is larger than that.
    @Test func aBatchThatTheReadySegmentIsTooSmallFor() throws {
        let disk = SimulatedDisk()
        let fixture = try Self.fixture(disk)
        fixture.log.segmentBytesWanted = 16 * Self.mib
        #expect(fixture.log.segmentBytesWanted == 16 * Self.mib)
        var expected = try Self.put(fixture, "small", bytes: 1000)
        expected += try Self.put(fixture, "large", bytes: 6 * Self.mib)
        expected += try Self.put(fixture, "small", bytes: 1000)
        try fixture.log.close()
        #expect(try LogFixture.replay(disk, "/log").records == expected)
    }

    @Test func segmentsGoWithTheStore() throws {
        let fixture = try Self.fixture(SimulatedDisk())
        for (wanted, size) in [(0, 4), (5, 4), (9, 8), (40, 32), (64, 64), (1000, 64)] {
            fixture.log.segmentBytesWanted = wanted * Self.mib
            #expect(fixture.log.segmentBytesWanted == size * Self.mib)
        }
        let small = try LogFixture(SimulatedDisk(), "/log", options: LogFixture.quiet(segmentBytes: 1 * Self.mib))
        small.log.segmentBytesWanted = 1 << 40
        #expect(small.log.segmentBytesWanted == Self.mib)
    }

    /// A spare of another size is cut or filled up.
    @Test(arguments: [4, 32]) func aSpareGetsTheSizeThatIsWanted(mib: Int) throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/log")
        let supply = SegmentSupply(
            disk: disk, directory: "/log", storeId: testStore, options: LogFixture.quiet(segmentBytes: 64 * Self.mib),
            clock: ManualClock())
        try supply.prepareDirectory(LogResume())
        _ = try supply.make(1, capacity: 16 * Self.mib, prewrites: false)
        #expect(try supply.recycle(1, generation: 0) == .spare)
        #expect(supply.spareBytes == 16 * Self.mib)
        let segment = try supply.make(2, capacity: mib * Self.mib, prewrites: false)
        #expect(segment.isRecycled)
        #expect(try segment.file.allocatedBytes() == mib * Self.mib)
        #expect(supply.spareBytes == 0)
    }
}
