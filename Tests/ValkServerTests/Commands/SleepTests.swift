// DEBUG SLEEP holds up its client and nothing else; lengthy commands leave the common workers alone.

import Testing
import ValkBase

@testable import ValkServer

@Suite struct SleepTests {
    /// An hour: who waits for the end of it fails by the client's time limit.
    private static let long = "3600"

    @Test func sleepersLeaveEveryWorkerFree() throws {
        let server = try FullServer("enable-debug-command yes", "reader-threads 1")
        let sleepers = try (0..<6).map { _ in try server.connect() }
        for (i, sleeper) in sleepers.enumerated() {
            if i % 2 == 1 { try sleeper.send(TestClient.encode("MULTI")) }
            try sleeper.send(TestClient.encode("DEBUG", "SLEEP", Self.long))
            if i % 2 == 1 { try sleeper.send(TestClient.encode("EXEC")) }
        }
        let client = try server.connect()
        // Each of these needs a worker, of the common kind and of the other.
        #expect(try client.ask("MEMORY", "PURGE") == "+OK")
        #expect(try client.ask("SAVE") == "+OK")
        #expect(try client.ask("SET", "a", "b") == "+OK")
        #expect(try client.ask("DBSIZE") == ":1")
        #expect(try client.ask("DEBUG", "RELOAD") == "+OK")
    }

    @Test func whatComesBehindASleepWaitsForIt() throws {
        let server = try FullServer("enable-debug-command yes", "slowlog-log-slower-than 400000")
        let client = try server.connect()
        try client.send(
            TestClient.encode("SET", "a", "1") + TestClient.encode("DEBUG", "SLEEP", "0.5")
                + TestClient.encode("INCR", "a") + TestClient.encode("DEBUG", "SLEEP", "0")
                + TestClient.encode("GET", "a") + TestClient.encode("SLOWLOG", "LEN"))
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == ":2")
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "$2")
        #expect(try client.reply() == ":1")
    }

    @Test func sleepsOfATransactionAddUp() throws {
        let server = try FullServer("enable-debug-command yes")
        let client = try server.connect()
        let begin = Monotonic.nanoseconds()
        try client.send(
            TestClient.encode("MULTI") + TestClient.encode("DEBUG", "SLEEP", "0.02")
                + TestClient.encode("SET", "a", "1") + TestClient.encode("DEBUG", "SLEEP", "0.02")
                + TestClient.encode("EXEC") + TestClient.encode("GET", "a"))
        for _ in 0..<4 { _ = try client.reply() }
        #expect(try client.reply() == "*[+OK,+OK,+OK]")
        #expect(try client.reply() == "$1")
        // No less, however slow the machine is.
        #expect(Monotonic.nanoseconds() - begin >= 40_000_000)
    }

    @Test func aSleeperCanBeKilledAndDoesNotKeepTheServer() throws {
        let server = try FullServer("enable-debug-command yes")
        let sleeper = try server.connect()
        let id = String(try sleeper.ask("CLIENT", "ID").dropFirst())
        try sleeper.send(TestClient.encode("DEBUG", "SLEEP", Self.long))
        let other = try server.connect()
        while try !other.ask("CLIENT", "LIST", "ID", id).contains("cmd=debug") {}
        #expect(try other.ask("CLIENT", "KILL", "ID", id) == ":1")
        _ = try? sleeper.reply()
        #expect(sleeper.isClosed())
        let last = try server.connect()
        try last.send(TestClient.encode("DEBUG", "SLEEP", Self.long))
        withExtendedLifetime(last) {}
    }

    @Test func resetAndQuitBehindASleepStillHappen() throws {
        let server = try FullServer("enable-debug-command yes")
        let client = try server.connect()
        try client.send(
            TestClient.encode("DEBUG", "SLEEP", "0.01") + TestClient.encode("PING") + TestClient.encode("QUIT")
                + TestClient.encode("PING"))
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "+PONG")
        #expect(try client.reply() == "+OK")
        #expect(client.isClosed())
    }
}
