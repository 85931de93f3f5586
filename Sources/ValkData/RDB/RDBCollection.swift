// Collections as RDB has them, in every form that Redis up to 7.0 writes, and hashes whose fields expire as 7.4 does.
//
//    1 list, 2 set, 4 hash           length, then strings, of a hash in pairs
//    3 sorted set                    length, then string and score as text: [bytes u8][text], 253 nan, 254 and 255 the
//                                    infinities
//    5 sorted set                    length, then string and score as a double, little-endian
//    9 hash                          a string: zipmap
//   10 list, 12 sorted set, 13 hash  a string: ziplist
//   11 set                           a string: intset
//   14 list                          length, then strings: ziplists
//   16 hash, 17 sorted set           a string: listpack
//   18 list                          length, then 1 and a string: an element, or 2 and a string: a listpack
//   24 hash                          earliest expiry u64, length, then expiry (0 none, else its distance from the
//                                    earliest one and 1), field, value
//
// What comes in may be anything: nothing is read beyond its end, and what cannot be right is refused. Duplicates are
// for the caller to find.

import CValk
import ValkBase
import ValkEngine

package enum RDBType {
    static var list: UInt8 { 1 }
    static var set: UInt8 { 2 }
    static var hash: UInt8 { 4 }
    static var sortedSet: UInt8 { 5 }
    static var stream: UInt8 { 19 }
    static var hashWithTimes: UInt8 { 24 }

    /// What a collection's type byte stands for; nil where it is none that is read.
    package static func type(_ byte: UInt8) -> ValueType? {
        switch byte {
        case 1, 10, 14, 18: return .list
        case 2, 11: return .set
        case 3, 5, 12, 17: return .sortedSet
        case 4, 9, 13, 16, 24: return .hash
        default: return nil
        }
    }
}

/// A part of a collection as it comes out of a payload.
package enum RDBPart {
    /// Of a list or a set.
    case element(ByteView)
    case field(ByteView, ByteView, expireAt: UInt64)
    case scored(ByteView, Double)
}

