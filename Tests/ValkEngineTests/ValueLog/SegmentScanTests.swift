// Looking for frame headers where no chain of frames leads: none may be missed or seen twice, wherever the stretches
// that are read begin and end.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct SegmentScanTests {
    private static let fileBytes = 3 << 20

    /// A segment of nothing but headers at `offsets`, on `disk`.
    private static func reader(
        _ disk: any Disk, _ directory: String, headersAt offsets: [Int]
    ) throws -> SegmentReader {
        let file = try disk.open(
            directory + "/" + LogFormat.segmentName(1, generation: 0), [.readWrite, .create, .truncate])
        var bytes = [UInt8](repeating: 0, count: fileBytes)
        for offset in offsets {
            var header = FrameHeader()
            header.frameBytes = UInt32(LogFormat.frameHeaderBytes)
            header.position = LogPosition(segment: 1, offset: UInt32(offset))
            bytes.withUnsafeMutableBytes { header.encode(to: $0.baseAddress! + offset, salt: testStore.salt) }
        }
        try bytes.withUnsafeBytes { raw in try file.write(raw, at: 0) }
        file.close()
        return try SegmentReader(disk: disk, directory: directory, segment: 1, generation: 0, storeId: testStore)
    }

    private static func headers(_ reader: SegmentReader, from offset: Int) throws -> [Int] {
        var found: [Int] = []
        var at = offset
        while let header = try reader.nextHeader(from: at) {
            found.append(Int(header.position.offset))
            at = Int(header.position.offset) + LogFormat.frameHeaderBytes
        }
        return found
    }

    @Test func headersAcrossTheEndsOfWindowsAreFound() throws {
        let folder = TemporaryFolder()
        for shift in stride(from: -80, through: 16, by: 8) {
            let offsets = [(1 << 20) + shift, (2 << 20) + shift, SegmentScanTests.fileBytes - 64]
            for from in [LogFormat.segmentHeaderBytes, LogFormat.segmentHeaderBytes + 8, 3 * 4096 + 4088] {
                let reader = try SegmentScanTests.reader(PosixDisk(), folder.path, headersAt: offsets)
                #expect(try SegmentScanTests.headers(reader, from: from) == offsets, "shift \(shift), from \(from)")
            }
        }
    }

    @Test func headersSideBySideAreFoundOnce() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/log")
        let offsets = (0..<30_000).map { LogFormat.segmentHeaderBytes + 72 * $0 }
        let reader = try SegmentScanTests.reader(disk, "/log", headersAt: offsets)
        #expect(try SegmentScanTests.headers(reader, from: LogFormat.segmentHeaderBytes) == offsets)
        #expect(try reader.nextHeader(from: SegmentScanTests.fileBytes - 63) == nil)
    }

    /// A torn tail of many frames is looked through once, not once for each of them.
    @Test func manyHeadersCostFewReads() throws {
        let simulated = SimulatedDisk()
        try simulated.createDirectory("/log")
        let disk = FaultyDisk(simulated)
        let offsets = (0..<30_000).map { LogFormat.segmentHeaderBytes + 72 * $0 }
        let reader = try SegmentScanTests.reader(disk, "/log", headersAt: offsets)
        let before = disk.count(.read)
        #expect(try SegmentScanTests.headers(reader, from: LogFormat.segmentHeaderBytes).count == offsets.count)
        #expect(disk.count(.read) - before <= 8)
    }
}
