// Sorted sets, member by member: ZADD, ZINCRBY, ZREM, ZSCORE, ranks, pops, scans. Ranges and operations on several sets
// are in the files beside this one. Replies, errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum SortedSetCommands {
    // MARK: Writing

    private struct AddOptions {
        var nx = false
        var xx = false
        var gt = false
        var lt = false
        var ch = false
        var incr = false
    }

    /// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member …
    package static func zadd(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var options = AddOptions()
        var i = 2
        while i < args.count {
            if c.isWord(i, "nx") {
                options.nx = true
            } else if c.isWord(i, "xx") {
                options.xx = true
            } else if c.isWord(i, "gt") {
                options.gt = true
            } else if c.isWord(i, "lt") {
                options.lt = true
            } else if c.isWord(i, "ch") {
                options.ch = true
            } else if c.isWord(i, "incr") {
                options.incr = true
            } else {
                break
            }
            i += 1
        }
        try add(c, options, from: i)
    }

    package static func zincrby(_ c: CommandContext) throws(Interruption) {
        var options = AddOptions()
        options.incr = true
        try add(c, options, from: 2)
    }

    private static func add(_ c: CommandContext, _ options: AddOptions, from first: Int) throws(Interruption) {
        let args = c.args
        if args.count == first || (args.count - first) % 2 != 0 { return c.failSyntax() }
        if options.nx && options.xx {
            return c.fail("ERR XX and NX options at the same time are not compatible")
        }
        if options.gt && options.nx || options.lt && options.nx || options.gt && options.lt {
            return c.fail("ERR GT, LT, and/or NX options at the same time are not compatible")
        }
        if options.incr && args.count - first > 2 {
            return c.fail("ERR INCR option supports a single increment-element pair")
        }
        // All scores are read before anything is changed.
        var i = first
        while i < args.count {
            guard c.score(i) != nil else { return }
            i += 2
        }
        guard var set = try c.collectionToChange(args[1], .sortedSet) else { return }
        i = first
        while i < args.count {
            guard c.canBeElement(args[i + 1]) else { return }
            i += 2
        }
        let bounds = set.extra
        var least = Double.infinity
        var greatest = -Double.infinity
        var added = 0
        var updated = 0
        var last: Double?
        i = first
        while i < args.count {
            let member = args[i + 1]
            let given = c.number(args[i]) ?? 0
            let old = try SortedSetElements.score(c, set, member)
            i += 2
            var score = given
            if options.incr, let old {
                score = old + given
                if score.isNaN { return c.fail("ERR resulting score is not a number (NaN)") }
            }
            if let old {
                last = old
                if options.nx || options.gt && score <= old || options.lt && score >= old {
                    last = nil
                    continue
                }
                last = score
                if score == old { continue }
                least = min(least, old)
                greatest = max(greatest, old)
                try SortedSetElements.put(c, &set, member, score, old: old)
                updated += 1
            } else {
                last = nil
                if options.xx { continue }
                last = score
                try SortedSetElements.put(c, &set, member, score, old: nil)
                added += 1
            }
        }
        if added + updated > 0 {
            if updated > 0 { try SortedSetElements.drawIn(c, &set, least, greatest) }
            if added > 0 || set.extra != bounds {
                try c.save(&set, at: args[1], options.incr ? .zincr : .zadd, changes: added + updated)
            } else {
                try c.saveElements(&set, at: args[1], options.incr ? .zincr : .zadd, changes: updated)
            }
        }
        if options.incr {
            if let last { c.reply.double(last) } else { c.reply.null() }
        } else {
            c.reply.integer(options.ch ? added + updated : added)
        }
    }

    package static func zrem(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var set = try c.collectionToChange(args[1], .sortedSet) else { return }
        var removed = 0
        var least = Double.infinity
        var greatest = -Double.infinity
        for i in 2..<args.count {
            guard let score = try SortedSetElements.score(c, set, args[i]) else { continue }
            try SortedSetElements.remove(c, &set, args[i], score)
            least = min(least, score)
            greatest = max(greatest, score)
            removed += 1
        }
        try SortedSetElements.drawIn(c, &set, least, greatest)
        if removed > 0 { try c.save(&set, at: args[1], .zrem, changes: removed) }
        c.reply.integer(removed)
    }

    // MARK: Reading

    package static func zcard(_ c: CommandContext) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .sortedSet) else { return }
        c.reply.integer(set.count)
    }

    package static func zscore(_ c: CommandContext) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .sortedSet) else { return }
        if let score = try SortedSetElements.score(c, set, c.args[2]) { c.reply.double(score) } else { c.reply.null() }
    }

    package static func zmscore(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let set = try c.collection(args[1], .sortedSet) else { return }
        c.reply.array(args.count - 2)
        for i in 2..<args.count {
            if let score = try SortedSetElements.score(c, set, args[i]) {
                c.reply.double(score)
            } else {
                c.reply.null()
            }
        }
    }

    package static func zrank(_ c: CommandContext) throws(Interruption) { try rank(c, isReverse: false) }

    package static func zrevrank(_ c: CommandContext) throws(Interruption) { try rank(c, isReverse: true) }

    private static func rank(_ c: CommandContext, isReverse: Bool) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .sortedSet) else { return }
        let member = c.args[2]
        guard let score = try SortedSetElements.score(c, set, member) else { return c.reply.null() }
        let upper = c.keys.elementBound(member.count).score(ScoreCoding.encode(score), member)
        if RankIndex.exists(set) {
            let rank = try RankIndex.rank(c.keys, set, of: upper)
            return c.reply.integer(isReverse ? set.count - 1 - rank : rank)
        }
        let lower = c.keys.elementBound().score(set.extra[0], .empty)
        var walk = try ElementWalk(c.keys, set, from: lower, to: upper)
        walk.setDeadBudget(SortedSetElements.deadBudget(set))
        var before = 0
        try walk.seekToFirst()
        while walk.isValid {
            before += 1
            try walk.next()
        }
        if walk.hasRunOut {
            before = try SortedSetElements.all(c, set).firstIndex { $0.member == member } ?? 0
        }
        c.reply.integer(isReverse ? set.count - 1 - before : before)
    }

    package static func zscan(_ c: CommandContext) throws(Interruption) {
        try MemberScanCommands.scan(c, .sortedSet, isWhole: { $0.tag & CollectionTag.large == 0 }) {
            walk throws(Interruption) in
            c.reply.bulk(walk.member)
            c.replyBulk(try SortedSetElements.score(at: walk))
            return 2
        }
    }

    // MARK: Pops

    package static func zpopmin(_ c: CommandContext) throws(Interruption) { try pop(c, isMax: false) }

    package static func zpopmax(_ c: CommandContext) throws(Interruption) { try pop(c, isMax: true) }

    private static func pop(_ c: CommandContext, isMax: Bool) throws(Interruption) {
        let args = c.args
        if args.count > 3 { return c.failSyntax() }
        var count = 1
        if args.count == 3 {
            guard let value = Decimal.parse(args[2]), value >= 0 else { return c.fail(ErrorText.notPositive) }
            count = Int(value)
        }
        guard var set = try c.collectionToChange(args[1], .sortedSet) else { return }
        let popped = try take(c, &set, args[1], count: count, isMax: isMax)
        // With a count RESP3 clients get pairs.
        let inPairs = args.count == 3 && c.reply.version >= 3
        c.reply.array(inPairs ? popped.count : popped.count * 2)
        try popped.forEach { member, score throws(Interruption) in
            if inPairs { c.reply.array(2) }
            c.reply.bulk(member)
            c.reply.double(score)
        }
    }

    /// Takes members from one end out of the set at `key`, and saves it.
    static func take(
        _ c: CommandContext, _ set: inout Collection, _ key: ByteView, count: Int, isMax: Bool
    ) throws(Interruption) -> ScoredList {
        var popped = ScoredList()
        if set.count == 0 || count == 0 { return popped }
        let isChoked = try choose(c, &set, count, isMax, &popped)
        try popped.forEach { member, score throws(Interruption) in
            try SortedSetElements.remove(c, &set, member, score)
        }
        if isChoked { try SortedSetElements.renew(c, &set) }
        try c.save(&set, at: key, isMax ? .zpopmax : .zpopmin, changes: popped.count)
        return popped
    }

    /// Finds the members at one end, and draws that bound in as if they were gone. Returns whether too much that was
    /// deleted lies among the members of a small set.
    private static func choose(
        _ c: CommandContext, _ set: inout Collection, _ count: Int, _ isMax: Bool, _ popped: inout ScoredList
    ) throws(Interruption) -> Bool {
        let bound = isMax ? 1 : 0
        var walk = try SortedSetElements.walk(c, set)
        walk.setDeadBudget(SortedSetElements.writersBudget(set))
        try isMax ? walk.seekToLast() : walk.seekToFirst()
        while walk.isValid {
            let at = walk.scored
            popped.append(at.member, at.score)
            // Nobody who stays is beyond the last one that goes, or beyond the one after it, if that is near.
            set.extra[bound] = ScoreCoding.encode(at.score)
            if popped.count == count {
                walk.setDeadBudget(SortedSetElements.boundBudget)
                try isMax ? walk.previous() : walk.next()
                if walk.isValid { set.extra[bound] = ScoreCoding.encode(walk.scored.score) }
                return false
            }
            try isMax ? walk.previous() : walk.next()
        }
        if !walk.hasRunOut { return false }
        popped = ScoredList()
        let members = try SortedSetElements.all(c, set)
        for (member, score) in isMax ? members.suffix(count).reversed() : Array(members.prefix(count)) {
            popped.append(member, score)
        }
        return true
    }

    /// ZMPOP numkeys key … MIN | MAX [COUNT n].
    package static func zmpop(_ c: CommandContext) throws(Interruption) {
        guard let request = SortedSetPopRequest(c, from: 1) else { return }
        if try !request.run(c) { c.reply.nullArray() }
    }

    // MARK: By chance

    /// ZRANDMEMBER key [count [WITHSCORES]].
    package static func zrandmember(_ c: CommandContext) throws(Interruption) {
        try RandomMemberCommands.answer(c, .sortedSet, "withscores") { walk throws(Interruption) in
            c.reply.double(try SortedSetElements.score(at: walk))
        }
    }
}

