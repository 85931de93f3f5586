import Testing
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkTestSupport

@Suite struct KeyCommandTests {
    @Test func deletesAndCounts() throws {
        let h = try Harness()
        h.run("MSET", "a", "1", "b", "2", "c", "3")
        #expect(h.run("EXISTS", "a", "a", "x") == ":2")
        #expect(h.run("TOUCH", "a", "b", "x") == ":2")
        #expect(h.run("TYPE", "a") == "string")
        #expect(h.run("TYPE", "x") == "none")
        #expect(h.run("DEL", "a", "a", "x") == ":1")
        #expect(h.run("UNLINK", "b") == ":1")
        #expect(h.run("DBSIZE") == ":1")
        #expect(h.context.effects.dirty == 0)
    }

    @Test func renames() throws {
        let h = try Harness()
        h.run("SET", "a", "1", "EX", "100")
        h.run("SET", "b", "2", "EX", "50")
        #expect(h.run("RENAME", "x", "y") == "-ERR no such key")
        #expect(h.run("RENAMENX", "a", "b") == ":0")
        #expect(h.run("RENAME", "a", "b") == "OK")
        #expect(h.run("TTL", "b") == ":100")
        #expect(h.run("GET", "a") == "nil")
        #expect(h.run("RENAME", "b", "b") == "OK")
        #expect(h.run("RENAMENX", "b", "b") == ":0")
        #expect(h.run("RENAMENX", "b", "c") == ":1")
        #expect(h.run("GET", "c") == "\"1\"")
        #expect(h.run("DBSIZE") == ":1")
    }

