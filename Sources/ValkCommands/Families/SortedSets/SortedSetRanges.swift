// Ranges of sorted sets: ZRANGE and its older forms, ZRANGESTORE, ZCOUNT, ZLEXCOUNT, and removal by range.
//
// Every form becomes one `SortedSetSelection`, which shows the selected members in order. What is to be removed or
// stored is gathered first.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

/// Members of a sorted set by rank, score or member, in one of the two orders, some of them skipped.
struct SortedSetSelection {
    enum By {
        case rank(start: Int, stop: Int)
        case score(ScoreRange)
        case lex(LexRange)
    }

    var by: By
    var isReverse = false
    var offset = 0
    /// Negative: all.
    var limit = -1

    /// Shows each selected member of `set` in order.
    ///
    /// Where the scores of a small set change all the time, the order is full of what was deleted and has not been
    /// merged away. A walk over a small set passes only so much of that; then the members are gathered and sorted
    /// instead.
    /// Returns whether that was so: a writer then writes the set anew.
    @discardableResult
    func forEach(
        _ c: CommandContext, _ set: borrowing Collection, _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        if set.count == 0 { return false }
        var shown = 0
        let hasRunOut = try walk(c, set, SortedSetElements.deadBudget(set)) {
            member, score throws(Interruption) in
            shown += 1
            try body(member, score)
        }
        if !hasRunOut { return false }
        try gathered(c, set) { member, score throws(Interruption) in
            // The order is the same.
            shown -= 1
            if shown < 0 { try body(member, score) }
        }
        return true
    }

    /// The rank of the first selected member (in reverse of the last one, in the set's own order) and how many there
    /// are, where that can be told without looking at them.
    func part(_ c: CommandContext, _ set: borrowing Collection) throws(Interruption) -> (first: Int, count: Int)? {
        var ranks: Range<Int>
        switch by {
        case .rank(let start, let stop):
            ranks = RankRange(start: start, stop: stop, count: set.count).ranks
            if isReverse && !ranks.isEmpty { ranks = set.count - ranks.upperBound..<set.count - ranks.lowerBound }
        case .score(let range):
            guard RankIndex.exists(set) else { return nil }
            if range.isEmpty || offset < 0 { return (0, 0) }
            let before = try RankIndex.rank(c.keys, set, of: c.keys.elementBound().score(range.lower, .empty))
            let behind = try RankIndex.rank(c.keys, set, of: c.keys.elementBound().score(range.upper, .empty))
            let count = max(0, behind - before - offset)
            let shown = limit < 0 ? count : min(limit, count)
            ranks = isReverse ? behind - offset - shown..<behind - offset : before + offset..<before + offset + shown
        case .lex: return nil
        }
        return (isReverse ? ranks.upperBound - 1 : ranks.lowerBound, ranks.count)
    }

    /// Returns whether the walk ended early.
    private func walk(
        _ c: CommandContext, _ set: borrowing Collection, _ budget: Int,
        _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        switch by {
        case .rank(let start, let stop): return try byRank(c, set, budget, start, stop, body)
        case .score(let range):
            if range.isEmpty { return false }
            var walk = try SortedSetElements.walk(c, set, from: range.lower, to: range.upper)
            walk.setDeadBudget(budget)
            try isReverse ? walk.seekToLast() : walk.seekToFirst()
            try show(&walk, { _ in false }, body)
            return walk.hasRunOut
        case .lex(let range): return try byLex(c, set, budget, range, body)
        }
    }

