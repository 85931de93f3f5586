// Fields as numbers: HINCRBY, HINCRBYFLOAT.

import CValk
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum HashNumberCommands {
    package static func hincrby(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let by = c.integer(3) else { return }
        guard var hash = try c.collectionToChange(args[1], .hash), c.canBeElement(args[2]) else { return }
        var old: Int64 = 0
        let there = try HashCommands.element(c, hash, args[2])
        if let there {
            guard let number = Decimal.parse(there.value) else { return c.fail("ERR hash value is not an integer") }
            old = number
        }
        let (new, overflow) = old.addingReportingOverflow(by)
        if overflow { return c.fail(ErrorText.overflow) }
        let text = c.keys.allocate(24)
        let length = Decimal.write(new, to: text)
        try put(c, &hash, ByteView(base: text, count: length), there?.expireAt ?? 0, .hincrby)
        c.reply.integer(new)
    }

    package static func hincrbyfloat(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        let by = c.keys.allocate(16)
        let sum = c.keys.allocate(16)
        guard NumberCommands.parse(args[3], into: by) else { return c.fail(ErrorText.notFloat) }
        sum.initializeMemory(as: UInt8.self, repeating: 0, count: 16)
        guard valk_add_long_double(sum, by) else { return c.fail("ERR value is NaN or Infinity") }
        guard var hash = try c.collectionToChange(args[1], .hash), c.canBeElement(args[2]) else { return }
        let there = try HashCommands.element(c, hash, args[2])
        if let there {
            guard NumberCommands.parse(there.value, into: sum) else { return c.fail("ERR hash value is not a float") }
        } else {
            guard NumberCommands.parse("0", into: sum) else { return c.fail(ErrorText.notFloat) }
        }
        guard valk_add_long_double(sum, by) else { return c.fail("ERR increment would produce NaN or Infinity") }
        let capacity = 5 * 1024
        let text = c.keys.allocate(capacity)
        let length = Int(valk_format_long_double(sum, text.assumingMemoryBound(to: CChar.self), capacity))
        let value = ByteView(base: text, count: length)
        try put(c, &hash, value, there?.expireAt ?? 0, .hincrbyfloat)
        c.reply.bulk(value)
    }

    /// Sets the field to a number; its expiry stays.
    private static func put(
        _ c: CommandContext, _ hash: inout Collection, _ value: ByteView, _ expireAt: UInt64,
        _ event: @autoclosure () -> KeyEvent
    ) throws(Interruption) {
        let before = HashCommands.Header(hash)
        _ = try HashCommands.put(c, &hash, c.args[2], value, expireAt: expireAt)
        try HashCommands.save(c, &hash, event(), isSame: before == HashCommands.Header(hash), changes: 1)
    }
}
