// Scripts over real sockets: that each is one transaction whatever runs beside it, that it can be undone anywhere, and
// that a long one is in nobody's way.

import Glibc
import Synchronization
import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

@Suite struct ScriptTests {
    private func digest(_ client: TestClient, _ script: String) throws -> String {
        String(try client.ask("SCRIPT", "LOAD", script).dropFirst())
    }

    // MARK: One transaction

    @Test func whatWasWrittenBeforeAnErrorStays() throws {
        let client = try FullServer().connect()
        let reply = try client.ask("EVAL", "redis.call('SET', KEYS[1], '1') redis.call('INCR', KEYS[2])", "2", "a", "b")
        #expect(reply == "$nil")
        let failed = try client.ask(
            "EVAL", "redis.call('SET', KEYS[1], 'x') redis.call('INCR', KEYS[1]) redis.call('SET', KEYS[1], 'y')", "1",
            "a")
        #expect(failed.hasPrefix("-ERR value is not an integer or out of range script: "))
        #expect(try client.ask("GET", "a") == "$x")
        // Of the command that failed nothing stays.
        #expect(
            try client.ask("EVAL", "redis.pcall('MSETNX', 'c', '1', 'a', '1') return redis.call('EXISTS', 'c')", "0")
                == ":0")
    }

    @Test func aScriptUndoneOnALoopRunsOnAWorkerOnce() throws {
        let server = try TestServer()
        server.valve.open()
        let client = try server.connect()
        let script = "redis.call('INCR', 'n') redis.call('HOLD', 'x') return redis.call('INCR', 'n')"
        #expect(try client.ask("EVAL", script, "1", "n") == ":2")
        #expect(try client.ask("EVAL", script, "0") == ":4")
        #expect(try client.ask("MULTI") == "+OK")
        for words in [["INCR", "n"], ["EVAL", script, "0"], ["EVAL", script, "1", "n"], ["GET", "n"]] {
            try client.send(TestClient.encode(words.map { Array($0.utf8) }))
            #expect(try client.reply() == "+QUEUED")
        }
        #expect(try client.ask("EXEC") == "*[:5,:7,:9,$9]")
        #expect(server.server.totals()[.deferredCommands] > 0)
        withExtendedLifetime(server) {}
    }

    /// Both read what the other writes: one of them must see what the other has written. The first is held between its
    /// read and its write while the second does all of its own.
    @Test func twoTransactionsCannotBothReadTheOld() throws {
        let server = try TestServer()
        let first = try server.connect()
        let second = try server.connect()
        let other = try server.connect()
        func queue(_ client: TestClient, _ commands: [[String]]) throws {
            for words in [["MULTI"]] + commands {
                try client.send(TestClient.encode(words.map { Array($0.utf8) }))
                _ = try client.reply()
            }
            try client.send(TestClient.encode("EXEC"))
        }
        try queue(first, [["GET", "x"], ["HOLD", "h"], ["SET", "y", "1"]])
        server.valve.awaitWaiters(1)
        try queue(second, [["GET", "y"], ["SET", "x", "1"]])
        // By the time this is answered, the loop has tried the second EXEC.
        #expect(try other.ask("PING") == "+PONG")
        server.valve.open()
        #expect(try first.reply() == "*[$nil,$h,+OK]")
        #expect(try second.reply() == "*[$1,+OK]")
        withExtendedLifetime(server) {}
    }

    /// The same for scripts that do not name their keys.
    @Test func twoScriptsCannotBothReadTheOld() throws {
        let server = try TestServer()
        let first = try server.connect()
        let second = try server.connect()
        let other = try server.connect()
        try first.send(
            TestClient.encode(
                "EVAL", "local x = redis.call('GET', 'x') redis.call('HOLD', 'h') redis.call('SET', 'y', '1') return x",
                "0"))
        server.valve.awaitWaiters(1)
        try second.send(
            TestClient.encode("EVAL", "local y = redis.call('GET', 'y') redis.call('SET', 'x', '1') return y", "0"))
        #expect(try other.ask("PING") == "+PONG")
        server.valve.open()
        let replies = [try first.reply(), try second.reply()]
        #expect(replies.contains("$1"), "\(replies)")
        withExtendedLifetime(server) {}
    }

    /// Clients on several loops move money between accounts, with scripts that name their keys and ones that do not, in
    /// transactions and alone; others look at all accounts at once. The sum never changes.
    @Test func moneyIsNeitherMadeNorLost() throws {
        let seed = TestSeed("money in scripts").value
        let server = try FullServer("io-threads 3")
        let setup = try server.connect()
        let accounts = (0..<6).map { "account:\($0)" }
        for account in accounts { #expect(try setup.ask("SET", account, "100") == "+OK") }
        let transfer = """
            local from, to, n = KEYS[1] or ARGV[2], KEYS[2] or ARGV[3], tonumber(ARGV[1])
            local has = tonumber(redis.call('GET', from))
            if from == to or has < n then return 0 end
            redis.call('SET', from, has - n)
            redis.call('INCRBY', to, n)
            redis.call('INCR', 'moves')
            return 1
            """
        let look = """
            local sum = 0
            for i = 0, 5 do sum = sum + tonumber(redis.call('GET', 'account:' .. i)) end
            return sum
            """
        let moved = Atomic<Int>(0)
        let port = server.server.port
        let failures = Failures()
        let threads = (0..<4).map { number in
            PThread(name: "client-\(number)") {
                do {
                    let client = try TestClient(port: port)
                    var random = SeededRandom(seed: seed &+ UInt64(number))
                    for _ in 0..<400 {
                        let from = accounts[Int(random.next() % 6)]
                        let to = accounts[Int(random.next() % 6)]
                        let n = String(random.next() % 20)
                        switch random.next() % 5 {
                        case 0:
                            let reply = try client.ask("EVAL", transfer, "3", from, to, "moves", n)
                            moved.wrappingAdd(reply == ":1" ? 1 : 0, ordering: .relaxed)
                            if reply != ":1" && reply != ":0" { failures.add(reply) }
                        case 1:
                            let reply = try client.ask("EVAL", transfer, "0", n, from, to)
                            moved.wrappingAdd(reply == ":1" ? 1 : 0, ordering: .relaxed)
                            if reply != ":1" && reply != ":0" { failures.add(reply) }
                        case 2:
                            _ = try client.ask("MULTI")
                            _ = try client.ask("EVAL", transfer, "2", from, to, n)
                            _ = try client.ask("EVAL", look, "0")
                            let reply = try client.ask("EXEC")
                            if reply == "*[:1,:600]" { moved.wrappingAdd(1, ordering: .relaxed) }
                            if reply != "*[:1,:600]" && reply != "*[:0,:600]" { failures.add(reply) }
                        case 3:
                            let reply = try client.ask("EVAL_RO", look, "0")
                            if reply != ":600" { failures.add(reply) }
                        default:
                            let reply = try client.ask("EVAL", look, "0")
                            if reply != ":600" { failures.add(reply) }
                        }
                    }
                } catch {
                    failures.add("\(error)")
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(failures.all == [])
        #expect(try setup.ask("EVAL", look, "0") == ":600")
        #expect(try setup.ask("GET", "moves") == "$\(moved.load(ordering: .relaxed))")
    }

    // MARK: Long scripts

    @Test func aLongScriptIsInNobodysWay() throws {
        let server = try FullServer("busy-reply-threshold 0")
        let client = try server.connect()
        let other = try server.connect()
        #expect(try client.ask("SET", "a", "1") == "+OK")
        try client.send(TestClient.encode("EVAL", "redis.call('GET', KEYS[1]) while true do end", "1", "a"))
        // There is one loop: this would have no answer if the script ran on it.
        #expect(try other.ask("GET", "a") == "$1")
        #expect(try other.ask("SET", "b", "1") == "+OK")
        while try other.ask("SCRIPT", "KILL") != "+OK" {}
        #expect(try client.reply().hasPrefix("-ERR Script killed by user with SCRIPT KILL"))
        #expect(try other.ask("SCRIPT", "KILL") == "-NOTBUSY No scripts in execution right now.")
        #expect(try client.ask("EVAL", "return redis.call('GET', KEYS[1])", "1", "a") == "$1")
    }

    @Test func aBusyScriptRefusesOthersUntilItIsKilled() throws {
        let server = try FullServer("lua-time-limit 1")
        let client = try server.connect()
        let other = try server.connect()
        try client.send(TestClient.encode("EVAL", "while true do pcall(redis.call, 'PING') end", "0"))
        let busy = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
        while try other.ask("PING") != busy {}
        #expect(try other.ask("MULTI") == "+OK")
        #expect(try other.ask("GET", "a") == busy)
        #expect(try other.ask("EXEC") == "-EXECABORT Transaction discarded because of: " + busy.dropFirst())
        #expect(try other.ask("SHUTDOWN") == busy)
        #expect(try other.ask("FUNCTION", "KILL") == busy)
        #expect(try other.ask("SCRIPT", "KILL") == "+OK")
        #expect(try client.reply().hasPrefix("-ERR Script killed by user with SCRIPT KILL"))
        #expect(try other.ask("PING") == "+PONG")
        #expect(server.stops.count == 0)
    }

    @Test func whatHasWrittenCannotBeKilled() throws {
        let server = try FullServer("lua-time-limit 1")
        let client = try server.connect()
        let other = try server.connect()
        // Nothing can tell it to end: it counts, for long enough to be seen.
        try client.send(
            TestClient.encode("EVAL", "redis.call('SET', KEYS[1], 'x') for i = 1, 2e8 do end return 1", "1", "a"))
        var replies: Set<String> = []
        while !replies.contains(where: { $0.hasPrefix("-UNKILLABLE") }) && replies.count < 4 {
            replies.insert(String(try other.ask("SCRIPT", "KILL").prefix(40)))
        }
        #expect(replies.contains { $0.hasPrefix("-UNKILLABLE Sorry the script already") })
        #expect(try client.reply() == ":1")
        #expect(try other.ask("GET", "a") == "$x")
    }

    @Test func aScriptThatRunsAtTheEndLeavesNothing() throws {
        let server = try FullServer("busy-reply-threshold 1")
        let client = try server.connect()
        let other = try server.connect()
        #expect(try client.ask("SET", "a", "1") == "+OK")
        try client.send(
            TestClient.encode("EVAL", "redis.call('SET', KEYS[1], 'x') while true do end", "1", "a"))
        while try !other.ask("GET", "a").hasPrefix("-BUSY") {}
        #expect(try other.ask("SCRIPT", "KILL").hasPrefix("-UNKILLABLE"))
        try server.restart()
        #expect(try server.connect().ask("GET", "a") == "$1")
    }

    @Test func aPauseOfWritesLetsScriptsReadThatSayTheyDo() throws {
        let server = try FullServer()
        let client = try server.connect()
        let other = try server.connect()
        let reads = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])"
        let name = try digest(client, reads)
        let library =
            "#!lua name=l\nredis.register_function{function_name='r', flags={'no-writes'}, "
            + "callback=function(k) return redis.call('GET', k[1]) end}"
        #expect(try client.ask("FUNCTION", "LOAD", library) == "$l")
        #expect(try client.ask("SET", "a", "1") == "+OK")
        #expect(try client.ask("CLIENT", "PAUSE", "100000", "WRITE") == "+OK")
        #expect(try client.ask("EVAL", reads, "1", "a") == "$1")
        #expect(try client.ask("EVALSHA", name, "1", "a") == "$1")
        #expect(try client.ask("FCALL", "R", "1", "a") == "$1")
        #expect(try client.ask("EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "a") == "$1")
        try other.send(TestClient.encode("EVAL", "return redis.call('GET', KEYS[1])", "1", "a"))
        while try !client.ask("CLIENT", "LIST").contains(" flags=b") {}
        #expect(try client.ask("CLIENT", "UNPAUSE") == "+OK")
        #expect(try other.reply() == "$1")
    }

    /// EXEC waits as its commands would: not for scripts that say they only read, but for all others.
    @Test func aPauseOfWritesLetsTransactionsRunScriptsThatSayTheyRead() throws {
        let server = try FullServer()
        let client = try server.connect()
        let reads = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])"
        #expect(try client.ask("SET", "a", "1") == "+OK")
        let writers = try ["#!lua\nreturn 2", "return 3"].map { script in
            let writer = try server.connect()
            #expect(try writer.ask("MULTI") == "+OK")
            #expect(try writer.ask("EVAL", script, "0") == "+QUEUED")
            return writer
        }
        #expect(try client.ask("CLIENT", "PAUSE", "100000", "WRITE") == "+OK")
        #expect(try client.ask("MULTI") == "+OK")
        #expect(try client.ask("EVAL", reads, "1", "a") == "+QUEUED")
        #expect(try client.ask("EVAL_RO", "return 1", "0") == "+QUEUED")
        #expect(try client.ask("EXEC") == "*[$1,:1]")
        for writer in writers { try writer.send(TestClient.encode("EXEC")) }
        while try !client.ask("INFO", "clients").contains("blocked_clients:2") { sched_yield() }
        #expect(try client.ask("CLIENT", "UNPAUSE") == "+OK")
        #expect(try writers[0].reply() == "*[:2]")
        #expect(try writers[1].reply() == "*[:3]")
    }

    // MARK: Around scripts

    @Test func sessionsStayAsTheyAre() throws {
        let client = try FullServer().connect()
        #expect(try client.ask("EVAL", "redis.call('SELECT', 5) redis.call('SET', 'k', '1') return 1", "0") == ":1")
        #expect(try client.ask("GET", "k") == "$nil")
        #expect(try client.ask("SELECT", "5") == "+OK")
        #expect(try client.ask("GET", "k") == "$1")
    }

    @Test func scriptsAreKnownOnEveryThread() throws {
        let server = try FullServer("io-threads 3")
        let clients = try (0..<6).map { _ in try server.connect() }
        let name = try digest(clients[0], "return ARGV[1]")
        for (i, client) in clients.enumerated() { #expect(try client.ask("EVALSHA", name, "0", "\(i)") == "$\(i)") }
        #expect(try clients[1].ask("SCRIPT", "FLUSH") == "+OK")
        for client in clients {
            #expect(try client.ask("EVALSHA", name, "0") == "-NOSCRIPT No matching script. Please use EVAL.")
        }
    }

    @Test func publicationsLeaveOnce() throws {
        let server = try FullServer()
        let client = try server.connect()
        let listener = try server.connect()
        _ = try listener.ask("SUBSCRIBE", "c")
        // It writes a key that it has not named: the first attempt is undone.
        #expect(
            try client.ask(
                "EVAL", "redis.call('PUBLISH', 'c', 'm') redis.call('GET', 'q') redis.call('SET', 'z', '1') return 1",
                "0") == ":1")
        #expect(try client.ask("PUBLISH", "c", "end") == ":1")
        #expect(try listener.reply() == "*[$message,$c,$m]")
        #expect(try listener.reply() == "*[$message,$c,$end]")
    }

    @Test func monitorsSeeScriptsAndTheirCommandsOnce() throws {
        let server = try FullServer()
        let client = try server.connect()
        let monitor = try server.connect()
        #expect(try monitor.ask("MONITOR") == "+OK")
        #expect(try client.ask("EVAL", "redis.call('GET', 'q') redis.call('SET', 'z', '1') return 1", "0") == ":1")
        #expect(
            try monitor.reply().hasSuffix(
                "\"EVAL\" \"redis.call('GET', 'q') redis.call('SET', 'z', '1') return 1\" \"0\""))
        #expect(try monitor.reply().hasSuffix("[0 lua] \"GET\" \"q\""))
        #expect(try monitor.reply().hasSuffix("[0 lua] \"SET\" \"z\" \"1\""))
        #expect(try client.ask("PING") == "+PONG")
        #expect(try monitor.reply().hasSuffix("\"PING\""))
    }

    @Test func errorsAreCountedOnce() throws {
        let client = try FullServer().connect()
        #expect(try client.ask("CONFIG", "RESETSTAT") == "+OK")
        _ = try client.ask("EVAL", "return redis.call('INCR', KEYS[1], 'x')", "1", "a")
        _ = try client.ask("EVAL", "redis.call('SET', 'a', 'x') return redis.call('INCR', 'a')", "0")
        _ = try client.ask("EVAL", "return redis.error_reply('-WRONGTYPE text')", "0")
        let errors = try client.ask("INFO", "errorstats")
        #expect(errors.contains("errorstat_ERR:count=2") && errors.contains("errorstat_WRONGTYPE:count=1"), "\(errors)")
        let calls = try client.ask("INFO", "commandstats")
        #expect(calls.contains("cmdstat_eval:calls=3") && calls.contains("cmdstat_incr:calls=1"), "\(calls)")
    }
}

final class Failures: @unchecked Sendable {
    private let lock = Lock()
    private var texts: [String] = []
    func add(_ text: String) { lock.withLock { texts.append(text) } }
    var all: [String] { lock.withLock { texts } }
}
