// The log with its threads: group commit, hand-over, waiting, and what happens when the disk fails or is full.

import Glibc
import Synchronization
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Pointers that a writer has added, for readers to follow.
private final class Added: @unchecked Sendable {  // Guarded by `lock`.
    private let lock = Lock()
    private var pointers: [ValuePointer] = []
    private var isDone = false
    func append(_ pointer: ValuePointer) { lock.withLock { pointers.append(pointer) } }
    func finish() { lock.withLock { isDone = true } }
    /// How many there are, one by chance (the newest ones likelier), and whether no more will come.
    func pick(_ random: inout SeededRandom) -> (index: Int, pointer: ValuePointer)? {
        lock.withLock {
            if pointers.isEmpty { return nil }
            let back = random.oneIn(2) ? random.below(min(4, pointers.count)) : random.below(pointers.count)
            let index = pointers.count - 1 - back
            return (index, pointers[index])
        }
    }
    var isFinished: Bool { lock.withLock { isDone } }
}

@Suite struct LogThreadTests {
    private static func options(_ policy: SyncPolicy, segmentBytes: Int = 1 << 20) -> LogOptions {
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        options.policy = policy
        options.syncIntervalMilliseconds = 5
        return options
    }

    /// Several threads add batches of their own and wait for each; everything is there afterwards, batches whole and
    /// each thread's in its order.
    @Test(arguments: [SyncPolicy.always, .everySecond, .no])
    func severalThreadsCommit(policy: SyncPolicy) throws {
        let folder = TemporaryFolder()
        let disk = PosixDisk()
        let directory = folder.file("log")
        try disk.createDirectory(directory)
        let log = try ValueLog(
            disk: disk, directory: directory, storeId: testStore, options: LogThreadTests.options(policy))
        let sequence = Atomic<UInt64>(0)
        let rounds = 200
        let threads = (0..<4).map { thread in
            PThread(name: "writer") {
                for round in 0..<rounds {
                    let key = Array("t\(thread).\(round)".utf8)
                    let value = [UInt8](repeating: UInt8(thread), count: 100 + round * 30)
                    log.commitLock.lock()
                    let position: LogPosition
                    do {
                        try log.reserve(3 * 20_000, mayBlock: true)
                        for part in 0..<3 {
                            let next = sequence.wrappingAdd(1, ordering: .relaxed).newValue
                            key.withView { key in
                                value.withView { value in
                                    _ = log.add(
                                        .put, flags: [], tag: UInt8(part), expireAt: 0, sequence: next, key: key,
                                        value: value, isSeparated: part == 1)
                                }
                            }
                        }
                        position = log.endBatch()
                        log.commitLock.unlock()
                        try log.waitUntilAcknowledged(position)
                    } catch {
                        log.commitLock.unlock()
                        Issue.record("thread \(thread) round \(round): \(error)")
                        return
                    }
                    if log.acknowledged < position { Issue.record("not acknowledged") }
                    if policy == .always && log.durable < position { Issue.record("not durable") }
                }
            }
        }
        for thread in threads { thread.join() }
        let statistics = log.statistics
        try log.close()
        let (records, report) = try LogFixture.replay(disk, directory)
        #expect(records.count == 4 * rounds * 3)
        #expect(report.tornTail == nil)
        var next = [Int](repeating: 0, count: 4)
        for (index, record) in records.enumerated() {
            #expect(record.endsBatch == (index % 3 == 2))
            let thread = Int(record.value[0])
            #expect(record.key == Array("t\(thread).\(next[thread] / 3)".utf8))
            next[thread] += 1
        }
        if policy == .always { #expect(statistics.syncs <= statistics.framesWritten + 10) }
    }

    /// Whoever finds its batch written by another thread does not wait for anybody to tell it: nobody would.
    @Test func whatAnotherThreadHasWrittenIsAcknowledged() throws {
        let folder = TemporaryFolder()
        let fixture = try LogFixture(PosixDisk(), folder.file("log"), options: LogThreadTests.options(.no))
        let log = fixture.log
        let sequence = Atomic<UInt64>(0)
        let left = Atomic<Int>(0)
        let threads = (0..<2).map { _ in
            PThread(name: "writer") {
                let key: [UInt8] = [1, 2, 3]
                for _ in 0..<30_000 {
                    log.commitLock.lock()
                    do {
                        try log.reserve(4096, mayBlock: true)
                        let next = sequence.wrappingAdd(1, ordering: .relaxed).newValue
                        key.withView {
                            _ = log.add(
                                .put, flags: [], tag: 0, expireAt: 0, sequence: next, key: $0, value: $0,
                                isSeparated: false)
                        }
                        let position = log.endBatch()
                        log.commitLock.unlock()
                        if try !log.flush(upTo: position, maySync: true) { left.wrappingAdd(1, ordering: .relaxed) }
                    } catch {
                        log.commitLock.unlock()
                        Issue.record("\(error)")
                        return
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(left.load(ordering: .relaxed) == 0)
        try log.close()
    }

    /// Readers follow pointers from the moment they are handed out: from the open frame, from queued ones, from the
    /// file, while frames are written, segments roll and are synced.
    @Test(arguments: [SyncPolicy.always, .everySecond])
    func valuesCanBeReadAtAnyMoment(policy: SyncPolicy) throws {
        let folder = TemporaryFolder()
        var options = LogThreadTests.options(policy, segmentBytes: 64 << 10)
        options.pendingBytesMax = 256 << 10
        let fixture = try LogFixture(PosixDisk(), folder.file("log"), options: options)
        let log = fixture.log
        let added = Added()
        let seed = TestSeed("valuesCanBeReadAtAnyMoment").value
        let reads = Atomic<Int>(0)
        let readers = (0..<2).map { reader in
            PThread(name: "reader") {
                var random = SeededRandom(seed: seed &+ UInt64(reader))
                var buffer = ByteBuffer()
                while !added.isFinished {
                    guard let (index, pointer) = added.pick(&random) else { continue }
                    let key = Array("key\(index)".utf8)
                    do {
                        let isRight = try withUnsafeMutablePointer(to: &buffer) { buffer in
                            buffer.pointee.removeAll()
                            return try key.withUnsafeBytes { raw in
                                let value = try log.readValue(
                                    pointer, key: ByteView(raw), into: buffer, mayBlock: reader == 0)
                                return value.count == 100 + index % 3000
                                    && value.buffer.allSatisfy { $0 == UInt8(truncatingIfNeeded: index) }
                            }
                        }
                        if !isRight { Issue.record("value \(index) is wrong") }
                        reads.wrappingAdd(1, ordering: .relaxed)
                    } catch {
                        if error as? Interruption != .wouldBlock { Issue.record("value \(index): \(error)") }
                    }
                }
            }
        }
        for index in 0..<600 {
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 100 + index % 3000)
            let result = try fixture.add([Written(key: Array("key\(index)".utf8), value: value, isSeparated: true)])
            added.append(result.pointers[0])
            if index % 5 == 4 { _ = try log.flush(upTo: result.position) }
            if index % 100 == 99 { try log.waitUntilAcknowledged(result.position) }
        }
        added.finish()
        for reader in readers { reader.join() }
        #expect(reads.load(ordering: .relaxed) > 0)
        #expect(fixture.events.damages.isEmpty)
        try log.close()
        #expect(try LogFixture.replay(PosixDisk(), folder.file("log")).records.count == 600)
    }

    @Test func alwaysAnswersLaterAndTellsTheObservers() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogThreadTests.options(.always))
        let lock = Lock()
        let changed = Condition()
        nonisolated(unsafe) var wakes = 0
        fixture.log.addObserver {
            lock.withLock {
                wakes += 1
                changed.signal()
            }
        }
        let added = try fixture.add([.put("a", "1")])
        if try !fixture.log.flush(upTo: added.position) {
            lock.withLock {
                while fixture.log.acknowledged < added.position { changed.wait(lock) }
            }
            #expect(lock.withLock { wakes } > 0)
        }
        #expect(fixture.log.durable >= added.position)
        fixture.log.setPolicy(.no)
        let later = try fixture.add([.put("b", "1")])
        try fixture.log.waitUntilAcknowledged(later.position)
        #expect(fixture.log.written >= later.position)
        try fixture.log.close()
    }

    /// Whoever waits for the log anyway writes for itself while a sync runs: two changes of thread cost more.
    @Test func whoWaitsWritesDuringASync() throws {
        let fixture = try LogFixture(SimulatedDisk(), "/log", options: LogThreadTests.options(.no))
        fixture.log.isSyncing.store(true, ordering: .sequentiallyConsistent)
        let added = try fixture.add([.put("a", "1")])
        try fixture.log.waitUntilAcknowledged(added.position)
        #expect(fixture.log.written >= added.position)
        #expect(fixture.log.statistics.handOvers == 0)
        let bell = Bell()
        fixture.log.addObserver { bell.ring() }
        let token = bell.token
        let later = try fixture.add([.put("b", "1")])
        if try !fixture.log.flush(upTo: later.position) { bell.wait(after: token, milliseconds: 20_000) }
        #expect(fixture.log.statistics.handOvers == 1)
        #expect(fixture.log.acknowledged >= later.position)
        fixture.log.isSyncing.store(false, ordering: .sequentiallyConsistent)
        try fixture.log.close()
    }

    /// Who waits for another thread's write takes along what comes meanwhile, and whoever that is for finds it written.
    @Test func whatComesDuringAWriteGoesWithTheNext() throws {
        let fixture = try LogFixture(SimulatedDisk(), "/log", options: LogThreadTests.options(.no))
        let log = fixture.log
        let first = try fixture.add([.put("a", "1")])
        let framesBefore = log.statistics.framesWritten
        let begun = Bell()
        let token = begun.token
        log.writeLock.lock()
        let thread = PThread(name: "writer") {
            begun.ring()
            _ = try? log.flush(upTo: first.position)
        }
        begun.wait(after: token, milliseconds: 20_000)
        let second = try fixture.add([.put("b", "2")])
        log.writeLock.unlock()
        thread.join()
        #expect(try log.flush(upTo: second.position))
        #expect(log.written >= second.position)
        #expect(log.statistics.framesWritten == framesBefore + 1)
        try log.close()
    }

    /// A loop hands its frame over while a sync runs; before the log thread looks, another loop has written it.
    @Test func whatOthersWroteIsToldToo() throws {
        let fixture = try LogFixture(SimulatedDisk(), "/log", options: LogThreadTests.options(.no))
        let log = fixture.log
        let told = Bell()
        log.addObserver { told.ring() }
        for round in 0..<20 {
            let token = told.token
            let added = try fixture.add([.put("key\(round)", "1")])
            try log.writePending()
            #expect(log.acknowledged >= added.position)
            log.handOver(added.position)
            told.wait(after: token, milliseconds: 20_000)
            #expect(told.token != token, "round \(round)")
            if told.token == token { break }
        }
        try log.close()
    }

    @Test(arguments: [SyncPolicy.always, .everySecond], [DiskOperation.write, .sync])
    func aFailureStopsWritingForGood(policy: SyncPolicy, operation: DiskOperation) throws {
        let disk = FaultyDisk(SimulatedDisk())
        let fixture = try LogFixture(disk, "/log", options: LogThreadTests.options(policy))
        let first = try fixture.add([.put("a", "1"), .put("big", bytes: 2000, isSeparated: true)])
        try fixture.log.waitUntilAcknowledged(first.position)
        disk.add(FaultRule([operation], suffix: ".vseg", .io))
        var reached = LogPosition.zero
        do {
            while true {
                let added = try fixture.add([.put("b", bytes: 500, isSeparated: false)])
                try fixture.log.waitUntilAcknowledged(added.position)
                reached = added.position
            }
        } catch {
            #expect(error as? Interruption == .writesStopped)
        }
        #expect(fixture.log.acknowledged >= reached)
        #expect(fixture.log.stopReason?.path.hasSuffix(".vseg") == true)
        #expect(fixture.events.stops.count == 1)
        let acknowledged = fixture.log.acknowledged
        disk.removeRules()
        #expect(throws: Interruption.writesStopped) { try fixture.add([.put("c", "1")]) }
        #expect(throws: Interruption.writesStopped) { try fixture.log.sync() }
        #expect(throws: Interruption.writesStopped) { try fixture.log.flush(upTo: LogPosition(rawValue: .max)) }
        #expect(fixture.log.acknowledged == acknowledged)
        // Reads go on.
        #expect(try fixture.read(first.pointers[1], key: Array("big".utf8)) == first.records[1].value)
        #expect(throws: Interruption.writesStopped) { try fixture.log.close() }
    }

    @Test func aFullDiskRefusesWritesKeepsRoomForDeletesAndRecovers() throws {
        let disk = SimulatedDisk()
        var options = LogFixture.quiet()
        options.urgentBytes = 8 << 10
        let fixture = try LogFixture(disk, "/log", options: options)
        disk.capacityBytes = 200 << 10
        var added: [Written] = []
        #expect(throws: Interruption.noSpace) {
            while true {
                let batch = try fixture.add([.put("k", bytes: 3000, isSeparated: false)])
                added += batch.records
                _ = try fixture.log.flush(upTo: batch.position)
            }
        }
        #expect(fixture.events.spaceEvents == ["out"])
        added += try fixture.add([.delete("k")], isUrgent: true).records
        disk.capacityBytes = 400 << 10
        added += try fixture.add([.put("k", bytes: 3000, isSeparated: false)]).records
        #expect(fixture.events.spaceEvents == ["out", "back"])
        try fixture.log.close()
        #expect(try LogFixture.replay(disk, "/log").records == added)
    }

    @Test func aLoopIsNotMadeToWaitForASegment() throws {
        let disk = SimulatedDisk()
        let fixture = try LogFixture(disk, "/log", options: LogThreadTests.options(.no, segmentBytes: 64 << 10))
        var refused = 0
        var expected: [Written] = []
        for i in 0..<200 {
            let record = Written.put("k\(i)", bytes: 20_000, isSeparated: false)
            do {
                expected += try fixture.add([record], mayBlock: false).records
            } catch {
                #expect(error as? Interruption == .wouldBlock)
                refused += 1
                expected += try fixture.add([record], mayBlock: true).records
            }
        }
        let end = try fixture.add([.put("end", "1")])
        expected += end.records
        try fixture.log.waitUntilAcknowledged(end.position)
        try fixture.log.close()
        #expect(try LogFixture.replay(disk, "/log").records == expected)
    }

    @Test func everyOperationMayFailOnceWithoutALie() throws {
        for nth in 1... {
            let simulated = SimulatedDisk()
            let disk = FaultyDisk(simulated, rules: [.change(nth: nth)])
            var durable: UInt64 = 0
            var added: [Written] = []
            do {
                let fixture = try LogFixture(disk, "/log", options: LogFixture.quiet(policy: .always))
                for i in 0..<12 {
                    let batch = try fixture.add([.put("k\(i)", bytes: 12_000, isSeparated: i % 2 == 0), .delete("x")])
                    added += batch.records
                    if try fixture.log.flush(upTo: batch.position) { durable = fixture.sequence }
                    if i == 8 { fixture.log.retire(1) }
                }
                try fixture.log.close()
            } catch {}
            if disk.injected.isEmpty { break }
            let clone = simulated.crashClone(seed: UInt64(nth), policy: .dropAll)
            guard try clone.exists("/log") else { continue }
            let start = try LogReplay.segments(disk: clone, directory: "/log").first?.number ?? 1
            guard start == 1 else { continue }
            let (records, _) = try LogFixture.replay(clone, "/log")
            #expect(records == Array(added.prefix(records.count)), "fault at change \(nth)")
            #expect((records.last?.sequence ?? 0) >= durable, "fault at change \(nth): \(disk.injected)")
        }
    }
}
