import Testing
import ValkBase
import ValkCommands
import ValkTestSupport

@Suite struct StringCommandTests {
    @Test func setsAndGets() throws {
        let h = try Harness()
        #expect(h.run("GET", "a") == "nil")
        #expect(h.run("SET", "a", "1") == "OK")
        #expect(h.run("GET", "a") == "\"1\"")
        #expect(h.run("SET", "", "empty key") == "OK")
        #expect(h.run("GET", "") == "\"empty key\"")
        #expect(h.run("STRLEN", "a") == ":1")
        #expect(h.run("STRLEN", "none") == ":0")
        #expect(h.run("GET") == "-ERR wrong number of arguments for 'get' command")
        #expect(h.context.effects.errorReplies == 1)
    }

    @Test func setKnowsItsConditions() throws {
        let h = try Harness()
        #expect(h.run("SET", "k", "1", "XX") == "nil")
        #expect(h.run("SET", "k", "1", "NX") == "OK")
        #expect(h.run("SET", "k", "2", "nx") == "nil")
        #expect(h.run("SET", "k", "2", "xx", "get") == "\"1\"")
        #expect(h.run("SET", "k", "3", "NX", "GET") == "\"2\"")
        #expect(h.run("GET", "k") == "\"2\"")
        #expect(h.run("SET", "n", "3", "NX", "GET") == "nil")
        #expect(h.run("GET", "n") == "\"3\"")
        for bad in [
            ["NX", "XX"], ["EX"], ["EX", "1", "PX", "1"], ["EX", "1", "KEEPTTL"], ["KEEPTTL", "PXAT", "5"], ["FOO"],
        ] {
            #expect(h.run(["SET", "k", "v"] + bad) == "-ERR syntax error", "\(bad)")
        }
    }

    @Test func setKnowsItsTimes() throws {
        let h = try Harness()
        #expect(h.run("SET", "k", "v", "EX", "10") == "OK")
        #expect(h.run("TTL", "k") == ":10")
        #expect(h.run("SET", "k", "v", "PX", "1500") == "OK")
        #expect(h.run("PTTL", "k") == ":1500")
        #expect(h.run("TTL", "k") == ":2")
        #expect(h.run("SET", "k", "w", "KEEPTTL") == "OK")
        #expect(h.run("PTTL", "k") == ":1500")
        #expect(h.run("SET", "k", "w") == "OK")
        #expect(h.run("TTL", "k") == ":-1")
        #expect(h.run("SET", "k", "w", "EXAT", "1800000000") == "OK")
        #expect(h.run("EXPIRETIME", "k") == ":1800000000")
        #expect(h.run("SET", "k", "w", "PXAT", "1800000000123") == "OK")
        #expect(h.run("PEXPIRETIME", "k") == ":1800000000123")
        for (word, text) in [
            ("EX", "0"), ("EX", "-1"), ("PX", "0"), ("EX", "9223372036854775807"), ("PX", "9223372036854775807"),
        ] {
            #expect(h.run("SET", "k", "v", word, text) == "-ERR invalid expire time in 'set' command")
        }
        #expect(h.run("SET", "k", "v", "EX", "x") == "-ERR value is not an integer or out of range")
        #expect(h.run("SETEX", "k", "0", "v") == "-ERR invalid expire time in 'setex' command")
        #expect(h.run("PSETEX", "k", "100", "v") == "OK")
        #expect(h.run("PTTL", "k") == ":100")
    }

    @Test func getexChangesOnlyTheTime() throws {
        let h = try Harness()
        h.run("SET", "k", "v")
        #expect(h.run("GETEX", "k", "EX", "5") == "\"v\"")
        #expect(h.run("TTL", "k") == ":5")
        #expect(h.run("GETEX", "k") == "\"v\"")
        #expect(h.run("TTL", "k") == ":5")
        #expect(h.run("GETEX", "k", "PERSIST") == "\"v\"")
        #expect(h.run("TTL", "k") == ":-1")
        #expect(h.run("GETEX", "k", "PXAT", "1") == "\"v\"")
        #expect(h.run("EXISTS", "k") == ":0")
        #expect(h.run("GETEX", "k", "KEEPTTL") == "-ERR syntax error")
        #expect(h.run("GETEX", "none", "EX", "-5") == "nil")
    }

