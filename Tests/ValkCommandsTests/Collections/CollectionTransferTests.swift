// Collections in payloads: what DUMP writes RESTORE takes, every form that Redis has written is read, and nothing that
// comes in does harm. What redis-server and Valk make of each other's payloads is checked by conformance/transfer.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct CollectionTransferTests {
    private func restore(_ h: Harness, _ key: String, _ payload: [UInt8], _ words: String...) -> String {
        h.run(bytes: ["RESTORE", key, "0"].map { Array($0.utf8) } + [payload] + words.map { Array($0.utf8) })
    }

    /// Type and value with a footer.
    private static func sealed(_ body: [UInt8], version: UInt8 = 10) -> [UInt8] {
        var out = ByteBuffer()
        out.append(body)
        out.append([version, 0])
        out.appendFixed(CRC64.of(out.view))
        return out.view.array
    }

    private static func bytes(_ hexadecimal: String) -> [UInt8] {
        var digits = Array(hexadecimal)[...]
        var bytes: [UInt8] = []
        while digits.count >= 2 {
            bytes.append(UInt8(String(digits.prefix(2)), radix: 16) ?? 0)
            digits = digits.dropFirst(2)
        }
        return bytes
    }

    private static func string(_ bytes: [UInt8]) -> [UInt8] {
        precondition(bytes.count < 1 << 14)
        return [0x40 | UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
    }

    private func sorted(_ reply: String, by size: Int = 1) -> [String] {
        let words = reply.dropFirst().dropLast().split(separator: " ").map(String.init)
        return stride(from: 0, to: words.count, by: size).map { words[$0..<$0 + size].joined(separator: " ") }.sorted()
    }

    // MARK: Out and in

    @Test(arguments: [1, 10, 2000]) func everyTypeComesBack(count: Int) throws {
        let h = try Harness()
        for i in 0..<count {
            let text = i % 3 == 0 ? "\(i)" : "text-\(i)-" + String(repeating: "x", count: i % 100)
            h.run("HSET", "hash", text, "value-\(i)")
            h.run("SADD", "set", text)
            h.run("ZADD", "zset", "\(Double(i % 7) - 2.5)", text)
            h.run("RPUSH", "list", text)
        }
        h.run("SADD", "intset", "1", "2", "-70000")
        h.run("ZADD", "infinite", "inf", "a", "-inf", "b", "-0", "c")
        for (key, look) in [
            ("hash", ["HGETALL"]), ("set", ["SMEMBERS"]), ("zset", ["ZRANGE", "0", "-1", "WITHSCORES"]),
            ("list", ["LRANGE", "0", "-1"]), ("intset", ["SMEMBERS"]),
            ("infinite", ["ZRANGE", "0", "-1", "WITHSCORES"]),
        ] {
            let before = h.run([look[0], key] + look.dropFirst())
            let encoding = h.run("OBJECT", "ENCODING", key)
            let payload = h.bulk("DUMP", key)
            #expect(restore(h, key, payload) == "-BUSYKEY Target key name already exists.")
            #expect(restore(h, "copy", payload, "REPLACE") == "OK")
            #expect(h.run([look[0], "copy"] + look.dropFirst()) == before)
            #expect(h.run("OBJECT", "ENCODING", "copy") == encoding)
        }
    }

    @Test(arguments: [1, 5, 700]) func streamsComeBackWithTheirGroups(count: Int) throws {
        let h = try Harness()
        for i in 0..<count {
            h.run(["XADD", "s", "\(1000 + i / 3)-\(i % 3 + 1)", "f", "\(i)"] + (i % 4 == 0 ? ["g", "x"] : []))
        }
        h.run("XGROUP", "CREATE", "s", "g", "0")
        h.run("XGROUP", "CREATE", "s", "idle", "$")
        h.run("XREADGROUP", "GROUP", "g", "c", "COUNT", "200", "STREAMS", "s", ">")
        h.run("XREADGROUP", "GROUP", "g", "d", "COUNT", "200", "STREAMS", "s", ">")
        h.run("XACK", "s", "g", "1000-2")
        h.run("XDEL", "s", "1000-3", "1001-1")
        h.run("XGROUP", "CREATECONSUMER", "s", "g", "e")
        h.clock.advance(1000)
        #expect(restore(h, "copy", h.bulk("DUMP", "s")) == "OK")
        for look in [["XRANGE", "-", "+"], ["XPENDING", "g"], ["XPENDING", "g", "-", "+", "1000"]] {
            #expect(h.run([look[0], "copy"] + look.dropFirst()) == h.run([look[0], "s"] + look.dropFirst()))
        }
        #expect(
            h.run("XINFO", "STREAM", "copy", "FULL", "COUNT", "0")
                == h.run("XINFO", "STREAM", "s", "FULL", "COUNT", "0"))
        // Both go on alike.
        for key in ["s", "copy"] {
            #expect(h.run("XADD", key, "9999-1", "f", "v") == "\"9999-1\"")
            h.run("XREADGROUP", "GROUP", "idle", "c", "STREAMS", key, ">")
            #expect(h.run("XACK", key, "idle", "9999-1") == ":1")
            #expect(h.run("XGROUP", "DESTROY", key, "g") == ":1")
        }
        h.run("XTRIM", "copy", "MAXLEN", "0")
        #expect(restore(h, "empty", h.bulk("DUMP", "copy")) == "OK")
        #expect(h.run("XLEN", "empty") == ":0")
        #expect(h.run("XADD", "empty", "9999-1", "f", "v").hasPrefix("-ERR"))
    }

    @Test(arguments: [3, 300]) func fieldsKeepTheirTimes(count: Int) throws {
        let h = try Harness()
        h.run(["HSET", "h"] + (0..<count).flatMap { ["f\($0)", "v\($0)"] })
        h.run("HPEXPIRE", "h", "100", "FIELDS", "1", "f0")
        h.run("HPEXPIRE", "h", "300", "FIELDS", "1", "f1")
        let payload = h.bulk("DUMP", "h")
        #expect(Array(payload.suffix(10).prefix(2)) == [12, 0])
        h.clock.advance(50)
        #expect(restore(h, "c", payload) == "OK")
        #expect(h.run("HPTTL", "c", "FIELDS", "3", "f0", "f1", "f2") == "[:50 :250 :-1]")
        h.clock.advance(100)
        #expect(restore(h, "late", payload) == "OK")
        #expect(h.run("HLEN", "late") == ":\(count - 1)")
        h.run("HGET", "h", "f0")
        let later = h.bulk("DUMP", "h")
        #expect(restore(h, "d", later) == "OK")
        #expect(h.run("HPTTL", "d", "FIELDS", "2", "f0", "f1") == "[:-2 :150]")
        h.run("HPERSIST", "h", "FIELDS", "1", "f1")
        #expect(Array(h.bulk("DUMP", "h").suffix(10).prefix(2)) == [10, 0])
    }

    // MARK: What Redis writes

    @Test func payloadsOfRedisAreRead() throws {
        let h = try Harness()
        // As redis-server 7.0.15 dumps them.
        for (key, payload) in [
            (
                "hash",
                """
                10405c5c0000000c00816602817602816e020c018362696704f290eefe04816902dfff02816c02f4005039278c0400000981\
                7302a87878787878787878787878787878787878787878787878787878787878787878787878787878787829ff0a00459991\
                929ec47f64
                """
            ),
            ("table", "04020161c0010162c0160a0090384cb5547cc511"),
            ("intset", "0b140400000003000000fbffffff01000000701101000a0086a0bbcf3a22ed25"),
            ("set", "0202016101620a00fe642125eb033d0d"),
            (
                "zset",
                """
                1139390000000800816302842d696e6605816102010181620283322e350481640297312e3030303030303030303030303030\
                3031652b33303018ff0a00185d3f5b64304c6c
                """
            ),
            ("skiplist", "05030163000000000000f07f016200000000000004400161000000000000f03f0a00d05d23af3e180fa6"),
            (
                "list",
                """
                120102405e5e00000005008161020101ded402e0466262626262626262626262626262626262626262626262626262626262\
                626262626262626262626262626262626262626262626262626262626262626262626262626262626248f300e1f50505ff0a\
                00730acc61ae892ea3
                """
            ),
        ] {
            #expect(restore(h, key, Self.bytes(payload)) == "OK", "\(key)")
        }
        let long = "\"" + String(repeating: "x", count: 40) + "\""
        #expect(
            sorted(h.run("HGETALL", "hash"), by: 2) == [
                "\"big\" \"-70000\"", "\"f\" \"v\"", "\"i\" \"-1\"", "\"l\" \"5000000000000\"", "\"n\" \"12\"",
                "\"s\" \(long)",
            ])
        #expect(sorted(h.run("HGETALL", "table"), by: 2) == ["\"a\" \"1\"", "\"b\" \"22\""])
        #expect(sorted(h.run("SMEMBERS", "intset")) == ["\"-5\"", "\"1\"", "\"70000\""])
        #expect(h.run("OBJECT", "ENCODING", "intset") == "\"intset\"")
        #expect(sorted(h.run("SMEMBERS", "set")) == ["\"a\"", "\"b\""])
        #expect(
            h.run("ZRANGE", "zset", "0", "-1", "WITHSCORES")
                == "[\"c\" \"-inf\" \"a\" \"1\" \"b\" \"2.5\" \"d\" \"1.0000000000000001e+300\"]")
        #expect(
            h.run("ZRANGE", "skiplist", "0", "-1", "WITHSCORES") == "[\"a\" \"1\" \"b\" \"2.5\" \"c\" \"inf\"]")
        let b = String(repeating: "b", count: 70)
        #expect(h.run("LRANGE", "list", "0", "-1") == "[\"a\" \"1\" \"-300\" \"\(b)\" \"100000000\"]")
    }

    private static func ziplist(_ entries: [[UInt8]]) -> [UInt8] {
        var body: [UInt8] = []
        var last = 10
        var before = 0
        for entry in entries {
            last = 10 + body.count
            body += [UInt8(before)] + entry
            before = 1 + entry.count
        }
        let total = UInt8(11 + body.count)
        return [total, 0, 0, 0, UInt8(last), 0, 0, 0, UInt8(entries.count), 0] + body + [0xFF]
    }

    @Test func olderFormsAreRead() throws {
        let h = try Harness()
        let text: (String) -> [UInt8] = { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let numbers: [[UInt8]] = [
            [0xF1], [0xFD], [0xFE, 0x80], [0xC0, 0, 0x80], [0xF0, 0, 0, 0x80], [0xD0, 0, 0, 0, 0x80],
            [0xE0, 0, 0, 0, 0, 0, 0, 0, 0x80],
        ]
        let values = ["0", "12", "-128", "-32768", "-8388608", "-2147483648", "-9223372036854775808"]
        let elements = "[" + (["a"] + values).map { "\"\($0)\"" }.joined(separator: " ") + "]"
        let ziplist = Self.string(Self.ziplist([text("a")] + numbers))
        #expect(restore(h, "10", Self.sealed([10] + ziplist)) == "OK")
        #expect(h.run("LRANGE", "10", "0", "-1") == elements)
        #expect(restore(h, "14", Self.sealed([14, 2] + ziplist + ziplist)) == "OK")
        #expect(h.run("LLEN", "14") == ":16")
        #expect(restore(h, "1", Self.sealed([1, 2] + text("a") + [0xC0, 0xFF])) == "OK")
        #expect(h.run("LRANGE", "1", "0", "-1") == "[\"a\" \"-1\"]")
        #expect(restore(h, "18", Self.sealed([18, 1, 1] + text("plain"))) == "OK")
        #expect(h.run("LRANGE", "18", "0", "-1") == "[\"plain\"]")
        #expect(
            restore(
                h, "3",
                Self.sealed(
                    [3, 4] + text("a") + text("1.5") + text("b") + [254] + text("c") + [255]
                        + text("d") + text("-3"))) == "OK")
        #expect(
            h.run("ZRANGE", "3", "0", "-1", "WITHSCORES")
                == "[\"c\" \"-inf\" \"d\" \"-3\" \"a\" \"1.5\" \"b\" \"inf\"]")
        let pairs = Self.string(Self.ziplist([text("a"), [0xF3], text("b"), text("1.5")]))
        #expect(restore(h, "12", Self.sealed([12] + pairs)) == "OK")
        #expect(h.run("ZRANGE", "12", "0", "-1", "WITHSCORES") == "[\"b\" \"1.5\" \"a\" \"2\"]")
        #expect(restore(h, "13", Self.sealed([13] + pairs)) == "OK")
        #expect(sorted(h.run("HGETALL", "13"), by: 2) == ["\"a\" \"2\"", "\"b\" \"1.5\""])
        let zipmap: [UInt8] = [2] + text("a") + [1, 2] + Array("1??".utf8) + text("bc") + [0, 0] + [0xFF]
        #expect(restore(h, "9", Self.sealed([9] + Self.string(zipmap))) == "OK")
        #expect(sorted(h.run("HGETALL", "9"), by: 2) == ["\"a\" \"1\"", "\"bc\" \"\""])
    }

    @Test func whatCannotBeRightIsRefused() throws {
        let h = try Harness()
        let text: (String) -> [UInt8] = { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let many = Array(repeating: text("x"), count: 3)
        for (body, what) in [
            ([1, 0], "no element"), ([2, 2] + text("a") + text("a"), "a member twice"),
            ([4, 2] + text("a") + text("1") + text("a") + text("2"), "a field twice"),
            ([3, 1] + text("a") + [253], "a score that is no number"), ([3, 1] + text("a") + text("x"), "no score"),
            ([5, 1] + text("a") + [0, 0, 0, 0, 0, 0, 0xF8, 0x7F], "a double that is no number"),
            (
                [5, 2] + text("a") + [UInt8](repeating: 0, count: 8) + text("a") + [UInt8](repeating: 0, count: 8),
                "twice"
            ),
            ([10] + Self.string(Self.ziplist([])), "an empty ziplist"),
            ([13] + Self.string(Self.ziplist(many)), "half a pair"),
            ([11] + Self.string([2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0]), "numbers out of order"),
            ([11] + Self.string([3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 4]), "numbers of three bytes"),
            ([18, 1, 3] + text("x"), "an unknown container"),
            ([1, 0x81] + [UInt8](repeating: 0x7F, count: 8) + text("a"), "more than there is"),
        ] as [([UInt8], String)] {
            #expect(restore(h, "k", Self.sealed(body)) == "-ERR Bad data format", "\(what)")
            #expect(h.run("EXISTS", "k") == ":0", "\(what)")
        }
        let long = [UInt8](repeating: 7, count: 70_000)
        let body: [UInt8] = [2, 1, 0x80, 0, 1, 0x11, 0x70] + long
        #expect(restore(h, "k", Self.sealed(body)).hasPrefix("-ERR field or member is too long"))
    }

    /// A collection that is refused after much of it was read leaves nothing behind.
    @Test func whatIsRefusedLateLeavesNothing() throws {
        let h = try Harness()
        h.run("SET", "k", "old")
        var body: [UInt8] = [2, 0x80, 0, 0, 0x10, 0x00]
        for i in 0..<4096 { body += [0xC1, UInt8(i & 0xFF), UInt8(i >> 8)] }
        body[body.count - 2] = 0
        body[body.count - 1] = 0
        #expect(restore(h, "k", Self.sealed(body), "REPLACE") == "-ERR Bad data format")
        #expect(h.run("GET", "k") == "\"old\"")
        let replies = h.exec([["SET", "a", "1"], ["GET", "a"]])
        #expect(replies == ["OK", "\"1\""])
    }

    @Test func damagedPayloadsDoNoHarm() throws {
        let seed = TestSeed("damaged collections").value
        var random = SeededRandom(seed: seed)
        let h = try Harness()
        h.run(["HSET", "hash"] + (0..<20).flatMap { ["f\($0)", "\($0)"] })
        h.run(["SADD", "set"] + (0..<20).map { "m\($0)" })
        h.run(["RPUSH", "list"] + (0..<20).map { String(repeating: "e", count: $0 * 3) })
        h.run(["ZADD", "zset"] + (0..<20).flatMap { ["\($0)", "m\($0)"] })
        h.run(["HSET", "times"] + (0..<5).flatMap { ["f\($0)", "\($0)"] })
        h.run("HPEXPIRE", "times", "100000", "FIELDS", "1", "f1")
        for i in 0..<20 { h.run("XADD", "stream", "\(i + 1)-1", "f", "\(i)", "g\(i % 7)", "x") }
        h.run("XGROUP", "CREATE", "stream", "g", "0")
        h.run("XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", "stream", ">")
        h.run("XREADGROUP", "GROUP", "g", "d", "COUNT", "3", "STREAMS", "stream", ">")
        var whole = ["hash", "set", "list", "zset", "times", "stream"].map { h.bulk("DUMP", $0) }
        let text: (String) -> [UInt8] = { [UInt8($0.utf8.count)] + Array($0.utf8) }
        let ziplist = Self.string(Self.ziplist([text("a"), [0xF3], text("b"), [0xC0, 1, 2]]))
        for type: UInt8 in [10, 12, 13] { whole.append(Self.sealed([type] + ziplist)) }
        whole.append(Self.sealed([14, 1] + ziplist))
        whole.append(Self.sealed([9] + Self.string([1] + text("a") + [1, 2] + Array("1??".utf8) + [0xFF])))
        whole.append(Self.bytes("0b140400000003000000fbffffff01000000701101000a0086a0bbcf3a22ed25"))
        whole.append(Self.bytes("120102140e0000000200816102010181ff") + [UInt8](repeating: 0, count: 10))
        var refused = 0
        for round in 0..<TestScale.part(of: 8000) {
            let payload = whole[random.below(whole.count)]
            var body = Array(payload.dropLast(10))
            let version = payload[payload.count - 10] == 12 ? UInt8(12) : 10
            for _ in 0...random.below(3) {
                switch random.below(4) {
                case 0: body = Array(body.prefix(1 + random.below(body.count)))
                case 1: body[random.below(body.count)] = UInt8(truncatingIfNeeded: random.next())
                case 2: body[random.below(body.count)] ^= 1 << UInt8(random.below(8))
                default: body.insert(UInt8(truncatingIfNeeded: random.next()), at: 1 + random.below(body.count))
                }
            }
            let reply = restore(h, "k", Self.sealed(body, version: version), "REPLACE")
            if reply != "OK" { refused += 1 }
            #expect(reply == "OK" || reply.hasPrefix("-ERR"), "round \(round), seed \(seed)")
            if reply == "OK" {
                // Whatever it is now, it is whole.
                let type = h.run("TYPE", "k")
                let copy = type == "none" || type == "string" ? [] : h.bulk("DUMP", "k")
                if !copy.isEmpty {
                    #expect(restore(h, "again", copy, "REPLACE") == "OK", "round \(round), seed \(seed)")
                }
            }
        }
        #expect(refused > 1000)
    }
}
