// Clients that wait for data: in order, across loops, served before anybody else sees the data, and gone when they are.

import Glibc
import Synchronization
import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

private final class Taken: Sendable {
    let list = Mutex<[String]>([])
}

@Suite struct WaitingTests {
    /// Until so many clients wait; fails after ten seconds.
    private func until(_ n: Int, on server: TestServer) throws {
        let deadline = Monotonic.nanoseconds() + 10_000_000_000
        while server.server.waitingClients.count != n {
            if Monotonic.nanoseconds() > deadline {
                throw TestClient.Failure(message: "\(server.server.waitingClients.count) clients wait, not \(n)")
            }
            sched_yield()
        }
    }

    private func pop(_ client: TestClient, _ keys: String..., timeout: String = "0") throws {
        try client.send(TestClient.encode((["BZPOPMIN"] + keys + [timeout]).map { Array($0.utf8) }))
    }

    @Test(arguments: [1, 3]) func servesInTheOrderOfArrival(loops: Int) throws {
        let server = try TestServer(loops: loops)
        let writer = try server.connect()
        let clients = try (0..<9).map { _ in try server.connect() }
        for (i, client) in clients.enumerated() {
            try pop(client, "a", "b")
            try until(i + 1, on: server)
        }
        for i in 0..<9 {
            let key = i % 2 == 0 ? "a" : "b"
            #expect(try writer.ask("ZADD", key, "\(i)", "m\(i)") == ":1")
            #expect(try clients[i].reply() == "*[$\(key),$m\(i),$\(i)]")
        }
        #expect(server.server.waitingClients.count == 0)
        withExtendedLifetime(server) {}
    }

    @Test func nobodySeesWhatAWaitingClientGets() throws {
        let server = try TestServer(loops: 2)
        let writer = try server.connect()
        let client = try server.connect()
        for i in 0..<200 {
            try pop(client, "z")
            try until(1, on: server)
            try writer.send(TestClient.encode("ZADD", "z", "1", "m\(i)") + TestClient.encode("ZCARD", "z"))
            #expect(try writer.reply() == ":1")
            #expect(try writer.reply() == ":0")
            #expect(try client.reply() == "*[$z,$m\(i),$1]")
        }
        withExtendedLifetime(server) {}
    }

    @Test func aTransactionIsServedFromWhenItIsWhole() throws {
        let server = try TestServer()
        let writer = try server.connect()
        let client = try server.connect()
        try pop(client, "z")
        try until(1, on: server)
        for words in [["MULTI"], ["ZADD", "z", "5", "five"], ["ZADD", "z", "1", "one"], ["ZCARD", "z"]] {
            _ = try writer.ask(words)
        }
        #expect(try writer.ask("EXEC") == "*[:1,:1,:2]")
        #expect(try client.reply() == "*[$z,$one,$1]")
        // Within a transaction nobody waits.
        _ = try writer.ask("MULTI")
        _ = try writer.ask("BZPOPMIN", "nothing", "0")
        #expect(try writer.ask("EXEC") == "*[*nil]")
        withExtendedLifetime(server) {}
    }

    @Test func timesOutAndGoesOnWithWhatCameBehind() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(
            TestClient.encode("BZPOPMIN", "z", "0.01") + TestClient.encode("PING")
                + TestClient.encode("BZPOPMIN", "z", "0") + TestClient.encode("PING"))
        #expect(try client.reply() == "*nil")
        #expect(try client.reply() == "+PONG")
        try until(1, on: server)
        // More input while it waits.
        try client.send(TestClient.encode("GET", String(repeating: "k", count: 40_000)))
        #expect(try server.connect().ask("ZADD", "z", "2", "m") == ":1")
        #expect(try client.reply() == "*[$z,$m,$2]")
        #expect(try client.reply() == "+PONG")
        #expect(try client.reply() == "$nil")
        withExtendedLifetime(server) {}
    }

    @Test func whoHasGoneGetsNothing() throws {
        let server = try TestServer()
        let writer = try server.connect()
        do {
            let client = try server.connect()
            try pop(client, "z")
            try until(1, on: server)
        }
        try until(0, on: server)
        #expect(try writer.ask("ZADD", "z", "1", "m") == ":1")
        #expect(try writer.ask("ZCARD", "z") == ":1")
        withExtendedLifetime(server) {}
    }

    @Test func unblocksAsAsked() throws {
        let server = try TestServer()
        let client = try server.connect()
        try pop(client, "z")
        try until(1, on: server)
        let id = try #require(server.server.registry.all().map(\.id).max())
        #expect(server.server.waitingClients.unblock(id, withError: true))
        #expect(try client.reply() == "-UNBLOCKED client unblocked via CLIENT UNBLOCK")
        try pop(client, "z")
        try until(1, on: server)
        #expect(server.server.waitingClients.unblock(id, withError: false))
        #expect(try client.reply() == "*nil")
        #expect(!server.server.waitingClients.unblock(id, withError: false))
        withExtendedLifetime(server) {}
    }

    @Test func dataThatComeFromElsewhereServe() throws {
        let server = try TestServer(loops: 2)
        let writer = try server.connect()
        let client = try server.connect()
        _ = try writer.ask("ZADD", "other", "1", "m")
        try pop(client, "z")
        try until(1, on: server)
        #expect(try writer.ask("SET", "z", "no sorted set") == "+OK")
        #expect(try writer.ask("RENAME", "other", "z") == "+OK")
        #expect(try client.reply() == "*[$z,$m,$1]")
        try pop(client, "z")
        try until(1, on: server)
        _ = try writer.ask("SELECT", "5")
        _ = try writer.ask("ZADD", "z", "3", "n")
        #expect(try writer.ask("SWAPDB", "0", "5") == "+OK")
        #expect(try client.reply() == "*[$z,$n,$3]")
        withExtendedLifetime(server) {}
    }

    @Test func eachMemberIsGivenOutOnce() throws {
        let server = try TestServer(loops: 2)
        let port = server.server.port
        let producers = try (0..<2).map { _ in try server.connect() }
        let total = 2000
        let taken = Taken()
        let threads = (0..<4).map { i in
            PThread(name: "consumer-\(i)") {
                guard let client = try? TestClient(port: port) else { return }
                while true {
                    guard let reply = try? client.ask("BZPOPMIN", i % 2 == 0 ? "a" : "b", i % 2 == 0 ? "b" : "a", "0")
                    else { return }
                    if reply.contains("$stop") { return }
                    taken.list.withLock { $0.append(reply) }
                }
            }
        }
        for (k, producer) in producers.enumerated() {
            var text: [UInt8] = []
            for i in 0..<total / 2 {
                text += TestClient.encode("ZADD", k == 0 ? "a" : "b", "\(i)", "m\(k)-\(i)")
            }
            try producer.send(text)
            for _ in 0..<total / 2 { #expect(try producer.reply() == ":1") }
        }
        for i in 0..<4 { #expect(try producers[0].ask("ZADD", "a", "1e9", "stop\(i)") == ":1") }
        for thread in threads { thread.join() }
        let all = taken.list.withLock { $0 }
        #expect(all.count == total)
        #expect(Set(all).count == total)
        withExtendedLifetime(server) {}
    }
}
