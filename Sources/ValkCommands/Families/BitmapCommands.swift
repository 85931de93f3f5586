// Strings as rows of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. Bits are numbered from the highest of byte 0.
//
// A value is read and written whole. What goes over more than `loopBytesMax` is left to a worker.

import Glibc
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum BitmapCommands {
    /// Longer strings are looked through by a worker, so that the loop serves others meanwhile.
    static let loopBytesMax = 1 << 20

    static var offsetError: StaticString { "ERR bit offset is not an integer or out of range" }

    /// A bit's number, nil after an error reply. `bits`: with a '#' in front it counts fields of so many bits.
    static func offset(_ c: CommandContext, _ index: Int, bits: Int? = nil) -> Int? {
        var text = c.args[index]
        var scale = 1
        if let bits, text.count > 0, text[0] == UInt8(ascii: "#") {
            text = text[1..<text.count]
            scale = bits
        }
        if let number = Decimal.parse(text), number >= 0 {
            let (offset, isLost) = Int(number).multipliedReportingOverflow(by: scale)
            if !isLost && offset >> 3 < c.stringBytesMax { return offset }
        }
        c.fail(offsetError)
        return nil
    }

    /// The string at `key`, empty where there is none; nil after an error reply.
    static func string(_ c: CommandContext, _ entry: UnsafePointer<Entry>?) throws(Interruption) -> ByteView? {
        guard let entry else { return .empty }
        guard StringTag.isString(entry.pointee.tag) else {
            c.fail(ErrorText.wrongType)
            return nil
        }
        if entry.pointee.valueLength > loopBytesMax && !c.keys.reader.mayBlock { throw .wouldBlock }
        return try c.keys.value(entry)
    }

    /// A copy of `old` of at least `count` bytes that may be changed, zeros behind it.
    static func copy(_ c: CommandContext, _ old: ByteView, atLeast count: Int) -> (UnsafeMutableRawPointer, Int) {
        let total = max(old.count, count)
        let new = c.keys.allocate(total)
        memcpy(new, old.base, old.count)
        memset(new + old.count, 0, total - old.count)
        return (new, total)
    }

    package static func setbit(_ c: CommandContext) throws(Interruption) {
        guard let offset = offset(c, 2) else { return }
        guard let bit = c.integer(3, "ERR bit is not an integer or out of range") else { return }
        if bit & ~1 != 0 { return c.fail("ERR bit is not an integer or out of range") }
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        guard let old = try string(c, was.entry) else { return }
        let type = BitFieldType(isSigned: false, bits: 1)
        let before = type.read(old, at: offset)
        if offset >> 3 >= old.count || before != bit {
            let (new, total) = copy(c, old, atLeast: offset >> 3 + 1)
            type.write(bit, to: new, at: offset)
            put(c, key, new, total, was)
            c.notify(.setbit, key)
            c.keys.changed()
        }
        c.reply.integer(before)
    }

    static func put(
        _ c: CommandContext, _ key: ByteView, _ new: UnsafeMutableRawPointer, _ total: Int, _ was: KeyState
    ) {
        c.keys.put(
            key, tag: StringTag.raw, expireAt: was.entry == nil ? 0 : was.expireAt,
            value: ByteView(base: new, count: total), was: was)
    }

    package static func getbit(_ c: CommandContext) throws(Interruption) {
        guard let offset = offset(c, 2) else { return }
        guard let bytes = try string(c, try c.keys.read(c.args[1])) else { return }
        c.reply.integer(BitFieldType(isSigned: false, bits: 1).read(bytes, at: offset))
    }

    // MARK: Counting and finding

    /// The unit that the word at `index` names, in bits; nil after an error reply.
    private static func unit(_ c: CommandContext, _ index: Int) -> Int? {
        if index >= c.args.count || c.isWord(index, "byte") { return 8 }
        if c.isWord(index, "bit") { return 1 }
        c.failSyntax()
        return nil
    }

    /// `start ... end` in units of so many bits, both from the end when negative, as bits of a string.
    private static func range(_ start: Int64, _ end: Int64, unit: Int, of bytes: ByteView) -> Range<Int> {
        let count = Int64(bytes.count * 8 / unit)
        let first = start < 0 ? max(0, start &+ count) : start
        let last = min(count - 1, end < 0 ? max(0, end &+ count) : end)
        return first > last ? 0..<0 : Int(first) * unit..<(Int(last) + 1) * unit
    }

    package static func bitcount(_ c: CommandContext) throws(Interruption) {
        let entry = try c.keys.read(c.args[1])
        // Of a key that is not there Redis 7.0 does not even look at the range.
        if entry == nil { return c.reply.integer(0) }
        guard let bytes = try string(c, entry) else { return }
        if c.args.count == 2 { return c.reply.integer(Bits.count(bytes, 0..<bytes.count * 8)) }
        guard c.args.count == 4 || c.args.count == 5 else { return c.failSyntax() }
        guard let start = c.integer(2), let end = c.integer(3) else { return }
        // Before the unit is looked at, as Redis 7.0 does.
        if start < 0 && end < 0 && start > end { return c.reply.integer(0) }
        guard let unit = unit(c, 4) else { return }
        c.reply.integer(Bits.count(bytes, range(start, end, unit: unit, of: bytes)))
    }

    package static func bitpos(_ c: CommandContext) throws(Interruption) {
        guard let bit = c.integer(2) else { return }
        if bit & ~1 != 0 { return c.fail("ERR The bit argument must be 1 or 0.") }
        guard let entry = try c.keys.read(c.args[1]) else { return c.reply.integer(bit == 1 ? -1 : 0) }
        guard let bytes = try string(c, entry) else { return }
        guard c.args.count <= 6 else { return c.failSyntax() }
        var start: Int64 = 0
        var end: Int64 = -1
        var scale = 8
        if c.args.count > 3 {
            guard let value = c.integer(3) else { return }
            start = value
            guard let unit = unit(c, 5) else { return }
            scale = unit
        }
        let hasEnd = c.args.count > 4
        if hasEnd {
            guard let value = c.integer(4) else { return }
            end = value
        }
        // Without an end the string is taken to go on with zeros for ever.
        let all = range(start, end, unit: scale, of: bytes)
        if all.isEmpty { return c.reply.integer(-1) }
        let found = Bits.first(bit == 1, bytes, all) ?? (bit == 0 && !hasEnd ? all.upperBound : -1)
        c.reply.integer(found)
    }

    // MARK: BITOP

    package static func bitop(_ c: CommandContext) throws(Interruption) {
        let operation: Bits.Operation
        if c.isWord(1, "and") {
            operation = .and
        } else if c.isWord(1, "or") {
            operation = .or
        } else if c.isWord(1, "xor") {
            operation = .xor
        } else if c.isWord(1, "not") {
            operation = .not
        } else {
            return c.failSyntax()
        }
        if operation == .not && c.args.count != 4 {
            return c.fail("ERR BITOP NOT must be called with a single source key.")
        }
        let target = c.args[2]
        guard c.canStore(target) else { return }
        var inputs: [ByteView] = []
        for i in 3..<c.args.count {
            let source = try c.keys.find(c.args[i])
            if source == nil { c.notify(.keymiss, c.args[i]) }
            guard let bytes = try string(c, source) else { return }
            inputs.append(bytes)
        }
        let count = inputs.map(\.count).max() ?? 0
        let result = c.keys.allocate(count)
        Bits.combine(operation, inputs, into: result)
        let was = try c.keys.look(target)
        if count == 0 {
            if was.entry != nil {
                c.keys.remove(target, was: was)
                c.notify(.del, target)
                c.keys.changed()
            }
        } else {
            c.keys.put(target, tag: StringTag.raw, expireAt: 0, value: ByteView(base: result, count: count), was: was)
            c.notify(.set, target)
            c.keys.changed()
        }
        c.reply.integer(count)
    }
}
