// Bits and fields of bits against one bit at a time.

import Testing
import ValkBase
import ValkTestSupport

@testable import ValkData

@Suite struct BitTests {
    private static func bit(_ bytes: [UInt8], _ at: Int) -> Int {
        at >> 3 < bytes.count ? Int(bytes[at >> 3] >> UInt8(7 - at & 7) & 1) : 0
    }

    /// Mostly runs of equal bytes, so that words are skipped.
    private static func bytes(_ random: inout SeededRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<random.next() % 4 {
            let byte = [0, 0xFF, UInt8(truncatingIfNeeded: random.next())][Int(random.next() % 3)]
            bytes += [UInt8](repeating: byte, count: Int(random.next() % 20))
        }
        return bytes
    }

    @Test func countsAndFindsAsBitByBit() {
        let test = TestSeed("BitTests.countsAndFinds")
        let seed = test.value
        var random = test.random
        for round in 0..<3000 {
            let bytes = Self.bytes(&random)
            let bits = bytes.count * 8
            let first = Int(random.next() % UInt64(bits + 1))
            let range = first..<first + Int(random.next() % UInt64(bits - first + 1))
            bytes.withView { view in
                #expect(
                    Bits.count(view, range) == range.count { Self.bit(bytes, $0) == 1 }, "seed \(seed) round \(round)")
                for value in [0, 1] {
                    #expect(
                        Bits.first(value == 1, view, range) == range.first { Self.bit(bytes, $0) == value },
                        "seed \(seed) round \(round)")
                }
            }
        }
    }

    @Test func combinesStringsOfSeveralLengths() {
        let test = TestSeed("BitTests.combines")
        let seed = test.value
        var random = test.random
        for _ in 0..<1000 {
            let inputs = (0...Int(random.next() % 3)).map { _ in Self.bytes(&random) }
            let count = inputs.map { $0.count }.max() ?? 0
            for (operation, body) in [
                (Bits.Operation.and, { (a: UInt8, b: UInt8) in a & b }), (.or, { $0 | $1 }), (.xor, { $0 ^ $1 }),
            ] {
                var expected: [UInt8] = []
                for i in 0..<count {
                    let column = inputs.map { i < $0.count ? $0[i] : 0 }
                    expected.append(column.dropFirst().reduce(column[0], body))
                }
                let output = UnsafeMutableRawPointer.allocate(byteCount: max(1, count), alignment: 1)
                defer { output.deallocate() }
                let views = inputs.map { input in
                    let copy = UnsafeMutableRawPointer.allocate(byteCount: max(1, input.count), alignment: 1)
                    copy.copyMemory(from: input, byteCount: input.count)
                    return ByteView(base: copy, count: input.count)
                }
                defer { for view in views { view.base.deallocate() } }
                Bits.combine(operation, views, into: output)
                #expect(ByteView(base: output, count: count).array == expected, "seed \(seed) \(operation)")
            }
        }
    }

    @Test func fieldsComeBackAndTouchNothingElse() {
        let test = TestSeed("BitTests.fields")
        let seed = test.value
        var random = test.random
        for _ in 0..<3000 {
            let isSigned = random.next() % 2 == 0
            let type = BitFieldType(isSigned: isSigned, bits: 1 + Int(random.next() % (isSigned ? 64 : 63)))
            let before = (0..<24).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let offset = Int(random.next() % UInt64(24 * 8 - type.bits + 1))
            var after = before
            guard let value = type.add(Int64(bitPattern: random.next()), 0, .wrap) else {
                Issue.record("wrapping failed, seed \(seed)")
                return
            }
            after.withUnsafeMutableBytes { buffer in
                if let base = buffer.baseAddress { type.write(value, to: base, at: offset) }
            }
            #expect(after.withView { type.read($0, at: offset) } == value, "seed \(seed) \(type) at \(offset)")
            for bit in 0..<24 * 8 where bit < offset || bit >= offset + type.bits {
                #expect(Self.bit(before, bit) == Self.bit(after, bit), "seed \(seed) bit \(bit)")
            }
        }
    }

    @Test func overflowWrapsSaturatesOrFails() {
        let byte = BitFieldType(isSigned: false, bits: 8)
        #expect(byte.add(250, 10, .wrap) == 4)
        #expect(byte.add(250, 10, .saturate) == 255)
        #expect(byte.add(250, 10, .fail) == nil)
        #expect(byte.add(5, -10, .wrap) == 251)
        #expect(byte.add(5, -10, .saturate) == 0)
        let small = BitFieldType(isSigned: true, bits: 8)
        #expect(small.add(127, 1, .wrap) == -128)
        #expect(small.add(-128, -1, .saturate) == -128)
        #expect(small.add(100, 27, .fail) == 127)
        let whole = BitFieldType(isSigned: true, bits: 64)
        #expect(whole.add(.max, 1, .wrap) == .min)
        #expect(whole.add(.max, 1, .saturate) == .max)
        #expect(whole.add(.min, -1, .saturate) == .min)
        #expect(whole.add(.min, -1, .fail) == nil)
        for text in ["i65", "u64", "u0", "i", "x8", "8", "u-1", "u08"] {
            #expect(Array(text.utf8).withView { BitFieldType($0) } == nil)
        }
    }
}
