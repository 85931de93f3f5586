// Intersections, unions and differences of sets, answered or stored.
//
// An intersection walks the smallest set and asks the others; a difference walks the first; a union walks all of them
// side by side, in the order of the members' hash that all sets share. What is to be stored is gathered first: the
// target may be one of the sources.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum SetAlgebraCommands {
    private enum Operation {
        case intersection
        case union
        case difference
    }

    // MARK: Answered

    package static func sinter(_ c: CommandContext) throws(Interruption) { try answer(c, .intersection) }
    package static func sunion(_ c: CommandContext) throws(Interruption) { try answer(c, .union) }
    package static func sdiff(_ c: CommandContext) throws(Interruption) { try answer(c, .difference) }

    private static func answer(_ c: CommandContext, _ operation: Operation) throws(Interruption) {
        guard let sets = try sources(c, 1..<c.args.count) else { return }
        let start = c.replyStart
        var count = 0
        try run(c, operation, sets) { member throws(Interruption) in
            c.reply.bulk(member)
            count += 1
            return true
        }
        c.insertIntoReply(at: start) { $0.set(count) }
    }

    /// SINTERCARD numkeys key … [LIMIT n].
    package static func sintercard(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let number = Decimal.parse(args[1]), number > 0 else {
            return c.fail("ERR numkeys should be greater than 0")
        }
        if number > Int64(args.count - 2) {
            return c.fail("ERR Number of keys can't be greater than number of args")
        }
        var limit = 0
        var i = 2 + Int(number)
        while i < args.count {
            guard c.isWord(i, "limit"), i + 1 < args.count else { return c.failSyntax() }
            guard let value = Decimal.parse(args[i + 1]), value >= 0 else {
                return c.fail("ERR LIMIT can't be negative")
            }
            limit = Int(value)
            i += 2
        }
        guard let sets = try sources(c, 2..<2 + Int(number)) else { return }
        var count = 0
        try run(c, .intersection, sets) { _ throws(Interruption) in
            count += 1
            return limit == 0 || count < limit
        }
        c.reply.integer(count)
    }

    // MARK: Stored

    package static func sinterstore(_ c: CommandContext) throws(Interruption) {
        try store(c, .intersection, .sinterstore)
    }

    package static func sunionstore(_ c: CommandContext) throws(Interruption) { try store(c, .union, .sunionstore) }

    package static func sdiffstore(_ c: CommandContext) throws(Interruption) { try store(c, .difference, .sdiffstore) }

    private static func store(
        _ c: CommandContext, _ operation: Operation, _ event: KeyEvent
    ) throws(Interruption) {
        let target = c.args[1]
        guard let sets = try sources(c, 2..<c.args.count) else { return }
        guard c.canStore(target) else { return }
        var members = MemberList()
        try run(c, operation, sets) { member throws(Interruption) in
            members.append(member)
            return true
        }
        var result = try c.keys.freshCollection(target, .set)
        let count = members.count
        try members.forEach { member throws(Interruption) in _ = try SetCommands.add(c, &result, member) }
        if count == 0 {
            if result.isThere {
                _ = try c.keys.save(&result, at: target)
                c.notify(.del, target)
                c.keys.changed()
            }
        } else {
            try c.save(&result, at: target, event)
        }
        c.reply.integer(count)
    }

    // MARK: How

    /// The sets at these arguments; nil after an error reply.
    private static func sources(_ c: CommandContext, _ range: Range<Int>) throws(Interruption) -> [Collection]? {
        var sets: [Collection] = []
        for i in range {
            guard let set = try c.collection(c.args[i], .set) else { return nil }
            sets.append(set)
        }
        return sets
    }

    /// Shows each member of the result once, until `body` says false.
    private static func run(
        _ c: CommandContext, _ operation: Operation, _ sets: [Collection],
        _ body: (ByteView) throws(Interruption) -> Bool
    ) throws(Interruption) {
        switch operation {
        case .intersection:
            if sets.contains(where: { $0.count == 0 }) { return }
            let order = sets.indices.sorted { sets[$0].count < sets[$1].count }
            let others = order.dropFirst().map { sets[$0] }
            try walk(c, sets[order[0]]) { member throws(Interruption) in
                for other in others where try !SetCommands.contains(c, other, member) { return true }
                return try body(member)
            }
        case .difference:
            try walk(c, sets[0]) { member throws(Interruption) in
                for other in sets.dropFirst() where try SetCommands.contains(c, other, member) { return true }
                return try body(member)
            }
        case .union:
            if sets.count == 1 { return try walk(c, sets[0], body) }
            try union(c, sets, body)
        }
    }

    private static func walk(
        _ c: CommandContext, _ set: Collection, _ body: (ByteView) throws(Interruption) -> Bool
    ) throws(Interruption) {
        if set.count == 0 { return }
        var walk = try ElementWalk(c.keys, set, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid {
            if try !body(walk.member) { return }
            try walk.next()
        }
    }

    private final class Side {
        var walk: ElementWalk
        init(_ walk: consuming ElementWalk) { self.walk = walk }
    }

    private static func union(
        _ c: CommandContext, _ sets: [Collection], _ body: (ByteView) throws(Interruption) -> Bool
    ) throws(Interruption) {
        var sides: [Side] = []
        for set in sets where set.count > 0 {
            let side = Side(try ElementWalk(c.keys, set, ElementKind.member))
            try side.walk.seekToFirst()
            sides.append(side)
        }
        var last = ByteBuffer()
        while true {
            sides.removeAll { !$0.walk.isValid }
            guard var least = sides.first else { return }
            for side in sides.dropFirst() where side.walk.key.compare(least.walk.key) < 0 { least = side }
            if last.view != least.walk.key {
                last.removeAll()
                last.append(least.walk.key)
                if try !body(least.walk.member) { return }
            }
            try least.walk.next()
        }
    }
}
