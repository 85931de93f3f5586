// Segment files and their spares: every file that is kept is found again, whatever number its segment had.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct SegmentSupplyTests {
    private static func supply(_ disk: any Disk) throws -> SegmentSupply {
        let supply = SegmentSupply(
            disk: disk, directory: "/log", storeId: testStore, options: LogFixture.quiet(), clock: ManualClock())
        try supply.prepareDirectory(LogResume())
        return supply
    }

    private static func make(_ supply: SegmentSupply, _ number: UInt32) throws -> Segment {
        try supply.make(number, capacity: LogFixture.quiet().segmentBytes, prewrites: false)
    }

    private static func names(_ disk: any Disk, _ suffix: String) throws -> [String] {
        try disk.list("/log").filter { $0.hasSuffix(suffix) }.sorted()
    }

    /// A number may come to a segment twice: made ahead and not used before the end, it is given to the first segment
    /// after the start. Both files may become spares.
    @Test(arguments: [1, 2, 3] as [UInt32])
    func spareOfANumberThatCameTwice(dead: UInt32) throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/log")
        do {
            let supply = try SegmentSupplyTests.supply(disk)
            for number in 1...3 as ClosedRange<UInt32> { _ = try SegmentSupplyTests.make(supply, number) }
            for number in [dead] + (1...3).filter({ $0 != dead }) {
                #expect(try supply.recycle(number, generation: 0) == .spare)
            }
        }
        let supply = try SegmentSupplyTests.supply(disk)
        for number in [2, 3] as [UInt32] { _ = try SegmentSupplyTests.make(supply, number) }
        for number in [2, 3] as [UInt32] { #expect(try supply.recycle(number, generation: 0) == .spare) }
        #expect(try SegmentSupplyTests.names(disk, ".vspare").count == 3)
        for number in 4...7 as ClosedRange<UInt32> {
            #expect(try SegmentSupplyTests.make(supply, number).isRecycled == (number < 7))
        }
        #expect(try SegmentSupplyTests.names(disk, ".vspare").isEmpty)
        #expect(try SegmentSupplyTests.names(disk, ".vseg").count == 4)
    }

    /// Whatever fails while a spare becomes a segment: with room again it goes on, and no file is lost.
    @Test(arguments: [DiskOperation.write, .sync, .rename, .syncDirectory])
    func makingFromASpareMayFail(operation: DiskOperation) throws {
        let base = SimulatedDisk()
        try base.createDirectory("/log")
        let disk = FaultyDisk(base)
        let supply = try SegmentSupplyTests.supply(disk)
        _ = try SegmentSupplyTests.make(supply, 1)
        #expect(try supply.recycle(1, generation: 0) == .spare)
        disk.add(FaultRule([operation], .noSpace))
        let error = #expect(throws: DiskError.self) { try SegmentSupplyTests.make(supply, 2) }
        #expect(error?.kind == .noSpace)
        _ = try SegmentSupplyTests.make(supply, 2)
        _ = try SegmentSupplyTests.make(supply, 3)
        #expect(try disk.list("/log").sorted() == (2...3).map { LogFormat.segmentName($0, generation: 0) })
    }
}
