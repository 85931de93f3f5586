// HRANDFIELD, SRANDMEMBER and ZRANDMEMBER: members by chance, one, some different ones, or any number with repetition.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum RandomMemberCommands {
    /// Answers `… key count` for a collection that is there. `write` writes one member, once or more than once.
    ///
    /// A positive count asks for that many different members at most, a negative one for exactly that many.
    static func some(
        _ c: CommandContext, _ collection: Collection, count: Int,
        _ write: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) {
        if count < 0 { return try repeated(c, collection, count: -count, write) }
        // Half or more: walk over all and choose on the way.
        if count >= collection.count / 2 || collection.count <= 512 {
            return try chosen(c, collection, count: count, write)
        }
        var seen = Set<[UInt8]>()
        var members = try RandomMembers(c.keys, collection)
        while seen.count < count {
            try c.yieldAfter(seen.count)
            let isThere = try members.draw(&c.generator) { walk throws(Interruption) in
                if walk.isExpired || !seen.insert(walk.member.array).inserted { return }
                try write(walk)
            }
            if !isThere { break }
        }
    }

    private static func repeated(
        _ c: CommandContext, _ collection: Collection, count: Int,
        _ write: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) {
        var members = try RandomMembers(c.keys, collection)
        var written = 0
        var tries = 0
        while written < count {
            tries += 1
            try c.yieldAfter(tries)
            let isThere = try members.draw(&c.generator) { walk throws(Interruption) in
                if walk.isExpired { return }
                try write(walk)
                written += 1
            }
            if !isThere || (written == 0 && tries > 10_000) { break }
        }
    }

    /// Selection in one walk (Knuth, volume 2, algorithm S): each member with the chance of what is wanted over what is
    /// left.
    private static func chosen(
        _ c: CommandContext, _ collection: Collection, count: Int,
        _ write: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) {
        var left = collection.count
        var wanted = min(count, left)
        var walk = try ElementWalk(c.keys, collection, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid && wanted > 0 {
            if c.generator.below(max(1, left)) < wanted {
                wanted -= 1
                if !walk.isExpired { try write(walk) }
            }
            left -= 1
            try walk.next()
        }
    }

    /// One member; false when there is none.
    static func one(
        _ c: CommandContext, _ collection: Collection, _ write: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        var members = try RandomMembers(c.keys, collection)
        for _ in 0..<100 {
            var isWritten = false
            let isThere = try members.draw(&c.generator) { walk throws(Interruption) in
                if walk.isExpired { return }
                try write(walk)
                isWritten = true
            }
            if isWritten { return true }
            if !isThere { return false }
        }
        return false
    }
}

extension RandomMemberCommands {
    /// Answers HRANDFIELD and ZRANDMEMBER: `… key [count [word]]`. `writeMore` writes what `word` asks for beside each
    /// member.
    static func answer(
        _ c: CommandContext, _ type: ValueType, _ word: StaticString,
        _ writeMore: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) {
        let args = c.args
        if args.count == 2 {
            guard let collection = try c.collection(args[1], type) else { return }
            guard collection.isThere, try one(c, collection, { c.reply.bulk($0.member) }) else {
                return c.reply.null()
            }
            return
        }
        guard let count = c.randomCount(2) else { return }
        let withMore = args.count == 4 && c.isWord(3, word)
        if args.count > 4 || args.count == 4 && !withMore { return c.failSyntax() }
        if withMore && (count < -(Int.max / 2) || count > Int.max / 2) { return c.fail("ERR value is out of range") }
        guard let collection = try c.collection(args[1], type) else { return }
        let start = c.replyStart
        var written = 0
        let inPairs = withMore && c.reply.version >= 3
        if collection.isThere && count != 0 {
            try some(c, collection, count: count) { walk throws(Interruption) in
                if inPairs { c.reply.array(2) }
                c.reply.bulk(walk.member)
                if withMore { try writeMore(walk) }
                written += withMore && !inPairs ? 2 : 1
            }
        }
        c.insertIntoReply(at: start) { $0.array(written) }
    }
}

extension HashCommands {
    /// HRANDFIELD key [count [WITHVALUES]].
    package static func hrandfield(_ c: CommandContext) throws(Interruption) {
        try RandomMemberCommands.answer(c, .hash, "withvalues") { walk throws(Interruption) in
            c.reply.bulk(try walk.value())
        }
    }
}

extension CommandContext {
    /// How many members are asked for; nil after an error reply.
    func randomCount(_ index: Int) -> Int? {
        guard let value = integer(index) else { return nil }
        if value == Int64.min {
            fail("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
            return nil
        }
        return Int(value)
    }
}
