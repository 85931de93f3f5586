// The bytes themselves: a golden segment (the worked example of OnDiskFormat.md), names, and readers that meet
// nonsense.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct LogFormatTests {
    /// Whoever changes these bytes changes the format: raise the version, describe it, keep reading the old one.
    @Test func theWorkedExampleIsWhatIsWritten() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet())
        try fixture.add([
            .put("one", "1", expireAt: 1_700_000_060_000),
            Written(tag: 1, key: Array("two".utf8), value: Array("22".utf8), isSeparated: true),
        ])
        let last = try fixture.add([.delete("one")])
        _ = try fixture.log.flush(upTo: last.position)
        let file = try disk.readFile("/log/0000000000000001-0.vseg")
        #expect(
            hex(file[0..<64]) == """
                56 41 4c 4b 56 53 45 47 01 00 00 00 01 00 00 00
                ef cd ab 89 67 45 23 01 10 32 54 76 98 ba dc fe
                01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 68 e5 cf 8b 01 00 00 00 00 00 00 69 17 cc 1e
                """)
        #expect(
            hex(file[4096..<4096 + 152]) == """
                56 46 52 4d 64 df 33 23 98 00 00 00 2b 00 00 00
                3a 7a d9 22 03 00 00 00 01 00 00 00 00 10 00 00
                01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 00 68 e5 cf 8b 01 00 00
                3f cd 27 fe 25 00 00 00 02 00 00 00 00 00 00 00
                00 00 00 00 00 00 00 00 03 00 00 00 01 00 01 00
                74 77 6f 32 32 00 00 00 14 00 00 00 11 00 01 00
                00 03 e0 a4 99 ff bc 31 6f 6e 65 31 0a 00 00 00
                61 00 01 00 01 08 0d 00 00 00 42 00 00 00 02 03
                6f 6e 65 00 00 00 00 00
                """)
        #expect(file[64..<4096].allSatisfy { $0 == 0 })
    }

    private func hex(_ bytes: ArraySlice<UInt8>) -> String {
        let digits = bytes.map { hexadecimal(UInt64($0), digits: 2) }
        return stride(from: 0, to: digits.count, by: 16)
            .map { digits[$0..<min($0 + 16, digits.count)].joined(separator: " ") }
            .joined(separator: "\n")
    }

    @Test func namesAreReadStrictly() {
        #expect(LogFormat.segmentName(0xBEEF, generation: 12) == "000000000000beef-12.vseg")
        let (segment, generation) = LogFormat.parseSegmentName("000000000000beef-12.vseg") ?? (0, 0)
        #expect(segment == 0xBEEF && generation == 12)
        for name in [
            "000000000000beef-12.vseg.tmp", "beef-12.vseg", "000000000000beef.vseg", "000000000000beef-012.vseg",
            "000000000000BEEF-1.vseg", "0000000100000000-0.vseg", "000000000000beef.vspare", "+00000000000beef-1.vseg",
            "",
        ] {
            #expect(LogFormat.parseSegmentName(name) == nil, "\(name)")
        }
    }

    /// A frame whose checksums are right but whose contents are nonsense (a bug in a writer, or an attack) is refused
    /// or read as something, without reading outside of the frame (the address sanitizer watches).
    @Test func nonsenseInAFrameIsSurvived() {
        let seed = TestSeed("nonsenseInAFrameIsSurvived")
        var random = seed.random
        var faults = 0
        for _ in 0..<20_000 {
            var header = FrameHeader()
            let values = 8 * random.below(8)
            header.smallBytes = UInt32(random.below(60))
            header.frameBytes = UInt32(64 + values + LogFormat.aligned(Int(header.smallBytes), 8))
            header.recordCount = UInt32(random.below(4))
            header.position = LogPosition(segment: 1, offset: 4096)
            // Small numbers make lengths that fit more likely.
            let bytes = (0..<Int(header.frameBytes)).map { _ -> UInt8 in
                let byte = UInt8(truncatingIfNeeded: random.next())
                return random.oneIn(4) ? byte : byte & 0x2F
            }
            bytes.withView { view in
                var records = FrameRecords(view, header, verifiesValues: random.oneIn(2))
                var used = 0
                while let record = records.next() {
                    used += record.key.array.count + record.value.array.count
                }
                #expect(used <= 4 * bytes.count)
                if records.fault != nil {
                    faults += 1
                    #expect(records.faultOffset >= 0 && records.faultOffset <= bytes.count)
                }
            }
        }
        #expect(faults > 1000)
    }

    @Test func theSizeBoundHolds() {
        let seed = TestSeed("theSizeBoundHolds")
        var random = seed.random
        for _ in 0..<300 {
            let key = [UInt8](repeating: 1, count: 1 + random.below(400))
            let value = [UInt8](repeating: 2, count: random.below(40_000))
            for isSeparated in [false, true] {
                var area = ByteBuffer()
                var small = ByteBuffer()
                area.append([UInt8](repeating: 0, count: 64))
                let start = 8 * random.below(5000)
                key.withView { key in
                    value.withView { value in
                        if isSeparated {
                            let (offset, _) = RecordCoding.appendValue(
                                &area, frameStart: start, flags: [], tag: 1, expireAt: .max, sequence: .max, key: key,
                                value: value)
                            RecordCoding.appendSeparated(
                                &small, flags: [], tag: 1, delta: .max, valueOffset: offset - start)
                        } else {
                            RecordCoding.appendInline(
                                &small, type: .put, flags: [], tag: 1, expireAt: .max, delta: .max, key: key,
                                value: value)
                        }
                    }
                }
                let bound = LogFormat.bytesMax(
                    keyBytes: key.count, valueBytes: value.count, isSeparated: isSeparated)
                #expect(area.count - 64 + small.count <= bound)
            }
        }
    }
}
