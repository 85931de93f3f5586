// Strings as numbers: INCR, DECR, INCRBY, DECRBY over 64-bit integers, INCRBYFLOAT over long doubles in decimal text.

import CValk
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum NumberCommands {
    package static func incr(_ c: CommandContext) throws(Interruption) { try add(c, 1) }

    package static func decr(_ c: CommandContext) throws(Interruption) { try add(c, -1) }

    package static func incrby(_ c: CommandContext) throws(Interruption) {
        guard let by = c.integer(2) else { return }
        try add(c, by)
    }

    package static func decrby(_ c: CommandContext) throws(Interruption) {
        guard let by = c.integer(2) else { return }
        if by == Int64.min { return c.fail("ERR decrement would overflow") }
        try add(c, -by)
    }

    private static func add(_ c: CommandContext, _ by: Int64) throws(Interruption) {
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        var old: Int64 = 0
        if let entry = was.entry {
            guard StringTag.isString(entry.pointee.tag) else { return c.fail(ErrorText.wrongType) }
            guard let value = Decimal.parse(try c.keys.value(entry)) else { return c.fail(ErrorText.notInteger) }
            old = value
        }
        let (new, overflow) = old.addingReportingOverflow(by)
        if overflow { return c.fail(ErrorText.overflow) }
        let text = c.keys.allocate(24)
        let length = Decimal.write(new, to: text)
        c.keys.put(
            key, tag: StringTag.plain, expireAt: was.entry == nil ? 0 : was.expireAt,
            value: ByteView(base: text, count: length), was: was)
        c.notify(.incrby, key)
        c.keys.changed()
        c.reply.integer(new)
    }

    package static func incrbyfloat(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        let sum = c.keys.allocate(16)
        let by = c.keys.allocate(16)
        if let entry = was.entry {
            guard StringTag.isString(entry.pointee.tag) else { return c.fail(ErrorText.wrongType) }
            guard parse(try c.keys.value(entry), into: sum) else { return c.fail(ErrorText.notFloat) }
        } else {
            guard parse("0", into: sum) else { return c.fail(ErrorText.notFloat) }
        }
        guard parse(c.args[2], into: by) else { return c.fail(ErrorText.notFloat) }
        guard valk_add_long_double(sum, by) else { return c.fail("ERR increment would produce NaN or Infinity") }
        // A long double in fixed notation has up to 4,933 digits before the point.
        let capacity = 5 * 1024
        let text = c.keys.allocate(capacity)
        let length = Int(valk_format_long_double(sum, text.assumingMemoryBound(to: CChar.self), capacity))
        let value = ByteView(base: text, count: length)
        c.keys.put(
            key, tag: StringTag.text, expireAt: was.entry == nil ? 0 : was.expireAt, value: value, was: was)
        c.notify(.incrbyfloat, key)
        c.keys.changed()
        c.reply.bulk(value)
    }

    /// A whole long double into 16 bytes; false when it is none.
    static func parse(_ text: ByteView, into slot: UnsafeMutableRawPointer) -> Bool {
        valk_parse_long_double(text.base.assumingMemoryBound(to: CChar.self), text.count, slot)
    }

    static func parse(_ text: StaticString, into slot: UnsafeMutableRawPointer) -> Bool {
        parse(ByteView(text), into: slot)
    }
}
