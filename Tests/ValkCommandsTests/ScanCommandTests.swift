import Testing
import ValkBase
import ValkCommands
import ValkData
import ValkTestSupport

@Suite struct ScanCommandTests {
    /// `(cursor, keys)` of a SCAN reply such as `["12" ["a" "b"]]`.
    static func scan(_ h: Harness, _ cursor: String, _ options: String...) -> (cursor: String, keys: [String]) {
        let reply = h.run(["SCAN", cursor] + options)
        let parts = reply.dropFirst(2).dropLast(2).split(separator: "[", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return ("?", [reply]) }
        return (
            String(parts[0].dropLast(2)),
            parts[1].split(separator: " ").map { String($0.dropFirst().dropLast()) }
        )
    }

    static func scanAll(_ h: Harness, _ options: String...) -> [String] {
        var keys: [String] = []
        var cursor = "0"
        repeat {
            let reply = h.run(["SCAN", cursor] + options)
            let parts = reply.dropFirst(2).dropLast(2).split(
                separator: "[", maxSplits: 1, omittingEmptySubsequences: false)
            cursor = String(parts[0].dropLast(2))
            keys += parts[1].split(separator: " ").map { String($0.dropFirst().dropLast()) }
        } while cursor != "0"
        return keys
    }

    @Test func walksAllKeys() throws {
        let h = try Harness()
        for i in 0..<1000 { h.run("SET", "key:\(i)", "v") }
        let keys = Self.scanAll(h)
        #expect(keys.count == 1000 && Set(keys).count == 1000)
        #expect(Set(Self.scanAll(h, "COUNT", "1")).count == 1000)
        #expect(Set(Self.scanAll(h, "COUNT", "7")).count == 1000)
        #expect(Self.scan(h, "0", "COUNT", "100000").cursor == "0")
    }

    @Test func countBoundsTheWork() throws {
        let h = try Harness()
        for i in 0..<100 { h.run("SET", "key:\(i)", "v") }
        let first = Self.scan(h, "0", "MATCH", "*nothing", "COUNT", "10")
        #expect(first.keys.isEmpty && first.cursor != "0")
        #expect(Self.scan(h, "0", "COUNT", "10").keys.count == 10)
    }

    @Test func literalBeginningsAreSought() throws {
        let h = try Harness()
        for i in 0..<100 { h.run("MSET", "a:\(i)", "v", "b:\(i)", "v", "c:\(i)", "v") }
        let some = Self.scan(h, "0", "MATCH", "b:*", "COUNT", "99")
        #expect(some.keys.count == 99 && some.keys.allSatisfy { $0.hasPrefix("b:") })
        let rest = Self.scan(h, some.cursor, "MATCH", "b:*")
        #expect(rest.keys.count == 1 && rest.cursor == "0")
        #expect(Self.scan(h, "0", "MATCH", "b:5").keys == ["b:5"])
        #expect(Self.scan(h, "0", "MATCH", "zzz*").cursor == "0")
        #expect(Set(Self.scanAll(h, "MATCH", "?:1?")).count == 30)
        #expect(h.run("KEYS", "c:9?").split(separator: " ").count == 10)
    }

    @Test func optionsAreChecked() throws {
        let h = try Harness()
        h.run("SET", "k", "v")
        #expect(h.run("SCAN", "x") == "-ERR invalid cursor")
        #expect(h.run("SCAN", "18446744073709551616") == "-ERR invalid cursor")
        #expect(h.run("SCAN", "18446744073709551615") == "[\"0\" [\"k\"]]")
        #expect(h.run("SCAN", "-1") == "[\"0\" [\"k\"]]")
        #expect(h.run("SCAN", "0", "COUNT", "0") == "-ERR syntax error")
        #expect(h.run("SCAN", "0", "COUNT", "x") == "-ERR value is not an integer or out of range")
        #expect(h.run("SCAN", "0", "COUNT") == "-ERR syntax error")
        #expect(h.run("SCAN", "0", "FOO", "1") == "-ERR syntax error")
        #expect(h.run("SCAN", "0", "TYPE", "string") == "[\"0\" [\"k\"]]")
        #expect(h.run("SCAN", "0", "TYPE", "LIST") == "[\"0\" []]")
        #expect(h.run("SCAN", "0", "TYPE", "nothing") == "[\"0\" []]")
    }

    @Test func expiredKeysAreNotShown() throws {
        let h = try Harness()
        for i in 0..<50 { h.run("SET", "k\(i)", "v", "PX", i % 2 == 0 ? "10" : "1000") }
        h.clock.advance(10)
        #expect(Self.scanAll(h).count == 25)
        #expect(h.run("DBSIZE") == ":25")
    }

    @Test func rangesAreInOrder() throws {
        let h = try Harness()
        for i in 0..<2000 { h.run("SET", "k\(10_000 + i)", "\(i)") }
        #expect(h.run("VRANGE", "-", "+").split(separator: " ").count == 1000)
        #expect(h.run("VRANGE", "[k10005", "(k10008") == "[\"k10005\" \"k10006\" \"k10007\"]")
        #expect(h.run("VRANGE", "(k10005", "[k10007", "WITHVALUES") == "[\"k10006\" \"6\" \"k10007\" \"7\"]")
        #expect(h.run("VRANGE", "+", "-", "REV", "LIMIT", "2") == "[\"k11999\" \"k11998\"]")
        #expect(h.run("VRANGE", "(k11998", "[k11990", "LIMIT", "2", "REV") == "[\"k11997\" \"k11996\"]")
        #expect(h.run("VRANGE", "+", "-") == "[]")
        #expect(h.run("VRANGE", "[z", "[a") == "[]")
        #expect(h.run("VRANGE", "-", "+", "LIMIT", "0") == "[]")
        #expect(h.run("VRANGE", "-", "+", "LIMIT", "-1") == "-ERR value is out of range, must be positive")
        #expect(h.run("VRANGE", "a", "+") == "-ERR min or max not valid string range item")
        #expect(h.run("VRANGE", "-", "+", "LIMIT") == "-ERR syntax error")
        h.version = 3
        #expect(h.run("VRANGE", "[k10005", "[k10006", "WITHVALUES") == "[[\"k10005\" \"5\"] [\"k10006\" \"6\"]]")
        h.version = 2
        h.clock.advance(1)
        h.run("DEL", "k10006")
        h.run("PEXPIRE", "k10007", "1")
        h.clock.advance(1)
        #expect(h.run("VRANGE", "[k10005", "[k10008") == "[\"k10005\" \"k10008\"]")
    }
}
