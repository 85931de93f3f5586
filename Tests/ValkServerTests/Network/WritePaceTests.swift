// A store that takes no more for the moment holds up the connections that write, and nobody else.

import Testing
import ValkBase

@testable import ValkEngine
@testable import ValkServer

@Suite struct WritePaceTests {
    private static let value = String(repeating: "v", count: 1000)

    private static func sets(_ count: Int) -> [UInt8] {
        (0..<count).flatMap { TestClient.encode("SET", "k\($0)", value) }
    }

    @Test func whoWritesTooMuchIsReadFromLater() throws {
        let server = try FullServer()
        // The governor says each second what it wants.
        server.server.store.collector.stop()
        // Half a mebibyte a second.
        server.server.store.logManager.pace.set(spaceBytesPerSecond: 512 << 10)
        let writer = try server.connect()
        for _ in 0..<4 {
            try writer.send(Self.sets(64))
            for _ in 0..<64 { #expect(try writer.reply() == "+OK") }
        }
        #expect(try writer.ask("GET", "k0") == "$" + Self.value)
        let info = try server.connect().ask("INFO", "compaction")
        #expect(!info.contains("write_delays:0\r\n"))
        #expect(info.contains("write_rate_limit:52"))
    }

    @Test func readersAndClosingClientsAreNotHeldUp() throws {
        let server = try FullServer()
        server.server.store.collector.stop()
        // A byte costs so much that the writer's time does not come within the test.
        server.server.store.logManager.pace.set(spaceBytesPerSecond: 1)
        let writer = try server.connect()
        try writer.send(Self.sets(600) + TestClient.encode("GET", "k0"))
        for _ in 0..<600 { #expect(try writer.reply() == "+OK") }
        let reader = try server.connect()
        for _ in 0..<20 { #expect(try reader.ask("GET", "k1") == "$" + Self.value) }
        #expect(try reader.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") == ":1")
        #expect(try reader.ask("PING") == "+PONG")
    }

    @Test func nobodyIsHeldUpWithoutDebt() throws {
        let server = try FullServer()
        let writer = try server.connect()
        for _ in 0..<4 {
            try writer.send(Self.sets(64))
            for _ in 0..<64 { #expect(try writer.reply() == "+OK") }
        }
        #expect(try writer.ask("INFO", "compaction").contains("write_delays:0\r\n"))
    }

    @Test func theRateOfTheBackgroundIsALiveSetting() throws {
        let server = try FullServer("background-rate 8mb")
        let client = try server.connect()
        #expect(server.server.store.controller.budget.bytesPerSecond == 8 << 20)
        #expect(try client.ask("CONFIG", "SET", "background-rate", "0") == "+OK")
        #expect(server.server.store.controller.budget.bytesPerSecond == 0)
    }
}
