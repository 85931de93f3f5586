// HGETEX, HSETEX and HGETDEL: fields read or set together with their expiry, or read and deleted. Replies and errors
// are those of Redis 8.0, which brought these commands.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum HashExtendedCommands {
    /// What becomes of the fields' expiry.
    private enum Expiry {
        /// HGETEX: as it is. HSETEX: none.
        case unsaid
        /// Milliseconds since 1970.
        case at(Int64)
        /// KEEPTTL.
        case kept
        /// PERSIST.
        case none
    }

    private enum Condition {
        /// FNX: none of the fields is there.
        case allNew
        /// FXX: all of them are.
        case allThere
    }

    private struct Options {
        var expiry = Expiry.unsaid
        var condition: Condition?
        /// Position of the first field.
        var first = 0
    }

    /// The options in front of FIELDS, which is last. Nil after an error reply.
    private static func options(_ c: CommandContext, _ name: String, sets: Bool) -> Options? {
        let args = c.args
        var options = Options()
        var hasExpiry = false
        var i = 2
        while i < args.count {
            if c.isWord(i, "fields") {
                options.first = i + 2
                return hasFields(c, i, name, each: sets ? 2 : 1) ? options : nil
            }
            if let (unit, isRelative) = unit(c, i) {
                if hasExpiry { return failTwice(c, sets) }
                guard i + 1 < args.count else {
                    c.fail("ERR missing expire time")
                    return nil
                }
                guard
                    let time = HashExpiryCommands.time(c, i + 1, name, unit: unit, isRelative: isRelative)
                else { return nil }
                options.expiry = .at(time)
                hasExpiry = true
                i += 1
            } else if sets ? c.isWord(i, "keepttl") : c.isWord(i, "persist") {
                if hasExpiry { return failTwice(c, sets) }
                options.expiry = sets ? .kept : .none
                hasExpiry = true
            } else if sets && (c.isWord(i, "fnx") || c.isWord(i, "fxx")) {
                if options.condition != nil {
                    c.fail("ERR Only one of FXX or FNX arguments can be specified")
                    return nil
                }
                options.condition = c.isWord(i, "fnx") ? .allNew : .allThere
            } else {
                c.fail("ERR unknown argument: \(args[i].string)")
                return nil
            }
            i += 1
        }
        c.fail("ERR missing FIELDS argument")
        return nil
    }

    private static func unit(_ c: CommandContext, _ index: Int) -> (unit: Int64, isRelative: Bool)? {
        if c.isWord(index, "ex") { return (1000, true) }
        if c.isWord(index, "px") { return (1, true) }
        if c.isWord(index, "exat") { return (1000, false) }
        if c.isWord(index, "pxat") { return (1, false) }
        return nil
    }

    private static func failTwice(_ c: CommandContext, _ sets: Bool) -> Options? {
        c.fail(
            sets
                ? "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
                : "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified")
        return nil
    }

    /// Whether behind FIELDS at `index` stand as many fields (with values, where `each` is 2) as it says; false after
    /// an error reply.
    private static func hasFields(_ c: CommandContext, _ index: Int, _ name: String, each: Int) -> Bool {
        guard index + 1 < c.args.count else {
            c.failArity(name)
            return false
        }
        guard let count = Decimal.parse(c.args[index + 1]), count >= 1, count <= Int64(Int32.max) else {
            c.fail("ERR invalid number of fields")
            return false
        }
        if Int(count) * each != c.args.count - index - 2 {
            c.fail("ERR wrong number of arguments")
            return false
        }
        return true
    }

    // MARK: The commands

    package static func hgetex(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let options = options(c, "hgetex", sets: false) else { return }
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        c.reply.array(args.count - options.first)
        let before = HashCommands.Header(hash)
        var changed = 0
        var event = KeyEvent.hexpire
        for i in options.first..<args.count {
            guard let old = try HashCommands.element(c, hash, args[i]) else {
                c.reply.null()
                continue
            }
            c.reply.bulk(old.value)
            switch options.expiry {
            case .unsaid, .kept: break
            case .none where old.expireAt == 0: break
            case .none:
                try HashExpiryCommands.setTime(c, &hash, args[i], old, 0)
                event = .hpersist
                changed += 1
            case .at(let time) where time <= Int64(c.now):
                _ = try HashCommands.take(c, &hash, args[i])
                event = .hdel
                changed += 1
            case .at(let time):
                try HashExpiryCommands.setTime(c, &hash, args[i], old, UInt64(time))
                changed += 1
            }
        }
        if changed == 0 { return }
        try HashCommands.save(c, &hash, event, isSame: before == HashCommands.Header(hash), changes: changed)
    }

    package static func hsetex(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let options = options(c, "hsetex", sets: true) else { return }
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        let fields = stride(from: options.first, to: args.count, by: 2)
        for i in fields {
            guard c.canBeElement(args[i]) else { return }
            guard let condition = options.condition else { continue }
            let isThere = try HashCommands.element(c, hash, args[i]) != nil
            if isThere != (condition == .allThere) { return c.reply.integer(0) }
        }
        let before = HashCommands.Header(hash)
        var expires = false
        var isPast = false
        for i in fields {
            var time: UInt64 = 0
            switch options.expiry {
            case .unsaid, .none: break
            case .kept: time = try HashCommands.element(c, hash, args[i])?.expireAt ?? 0
            case .at(let when) where when <= Int64(c.now): isPast = true
            case .at(let when):
                time = UInt64(when)
                expires = true
            }
            if isPast {
                _ = try HashCommands.take(c, &hash, args[i])
            } else {
                _ = try HashCommands.put(c, &hash, args[i], args[i + 1], expireAt: time)
            }
        }
        let changes = (args.count - options.first) / 2
        if isPast {
            // What would have been set and deleted again.
            if before != HashCommands.Header(hash) { try c.save(&hash, at: args[1], .hdel, changes: changes) }
        } else {
            if expires { c.notify(.hset, args[1]) }
            try HashCommands.save(
                c, &hash, expires ? .hexpire : .hset, isSame: before == HashCommands.Header(hash), changes: changes)
        }
        c.reply.integer(1)
    }

    package static func hgetdel(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        guard let fields = HashExpiryCommands.fields(c, from: 2, wrongCount: HashExpiryCommands.notPositive) else {
            return
        }
        c.reply.array(fields.count)
        var removed = 0
        for i in fields {
            guard let old = try HashCommands.element(c, hash, args[i]) else {
                c.reply.null()
                continue
            }
            c.reply.bulk(old.value)
            _ = try HashCommands.take(c, &hash, args[i])
            removed += 1
        }
        if removed > 0 { try c.save(&hash, at: args[1], .hdel, changes: removed) }
    }
}
