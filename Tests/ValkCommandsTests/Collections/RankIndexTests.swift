// Ranks in large sorted sets: the index against a model, and its own invariants against the members.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands
@testable import ValkData

@Suite struct RankIndexTests {
    private struct Entry: Hashable {
        let score: Int
        let name: String
    }

    /// The blocks of the set, each with the members that it should have by its count and that it has.
    private func blocks(_ h: Harness, _ key: String) throws -> [(kept: Int, found: Int)] {
        h.context.start(now: h.now)
        h.context.keys.select(0)
        defer { h.context.finished() }
        let keys = h.context.keys
        return try Array(key.utf8).withViewTyped { key throws(Interruption) in
            guard case .collection(let set) = try keys.collection(key, .sortedSet), RankIndex.exists(set) else {
                return []
            }
            var starts: [[UInt8]] = []
            var result: [(kept: Int, found: Int)] = []
            var walk = try ElementWalk(keys, set, RankIndex.kind)
            try walk.seekToFirst()
            while walk.isValid {
                starts.append(walk.key.dropFirst(1).array)
                let count = UInt32(littleEndian: try walk.value().base.loadUnaligned(as: UInt32.self))
                result.append((Int(count), 0))
                try walk.next()
            }
            var members = try ElementWalk(keys, set, ElementKind.score)
            try members.seekToFirst()
            var block = 0
            while members.isValid {
                let body = members.key.dropFirst(1).array
                while block + 1 < starts.count && !body.lexicographicallyPrecedes(starts[block + 1]) { block += 1 }
                result[block].found += 1
                try members.next()
            }
            return result
        }
    }

    @Test(arguments: 0..<3) func ranksAreThoseOfTheModel(round: Int) throws {
        let seed = TestSeed("ranks").value
        var random = SeededRandom(seed: seed)
        let h = try Harness(filter: true)
        var scores: [String: Int] = [:]
        let range = [100_000_000, 2000, 1][round]
        func check() throws {
            let blocks = try blocks(h, "z")
            #expect(!blocks.isEmpty || scores.count <= RankIndex.membersMin, "seed \(seed)")
            for block in blocks { #expect(block.kept == block.found, "seed \(seed)") }
            if !blocks.isEmpty { #expect(blocks.reduce(0) { $0 + $1.kept } == scores.count, "seed \(seed)") }
            #expect(h.run("ZCARD", "z") == ":\(scores.count)")
            let ordered = scores.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            for _ in 0..<20 where !ordered.isEmpty {
                let at = random.below(ordered.count)
                let (name, score) = ordered[at]
                #expect(h.run("ZRANK", "z", name) == ":\(at)", "seed \(seed)")
                #expect(h.run("ZREVRANK", "z", name) == ":\(ordered.count - 1 - at)", "seed \(seed)")
                let some = ordered[at..<min(at + 5, ordered.count)].map { "\"\($0.key)\"" }.joined(separator: " ")
                #expect(h.run("ZRANGE", "z", "\(at)", "\(at + 4)") == "[\(some)]", "seed \(seed)")
                let back = ordered.reversed()[at..<min(at + 700, ordered.count)]
                #expect(
                    h.run("ZREVRANGE", "z", "\(at)", "\(at + 699)")
                        == "[" + back.map { "\"\($0.key)\"" }.joined(separator: " ") + "]", "seed \(seed)")
                let count = ordered.filter { $0.value > score && $0.value <= score + range / 3 }.count
                #expect(h.run("ZCOUNT", "z", "(\(score)", "\(score + range / 3)") == ":\(count)", "seed \(seed)")
            }
        }
        for phase in 0..<8 {
            let grows = phase != 4 && phase != 7
            for step in 0..<40 {
                var words = [grows ? "ZADD" : "ZREM", "z"]
                for _ in 0..<(grows ? 40 : 120) {
                    let name = "m\(random.below(9000))"
                    if grows {
                        let score = random.below(range)
                        words += ["\(score)", name]
                        scores[name] = score
                    } else {
                        words.append(name)
                        scores[name] = nil
                    }
                }
                h.run(words)
                if step % 8 == 0, let name = scores.keys.randomElement(using: &random) {
                    h.run("ZINCRBY", "z", "1", name)
                    scores[name, default: 0] += 1
                }
            }
            if phase == 5 { try h.reopen() }
            if phase == 6 {
                h.run("COPY", "z", "copy")
                h.run("RENAME", "copy", "z")
            }
            try check()
        }
    }

    @Test func aSetThatComesAtOnceHasItsIndex() throws {
        let h = try Harness()
        var words = ["ZADD", "a"]
        for i in 0..<6000 { words += ["\(i % 977)", "m\(i)"] }
        h.run(words)
        #expect(try blocks(h, "a").count > 5)
        h.run("ZUNIONSTORE", "b", "1", "a", "WEIGHTS", "2")
        let blocks = try blocks(h, "b")
        #expect(blocks.count > 5)
        for block in blocks { #expect(block.kept == block.found) }
        #expect(h.run("ZREMRANGEBYRANK", "b", "10", "-11") == ":5980")
        #expect(h.run("ZCARD", "b") == ":20")
        #expect(h.run("ZRANK", "b", "m0") == ":0")
        for block in try self.blocks(h, "b") { #expect(block.kept == block.found) }
    }

    @Test func whatWasUndoneIsNotRemembered() throws {
        let h = try Harness()
        for part in 0..<30 {
            h.run(["ZADD", "z"] + (0..<100).flatMap { ["\(part * 100 + $0)", "m\(part * 100 + $0)"] })
        }
        // Cuts blocks, and is undone.
        h.undo(["ZADD", "z"] + (0..<2000).flatMap { ["100.\($0)", "x\($0)"] })
        #expect(h.run("ZCARD", "z") == ":3000")
        for i in [0, 99, 100, 101, 1500, 2999] { #expect(h.run("ZRANK", "z", "m\(i)") == ":\(i)") }
        h.run(["ZADD", "z"] + (0..<2000).flatMap { ["2000.\($0)", "y\($0)"] })
        for block in try blocks(h, "z") { #expect(block.kept == block.found) }
        #expect(h.run("ZRANK", "z", "m2999") == ":4999")
    }
}
