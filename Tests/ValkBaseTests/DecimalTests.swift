// Decimal text, with Redis's strictness: what INCR accepts and what it refuses.

import Testing
import ValkBase
import ValkTestSupport

@Suite struct DecimalTests {
    private func parse(_ text: String) -> Int64? { Array(text.utf8).withView { Decimal.parse($0) } }
    private func parseUnsigned(_ text: String) -> UInt64? { Array(text.utf8).withView { Decimal.parseUnsigned($0) } }

    private func text(_ write: (UnsafeMutableRawPointer) -> Int) -> String {
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { memory in
            guard let base = memory.baseAddress else { return "" }
            return ByteView(base: base, count: write(base)).string
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("9", 9), ("-1", -1), ("10", 10), ("1234567890123456789", 1_234_567_890_123_456_789),
            ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
            ("-9223372036854775807", Int64.min + 1),
            ("1000000000000000000", 1_000_000_000_000_000_000),
        ] as [(String, Int64)])
    func parsesCanonicalNumbers(_ text: String, _ value: Int64) { #expect(parse(text) == value) }

    @Test(arguments: [
        "", "-", "+1", "+", " 1", "1 ", "1\n", "01", "00", "-0", "-01", "0x1", "1.0", "1e3", "1a", "a1", "--1", "-+1",
        "9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
        "99999999999999999999", "-99999999999999999999", "100000000000000000000", "111111111111111111111", "\u{0661}",
    ])
    func refusesEverythingElse(_ text: String) { #expect(parse(text) == nil) }

    @Test func refusesEveryOtherByte() {
        for byte in UInt8.min...UInt8.max where !(0x30...0x39).contains(byte) {
            #expect([0x31, byte].withView { Decimal.parse($0) } == nil)
            #expect([byte, 0x31].withView { Decimal.parse($0) } == (byte == 0x2D ? -1 : nil))
        }
    }

    @Test func parsesUnsignedDigits() {
        #expect(parseUnsigned("0") == 0)
        #expect(parseUnsigned("007") == 7)
        #expect(parseUnsigned("18446744073709551615") == UInt64.max)
        for text in [
            "", "-1", "+1", "18446744073709551616", "20000000000000000000", "000000000000000000001", "1 ", "/", ":",
        ] {
            #expect(parseUnsigned(text) == nil, "\(text)")
        }
    }

    @Test func writesEveryLength() {
        var power: UInt64 = 1
        for digits in 1...20 {
            for value in [power - 1, power, power + 1] {
                #expect(text { Decimal.write(value, to: $0) } == String(value))
            }
            if digits < 20 { power *= 10 }
        }
        for value in [0, 1, -1, 9, -9, 10, -10, Int64.max, Int64.min, Int64.min + 1] as [Int64] {
            #expect(text { Decimal.write(value, to: $0) } == String(value))
        }
        #expect(text { Decimal.write(UInt64.max, to: $0) } == "18446744073709551615")
    }

    @Test func roundTrips() {
        let seed = TestSeed("DecimalTests.roundTrips")
        var random = seed.random
        for _ in 0..<5000 {
            let value = Int64(bitPattern: random.next()) >> Int64(random.below(64))
            let written = text { Decimal.write(value, to: $0) }
            #expect(written == String(value))
            #expect(parse(written) == value)
        }
    }

    @Test func agreesWithTheLibraryOnDamagedNumbers() {
        let seed = TestSeed("agreesWithTheLibraryOnDamagedNumbers")
        var random = seed.random
        let letters = Array("0123456789-+ .e".utf8)
        for _ in 0..<5000 {
            var bytes = Array(String(Int64(bitPattern: random.next()) >> Int64(random.below(64))).utf8)
            bytes[random.below(bytes.count)] = letters[random.below(letters.count)]
            let text = String(decoding: bytes, as: UTF8.self)
            // Canonical means: the library reads it, and prints it the same.
            let expected = Int64(text).flatMap { String($0) == text ? $0 : nil }
            #expect(parse(text) == expected, "\(text)")
        }
    }
}
