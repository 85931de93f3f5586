// The limit on the memory of clients: what counts, who is closed for it, and who is spared.

import Glibc
import Testing
import ValkBase

@testable import ValkServer

@Suite struct ClientMemoryTests {
    /// What CLIENT LIST says of the client with this name, nil when there is none.
    private func field(_ asker: TestClient, _ name: String, _ field: String) throws -> Int? {
        for line in try asker.ask("CLIENT", "LIST").split(separator: "\n") where line.contains(" name=\(name) ") {
            let word = line.split(separator: " ").first { $0.hasPrefix("\(field)=") }
            return word.flatMap { Int($0.dropFirst(field.count + 1)) }
        }
        return nil
    }

    private func count(_ asker: TestClient, _ section: String, _ name: String) throws -> Int {
        let line = try asker.ask("INFO", section).split(separator: "\r\n").first { $0.hasPrefix("\(name):") }
        return Int(line?.dropFirst(name.count + 1) ?? "") ?? -1
    }

    /// A client that holds so much input: an argument that never ends.
    private func holder(_ server: FullServer, _ asker: TestClient, _ name: String, bytes: Int) throws -> TestClient {
        let client = try server.connect()
        #expect(try client.ask("CLIENT", "SETNAME", name) == "+OK")
        try client.send(Array("*2\r\n$\(bytes)\r\n".utf8) + [UInt8](repeating: 1, count: bytes))
        while try field(asker, name, "qbuf") != bytes { sched_yield() }
        return client
    }

    @Test(arguments: [1, 3]) func theLargestClientsAreClosedUntilTheOthersFit(_ loops: Int) throws {
        let server = try FullServer("io-threads \(loops)")
        let control = try server.connect()
        #expect(try control.ask("CLIENT", "SETNAME", "control") == "+OK")
        var holders: [TestClient] = []
        let sizes = [100_000, 900_000, 300_000, 800_000, 200_000]
        for size in sizes { holders.append(try holder(server, control, "c\(size)", bytes: size)) }
        #expect(try count(control, "memory", "mem_clients_normal") > sizes.reduce(0, +))
        #expect(try count(control, "clients", "client_recent_max_input_buffer") >= 900_000)
        #expect(try control.ask("CONFIG", "SET", "maxmemory-clients", "1000000") == "+OK")
        for size in sizes { #expect(try (field(control, "c\(size)", "qbuf") != nil) == (size < 800_000), "\(size)") }
        #expect(try count(control, "stats", "evicted_clients") == 2)
        #expect(try count(control, "memory", "mem_clients_normal") < 1_000_000)
        #expect(holders[1].isClosed() && holders[3].isClosed())
        // One more than fits: it is the largest.
        let last = try server.connect()
        #expect(try last.ask("CLIENT", "SETNAME", "last") == "+OK")
        try last.send(Array("*2\r\n$700000\r\n".utf8) + [UInt8](repeating: 1, count: 700_000))
        while try field(control, "last", "qbuf") != nil { sched_yield() }
        #expect(try count(control, "stats", "evicted_clients") == 3)
    }

    @Test func aClientMayBeSpared() throws {
        let server = try FullServer("maxmemory-clients 300000")
        let control = try server.connect()
        let spared = try server.connect()
        #expect(try spared.ask("CLIENT", "NO-EVICT", "ON") == "+OK")
        #expect(try spared.ask("CLIENT", "SETNAME", "spared") == "+OK")
        #expect(try control.ask("CLIENT", "NO-EVICT", "ON") == "+OK")
        try spared.send(Array("*2\r\n$500000\r\n".utf8) + [UInt8](repeating: 1, count: 500_000))
        while try field(control, "spared", "qbuf") != 500_000 { sched_yield() }
        // What it holds counts all the same.
        let other = try server.connect()
        #expect(other.isClosed())
        #expect(try field(control, "spared", "qbuf") == 500_000)
    }

    /// What is pushed to a client counts although it runs no command.
    @Test func aListenerThatDoesNotReadIsClosed() throws {
        let server = try FullServer("maxmemory-clients 3000000")
        let control = try server.connect()
        let listener = try server.connect()
        #expect(try listener.ask("CLIENT", "SETNAME", "listener") == "+OK")
        #expect(try listener.ask("SUBSCRIBE", "news") == "*[$subscribe,$news,:1]")
        let message = String(repeating: "m", count: 200_000)
        while try control.ask("PUBLISH", "news", message) == ":1" {
            #expect(try field(control, "listener", "tot-mem") ?? 0 < 3_000_000)
        }
        #expect(try count(control, "stats", "evicted_clients") == 1)
    }

    @Test func theLimitMayBeAPartOfMaxmemory() throws {
        let server = try FullServer("maxmemory-clients 7%", "maxmemory 6mb", "maxmemory-policy allkeys-lru")
        let control = try server.connect()
        let client = try holder(server, control, "half", bytes: 220_000)
        #expect(try server.connect().ask("PING") == "+PONG")
        #expect(try control.ask("CONFIG", "SET", "maxmemory", "3mb") == "+OK")
        #expect(try field(control, "half", "qbuf") == nil)
        #expect(client.isClosed())
    }

    @Test func whatASessionKeepsCounts() throws {
        let server = try FullServer()
        let control = try server.connect()
        func grows(_ what: String, _ body: (TestClient) throws -> Void) throws {
            let client = try server.connect()
            #expect(try client.ask("CLIENT", "SETNAME", "c") == "+OK")
            let before = try field(control, "c", "tot-mem") ?? 0
            try body(client)
            let after = try field(control, "c", "tot-mem") ?? 0
            #expect(after - before >= 50 * 2000, "\(what): \(before) to \(after)")
            #expect(try control.ask("CLIENT", "KILL", "SKIPME", "yes") == ":1")
        }
        func name(_ i: Int) -> String { "\(i)" + String(repeating: "x", count: 2000) }
        try grows("watched keys") { for i in 0..<50 { _ = try $0.ask("WATCH", name(i)) } }
        try grows("channels") { for i in 0..<50 { _ = try $0.ask("SUBSCRIBE", name(i)) } }
        try grows("patterns") { for i in 0..<50 { _ = try $0.ask("PSUBSCRIBE", name(i)) } }
        try grows("prefixes") { client in
            for i in 0..<50 {
                _ = try client.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", String(name(i + 100).prefix(2000)))
            }
        }
        try grows("queued commands") { client in
            _ = try client.ask("MULTI")
            for i in 0..<50 { _ = try client.ask("GET", name(i)) }
        }
    }
}