    /// The same from all members, sorted.
    private func gathered(
        _ c: CommandContext, _ set: borrowing Collection, _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) {
        var members = try SortedSetElements.all(c, set)
        if isReverse { members.reverse() }
        if c.keys.canRemember(set, 0..<members.count) {
            c.keys.beginMembers(set, fromEnd: isReverse)
            for (member, score) in members { c.keys.rememberMember(member, score, fromEnd: isReverse) }
            c.keys.endMembers(isWhole: members.count == set.count, fromEnd: isReverse)
        }
        var skip = 0
        var left = Int.max
        switch by {
        case .rank(let start, let stop):
            let ranks = RankRange(start: start, stop: stop, count: members.count).ranks
            skip = ranks.lowerBound
            left = ranks.count
        case .score(let range):
            members.removeAll {
                ScoreCoding.encode($0.score) < range.lower || ScoreCoding.encode($0.score) >= range.upper
            }
            skip = offset
            if limit >= 0 { left = limit }
        case .lex(let range):
            members.removeAll { range.isBelow($0.member) || range.isAbove($0.member) }
            skip = offset
            if limit >= 0 { left = limit }
        }
        if skip < 0 { return }
        for (member, score) in members.dropFirst(skip).prefix(left) { try body(member, score) }
    }

    private func byRank(
        _ c: CommandContext, _ set: borrowing Collection, _ budget: Int, _ start: Int, _ stop: Int,
        _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        let ranks = RankRange(start: start, stop: stop, count: set.count).ranks
        if ranks.isEmpty { return false }
        if try c.keys.recallMembers(set, ranks, fromEnd: isReverse, body) { return false }
        let isRemembered = c.keys.canRemember(set, ranks)
        if isRemembered { c.keys.beginMembers(set, fromEnd: isReverse) }
        var walk = try SortedSetElements.walk(c, set)
        walk.setDeadBudget(budget)
        let first = isReverse ? set.count - 1 - ranks.lowerBound : ranks.lowerBound
        try SortedSetElements.place(c, set, &walk, at: first)
        var left = ranks.count
        while left > 0 && walk.isValid {
            let at = walk.scored
            try body(at.member, at.score)
            if isRemembered { c.keys.rememberMember(at.member, at.score, fromEnd: isReverse) }
            left -= 1
            if left > 0 { try isReverse ? walk.previous() : walk.next() }
        }
        if isRemembered && left == 0 {
            c.keys.endMembers(isWhole: ranks.count == set.count, fromEnd: isReverse)
        }
        return walk.hasRunOut
    }

    /// Over members that all have the same score; of others nothing is promised, as in Redis.
    private func byLex(
        _ c: CommandContext, _ set: borrowing Collection, _ budget: Int, _ range: LexRange,
        _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) -> Bool {
        if case .end = range.lower { return false }
        if case .beginning = range.upper { return false }
        var walk = try SortedSetElements.walk(c, set)
        walk.setDeadBudget(budget)
        try isReverse ? walk.seekToLast() : walk.seekToFirst()
        guard walk.isValid else { return walk.hasRunOut }
        let score = ScoreCoding.encode(walk.scored.score)
        if isReverse {
            if case .key(let key, _) = range.upper {
                try walk.seekBefore(c.keys.elementBound(key.count + 1).score(score, key, 0), in: set)
            }
            while walk.isValid && range.isAbove(walk.scored.member) { try walk.previous() }
            try show(&walk, { range.isBelow($0) }, body)
        } else {
            if case .key(let key, _) = range.lower {
                try walk.seek(c.keys.elementBound(key.count).score(score, key), in: set)
            }
            while walk.isValid && range.isBelow(walk.scored.member) { try walk.next() }
            try show(&walk, { range.isAbove($0) }, body)
        }
        return walk.hasRunOut
    }

    private func show(
        _ walk: inout ElementWalk, _ isPast: (ByteView) -> Bool,
        _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) {
        if offset < 0 { return }
        var skip = offset
        var left = limit < 0 ? Int.max : limit
        while left > 0 && walk.isValid {
            let at = walk.scored
            if isPast(at.member) { return }
            if skip > 0 {
                skip -= 1
            } else {
                try body(at.member, at.score)
                left -= 1
                if left == 0 { return }
            }
            try isReverse ? walk.previous() : walk.next()
        }
    }
}

