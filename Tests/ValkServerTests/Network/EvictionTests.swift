// The limit on stored data over sockets: who goes, who is refused, who hears of it.

import Glibc
import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkServer

@Suite struct EvictionTests {
    /// 500 bytes that do not compress, others for each number.
    private static func value(_ n: Int = 0) -> String {
        var random = SeededRandom(seed: UInt64(n))
        return String((0..<500).map { _ in Character(UnicodeScalar(UInt8(33 + random.below(90)))) })
    }

    /// Sets `key:from` to `key:to`, in pipelines of a hundred; returns how many were refused.
    @discardableResult
    private func fill(_ client: TestClient, _ range: Range<Int>, _ more: String...) throws -> Int {
        var refused = 0
        for first in stride(from: range.lowerBound, to: range.upperBound, by: 100) {
            let part = first..<min(first + 100, range.upperBound)
            try client.send(
                part.flatMap { n in
                    TestClient.encode((["SET", "key:\(n)", EvictionTests.value(n)] + more).map { Array($0.utf8) })
                })
            for _ in part {
                let reply = try client.reply()
                if reply.hasPrefix("-OOM") { refused += 1 } else { #expect(reply == "+OK") }
            }
        }
        return refused
    }

    private func settle(_ server: FullServer) {
        // Evictions end by themselves; a client that stores something waits for them when the limit is set.
        while server.server.dataLimit.excessBytes > 0 { sched_yield() }
    }

    private func field(_ client: TestClient, _ section: String, _ name: String) throws -> Int {
        let info = try client.ask("INFO", section)
        let line = info.split(separator: "\r\n").first { $0.hasPrefix(name + ":") }
        return Int(line?.dropFirst(name.count + 1) ?? "") ?? -1
    }

    /// Evictions and other work in the background look at the store now and then, or never: what they do not look at
    /// must not stay on the disk for them.
    @Test(arguments: ["yes", "no"]) func whatRestsLetsGoOfOldData(_ expires: String) throws {
        let server = try FullServer("enable-debug-command yes")
        let client = try server.connect()
        if expires == "no" { #expect(try client.ask("DEBUG", "SET-ACTIVE-EXPIRE", "0") == "+OK") }
        for _ in 0..<3 {
            try fill(client, 0..<500)
            try server.server.store.flushTables()
        }
        #expect(server.server.store.generation > 3)
        while server.server.store.oldestViewBehind > 0 { sched_yield() }
        #expect(try field(client, "log", "oldest_view_behind") >= 0)
    }

    /// Who writes more than goes is slowed down a little, and more where the limit is exceeded further.
    @Test func writersAreSlowedDownBeforeTheyWait() throws {
        let prices = (0...10).map { DataLimit.price(excess: $0 * 100, slack: 1000) }
        #expect(prices[0...2].allSatisfy { $0 == 0 })
        #expect(zip(prices.dropFirst(2), prices.dropFirst(3)).allSatisfy { $0 < $1 })
        // A megabyte a second.
        #expect(prices[10] == 1_024_000)
        #expect(DataLimit.price(excess: 1_000_000, slack: 1000) == prices[10])
        #expect(DataLimit.price(excess: 1, slack: 0) == 0)
        let server = try FullServer("maxmemory 8mb", "maxmemory-policy allkeys-random")
        let client = try server.connect()
        var round = 0
        while try field(client, "compaction", "write_delays") == 0 {
            try fill(client, round * 1000..<round * 1000 + 1000)
            round += 1
        }
        #expect(try field(client, "stats", "evicted_keys") > 0)
    }

    @Test func theLimitHoldsWhateverIsWritten() throws {
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            let server = try FullServer("maxmemory 2mb", "maxmemory-policy \(policy)")
            let client = try server.connect()
            #expect(try fill(client, 0..<20_000) == 0)
            settle(server)
            let used = try field(client, "memory", "used_memory_dataset")
            #expect(used <= 2 << 20 && used > 3 << 19, "\(policy): \(used)")
            let keys = Int(try client.ask("DBSIZE").dropFirst()) ?? 0
            #expect(try field(client, "stats", "evicted_keys") == 20_000 - keys)
            #expect((2500...4100).contains(keys), "\(policy): \(keys)")
        }
    }

    @Test func keysInUseStay() throws {
        let server = try FullServer("maxmemory 2mb", "maxmemory-policy allkeys-lfu", "lfu-log-factor 0")
        let client = try server.connect()
        for n in 0..<100 { _ = try client.ask("SET", "hot:\(n)", EvictionTests.value()) }
        for round in 0..<20 {
            for n in 0..<100 { _ = try client.ask("GET", "hot:\(n)") }
            try fill(client, round * 1000..<round * 1000 + 1000)
        }
        let left = try (0..<100).reduce(0) { try client.ask("EXISTS", "hot:\($1)") == ":1" ? $0 + 1 : $0 }
        #expect(left >= 97, "\(left) of 100")
    }

    @Test func loweringTheLimitEvictsAndRaisingItDoesNot() throws {
        let server = try FullServer("maxmemory-policy allkeys-random")
        let client = try server.connect()
        try fill(client, 0..<4000)
        #expect(try client.ask("DBSIZE") == ":4000")
        #expect(try client.ask("CONFIG", "SET", "maxmemory", "1mb") == "+OK")
        settle(server)
        let keys = Int(try client.ask("DBSIZE").dropFirst()) ?? 0
        #expect((1000...2000).contains(keys), "\(keys)")
        #expect(try client.ask("CONFIG", "SET", "maxmemory", "100mb") == "+OK")
        #expect(try fill(client, 4000..<8000) == 0)
        #expect(try client.ask("DBSIZE") == ":\(keys + 4000)")
    }

    @Test func withoutEvictionWhoStoresIsRefused() throws {
        let server = try FullServer("maxmemory 1mb", "maxmemory-policy noeviction")
        let client = try server.connect()
        #expect(try fill(client, 0..<4000) > 1000)
        let oom = "-OOM command not allowed when used memory > 'maxmemory'."
        #expect(try client.ask("SET", "a", "b") == oom)
        #expect(try client.ask("APPEND", "key:1", "b") == oom)
        #expect(try client.ask("GET", "key:1") == "$" + EvictionTests.value(1))
        #expect(try client.ask("EXPIRE", "key:1", "100") == ":1")
        // Room by deleting.
        for n in 0..<1000 { _ = try client.ask("DEL", "key:\(n)") }
        #expect(try client.ask("SET", "a", "b") == "+OK")
        #expect(try field(client, "stats", "evicted_keys") == 0)
        #expect(try client.ask("INFO", "errorstats").contains("errorstat_OOM:count="))
    }

    @Test func whatMayNotGoIsNoRoom() throws {
        let server = try FullServer("maxmemory 1mb", "maxmemory-policy volatile-lru")
        let client = try server.connect()
        #expect(try fill(client, 0..<4000) > 1000)
        #expect(try field(client, "stats", "evicted_keys") == 0)
        // With keys that may go there is room, once they have an expiry time.
        for n in 0..<500 { _ = try client.ask("EXPIRE", "key:\(n)", "1000") }
        #expect(try client.ask("CONFIG", "SET", "maxmemory", "1mb") == "+OK")
        #expect(try client.ask("SET", "a", "b") == "+OK")
        #expect(try field(client, "stats", "evicted_keys") > 0)
        #expect(try client.ask("EXISTS", "key:600") == ":1")
    }

    @Test func listenersWatchersAndTrackersHear() throws {
        let server = try FullServer("maxmemory-policy allkeys-random", "notify-keyspace-events Ee")
        let client = try server.connect()
        let listener = try server.connect()
        let tracker = try server.connect()
        let watcher = try server.connect()
        _ = try client.ask("SET", "key", EvictionTests.value())
        #expect(try listener.ask("SUBSCRIBE", "__keyevent@0__:evicted") == "*[$subscribe,$__keyevent@0__:evicted,:1]")
        try tracker.send(TestClient.encode("HELLO", "3"))
        // The map: head and seven pairs.
        #expect(try tracker.line().hasPrefix("%7"))
        for _ in 0..<14 { _ = try tracker.reply() }
        #expect(try tracker.ask("CLIENT", "TRACKING", "ON") == "+OK")
        _ = try tracker.ask("GET", "key")
        #expect(try watcher.ask("WATCH", "key") == "+OK")
        #expect(try watcher.ask("MULTI") == "+OK")
        #expect(try watcher.ask("PING") == "+QUEUED")
        #expect(try client.ask("CONFIG", "SET", "maxmemory", "1") == "+OK")
        #expect(try listener.reply() == "*[$message,$__keyevent@0__:evicted,$key]")
        #expect(try tracker.reply() == ">[$invalidate,*[$key]]")
        #expect(try watcher.ask("EXEC") == "*nil")
        #expect(try client.ask("EXISTS", "key") == ":0")
        #expect(try client.ask("SET", "key", "v").hasPrefix("-OOM"))
    }

    @Test func theLimitHoldsAfterARestart() throws {
        let server = try FullServer("maxmemory 2mb", "maxmemory-policy allkeys-lru")
        try fill(try server.connect(), 0..<6000)
        settle(server)
        try server.restart()
        let client = try server.connect()
        let before = Int(try client.ask("DBSIZE").dropFirst()) ?? 0
        #expect(try field(client, "memory", "used_memory_dataset") <= 2 << 20)
        #expect(try fill(client, 10_000..<14_000) == 0)
        settle(server)
        let keys = Int(try client.ask("DBSIZE").dropFirst()) ?? 0
        #expect(abs(keys - before) < 600, "\(before) keys before, \(keys) afterwards")
    }

    @Test func manyClientsWriteWhileKeysGo() throws {
        let server = try FullServer("io-threads 2", "maxmemory 2mb", "maxmemory-policy allkeys-lru")
        let clients = try (0..<6).map { _ in try server.connect() }
        for round in 0..<20 {
            for (i, client) in clients.enumerated() {
                try client.send(
                    (0..<50).flatMap { n in
                        TestClient.encode("SET", "key:\(i):\(round * 50 + n)", EvictionTests.value())
                            + TestClient.encode("GET", "key:\((i + 1) % 6):\(round * 50 + n)")
                    })
            }
            for client in clients {
                for _ in 0..<50 {
                    #expect(try client.reply() == "+OK")
                    #expect(try client.reply().hasPrefix("$"))
                }
            }
        }
        settle(server)
        #expect(try field(clients[0], "memory", "used_memory_dataset") <= 2 << 20)
    }
}
