// When keys end: EXPIRE and its three relatives, TTL and its three, PERSIST.
//
// A time that has already come deletes the key at once. Changing a key's time writes its entry again, value included.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum ExpiryCommands {
    package static func expire(_ c: CommandContext) throws(Interruption) {
        try set(c, "expire", unit: 1000, isRelative: true)
    }

    package static func pexpire(_ c: CommandContext) throws(Interruption) {
        try set(c, "pexpire", unit: 1, isRelative: true)
    }

    package static func expireat(_ c: CommandContext) throws(Interruption) {
        try set(c, "expireat", unit: 1000, isRelative: false)
    }

    package static func pexpireat(_ c: CommandContext) throws(Interruption) {
        try set(c, "pexpireat", unit: 1, isRelative: false)
    }

    private struct Conditions: OptionSet {
        let rawValue: UInt8
        static var nx: Conditions { Conditions(rawValue: 1) }
        static var xx: Conditions { Conditions(rawValue: 2) }
        static var gt: Conditions { Conditions(rawValue: 4) }
        static var lt: Conditions { Conditions(rawValue: 8) }

        /// `current` is 0 for a key without expiry, which counts as infinitely far.
        func allow(_ current: UInt64, _ new: Int64) -> Bool {
            let old = Int64(clamping: current)
            if contains(.nx) && current != 0 { return false }
            if contains(.xx) && current == 0 { return false }
            if contains(.gt) && (current == 0 || new <= old) { return false }
            if contains(.lt) && current != 0 && new >= old { return false }
            return true
        }
    }

    private static func conditions(_ c: CommandContext) -> Conditions? {
        var conditions: Conditions = []
        for i in 3..<max(3, c.args.count) {
            if c.isWord(i, "nx") {
                conditions.insert(.nx)
            } else if c.isWord(i, "xx") {
                conditions.insert(.xx)
            } else if c.isWord(i, "gt") {
                conditions.insert(.gt)
            } else if c.isWord(i, "lt") {
                conditions.insert(.lt)
            } else {
                c.fail("ERR Unsupported option \(c.args[i].string)")
                return nil
            }
        }
        if conditions.contains(.nx) && !conditions.isDisjoint(with: [.xx, .gt, .lt]) {
            c.fail("ERR NX and XX, GT or LT options at the same time are not compatible")
            return nil
        }
        if conditions.contains(.gt) && conditions.contains(.lt) {
            c.fail("ERR GT and LT options at the same time are not compatible")
            return nil
        }
        return conditions
    }

    private static func set(
        _ c: CommandContext, _ command: StaticString, unit: Int64, isRelative: Bool
    ) throws(Interruption) {
        guard let conditions = conditions(c), var when = c.integer(2) else { return }
        if unit != 1 {
            if when > Int64.max / 1000 || when < Int64.min / 1000 { return c.failExpireTime("\(command)") }
            when *= 1000
        }
        let base = isRelative ? Int64(c.now) : 0
        if when > Int64.max - base { return c.failExpireTime("\(command)") }
        when += base

        let key = c.args[1]
        let was = try c.keys.look(key)
        guard let entry = was.entry, conditions.allow(was.expireAt, when) else { return c.reply.integer(0) }
        if when <= Int64(c.now) {
            c.keys.remove(key, was: was)
            c.notify(.del, key)
        } else {
            try rewrite(c, key, entry, was, expireAt: UInt64(when))
            c.notify(.expire, key)
        }
        c.keys.changed()
        c.reply.integer(1)
    }

    package static func persist(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        let was = try c.keys.look(key)
        guard let entry = was.entry, was.expireAt != 0 else { return c.reply.integer(0) }
        try rewrite(c, key, entry, was, expireAt: 0)
        c.notify(.persist, key)
        c.keys.changed()
        c.reply.integer(1)
    }

    private static func rewrite(
        _ c: CommandContext, _ key: ByteView, _ entry: UnsafePointer<Entry>, _ was: KeyState, expireAt: UInt64
    ) throws(Interruption) {
        let tag = entry.pointee.tag
        let value = c.keys.stable(try c.keys.value(entry))
        c.keys.put(key, tag: tag, expireAt: expireAt, value: value, was: was)
    }

    // MARK: Asking

    package static func ttl(_ c: CommandContext) throws(Interruption) { try ask(c, inSeconds: true, isRelative: true) }

    package static func pttl(_ c: CommandContext) throws(Interruption) {
        try ask(c, inSeconds: false, isRelative: true)
    }

    package static func expiretime(_ c: CommandContext) throws(Interruption) {
        try ask(c, inSeconds: true, isRelative: false)
    }

    package static func pexpiretime(_ c: CommandContext) throws(Interruption) {
        try ask(c, inSeconds: false, isRelative: false)
    }

    /// -2 without the key, -1 without an expiry.
    private static func ask(_ c: CommandContext, inSeconds: Bool, isRelative: Bool) throws(Interruption) {
        guard let entry = try c.keys.readUntouched(c.args[1]) else { return c.reply.integer(-2) }
        if entry.pointee.expireAt == 0 { return c.reply.integer(-1) }
        var time = Int64(clamping: entry.pointee.expireAt)
        if isRelative { time = max(0, time - Int64(c.now)) }
        c.reply.integer(inSeconds ? time / 1000 + (time % 1000 >= 500 ? 1 : 0) : time)
    }
}
