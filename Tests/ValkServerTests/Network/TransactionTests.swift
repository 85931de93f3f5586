// MULTI, EXEC, DISCARD, WATCH over real sockets.

import Synchronization
import Testing
import ValkBase

@testable import ValkServer

@Suite struct TransactionTests {
    @Test func runsQueuedCommandsAsOne() throws {
        let server = try TestServer()
        let client = try server.connect()
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("SET", "a", "1") == "+QUEUED")
        #expect(try client.ask("INCR", "a") == "+QUEUED")
        #expect(try client.ask("GET", "a") == "+QUEUED")
        #expect(try client.ask("EXEC") == "*[+OK,:2,$2]")
        #expect(try client.ask("GET", "a") == "$2")
        withExtendedLifetime(server) {}
    }

    @Test func usesRedisWordsForMistakes() throws {
        let server = try TestServer()
        let client = try server.connect()
        #expect(try client.ask("EXEC") == "-ERR EXEC without MULTI")
        #expect(try client.ask("DISCARD") == "-ERR DISCARD without MULTI")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("MULTI") == "-ERR MULTI calls can not be nested")
        #expect(try client.ask("WATCH", "a") == "-ERR WATCH inside MULTI is not allowed")
        #expect(try client.ask("EXEC") == "*[]")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("SET", "a") == "-ERR wrong number of arguments for 'set' command")
        #expect(try client.ask("SET", "a", "1") == "+QUEUED")
        #expect(try client.ask("EXEC") == "-EXECABORT Transaction discarded because of previous errors.")
        #expect(try client.ask("GET", "a") == "$nil")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("SET", "a", "1") == "+QUEUED")
        #expect(try client.ask("DISCARD") == "+OK")
        #expect(try client.ask("GET", "a") == "$nil")
        withExtendedLifetime(server) {}
    }

    @Test func oneFailureDoesNotStopTheRest() throws {
        let server = try TestServer()
        let client = try server.connect()
        #expect(try client.ask("SET", "s", "text") == "+OK")
        for command in [["MULTI"], ["INCR", "s"], ["SET", "b", "1"], ["FAULT", "damaged"], ["GET", "b"]] {
            try client.send(TestClient.encode(command.map { Array($0.utf8) }))
            _ = try client.reply()
        }
        let reply = try client.ask("EXEC")
        #expect(reply.hasPrefix("*[-ERR value is not an integer or out of range,+OK,-ERR stored data"))
        #expect(reply.hasSuffix(",$1]"))
        withExtendedLifetime(server) {}
    }

    @Test func watchedKeysGuardExec() throws {
        let server = try TestServer()
        let client = try server.connect()
        let other = try server.connect()
        #expect(try client.ask("WATCH", "a", "b") == "+OK")
        #expect(try other.ask("SET", "a", "1") == "+OK")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("SET", "b", "1") == "+QUEUED")
        #expect(try client.ask("EXEC") == "*nil")
        // EXEC forgets the watched keys.
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("GET", "b") == "+QUEUED")
        #expect(try client.ask("EXEC") == "*[$nil]")
        #expect(try client.ask("WATCH", "a") == "+OK")
        #expect(try other.ask("SET", "a", "2") == "+OK")
        #expect(try client.ask("UNWATCH") == "+OK")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("EXEC") == "*[]")
        // Own writes count too.
        #expect(try client.ask("WATCH", "a") == "+OK")
        #expect(try client.ask("SET", "a", "3") == "+OK")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("EXEC") == "*nil")
    }

    @Test func aKeyThatCameAndWentGuardsExec() throws {
        let server = try TestServer()
        let client = try server.connect()
        let other = try server.connect()
        for change in [["DEL", "a"], ["FLUSHALL"]] {
            #expect(try client.ask("WATCH", "a", "b", "a") == "+OK")
            #expect(try other.ask("SET", "a", "1") == "+OK")
            try other.send(TestClient.encode(change.map { Array($0.utf8) }))
            _ = try other.reply()
            #expect(try client.ask("MULTI") == "+OK")
            #expect(try client.ask("EXEC") == "*nil")
        }
        #expect(server.server.watches.isEmpty)
    }

    @Test func nobodyWatchesOnceTheWatcherHasGone() throws {
        let server = try TestServer(loops: 2)
        var client: TestClient? = try server.connect()
        let other = try server.connect()
        #expect(try client?.ask("WATCH", "a", "b") == "+OK")
        #expect(!server.server.watches.isEmpty)
        #expect(try client?.ask("UNWATCH") == "+OK")
        #expect(server.server.watches.isEmpty)
        #expect(try client?.ask("WATCH", "a", "b") == "+OK")
        #expect(try client?.ask("QUIT") == "+OK")
        #expect(client?.isClosed() == true)
        client = nil
        #expect(try other.ask("SET", "a", "1") == "+OK")
        #expect(server.server.watches.isEmpty)
    }

    @Test func watchedKeysThatExpireGuardExecButStaleOnesDoNot() throws {
        let clock = ManualClock()
        let server = try TestServer(clock: clock)
        server.settings.activeExpire.store(false, ordering: .relaxed)
        let client = try server.connect()
        #expect(try client.ask("SET", "k", "v") == "+OK")
        #expect(try client.ask("PEXPIRE", "k", "100") == ":1")
        #expect(try client.ask("WATCH", "k") == "+OK")
        clock.advance(100)
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("EXEC") == "*nil")
        #expect(try client.ask("WATCH", "k") == "+OK")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("EXEC") == "*[]")
    }

    @Test func aTransactionThatMustWaitRunsWholeOnAWorker() throws {
        let server = try TestServer()
        let client = try server.connect()
        let other = try server.connect()
        try client.send(
            TestClient.encode("MULTI") + TestClient.encode("INCR", "n") + TestClient.encode("SELECT", "3")
                + TestClient.encode("HOLD", "x") + TestClient.encode("INCR", "n") + TestClient.encode("EXEC")
                + TestClient.encode("GET", "n"))
        for _ in 0..<5 { _ = try client.reply() }
        server.valve.awaitWaiters(1)
        // Nothing of it is visible yet.
        #expect(try other.ask("GET", "n") == "$nil")
        server.valve.open()
        #expect(try client.reply() == "*[:1,+OK,$x,:1]")
        // Still in database 3.
        #expect(try client.reply() == "$1")
        #expect(try other.ask("GET", "n") == "$1")
    }

    @Test func concurrentWatchersNeverLoseAnIncrement() throws {
        let server = try TestServer(loops: 2)
        #expect(try server.connect().ask("SET", "n", "0") == "+OK")
        let clients = try (0..<4).map { _ in try server.connect() }
        var wins = 0
        for _ in 0..<50 {
            var seen: [Int] = []
            for client in clients {
                #expect(try client.ask("WATCH", "n") == "+OK")
                seen.append(Int(try client.ask("GET", "n").dropFirst()) ?? -1)
            }
            for (i, client) in clients.enumerated() {
                try client.send(
                    TestClient.encode("MULTI") + TestClient.encode("SET", "n", "\(seen[i] + 1)")
                        + TestClient.encode("EXEC"))
            }
            for client in clients {
                _ = try client.reply()
                _ = try client.reply()
                if try client.reply() == "*[+OK]" { wins += 1 }
            }
        }
        #expect(wins == 50)
        #expect(try clients[0].ask("GET", "n") == "$50")
    }
}
