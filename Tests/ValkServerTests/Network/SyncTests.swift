// `appendfsync always`: who makes a reply's write durable.

import Testing
import ValkBase
import ValkEngine

@testable import ValkServer

@Suite struct SyncTests {
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
}
