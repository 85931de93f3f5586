// Lists: random commands against an array, across both forms, and what a transaction does to lists it has just written.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct ListTests {
    private func text(_ elements: some Sequence<String>) -> String {
        "[" + elements.map { "\"\($0)\"" }.joined(separator: " ") + "]"
    }

    @Test(arguments: 0..<4) func answersAreThoseOfAnArray(round: Int) throws {
        let seed = TestSeed("lists against an array").value
        var random = SeededRandom(seed: seed)
        let h = try Harness(filter: true)
        var model: [String] = []
        func check(_ got: String, _ want: String, _ what: String) {
            #expect(got == want, "\(what), seed \(seed)")
        }
        func removed(_ value: String, _ count: Int) -> Int {
            var indexes = model.indices.filter { model[$0] == value }
            if count < 0 { indexes.reverse() }
            indexes = Array(indexes.prefix(count == 0 ? Int.max : abs(count)))
            for i in indexes.sorted(by: >) { model.remove(at: i) }
            return indexes.count
        }
        for step in 0..<3000 {
            // Phases of growing and of shrinking; few different elements, so that they are found.
            let grows = step / 500 % 2 == 0
            let value = "e\(random.below(60))" + (random.oneIn(10) ? String(repeating: "x", count: 200) : "")
            switch random.below(14) {
            case 0, 1:
                if grows || random.oneIn(4) { model.append(value) } else { continue }
                check(h.run("RPUSH", "l", value), ":\(model.count)", "RPUSH")
            case 2, 3:
                if grows || random.oneIn(4) { model.insert(value, at: 0) } else { continue }
                check(h.run("LPUSH", "l", value), ":\(model.count)", "LPUSH")
            case 4:
                check(h.run("LPOP", "l"), model.isEmpty ? "nil" : "\"\(model.removeFirst())\"", "LPOP")
            case 5:
                let count = random.below(grows ? 3 : 9)
                let taken = Array(model.suffix(count).reversed())
                check(h.run("RPOP", "l", "\(count)"), model.isEmpty ? "nil" : text(taken), "RPOP")
                model.removeLast(taken.count)
            case 6:
                let pivot = "e\(random.below(60))"
                let isAfter = random.oneIn(2)
                let place = model.firstIndex(of: pivot)
                if let place { model.insert(value, at: isAfter ? place + 1 : place) }
                check(
                    h.run("LINSERT", "l", isAfter ? "AFTER" : "BEFORE", pivot, value),
                    place == nil ? (model.isEmpty ? ":0" : ":-1") : ":\(model.count)", "LINSERT")
            case 7:
                let count = random.below(5) - 2
                let got = h.run("LREM", "l", "\(count)", value)
                check(got, ":\(removed(value, count))", "LREM \(count)")
            case 8:
                if model.isEmpty { continue }
                let index = random.below(model.count)
                model[index] = value
                check(h.run("LSET", "l", "\(random.oneIn(2) ? index : index - model.count)", value), "OK", "LSET")
            case 9:
                if model.isEmpty { continue }
                let from = random.below(min(4, model.count))
                let to = max(from, model.count - 1 - random.below(grows ? 2 : 30))
                model = Array(model[from...min(to, model.count - 1)])
                check(h.run("LTRIM", "l", "\(from)", "\(to)"), "OK", "LTRIM")
            case 10:
                if model.isEmpty { continue }
                model.append(model.removeFirst())
                check(h.run("LMOVE", "l", "l", "LEFT", "RIGHT"), "\"\(model[model.count - 1])\"", "LMOVE")
            case 11:
                check(
                    h.run("LPOS", "l", value, "COUNT", "0"),
                    "[" + model.indices.filter { model[$0] == value }.map { ":\($0)" }.joined(separator: " ") + "]",
                    "LPOS")
            case 12:
                let from = random.below(70)
                check(
                    h.run("LRANGE", "l", "\(from)", "\(from + 9)"), text(model.dropFirst(from).prefix(10)), "LRANGE")
                check(h.run("LINDEX", "l", "\(from)"), from < model.count ? "\"\(model[from])\"" : "nil", "LINDEX")
            default:
                check(h.run("LRANGE", "l", "0", "-1"), text(model), "LRANGE")
                check(h.run("LLEN", "l"), ":\(model.count)", "LLEN")
                if random.oneIn(20) { try h.reopen() }
                if random.oneIn(20) { try h.store.mergeAll() }
            }
        }
        check(h.run("LRANGE", "l", "0", "-1"), text(model), "LRANGE")
    }

    /// The packed elements of what a transaction has written lie in its batch, which moves as it grows.
    @Test func movesOfWhatTheTransactionHasJustWritten() throws {
        let h = try Harness()
        let large = String(repeating: "y", count: 300)
        for i in 0..<200 { h.run("RPUSH", "long", "\(i)-\(large)") }
        var commands = [["RPUSH", "short", "a", "b", "c"], ["RPUSH", "other", "x"]]
        for _ in 0..<150 {
            commands.append(["LMOVE", "long", "long", "RIGHT", "LEFT"])
            commands.append(["LMOVE", "short", "other", "LEFT", "RIGHT"])
            commands.append(["LMOVE", "other", "short", "RIGHT", "RIGHT"])
            commands.append(["LMOVE", "long", "short", "RIGHT", "RIGHT"])
            commands.append(["LMOVE", "short", "long", "RIGHT", "LEFT"])
        }
        commands.append(["LRANGE", "short", "0", "-1"])
        commands.append(["LRANGE", "other", "0", "-1"])
        let replies = h.exec(commands)
        #expect(replies[replies.count - 2] == text(["a", "b", "c"]))
        #expect(replies[replies.count - 1] == text(["x"]))
        #expect(h.run("LLEN", "long") == ":200")
        #expect(h.run("LINDEX", "long", "0") == "\"100-\(large)\"")
        #expect(h.run("LRANGE", "short", "0", "-1") == text(["a", "b", "c"]))
    }

    @Test func aQueueGoesOnWithoutEnd() throws {
        let h = try Harness(filter: true)
        let value = String(repeating: "z", count: 100)
        for i in 0..<3000 {
            h.run("LPUSH", "q", "\(i)-\(value)")
            if i >= 20 { #expect(h.run("RPOP", "q") == "\"\(i - 20)-\(value)\"") }
            if i % 500 == 499 {
                try h.store.flushTables()
                try h.store.mergeAll()
            }
        }
        #expect(h.run("LLEN", "q") == ":20")
        try h.reopen()
        #expect(h.run("RPOP", "q") == "\"2980-\(value)\"")
    }
}
