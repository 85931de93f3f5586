// BITFIELD and BITFIELD_RO: integers of any width at any bit of a string, several operations at once.
//
// Arguments are read twice, first to find faults and what the string must hold, then to act: nothing is kept between.

import Glibc
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum BitFieldCommands {
    private enum Verb {
        case get, set, incrby
    }

    /// One operation, `OVERFLOW` being taken with the next.
    private struct Step {
        var verb: Verb
        var type: BitFieldType
        var offset: Int
        /// The new value or the increment.
        var operand: Int64
        var overflow: BitFieldType.Overflow
    }

    package static func bitfield(_ c: CommandContext) throws(Interruption) { try run(c, readOnly: false) }
    package static func bitfieldRO(_ c: CommandContext) throws(Interruption) { try run(c, readOnly: true) }

    private static func run(_ c: CommandContext, readOnly: Bool) throws(Interruption) {
        var steps = 0
        var writes = false
        var bitsNeeded = 0
        let isFine = forEachStep(c) { step in
            steps += 1
            if step.verb == .get { return }
            writes = true
            bitsNeeded = max(bitsNeeded, step.offset + step.type.bits)
        }
        if !isFine { return }
        if readOnly && writes { return c.fail("ERR BITFIELD_RO only supports the GET subcommand") }
        if !writes {
            guard let bytes = try BitmapCommands.string(c, try c.keys.read(c.args[1])) else { return }
            c.reply.array(steps)
            _ = forEachStep(c) { c.reply.integer($0.type.read(bytes, at: $0.offset)) }
            return
        }
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        guard let old = try BitmapCommands.string(c, was.entry) else { return }
        let (new, total) = BitmapCommands.copy(c, old, atLeast: (bitsNeeded + 7) >> 3)
        let bytes = ByteView(base: new, count: total)
        let hasGrown = total > old.count
        var changes = 0
        c.reply.array(steps)
        _ = forEachStep(c) { step in
            let before = step.type.read(bytes, at: step.offset)
            if step.verb == .get { return c.reply.integer(before) }
            let sets = step.verb == .set
            let (base, more) = sets ? (step.operand, 0) : (before, step.operand)
            guard let after = step.type.add(base, more, step.overflow) else { return c.reply.null() }
            step.type.write(after, to: new, at: step.offset)
            if hasGrown || before != after { changes += 1 }
            c.reply.integer(sets ? before : after)
        }
        if hasGrown || changes > 0 { BitmapCommands.put(c, key, new, total, was) }
        if changes == 0 { return }
        c.notify(.setbit, key)
        c.keys.changed(changes)
    }

    /// Calls `body` for each operation. False after an error reply; then `body` may have been called for those before.
    private static func forEachStep(_ c: CommandContext, _ body: (Step) -> Void) -> Bool {
        let count = c.args.count
        var overflow = BitFieldType.Overflow.wrap
        var i = 2
        while i < count {
            let left = count - i - 1
            let verb: Verb
            if c.isWord(i, "get") && left >= 2 {
                verb = .get
            } else if c.isWord(i, "set") && left >= 3 {
                verb = .set
            } else if c.isWord(i, "incrby") && left >= 3 {
                verb = .incrby
            } else if c.isWord(i, "overflow") && left >= 1 {
                guard let named = overflowNamed(c, i + 1) else { return false }
                overflow = named
                i += 2
                continue
            } else {
                c.failSyntax()
                return false
            }
            guard let type = BitFieldType(c.args[i + 1]) else {
                c.fail(
                    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
                return false
            }
            guard let offset = BitmapCommands.offset(c, i + 2, bits: type.bits) else { return false }
            var operand: Int64 = 0
            if verb != .get {
                guard let value = c.integer(i + 3) else { return false }
                operand = value
            }
            body(Step(verb: verb, type: type, offset: offset, operand: operand, overflow: overflow))
            i += verb == .get ? 3 : 4
        }
        return true
    }

    private static func overflowNamed(_ c: CommandContext, _ index: Int) -> BitFieldType.Overflow? {
        if c.isWord(index, "wrap") { return .wrap }
        if c.isWord(index, "sat") { return .saturate }
        if c.isWord(index, "fail") { return .fail }
        c.fail("ERR Invalid OVERFLOW type specified")
        return nil
    }
}
