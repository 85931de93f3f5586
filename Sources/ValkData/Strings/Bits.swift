// Strings as rows of bits, numbered as Redis does: bit 0 is the highest of byte 0.
//
// Plain arithmetic on bytes that somebody else owns; ranges are inside of them.

import ValkBase

package enum Bits {
    /// Bits that are set, in `range` (in bits).
    package static func count(_ bytes: ByteView, _ range: Range<Int>) -> Int {
        if range.isEmpty { return 0 }
        let first = range.lowerBound >> 3
        let last = (range.upperBound - 1) >> 3
        let (head, tail) = masks(range)
        if first == last { return (bytes[first] & head & tail).nonzeroBitCount }
        var count = (bytes[first] & head).nonzeroBitCount + (bytes[last] & tail).nonzeroBitCount
        var i = first + 1
        while i + 8 <= last {
            count &+= bytes.base.loadUnaligned(fromByteOffset: i, as: UInt64.self).nonzeroBitCount
            i &+= 8
        }
        while i < last {
            count &+= bytes[i].nonzeroBitCount
            i &+= 1
        }
        return count
    }

    /// The first bit of `range` (in bits) that is `isSet`.
    package static func first(_ isSet: Bool, _ bytes: ByteView, _ range: Range<Int>) -> Int? {
        if range.isEmpty { return nil }
        // Looking for a zero is looking for a one in the complement.
        let flip: UInt8 = isSet ? 0 : 0xFF
        let (head, tail) = masks(range)
        let last = (range.upperBound - 1) >> 3
        var i = range.lowerBound >> 3
        var byte = (bytes[i] ^ flip) & head & (i == last ? tail : 0xFF)
        while byte == 0 {
            if i == last { return nil }
            i &+= 1
            let dull: UInt64 = isSet ? 0 : .max
            while i + 8 <= last, bytes.base.loadUnaligned(fromByteOffset: i, as: UInt64.self) == dull { i &+= 8 }
            byte = (bytes[i] ^ flip) & (i == last ? tail : 0xFF)
        }
        return i << 3 + byte.leadingZeroBitCount
    }

    /// Masks of the first and the last byte of a range that is not empty.
    private static func masks(_ range: Range<Int>) -> (head: UInt8, tail: UInt8) {
        (0xFF >> UInt8(range.lowerBound & 7), 0xFF << UInt8(7 - (range.upperBound - 1) & 7))
    }

    // MARK: Combining

    package enum Operation: Sendable {
        case and, or, xor, not
    }

    /// Combines `inputs` into `output`, which has room for the longest of them; shorter ones end in zeros. `not` takes
    /// the first alone.
    package static func combine(_ operation: Operation, _ inputs: [ByteView], into output: UnsafeMutableRawPointer) {
        let count = inputs.map(\.count).max() ?? 0
        guard let first = inputs.first else { return }
        output.copyMemory(from: first.base, byteCount: first.count)
        (output + first.count).initializeMemory(as: UInt8.self, repeating: 0, count: count - first.count)
        if operation == .not { return apply(output, first, first.count) { old, _ in ~old } }
        for input in inputs.dropFirst() {
            switch operation {
            case .and:
                apply(output, input, input.count, &)
                (output + input.count).initializeMemory(as: UInt8.self, repeating: 0, count: count - input.count)
            case .or: apply(output, input, input.count, |)
            case .xor, .not: apply(output, input, input.count, ^)
            }
        }
    }

    @inline(__always)
    private static func apply(
        _ output: UnsafeMutableRawPointer, _ input: ByteView, _ count: Int, _ body: (UInt64, UInt64) -> UInt64
    ) {
        var i = 0
        while i + 8 <= count {
            let old = output.loadUnaligned(fromByteOffset: i, as: UInt64.self)
            let other = input.base.loadUnaligned(fromByteOffset: i, as: UInt64.self)
            output.storeBytes(of: body(old, other), toByteOffset: i, as: UInt64.self)
            i &+= 8
        }
        while i < count {
            let old = UInt64(output.load(fromByteOffset: i, as: UInt8.self))
            output.storeBytes(
                of: UInt8(truncatingIfNeeded: body(old, UInt64(input[i]))), toByteOffset: i, as: UInt8.self)
            i &+= 1
        }
    }
}
