// DUMP and RESTORE, and the formats under them: what comes in may be anything. That Redis writes and takes the same
// bytes is checked by conformance/transfer.

import Testing
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkTestSupport

@Suite struct TransferTests {
    // MARK: LZF

    private static func compress(_ input: [UInt8], _ compressor: LZFCompressor, room: Int) -> [UInt8]? {
        var out = [UInt8](repeating: 0xEE, count: room + 16)
        let count = out.withUnsafeMutableBytes { out in
            input.withView { compressor.compress($0, to: out.baseAddress!, room: room) }
        }
        #expect(out[room...].allSatisfy { $0 == 0xEE }, "wrote beyond the room")
        return count.map { Array(out[..<$0]) }
    }

    private static func expand(_ packed: [UInt8], _ count: Int) -> [UInt8]? {
        var out = [UInt8](repeating: 0xEE, count: count + 16)
        let isWhole = out.withUnsafeMutableBytes { out in
            packed.withView { LZF.expand($0, to: out.baseAddress!, count: count) }
        }
        #expect(out[count...].allSatisfy { $0 == 0xEE }, "wrote beyond the end")
        return isWhole ? Array(out[..<count]) : nil
    }

    private static func draw(_ random: inout SeededRandom) -> [UInt8] {
        let count = Int(random.next() % (random.next() % 4 == 0 ? 20_000 : 400))
        switch random.next() % 4 {
        case 0: return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case 1: return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() & 1) }
        case 2:
            let period = Int(random.next() % 50) + 1
            return (0..<count).map { UInt8(truncatingIfNeeded: $0 % period) }
        default:
            var bytes: [UInt8] = []
            while bytes.count < count {
                if bytes.count > 10 && random.next() % 2 == 0 {
                    let from = Int(random.next() % UInt64(bytes.count))
                    bytes += bytes[from..<min(bytes.count, from + Int(random.next() % 300) + 1)]
                } else {
                    bytes.append(UInt8(truncatingIfNeeded: random.next()))
                }
            }
            return bytes
        }
    }

    /// One compressor for all, so that what it remembers of earlier strings must do no harm.
    @Test func whatIsCompressedComesBack() {
        var random = TestSeed("LZF").random
        let compressor = LZFCompressor()
        var packedCount = 0
        for _ in 0..<1000 {
            let input = Self.draw(&random)
            let room = random.next() % 3 == 0 ? Int(random.next() % UInt64(input.count + 8)) : max(0, input.count - 4)
            guard let packed = Self.compress(input, compressor, room: room) else { continue }
            packedCount += 1
            #expect(packed.count <= room)
            #expect(Self.expand(packed, input.count) == input)
            #expect(input.count <= LZF.expansionMax(packed.count))
            if !input.isEmpty { #expect(Self.expand(packed, input.count - 1) == nil) }
            #expect(Self.expand(packed, input.count + 1) == nil)
        }
        #expect(packedCount > 300)
    }

    @Test func anythingMayBeExpanded() {
        var random = TestSeed("LZF damage").random
        let compressor = LZFCompressor()
        for _ in 0..<2000 {
            let input = Self.draw(&random)
            var packed = Self.compress(input, compressor, room: input.count + input.count / 16 + 64) ?? input
            for _ in 0...random.next() % 3 where !packed.isEmpty {
                packed[Int(random.next() % UInt64(packed.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next() % 4 == 0 { packed.removeLast(min(packed.count, Int(random.next() % 4))) }
            _ = Self.expand(packed, input.count)
            _ = Self.expand(packed, Int(random.next() % 2000))
        }
    }

    // MARK: Checksum

    @Test func checksumIsThatOfRedis() {
        #expect(Array("123456789".utf8).withView { CRC64.of($0) } == 0xE9C6_D914_C4B8_D9CA)
        // Eight bytes at a time and one by one agree at every length: a zero more changes what was there before alike.
        let long = (0..<100).map { UInt8(truncatingIfNeeded: $0 * 37) }
        for count in 0...100 {
            var slow: UInt64 = 0
            for byte in long[..<count] {
                slow ^= UInt64(byte)
                for _ in 0..<8 { slow = slow & 1 == 0 ? slow >> 1 : slow >> 1 ^ 0x95AC_9329_AC4B_C9B5 }
            }
            #expect(Array(long[..<count]).withView { CRC64.of($0) } == slow, "\(count) bytes")
        }
    }

    // MARK: Payloads

    private static func payload(_ string: [UInt8], compressor: LZFCompressor? = nil) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: DumpPayload.roomForString(string.count))
        let count = out.withUnsafeMutableBytes { out in
            string.withView { DumpPayload.writeString($0, to: out.baseAddress!, compressor: compressor) }
        }
        return Array(out[..<count])
    }

    @Test func lengthsAndNumbersHaveTheirForms() {
        func body(_ string: String) -> [UInt8] { Array(Self.payload(Array(string.utf8)).dropLast(10)) }
        #expect(body("") == [0, 0])
        #expect(body("foo") == [0, 3] + Array("foo".utf8))
        #expect(body("-128") == [0, 0xC0, 0x80])
        #expect(body("128") == [0, 0xC1, 128, 0])
        #expect(body("-32769") == [0, 0xC2, 0xFF, 0x7F, 0xFF, 0xFF])
        #expect(body("2147483648") == [0, 10] + Array("2147483648".utf8))
        #expect(body("007") == [0, 3] + Array("007".utf8))
        #expect(Array(body(String(repeating: "x", count: 63)).prefix(2)) == [0, 63])
        #expect(Array(body(String(repeating: "x", count: 64)).prefix(3)) == [0, 0x40, 64])
        #expect(Array(body(String(repeating: "x", count: 16_383)).prefix(3)) == [0, 0x7F, 0xFF])
        #expect(Array(body(String(repeating: "x", count: 16_384)).prefix(6)) == [0, 0x80, 0, 0, 0x40, 0])
        #expect(Array(Self.payload([]).suffix(10).prefix(2)) == [10, 0])
        let packed = Self.payload([UInt8](repeating: 7, count: 100), compressor: LZFCompressor())
        #expect(packed.count < 30 && packed[1] == 0xC3)
    }

    @Test func everyChangedBitIsFound() {
        let payload = Self.payload(Array("some value".utf8))
        #expect(payload.withView { DumpPayload.isIntact($0) })
        for bit in 0..<payload.count * 8 {
            var changed = payload
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!changed.withView { DumpPayload.isIntact($0) }, "bit \(bit)")
        }
        for count in 0..<payload.count { #expect(!Array(payload[..<count]).withView { DumpPayload.isIntact($0) }) }
    }

    /// Right or not, bytes that claim lengths are never read beyond their end.
    @Test func anythingMayBeRead() {
        var random = TestSeed("payloads").random
        var strings = 0
        for _ in 0..<20_000 {
            var bytes = (0..<Int(random.next() % 24)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if !bytes.isEmpty { bytes[0] = UInt8(random.next() % 3) }
            let marks: [UInt8] = [0x80, 0x81, 0xC0, 0xC3, 0x05]
            if bytes.count > 1 && random.next() % 2 == 0 { bytes[1] = marks[Int(random.next() % 5)] }
            bytes.withView { view in
                guard case .string(let string) = DumpPayload.content(view) else { return }
                strings += 1
                switch string {
                case .plain(let part): #expect(part.count < view.count)
                case .number: break
                case .compressed(let part, let count):
                    #expect(part.count < view.count && count <= LZF.expansionMax(part.count))
                    _ = Self.expand(part.array, count)
                }
            }
        }
        #expect(strings > 300)
    }

    // MARK: Commands

    /// The reply to DUMP as bytes.
    private func dump(_ h: Harness, _ key: String) -> [UInt8] { h.bulk("DUMP", key) }

    private func restore(
        _ h: Harness, _ key: String, _ time: String, _ payload: [UInt8], _ words: String...
    ) -> String {
        h.run(bytes: ["RESTORE", key, time].map { Array($0.utf8) } + [payload] + words.map { Array($0.utf8) })
    }

    @Test func aValueGoesOutAndComesBack() throws {
        let h = try Harness()
        let values = ["", "x", "12", "-7000000", "9223372036854775807", String(repeating: "ab", count: 40_000)]
        for (i, value) in values.enumerated() {
            h.run("SET", "k\(i)", value)
            let payload = dump(h, "k\(i)")
            h.run("SET", "k\(i)", "else")
            #expect(restore(h, "k\(i)", "0", payload) == "-BUSYKEY Target key name already exists.")
            #expect(restore(h, "k\(i)", "1000", payload, "replace") == "OK")
            #expect(h.run("GET", "k\(i)") == "\"\(value)\"")
            #expect(h.run("PTTL", "k\(i)") == ":1000")
        }
        #expect(h.run("DUMP", "none") == "nil")
    }

    @Test func aTimeThatHasComeDeletes() throws {
        let h = try Harness()
        h.run("SET", "k", "v")
        let payload = dump(h, "k")
        #expect(restore(h, "k", "1", payload, "ABSTTL", "REPLACE") == "OK")
        #expect(h.context.effects.dirty == 1)
        #expect(h.run("EXISTS", "k") == ":0")
        #expect(restore(h, "k", "1", payload, "ABSTTL") == "OK")
        #expect(h.context.effects.dirty == 0)
        #expect(restore(h, "k", "9223372036854775807", payload) == "OK")
        #expect(h.run("EXISTS", "k") == ":0")
        #expect(restore(h, "k", "9223372036854775807", payload, "ABSTTL") == "OK")
        #expect(h.run("PEXPIRETIME", "k") == ":9223372036854775807")
        #expect(restore(h, "k", "-1", payload, "REPLACE") == "-ERR Invalid TTL value, must be >= 0")
        #expect(restore(h, "k", "0", payload, "REPLACE", "IDLETIME", "5", "FREQ", "5") == "-ERR syntax error")
    }
}
