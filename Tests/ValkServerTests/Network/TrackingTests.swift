// Client-side caching where it crosses threads: nobody is left with an old value, and what becomes void while a command
// runs is told behind its reply. Modes, options and words are in conformance/cases/tracking.case.

import Synchronization
import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

@Suite struct TrackingTests {
    /// A client that keeps what it reads until it is told otherwise.
    private final class CachingClient {
        let client: TestClient
        private(set) var cached: [String: String] = [:]

        init(_ server: FullServer) throws {
            client = try server.connect()
            try client.send(TestClient.encode("HELLO", "3"))
            // The map: head and seven pairs.
            guard try client.line().hasPrefix("%7") else { throw TestClient.Failure(message: "HELLO") }
            for _ in 0..<14 { _ = try client.reply() }
            guard try client.ask("CLIENT", "TRACKING", "ON") == "+OK" else {
                throw TestClient.Failure(message: "CLIENT TRACKING")
            }
        }

        /// The next reply, after whatever is told before it.
        func reply() throws -> String {
            while true {
                let reply = try client.reply()
                if !reply.hasPrefix(">[$invalidate,*[$") { return reply }
                cached[String(reply.dropFirst(17).dropLast(2))] = nil
            }
        }

        func read(_ keys: [String]) throws {
            let wanted = keys.filter { cached[$0] == nil }
            try client.send(wanted.flatMap { TestClient.encode("GET", $0) })
            for key in wanted { cached[key] = try reply() }
        }

        /// When this returns, what was sent to the loop before is seen.
        func settle() throws {
            for _ in 0..<2 {
                try client.send(TestClient.encode("PING"))
                _ = try reply()
            }
        }
    }

    /// Clients on all loops change a few keys, singly, in transactions, by deleting and by time, while caching clients
    /// read them. After each round whoever still holds a key holds what is there.
    @Test func nobodyKeepsAnOldValue() throws {
        var random = TestSeed("tracking").random
        let server = try FullServer("io-threads 3")
        let keys = (0..<10).map { "k\($0)" }
        let readers = try (0..<3).map { _ in try CachingClient(server) }
        let writers = try (0..<3).map { _ in try server.connect() }
        var held = 0
        for round in 0..<150 {
            var replies: [Int] = []
            for (i, writer) in writers.enumerated() {
                let (requests, count) = Self.changes(keys, "\(round).\(i)", &random)
                try writer.send(requests)
                replies.append(count)
                if i == 1 { for reader in readers { try reader.read(keys) } }
            }
            for (writer, count) in zip(writers, replies) { for _ in 0..<count { _ = try writer.reply() } }
            for reader in readers {
                try reader.settle()
                for (key, value) in reader.cached {
                    held += 1
                    if value == "_" ? try writers[0].ask("GET", key) == "$nil" : try writers[0].ask("GET", key) == value
                    {
                        continue
                    }
                    // Unless its time has come: then the look at it has made that known, as soon as a worker gets to
                    // it, which beside many other tests may take a while.
                    var patience = 20_000
                    while reader.cached[key] != nil && patience > 0 {
                        try reader.settle()
                        patience -= 1
                    }
                    #expect(patience > 0, "\(key) is kept in round \(round)")
                }
            }
        }
        #expect(held > 1000)
    }

    /// Requests that change some keys, and how many replies they have.
    private static func changes(_ keys: [String], _ value: String, _ random: inout SeededRandom) -> ([UInt8], Int) {
        var requests: [UInt8] = []
        var replies = 0
        for _ in 0..<random.next() % 4 {
            let key = keys[Int(random.next() % UInt64(keys.count))]
            switch random.next() % 8 {
            case 0:
                requests += TestClient.encode("MULTI") + TestClient.encode("SET", key, value)
                requests += TestClient.encode("APPEND", keys[0], "x") + TestClient.encode("EXEC")
                replies += 3
            case 1: requests += TestClient.encode("DEL", key)
            case 2: requests += TestClient.encode("SET", key, value, "PX", "1")
            case 3: requests += TestClient.encode("RENAME", key, keys[1])
            default: requests += TestClient.encode("SET", key, value)
            }
            replies += 1
        }
        return (requests, replies)
    }

