// Collections of versions over a store: what the filter drops is never missed by a reader, through merges, rewrites,
// restarts and crashes, and nothing dead stays on the disk.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct MergeFilterTests {
    private static let names = ["a", "b", "bb", "c", "collection"]

    @Test(arguments: 0..<6)
    func agreesWithModel(round: Int) throws {
        let run = try CollectionRun(
            TestSeed("MergeFilterTests \(round)"), policy: round % 2 == 0 ? .everySecond : .always)
        for step in 0..<150 {
            let name = MergeFilterTests.names[run.random.below(MergeFilterTests.names.count)]
            switch run.random.below(24) {
            case 0..<8:
                let fields = (0...run.random.below(30)).map { _ in "f\(run.random.below(60))" }
                let expiry = run.random.oneIn(4) ? run.clock.milliseconds + UInt64(1 + run.random.below(20)) : 0
                try run.add(name, fields, bytes: [0, 30, 90, 900][run.random.below(4)], expireAt: expiry)
            case 8, 9: try run.remove(name, "f\(run.random.below(60))")
            case 10..<13: try run.delete(name, byRange: run.random.oneIn(3), hints: run.random.oneIn(2))
            case 13: try run.expire(name, at: run.clock.milliseconds + UInt64(run.random.below(10)))
            case 14: run.clock.advance(UInt64(run.random.below(12)))
            case 15: try run.store.sync()
            case 16, 17: try run.store.flushTables()
            case 18: for _ in 0..<run.random.below(12) { if try !run.store.controller.mergeOnce() { break } }
            case 19: _ = try run.mergeUntilDone()
            case 20: if run.random.oneIn(3) { try run.store.mergeAll() }
            case 21:
                run.store.janitor.drain()
                try run.store.collectGarbage()
            case 22:
                let policy = [CrashPolicy.keepAll, .dropAll, .random, .torn][run.random.below(4)]
                try run.crash(policy, seed: run.random.next())
            default:
                try run.expectModel(MergeFilterTests.names)
                if step % 3 == 0 { expectExactGarbage(run.store, mayRepeat: true, run.context) }
            }
        }
        try run.expectModel(MergeFilterTests.names)
        try run.store.flushTables()
        try run.store.mergeAll()
        let (all, dead) = try run.elementsOnDisk()
        let now = run.clock.milliseconds
        let live = run.model.keys.reduce(0) { sum, name in
            sum + (run.live(name)?.elements.values.filter { $0.expireAt == 0 || $0.expireAt > now }.count ?? 0)
        }
        #expect(dead == 0, "\(run.context)")
        #expect(all == live, "\(run.context)")
        for _ in 0..<4 {
            run.store.janitor.drain()
            try run.store.collectGarbage()
        }
        expectExactGarbage(run.store, mayRepeat: true, run.context)
        let space = run.store.spaceStatistics.space
        #expect(space.deadTableBytes == 0 && space.deadValueBytes == 0, "\(run.context)")
        #expect(space.allocatedBytes <= 2 * space.liveBytes + 3 * run.options.segmentBytes, "\(run.context)")
        try run.expectModel(MergeFilterTests.names)
        #expect(run.filter.looks.withLock { $0 } <= run.filter.judged.withLock { $0 })
    }

    /// The log that a deletion takes does not grow with the collection.
    @Test(arguments: [true, false])
    func deletingIsSmall(byRange: Bool) throws {
        let run = try CollectionRun(TestSeed("MergeFilterTests.deletingIsSmall"))
        var bytes: [Int] = []
        for count in [3, 3000] {
            try run.add("big", (0..<count).map { "field:\($0)" }, bytes: 40)
            try run.store.sync()
            bytes.append(try run.delete("big", byRange: byRange))
        }
        #expect(bytes[0] > 0)
        #expect(bytes[0] == bytes[1])
    }

    /// A collection is deleted, the merge that drops its elements is durable, the power fails: the deletion is then
    /// durable too.
    @Test func aVerdictRestsOnWhatIsDurable() throws {
        let run = try CollectionRun(TestSeed("MergeFilterTests.aVerdictRestsOnWhatIsDurable"))
        try run.add("a", (0..<100).map { "field:\($0)" }, bytes: 40)
        try run.store.flushTables()
        let batch = WriteBatch()
        CollectionKeys.metadata("a").withView { batch.delete($0, prior: .present(hadExpiry: false)) }
        run.model["a"] = nil
        // Not written yet, let alone synced.
        try run.commit(batch)
        try run.store.mergeAll()
        #expect(try run.elementsOnDisk() == (0, 0))
        try run.crash(.dropAll, seed: 1)
        try run.expectModel(["a"])
    }

    /// A filter that cannot look keeps everything, and the failures are counted.
    @Test func aFailingFilterKeeps() throws {
        let run = try CollectionRun(TestSeed("MergeFilterTests.aFailingFilterKeeps"))
        try run.add("a", (0..<50).map { "field:\($0)" }, bytes: 40)
        try run.add("b", (0..<50).map { "field:\($0)" }, bytes: 100)
        try run.store.flushTables()
        try run.delete("a")
        run.filter.fails.withLock { $0 = true }
        try run.store.flushTables()
        try run.store.mergeAll()
        #expect(try run.elementsOnDisk() == (100, 50))
        #expect(run.store.controller.counters.filterFailures >= 100)
        #expect(run.store.controller.counters.entriesFiltered == 0)
        run.filter.fails.withLock { $0 = false }
        try run.store.mergeAll()
        #expect(try run.elementsOnDisk() == (50, 0))
        #expect(run.store.controller.counters.entriesFiltered == 50)
        try run.expectModel(["a", "b"])
    }

    /// An expired element is hidden as by a delete: what is older of it does not come back.
    @Test func anExpiredElementHidesOlderOnes() throws {
        let run = try CollectionRun(TestSeed("MergeFilterTests.anExpiredElementHidesOlderOnes")) {
            $0.pushBytes = 1 << 20
            $0.leafBytes = 1 << 20
            $0.mergeWidth = 2
        }
        let fields = (0..<40).map { "field:\($0)" }
        try run.add("a", fields, bytes: 100)
        try run.store.flushTables()
        try run.store.mergeAll()
        for _ in 0..<2 {
            try run.add("a", fields, bytes: 20, expireAt: run.clock.milliseconds + 10)
            try run.store.flushTables()
        }
        run.clock.advance(20)
        // Of the young runs alone, over the old one.
        _ = try run.mergeUntilDone()
        try run.expectModel(["a"])
        try run.store.mergeAll()
        #expect(try run.elementsOnDisk() == (0, 0))
        try run.expectModel(["a"])
        expectExactGarbage(run.store, mayRepeat: true, run.context)
    }

    /// Keys of other spaces cost the filter nothing, and merges without any do not even begin a step of it.
    @Test func isNotAskedAboutOthers() throws {
        let run = try CollectionRun(TestSeed("MergeFilterTests.isNotAskedAboutOthers"))
        let batch = WriteBatch()
        for round in 0..<4 {
            for number in 0..<200 {
                let key = [0, 0, 0, UInt8(1 + number % 2), 1] + Array("key:\(number)".utf8)
                key.withView { k in batch.put(k, tag: 1, value: k, prior: .unknown) }
            }
            try run.store.waitForLog(try run.store.commit(batch, mayBlock: true))
            batch.clear()
            try run.store.flushTables()
            if round % 2 == 1 { try run.store.mergeAll() }
        }
        #expect(run.filter.steps.withLock { $0 } == 0)
        #expect(run.filter.judged.withLock { $0 } == 0)
    }
}
