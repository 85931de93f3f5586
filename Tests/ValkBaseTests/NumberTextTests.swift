// Numbers as Redis 7.0 prints them: INCRBYFLOAT goes through 80-bit long doubles and fixed notation with 17 decimals.

import CValk
import Glibc
import Testing
import ValkBase

@Suite struct NumberTextTests {
    /// What INCRBYFLOAT makes of a stored text and an increment; nil when either is refused or the sum is not finite.
    private func increment(_ value: String, by step: String) -> String? {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 16) { slots in
            guard let sum = slots.baseAddress else { return nil }
            guard valk_parse_long_double(value, value.utf8.count, sum) else { return nil }
            guard valk_parse_long_double(step, step.utf8.count, sum + 16) else { return nil }
            guard valk_add_long_double(sum, sum + 16) else { return nil }
            return format(sum)
        }
    }

    private func format(_ value: UnsafeRawPointer) -> String {
        var text = [CChar](repeating: 0, count: 5120)
        let length = valk_format_long_double(value, &text, text.count)
        return String(decoding: text[..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func text(_ value: Double) -> String {
        var text = [CChar](repeating: 0, count: 64)
        let length = valk_format_double(value, &text, text.count)
        return String(decoding: text[..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test(arguments: [
        ("10.50", "0.1", "10.6"), ("5.0e3", "2.0e2", "5200"), ("0", "0.1", "0.1"), ("1", "1.1", "2.1"),
        ("3.0", "1.1", "4.1"), ("0.1", "0.2", "0.3"), ("1.5", "-1.5", "0"), ("-1.5", "1.5", "0"), ("-0", "-0", "0"),
        ("17179869184", "1", "17179869185"), ("1", "0.00000000000000001", "1.00000000000000001"),
        ("0.3333333333333333333", "0", "0.33333333333333333"), ("1e-20", "0", "0"), ("-1e-20", "0", "0"),
        ("1e19", "1", "10000000000000000001"), ("1e20", "1", "100000000000000000000"), ("0x10", "0", "16"),
        ("3", "-0.5", "2.5"), ("+5", "1", "6"),
        ("100", "-0.000001", "99.999999"),
    ])
    func addsAsIncrByFloatDoes(_ value: String, _ step: String, _ result: String) {
        #expect(increment(value, by: step) == result)
    }

    @Test(arguments: ["", " 1", "1 ", "\t1", "abc", "1a", "nan", "NaN", "-nan", "1e5000", "-1e5000", "1,5", "--1", "."])
    func refusesWhatIsNoNumber(_ text: String) { #expect(increment(text, by: "0") == nil) }

    @Test func refusesSumsThatAreNotFinite() {
        #expect(increment("inf", by: "1") == nil)
        #expect(increment("1", by: "-inf") == nil)
        #expect(increment("inf", by: "-inf") == nil)
        // Finite in an 80-bit number, and printed to the last digit.
        #expect(increment("1e308", by: "1e308")?.count == 309)
        #expect(increment("1e4000", by: "1").map { $0.count >= 4000 } == true)
        #expect(increment("1.1e4932", by: "1.1e4932") == nil)
    }

    @Test func neverWritesPastItsBuffer() {
        var slot: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &slot) { slot in
            #expect(valk_parse_long_double("1e30", 4, slot.baseAddress))
            var small = [CChar](repeating: 77, count: 8)
            #expect(valk_format_long_double(slot.baseAddress, &small, 4) == 0)
            #expect(small[4...].allSatisfy { $0 == 77 })
            let long = [CChar](repeating: 0x31, count: 6000)
            #expect(!valk_parse_long_double(long, long.count, slot.baseAddress))
        }
    }

    @Test func printsDoublesAsScoresAre() {
        let known: [(Double, String)] = [
            (0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (3.5, "3.5"), (0.1, "0.10000000000000001"),
            (1e15, "1000000000000000"), (.infinity, "inf"), (-.infinity, "-inf"), (.nan, "nan"), (1e21, "1e+21"),
            (1.7976931348623157e308, "1.7976931348623157e+308"), (.leastNonzeroMagnitude, "4.9406564584124654e-324"),
        ]
        for (value, expected) in known { #expect(text(value) == expected) }
    }

    @Test func printedDoublesReadBackTheSame() {
        var random = SeededRandom(seed: 42)
        for _ in 0..<2000 {
            let value = Double(bitPattern: random.next())
            if value.isNaN || value.isInfinite { continue }
            #expect(strtod(text(value), nil) == value)
        }
    }
}