    @Test func copiesAndMoves() throws {
        let h = try Harness()
        h.run("SET", "a", "1", "EX", "100")
        #expect(h.run("COPY", "a", "a") == "-ERR source and destination objects are the same")
        #expect(h.run("COPY", "a", "b") == ":1")
        #expect(h.run("TTL", "b") == ":100")
        h.run("SET", "b", "2")
        #expect(h.run("COPY", "a", "b") == ":0")
        #expect(h.run("COPY", "a", "b", "REPLACE") == ":1")
        #expect(h.run("COPY", "a", "a", "DB", "3") == ":1")
        #expect(h.run("COPY", "a", "z", "DB", "16") == "-ERR DB index is out of range")
        #expect(
            h.run("COPY", "a", "z", "DB", "99999999999")
                == "-ERR value is out of range, value must between -2147483648 and 2147483647")
        #expect(h.run("COPY", "none", "z") == ":0")
        #expect(h.run("MOVE", "a", "3") == ":0")
        #expect(h.run("MOVE", "b", "3") == ":1")
        #expect(h.run("MOVE", "b", "0") == "-ERR source and destination objects are the same")
        #expect(h.run("MOVE", "b", "99") == "-ERR DB index is out of range")
        #expect(h.run("DBSIZE") == ":1")
        h.database = 3
        #expect(h.run("DBSIZE") == ":2")
        #expect(h.run("TTL", "b") == ":100")
    }

    @Test func flushesAndSwaps() throws {
        let h = try Harness()
        h.run("SET", "a", "0")
        h.database = 1
        h.run("SET", "a", "1", "EX", "5")
        #expect(h.run("SWAPDB", "0", "1") == "OK")
        #expect(h.run("GET", "a") == "\"0\"")
        #expect(h.run("SWAPDB", "x", "1") == "-ERR invalid first DB index")
        #expect(h.run("SWAPDB", "0", "x") == "-ERR invalid second DB index")
        #expect(h.run("SWAPDB", "0", "16") == "-ERR DB index is out of range")
        #expect(h.run("FLUSHDB", "NOW") == "-ERR syntax error")
        #expect(h.run("FLUSHDB", "SYNC") == "OK")
        #expect(h.run("DBSIZE") == ":0")
        #expect(h.run("GET", "a") == "nil")
        h.database = 0
        #expect(h.run("GET", "a") == "\"1\"")
        h.run("SET", "b", "2")
        #expect(h.run("FLUSHALL") == "OK")
        #expect(h.run("KEYS", "*") == "[]")
        h.run("SET", "c", "3")
        #expect(h.run("KEYS", "*") == "[\"c\"]")
        #expect(h.run("DBSIZE") == ":1")
    }

    @Test func transactionsSeeTheirOwnFlushes() throws {
        let h = try Harness()
        h.run("MSET", "a", "1", "b", "2")
        let replies = h.exec([
            ["SET", "c", "3"], ["DBSIZE"], ["FLUSHALL"], ["DBSIZE"], ["GET", "a"], ["SET", "d", "4"],
            ["SET", "d", "5"],
            ["DBSIZE"], ["KEYS", "*"], ["SWAPDB", "0", "1"], ["GET", "d"], ["SET", "e", "6"], ["DEL", "e"], ["DBSIZE"],
        ])
        #expect(
            replies == [
                "OK", ":3", "OK", ":0", "nil", "OK", "OK", ":1", "[\"d\"]", "OK", "nil", "OK", ":1", ":0",
            ])
        #expect(h.run("DBSIZE") == ":0")
        h.database = 1
        #expect(h.run("GET", "d") == "\"5\"")
        #expect(h.run("DBSIZE") == ":1")
    }

    @Test func transactionsCountTheEmptyKey() throws {
        let h = try Harness()
        #expect(h.exec([["INCR", ""], ["DBSIZE"], ["DEL", ""], ["DBSIZE"]]) == [":1", ":1", ":1", ":0"])
        #expect(h.run("DBSIZE") == ":0")
    }

    @Test func abandonedTransactionsLeaveNothing() throws {
        let h = try Harness()
        h.run("SET", "a", "1")
        h.context.start(now: h.now)
        h.context.keys.select(0)
        _ = h.context.keys.flush(0..<1)
        #expect(!h.context.batch.isEmpty)
        h.context.abandon()
        #expect(h.run("GET", "a") == "\"1\"")
        #expect(h.run("DBSIZE") == ":1")
    }

    @Test func expiresOnTheMillisecond() throws {
        let h = try Harness()
        h.run("SET", "k", "v", "PX", "100")
        h.clock.advance(99)
        #expect(h.run("GET", "k") == "\"v\"")
        h.clock.advance(1)
        #expect(h.run("DBSIZE") == ":1")
        #expect(h.run("GET", "k") == "nil")
        // Whoever met it had it removed.
        #expect(h.run("DBSIZE") == ":0")
        #expect(h.keyspace.expiredKeys == 1)
        h.run("SET", "k", "v", "PX", "100")
        h.clock.advance(100)
        #expect(h.run("SET", "k", "w", "NX") == "OK")
        #expect(h.run("DBSIZE") == ":1")
        #expect(h.keyspace.expiredKeys == 2)
    }

    @Test func expireKnowsItsConditions() throws {
        let h = try Harness()
        h.run("SET", "k", "v")
        #expect(h.run("EXPIRE", "k", "100", "XX") == ":0")
        #expect(h.run("EXPIRE", "k", "100", "GT") == ":0")
        #expect(h.run("EXPIRE", "k", "100", "LT") == ":1")
        #expect(h.run("EXPIRE", "k", "50", "NX") == ":0")
        #expect(h.run("EXPIRE", "k", "50", "GT") == ":0")
        #expect(h.run("EXPIRE", "k", "200", "XX", "GT") == ":1")
        #expect(h.run("TTL", "k") == ":200")
        #expect(
            h.run("EXPIRE", "k", "1", "NX", "XX")
                == "-ERR NX and XX, GT or LT options at the same time are not compatible")
        #expect(h.run("EXPIRE", "k", "1", "GT", "LT") == "-ERR GT and LT options at the same time are not compatible")
        #expect(h.run("EXPIRE", "k", "1", "AB") == "-ERR Unsupported option AB")
        #expect(h.run("EXPIRE", "k", "9223372036854775807") == "-ERR invalid expire time in 'expire' command")
        #expect(h.run("PEXPIRE", "k", "9223372036854775807") == "-ERR invalid expire time in 'pexpire' command")
        #expect(h.run("EXPIRE", "none", "10") == ":0")
        #expect(h.run("PERSIST", "k") == ":1")
        #expect(h.run("PERSIST", "k") == ":0")
        #expect(h.run("TTL", "none") == ":-2")
        #expect(h.run("EXPIREAT", "k", "1") == ":1")
        #expect(h.run("EXISTS", "k") == ":0")
    }

    @Test func randomKeysAreThere() throws {
        let h = try Harness()
        #expect(h.run("RANDOMKEY") == "nil")
        h.run("MSET", "foo", "1", "bar", "2", "fo", "3", "", "4")
        var seen: Set<String> = []
        for _ in 0..<200 { seen.insert(h.run("RANDOMKEY")) }
        #expect(seen == ["\"foo\"", "\"bar\"", "\"fo\"", "\"\""])
        h.run("PEXPIRE", "foo", "5")
        h.run("PEXPIRE", "bar", "5")
        h.run("PEXPIRE", "", "5")
        h.clock.advance(5)
        for _ in 0..<20 { #expect(h.run("RANDOMKEY") == "\"fo\"") }
    }

    @Test func walkRemovesWhatIsDue() throws {
        let h = try Harness()
        let walk = ExpiryWalk(h.keyspace, reader: StoreReader(h.store, mayBlock: true))
        func expire(_ budget: Int) throws -> ExpireProgress {
            try walk.expireSome(now: h.now, budget: budget, tryLock: { _ in true }, unlock: { _ in })
        }
        for i in 0..<300 { h.run("SET", "k\(i)", "v", "PX", "\(100 + i)") }
        h.run("SET", "stale", "v", "PX", "120")
        h.run("SET", "stale", "stays")
        h.run("SET", "later", "v", "PX", "120")
        h.run("PEXPIRE", "later", "100000")
        #expect(try expire(1000).removed == 0)
        h.clock.advance(249)
        let first = try expire(100)
        #expect(first.removed > 0 && first.isMoreLeft)
        var removed = first.removed
        for _ in 0..<10 where removed < 150 { removed += try expire(100).removed }
        #expect(removed == 150)
        #expect(h.run("DBSIZE") == ":152")
        #expect(h.run("GET", "stale") == "\"stays\"")
        #expect(h.run("PTTL", "later") == ":99751")
        h.clock.advance(200_000)
        removed = 0
        for _ in 0..<10 { removed += try expire(100).removed }
        #expect(removed == 151)
        #expect(h.run("KEYS", "*") == "[\"stale\"]")
        #expect(h.keyspace.counts(0).expires == 0)
    }

    @Test func walkLeavesTakenStripesForLater() throws {
        let h = try Harness()
        let walk = ExpiryWalk(h.keyspace, reader: StoreReader(h.store, mayBlock: true))
        h.run("SET", "a", "v", "PX", "10")
        h.clock.advance(10)
        var locked: Set<Int> = []
        let none = try walk.expireSome(now: h.now, budget: 100, tryLock: { _ in false }, unlock: { _ in })
        #expect(none.removed == 0)
        h.clock.advance(60_001)
        let some = try walk.expireSome(
            now: h.now, budget: 100, tryLock: { locked.insert($0).inserted }, unlock: { locked.remove($0) })
        #expect(some.removed == 1)
        #expect(locked.isEmpty)
    }
}
