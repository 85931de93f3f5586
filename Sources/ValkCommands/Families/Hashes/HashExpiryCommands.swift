// Fields of hashes that expire: HEXPIRE and its three relatives, HTTL and its three, HPERSIST.
//
// A time that has already come deletes the field at once. Replies and errors are those of Redis 7.4, which brought
// these commands; HGETEX, HSETEX and HGETDEL came later and are in HashExtendedCommands.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum HashExpiryCommands {
    /// Latest time of a field, in milliseconds since 1970, as in Redis.
    static let timeMax: Int64 = (1 << 48 - 1) >> 2

    // MARK: Setting

    package static func hexpire(_ c: CommandContext) throws(Interruption) {
        try set(c, "hexpire", unit: 1000, isRelative: true)
    }

    package static func hpexpire(_ c: CommandContext) throws(Interruption) {
        try set(c, "hpexpire", unit: 1, isRelative: true)
    }

    package static func hexpireat(_ c: CommandContext) throws(Interruption) {
        try set(c, "hexpireat", unit: 1000, isRelative: false)
    }

    package static func hpexpireat(_ c: CommandContext) throws(Interruption) {
        try set(c, "hpexpireat", unit: 1, isRelative: false)
    }

    private enum Condition {
        case nx
        case xx
        case gt
        case lt

        /// `old` is 0 for a field without expiry, which counts as infinitely far.
        func allows(_ old: UInt64, _ new: Int64) -> Bool {
            switch self {
            case .nx: return old == 0
            case .xx: return old != 0
            case .gt: return old != 0 && new > Int64(old)
            case .lt: return old == 0 || new < Int64(old)
            }
        }
    }

    /// Milliseconds since 1970 that argument `index` means, which is at least 0; nil after an error reply.
    static func time(
        _ c: CommandContext, _ index: Int, _ name: String, unit: Int64, isRelative: Bool
    ) -> Int64? {
        guard let value = c.integer(index) else { return nil }
        if value < 0 {
            c.fail("ERR invalid expire time, must be >= 0")
            return nil
        }
        let base = isRelative ? Int64(c.now) : 0
        if value > timeMax / unit || value * unit > timeMax - base {
            c.failExpireTime(name)
            return nil
        }
        return value * unit + base
    }

    private static func set(
        _ c: CommandContext, _ name: String, unit: Int64, isRelative: Bool
    ) throws(Interruption) {
        let args = c.args
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        guard let when = time(c, 2, name, unit: unit, isRelative: isRelative) else { return }
        var condition: Condition?
        if c.isWord(3, "nx") {
            condition = .nx
        } else if c.isWord(3, "xx") {
            condition = .xx
        } else if c.isWord(3, "gt") {
            condition = .gt
        } else if c.isWord(3, "lt") {
            condition = .lt
        }
        guard
            let fields = fields(
                c, from: condition == nil ? 3 : 4, wrongCount: "ERR Parameter `numFields` should be greater than 0")
        else { return }
        c.reply.array(fields.count)
        let before = HashCommands.Header(hash)
        var changed = 0
        var deleted = 0
        for i in fields {
            guard let old = try HashCommands.element(c, hash, args[i]) else {
                c.reply.integer(-2)
                continue
            }
            if condition?.allows(old.expireAt, when) == false {
                c.reply.integer(0)
            } else if when <= Int64(c.now) {
                deleted += try HashCommands.take(c, &hash, args[i]) ? 1 : 0
                c.reply.integer(2)
            } else {
                try setTime(c, &hash, args[i], old, UInt64(when))
                changed += 1
                c.reply.integer(1)
            }
        }
        if changed + deleted == 0 { return }
        try HashCommands.save(
            c, &hash, deleted > 0 ? .hdel : .hexpire, isSame: before == HashCommands.Header(hash),
            changes: changed + deleted)
    }

    /// Gives a field that is there another expiry, 0 for none.
    static func setTime(
        _ c: CommandContext, _ hash: inout Collection, _ field: ByteView, _ old: Element, _ time: UInt64
    ) throws(Interruption) {
        // The value is written again, and may lie where the new one is written.
        let value = c.keys.copied(old.value)
        try c.keys.putField(&hash, c.keys.element.member(field), field, value, expireAt: time, old: old)
    }

    /// Positions of the fields behind FIELDS and their number, at `index`; nil after an error reply.
    static func fields(_ c: CommandContext, from index: Int, wrongCount: StaticString) -> Range<Int>? {
        let args = c.args
        guard index + 1 < args.count, c.isWord(index, "fields") else {
            c.fail("ERR Mandatory argument FIELDS is missing or not at the right position")
            return nil
        }
        guard let count = Decimal.parse(args[index + 1]), count >= 1 else {
            c.fail(wrongCount)
            return nil
        }
        let first = index + 2
        if count != Int64(args.count - first) {
            c.fail("ERR The `numfields` parameter must match the number of arguments")
            return nil
        }
        return first..<args.count
    }

    // MARK: Asking

    package static func httl(_ c: CommandContext) throws(Interruption) { try ask(c, unit: 1000, isRelative: true) }
    package static func hpttl(_ c: CommandContext) throws(Interruption) { try ask(c, unit: 1, isRelative: true) }

    package static func hexpiretime(_ c: CommandContext) throws(Interruption) {
        try ask(c, unit: 1000, isRelative: false)
    }

    package static func hpexpiretime(_ c: CommandContext) throws(Interruption) {
        try ask(c, unit: 1, isRelative: false)
    }

    static var notPositive: StaticString { "ERR Number of fields must be a positive integer" }

    private static func ask(_ c: CommandContext, unit: Int64, isRelative: Bool) throws(Interruption) {
        guard let hash = try c.collection(c.args[1], .hash) else { return }
        guard let fields = fields(c, from: 2, wrongCount: notPositive) else { return }
        c.reply.array(fields.count)
        for i in fields {
            guard let element = try HashCommands.element(c, hash, c.args[i]) else {
                c.reply.integer(-2)
                continue
            }
            if element.expireAt == 0 {
                c.reply.integer(-1)
            } else {
                // Seconds are rounded up.
                let time = Int64(element.expireAt) - (isRelative ? Int64(c.now) : 0)
                c.reply.integer((time + unit - 1) / unit)
            }
        }
    }

    package static func hpersist(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        guard let fields = fields(c, from: 2, wrongCount: notPositive) else { return }
        c.reply.array(fields.count)
        let before = HashCommands.Header(hash)
        var changed = 0
        for i in fields {
            guard let old = try HashCommands.element(c, hash, args[i]) else {
                c.reply.integer(-2)
                continue
            }
            if old.expireAt == 0 {
                c.reply.integer(-1)
                continue
            }
            try setTime(c, &hash, args[i], old, 0)
            changed += 1
            c.reply.integer(1)
        }
        if changed == 0 { return }
        try HashCommands.save(
            c, &hash, .hpersist, isSame: before == HashCommands.Header(hash), changes: changed)
    }
}
