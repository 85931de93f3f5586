// Lengths and strings as Redis's RDB format has them.
//
//   00LLLLLL                    length below 64
//   01LLLLLL LLLLLLLL           length below 16,384, high byte first
//   0x80, u32 BE                length
//   0x81, u64 BE                length
//   0xC0, i8 | 0xC1, i16 LE | 0xC2, i32 LE      the string is this number in decimal
//   0xC3, compressed length, length, LZF        the string, compressed
//
// A string is a length and its bytes, or one of the last two lines. What comes in may be anything: nothing is read
// beyond its end, and nothing is allocated that its own length does not justify.

import Glibc
import ValkBase

package enum RDB {
    /// The version of the format that is written, Redis 7.0's; newer ones are refused.
    package static let version: UInt16 = 10

    /// Strings up to this length are looked at for numbers.
    private static let numberBytesMax = 11
    /// Longer strings are compressed if that saves four bytes.
    private static let plainBytesMax = 20

    /// Room that a string of `count` bytes needs at most.
    package static func roomForString(_ count: Int) -> Int { count + 32 }

    // MARK: Writing. Each returns how many bytes it wrote.

    static func writeLength(_ length: Int, to memory: UnsafeMutableRawPointer) -> Int {
        if length < 1 << 6 {
            memory.storeBytes(of: UInt8(length), as: UInt8.self)
            return 1
        }
        if length < 1 << 14 {
            memory.storeBytes(of: (0x4000 | UInt16(length)).bigEndian, as: UInt16.self)
            return 2
        }
        if length <= Int(UInt32.max) {
            memory.storeBytes(of: 0x80, as: UInt8.self)
            memory.storeBytes(of: UInt32(length).bigEndian, toByteOffset: 1, as: UInt32.self)
            return 5
        }
        memory.storeBytes(of: 0x81, as: UInt8.self)
        memory.storeBytes(of: UInt64(length).bigEndian, toByteOffset: 1, as: UInt64.self)
        return 9
    }

    /// `compressor`: nil to compress nothing. At `memory` is `roomForString(string.count)`.
    package static func writeString(
        _ string: ByteView, to memory: UnsafeMutableRawPointer, compressor: @autoclosure () -> LZFCompressor?
    ) -> Int {
        let count = string.count
        if count <= numberBytesMax, let number = Decimal.parse(string), let small = Int32(exactly: number) {
            return writeNumber(small, to: memory)
        }
        // In front of the compressed bytes stand 1 and two lengths, which are known only afterwards.
        let head = 19
        if count > plainBytesMax, let compressor = compressor(),
            let packed = compressor.compress(string, to: memory + head, room: count - 4)
        {
            memory.storeBytes(of: 0xC3, as: UInt8.self)
            var at = 1
            at += writeLength(packed, to: memory + at)
            at += writeLength(count, to: memory + at)
            memmove(memory + at, memory + head, packed)
            return at + packed
        }
        let at = writeLength(count, to: memory)
        memcpy(memory + at, string.base, count)
        return at + count
    }

    private static func writeNumber(_ number: Int32, to memory: UnsafeMutableRawPointer) -> Int {
        if let small = Int8(exactly: number) {
            memory.storeBytes(of: 0xC0, as: UInt8.self)
            memory.storeBytes(of: small, toByteOffset: 1, as: Int8.self)
            return 2
        }
        if let small = Int16(exactly: number) {
            memory.storeBytes(of: 0xC1, as: UInt8.self)
            memory.storeBytes(of: small.littleEndian, toByteOffset: 1, as: Int16.self)
            return 3
        }
        memory.storeBytes(of: 0xC2, as: UInt8.self)
        memory.storeBytes(of: number.littleEndian, toByteOffset: 1, as: Int32.self)
        return 5
    }
}

/// A string as it was found.
package enum RDBString {
    case plain(ByteView)
    case number(Int64)
    /// `count` bytes, to be expanded.
    case compressed(ByteView, count: Int)
}

/// Reads one thing after the other; nil where the bytes are none of it.
package struct RDBReader {
    private let bytes: ByteView
    private var at = 0

    package init(_ bytes: ByteView) { self.bytes = bytes }

    package mutating func byte() -> UInt8? {
        guard at < bytes.count else { return nil }
        defer { at += 1 }
        return bytes[at]
    }

    mutating func number<N: FixedWidthInteger>(_ type: N.Type) -> N? {
        guard bytes.count - at >= MemoryLayout<N>.size else { return nil }
        defer { at += MemoryLayout<N>.size }
        return (bytes.base + at).loadUnaligned(as: N.self)
    }

    mutating func take(_ count: Int) -> ByteView? {
        guard count <= bytes.count - at else { return nil }
        defer { at += count }
        return bytes[at..<at + count]
    }

    /// A length, or the kind of a special string.
    private enum Length {
        case count(UInt64)
        case special(UInt8)
    }

    private mutating func length() -> Length? {
        guard let first = byte() else { return nil }
        switch first >> 6 {
        case 0: return .count(UInt64(first))
        case 1: return byte().map { .count(UInt64(first & 0x3F) << 8 | UInt64($0)) }
        case 2:
            if first == 0x80 { return number(UInt32.self).map { .count(UInt64(UInt32(bigEndian: $0))) } }
            guard first == 0x81, let long = number(UInt64.self) else { return nil }
            return .count(UInt64(bigEndian: long))
        default: return .special(first & 0x3F)
        }
    }

    /// A plain length.
    mutating func count() -> Int? {
        unsigned().flatMap { Int(exactly: $0) }
    }

    /// A number that is written as lengths are.
    mutating func unsigned() -> UInt64? {
        if case .count(let count) = length() { return count }
        return nil
    }

    package mutating func string() -> RDBString? {
        guard let length = length() else { return nil }
        switch length {
        case .count(let count): return Int(exactly: count).flatMap { take($0) }.map { .plain($0) }
        case .special(0): return number(Int8.self).map { .number(Int64($0)) }
        case .special(1): return number(Int16.self).map { .number(Int64(Int16(littleEndian: $0))) }
        case .special(2): return number(Int32.self).map { .number(Int64(Int32(littleEndian: $0))) }
        case .special(3):
            guard let packed = count(), let count = count(), let bytes = take(packed) else { return nil }
            return count <= LZF.expansionMax(packed) ? .compressed(bytes, count: count) : nil
        default: return nil
        }
    }
}