    @Test func oldValuesComeBack() throws {
        let h = try Harness()
        #expect(h.run("GETSET", "k", "1") == "nil")
        h.run("EXPIRE", "k", "100")
        #expect(h.run("GETSET", "k", "2") == "\"1\"")
        #expect(h.run("TTL", "k") == ":-1")
        #expect(h.run("GETDEL", "k") == "\"2\"")
        #expect(h.run("GETDEL", "k") == "nil")
        #expect(h.run("DBSIZE") == ":0")
    }

    @Test func severalKeysAtOnce() throws {
        let h = try Harness()
        #expect(h.run("MSET", "a", "1", "b", "2", "a", "3") == "OK")
        #expect(h.run("MGET", "a", "b", "c", "a") == "[\"3\" \"2\" nil \"3\"]")
        #expect(h.run("MSET", "a", "1", "b") == "-ERR wrong number of arguments for 'mset' command")
        #expect(h.run("MSETNX", "x", "1", "a", "2") == ":0")
        #expect(h.run("EXISTS", "x") == ":0")
        #expect(h.run("MSETNX", "x", "1", "y", "2", "x", "3") == ":1")
        #expect(h.run("GET", "x") == "\"3\"")
        #expect(h.run("DBSIZE") == ":4")
    }

    @Test func partsOfValues() throws {
        let h = try Harness()
        #expect(h.run("APPEND", "k", "Hello") == ":5")
        #expect(h.run("APPEND", "k", " World") == ":11")
        #expect(h.run("GETRANGE", "k", "0", "-1") == "\"Hello World\"")
        #expect(h.run("GETRANGE", "k", "-5", "-2") == "\"Worl\"")
        #expect(h.run("GETRANGE", "k", "-2", "-5") == "\"\"")
        #expect(h.run("SUBSTR", "k", "3", "5000") == "\"lo World\"")
        #expect(h.run("GETRANGE", "k", "-5000", "0") == "\"H\"")
        #expect(h.run("SETRANGE", "k", "6", "Redis") == ":11")
        #expect(h.run("GET", "k") == "\"Hello Redis\"")
        #expect(h.run("SETRANGE", "new", "3", "x") == ":4")
        #expect(h.run("GET", "new") == "\"\\x00\\x00\\x00x\"")
        #expect(h.run("SETRANGE", "none", "3", "") == ":0")
        #expect(h.run("EXISTS", "none") == ":0")
        #expect(h.run("SETRANGE", "k", "-1", "x") == "-ERR offset is out of range")
        #expect(
            h.run("SETRANGE", "k", "536870912", "x") == "-ERR string exceeds maximum allowed size (proto-max-bulk-len)")
        h.run("EXPIRE", "k", "50")
        h.run("APPEND", "k", "!")
        #expect(h.run("TTL", "k") == ":50")
    }

    @Test func largeValuesGrow() throws {
        let h = try Harness()
        let big = String(repeating: "x", count: 100_000)
        h.run("SET", "k", big)
        #expect(h.run("APPEND", "k", big) == ":200000")
        #expect(h.run("SETRANGE", "k", "199999", "yz") == ":200001")
        #expect(h.run("GETRANGE", "k", "199997", "-1") == "\"xxyz\"")
        #expect(
            h.exec([
                ["APPEND", "k", "1"], ["APPEND", "k", "2"], ["RENAME", "k", "l"], ["STRLEN", "l"],
                ["GETRANGE", "l", "-3", "-1"],
            ])
                == [":200002", ":200003", "OK", ":200003", "\"z12\""])
    }

    @Test func countsIntegers() throws {
        let h = try Harness()
        #expect(h.run("INCR", "n") == ":1")
        #expect(h.run("INCRBY", "n", "41") == ":42")
        #expect(h.run("DECR", "n") == ":41")
        #expect(h.run("DECRBY", "n", "50") == ":-9")
        h.run("EXPIRE", "n", "9")
        h.run("INCR", "n")
        #expect(h.run("TTL", "n") == ":9")
        h.run("SET", "n", "9223372036854775807")
        #expect(h.run("INCR", "n") == "-ERR increment or decrement would overflow")
        #expect(h.run("DECRBY", "n", "-9223372036854775808") == "-ERR decrement would overflow")
        h.run("SET", "n", " 1")
        #expect(h.run("INCR", "n") == "-ERR value is not an integer or out of range")
        #expect(h.run("INCRBY", "m", "x") == "-ERR value is not an integer or out of range")
        #expect(h.run("EXISTS", "m") == ":0")
    }

    @Test func countsDecimals() throws {
        let h = try Harness()
        #expect(h.run("INCRBYFLOAT", "f", "10.5") == "\"10.5\"")
        #expect(h.run("INCRBYFLOAT", "f", "0.1") == "\"10.6\"")
        #expect(h.run("INCRBYFLOAT", "f", "-5") == "\"5.6\"")
        #expect(h.run("INCRBYFLOAT", "g", "5.0e3") == "\"5000\"")
        #expect(h.run("INCRBYFLOAT", "g", "x") == "-ERR value is not a valid float")
        #expect(h.run("INCRBYFLOAT", "g", "inf") == "-ERR increment would produce NaN or Infinity")
        h.run("SET", "t", "abc")
        #expect(h.run("INCRBYFLOAT", "t", "1") == "-ERR value is not a valid float")
    }

    @Test func findsCommonSubsequences() throws {
        let h = try Harness()
        h.run("MSET", "a", "ohmytext", "b", "mynewtext")
        #expect(h.run("LCS", "a", "b") == "\"mytext\"")
        #expect(h.run("LCS", "a", "b", "LEN") == ":6")
        #expect(h.run("LCS", "a", "b", "IDX") == "[\"matches\" [[[:4 :7] [:5 :8]] [[:2 :3] [:0 :1]]] \"len\" :6]")
        #expect(
            h.run("LCS", "a", "b", "IDX", "MINMATCHLEN", "4", "WITHMATCHLEN")
                == "[\"matches\" [[[:4 :7] [:5 :8] :4]] \"len\" :6]")
        #expect(
            h.run("LCS", "a", "b", "IDX", "LEN") == "-ERR If you want both the length and indexes, please just use IDX."
        )
        #expect(h.run("LCS", "a", "none") == "\"\"")
        #expect(h.run("LCS", "a", "b", "MINMATCHLEN") == "-ERR syntax error")
    }

    @Test func saysHowRedisWouldHoldValues() throws {
        let h = try Harness()
        func encoding(_ key: String) -> String { h.run("OBJECT", "ENCODING", key) }
        h.run("SET", "k", "123")
        #expect(encoding("k") == "\"int\"")
        #expect(h.run("OBJECT", "REFCOUNT", "k") == ":2147483647")
        h.run("APPEND", "k", "4")
        #expect(encoding("k") == "\"raw\"")
        h.run("SET", "k", String(repeating: "x", count: 44))
        #expect(encoding("k") == "\"embstr\"")
        h.run("SET", "k", String(repeating: "x", count: 45))
        #expect(encoding("k") == "\"raw\"")
        h.run("INCRBYFLOAT", "f", "1")
        #expect(encoding("f") == "\"embstr\"")
        h.run("INCR", "f")
        #expect(encoding("f") == "\"int\"")
        #expect(encoding("none") == "nil")
        #expect(h.run("OBJECT", "FREQ", "f").hasPrefix("-ERR An LFU maxmemory policy is not selected"))
        #expect(h.run("OBJECT", "IDLETIME", "f") == ":0")
        #expect(h.run("MEMORY", "USAGE", "none") == "nil")
        #expect(h.run("MEMORY", "USAGE", "f", "SAMPLES", "-1") == "-ERR syntax error")
    }

    @Test func refusesKeysThatCannotBeStored() throws {
        let h = try Harness()
        let long = String(repeating: "k", count: 65_536)
        #expect(h.run("SET", long, "v").hasPrefix("-ERR key is too long"))
        #expect(h.run("GET", long) == "nil")
        #expect(h.run("DEL", long) == ":0")
        let fits = String(long.dropLast())
        #expect(h.run("SET", fits, "v", "EX", "100") == "OK")
        #expect(h.run("TTL", fits) == ":100")
        #expect(h.run("DEL", fits) == ":1")
    }
}
