// SCAN's promise: a full iteration returns every key that was there throughout, at least once, whatever happens between
// its calls: inserts, deletes, other iterations, dropped bookmarks, restarts.

import Testing
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkTestSupport

@Suite struct ScanBookmarkTests {
    private static func key(_ random: inout SeededRandom) -> String {
        // Few letters and short words, so that keys come and go between bookmarks.
        String((0..<1 + random.below(4)).map { _ in ["a", "b", "c", "d"][random.below(4)] as Character })
    }

    /// Several iterations at once over a changing key space. `between` runs now and then between two calls.
    func iterate(
        _ name: String, rounds: Int, bookmarks: Int = ScanBookmarks.countMax, reopenEvery: Int? = nil
    ) throws {
        var random = TestSeed(name).random
        let h = try Harness(bookmarks: bookmarks)
        var present: Set<String> = []
        for _ in 0..<200 {
            let key = Self.key(&random)
            h.run("SET", key, "v")
            present.insert(key)
        }
        struct Iteration {
            var cursor = "0"
            var throughout: Set<String>
            var seen: Set<String> = []
            var calls = 0
        }
        var running = (0..<3).map { _ in Iteration(throughout: present) }
        var finished = 0
        for round in 0..<rounds {
            for _ in 0..<random.below(6) {
                let key = Self.key(&random)
                if random.oneIn(2) {
                    h.run("SET", key, "v")
                    present.insert(key)
                } else {
                    h.run("DEL", key)
                    present.remove(key)
                    for i in running.indices { running[i].throughout.remove(key) }
                }
            }
            if let reopenEvery, round % reopenEvery == reopenEvery - 1 { try h.reopen() }
            let i = random.below(running.count)
            let reply = ScanCommandTests.scan(h, running[i].cursor, "COUNT", "\(1 + random.below(12))")
            running[i].seen.formUnion(reply.keys)
            running[i].calls += 1
            if reply.cursor != "0" {
                let (old, new) = (try #require(UInt64(running[i].cursor)), try #require(UInt64(reply.cursor)))
                #expect(new > old, "cursors only grow")
                running[i].cursor = reply.cursor
                #expect(running[i].calls < 100_000)
            } else {
                let missed = running[i].throughout.subtracting(running[i].seen)
                #expect(
                    missed.count == 0, "\(missed.sorted().prefix(5)) after \(running[i].calls) calls in round \(round)")
                finished += 1
                running[i] = Iteration(throughout: present)
            }
        }
        // Fewer bookmarks than iterations: they send each other back for ever, and only repetition is promised.
        if bookmarks >= 8 { #expect(finished > 3) }
    }

    @Test func nothingIsMissedWhileKeysChange() throws { try iterate("nothingIsMissedWhileKeysChange", rounds: 6000) }

    @Test(arguments: [1, 2, 3, 8, 40])
    func nothingIsMissedWhenBookmarksAreDropped(_ count: Int) throws {
        try iterate("nothingIsMissedWhenBookmarksAreDropped(\(count))", rounds: 3000, bookmarks: count)
    }

    @Test func bookmarksAreShared() throws {
        let h = try Harness()
        for i in 0..<100 { h.run("SET", "k\(100 + i)", "v") }
        for _ in 0..<5 { #expect(ScanCommandTests.scanAll(h).count == 100) }
        #expect(h.keyspace.bookmarks.list(namespace: h.keyspace.namespace(0)).count == 9)
    }

    @Test func labelsOrderAsKeys() throws {
        var random = TestSeed("labelsOrderAsKeys").random
        let h = try Harness(bookmarks: 50)
        for i in 0..<500 { h.run("SET", "k\(1000 + i)", "v") }
        for _ in 0..<300 {
            var cursor = "0"
            for _ in 0..<random.below(20) {
                cursor = ScanCommandTests.scan(h, cursor, "COUNT", "\(1 + random.below(60))").cursor
                if cursor == "0" { break }
            }
            let list = h.keyspace.bookmarks.list(namespace: h.keyspace.namespace(0))
            #expect(list.count <= 50)
            for (a, b) in zip(list, list.dropFirst()) {
                #expect(a.label < b.label)
                #expect(a.key.lexicographicallyPrecedes(b.key))
            }
        }
    }

    @Test func aFullGapGivesLongerAnswers() throws {
        let h = try Harness()
        for i in 0..<64 { h.run("SET", "k\(100 + i)", "v") }
        let far = ScanCommandTests.scan(h, "0", "COUNT", "60")
        // Halving the same gap again and again leaves no label at last.
        var smallest = UInt64.max
        for count in stride(from: 59, through: 1, by: -1) {
            let reply = ScanCommandTests.scan(h, "0", "COUNT", "\(count)")
            smallest = min(smallest, UInt64(reply.cursor) ?? 0)
            #expect(reply.keys.count >= count && reply.keys.count <= 60)
            #expect(UInt64(reply.cursor) ?? 0 <= UInt64(far.cursor) ?? 0)
        }
        #expect(smallest >= 1)
        #expect(Set(ScanCommandTests.scanAll(h, "COUNT", "1")).count == 64)
    }

    @Test func flushForgetsBookmarks() throws {
        let h = try Harness()
        for i in 0..<100 { h.run("SET", "k\(i)", "v") }
        let cursor = ScanCommandTests.scan(h, "0").cursor
        h.run("FLUSHDB")
        for i in 0..<5 { h.run("SET", "a\(i)", "v") }
        let reply = ScanCommandTests.scan(h, cursor)
        #expect(reply.keys.count == 5 && reply.cursor == "0")
    }
}
