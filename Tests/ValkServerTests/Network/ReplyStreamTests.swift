// Replies that come in pieces: they are what whole ones would be, of the moment of the command, from bounded memory,
// and nothing comes between their pieces.

import Testing
import ValkCommands

@testable import ValkServer

@Suite struct ReplyStreamTests {
    /// More than a loop answers by itself, and several pieces.
    private static let count = 12_000

    private static func element(_ i: Int) -> String { "element-\(i)-" + String(repeating: "x", count: 60) }

    /// A hash, set, list, sorted set and stream of `count` elements: "h", "s", "l", "z", "x".
    private static func fill(_ client: TestClient) throws {
        var i = 0
        while i < count {
            let part = (i..<min(count, i + 1000))
            try client.send(TestClient.encode((["RPUSH", "l"] + part.map { element($0) }).map { Array($0.utf8) }))
            try client.send(TestClient.encode((["SADD", "s"] + part.map { element($0) }).map { Array($0.utf8) }))
            try client.send(
                TestClient.encode(
                    (["HSET", "h"] + part.flatMap { ["\($0)", element($0)] }).map { Array($0.utf8) }))
            try client.send(
                TestClient.encode(
                    (["ZADD", "z"] + part.flatMap { ["\($0)", element($0)] }).map { Array($0.utf8) }))
            for i in part { try client.send(TestClient.encode("XADD", "x", "\(i + 1)-0", "f", element(i))) }
            for _ in 0..<4 + part.count { _ = try client.reply() }
            i = part.upperBound
        }
    }

    /// A list of 20 MB.
    private static func fillLong(_ client: TestClient) throws {
        let words = ["RPUSH", "long"] + [String](repeating: String(repeating: "v", count: 2048), count: 1000)
        for _ in 0..<10 { _ = try client.ask(words) }
    }

    private static func joined(_ parts: [String]) -> String { "*[" + parts.joined(separator: ",") + "]" }

    private static func pieces(_ server: FullServer) -> UInt64 { server.server.total(.replyPieces) }

