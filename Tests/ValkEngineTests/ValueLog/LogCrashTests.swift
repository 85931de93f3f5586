// What is left of the log after the power or the process has gone at any moment.
//
// The oracle, whatever happened: replay yields a prefix of what was added, in whole batches, that holds everything that
// was durable (after a power loss) or written (after a kill) before. A second crash during recovery changes nothing.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// What a script has seen promised up to its death.
private final class Promises {
    /// All records in the order in which they were added, over all lives of the log.
    var added: [Written] = []
    /// Sequences up to this were synced, or written.
    var durable: UInt64 = 0
    var written: UInt64 = 0
    /// The checkpoint: records up to `flushed` need not be in the log any more.
    var checkpoint = LogPosition.zero
    var flushed: UInt64 = 0
}

@Suite struct LogCrashTests {
    /// Adds, writes, syncs, rolls, flushes tables and retires segments, in `lives` lives with a recovery between.
    private static func script(_ disk: any Disk, _ promises: Promises, policy: SyncPolicy, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var retired: UInt32 = 1
        for _ in 0..<3 {
            let (fixture, _) = try recover(disk, promises, policy: policy)
            for _ in 0..<8 {
                let batch = (0..<1 + random.below(3)).map { _ in Written.random(&random, valueBytesMax: 24_000) }
                fixture.log.commitLock.lock()
                let before = fixture.log.replayPosition
                fixture.log.commitLock.unlock()
                let sequenceBefore = fixture.sequence
                let added = try fixture.add(batch)
                promises.added += added.records
                if random.oneIn(3) { continue }
                _ = try fixture.log.flush(upTo: added.position)
                promises.written = fixture.sequence
                if fixture.log.durable >= added.position { promises.durable = fixture.sequence }
                guard random.oneIn(3) else { continue }
                try fixture.log.sync()
                promises.durable = fixture.sequence
                // A table with everything before this batch has been flushed, and that is recorded.
                guard random.oneIn(2) else { continue }
                promises.checkpoint = before
                promises.flushed = sequenceBefore
                for segment in retired..<max(retired, before.segment) { fixture.log.retire(segment) }
                retired = max(retired, before.segment)
            }
            if random.oneIn(2) { try fixture.log.close() }
        }
    }

    private static func recover(
        _ disk: any Disk, _ promises: Promises, policy: SyncPolicy
    ) throws -> (LogFixture, [Written]) {
        let (records, report) = try LogFixture.replay(
            disk, "/log", from: promises.checkpoint, after: promises.flushed, floor: promises.checkpoint)
        let last = max(report.lastSequence, promises.flushed)
        // What was not recovered never was: the next life numbers from here.
        promises.added.removeAll { $0.sequence > last }
        promises.written = min(promises.written, last)
        promises.durable = min(promises.durable, last)
        let fixture = try LogFixture(
            disk, "/log", options: LogFixture.quiet(policy: policy), resume: report.resume, lastSequence: last)
        // Opening has synced what replay read.
        promises.written = last
        promises.durable = last
        return (fixture, records)
    }

    /// Checks the oracle on `disk`; returns what replay said.
    private static func check(_ disk: any Disk, _ promises: Promises, promised: UInt64, _ context: String) throws {
        let (records, _) = try LogFixture.replay(
            disk, "/log", from: promises.checkpoint, after: promises.flushed, floor: promises.checkpoint)
        let expected = promises.added.filter { $0.sequence > promises.flushed }
        #expect(records == Array(expected.prefix(records.count)), "no prefix: \(context)")
        let last = max(records.last?.sequence ?? 0, promises.flushed)
        #expect(last >= promised, "lost \(promised - last) promised records: \(context)")
        if let last = records.last { #expect(last.endsBatch, "half a batch: \(context)") }
    }

    @Test(arguments: [SyncPolicy.always, .everySecond], [1, 2, 3] as [UInt64])
    func crashAtEveryOperation(policy: SyncPolicy, script: UInt64) throws {
        let seed = TestSeed("crashAtEveryOperation \(policy) \(script)").value
        let whole = SimulatedDisk()
        try LogCrashTests.script(whole, Promises(), policy: policy, seed: seed &+ script)
        let operations = whole.operationCount
        #expect(operations > 40)
        for operation in 1...operations {
            let disk = SimulatedDisk()
            let promises = Promises()
            disk.crashAt(operation: operation)
            do {
                try LogCrashTests.script(disk, promises, policy: policy, seed: seed &+ script)
            } catch {}
            #expect(disk.isCrashed)
            for crash in [CrashPolicy.keepAll, .dropAll, .random, .torn] {
                for variant in 0..<(crash == .keepAll || crash == .dropAll ? 1 : 3) {
                    let context = "operation \(operation) of \(operations), \(crash) \(variant)"
                    let clone = disk.crashClone(seed: UInt64(operation * 10 + variant), policy: crash)
                    let promised = crash == .keepAll ? promises.written : promises.durable
                    try LogCrashTests.check(clone, promises, promised: promised, context)
                    guard variant == 0 else { continue }
                    try LogCrashTests.crashDuringRecovery(clone, promises, policy, promised, context)
                }
            }
        }
    }

    /// Recovers, adds a batch, and crashes at some operation of that; the records of before must still be there.
    private static func crashDuringRecovery(
        _ disk: SimulatedDisk, _ before: Promises, _ policy: SyncPolicy, _ promised: UInt64, _ context: String
    ) throws {
        let promises = Promises()
        promises.added = before.added
        promises.checkpoint = before.checkpoint
        promises.flushed = before.flushed
        disk.crashAt(operation: disk.operationCount + 1 + Int(promised % 9))
        // What a kill left written is durable only once recovery has synced it.
        var promised = before.durable
        do {
            let (fixture, _) = try recover(disk, promises, policy: policy)
            promised = fixture.sequence
            promises.added += try fixture.add([.put("again", "1"), .put("twice", bytes: 5000, isSeparated: true)])
                .records
            try fixture.log.sync()
            promised = fixture.sequence
        } catch {}
        for crash in [CrashPolicy.dropAll, .torn] {
            let clone = disk.crashClone(seed: promised, policy: crash)
            try check(clone, promises, promised: promised, "second crash, \(crash), after \(context)")
        }
    }

    /// The tests above must notice a log that forgets its syncs.
    @Test(arguments: ["segment", "directory"])
    func forgottenSyncsAreNoticed(which: String) throws {
        let disk = SimulatedDisk()
        var mutation = SimulatedDisk.Mutation()
        if which == "segment" { mutation.ignoresSync = { _ in true } }
        if which == "directory" { mutation.ignoresDirectorySync = { $0 == "/log" } }
        disk.mutation = mutation
        let promises = Promises()
        try LogCrashTests.script(disk, promises, policy: .always, seed: 7)
        let clone = disk.crashClone(seed: 1, policy: .dropAll)
        let found = try? LogFixture.replay(
            clone, "/log", from: promises.checkpoint, after: promises.flushed, floor: promises.checkpoint)
        #expect((found?.records.last?.sequence ?? 0) < promises.durable)
        #expect(disk.ignoredSyncCount > 0)
    }
}
