// SORT where sizes, forms and sources matter; its replies are compared with Redis's by conformance/cases/sort.case.

import Testing
import ValkBase
import ValkTestSupport

@testable import ValkCommands

@Suite struct SortTests {
    private func list(_ text: some Sequence<String>) -> String {
        "[" + text.map { "\"\($0)\"" }.joined(separator: " ") + "]"
    }

    @Test(arguments: ["RPUSH", "SADD", "ZADD"]) func everyTypeAndSizeIsSorted(how: String) throws {
        let h = try Harness()
        for count in [1, 3, 40, 3000] {
            h.run("DEL", "k")
            let numbers = (0..<count).map { ($0 &* 7919) % 10_007 }
            for number in numbers { h.run([how, "k"] + (how == "ZADD" ? ["\(number % 10)"] : []) + ["\(number)"]) }
            let sorted = numbers.sorted()
            #expect(h.run("SORT", "k") == list(sorted.map(String.init)))
            #expect(
                h.run("SORT", "k", "DESC", "LIMIT", "1", "5")
                    == list(sorted.reversed().dropFirst().prefix(5).map(String.init)))
            let texts = sorted.map(String.init).sorted()
            #expect(h.run("SORT_RO", "k", "ALPHA", "LIMIT", "0", "7") == list(texts.prefix(7)))
            #expect(h.run("SORT", "k", "STORE", "to") == ":\(count)")
            #expect(h.run("LRANGE", "to", "0", "-1") == list(sorted.map(String.init)))
        }
    }

    @Test func partsOfWhatKeepsItsOrder() throws {
        let h = try Harness()
        for i in 0..<1000 {
            h.run("RPUSH", "l", "\(i)")
            h.run("ZADD", "z", "\(i)", "m\(i)")
        }
        #expect(h.run("SORT", "l", "BY", "no", "LIMIT", "10", "3") == list(["10", "11", "12"]))
        #expect(h.run("SORT", "l", "BY", "no", "DESC", "LIMIT", "10", "3") == list(["989", "988", "987"]))
        #expect(h.run("SORT", "z", "BY", "no", "LIMIT", "998", "9") == list(["m998", "m999"]))
        #expect(h.run("SORT", "z", "BY", "no", "DESC", "LIMIT", "998", "9") == list(["m1", "m0"]))
        #expect(h.run("SORT", "z", "BY", "no", "LIMIT", "1000", "9") == "[]")
    }

    @Test func weightsAndResultsComeFromOtherKeys() throws {
        let h = try Harness()
        for i in 0..<200 {
            h.run("SADD", "s", "\(i)")
            h.run("HSET", "h:\(i)", "weight", "\((i &* 37) % 200)", "name", "n\(i)")
        }
        let order = (0..<200).sorted { ($0 &* 37) % 200 < ($1 &* 37) % 200 }
        #expect(
            h.run("SORT", "s", "BY", "h:*->weight", "GET", "h:*->name", "LIMIT", "0", "50")
                == list(order.prefix(50).map { "n\($0)" }))
        // The target may be what is sorted, or what is read.
        #expect(h.run("SORT", "s", "BY", "h:*->weight", "GET", "#", "GET", "h:*->name", "STORE", "s") == ":400")
        #expect(h.run("LRANGE", "s", "0", "3") == list(["\(order[0])", "n\(order[0])", "\(order[1])", "n\(order[1])"]))
        h.run("RPUSH", "l", "1", "2")
        h.run("SET", "v:1", "one")
        #expect(h.run("SORT", "l", "GET", "v:*", "STORE", "v:1") == ":2")
        #expect(h.run("LRANGE", "v:1", "0", "-1") == list(["one", ""]))
    }

    @Test func expiredFieldsAreNotThere() throws {
        let h = try Harness()
        h.run("RPUSH", "l", "1", "2")
        h.run("HSET", "h:1", "f", "9", "g", "x")
        h.run("HSET", "h:2", "f", "1")
        h.run("HPEXPIRE", "h:1", "10", "FIELDS", "1", "f")
        #expect(h.run("SORT", "l", "BY", "h:*->f", "GET", "h:*->f") == list(["1", "9"]))
        h.clock.advance(10)
        #expect(h.run("SORT", "l", "BY", "h:*->f", "GET", "h:*->f") == "[nil \"1\"]")
        // It was met, so it was removed.
        #expect(h.run("HLEN", "h:1") == ":1")
    }

    @Test func inOneTransactionItSeesWhatWasWritten() throws {
        let h = try Harness()
        let replies = h.exec([
            ["RPUSH", "l", "2", "1"], ["SET", "w:1", "5"], ["SET", "w:2", "4"],
            ["SORT", "l", "BY", "w:*", "STORE", "l"],
            ["RPUSH", "l", "0"], ["SORT", "l"], ["SORT", "l", "BY", "no"],
        ])
        #expect(replies == [":2", "OK", "OK", ":2", ":3", list(["0", "1", "2"]), list(["2", "1", "0"])])
    }

    @Test func whoMayNotReadEveryKeyMayNotUsePatterns() throws {
        let h = try Harness()
        h.run("RPUSH", "l", "2", "1")
        h.context.mayReadEveryKey = false
        #expect(h.run("SORT", "l") == list(["1", "2"]))
        #expect(h.run("SORT", "l", "BY", "no") == list(["2", "1"]))
        #expect(h.run("SORT", "l", "BY", "w*").hasPrefix("-ERR BY option of SORT denied"))
        #expect(h.run("SORT", "l", "GET", "#").hasPrefix("-ERR GET option of SORT denied"))
        #expect(h.run("SORT", "l", "FOO", "GET", "#") == "-ERR syntax error")
    }
}