    @Test func allOfThemAreWhatWholeRepliesAre() throws {
        let server = try FullServer()
        let client = try server.connect()
        try Self.fill(client)
        let n = Self.count
        let elements = (0..<n).map { "$" + Self.element($0) }
        let entries = (0..<n).map { "*[$\($0 + 1)-0,*[$f,$\(Self.element($0))]]" }
        #expect(try client.ask("LRANGE", "l", "0", "-1") == Self.joined(elements))
        #expect(try client.ask("LRANGE", "l", "100", "-101") == Self.joined(Array(elements[100..<n - 100])))
        #expect(try client.ask("ZRANGE", "z", "0", "-1") == Self.joined(elements))
        #expect(try client.ask("ZRANGE", "z", "7", "-3", "REV") == Self.joined(elements[2..<n - 7].reversed()))
        let scored = (0..<n).flatMap { [elements[$0], "$\($0)"] }
        #expect(try client.ask("ZRANGE", "z", "0", "-1", "WITHSCORES") == Self.joined(scored))
        #expect(try client.ask("ZRANGEBYSCORE", "z", "(10", "10990") == Self.joined(Array(elements[11...10_990])))
        let limited = try client.ask("ZREVRANGEBYSCORE", "z", "11000", "-inf", "LIMIT", "500", "9000")
        #expect(limited == Self.joined(elements[1501...10_500].reversed()))
        let last = try client.ask("ZRANGEBYSCORE", "z", "0", "9999", "LIMIT", "9990", "9000")
        #expect(last == Self.joined(Array(elements[9990...9999])))
        #expect(try client.ask("XRANGE", "x", "-", "+") == Self.joined(entries))
        #expect(try client.ask("XREVRANGE", "x", "+", "100") == Self.joined(entries[99...].reversed()))
        #expect(try client.ask("XRANGE", "x", "50", "+", "COUNT", "9000") == Self.joined(Array(entries[49..<9049])))
        #expect(Self.pieces(server) > 20)
        // In the order of the store: all of them, each once.
        for (command, expected) in [("SMEMBERS s", elements), ("HVALS h", elements)] {
            let reply = try client.ask(command.split(separator: " ").map(String.init))
            #expect(reply.dropFirst(2).dropLast().split(separator: ",").map(String.init).sorted() == expected.sorted())
        }
        let pairs = try client.ask("HGETALL", "h").dropFirst(2).dropLast().split(separator: ",")
        #expect(pairs.count == 2 * n)
        for i in stride(from: 0, to: pairs.count, by: 2) {
            #expect(pairs[i + 1] == "$" + Self.element(Int(pairs[i].dropFirst()) ?? -1))
        }
        // The same in transactions and scripts, which answer as a whole.
        let before = Self.pieces(server)
        #expect(try client.ask("EVAL", "return redis.call('lrange', 'l', 0, -1)", "0") == Self.joined(elements))
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("LRANGE", "l", "0", "-1") == "+QUEUED")
        #expect(try client.ask("EXEC") == "*[" + Self.joined(elements) + "]")
        #expect(Self.pieces(server) == before)
    }

    /// Fields whose time has passed are not counted and not shown.
    @Test func expiredFieldsAreLeftOut() throws {
        let server = try FullServer("enable-debug-command yes")
        let client = try server.connect()
        try Self.fill(client)
        #expect(try client.ask("DEBUG", "SET-ACTIVE-EXPIRE", "0") == "+OK")
        #expect(try client.ask("HPEXPIREAT", "h", "9999999999999", "FIELDS", "1", "5") == "*[:1]")
        #expect(try client.ask("HPEXPIRE", "h", "1", "FIELDS", "3", "0", "1", "7000") == "*[:1,:1,:1]")
        while try client.ask("HEXISTS", "h", "7000") == ":1" {}
        let keys = try client.ask("HKEYS", "h").dropFirst(2).dropLast().split(separator: ",")
        #expect(keys.count == Self.count - 3)
        #expect(!keys.contains("$7000"))
        #expect(try client.ask("PING") == "+PONG")
    }

    /// A client that reads nothing has little made for it; what it then reads is the moment of its command.
    @Test func memoryIsBoundedAndTheMomentStands() throws {
        let server = try FullServer()
        let writer = try server.connect()
        let value = String(repeating: "v", count: 4096)
        let count = 10_000
        for _ in 0..<count / 100 {
            let words = ["RPUSH", "big"] + [String](repeating: value, count: 100)
            _ = try writer.ask(words)
        }
        let reader = try server.connect()
        try reader.send(TestClient.encode("LRANGE", "big", "0", "-1"))
        #expect(try reader.line() == "*\(count)")
        // What is made stands still when the sockets are full.
        var made = Self.pieces(server)
        var same = 0
        while same < 2000 {
            #expect(try writer.ask("PING") == "+PONG")
            let now = Self.pieces(server)
            same = now == made ? same + 1 : 0
            made = now
        }
        let all = count * value.utf8.count
        #expect(Int(made) * ReplyStream.pieceBytes < all / 2)
        #expect(try writer.ask("DEL", "big") == ":1")
        try reader.send(TestClient.encode("LLEN", "big"))
        for _ in 0..<count {
            guard try reader.reply() == "$" + value else {
                Issue.record("another element")
                return
            }
        }
        #expect(try reader.reply() == ":0")
    }

    /// Messages and invalidations stand behind the reply that was under way.
    @Test func nothingComesInBetween() throws {
        let server = try FullServer()
        let writer = try server.connect()
        try Self.fill(writer)
        try Self.fillLong(writer)
        let reader = try server.connect()
        try reader.send(TestClient.encode("HELLO", "3"))
        #expect(try reader.line().hasPrefix("%7"))
        for _ in 0..<14 { _ = try reader.reply() }
        #expect(try reader.ask("CLIENT", "TRACKING", "ON") == "+OK")
        #expect(try reader.ask("SUBSCRIBE", "news") == ">[$subscribe,$news,:1]")
        #expect(try reader.ask("GET", "k") == "_")
        try reader.send(TestClient.encode("LRANGE", "long", "0", "-1"))
        #expect(try reader.line() == "*10000")
        #expect(try writer.ask("SET", "k", "1") == "+OK")
        #expect(try writer.ask("PUBLISH", "news", "m") == ":1")
        for _ in 0..<10_000 { #expect(try reader.reply().utf8.count == 2049) }
        let pushes = [try reader.reply(), try reader.reply()].sorted()
        #expect(pushes == [">[$invalidate,*[$k]]", ">[$message,$news,$m]"])
        #expect(try reader.ask("GET", "k") == "$1")
    }

    /// Who goes away in the middle leaves nothing behind: no client, no old view.
    @Test func whoLeavesIsForgotten() throws {
        let server = try FullServer()
        let writer = try server.connect()
        try Self.fillLong(writer)
        for _ in 0..<5 {
            let reader = try server.connect()
            try reader.send(TestClient.encode("LRANGE", "long", "0", "-1"))
            #expect(try reader.line() == "*10000")
        }
        while server.server.registry.count > 1 { #expect(try writer.ask("PING") == "+PONG") }
    }
}
