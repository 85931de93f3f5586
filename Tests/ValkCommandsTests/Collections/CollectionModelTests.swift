// Random commands on hashes, sets and sorted sets, whose sizes go up and down across the two forms, against a model.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct CollectionModelTests {
    private struct Model {
        var hash: [String: String] = [:]
        var set: Set<String> = []
        var scores: [String: Int] = [:]

        var ordered: [String] { scores.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key) }
    }

    @Test(arguments: 0..<4) func answersAreThoseOfTheModel(round: Int) throws {
        let seed = TestSeed("collections against a model").value
        var random = SeededRandom(seed: seed)
        let h = try Harness(filter: true)
        var model = Model()
        func check(_ got: String, _ want: String, _ what: String) {
            #expect(got == want, "\(what), seed \(seed)")
        }
        for step in 0..<3000 {
            // Phases of growing and of shrinking.
            let grows = step / 500 % 2 == 0
            let name = "m\(random.below(120))"
            switch random.below(12) {
            case 0...3:
                if random.below(10) < (grows ? 8 : 2) {
                    let value = String(repeating: "v", count: random.below(40)) + "\(step)"
                    check(h.run("HSET", "h", name, value), model.hash[name] == nil ? ":1" : ":0", "HSET")
                    model.hash[name] = value
                } else {
                    check(h.run("HDEL", "h", name), model.hash[name] == nil ? ":0" : ":1", "HDEL")
                    model.hash[name] = nil
                }
                check(h.run("HGET", "h", name), model.hash[name].map { "\"\($0)\"" } ?? "nil", "HGET")
                check(h.run("HLEN", "h"), ":\(model.hash.count)", "HLEN")
            case 4...6:
                if random.below(10) < (grows ? 8 : 2) {
                    check(h.run("SADD", "s", name), model.set.insert(name).inserted ? ":1" : ":0", "SADD")
                } else {
                    check(h.run("SREM", "s", name), model.set.remove(name) == nil ? ":0" : ":1", "SREM")
                }
                check(h.run("SCARD", "s"), ":\(model.set.count)", "SCARD")
            case 7...9:
                if random.below(10) < (grows ? 8 : 2) {
                    let score = random.below(30) - 15
                    check(h.run("ZADD", "z", "\(score)", name), model.scores[name] == nil ? ":1" : ":0", "ZADD")
                    model.scores[name] = score
                } else {
                    check(h.run("ZREM", "z", name), model.scores.removeValue(forKey: name) == nil ? ":0" : ":1", "ZREM")
                }
                let rank = model.ordered.firstIndex(of: name)
                check(h.run("ZRANK", "z", name), rank.map { ":\($0)" } ?? "nil", "ZRANK")
            case 10:
                let ordered = model.ordered
                let low = random.below(140)
                let high = low + random.below(20)
                let want = low < ordered.count ? ordered[low...min(high, ordered.count - 1)] : []
                check(
                    h.run("ZRANGE", "z", "\(low)", "\(high)"),
                    "[" + want.map { "\"\($0)\"" }.joined(separator: " ") + "]", "ZRANGE")
                let least = random.below(30) - 15
                let between = ordered.filter { (model.scores[$0] ?? 0) >= least && (model.scores[$0] ?? 0) < least + 5 }
                check(h.run("ZCOUNT", "z", "\(least)", "(\(least + 5)"), ":\(between.count)", "ZCOUNT")
                check(
                    h.run("ZREVRANGEBYSCORE", "z", "(\(least + 5)", "\(least)"),
                    "[" + between.reversed().map { "\"\($0)\"" }.joined(separator: " ") + "]", "ZREVRANGEBYSCORE")
            default:
                let members = h.run("SMEMBERS", "s").dropFirst().dropLast().split(separator: " ")
                #expect(Set(members.map { String($0.dropFirst().dropLast()) }) == model.set, "seed \(seed)")
                #expect(members.count == model.set.count, "seed \(seed)")
                if random.oneIn(20) { try h.reopen() }
                if random.oneIn(20) { try h.store.mergeAll() }
            }
        }
    }
}
