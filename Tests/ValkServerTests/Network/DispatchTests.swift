// Deferral, stripes, faults, pause, reply modes, monitors.

import Synchronization
import Testing
import ValkBase

@testable import ValkEngine
@testable import ValkServer

@Suite struct DispatchTests {
    @Test func othersGoOnWhileACommandWaits() throws {
        let server = try TestServer()
        let slow = try server.connect()
        let quick = try server.connect()
        // The pipeline behind the waiting command keeps its order.
        try slow.send(
            TestClient.encode("SET", "a", "1") + TestClient.encode("HOLD", "x") + TestClient.encode("GET", "a"))
        #expect(try slow.reply() == "+OK")
        server.valve.awaitWaiters(1)
        for i in 0..<100 { #expect(try quick.ask("SET", "q\(i)", "1") == "+OK") }
        try slow.send(TestClient.encode("GET", "q99"))
        server.valve.open()
        #expect(try slow.reply() == "$x")
        #expect(try slow.reply() == "$1")
        #expect(try slow.reply() == "$1")
        #expect(server.server.totals()[.deferredCommands] == 1)
    }

    @Test func aTakenStripeSendsTheCommandToAWorker() throws {
        let server = try TestServer()
        let holder = try server.connect()
        let writer = try server.connect()
        let reader = try server.connect()
        try holder.send(TestClient.encode("HOLDKEY", "k"))
        server.valve.awaitWaiters(1)
        try writer.send(TestClient.encode("SET", "k", "v") + TestClient.encode("INCR", "n"))
        // Readers need no stripe, and other keys are free.
        #expect(try reader.ask("GET", "k") == "$nil")
        #expect(try reader.ask("SET", "other", "v") == "+OK")
        server.valve.open()
        #expect(try holder.reply() == "+OK")
        #expect(try writer.reply() == "+OK")
        #expect(try writer.reply() == ":1")
    }

    @Test func aClientMayLeaveWhileItsCommandWaits() throws {
        let server = try TestServer()
        do {
            let slow = try server.connect()
            try slow.send(TestClient.encode("HOLD", "x"))
            server.valve.awaitWaiters(1)
        }
        let other = try server.connect()
        #expect(try other.ask("PING") == "+PONG")
        server.valve.open()
        #expect(try other.ask("PING") == "+PONG")
    }

    @Test func countersNeverGetLostBetweenLoops() throws {
        let server = try TestServer(loops: 3)
        let clients = try (0..<6).map { _ in try server.connect() }
        for client in clients {
            var text: [UInt8] = []
            for _ in 0..<500 { text += TestClient.encode("INCR", "shared") }
            try client.send(text)
        }
        for client in clients { for _ in 0..<500 { #expect(try client.reply().hasPrefix(":")) } }
        #expect(try clients[0].ask("GET", "shared") == "$3000")
    }

    @Test func explainsFaultsOfTheStore() throws {
        let server = try TestServer()
        let client = try server.connect()
        #expect(try client.ask("FAULT", "damaged").hasPrefix("-ERR stored data is damaged"))
        #expect(try client.ask("FAULT", "nospace").hasPrefix("-MISCONF No space left"))
        #expect(try client.ask("FAULT", "stopped").hasPrefix("-MISCONF Errors writing to the log"))
        #expect(try client.ask("PING") == "+PONG")
    }

    @Test func pauseHoldsWritesUntilUnpause() throws {
        let server = try TestServer()
        let writer = try server.connect()
        let reader = try server.connect()
        #expect(try writer.ask("PING") == "+PONG")
        server.server.pauseClients(milliseconds: 100_000, all: false)
        try writer.send(TestClient.encode("SET", "k", "v") + TestClient.encode("GET", "k"))
        #expect(try reader.ask("GET", "k") == "$nil")
        #expect(try reader.ask("PING") == "+PONG")
        #expect(server.server.pausedMilliseconds != nil)
        server.server.unpauseClients()
        #expect(try writer.reply() == "+OK")
        #expect(try writer.reply() == "$v")
        #expect(try reader.ask("GET", "k") == "$v")
    }

    @Test func pauseEndsByItself() throws {
        let server = try TestServer()
        let client = try server.connect()
        server.server.pauseClients(milliseconds: 50, all: true)
        #expect(try client.ask("PING") == "+PONG")
        #expect(server.server.pausedMilliseconds == nil)
    }

    @Test func replyModes() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(
            TestClient.encode("REPLY", "OFF") + TestClient.encode("SET", "k", "1") + TestClient.encode("nosuch")
                + TestClient.encode("REPLY", "ON") + TestClient.encode("REPLY", "SKIP") + TestClient.encode("PING")
                + TestClient.encode("GET", "k"))
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "$1")
    }

    @Test func killedClientsAreClosed() throws {
        let server = try TestServer()
        let victim = try server.connect()
        let other = try server.connect()
        #expect(try victim.ask("PING") == "+PONG")
        #expect(try other.ask("PING") == "+PONG")
        let ids = server.server.registry.all().map(\.id)
        #expect(server.server.kill(ids[0]))
        #expect(victim.isClosed())
        #expect(try other.ask("PING") == "+PONG")
        #expect(!server.server.kill(999))
    }

    @Test func monitorsSeeCommands() throws {
        let server = try TestServer(loops: 2)
        let monitor = try server.connect()
        let client = try server.connect()
        #expect(try monitor.ask("MONITOR") == "+OK")
        #expect(try client.ask("SET", "k", "a\"\n\u{1}") == "+OK")
        let line = try monitor.line()
        #expect(line.hasSuffix("\"SET\" \"k\" \"a\\\"\\n\\x01\""))
        #expect(line.hasPrefix("+1"))
    }

    @Test func stripesKeepWritersApartAndWaitersGoFirst() {
        let stripes = KeyStripes()
        var set = StripeSet()
        set.insert(3)
        set.insert(200)
        #expect(stripes.tryAcquire(set))
        #expect(!stripes.tryAcquire(3))
        #expect(!stripes.tryAcquire(.all))
        // The failed attempt left nothing behind.
        #expect(stripes.tryAcquire(4))
        stripes.release(4)
        let done = Handover<Bool>()
        let thread = PThread(name: "waiter") {
            stripes.acquire(200)
            stripes.release(200)
            done.give(true)
        }
        stripes.release(set)
        #expect(done.take())
        thread.join()
        #expect(stripes.tryAcquire(.all))
        stripes.release(.all)
    }

    @Test func expiredKeysAreGoneAtTheirMillisecond() throws {
        let clock = ManualClock()
        let server = try TestServer(clock: clock)
        let client = try server.connect()
        #expect(try client.ask("SET", "k", "v") == "+OK")
        #expect(try client.ask("PEXPIRE", "k", "1000") == ":1")
        clock.advance(999)
        #expect(try client.ask("GET", "k") == "$v")
        clock.advance(1)
        #expect(try client.ask("GET", "k") == "$nil")
    }

    /// Under `appendfsync always` replies wait for the log; every client still gets all of its answers in order.
    @Test func repliesHeldForTheLogKeepTheirOrder() throws {
        let server = try TestServer(loops: 2, policy: .always)
        let clients = try (0..<6).map { _ in try server.connect() }
        for round in 0..<5 {
            for (i, client) in clients.enumerated() {
                var text: [UInt8] = []
                for n in 0..<50 {
                    text += TestClient.encode("SET", "k\(i)", "\(round)-\(n)") + TestClient.encode("GET", "k\(i)")
                    if n % 10 == 0 { text += TestClient.encode("PING") }
                }
                try client.send(text)
            }
            for client in clients {
                for n in 0..<50 {
                    #expect(try client.reply() == "+OK")
                    #expect(try client.reply() == "$\(round)-\(n)")
                    if n % 10 == 0 { #expect(try client.reply() == "+PONG") }
                }
            }
        }
        let held = (0..<2).map { i in server.server.onLoop(i) { $0.hot.pointee.held.count } }
        #expect(held == [0, 0])
    }

    @Test func clientsMayBeListedWhileTheirCommandsRunOnWorkers() throws {
        let server = try TestServer(loops: 2)
        let clients = try (0..<4).map { _ in try server.connect() }
        server.valve.open()
        for round in 0..<20 {
            for client in clients {
                try client.send(
                    TestClient.encode("MULTI") + TestClient.encode("INCR", "n") + TestClient.encode("HOLD", "x")
                        + TestClient.encode("EXEC"))
            }
            for i in 0..<2 { #expect(server.server.onLoop(i) { $0.clientInfos().count } == 2) }
            for client in clients {
                for _ in 0..<3 { _ = try client.reply() }
                #expect(try client.reply().hasPrefix("*[:"), "round \(round)")
            }
        }
        #expect(try clients[0].ask("GET", "n") == "$80")
    }

    @Test func countsThatWaitForAFlushLeaveLoopsAndWorkersFree() throws {
        let server = try TestServer { options, _ in options.workerCount = 1 }
        server.valve.open()
        let counting = try (0..<5).map { _ in try server.connect() }
        let other = try server.connect()
        // As long as this is held a flush seems to be under way.
        let flush = server.store.controller.flushGate
        flush.lock()
        // A blind write: what it replaced is not known.
        #expect(try other.ask("SET", "a", "1") == "+OK")
        for (i, client) in counting.enumerated() {
            if i == 0 { try client.send(TestClient.encode("MULTI")) }
            try client.send(TestClient.encode("DBSIZE"))
            if i == 0 { try client.send(TestClient.encode("EXEC")) }
        }
        #expect(try other.ask("SET", "b", "1") == "+OK")
        #expect(try other.ask("HOLD", "x") == "$x")
        flush.unlock()
        for _ in 0..<2 { _ = try counting[0].reply() }
        #expect(try counting[0].reply() == "*[:2]")
        for client in counting.dropFirst() { #expect(try client.reply() == ":2") }
    }

    @Test func stopDoesNotWaitForACommandThatNeverEnds() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(TestClient.encode("HOLD", "x"))
        server.valve.awaitWaiters(1)
        server.server.stop(drainSeconds: 0)
        #expect(client.isClosed())
        server.valve.open()
        #expect(server.server.workers.stop(by: Monotonic.nanoseconds() + 60_000_000_000))
    }
}
