// Listpacks and ziplists: the compact sequences of strings and integers that Redis writes for small collections and for
// the nodes of lists and streams. What is read here is doubted byte by byte.
//
//   listpack   [bytes u32 LE][entries u16 LE, 65535: not counted] entry … [0xFF]
//     entry    [encoding and data][the length of both, backwards in groups of seven bits]
//   ziplist    [bytes u32 LE][offset of the last entry u32 LE][entries u16 LE, 65535: not counted] entry … [0xFF]
//     entry    [length of the entry before: u8, or 0xFE and u32 LE][encoding and data]

import ValkBase

/// An entry of either, as it is written.
enum PackedValue {
    case text(ByteView)
    case number(Int64)
}

enum Listpack {
    private static let headerBytes = 6

    /// Shows each entry, until `body` says false. Returns false then, or where the bytes are no listpack.
    static func forEach<E: Error>(_ bytes: ByteView, _ body: (PackedValue) throws(E) -> Bool) throws(E) -> Bool {
        guard bytes.count > headerBytes, bytes.base.fixed(0, UInt32.self) == UInt32(clamping: bytes.count) else {
            return false
        }
        let end = bytes.count - 1
        var at = headerBytes
        var count = 0
        while at < end {
            guard let (value, length) = entry(bytes[at..<end]) else { return false }
            let back = backLengthBytes(length)
            guard at + length + back <= end, hasBackLength(bytes, at + length, length, back) else { return false }
            if try !body(value) { return false }
            at += length + back
            count += 1
        }
        let counted = Int(bytes.base.fixed(4, UInt16.self))
        return at == end && bytes[end] == 0xFF && (counted == 65_535 || counted == count)
    }

    /// The entry at the beginning of `rest` and how long its encoding and data are.
    private static func entry(_ rest: ByteView) -> (PackedValue, Int)? {
        let first = rest[0]
        func text(_ head: Int, _ count: Int) -> (PackedValue, Int)? {
            head + count <= rest.count ? (.text(rest[head..<head + count]), head + count) : nil
        }
        func number(_ bytes: Int) -> (PackedValue, Int)? {
            PackedNumber.little(rest, 1, bytes).map { (.number($0), 1 + bytes) }
        }
        switch first {
        case 0..<0x80: return (.number(Int64(first)), 1)
        case 0x80..<0xC0: return text(1, Int(first & 0x3F))
        case 0xC0..<0xE0:
            guard rest.count >= 2 else { return nil }
            let value = Int64(first & 0x1F) << 8 | Int64(rest[1])
            return (.number(value >= 1 << 12 ? value - 1 << 13 : value), 2)
        case 0xE0..<0xF0:
            guard rest.count >= 2 else { return nil }
            return text(2, Int(first & 0x0F) << 8 | Int(rest[1]))
        case 0xF0:
            guard rest.count >= 5 else { return nil }
            return text(5, Int(rest.base.fixed(1, UInt32.self)))
        case 0xF1: return number(2)
        case 0xF2: return number(3)
        case 0xF3: return number(4)
        case 0xF4: return number(8)
        default: return nil
        }
    }

    static func backLengthBytes(_ length: Int) -> Int {
        length <= 127 ? 1 : length < 16_383 ? 2 : length < 2_097_151 ? 3 : length < 268_435_455 ? 4 : 5
    }

    private static func hasBackLength(_ bytes: ByteView, _ at: Int, _ length: Int, _ count: Int) -> Bool {
        var value = 0
        for i in 0..<count {
            // All groups but the first say that one stands in front of them.
            if (bytes[at + i] & 0x80 != 0) != (i > 0) { return false }
            value = value << 7 | Int(bytes[at + i] & 0x7F)
        }
        return value == length
    }
}

enum Ziplist {
    private static let headerBytes = 10

    /// As `Listpack.forEach`.
    static func forEach<E: Error>(_ bytes: ByteView, _ body: (PackedValue) throws(E) -> Bool) throws(E) -> Bool {
        guard bytes.count > headerBytes, bytes.base.fixed(0, UInt32.self) == UInt32(clamping: bytes.count) else {
            return false
        }
        let end = bytes.count - 1
        var at = headerBytes
        var last = headerBytes
        var before = 0
        var count = 0
        while at < end {
            let rest = bytes[at..<end]
            let head = rest[0] < 0xFE ? 1 : 5
            guard rest[0] != 0xFF, rest.count > head else { return false }
            let said = head == 1 ? Int(rest[0]) : Int(rest.base.fixed(1, UInt32.self))
            guard said == before, let (value, length) = entry(rest.dropFirst(head)) else { return false }
            if try !body(value) { return false }
            last = at
            before = head + length
            at += before
            count += 1
        }
        let counted = Int(bytes.base.fixed(8, UInt16.self))
        return at == end && bytes[end] == 0xFF && Int(bytes.base.fixed(4, UInt32.self)) == last
            && (counted == 65_535 || counted == count)
    }

    private static func entry(_ rest: ByteView) -> (PackedValue, Int)? {
        let first = rest[0]
        func text(_ head: Int, _ count: Int) -> (PackedValue, Int)? {
            head + count <= rest.count ? (.text(rest[head..<head + count]), head + count) : nil
        }
        func number(_ bytes: Int) -> (PackedValue, Int)? {
            PackedNumber.little(rest, 1, bytes).map { (.number($0), 1 + bytes) }
        }
        switch first {
        case 0..<0x40: return text(1, Int(first))
        case 0x40..<0x80:
            guard rest.count >= 2 else { return nil }
            return text(2, Int(first & 0x3F) << 8 | Int(rest[1]))
        case 0x80:
            guard rest.count >= 5 else { return nil }
            return text(5, Int(rest.base.bigEndian(1, UInt32.self)))
        case 0xC0: return number(2)
        case 0xD0: return number(4)
        case 0xE0: return number(8)
        case 0xF0: return number(3)
        case 0xFE: return number(1)
        case 0xF1...0xFD: return (.number(Int64(first & 0x0F) - 1), 1)
        default: return nil
        }
    }
}

enum PackedNumber {
    /// A signed number of `count` bytes, low byte first.
    static func little(_ bytes: ByteView, _ at: Int, _ count: Int) -> Int64? {
        guard at + count <= bytes.count else { return nil }
        var value: UInt64 = 0
        for i in (0..<count).reversed() { value = value << 8 | UInt64(bytes[at + i]) }
        let unused = UInt64(64 - count * 8)
        return Int64(bitPattern: value << unused) >> Int64(unused)
    }
}