package enum SortedSetRangeCommands {
    private enum Form {
        case rank
        case score
        case lex
        /// ZRANGE and ZRANGESTORE: options say.
        case any
    }

    // MARK: Answered

    package static func zrange(_ c: CommandContext) throws(Interruption) { try answer(c, .any, false) }
    package static func zrevrange(_ c: CommandContext) throws(Interruption) { try answer(c, .rank, true) }
    package static func zrangebyscore(_ c: CommandContext) throws(Interruption) { try answer(c, .score, false) }
    package static func zrevrangebyscore(_ c: CommandContext) throws(Interruption) { try answer(c, .score, true) }
    package static func zrangebylex(_ c: CommandContext) throws(Interruption) { try answer(c, .lex, false) }
    package static func zrevrangebylex(_ c: CommandContext) throws(Interruption) { try answer(c, .lex, true) }

    private static func answer(_ c: CommandContext, _ form: Form, _ isReverse: Bool) throws(Interruption) {
        guard let request = parse(c, 1, form, isReverse, stores: false) else { return }
        guard let set = try c.collection(c.args[1], .sortedSet) else { return }
        let inPairs = request.withScores && c.reply.version >= 3
        if c.mayStream, let part = try request.selection.part(c, set), try c.streams(set, part.count) {
            c.reply.array(request.withScores && !inPairs ? part.count * 2 : part.count)
            var walk = try SortedSetElements.walk(c, set)
            try SortedSetElements.place(c, set, &walk, at: part.first)
            guard walk.isValid else { throw .damaged }
            let elements = try ElementCursor(
                c.keys, set, ElementKind.score, isBackward: request.selection.isReverse)
            try elements.move(to: walk)
            return try c.stream(elements, .scoredMember(withScore: request.withScores), count: part.count)
        }
        let start = c.replyStart
        var count = 0
        try request.selection.forEach(c, set) { member, score throws(Interruption) in
            if inPairs { c.reply.array(2) }
            c.reply.bulk(member)
            if request.withScores { c.reply.double(score) }
            count += 1
        }
        c.insertIntoReply(at: start) { $0.array(request.withScores && !inPairs ? count * 2 : count) }
    }

    /// ZRANGESTORE target source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count].
    package static func zrangestore(_ c: CommandContext) throws(Interruption) {
        guard let request = parse(c, 2, .any, false, stores: true) else { return }
        guard let set = try c.collection(c.args[2], .sortedSet) else { return }
        let target = c.args[1]
        guard c.canStore(target) else { return }
        var members = ScoredList()
        try request.selection.forEach(c, set) { member, score throws(Interruption) in members.append(member, score) }
        try store(c, members, at: target, .zrangestore)
    }

    /// Puts a new sorted set in the place of whatever is at `target`, and answers how many members it has.
    static func store(
        _ c: CommandContext, _ members: borrowing ScoredList, at target: ByteView, _ event: KeyEvent
    ) throws(Interruption) {
        var result = try c.keys.freshCollection(target, .sortedSet)
        try members.forEach { member, score throws(Interruption) in
            try SortedSetElements.put(c, &result, member, score, old: nil)
        }
        if members.count == 0 {
            if result.isThere {
                _ = try c.keys.save(&result, at: target)
                c.notify(.del, target)
                c.keys.changed()
            }
        } else {
            try c.save(&result, at: target, event)
        }
        c.reply.integer(members.count)
    }

    // MARK: What is asked for

    private struct Request {
        var selection: SortedSetSelection
        var withScores: Bool
    }

    /// `key min max …` with the key at `at`; nil after an error reply.
    private static func parse(
        _ c: CommandContext, _ at: Int, _ form: Form, _ isReverse: Bool, stores: Bool
    ) -> Request? {
        let args = c.args
        var form = form
        var isReverse = isReverse
        let isGeneral = form == .any
        var withScores = false
        var offset = 0
        var limit = -1
        var isLimited = false
        var i = at + 3
        while i < args.count {
            if !stores && c.isWord(i, "withscores") {
                withScores = true
            } else if c.isWord(i, "limit") && i + 2 < args.count {
                guard let first = c.integer(i + 1), let count = c.integer(i + 2) else { return nil }
                offset = Int(first)
                limit = Int(count)
                isLimited = true
                i += 2
            } else if isGeneral && c.isWord(i, "rev") {
                isReverse = true
            } else if isGeneral && form == .any && c.isWord(i, "bylex") {
                form = .lex
            } else if isGeneral && form == .any && c.isWord(i, "byscore") {
                form = .score
            } else {
                c.failSyntax()
                return nil
            }
            i += 1
        }
        if form == .any { form = .rank }
        if isLimited && limit != -1 && form == .rank {
            c.fail("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
            return nil
        }
        if withScores && form == .lex {
            c.fail("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
            return nil
        }
        // In reverse the larger end comes first, except for ranks.
        let min = isReverse && form != .rank ? at + 2 : at + 1
        let max = isReverse && form != .rank ? at + 1 : at + 2
        let by: SortedSetSelection.By
        switch form {
        case .rank, .any:
            guard let start = c.integer(min), let stop = c.integer(max) else { return nil }
            by = .rank(start: Int(start), stop: Int(stop))
        case .score:
            guard let range = ScoreRange(c, args[min], args[max]) else { return nil }
            by = .score(range)
        case .lex:
            guard let range = LexRange(c, args[min], args[max]) else { return nil }
            by = .lex(range)
        }
        return Request(
            selection: SortedSetSelection(by: by, isReverse: isReverse, offset: offset, limit: limit),
            withScores: withScores)
    }

    // MARK: Counted

    package static func zcount(_ c: CommandContext) throws(Interruption) {
        guard let range = ScoreRange(c, c.args[2], c.args[3]) else { return }
        try count(c, SortedSetSelection(by: .score(range)))
    }

    package static func zlexcount(_ c: CommandContext) throws(Interruption) {
        guard let range = LexRange(c, c.args[2], c.args[3]) else { return }
        try count(c, SortedSetSelection(by: .lex(range)))
    }

    private static func count(_ c: CommandContext, _ selection: SortedSetSelection) throws(Interruption) {
        guard let set = try c.collection(c.args[1], .sortedSet) else { return }
        if let part = try selection.part(c, set) { return c.reply.integer(part.count) }
        var count = 0
        try selection.forEach(c, set) { _, _ throws(Interruption) in count += 1 }
        c.reply.integer(count)
    }

    // MARK: Removed

    package static func zremrangebyrank(_ c: CommandContext) throws(Interruption) {
        guard let start = c.integer(2), let stop = c.integer(3) else { return }
        try remove(c, .rank(start: Int(start), stop: Int(stop)), .zremrangebyrank)
    }

    package static func zremrangebyscore(_ c: CommandContext) throws(Interruption) {
        guard let range = ScoreRange(c, c.args[2], c.args[3]) else { return }
        try remove(c, .score(range), .zremrangebyscore)
    }

    package static func zremrangebylex(_ c: CommandContext) throws(Interruption) {
        guard let range = LexRange(c, c.args[2], c.args[3]) else { return }
        try remove(c, .lex(range), .zremrangebylex)
    }

    private static func remove(
        _ c: CommandContext, _ by: SortedSetSelection.By, _ event: KeyEvent
    ) throws(Interruption) {
        let key = c.args[1]
        guard var set = try c.collectionToChange(key, .sortedSet) else { return }
        var members = ScoredList()
        let isChoked = try SortedSetSelection(by: by).forEach(c, set) { member, score throws(Interruption) in
            members.append(member, score)
        }
        var least = Double.infinity
        var greatest = -Double.infinity
        try members.forEach { member, score throws(Interruption) in
            try SortedSetElements.remove(c, &set, member, score)
            least = min(least, score)
            greatest = max(greatest, score)
        }
        if isChoked { try SortedSetElements.renew(c, &set) }
        try SortedSetElements.drawIn(c, &set, least, greatest)
        if members.count > 0 { try c.save(&set, at: key, event, changes: members.count) }
        c.reply.integer(members.count)
    }
}