/// Reads the value of a collection behind its type byte. Bytes that are shown lie in the payload or in memory from
/// `allocate`.
package struct RDBCollectionReader {
    private var strings: RDBStrings
    private let type: UInt8

    package typealias Body = (RDBPart) throws(Interruption) -> Bool

    /// Of the whole payload, type byte and footer included; nil when it is no collection that is read.
    package init?(_ payload: ByteView, allocate: @escaping (Int) -> UnsafeMutableRawPointer) {
        strings = RDBStrings(payload, allocate)
        guard payload.count > DumpPayload.footerBytes, let type = strings.reader.byte(), RDBType.type(type) != nil
        else {
            return nil
        }
        self.type = type
    }

    package var valueType: ValueType { RDBType.type(type) ?? .string }

    /// Shows every part in order, until `body` says false. Returns false then, or where the bytes are not understood.
    package mutating func forEach(_ body: Body) throws(Interruption) -> Bool {
        switch type {
        case 1, 2:
            guard let count = strings.reader.count() else { return false }
            return try times(count) { me throws(Interruption) in
                guard let element = me.strings.string() else { return false }
                return try body(.element(element))
            }
        case 3, 5:
            guard let count = strings.reader.count() else { return false }
            return try times(count) { me throws(Interruption) in
                guard let member = me.strings.string(), let score = me.type == 3 ? me.scoreText() : me.score(),
                    !score.isNaN
                else { return false }
                return try body(.scored(member, score))
            }
        case 4:
            guard let count = strings.reader.count() else { return false }
            return try times(count) { me throws(Interruption) in
                guard let field = me.strings.string(), let value = me.strings.string() else { return false }
                return try body(.field(field, value, expireAt: 0))
            }
        case 24: return try hashWithTimes(body)
        case 9: return try zipmap(body)
        case 11: return try intset(body)
        case 10:
            return try packed(isListpack: false, inPairs: false) { a, _ throws(Interruption) in try body(.element(a)) }
        case 12, 17:
            return try packed(isListpack: type == 17, inPairs: true) { a, b throws(Interruption) in
                var score = 0.0
                guard valk_parse_double(b.base.assumingMemoryBound(to: CChar.self), b.count, true, &score),
                    !score.isNaN
                else { return false }
                return try body(.scored(a, score))
            }
        case 13, 16:
            return try packed(isListpack: type == 16, inPairs: true) { a, b throws(Interruption) in
                try body(.field(a, b, expireAt: 0))
            }
        case 14, 18: return try nodes(body)
        default: return false
        }
    }

    private mutating func times(
        _ count: Int, _ body: (inout RDBCollectionReader) throws(Interruption) -> Bool
    ) throws(Interruption) -> Bool {
        var left = count
        while left > 0 {
            if try !body(&self) { return false }
            left -= 1
        }
        return true
    }

    // MARK: Strings and numbers

    private mutating func score() -> Double? {
        strings.reader.number(UInt64.self).map { Double(bitPattern: UInt64(littleEndian: $0)) }
    }

    private mutating func scoreText() -> Double? {
        guard let count = strings.reader.byte() else { return nil }
        switch count {
        case 253: return nil
        case 254: return .infinity
        case 255: return -.infinity
        default:
            guard let text = strings.reader.take(Int(count)) else { return nil }
            var score = 0.0
            let isNumber = valk_parse_double(
                text.base.assumingMemoryBound(to: CChar.self), text.count, true, &score)
            return isNumber ? score : nil
        }
    }

    // MARK: Forms

    private mutating func hashWithTimes(_ body: Body) throws(Interruption) -> Bool {
        guard let word = strings.reader.number(UInt64.self), let count = strings.reader.count() else { return false }
        let earliest = UInt64(littleEndian: word)
        return try times(count) { me throws(Interruption) in
            guard let distance = me.strings.reader.count(), let field = me.strings.string(),
                let value = me.strings.string()
            else {
                return false
            }
            if distance == 0 { return try body(.field(field, value, expireAt: 0)) }
            let (time, isTooLarge) = earliest.addingReportingOverflow(UInt64(distance) - 1)
            guard !isTooLarge, time > 0, time < 1 << 48 else { return false }
            return try body(.field(field, value, expireAt: time))
        }
    }

    private mutating func packed(
        isListpack: Bool, inPairs: Bool, _ body: (ByteView, ByteView) throws(Interruption) -> Bool
    ) throws(Interruption) -> Bool {
        guard let packed = strings.string() else { return false }
        var first: ByteView?
        func visit(_ value: PackedValue) throws(Interruption) -> Bool {
            let bytes = strings.bytes(value)
            if !inPairs { return try body(bytes, bytes) }
            guard let field = first else {
                first = bytes
                return true
            }
            first = nil
            return try body(field, bytes)
        }
        let isWhole = try isListpack ? Listpack.forEach(packed, visit) : Ziplist.forEach(packed, visit)
        return isWhole && first == nil
    }

    private mutating func nodes(_ body: Body) throws(Interruption) -> Bool {
        guard let count = strings.reader.count() else { return false }
        return try times(count) { me throws(Interruption) in
            var isPlain = false
            if me.type == 18 {
                guard let container = me.strings.reader.count(), container == 1 || container == 2 else { return false }
                isPlain = container == 1
            }
            if isPlain {
                guard let element = me.strings.string() else { return false }
                return try body(.element(element))
            }
            return try me.packed(isListpack: me.type == 18, inPairs: false) { element, _ throws(Interruption) in
                try body(.element(element))
            }
        }
    }

    /// [fields u8, 254 and more: not counted] then [length][field][length][unused u8][value][unused bytes] … [0xFF];
    /// lengths are a byte, or 254 and u32 LE.
    private mutating func zipmap(_ body: Body) throws(Interruption) -> Bool {
        guard let map = strings.string(), map.count >= 2 else { return false }
        var at = 1
        var count = 0
        func length() -> Int? {
            guard at < map.count, map[at] != 0xFF else { return nil }
            if map[at] < 254 {
                at += 1
                return Int(map[at - 1])
            }
            guard at + 5 <= map.count else { return nil }
            at += 5
            return Int(map.base.fixed(at - 4, UInt32.self))
        }
        func take(_ count: Int) -> ByteView? {
            guard count < map.count - at else { return nil }
            at += count
            return map[at - count..<at]
        }
        while at < map.count, map[at] != 0xFF {
            guard let fieldBytes = length(), let field = take(fieldBytes), let valueBytes = length(),
                let unused = take(1), let value = take(valueBytes), take(Int(unused[0])) != nil
            else { return false }
            if try !body(.field(field, value, expireAt: 0)) { return false }
            count += 1
        }
        return at == map.count - 1 && (map[0] >= 254 || Int(map[0]) == count)
    }

    /// [bytes of a number u32 LE][numbers u32 LE] then the numbers, ascending.
    private mutating func intset(_ body: Body) throws(Interruption) -> Bool {
        guard let set = strings.string(), set.count >= 8 else { return false }
        let width = Int(set.base.fixed(0, UInt32.self))
        let count = Int(set.base.fixed(4, UInt32.self))
        guard width == 2 || width == 4 || width == 8, set.count == 8 + width * count else { return false }
        var last: Int64?
        for i in 0..<count {
            guard let number = PackedNumber.little(set, 8 + i * width, width), last.map({ $0 < number }) ?? true
            else { return false }
            last = number
            if try !body(.element(strings.text(number))) { return false }
        }
        return true
    }
}
