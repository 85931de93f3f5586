// Torn tails are cut, damage before the promised end is refused, and which is which.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct LogDamageTests {
    private static let name = "/log/0000000000000001-0.vseg"

    /// A log with three frames: the first two synced when the third was written. Returns the frames' ends.
    private static func threeFrames(_ disk: SimulatedDisk) throws -> (records: [Written], ends: [Int]) {
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        var records: [Written] = []
        var ends = [4096]
        for (round, key) in ["one", "two", "three"].enumerated() {
            let added = try fixture.add([.put(key, "value"), .put(key + "+", bytes: 300, isSeparated: true)])
            records += added.records
            _ = try fixture.log.flush(upTo: added.position)
            if round == 1 { try fixture.log.sync() }
            ends.append(Int(fixture.log.written.offset))
        }
        return (records, ends)
    }

    @Test func aTornLastFrameIsCutAtEveryByte() throws {
        let whole = SimulatedDisk()
        let (records, ends) = try LogDamageTests.threeFrames(whole)
        let bytes = try whole.readFile(LogDamageTests.name)
        for cut in ends[2]..<ends[3] {
            let disk = SimulatedDisk()
            try disk.createDirectory("/log")
            try disk.writeFile(LogDamageTests.name, Array(bytes[..<cut]))
            let (found, report) = try LogFixture.replay(disk, "/log")
            #expect(found == Array(records[..<4]), "cut at \(cut)")
            // Also where the file goes on with zeros, as reserved space does.
            try disk.writeFile(LogDamageTests.name, Array(bytes[..<cut]) + [UInt8](repeating: 0, count: 500))
            let padded = try LogFixture.replay(disk, "/log")
            #expect(padded.records.count == 4 || cut > ends[3] - 8, "cut at \(cut)")
            #expect(report.resume.end.offset == UInt32(ends[2]))
            #expect((report.tornTail != nil) == (cut >= ends[2] + 64), "cut at \(cut)")
        }
    }

    @Test func everyFlippedByteIsErrorOrTornTail() throws {
        let whole = SimulatedDisk()
        let (records, ends) = try LogDamageTests.threeFrames(whole)
        let bytes = try whole.readFile(LogDamageTests.name)
        let seed = TestSeed("everyFlippedByteIsErrorOrTornTail")
        var random = seed.random
        for position in 0..<ends[3] where position < 64 || position >= 4096 {
            var damaged = bytes
            damaged[position] ^= UInt8(1 << random.below(8))
            let disk = SimulatedDisk()
            try disk.createDirectory("/log")
            try disk.writeFile(LogDamageTests.name, damaged)
            do {
                let (found, _) = try LogFixture.replay(disk, "/log")
                // Only the last frame may be taken for a torn tail; padding between records is nobody's data.
                #expect(found == records || position >= ends[2] && found == Array(records[..<4]), "byte \(position)")
            } catch let error as StoreError {
                #expect(error.kind == .corruption || position < 64 && error.kind == .newerFormat, "byte \(position)")
                #expect(error.path == LogDamageTests.name)
                #expect(error.offset >= 0)
            }
        }
    }

    @Test func damageBeforeTheSyncedPositionNamesItsPlace() throws {
        let disk = SimulatedDisk()
        let (_, ends) = try LogDamageTests.threeFrames(disk)
        var bytes = try disk.readFile(LogDamageTests.name)
        bytes[ends[1] + 100] ^= 1
        try disk.writeFile(LogDamageTests.name, bytes)
        let error = #expect(throws: StoreError.self) { try LogFixture.replay(disk, "/log") }
        #expect(error?.kind == .corruption)
        #expect(error?.offset == ends[1])
    }

    @Test func damageBeforeTheFloorIsRefused() throws {
        let disk = SimulatedDisk()
        let (_, ends) = try LogDamageTests.threeFrames(disk)
        var bytes = try disk.readFile(LogDamageTests.name)
        bytes[ends[2] + 100] ^= 1
        try disk.writeFile(LogDamageTests.name, bytes)
        #expect(try LogFixture.replay(disk, "/log").records.count == 4)
        let error = #expect(throws: StoreError.self) {
            try LogFixture.replay(disk, "/log", floor: LogPosition(segment: 1, offset: UInt32(ends[3])))
        }
        #expect(error?.kind == .corruption)
        #expect(error?.offset == ends[2])
    }

    @Test func aMissingSegmentInTheMiddleIsRefused() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        for _ in 0..<3 {
            try fixture.add([.put("k", bytes: 50_000, isSeparated: false)])
            try fixture.log.sync()
        }
        try disk.remove("/log/0000000000000002-0.vseg")
        let error = #expect(throws: StoreError.self) { try LogFixture.replay(disk, "/log") }
        #expect(error?.kind == .corruption)
        #expect(error?.path == LogDamageTests.name)
    }

    @Test func aFrameInAStoredValueIsNotTakenForOne() throws {
        // A client stores the bytes of a whole segment of another store, and of this one.
        let other = SimulatedDisk()
        _ = try LogDamageTests.threeFrames(other)
        let stolen = Array(try other.readFile(LogDamageTests.name).prefix(6000))
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        let added = try fixture.add([Written(key: Array("k".utf8), value: stolen, isSeparated: false)])
        _ = try fixture.log.flush(upTo: added.position)
        let (records, report) = try LogFixture.replay(disk, "/log")
        #expect(records == added.records)
        #expect(report.frames == 1)
        #expect(report.tornTail == nil)
    }

    @Test func newerFormatsAndOtherStoresAreRefused() throws {
        let disk = SimulatedDisk()
        _ = try LogDamageTests.threeFrames(disk)
        let bytes = try disk.readFile(LogDamageTests.name)
        var header = bytes
        header[8] = 2
        LogDamageTests.sealHeader(&header)
        try disk.writeFile(LogDamageTests.name, header)
        var error = #expect(throws: StoreError.self) { try LogFixture.replay(disk, "/log") }
        #expect(error?.kind == .newerFormat)
        header = bytes
        header[20] ^= 1
        LogDamageTests.sealHeader(&header)
        try disk.writeFile(LogDamageTests.name, header)
        error = #expect(throws: StoreError.self) { try LogFixture.replay(disk, "/log") }
        #expect(error?.kind == .corruption)
    }

    /// Puts the right checksum behind a changed segment header.
    private static func sealHeader(_ bytes: inout [UInt8]) {
        let crc = bytes.withUnsafeBytes { ByteView($0)[0..<60].crc32c }
        for i in 0..<4 { bytes[60 + i] = UInt8(truncatingIfNeeded: crc >> UInt32(8 * i)) }
    }
}
