// Fields of hashes that expire: hidden at their millisecond, removed by the walk over their index, in both forms.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct FieldExpiryTests {
    /// A harness with the walk that removes what is due.
    private struct Bench {
        let h: Harness
        private(set) var walk: ExpiryWalk

        init(filter: Bool = false) throws {
            h = try Harness(filter: filter)
            walk = ExpiryWalk(h.keyspace, reader: StoreReader(h.store, mayBlock: true))
        }

        mutating func reopen() throws {
            // The walk keeps the old store open.
            try h.reopen()
            walk = ExpiryWalk(h.keyspace, reader: StoreReader(h.store, mayBlock: true))
        }

        @discardableResult
        func expire(
            deadline: UInt64 = UInt64.max, onRemoved: (([KeyEventRecord]) -> Void)? = nil
        ) throws -> ExpireProgress {
            try walk.expireSome(
                now: h.now, budget: 100_000, deadline: deadline, tryLock: { _ in true }, unlock: { _ in },
                onRemoved: onRemoved)
        }

        /// Keys of `space` behind namespace and space, in any database.
        func entries(_ space: UInt8) throws -> [[UInt8]] {
            let reader = StoreReader(h.store, mayBlock: true)
            reader.begin()
            defer { reader.end() }
            let low: [UInt8] = [0, 0, 0, 0]
            let high: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
            let cursor = try reader.cursor(lower: low.withView { $0 }, upper: high.withView { $0 })
            var found: [[UInt8]] = []
            try cursor.seekToFirst()
            while cursor.isValid {
                if cursor.key.count > 4 && cursor.key[4] == space { found.append(cursor.key.dropFirst(5).array) }
                try cursor.next()
            }
            return found
        }

        /// A hash with fields f0, f1, …
        func fill(_ key: String, _ count: Int) {
            h.run(["HSET", key] + (0..<count).flatMap { ["f\($0)", "value-\($0)"] })
        }
    }

    @Test(arguments: [4, 300]) func fieldsAreHiddenAtTheirTimeAndRemovedByTheWalk(count: Int) throws {
        let b = try Bench()
        b.fill("h", count)
        #expect(b.h.run("HPEXPIRE", "h", "100", "FIELDS", "2", "f0", "f1") == "[:1 :1]")
        #expect(b.h.run("HPEXPIRE", "h", "300", "FIELDS", "1", "f2") == "[:1]")
        b.h.clock.advance(99)
        try b.expire()
        #expect(b.h.run("HPTTL", "h", "FIELDS", "4", "f0", "f1", "f2", "f3") == "[:1 :1 :201 :-1]")
        b.h.clock.advance(1)
        #expect(b.h.run("HKEYS", "h").split(separator: " ").count == count - 2)
        #expect(b.h.run("HLEN", "h") == ":\(count)")
        #expect(try b.expire().removedFields == 2)
        #expect(b.h.run("HLEN", "h") == ":\(count - 2)")
        #expect(try b.entries(9).count == 1)
        b.h.clock.advance(200)
        #expect(try b.expire().removedFields == 1)
        #expect(b.h.run("HLEN", "h") == ":\(count - 3)")
        #expect(try b.entries(9).isEmpty)
        #expect(b.h.run("HPTTL", "h", "FIELDS", "1", "f3") == "[:-1]")
    }

    @Test(arguments: [3, 300]) func theLastFieldTakesTheHashAlongAndIsToldOf(count: Int) throws {
        let b = try Bench()
        b.fill("h", count)
        b.h.run(["HPEXPIRE", "h", "50", "FIELDS", "\(count)"] + (0..<count).map { "f\($0)" })
        b.h.clock.advance(50)
        var events: [String] = []
        let progress = try b.expire { records in
            events += records.map { "\($0.event.name) \(String(decoding: $0.key, as: UTF8.self))" }
        }
        #expect(progress.removedFields == count && progress.removed == 0)
        #expect(events == ["hexpired h", "del h"])
        #expect(b.h.run("EXISTS", "h") == ":0")
        #expect(b.h.run("DBSIZE") == ":0")
        #expect(try b.entries(9).isEmpty)
        #expect(try b.entries(2).isEmpty)
    }

    @Test func manyDueFieldsGoInPiecesAndNothingElseIsLookedAt() throws {
        let b = try Bench()
        b.fill("h", 3000)
        for i in stride(from: 0, to: 2000, by: 100) {
            b.h.run(["HPEXPIRE", "h", "\(10 + i / 100)", "FIELDS", "100"] + (i..<i + 100).map { "f\($0)" })
        }
        #expect(try b.entries(9).count == 1)
        b.h.clock.advance(1000)
        // A deadline that has passed: one piece, the rest the next time.
        let first = try b.expire(deadline: 1).removedFields
        #expect(first == 0)
        #expect(try b.expire().removedFields == 2000)
        #expect(b.h.run("HLEN", "h") == ":1000")
        #expect(try b.entries(2).count == 1001)
    }

    @Test(arguments: [3, 300]) func onlyTheEarliestTimeIsIndexed(count: Int) throws {
        let b = try Bench()
        b.fill("h", count)
        for i in 0..<3 { b.h.run("HPEXPIRE", "h", "\(300 - i * 100)", "FIELDS", "1", "f\(i)") }
        #expect(try b.entries(9).count == 1)
        // The earliest goes: the entry stays until its time, and then moves on.
        b.h.run("HDEL", "h", "f2")
        b.h.run("HSET", "h", "f1", "lives")
        b.h.clock.advance(150)
        #expect(try b.expire().removedFields == 0)
        #expect(try b.entries(9).count == 1)
        b.h.clock.advance(100)
        #expect(try b.expire().removedFields == 0)
        b.h.clock.advance(100)
        #expect(try b.expire().removedFields == 1)
        #expect(b.h.run("HMGET", "h", "f0", "f1") == "[nil \"lives\"]")
        #expect(try b.entries(9).isEmpty)
    }

    @Test(arguments: [3, 300]) func aHashMayGoOrMoveWithItsFieldsTimes(count: Int) throws {
        let b = try Bench(filter: true)
        for key in ["gone", "renamed", "copied", "moved", "replaced", "again"] {
            b.fill(key, count)
            b.h.run("HPEXPIRE", key, "100", "FIELDS", "1", "f0")
        }
        b.h.run("DEL", "gone")
        b.h.run("RENAME", "renamed", "to")
        b.h.run("COPY", "copied", "copy")
        b.h.run("MOVE", "moved", "1")
        b.h.run("SET", "replaced", "text")
        b.h.run("DEL", "again")
        b.h.run("HSET", "again", "f0", "lives")
        b.h.clock.advance(100)
        // Of to, copied, copy, and moved in its new database.
        #expect(try b.expire().removedFields == 4)
        #expect(try b.entries(9).isEmpty)
        #expect(b.h.run("HEXISTS", "to", "f0") == ":0")
        #expect(b.h.run("HLEN", "copy") == ":\(count - 1)")
        #expect(b.h.run("HLEN", "copied") == ":\(count - 1)")
        #expect(b.h.run("HGET", "again", "f0") == "\"lives\"")
        #expect(b.h.run("GET", "replaced") == "\"text\"")
        b.h.database = 1
        #expect(b.h.run("HLEN", "moved") == ":\(count - 1)")
    }

    @Test(arguments: [3, 300]) func settingAnExpiredFieldMakesItNew(count: Int) throws {
        let b = try Bench()
        b.fill("h", count)
        b.h.run("HPEXPIRE", "h", "10", "FIELDS", "3", "f0", "f1", "f2")
        b.h.clock.advance(10)
        let replies = b.h.exec([
            ["HDEL", "h", "f0"], ["HSETNX", "h", "f0", "new"], ["HSET", "h", "f1", "new"], ["HINCRBY", "h", "f2", "7"],
        ])
        #expect(replies == [":0", ":1", ":1", ":7"])
        #expect(try b.expire().removedFields == 0)
        #expect(b.h.run("HLEN", "h") == ":\(count)")
        #expect(b.h.run("HTTL", "h", "FIELDS", "3", "f0", "f1", "f2") == "[:-1 :-1 :-1]")
    }

    @Test(arguments: [3, 300]) func whoMeetsAnExpiredFieldHasItRemoved(count: Int) throws {
        let b = try Bench()
        b.fill("h", count)
        b.h.run(["HPEXPIRE", "h", "10", "FIELDS", "\(count)"] + (0..<count).map { "f\($0)" })
        b.h.run("HPEXPIRE", "h", "20", "FIELDS", "1", "f0")
        b.h.clock.advance(10)
        #expect(b.h.run("HTTL", "h", "FIELDS", "2", "f1", "f0") == "[:-2 :1]")
        #expect(b.h.run("HLEN", "h") == ":1")
        b.h.clock.advance(10)
        #expect(b.h.run("HGET", "h", "f0") == "nil")
        #expect(b.h.run("EXISTS", "h") == ":0")
        #expect(try b.entries(9).isEmpty)
    }

    @Test func inOneTransactionEverythingIsSeenAtOnce() throws {
        let b = try Bench()
        let replies = b.h.exec([
            ["HSET", "h", "a", "1", "b", "2"], ["HPEXPIRE", "h", "50", "FIELDS", "1", "a"],
            ["HPTTL", "h", "FIELDS", "2", "a", "b"], ["HPERSIST", "h", "FIELDS", "1", "a"],
            ["HPEXPIRE", "h", "70", "FIELDS", "1", "b"], ["RENAME", "h", "g"], ["HPTTL", "g", "FIELDS", "2", "a", "b"],
        ])
        #expect(replies == [":2", "[:1]", "[:50 :-1]", "[:1]", "[:1]", "OK", "[:-1 :70]"])
        b.h.clock.advance(70)
        #expect(try b.expire().removedFields == 1)
        #expect(b.h.run("HGETALL", "g") == "[\"a\" \"1\"]")
    }

    @Test func aWalkLeavesTakenStripesForLater() throws {
        let b = try Bench()
        b.fill("h", 3)
        b.h.run("HPEXPIRE", "h", "10", "FIELDS", "1", "f0")
        b.h.clock.advance(10)
        let none = try b.walk.expireSome(now: b.h.now, budget: 100, tryLock: { _ in false }, unlock: { _ in })
        #expect(none.removedFields == 0)
        var locked: Set<Int> = []
        let some = try b.walk.expireSome(
            now: b.h.now, budget: 100, tryLock: { locked.insert($0).inserted }, unlock: { locked.remove($0) })
        #expect(some.removedFields == 1)
        #expect(locked.isEmpty)
    }

    // MARK: Against a model

    private struct Field {
        var value: String
        /// 0: never.
        var expireAt: UInt64 = 0
    }

    @Test(arguments: 0..<4) func answersAreThoseOfTheModel(round: Int) throws {
        let seed = TestSeed("expiring fields against a model").value &+ UInt64(round)
        var random = SeededRandom(seed: seed)
        var b = try Bench(filter: true)
        let h = b.h
        var model: [String: Field] = [:]
        func live(_ name: String) -> Field? {
            model[name].flatMap { $0.expireAt != 0 && $0.expireAt <= h.now ? nil : $0 }
        }
        func check(_ got: String, _ want: String, _ what: String) { #expect(got == want, "\(what), seed \(seed)") }
        for step in 0..<TestScale.part(of: 3000) {
            let grows = step / 500 % 2 == 0
            let name = "m\(random.below(90))"
            let old = live(name)
            switch random.below(14) {
            case 0...2:
                if random.below(10) < (grows ? 8 : 2) {
                    let value = String(repeating: "v", count: random.below(40)) + "\(step)"
                    check(h.run("HSET", "h", name, value), old == nil ? ":1" : ":0", "HSET")
                    model[name] = Field(value: value)
                } else {
                    check(h.run("HDEL", "h", name), old == nil ? ":0" : ":1", "HDEL")
                    if old != nil { model[name] = nil }
                }
            case 3...5:
                let milliseconds = random.below(200)
                let want = old == nil ? ":-2" : milliseconds == 0 ? ":2" : ":1"
                check(h.run("HPEXPIRE", "h", "\(milliseconds)", "FIELDS", "1", name), "[\(want)]", "HPEXPIRE")
                if var field = old {
                    field.expireAt = h.now + UInt64(milliseconds)
                    model[name] = milliseconds == 0 ? nil : field
                }
            case 6:
                let want = old == nil ? ":-2" : old?.expireAt == 0 ? ":-1" : ":1"
                check(h.run("HPERSIST", "h", "FIELDS", "1", name), "[\(want)]", "HPERSIST")
                if old != nil { model[name]?.expireAt = 0 }
            case 7:
                let milliseconds = 1 + random.below(100)
                check(
                    h.run("HSETEX", "h", "PX", "\(milliseconds)", "FIELDS", "1", name, "\(step)"), ":1", "HSETEX")
                model[name] = Field(value: "\(step)", expireAt: h.now + UInt64(milliseconds))
            case 8:
                let want = old.map { "[\"\($0.value)\"]" } ?? "[nil]"
                if random.oneIn(2) {
                    check(h.run("HGETDEL", "h", "FIELDS", "1", name), want, "HGETDEL")
                    if old != nil { model[name] = nil }
                } else {
                    check(h.run("HGETEX", "h", "PX", "90", "FIELDS", "1", name), want, "HGETEX")
                    if old != nil { model[name]?.expireAt = h.now + 90 }
                }
            case 9, 10:
                h.clock.advance(UInt64(random.below(20)))
                try b.expire()
                model = model.filter { live($0.key) != nil }
                check(h.run("HLEN", "h"), ":\(model.count)", "HLEN")
                check(h.run("EXISTS", "h"), model.isEmpty ? ":0" : ":1", "EXISTS")
            case 11:
                let left = old.map { $0.expireAt == 0 ? ":-1" : ":\($0.expireAt - h.now)" } ?? ":-2"
                check(h.run("HPTTL", "h", "FIELDS", "1", name), "[\(left)]", "HPTTL")
                check(h.run("HGET", "h", name), old.map { "\"\($0.value)\"" } ?? "nil", "HGET")
            case 12:
                let names = h.run("HKEYS", "h").dropFirst().dropLast().split(separator: " ")
                #expect(
                    Set(names.map { String($0.dropFirst().dropLast()) })
                        == Set(model.keys.filter { live($0) != nil }), "seed \(seed)")
            default:
                if random.oneIn(4), h.run("RENAME", "h", "g") == "OK" { h.run("RENAME", "g", "h") }
                if random.oneIn(20) { try b.reopen() }
                if random.oneIn(20) { try h.store.mergeAll() }
            }
        }
        // When everything has passed, nothing is left but what never expires, and no entry of either index.
        h.clock.advance(100_000)
        try b.expire()
        model = model.filter { live($0.key) != nil }
        check(h.run("HLEN", "h"), ":\(model.count)", "HLEN at the end")
        #expect(try b.entries(9).isEmpty, "seed \(seed)")
        // Behind the id of eight bytes: 2, fields in the order of their times.
        #expect(try b.entries(2).allSatisfy { $0.count < 9 || $0[8] != 2 }, "seed \(seed)")
    }
}