    @Test func whatBecomesVoidMeanwhileIsToldBehindTheReply() throws {
        let server = try TestServer(loops: 2)
        let reader = try server.connect()
        let writers = try (0..<2).map { _ in try server.connect() }
        #expect(try reader.ask("TRACK") == "+OK")
        for (i, writer) in writers.enumerated() {
            server.valve.close()
            #expect(try writer.ask("SET", "k", "old") == "+OK")
            try reader.send(TestClient.encode("HOLDGET", "k") + TestClient.encode("PING"))
            server.valve.awaitWaiters(1)
            #expect(try writer.ask("SET", "k", "new\(i)") == "+OK")
            server.valve.open()
            let value = try reader.reply()
            #expect(value == "$old" || value == "$new\(i)")
            #expect(try reader.reply() == ">[$invalidate,*[$k]]")
            #expect(try reader.reply() == "+PONG")
        }
    }

    /// What a command's own keys push out of the table is told behind its reply, also when it runs on a worker.
    @Test func whatIsForgottenIsToldBehindTheReply() throws {
        let server = try TestServer { _, settings in settings.trackedKeysMax.store(1, ordering: .relaxed) }
        server.valve.open()
        let reader = try server.connect()
        #expect(try reader.ask("TRACK") == "+OK")
        #expect(try reader.ask("GET", "k") == "_")
        for (i, command) in ["HOLDGET", "GET", "HOLDGET", "GET", "GET"].enumerated() {
            try reader.send(TestClient.encode(command, "k\(i)") + TestClient.encode("PING"))
            #expect(try reader.reply() == "_")
            #expect(try reader.reply().hasPrefix(">[$invalidate,*[$k"))
            #expect(try reader.reply() == "+PONG")
        }
        #expect(server.server.tracking.table.keyCount == 1)
    }

    @Test func aLowerBoundIsReachedStepByStep() throws {
        let server = try TestServer(loops: 2)
        let reader = try server.connect()
        #expect(try reader.ask("TRACK") == "+OK")
        let count = 5000
        for i in 0..<count { try reader.send(TestClient.encode("GET", "k\(i)")) }
        for _ in 0..<count { #expect(try reader.reply() == "_") }
        server.settings.trackedKeysMax.store(10, ordering: .relaxed)
        for _ in 0..<count - 10 { #expect(try reader.reply().hasPrefix(">[$invalidate,*[$k")) }
        #expect(server.server.tracking.table.keyCount == 10)
        #expect(try reader.ask("PING") == "+PONG")
    }

    @Test func whoGoesAwayIsForgotten() throws {
        let server = try TestServer(loops: 2)
        do {
            let clients = try (0..<4).map { _ in try server.connect() }
            for client in clients {
                #expect(try client.ask("TRACK") == "+OK")
                #expect(try client.ask("GET", "k") == "_")
            }
            #expect(server.server.tracking.clientCount == 4)
            #expect(server.server.tracking.table.itemCount == 4)
            for client in clients { client.shutdownWriting() }
            for client in clients { while (try? client.reply()) != nil {} }
        }
        #expect(server.server.tracking.clientCount == 0)
        #expect(server.server.tracking.table.keyCount == 0)
    }

    @Test func theTableIsWhatAModelSays() {
        var random = TestSeed("tracking table").random
        let table = TrackingTable()
        var model: [[UInt8]: Set<UInt64>] = [:]
        for _ in 0..<20_000 {
            let key = Array("k\(random.next() % 200)".utf8)
            let id = random.next() % 5 + 1
            switch random.next() % 20 {
            case 0..<12:
                let isNew = model[key, default: []].insert(id).inserted
                #expect(key.withView { table.insert($0, id) } == isNew)
            case 12..<15:
                key.withView { table.remove($0, id) }
                model[key]?.remove(id)
                if model[key]?.isEmpty == true { model[key] = nil }
            case 15..<18:
                var ids = Set<UInt64>()
                key.withView { table.take($0) }?.forEach { ids.insert($0) }
                #expect(ids == model.removeValue(forKey: key) ?? [])
            case 18:
                guard let (key, holders) = table.takeOne() else {
                    #expect(model.isEmpty)
                    continue
                }
                var ids = Set<UInt64>()
                holders.forEach { ids.insert($0) }
                #expect(ids == model.removeValue(forKey: key))
            default:
                if random.next() % 50 == 0 {
                    table.removeAll()
                    model.removeAll()
                }
            }
            #expect(table.keyCount == model.count)
            #expect(table.itemCount == model.values.reduce(0) { $0 + $1.count })
        }
    }
}
