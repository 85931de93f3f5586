// The two entries of a member of a sorted set, kept in step: member -> score, and (score, member), which gives the
// order; and the bounds of all scores, `extra[0]` and `extra[1]`, as `ScoreCoding` writes them.
//
// No member has a score outside of the bounds; they may be wider than needed. Walks begin there: where members leave at
// one end and come at the other (windows, queues), everything that was deleted lies outside, and no walk has to pass
// it.

import CValk
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum SortedSetElements {
    /// The score of a member; nil when it is not there.
    static func score(
        _ c: CommandContext, _ set: borrowing Collection, _ member: ByteView
    ) throws(Interruption) -> Double? {
        if set.count == 0 || !c.keys.fitsElement(member) { return nil }
        guard let element = try c.keys.find(set, c.keys.element.member(member)) else { return nil }
        guard element.value.count == 8 else { throw .damaged }
        return Double(bitPattern: UInt64(littleEndian: element.value.base.loadUnaligned(as: UInt64.self)))
    }

    /// Gives a member a score; `old` is what it had. `count` is kept.
    static func put(
        _ c: CommandContext, _ set: inout Collection, _ member: ByteView, _ score: Double, old: Double?
    ) throws(Interruption) {
        if let old { c.keys.remove(&set, c.keys.element.score(ScoreCoding.encode(old), member)) }
        // One zero: members with the same score stand in one order.
        let score = score == 0 ? 0 : score
        let bits = ScoreCoding.encode(score)
        set.extra[0] = set.count == 0 ? bits : min(set.extra[0], bits)
        set.extra[1] = set.count == 0 ? bits : max(set.extra[1], bits)
        let value = c.keys.allocate(8)
        value.storeBytes(of: score.bitPattern.littleEndian, as: UInt64.self)
        try c.keys.put(
            &set, c.keys.element.member(member), ByteView(base: value, count: 8), isNew: old == nil)
        try c.keys.put(&set, c.keys.element.score(bits, member), .empty, isNew: true)
        if RankIndex.exists(set) {
            try RankIndex.note(
                c.keys, &set, added: c.keys.elementBound(member.count).score(bits, member),
                removed: old.map { c.keys.elementBound(member.count).score(ScoreCoding.encode($0), member) })
        }
        if old == nil { set.count += 1 }
        if set.tag & CollectionTag.large == 0
            && (set.count > c.encodings.sortedSetEntries || member.count > c.encodings.sortedSetValueBytes)
        {
            set.tag |= CollectionTag.large
        }
    }

    /// Takes a member out that has `score`. `count` is kept.
    static func remove(_ c: CommandContext, _ set: inout Collection, _ member: ByteView, _ score: Double)
        throws(Interruption)
    {
        c.keys.remove(&set, c.keys.element.member(member))
        c.keys.remove(&set, c.keys.element.score(ScoreCoding.encode(score), member))
        if RankIndex.exists(set) {
            let key = c.keys.elementBound(member.count).score(ScoreCoding.encode(score), member)
            try RankIndex.note(c.keys, &set, added: nil, removed: key)
        }
        set.count -= 1
    }

    /// After members with scores from `least` to `greatest` were taken out: draws the bounds in, where they lay at one.
    static func drawIn(
        _ c: CommandContext, _ set: inout Collection, _ least: Double, _ greatest: Double
    ) throws(Interruption) {
        if set.count == 0 || !set.isSpread { return }
        // Where much that was deleted lies next to them the bounds stay as they are.
        if ScoreCoding.encode(least) <= set.extra[0] {
            var walk = try walk(c, set)
            walk.setDeadBudget(boundBudget)
            try walk.seekToFirst()
            if walk.isValid { set.extra[0] = ScoreCoding.encode(walk.scored.score) }
        }
        if ScoreCoding.encode(greatest) >= set.extra[1] {
            var walk = try walk(c, set)
            walk.setDeadBudget(boundBudget)
            try walk.seekToLast()
            if walk.isValid { set.extra[1] = ScoreCoding.encode(walk.scored.score) }
        }
    }

    /// A walk over members in the order of scores, from `lower` on, before `upper` (as `ScoreCoding` writes them).
    static func walk(
        _ c: CommandContext, _ set: borrowing Collection, from lower: UInt64, to upper: UInt64
    ) throws(Interruption) -> ElementWalk {
        let first = max(lower, set.extra[0])
        return try ElementWalk(
            c.keys, set, from: c.keys.elementBound().score(first, .empty),
            to: c.keys.elementBound().score(max(first, min(upper, set.extra[1] + 1)), .empty))
    }

    /// A walk over all members in the order of scores.
    static func walk(_ c: CommandContext, _ set: borrowing Collection) throws(Interruption) -> ElementWalk {
        try walk(c, set, from: 0, to: .max)
    }

    /// Sets of up to so many members can be gathered and sorted.
    private static let gatheredMax = 1024

    /// How many deleted elements a walk may pass before `all` is the better way.
    static func deadBudget(_ set: borrowing Collection) -> Int {
        set.count <= gatheredMax ? 64 + 2 * set.count : .max
    }

    /// The same for a writer, who then writes the set anew: that costs about as much as to pass so many a few hundred
    /// times.
    static func writersBudget(_ set: borrowing Collection) -> Int {
        if RankIndex.exists(set) { return .max }
        return set.count <= gatheredMax ? 64 + set.count / 4 : .max
    }

    /// How many deleted elements may be passed for a better bound.
    static let boundBudget = 64

    /// Writes the set anew, so that nothing that was deleted lies among its elements any more. For small sets.
    static func renew(_ c: CommandContext, _ set: inout Collection) throws(Interruption) {
        let members = try all(c, set)
        var fresh = set.emptied()
        for (member, score) in members { try put(c, &fresh, member, score, old: nil) }
        set = fresh
    }

    /// All members in order, from the entries that are not in order. Views are valid as long as nothing is changed.
    static func all(
        _ c: CommandContext, _ set: borrowing Collection
    ) throws(Interruption) -> [(member: ByteView, score: Double)] {
        var members: [(member: ByteView, score: Double)] = []
        members.reserveCapacity(set.count)
        var walk = try ElementWalk(c.keys, set, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid {
            members.append((c.keys.copied(walk.member), try score(at: walk)))
            try walk.next()
        }
        members.sort { $0.score != $1.score ? $0.score < $1.score : $0.member.compare($1.member) < 0 }
        return members
    }

    /// Of the member at a walk over members.
    static func score(at walk: borrowing ElementWalk) throws(Interruption) -> Double {
        let value = try walk.value()
        guard value.count == 8 else { throw .damaged }
        return Double(bitPattern: UInt64(littleEndian: value.base.loadUnaligned(as: UInt64.self)))
    }

    /// Ranks this near to an end are not worth asking the index.
    private static let nearRanks = 64

    /// Brings the walk over all members to the one with `rank`: by the index, or from the nearer end.
    static func place(
        _ c: CommandContext, _ set: borrowing Collection, _ walk: inout ElementWalk, at rank: Int
    ) throws(Interruption) {
        var left = rank
        if min(rank, set.count - 1 - rank) > nearRanks, RankIndex.exists(set) {
            let (start, before) = try RankIndex.place(c.keys, set, of: rank)
            try walk.seek(start, in: set)
            left = before
        } else if rank <= set.count / 2 {
            try walk.seekToFirst()
        } else {
            try walk.seekToLast()
            left = set.count - 1 - rank
            while left > 0 && walk.isValid {
                try walk.previous()
                left -= 1
            }
        }
        while left > 0 && walk.isValid {
            try walk.next()
            left -= 1
        }
    }
}

/// Members with scores, gathered before something is done with them.
struct ScoredList: ~Copyable {
    private var members = MemberList()
    private var scores: [Double] = []

    var count: Int { scores.count }

    mutating func append(_ member: ByteView, _ score: Double) {
        members.append(member)
        scores.append(score)
    }

    borrowing func forEach(
        _ body: (ByteView, Double) throws(Interruption) -> Void
    ) throws(Interruption) {
        var i = 0
        try members.forEach { member throws(Interruption) in
            try body(member, scores[i])
            i += 1
        }
    }
}

extension CommandContext {
    /// The argument as a score; nil after an error reply.
    func score(_ index: Int, _ message: StaticString = ErrorText.notFloat) -> Double? {
        if let value = number(args[index]) { return value }
        fail(message)
        return nil
    }

    /// Text as a double as Redis's commands take it; nil when it is none.
    func number(_ text: ByteView, lenient: Bool = false) -> Double? {
        var value = 0.0
        let isNumber = valk_parse_double(
            text.base.assumingMemoryBound(to: CChar.self), text.count, lenient, &value)
        return isNumber ? value : nil
    }
}
