// Unions, intersections and differences of sorted sets (and of sets, whose members count with score 1), answered or
// stored, with weights and aggregates.
//
// An intersection walks the smallest input and asks the others; a difference walks the first; a union gathers. The
// result has its own order, so it is gathered and sorted before it is answered.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum SortedSetAlgebra {
    private enum Operation {
        case intersection
        case union
        case difference
    }

    private enum Aggregate {
        case sum
        case min
        case max

        /// Infinities of both signs make nothing.
        func join(_ a: Double, _ b: Double) -> Double {
            switch self {
            case .sum:
                let sum = a + b
                return sum.isNaN ? 0 : sum
            case .min: return Swift.min(a, b)
            case .max: return Swift.max(a, b)
            }
        }
    }

    private struct Input {
        let set: Collection
        let weight: Double
    }

    private struct Request {
        var inputs: [Input] = []
        var aggregate = Aggregate.sum
        var withScores = false
        /// ZINTERCARD: 0 is no limit.
        var limit = 0
    }

    // MARK: Commands

    package static func zunion(_ c: CommandContext) throws(Interruption) { try answer(c, .union, "zunion") }
    package static func zinter(_ c: CommandContext) throws(Interruption) { try answer(c, .intersection, "zinter") }
    package static func zdiff(_ c: CommandContext) throws(Interruption) { try answer(c, .difference, "zdiff") }

    package static func zunionstore(_ c: CommandContext) throws(Interruption) {
        try store(c, .union, "zunionstore", .zunionstore)
    }

    package static func zinterstore(_ c: CommandContext) throws(Interruption) {
        try store(c, .intersection, "zinterstore", .zinterstore)
    }

    package static func zdiffstore(_ c: CommandContext) throws(Interruption) {
        try store(c, .difference, "zdiffstore", .zdiffstore)
    }

    package static func zintercard(_ c: CommandContext) throws(Interruption) {
        guard let request = try parse(c, 1, .intersection, "zintercard", stores: false, isCard: true) else { return }
        var count = 0
        try intersect(c, request) { _, _ throws(Interruption) in
            count += 1
            return request.limit == 0 || count < request.limit
        }
        c.reply.integer(count)
    }

    private static func answer(
        _ c: CommandContext, _ operation: Operation, _ name: StaticString
    ) throws(Interruption) {
        guard let request = try parse(c, 1, operation, name, stores: false) else { return }
        let result = try run(c, operation, request)
        let inPairs = request.withScores && c.reply.version >= 3
        c.reply.array(request.withScores && !inPairs ? result.count * 2 : result.count)
        for (member, score) in result {
            if inPairs { c.reply.array(2) }
            member.withView { c.reply.bulk($0) }
            if request.withScores { c.reply.double(score) }
        }
    }

    private static func store(
        _ c: CommandContext, _ operation: Operation, _ name: StaticString, _ event: KeyEvent
    ) throws(Interruption) {
        guard let request = try parse(c, 2, operation, name, stores: true) else { return }
        guard c.canStore(c.args[1]) else { return }
        var members = ScoredList()
        for (member, score) in try run(c, operation, request) { member.withView { members.append($0, score) } }
        try SortedSetRangeCommands.store(c, members, at: c.args[1], event)
    }

    // MARK: What is asked for

    /// `numkeys key … [WEIGHTS …] [AGGREGATE …] [WITHSCORES]` from the argument `at` on; nil after an error reply.
    private static func parse(
        _ c: CommandContext, _ at: Int, _ operation: Operation, _ name: StaticString, stores: Bool, isCard: Bool = false
    ) throws(Interruption) -> Request? {
        let args = c.args
        guard let number = c.integer(at) else { return nil }
        if number < 1 {
            c.fail("ERR at least 1 input key is needed for '\(name)' command")
            return nil
        }
        if number > Int64(args.count - at - 1) {
            c.failSyntax()
            return nil
        }
        var sets: [Collection] = []
        for i in at + 1..<at + 1 + Int(number) {
            guard let set = try input(c, args[i]) else { return nil }
            sets.append(set)
        }
        var request = Request()
        var weights = [Double](repeating: 1, count: sets.count)
        var i = at + 1 + Int(number)
        while i < args.count {
            let left = args.count - i
            if operation != .difference && !isCard && c.isWord(i, "weights") && left > sets.count {
                for k in weights.indices {
                    guard let weight = c.score(i + 1 + k, "ERR weight value is not a float") else { return nil }
                    weights[k] = weight
                }
                i += sets.count + 1
            } else if operation != .difference && !isCard && c.isWord(i, "aggregate") && left > 1 {
                if c.isWord(i + 1, "sum") {
                    request.aggregate = .sum
                } else if c.isWord(i + 1, "min") {
                    request.aggregate = .min
                } else if c.isWord(i + 1, "max") {
                    request.aggregate = .max
                } else {
                    c.failSyntax()
                    return nil
                }
                i += 2
            } else if !stores && !isCard && c.isWord(i, "withscores") {
                request.withScores = true
                i += 1
            } else if isCard && c.isWord(i, "limit") && left > 1 {
                guard let limit = Decimal.parse(args[i + 1]), limit >= 0 else {
                    c.fail("ERR LIMIT can't be negative")
                    return nil
                }
                request.limit = Int(limit)
                i += 2
            } else {
                c.failSyntax()
                return nil
            }
        }
        request.inputs = zip(sets, weights).map { Input(set: $0, weight: $1) }
        return request
    }

    /// A sorted set or a set; an empty one where there is none. Nil after an error reply.
    private static func input(_ c: CommandContext, _ key: ByteView) throws(Interruption) -> Collection? {
        switch try c.keys.collection(key, .sortedSet) {
        case .collection(let set): return set
        case .wrongType: return try c.collection(key, .set)
        }
    }

    // MARK: How

    private static func score(
        _ c: CommandContext, _ input: Input, _ member: ByteView
    ) throws(Interruption) -> Double? {
        if input.set.type == .set { return try SetCommands.contains(c, input.set, member) ? 1 : nil }
        return try SortedSetElements.score(c, input.set, member)
    }

    private static func weighted(_ score: Double, _ input: Input) -> Double {
        let value = score * input.weight
        return value.isNaN ? 0 : value
    }

    /// Shows each member of an input with its score, until `body` says false.
    private static func walk(
        _ c: CommandContext, _ input: Input, _ body: (ByteView, Double) throws(Interruption) -> Bool
    ) throws(Interruption) {
        if input.set.count == 0 { return }
        var walk = try ElementWalk(c.keys, input.set, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid {
            var score = 1.0
            if input.set.type == .sortedSet {
                score = try SortedSetElements.score(at: walk)
            }
            if try !body(walk.member, score) { return }
            try walk.next()
        }
    }

    private static func intersect(
        _ c: CommandContext, _ request: Request, _ body: (ByteView, Double) throws(Interruption) -> Bool
    ) throws(Interruption) {
        if request.inputs.contains(where: { $0.set.count == 0 }) { return }
        let order = request.inputs.indices.sorted { request.inputs[$0].set.count < request.inputs[$1].set.count }
        let first = request.inputs[order[0]]
        try walk(c, first) { member, score throws(Interruption) in
            var sum = weighted(score, first)
            for k in order.dropFirst() {
                guard let other = try self.score(c, request.inputs[k], member) else { return true }
                sum = request.aggregate.join(sum, weighted(other, request.inputs[k]))
            }
            return try body(member, sum)
        }
    }

    /// The members of the result, in order.
    private static func run(
        _ c: CommandContext, _ operation: Operation, _ request: Request
    ) throws(Interruption) -> [([UInt8], Double)] {
        var result: [([UInt8], Double)] = []
        switch operation {
        case .intersection:
            try intersect(c, request) { member, score throws(Interruption) in
                result.append((member.array, score))
                return true
            }
        case .difference:
            try walk(c, request.inputs[0]) { member, score throws(Interruption) in
                for other in request.inputs.dropFirst() where try self.score(c, other, member) != nil { return true }
                result.append((member.array, score))
                return true
            }
        case .union:
            var scores: [[UInt8]: Double] = [:]
            for input in request.inputs {
                try walk(c, input) { member, score throws(Interruption) in
                    let key = member.array
                    let value = weighted(score, input)
                    if let old = scores[key] {
                        scores[key] = request.aggregate.join(old, value)
                    } else {
                        scores[key] = value
                    }
                    return true
                }
            }
            result = scores.map { ($0.key, $0.value) }
        }
        result.sort { a, b in
            if a.1 != b.1 { return a.1 < b.1 }
            return a.0.withView { x in b.0.withView { x.compare($0) < 0 } }
        }
        return result
    }
}
