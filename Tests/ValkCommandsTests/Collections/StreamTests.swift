// Streams: random commands against arrays, across both forms, restarts and merges; groups against a model of what is
// pending of whom.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct StreamTests {
    private func entry(_ id: Int, _ value: String) -> String { "[\"\(id)-1\" [\"n\" \"\(value)\"]]" }

    @Test(arguments: 0..<3) func entriesAreThoseOfAnArray(round: Int) throws {
        let seed = TestSeed("streams against an array").value
        var random = SeededRandom(seed: seed)
        let h = try Harness(filter: true)
        var model: [(id: Int, value: String)] = []
        var last = 0
        var isThere = false
        func check(_ got: String, _ want: String, _ what: String) {
            #expect(got == want, "\(what), seed \(seed)")
        }
        for step in 0..<2500 {
            let grows = step / 500 % 2 == 0
            switch random.below(10) {
            case 0...3:
                if !grows && !random.oneIn(4) { continue }
                last += 1 + random.below(3)
                let value = "\(step)" + String(repeating: "v", count: random.below(30))
                check(h.run("XADD", "s", "\(last)-1", "n", value), "\"\(last)-1\"", "XADD")
                check(
                    h.run("XADD", "s", "\(last)-1", "n", value),
                    "-ERR The ID specified in XADD is equal or smaller than the target stream top item", "XADD")
                model.append((last, value))
                isThere = true
            case 4, 5:
                let id = random.below(last + 2)
                let place = model.firstIndex { $0.id == id }
                check(h.run("XDEL", "s", "\(id)-1"), place == nil ? ":0" : ":1", "XDEL")
                if let place { model.remove(at: place) }
            case 6:
                let from = random.below(last + 2)
                let to = from + random.below(40)
                let found = model.filter { $0.id >= from && $0.id <= to }
                check(
                    h.run("XRANGE", "s", "\(from)", "\(to)", "COUNT", "7"),
                    "[" + found.prefix(7).map { entry($0.id, $0.value) }.joined(separator: " ") + "]", "XRANGE")
                check(
                    h.run("XREVRANGE", "s", "\(to)", "(\(from)-1"),
                    "[" + found.filter { $0.id > from }.reversed().map { entry($0.id, $0.value) }.joined(separator: " ")
                        + "]", "XREVRANGE")
            case 7:
                let length = max(0, model.count - random.below(grows ? 3 : 20))
                check(h.run("XTRIM", "s", "MAXLEN", "\(length)"), ":\(model.count - length)", "XTRIM")
                model.removeFirst(model.count - length)
            case 8:
                let least = model.isEmpty ? 0 : model[random.below(min(4, model.count))].id
                let removed = model.prefix { $0.id < least }.count
                check(h.run("XTRIM", "s", "MINID", "\(least)-1"), ":\(removed)", "XTRIM")
                model.removeFirst(removed)
            default:
                check(h.run("XLEN", "s"), ":\(model.count)", "XLEN")
                check(h.run("EXISTS", "s"), isThere ? ":1" : ":0", "EXISTS")
                if random.oneIn(20) { try h.reopen() }
                if random.oneIn(20) { try h.store.mergeAll() }
            }
        }
        check(
            h.run("XRANGE", "s", "-", "+"), "[" + model.map { entry($0.id, $0.value) }.joined(separator: " ") + "]",
            "all")
    }

    @Test(arguments: 0..<3) func pendingEntriesAreThoseOfTheModel(round: Int) throws {
        let seed = TestSeed("groups against a model").value
        var random = SeededRandom(seed: seed)
        let h = try Harness(filter: true)
        h.run("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        var owners: [Int: String] = [:]
        var last = 0
        var given = 0
        func check(_ got: String, _ want: String, _ what: String) {
            #expect(got == want, "\(what), seed \(seed)")
        }
        for step in 0..<1200 {
            let consumer = "c\(random.below(4))"
            switch random.below(8) {
            case 0, 1:
                last += 1
                h.run("XADD", "s", "\(last)-1", "n", "\(step)")
            case 2, 3:
                let count = min(last - given, 1 + random.below(5))
                let reply = h.run(
                    "XREADGROUP", "GROUP", "g", consumer, "COUNT", "\(max(1, count))", "STREAMS", "s", ">")
                #expect((reply == "nil") == (count == 0), "seed \(seed)")
                for id in given..<given + count { owners[id + 1] = consumer }
                given += count
            case 4:
                let ids = (0..<3).map { _ in 1 + random.below(max(1, given)) }
                let known = Set(ids).filter { owners[$0] != nil }
                check(h.run(["XACK", "s", "g"] + ids.map { "\($0)-1" }), ":\(known.count)", "XACK")
                for id in known { owners[id] = nil }
            case 5:
                let id = 1 + random.below(max(1, given))
                let isKnown = owners[id] != nil
                check(
                    h.run("XCLAIM", "s", "g", consumer, "0", "\(id)-1", "JUSTID"), isKnown ? "[\"\(id)-1\"]" : "[]",
                    "XCLAIM")
                if isKnown { owners[id] = consumer }
            case 6:
                let mine = owners.filter { $0.value == consumer }
                if random.oneIn(10) {
                    check(h.run("XGROUP", "DELCONSUMER", "s", "g", consumer), ":\(mine.count)", "DELCONSUMER")
                    for id in mine.keys { owners[id] = nil }
                } else {
                    let reply = h.run("XPENDING", "s", "g", "-", "+", "10000", consumer)
                    #expect(
                        mine.isEmpty ? reply == "[]" : reply.split(separator: "[").count == mine.count, "seed \(seed)")
                }
            default:
                if random.oneIn(10) { try h.reopen() }
                if random.oneIn(10) { try h.store.mergeAll() }
            }
            let summary = h.run("XPENDING", "s", "g")
            let ids = owners.keys.sorted()
            let edges = ids.isEmpty ? "nil nil nil" : "\"\(ids[0])-1\" \"\(ids[ids.count - 1])-1\" "
            #expect(summary.hasPrefix("[:\(ids.count) \(edges)"), "\(summary), seed \(seed)")
            let counts = Dictionary(grouping: owners.values) { $0 }.mapValues(\.count)
            for (name, count) in counts { #expect(summary.contains("[\"\(name)\" \"\(count)\"]"), "seed \(seed)") }
        }
        h.run("XGROUP", "DESTROY", "s", "g")
        h.run("XGROUP", "CREATE", "s", "g", "0")
        check(h.run("XPENDING", "s", "g"), "[:0 nil nil nil]", "a group of the same name")
        check(h.run("XINFO", "CONSUMERS", "s", "g"), "[]", "a group of the same name")
    }

    @Test func aStreamWithoutEntriesStays() throws {
        let h = try Harness(filter: true)
        for i in 1...200 { h.run("XADD", "s", "\(i)-1", "n", String(repeating: "v", count: 50)) }
        #expect(h.run("XTRIM", "s", "MAXLEN", "0") == ":200")
        try h.store.mergeAll()
        try h.reopen()
        #expect(h.run("EXISTS", "s") == ":1")
        #expect(h.run("XLEN", "s") == ":0")
        #expect(h.run("XADD", "s", "200-1", "n", "v").hasPrefix("-ERR"))
        #expect(h.run("XADD", "s", "200-*", "n", "v") == "\"200-2\"")
        #expect(h.run("XRANGE", "s", "-", "+") == "[[\"200-2\" [\"n\" \"v\"]]]")
    }
}