/// What ZMPOP and BZMPOP ask for: `numkeys key … MIN | MAX [COUNT n]`.
struct SortedSetPopRequest {
    private let pop: CountedPop<Bool>

    var keys: Range<Int> { pop.keys }

    /// From the argument `first` on; nil after an error reply.
    init?(_ c: CommandContext, from first: Int) {
        guard let pop = CountedPop(c, from: first, { Self.isMax(c, $0) }) else { return nil }
        self.pop = pop
    }

    private static func isMax(_ c: CommandContext, _ index: Int) -> Bool? {
        if c.isWord(index, "min") { return false }
        if c.isWord(index, "max") { return true }
        c.failSyntax()
        return nil
    }

    /// Pops from the first set that has members. True after a reply, also one of an error.
    func run(_ c: CommandContext) throws(Interruption) -> Bool {
        for i in c.keysAtHand(keys) {
            let key = c.args[i]
            guard var set = try c.collectionToChange(key, .sortedSet) else { return true }
            if set.count == 0 { continue }
            let popped = try SortedSetCommands.take(c, &set, key, count: pop.count, isMax: pop.end)
            c.reply.array(2)
            c.reply.bulk(key)
            c.reply.array(popped.count)
            try popped.forEach { member, score throws(Interruption) in
                c.reply.array(2)
                c.reply.bulk(member)
                c.reply.double(score)
            }
            return true
        }
        return false
    }
}

extension CommandContext {
    /// A score as a bulk string, in RESP3 too.
    func replyBulk(_ score: Double) { ReplyWriter(out: reply.out, version: 2).double(score) }
}
