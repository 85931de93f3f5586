// Jobs that fail: told once, tried again later and later, and nobody else waits.

import Synchronization
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct JobFailureTests {
    private static func plan(_ height: Int, _ lower: [UInt8], _ upper: [UInt8]) -> JobPlan {
        JobPlan(kind: .merge, reason: "a test", range: KeyRange(lower: lower, upper: upper), height: height)
    }

    private static let second: UInt64 = 1_000_000_000

    @Test func theDelayDoublesUpToAMinute() {
        #expect((1...9).map { JobFailures.delay(tries: $0) / Self.second } == [1, 2, 4, 8, 16, 32, 60, 60, 60])
        var failures = JobFailures()
        let plan = Self.plan(0, [1], [2])
        let error = StoreError(.corruption, "bad", path: "a", offset: 7)
        let isNews1 = failures.note(plan, error, now: 0)
        #expect(isNews1)
        #expect(failures.refuses(plan, now: Self.second - 1))
        #expect(!failures.refuses(plan, now: Self.second))
        let isNews2 = failures.note(plan, error, now: Self.second)
        #expect(!isNews2)
        #expect(failures.refuses(plan, now: 3 * Self.second - 1))
        #expect(failures.nextRetry == 3 * Self.second)
        failures.succeeded(plan)
        #expect(failures.items.isEmpty && failures.nextRetry == nil)
        let isNews3 = failures.note(plan, error, now: 0)
        #expect(isNews3)
    }

    @Test func onlyItsRangeOfItsLevelWaits() {
        var failures = JobFailures()
        _ = failures.note(Self.plan(0, [1], [2]), StoreError(.disk, "bad"), now: 0)
        #expect(failures.refuses(Self.plan(0, [1, 5], [9]), now: 1))
        #expect(!failures.refuses(Self.plan(0, [2], [3]), now: 1))
        #expect(!failures.refuses(Self.plan(1, [1], [2]), now: 1))
    }

    @Test func anotherFaultIsNews() {
        var failures = JobFailures()
        let plan = Self.plan(0, [1], [2])
        let isNews4 = failures.note(plan, StoreError(.corruption, "bad", path: "a", offset: 7), now: 0)
        #expect(isNews4)
        let isNews5 = failures.note(plan, StoreError(.corruption, "bad", path: "a", offset: 8), now: 0)
        #expect(isNews5)
        let isNews6 = failures.note(plan, StoreError(.noSpace, "full"), now: 0)
        #expect(isNews6)
        for n in 0..<200 {
            _ = failures.note(Self.plan(0, [3, UInt8(n)], [3, UInt8(n), 0]), StoreError(.disk, "x"), now: 0)
        }
        #expect(failures.items.count <= 64)
    }

    /// One file of a leaf is damaged. The merge that reads it fails and says where; all other places are worked on
    /// meanwhile, and it is tried again when its time has come.
    @Test func aDamagedFileHoldsUpItsOwnPlaceOnly() throws {
        let disk = SimulatedDisk()
        let subject = try TinyStore(disk) { $0.deletesEntriesMin = 100 }
        for n in 0..<3 { try subject.run(of: stride(from: n, to: 6000, by: 3)) }
        try subject.settle()
        try subject.store.mergeAll()
        try subject.settle()
        #expect(subject.store.root.height >= 1)
        let now = Guarded<UInt64>(Self.second)
        subject.controller.clock = { now.withLock { $0 } }

        var leaves: [Bucket] = []
        subject.store.root.forEach { if $0.isLeaf { leaves.append($0) } }
        let bad = try #require(leaves.first { !$0.runs.isEmpty })
        let file = try #require(bad.runs.first?.fragments.first?.file)
        let path = BucketManager.path("/store", file.id)
        var bytes = try disk.readFile(path)
        for at in 100..<200 { bytes[at] ^= 0x5a }
        let handle = try disk.open(path, .readWrite)
        try handle.write(bytes, at: 0)
        handle.close()

        // Deletes for every leaf: each is merged whole, the bad one as well.
        for n in 0..<6000 where n % 5 < 3 { try subject.delete(TinyStore.key(n)) }
        try subject.store.flushTables()
        var faults: [StoreError] = []
        func work() {
            for _ in 0..<1000 {
                do throws(StoreError) { if try !subject.controller.mergeOnce() { return } } catch {
                    faults.append(error)
                }
            }
            Issue.record("the work does not end")
        }
        work()
        let first = try #require(faults.first)
        #expect(first.kind == .corruption)
        #expect(first.path == path)
        #expect(first.offset >= 0)
        // Each place once.
        let places = subject.controller.ended.failures.count
        #expect(faults.count == places)
        #expect(subject.controller.counters.jobs["merge", default: 0] > 0)
        work()
        #expect(faults.count == places)
        now.withLock { $0 += Self.second }
        work()
        #expect(faults.count > places && faults.count <= 2 * places)
        #expect(subject.controller.ended.failures.allSatisfy { $0.tries == 2 })
        #expect(subject.controller.ended.jobs.contains { $0.outcome == "failed" })
        #expect(subject.store.root.fault() == nil)
    }

    @Test func theLastJobsAreKept() {
        var history = JobHistory()
        for n in 0..<100 {
            history.add(
                JobLine(
                    id: UInt64(n), kind: "push", reason: "a test", bytesRead: 1, bytesWritten: 2, milliseconds: 3,
                    outcome: "done"))
        }
        #expect(history.lines.count == JobHistory.linesMax)
        #expect(history.lines.last?.id == 99)
    }
}
