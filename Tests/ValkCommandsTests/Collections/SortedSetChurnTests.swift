// Sorted sets whose members come and go or change their scores all the time: what was deleted stays out of the way.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct SortedSetChurnTests {
    /// Whether walks over the set from either end meet its members without passing many deleted ones.
    private func isClean(_ h: Harness, _ key: String, budget: Int = 20) throws -> Bool {
        let key = Array(key.utf8)
        h.context.start(now: h.now)
        h.context.keys.select(0)
        defer { h.context.finished() }
        return try key.withViewTyped { key throws(Interruption) in
            guard case .collection(let set) = try h.context.keys.collection(key, .sortedSet) else { return false }
            var walk = try SortedSetElements.walk(h.context, set)
            walk.setDeadBudget(budget)
            try walk.seekToFirst()
            let first = walk.isValid
            try walk.seekToLast()
            return first && walk.isValid && !walk.hasRunOut
        }
    }

    @Test(arguments: ["ZREMRANGEBYSCORE", "ZREMRANGEBYRANK", "ZPOPMIN", "ZREM", "ZADD"])
    func aWindowDoesNotFillWithWhatHasLeft(how: String) throws {
        let h = try Harness()
        for i in 1...3000 {
            switch how {
            case "ZADD":
                h.run("ZADD", "w", "\(i)", "m\(i % 100)")
                continue
            default: h.run("ZADD", "w", "\(i)", "m\(i)")
            }
            if i <= 100 { continue }
            switch how {
            case "ZREMRANGEBYSCORE": h.run(how, "w", "-inf", "\(i - 100)")
            case "ZREMRANGEBYRANK": h.run(how, "w", "0", "-101")
            case "ZPOPMIN": h.run(how, "w")
            default: h.run(how, "w", "m\(i - 100)")
            }
        }
        #expect(h.run("ZCARD", "w") == ":100")
        #expect(h.run("ZRANGE", "w", "0", "0", "WITHSCORES") == "[\"m\(how == "ZADD" ? 1 : 2901)\" \"2901\"]")
        #expect(h.run("ZRANGE", "w", "-1", "-1", "WITHSCORES") == "[\"m\(how == "ZADD" ? 0 : 3000)\" \"3000\"]")
        #expect(try isClean(h, "w"))
    }

    @Test func theOtherEndLeavesToo() throws {
        let h = try Harness()
        for i in 1...3000 {
            h.run("ZADD", "w", "\(-i)", "m\(i)")
            if i > 100 { h.run("ZPOPMAX", "w") }
        }
        #expect(h.run("ZRANGE", "w", "0", "0") == "[\"m3000\"]")
        #expect(h.run("ZRANGE", "w", "-1", "-1") == "[\"m2901\"]")
        #expect(try isClean(h, "w"))
    }

    @Test func scoresThatChangeAllTheTimeKeepTheirOrder() throws {
        let seed = TestSeed("scores that change").value
        var random = SeededRandom(seed: seed)
        let h = try Harness()
        var scores: [String: Int] = [:]
        for step in 0..<6000 {
            let name = "m\(random.below(80))"
            let score = random.below(1_000_000)
            h.run("ZADD", "z", "\(score)", name)
            scores[name] = score
            if step % 200 != 199 { continue }
            let ordered = scores.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            func text(_ part: some Sequence<(key: String, value: Int)>) -> String {
                "[" + part.map { "\"\($0.key)\"" }.joined(separator: " ") + "]"
            }
            #expect(h.run("ZRANGE", "z", "0", "-1") == text(ordered), "seed \(seed)")
            #expect(h.run("ZREVRANGE", "z", "3", "12") == text(ordered.reversed()[3...12]), "seed \(seed)")
            let middle = ordered.filter { $0.value >= 250_000 && $0.value < 750_000 }
            #expect(h.run("ZRANGEBYSCORE", "z", "250000", "(750000") == text(middle), "seed \(seed)")
            #expect(
                h.run("ZRANGEBYSCORE", "z", "250000", "(750000", "LIMIT", "2", "5")
                    == text(middle.dropFirst(2).prefix(5)), "seed \(seed)")
            for name in ["m3", "m77"] {
                let rank = ordered.firstIndex { $0.key == name }
                #expect(h.run("ZRANK", "z", name) == rank.map { ":\($0)" } ?? "nil", "seed \(seed)")
            }
        }
    }

    /// Scores at random, the least (now and then the greatest) out: what has left lies all over the order, and no bound
    /// keeps walks away from it. The set is written anew when it is too much.
    @Test(arguments: [3, 60, 500])
    func aQueueByPrioritiesStaysQuick(size: Int) throws {
        let seed = TestSeed("priorities").value
        var random = SeededRandom(seed: seed)
        let h = try Harness()
        var model: [(score: Int, name: String)] = []
        h.run("ZADD", "p", "5", "m")
        h.run("EXPIRE", "p", "1000")
        model.append((5, "m"))
        for step in 0..<8000 {
            let score = random.below(1_000_000)
            h.run("ZADD", "p", "\(score)", "m\(step)")
            model.append((score, "m\(step)"))
            if model.count <= size { continue }
            model.sort { ($0.score, $0.name) < ($1.score, $1.name) }
            let isMax = step % 97 == 0
            let out = isMax ? model.removeLast() : model.removeFirst()
            let popped = h.run(isMax ? "ZPOPMAX" : "ZPOPMIN", "p")
            #expect(popped == "[\"\(out.name)\" \"\(out.score)\"]", "seed \(seed), step \(step)")
            if step % 1000 == 999 { try #require(try isClean(h, "p", budget: 64 + size), "seed \(seed), step \(step)") }
        }
        model.sort { ($0.score, $0.name) < ($1.score, $1.name) }
        let all = "[" + model.map { "\"\($0.name)\"" }.joined(separator: " ") + "]"
        #expect(h.run("ZRANGE", "p", "0", "-1") == all, "seed \(seed)")
        #expect(h.run("TTL", "p") == ":1000")
    }
}
