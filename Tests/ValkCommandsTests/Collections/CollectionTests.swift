// What collections of all types share: forms, ids, deletion, renaming, copying, expiry, what merges leave out.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct CollectionTests {
    private func fill(_ h: Harness, _ key: String, _ count: Int) {
        for i in 0..<count { h.run("HSET", key, "field-\(i)", "value-\(i)") }
    }

    private func fields(_ h: Harness, _ key: String) -> Set<String> {
        Set(h.run("HKEYS", key).dropFirst().dropLast().split(separator: " ").map(String.init))
    }

    /// Entries of space 2 in any database.
    private func elementCount(_ h: Harness) throws -> Int {
        let reader = StoreReader(h.store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        let low: [UInt8] = [0, 0, 0, 0]
        let high: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
        let cursor = try reader.cursor(lower: low.withView { $0 }, upper: high.withView { $0 })
        var count = 0
        try cursor.seekToFirst()
        while cursor.isValid {
            if cursor.key.count > 4 && cursor.key[4] == 2 { count += 1 }
            try cursor.next()
        }
        return count
    }

    @Test func fewElementsLieInTheEntryAndManyBesideIt() throws {
        let h = try Harness()
        fill(h, "h", 5)
        #expect(try elementCount(h) == 0)
        fill(h, "h", 100)
        // One more says whose they are.
        #expect(try elementCount(h) == 101)
        #expect(h.run("HLEN", "h") == ":100")
        #expect(fields(h, "h").count == 100)
        for i in 0..<100 { #expect(h.run("HGET", "h", "field-\(i)") == "\"value-\(i)\"") }
        #expect(h.run("HGET", "h", "field-100") == "nil")
        for i in 0..<100 { #expect(h.run("HDEL", "h", "field-\(i)") == ":1") }
        #expect(h.run("EXISTS", "h") == ":0")
        #expect(try elementCount(h) == 0)
    }

    @Test func oneLargeValueIsEnoughForTheOtherForm() throws {
        let h = try Harness()
        let large = String(repeating: "x", count: 5000)
        h.run("HSET", "h", "a", "1", "b", large, "c", "3")
        #expect(try elementCount(h) == 4)
        #expect(h.run("HMGET", "h", "a", "c") == "[\"1\" \"3\"]")
        #expect(h.run("HSTRLEN", "h", "b") == ":5000")
        h.run("HSET", "h", "b", "2")
        #expect(h.run("HMGET", "h", "a", "b", "c") == "[\"1\" \"2\" \"3\"]")
    }

    @Test func elementsSurviveARestart() throws {
        let h = try Harness()
        fill(h, "h", 200)
        h.run("SADD", "s", "a", "b")
        try h.reopen()
        #expect(h.run("HLEN", "h") == ":200")
        #expect(fields(h, "h").count == 200)
        #expect(h.run("SCARD", "s") == ":2")
        // Another run, other ids.
        fill(h, "other", 200)
        h.run("DEL", "h")
        #expect(h.run("HLEN", "other") == ":200")
        #expect(fields(h, "other").count == 200)
    }

    @Test(arguments: ["DEL", "SET", "EXPIRE", "RENAME", "SINTERSTORE"]) func deletedElementsNeverComeBack(
        how: String
    ) throws {
        let h = try Harness()
        fill(h, "h", 300)
        switch how {
        case "DEL": h.run("DEL", "h")
        case "SET": h.run("SET", "h", "v")
        case "EXPIRE": h.run("PEXPIRE", "h", "0")
        case "RENAME":
            h.run("SET", "other", "v")
            h.run("RENAME", "other", "h")
        default:
            h.run("SADD", "a", "m")
            h.run("SINTERSTORE", "h", "a")
        }
        h.run("DEL", "h")
        #expect(h.run("HLEN", "h") == ":0")
        fill(h, "h", 2)
        #expect(fields(h, "h") == ["\"field-0\"", "\"field-1\""])
    }

    @Test func mergesLeaveOutWhatIsDead() throws {
        let h = try Harness(filter: true)
        fill(h, "gone", 300)
        fill(h, "kept", 300)
        fill(h, "moved", 300)
        h.run("RENAME", "moved", "elsewhere")
        h.run("DEL", "gone")
        try h.store.flushTables()
        try h.store.mergeAll()
        #expect(try elementCount(h) == 2 * 301)
        #expect(fields(h, "kept").count == 300)
        #expect(fields(h, "elsewhere").count == 300)
        h.run("FLUSHALL")
        try h.store.flushTables()
        try h.store.mergeAll()
        #expect(try elementCount(h) == 0)
    }

    @Test func renamedAndCopiedCollectionsAreWhole() throws {
        let h = try Harness(filter: true)
        fill(h, "h", 150)
        h.run("RENAME", "h", "r")
        #expect(h.run("EXISTS", "h") == ":0")
        #expect(fields(h, "r").count == 150)
        #expect(h.run("COPY", "r", "c") == ":1")
        h.run("HDEL", "c", "field-7")
        h.run("HSET", "r", "more", "1")
        #expect(h.run("HLEN", "r") == ":151")
        #expect(h.run("HLEN", "c") == ":149")
        #expect(h.run("HEXISTS", "r", "field-7") == ":1")
        #expect(h.run("MOVE", "c", "3") == ":1")
        #expect(h.run("EXISTS", "c") == ":0")
        h.database = 3
        #expect(fields(h, "c").count == 149)
        h.database = 0
        h.run("DEL", "r")
        try h.store.flushTables()
        try h.store.mergeAll()
        h.database = 3
        #expect(fields(h, "c").count == 149)
        #expect(try elementCount(h) == 150)
    }

    @Test func aTransactionSeesItsOwnElements() throws {
        let h = try Harness()
        fill(h, "h", 100)
        let replies = h.exec([
            ["HSET", "h", "new", "1"], ["HDEL", "h", "field-3"], ["HLEN", "h"], ["HEXISTS", "h", "field-3"],
            ["HGET", "h", "new"], ["COPY", "h", "c"], ["HLEN", "c"], ["HGET", "c", "new"], ["HEXISTS", "c", "field-3"],
            ["DEL", "h"], ["HGETALL", "h"], ["HSET", "h", "x", "y"], ["HGETALL", "h"],
        ])
        #expect(
            replies == [
                ":1", ":1", ":100", ":0", "\"1\"", ":1", ":100", "\"1\"", ":0", ":1", "[]", ":1", "[\"x\" \"y\"]",
            ])
        #expect(h.run("HLEN", "c") == ":100")
    }

    @Test func whateverIsThereThroughoutIsScanned() throws {
        let seed = TestSeed("a scan of a collection").value
        var random = SeededRandom(seed: seed)
        let h = try Harness()
        for i in 0..<1000 { h.run("SADD", "s", "stays-\(i)") }
        var seen = Set<String>()
        var cursor = "0"
        var calls = 0
        repeat {
            let reply = h.run("SSCAN", "s", cursor, "COUNT", "7")
            let words = reply.filter { !"[]\"".contains($0) }.split(separator: " ").map(String.init)
            cursor = words[0]
            seen.formUnion(words.dropFirst())
            calls += 1
            for _ in 0..<3 { h.run("SADD", "s", "comes-\(random.below(100_000))") }
            h.run("SPOP", "comes")
        } while cursor != "0" && calls < 10_000
        let missing = (0..<1000).filter { !seen.contains("stays-\($0)") }
        #expect(missing.isEmpty, "seed \(seed)")
        #expect(calls > 100)
    }

    @Test func aMemberMayBeAsLongAsAKey() throws {
        let h = try Harness()
        let longest = String(repeating: "m", count: 65_535)
        #expect(h.run("SADD", "s", longest) == ":1")
        #expect(h.run("SISMEMBER", "s", longest) == ":1")
        #expect(h.run("ZADD", "z", "1", longest) == ":1")
        #expect(h.run("ZSCORE", "z", longest) == "\"1\"")
        #expect(h.run("SADD", "s", longest + "m") == "-ERR field or member is too long (maximum is 65535 bytes)")
        #expect(h.run("SISMEMBER", "s", longest + "m") == ":0")
        #expect(h.run("HSET", "h", longest + "m", "v").hasPrefix("-ERR field or member"))
        #expect(h.run("EXISTS", "h") == ":0")
    }
}
