// What is deleted as a range, or said to be dead, is counted as garbage at once, and jobs go there by themselves.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct DeadRangeTests {
    private static func fields(_ count: Int) -> [String] { (0..<count).map { "field:\(10_000 + $0)" } }

    private static func make(_ change: (inout StoreOptions) -> Void = { _ in }) throws -> CollectionRun {
        let run = try CollectionRun(TestSeed("DeadRangeTests")) {
            $0.tableBytes = 1 << 20
            $0.leafBytes = 1 << 20
            $0.pushBytes = 1 << 20
            $0.tableFileBytes = 16 << 10
            change(&$0)
        }
        for name in ["a", "big", "c"] { try run.add(name, fields(500), bytes: 100) }
        try run.store.flushTables()
        try run.store.mergeAll()
        try run.store.collectGarbage()
        return run
    }

    /// Bytes of entries of a collection in tables, about: a third of all.
    private static func tableBytes(_ run: CollectionRun) -> Int { run.store.statistics.tableFileBytes }

    @Test(arguments: [true, false])
    func countsAtOnceAndComesBack(byRange: Bool) throws {
        let run = try DeadRangeTests.make()
        let before = DeadRangeTests.tableBytes(run)
        let space = run.store.spaceStatistics.space
        #expect(space.deadTableBytes == 0 && space.deadValueBytes == 0)
        try run.delete("big", byRange: byRange)
        let after = run.store.spaceStatistics.space
        #expect(after.deadTableBytes > before / 4 && after.deadTableBytes < before / 2)
        #expect(after.deadValueBytes > space.referencedBytes / 4)
        #expect(after.deadValueBytes < space.referencedBytes / 2 + 1)
        #expect(after.hiddenBytes >= after.deadValueBytes)
        try run.store.flushTables()
        let reasons = try run.mergeUntilDone()
        #expect(reasons.contains(byRange ? "a range was deleted" : "dead by the layer above"))
        #expect(try run.elementsOnDisk() == (1000, 0))
        #expect(DeadRangeTests.tableBytes(run) < before * 4 / 5)
        try run.store.collectGarbage()
        let end = run.store.spaceStatistics.space
        #expect(end.deadTableBytes == 0 && end.deadValueBytes == 0)
        #expect(run.store.controller.logManager.deadHints.isEmpty)
        #expect(run.store.statistics.rangeTombstones == 0)
        expectExactGarbage(run.store, mayRepeat: true, run.context)
        try run.expectModel(["a", "big", "c"])
    }

    /// Only the files with dead parts are read.
    @Test func leavesOtherFilesAlone() throws {
        let run = try DeadRangeTests.make()
        let before = run.store.controller.counters.mergeBytesRead
        let all = DeadRangeTests.tableBytes(run)
        try run.delete("big")
        _ = try run.mergeUntilDone()
        let read = Int(run.store.controller.counters.mergeBytesRead - before)
        #expect(try run.elementsOnDisk() == (1000, 0))
        #expect(read > 0 && read < all * 2 / 3, "\(read) of \(all)")
    }

    /// A restart forgets hints, not deletions; a merge that comes by for another reason still finds what is dead.
    @Test func aRestartForgetsHints() throws {
        let run = try DeadRangeTests.make()
        try run.delete("big")
        try run.store.flushTables()
        try run.crash(.keepAll, seed: 1)
        #expect(run.store.spaceStatistics.space.deadTableBytes == 0)
        #expect(try run.elementsOnDisk() == (1500, 500))
        try run.store.mergeAll()
        #expect(try run.elementsOnDisk() == (1000, 0))
    }

    /// A hint is never more than that: what the filter keeps stays.
    @Test func aWrongHintDoesNothing() throws {
        let run = try DeadRangeTests.make()
        // The merges before are no answer to a hint that comes after a write.
        try run.add("a", ["field:10000"], bytes: 100)
        let lower = CollectionKeys.elements("big", 0)
        lower.withView { l in
            CollectionKeys.end(Array(lower.dropLast(8))).withView { run.store.noteDead(l, $0) }
        }
        #expect(run.store.spaceStatistics.space.deadTableBytes > 0)
        #expect(try run.mergeUntilDone().contains("dead by the layer above"))
        #expect(try run.elementsOnDisk() == (1500, 0))
        // What was written before the hint has to be in the tables before the hint can go.
        try run.store.collectGarbage()
        #expect(!run.store.controller.logManager.deadHints.isEmpty)
        try run.store.flushTables()
        try run.store.collectGarbage()
        #expect(run.store.controller.logManager.deadHints.isEmpty)
        #expect(run.store.spaceStatistics.space.deadTableBytes == 0)
        try run.expectModel(["a", "big", "c"])
    }

    /// Small deletions do not bring on the rewriting of large files, until there are very many of them.
    @Test func manyRangeDeletionsBecomeFew() throws {
        let run = try DeadRangeTests.make { $0.rangeDeletionsMax = 64 }
        func delete(_ numbers: some Sequence<Int>) throws {
            for number in numbers {
                let field = "field:\(10_000 + number)"
                let lower = CollectionKeys.elements("big", run.model["big"]?.version ?? 0) + Array(field.utf8)
                let batch = WriteBatch()
                lower.withView { l in (lower + [0]).withView { batch.deleteRange(l, $0) } }
                run.model["big"]?.elements[field] = nil
                try run.commit(batch)
            }
            try run.store.flushTables()
        }
        try delete(stride(from: 0, to: 400, by: 20))
        #expect(try run.mergeUntilDone() == [])
        #expect(run.store.statistics.rangeTombstones == 20)
        try delete(stride(from: 10, to: 400, by: 20))
        #expect(try run.mergeUntilDone().contains("a range was deleted"))
        #expect(run.store.statistics.rangeTombstones == 0)
        try run.expectModel(["a", "big", "c"])
    }
}
