// Sets: members, each once. Operations on several sets are in SetAlgebraCommands, random members in
// RandomMemberCommands. Replies, errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum SetCommands {
    // MARK: Writing

    package static func sadd(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var set = try c.collectionToChange(args[1], .set) else { return }
        var added = 0
        for i in 2..<args.count {
            guard c.canBeElement(args[i]) else { return }
        }
        for i in 2..<args.count where try add(c, &set, args[i]) { added += 1 }
        if added > 0 { try c.save(&set, at: args[1], .sadd, changes: added) }
        c.reply.integer(added)
    }

    /// Adds a member; false when it is there already. `count` is kept.
    static func add(
        _ c: CommandContext, _ set: inout Collection, _ member: ByteView
    ) throws(Interruption) -> Bool {
        let key = c.keys.element.member(member)
        if set.count > 0, try c.keys.has(set, key) { return false }
        try c.keys.put(&set, key, .empty, isNew: true)
        set.count += 1
        if set.tag & CollectionTag.large == 0 && (set.count > c.encodings.intsetEntries || Decimal.parse(member) == nil)
        {
            set.tag |= CollectionTag.large
        }
        return true
    }

    package static func srem(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var set = try c.collectionToChange(args[1], .set) else { return }
        var removed = 0
        for i in 2..<args.count where try take(c, &set, args[i]) { removed += 1 }
        if removed > 0 { try c.save(&set, at: args[1], .srem, changes: removed) }
        c.reply.integer(removed)
    }

    /// Takes a member out; false when it is not there. `count` is kept.
    static func take(
        _ c: CommandContext, _ set: inout Collection, _ member: ByteView
    ) throws(Interruption) -> Bool {
        if set.count == 0 || !c.keys.fitsElement(member) { return false }
        let key = c.keys.element.member(member)
        guard try c.keys.has(set, key) else { return false }
        c.keys.remove(&set, key)
        set.count -= 1
        return true
    }

    package static func smove(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        let member = args[3]
        guard var source = try c.collectionToChange(args[1], .set) else { return }
        if !source.isThere { return c.reply.integer(0) }
        guard var target = try c.collectionToChange(args[2], .set) else { return }
        if args[1] == args[2] {
            return c.reply.integer(try contains(c, source, member) ? 1 : 0)
        }
        guard try take(c, &source, member) else { return c.reply.integer(0) }
        try c.save(&source, at: args[1], .srem)
        if try add(c, &target, member) {
            try c.save(&target, at: args[2], .sadd)
        }
        c.reply.integer(1)
    }

    // MARK: Reading

    static func contains(
        _ c: CommandContext, _ set: borrowing Collection, _ member: ByteView
    ) throws(Interruption) -> Bool {
        if set.count == 0 || !c.keys.fitsElement(member) { return false }
        return try c.keys.has(set, c.keys.element.member(member))
    }

    package static func sismember(_ c: CommandContext) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .set) else { return }
        c.reply.integer(try contains(c, set, c.args[2]) ? 1 : 0)
    }

    package static func smismember(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let set = try c.collection(args[1], .set) else { return }
        c.reply.array(args.count - 2)
        for i in 2..<args.count { c.reply.integer(try contains(c, set, args[i]) ? 1 : 0) }
    }

    package static func scard(_ c: CommandContext) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .set) else { return }
        c.reply.integer(set.count)
    }

    package static func smembers(_ c: CommandContext) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .set) else { return }
        let isStream = try c.streams(set, set.count)
        c.reply.set(set.count)
        if isStream { return try c.stream(ElementCursor(c.keys, set, ElementKind.member), .member, count: set.count) }
        if set.count == 0 { return }
        var walk = try ElementWalk(c.keys, set, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid {
            c.reply.bulk(walk.member)
            try walk.next()
        }
    }

    package static func sscan(_ c: CommandContext) throws(Interruption) {
        try MemberScanCommands.scan(c, .set, isWhole: { $0.tag & CollectionTag.large == 0 }) {
            walk throws(Interruption) in
            c.reply.bulk(walk.member)
            return 1
        }
    }

    // MARK: By chance

    package static func srandmember(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        if args.count > 3 { return c.failSyntax() }
        if args.count == 2 {
            guard let set = try c.collection(args[1], .set) else { return }
            guard set.isThere, try RandomMemberCommands.one(c, set, { c.reply.bulk($0.member) }) else {
                return c.reply.null()
            }
            return
        }
        guard let count = c.randomCount(2) else { return }
        guard let set = try c.collection(args[1], .set) else { return }
        let start = c.replyStart
        var written = 0
        if set.isThere && count != 0 {
            try RandomMemberCommands.some(c, set, count: count) { walk throws(Interruption) in
                c.reply.bulk(walk.member)
                written += 1
            }
        }
        c.insertIntoReply(at: start) { $0.array(written) }
    }

    package static func spop(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        if args.count > 3 { return c.failSyntax() }
        var count = 1
        if args.count == 3 {
            guard let value = Decimal.parse(args[2]), value >= 0 else { return c.fail(ErrorText.notPositive) }
            count = Int(value)
        }
        guard var set = try c.collectionToChange(args[1], .set) else { return }
        if !set.isThere {
            if args.count == 3 { c.reply.set(0) } else { c.reply.null() }
            return
        }
        if count == 0 { return c.reply.set(0) }
        var taken = MemberList()
        if args.count == 2 {
            _ = try RandomMemberCommands.one(c, set) { taken.append($0.member) }
        } else {
            try RandomMemberCommands.some(c, set, count: count) { walk in taken.append(walk.member) }
            c.reply.set(taken.count)
        }
        let number = taken.count
        try taken.forEach { member throws(Interruption) in
            c.reply.bulk(member)
            _ = try take(c, &set, member)
        }
        try c.save(&set, at: args[1], .spop, changes: number)
    }
}
