// GET, SET and their relatives: whole values. Parts of values, numbers and LCS are in the files beside this one.
//
// A SET that asks for nothing of the old value does not look the key up: it writes blind, and the store finds out later
// whether the key was new. Replies, errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum StringCommands {
    // MARK: GET

    package static func get(_ c: CommandContext) throws(Interruption) {
        _ = try replyWithString(c, c.args[1])
    }

    package static func strlen(_ c: CommandContext) throws(Interruption) {
        guard let entry = try c.keys.read(c.args[1]) else { return c.reply.integer(0) }
        guard StringTag.isString(entry.pointee.tag) else { return c.fail(ErrorText.wrongType) }
        c.reply.integer(entry.pointee.valueLength)
    }

    package static func mget(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        c.reply.array(args.count - 1)
        for i in 1..<args.count {
            guard let entry = try c.keys.read(args[i]), StringTag.isString(entry.pointee.tag) else {
                c.reply.null()
                continue
            }
            c.reply.bulk(try c.keys.value(entry))
        }
    }

    /// Replies with the string at `key`, null or WRONGTYPE. False after WRONGTYPE.
    @inline(__always)
    static func replyWithString(_ c: CommandContext, _ key: ByteView) throws(Interruption) -> Bool {
        guard let entry = try c.keys.read(key) else {
            c.reply.null()
            return true
        }
        guard StringTag.isString(entry.pointee.tag) else {
            c.fail(ErrorText.wrongType)
            return false
        }
        c.reply.bulk(try c.keys.value(entry))
        return true
    }

    /// As above for a key that a writer has looked up; counts the hit or miss.
    private static func replyWithOld(_ c: CommandContext, _ was: KeyState) throws(Interruption) -> Bool {
        guard let entry = was.entry else {
            c.keys.missed(c.args[1])
            c.reply.null()
            return true
        }
        c.keys.state.pointee.hits &+= 1
        guard StringTag.isString(entry.pointee.tag) else {
            c.fail(ErrorText.wrongType)
            return false
        }
        c.reply.bulk(try c.keys.value(entry))
        return true
    }

    package static func getdel(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        let was = try c.keys.look(key)
        guard try replyWithOld(c, was), was.entry != nil else { return }
        c.keys.remove(key, was: was)
        c.notify(.del, key)
        c.keys.changed()
    }

    package static func getset(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        guard try replyWithOld(c, was) else { return }
        c.keys.put(key, tag: StringTag.plain, expireAt: 0, value: c.args[2], was: was)
        c.notify(.set, key)
        c.keys.changed()
    }

    package static func getex(_ c: CommandContext) throws(Interruption) {
        guard let options = SetOptions.parse(c, from: 2, isGet: true) else { return }
        let key = c.args[1]
        let was = try c.keys.look(key)
        guard let entry = was.entry else {
            c.keys.missed(key)
            return c.reply.null()
        }
        c.keys.state.pointee.hits &+= 1
        guard StringTag.isString(entry.pointee.tag) else { return c.fail(ErrorText.wrongType) }
        var expireAt: UInt64 = 0
        if options.expiry.isGiven {
            guard let at = options.expireAt(c, "getex") else { return }
            expireAt = at
        } else if !options.persist || was.expireAt == 0 {
            return c.reply.bulk(try c.keys.value(entry))
        }
        let value = c.keys.stable(try c.keys.value(entry))
        let tag = entry.pointee.tag
        c.reply.bulk(value)
        if options.expiry.isAbsolute && expireAt <= c.now {
            c.keys.remove(key, was: was)
            c.notify(.del, key)
        } else {
            c.keys.put(key, tag: tag, expireAt: expireAt, value: value, was: was)
            c.notify(options.expiry.isGiven ? .expire : .persist, key)
        }
        c.keys.changed()
    }

    // MARK: SET

    package static func set(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        let key = args[1]
        if args.count == 3 {
            guard c.canStore(key) else { return }
            c.keys.put(key, tag: StringTag.plain, expireAt: 0, value: args[2], was: try c.prior(key))
            c.notify(.set, key)
            c.keys.changed()
            return c.reply.ok()
        }
        try setWithOptions(c)
    }

    private static func setWithOptions(_ c: CommandContext) throws(Interruption) {
        guard let options = SetOptions.parse(c, from: 3, isGet: false) else { return }
        let key = c.args[1]
        guard c.canStore(key) else { return }
        var expireAt: UInt64 = 0
        if options.expiry.isGiven {
            guard let at = options.expireAt(c, "set") else { return }
            expireAt = at
        }
        var was: KeyState
        if options.condition != .none || options.get || options.keepTTL {
            was = try c.keys.look(key)
            if options.get { guard try replyWithOld(c, was) else { return } }
            if options.condition == .ifAbsent && was.entry != nil || options.condition == .ifPresent && was.entry == nil
            {
                if !options.get { c.reply.null() }
                return
            }
            if options.keepTTL && was.entry != nil { expireAt = was.expireAt }
        } else {
            was = try c.prior(key)
        }
        c.keys.put(key, tag: StringTag.plain, expireAt: expireAt, value: c.args[2], was: was)
        c.notify(.set, key)
        if options.expiry.isGiven { c.notify(.expire, key) }
        c.keys.changed()
        if !options.get { c.reply.ok() }
    }

    package static func setnx(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        if was.entry != nil { return c.reply.integer(0) }
        c.keys.put(key, tag: StringTag.plain, expireAt: 0, value: c.args[2], was: was)
        c.notify(.set, key)
        c.keys.changed()
        c.reply.integer(1)
    }

    package static func setex(_ c: CommandContext) throws(Interruption) {
        try setExpiring(c, .seconds(c.args[2]), "setex")
    }

    package static func psetex(_ c: CommandContext) throws(Interruption) {
        try setExpiring(c, .milliseconds(c.args[2]), "psetex")
    }

    private static func setExpiring(
        _ c: CommandContext, _ expiry: ExpiryArgument, _ command: StaticString
    ) throws(Interruption) {
        guard let expireAt = expiry.resolve(c, command) else { return }
        let key = c.args[1]
        guard c.canStore(key) else { return }
        c.keys.put(key, tag: StringTag.plain, expireAt: expireAt, value: c.args[3], was: try c.prior(key))
        c.notify(.set, key)
        c.notify(.expire, key)
        c.keys.changed()
        c.reply.ok()
    }

    // MARK: Several keys

    package static func mset(_ c: CommandContext) throws(Interruption) {
        guard arePairs(c, "mset") else { return }
        let args = c.args
        var i = 1
        while i < args.count {
            let was = try c.prior(args[i])
            c.keys.put(args[i], tag: StringTag.plain, expireAt: 0, value: args[i + 1], was: was)
            c.notify(.set, args[i])
            i += 2
        }
        c.keys.changed((args.count - 1) / 2)
        c.reply.ok()
    }

    package static func msetnx(_ c: CommandContext) throws(Interruption) {
        guard arePairs(c, "msetnx") else { return }
        let args = c.args
        var i = 1
        while i < args.count {
            if try c.keys.look(args[i]).entry != nil { return c.reply.integer(0) }
            i += 2
        }
        i = 1
        while i < args.count {
            // Looked up again: a key may come twice, and the second time it is there.
            let was = try c.keys.look(args[i])
            c.keys.put(args[i], tag: StringTag.plain, expireAt: 0, value: args[i + 1], was: was)
            c.notify(.set, args[i])
            i += 2
        }
        c.keys.changed((args.count - 1) / 2)
        c.reply.integer(1)
    }

    private static func arePairs(_ c: CommandContext, _ command: String) -> Bool {
        if c.args.count % 2 == 0 {
            c.failArity(command)
            return false
        }
        var i = 1
        while i < c.args.count {
            guard c.canStore(c.args[i]) else { return false }
            i += 2
        }
        return true
    }
}
