// Who makes a reply's write durable, and what may be told before it is.

import Testing
import ValkBase
import ValkDisk
import ValkEngine
import ValkTestSupport

@testable import ValkServer

@Suite struct SyncTests {
    /// The file of the log's first segment.
    private let firstSegment = "/0000000000000001"

    /// A lone client has nobody beside it who could be kept waiting, so its loop syncs by itself.
    @Test func aLoneClientsLoopSyncs() throws {
        let server = try TestServer(policy: .always)
        let client = try server.connect()
        for i in 0..<20 { #expect(try client.ask("SET", "key", "\(i)") == "+OK") }
        #expect(server.store.statistics.log.handOvers == 0)
        #expect(server.store.statistics.log.syncs >= 20)
    }

    /// With another client that waits for nothing the loop stays free.
    @Test func besideAnIdleClientTheLogThreadSyncs() throws {
        let server = try TestServer(policy: .always)
        let idle = try server.connect()
        #expect(try idle.ask("PING") == "+PONG")
        let client = try server.connect()
        for i in 0..<20 { #expect(try client.ask("SET", "key", "\(i)") == "+OK") }
        #expect(server.store.statistics.log.handOvers == 20)
        #expect(try idle.ask("GET", "key") == "$19")
    }

    /// What a crash may still undo is told to nobody: a reader that has seen it waits as long as its writer.
    @Test(arguments: [SyncPolicy.always, .everySecond])
    func readersWaitForWhatTheyHaveSeen(_ policy: SyncPolicy) throws {
        let disk = FaultyDisk(PosixDisk())
        let server = try TestServer(policy: policy, disk: disk)
        defer { disk.letGo() }
        // Somebody waits for nothing, so the log thread does the work.
        let idle = try server.connect()
        let writer = try server.connect()
        let reader = try server.connect()
        let counter = try server.connect()
        #expect(try writer.ask("SET", "other", "1") == "+OK")
        #expect(try writer.ask("SET", "key", "old") == "+OK")
        disk.hold([.sync], onPathsWith: firstSegment)
        if policy == .everySecond {
            // While the second's sync is under way the log thread writes; that is held back as well.
            disk.awaitHeld(.sync)
            disk.hold([.write], onPathsWith: firstSegment)
        }
        try writer.send(TestClient.encode("SET", "key", "new"))
        disk.awaitHeld(policy == .always ? .sync : .write)
        try reader.send(TestClient.encode("GET", "key"))
        try counter.send(TestClient.encode("DBSIZE"))
        // Two turns later the answers would have left.
        for _ in 0..<3 { #expect(try idle.ask("GET", "other") == "$1") }
        #expect(reader.hasNothing)
        #expect(counter.hasNothing)
        #expect(writer.hasNothing)
        disk.letGo()
        #expect(try reader.reply() == "$new")
        #expect(try counter.reply() == ":2")
        #expect(try writer.reply() == "+OK")
    }

    /// The same across loops and through a worker, whose answer comes back by another way.
    @Test func readersOnWorkersWaitToo() throws {
        let disk = FaultyDisk(PosixDisk())
        let server = try TestServer(loops: 2, policy: .always, disk: disk)
        defer { disk.letGo() }
        let clients = try (0..<4).map { _ in try server.connect() }
        let writer = try server.connect()
        for client in clients { #expect(try client.ask("PING") == "+PONG") }
        disk.hold([.sync], onPathsWith: firstSegment)
        try writer.send(TestClient.encode("SET", "key", "new"))
        disk.awaitHeld(.sync)
        try clients[0].send(TestClient.encode("HOLDGET", "key"))
        try clients[1].send(TestClient.encode("HOLDGET", "key"))
        server.valve.awaitWaiters(2)
        server.valve.open()
        // Others that come by the same way later get their answers.
        for _ in 0..<20 { for client in clients[2...] { #expect(try client.ask("HOLD", "x") == "$x") } }
        #expect(clients[0].hasNothing)
        #expect(clients[1].hasNothing)
        disk.letGo()
        for client in clients[..<2] { #expect(try client.reply() == "$new") }
        #expect(try writer.reply() == "+OK")
    }
}
