// Range deletions in a store, thousands of them: in batches, among puts, in snapshots and scans both ways, across
// flushes, merges and restarts; and that they end when they have nothing left to hide.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// A store without threads beside a dictionary, for keys `key:0000` and on.
final class RangeRun {
    let disk = SimulatedDisk()
    var options: StoreOptions
    private(set) var store: Store
    var model: [[UInt8]: [UInt8]] = [:]
    var random: SeededRandom
    let context: String

    init(_ seed: TestSeed, _ change: (inout StoreOptions) -> Void = { _ in }) throws {
        random = seed.random
        context = "seed \(seed.value)"
        options = StoreScript.options(.everySecond)
        options.countsNamespaces = false
        change(&options)
        store = try Store.open(options, disk: disk)
    }

    static func key(_ number: Int) -> [UInt8] { Array("key:\(10_000 + number)".utf8) }

    func reopen() throws {
        try store.close()
        store = try Store.open(options, disk: disk)
    }

    /// Does every job that is due; that there is an end to it is part of the test.
    func mergeUntilDone() throws {
        var last: [String] = []
        for _ in 0..<300 {
            let next = store.controller.structure.withLock { () -> JobPlan? in
                let dead = store.controller.planForDead { _ in true }
                let best = store.controller.planner.best(store.root) { _ in true }
                return (dead?.score ?? 0) > (best?.score ?? 0) ? dead : best
            }
            last = last.suffix(5) + [next.map { "\($0.kind) \($0.reason) \($0.range) \($0.height)" } ?? "none"]
            if try !store.controller.mergeOnce() { return }
        }
        Issue.record("jobs without end, the last: \(last), \(context)")
    }

    func commit(_ batch: WriteBatch) throws { try store.waitForLog(try store.commit(batch, mayBlock: true)) }

    func put(_ batch: WriteBatch, _ key: [UInt8], _ bytes: Int) {
        let fill = UInt8(truncatingIfNeeded: random.next())
        let value = [UInt8](repeating: fill, count: bytes)
        key.withView { k in value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
        model[key] = value
    }

    func deleteRange(_ batch: WriteBatch, _ lower: [UInt8], _ upper: [UInt8]) {
        lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
        model = model.filter { KeyRange.isBefore($0.key, lower) || !KeyRange.isBefore($0.key, upper) }
    }

    /// What a reader sees, by key and in both orders.
    func expectModel(_ reader: StoreReader? = nil, _ state: [[UInt8]: [UInt8]]? = nil, batch: WriteBatch? = nil) throws
    {
        let reader = reader ?? StoreReader(store, mayBlock: true)
        let state = state ?? model
        reader.batch = batch
        reader.begin()
        defer { reader.end() }
        try expect(reader, state)
        reader.batch = nil
    }

    func expect(_ reader: StoreReader, _ state: [[UInt8]: [UInt8]]) throws {
        let keys = state.keys.sorted { KeyRange.isBefore($0, $1) }
        for _ in 0..<30 {
            let key = RangeRun.key(random.below(600))
            let found = try key.withView { k in try reader.find(k).map { try reader.value($0).array } }
            #expect(found == state[key], "\(context)")
        }
        let cursor = try [UInt8]([0]).withView { l in
            try [UInt8]([255]).withView { u in try reader.cursor(lower: l, upper: u) }
        }
        var seen: [[UInt8]] = []
        try cursor.seekToFirst()
        while cursor.isValid {
            seen.append(cursor.key.array)
            try cursor.next()
        }
        #expect(seen == keys, "\(context)")
        seen = []
        try cursor.seekToLast()
        while cursor.isValid {
            seen.append(cursor.key.array)
            try cursor.previous()
        }
        #expect(seen == keys.reversed(), "\(context)")
        for _ in 0..<10 {
            let key = RangeRun.key(random.below(600))
            try key.withView { try cursor.seek($0) }
            let after = keys.first { !KeyRange.isBefore($0, key) }
            #expect((cursor.isValid ? cursor.key.array : nil) == after, "\(context)")
            try key.withView { try cursor.seekBefore($0) }
            let before = keys.last { KeyRange.isBefore($0, key) }
            #expect((cursor.isValid ? cursor.key.array : nil) == before, "\(context)")
        }
    }
}

@Suite struct RangeStoreTests {
    /// Batches of puts, deletes and range deletions in any order, read back before and after they are committed, with
    /// snapshots of earlier moments held open.
    @Test(arguments: 0..<6)
    func agreesWithModel(round: Int) throws {
        let run = try RangeRun(TestSeed("RangeStoreTests \(round)")) {
            $0.tableFileBytes = [1024, 4096, 1 << 20][round % 3]
            $0.valueSeparationThreshold = round < 3 ? 64 : 100_000
        }
        var snapshot: (StoreReader, [[UInt8]: [UInt8]])?
        for step in 0..<100 {
            let batch = WriteBatch()
            let before = run.model
            for _ in 0...run.random.below(run.random.oneIn(4) ? 60 : 6) {
                let number = run.random.below(600)
                switch run.random.below(10) {
                case 0..<6: run.put(batch, RangeRun.key(number), [0, 20, 90, 300][run.random.below(4)])
                case 6:
                    RangeRun.key(number).withView { batch.delete($0, prior: .unknown) }
                    run.model[RangeRun.key(number)] = nil
                default:
                    let width = run.random.oneIn(8) ? 200 : run.random.below(12)
                    run.deleteRange(batch, RangeRun.key(number), RangeRun.key(number + width))
                }
            }
            if run.random.oneIn(5) { try run.expectModel(batch: batch) }
            if run.random.oneIn(5) { try run.expectModel(nil, before) }
            try run.commit(batch)
            switch run.random.below(12) {
            case 0, 1: try run.store.flushTables()
            case 2: try run.mergeUntilDone()
            case 3 where step % 2 == 0: try run.store.mergeAll()
            case 4: try run.store.collectGarbage()
            case 5:
                snapshot = nil
                try run.reopen()
            case 6, 7:
                if let (reader, state) = snapshot { try run.expect(reader, state) }
                let reader = StoreReader(run.store, mayBlock: true)
                reader.begin()
                snapshot = (reader, run.model)
            default: break
            }
            if step % 20 == 0 { try run.expectModel() }
            if step % 40 == 0 { expectExactGarbage(run.store, mayRepeat: true, run.context) }
        }
        try run.expectModel()
        snapshot = nil
        try run.store.flushTables()
        try run.store.mergeAll()
        #expect(run.store.statistics.rangeTombstones == 0, "all are done, \(run.context)")
        try run.expectModel()
        try run.reopen()
        try run.expectModel()
        expectExactGarbage(run.store, mayRepeat: true, run.context)
    }

    /// A deletion in the middle of a large file ends when that file has been rewritten, although the file keeps entries
    /// that are older; and that is known after a restart.
    @Test func endsInsideOfAFile() throws {
        let run = try RangeRun(TestSeed("RangeStoreTests.endsInsideOfAFile")) {
            $0.tableFileBytes = 1 << 20
            $0.tableBytes = 1 << 20
            $0.leafBytes = 1 << 20
            $0.jobBytes = 1 << 20
            $0.deletesEntriesMin = 100_000
        }
        let batch = WriteBatch()
        for number in 0..<300 { run.put(batch, RangeRun.key(number), 50) }
        try run.commit(batch)
        try run.store.flushTables()
        batch.clear()
        run.deleteRange(batch, RangeRun.key(100), RangeRun.key(120))
        run.put(batch, RangeRun.key(110), 20)
        try run.commit(batch)
        try run.store.flushTables()
        #expect(run.store.statistics.rangeTombstones == 1)
        try run.store.mergeAll()
        #expect(run.store.statistics.tableFiles == 1)
        #expect(run.store.statistics.rangeTombstones == 0)
        try run.expectModel()
        batch.clear()
        run.deleteRange(batch, RangeRun.key(200), RangeRun.key(220))
        try run.commit(batch)
        try run.store.flushTables()
        try run.reopen()
        #expect(run.store.statistics.rangeTombstones == 1)
        try run.expectModel()
    }

    /// Many deletions side by side cover a file that none of them covers alone: it is dropped unread.
    @Test func dropsWhatManyCoverTogether() throws {
        let run = try RangeRun(TestSeed("RangeStoreTests.dropsWhatManyCoverTogether")) { $0.tableBytes = 1 << 20 }
        let batch = WriteBatch()
        for number in 0..<400 { run.put(batch, RangeRun.key(number), 50) }
        try run.commit(batch)
        try run.store.flushTables()
        #expect(run.store.statistics.tableFiles > 4)
        batch.clear()
        for number in stride(from: 0, to: 400, by: 4) {
            run.deleteRange(batch, RangeRun.key(number), RangeRun.key(number + 4))
        }
        try run.commit(batch)
        let read = run.store.controller.counters.mergeBytesRead
        try run.store.flushTables()
        #expect(run.store.statistics.tableFiles == 0)
        #expect(run.store.statistics.rangeTombstones == 0)
        #expect(run.store.controller.counters.mergeBytesRead == read)
        try run.expectModel()
    }

    /// A scan over a deleted range does not read the blocks in it, nor does a look-up.
    @Test(arguments: [true, false])
    func skipsDeletedBlocks(forward: Bool) throws {
        let run = try RangeRun(TestSeed("RangeStoreTests.skipsDeletedBlocks")) {
            $0.tableBytes = 1 << 20
            $0.tableFileBytes = 1 << 20
            $0.leafBytes = 1 << 20
        }
        let batch = WriteBatch()
        for number in 0..<2000 { run.put(batch, RangeRun.key(number), 50) }
        try run.commit(batch)
        try run.store.flushTables()
        batch.clear()
        run.deleteRange(batch, RangeRun.key(10), RangeRun.key(1990))
        try run.commit(batch)
        try run.reopen()
        let reader = StoreReader(run.store, mayBlock: true)
        reader.begin()
        let before = run.store.cache.statistics.misses
        for number in stride(from: 20, to: 1980, by: 40) {
            let found = try RangeRun.key(number).withView { try reader.find($0) }
            #expect(found == nil)
        }
        reader.end()
        #expect(run.store.cache.statistics.misses - before < 3)
        let cursor = try [UInt8]([0]).withView { l in
            try [UInt8]([255]).withView { u in try reader.cursor(lower: l, upper: u) }
        }
        var count = 0
        if forward { try cursor.seekToFirst() } else { try cursor.seekToLast() }
        while cursor.isValid {
            count += 1
            if forward { try cursor.next() } else { try cursor.previous() }
        }
        #expect(count == 20)
        #expect(run.store.cache.statistics.misses - before < 20)
    }

    /// A batch that deletes a range and puts keys is seen as a whole by readers on other threads.
    @Test func batchesAreWhole() throws {
        let folder = TemporaryFolder()
        var options = StoreOptions(path: folder.path + "/store")
        options.memoryBytes = 16 << 20
        let store = try Store.open(options, disk: PosixDisk())
        let batch = WriteBatch()
        func write(_ number: Int) throws {
            batch.clear()
            RangeRun.key(0).withView { l in RangeRun.key(10).withView { batch.deleteRange(l, $0) } }
            RangeRun.key(number % 10).withView { batch.put($0, tag: 0, value: .empty, prior: .unknown) }
            _ = try store.flushLog(try store.commit(batch, mayBlock: true))
        }
        try write(0)
        let isDone = Guarded(false)
        let wrong = Guarded(0)
        let thread = PThread(name: "reader") {
            let reader = StoreReader(store, mayBlock: true)
            while !isDone.withLock({ $0 }) {
                reader.begin()
                var seen = 0
                for number in 0..<10 {
                    let isThere = RangeRun.key(number).withView { key in (try? reader.find(key)) != nil }
                    if isThere { seen += 1 }
                }
                reader.end()
                if seen != 1 { wrong.withLock { $0 += 1 } }
            }
        }
        for number in 1...5_000 { try write(number) }
        isDone.withLock { $0 = true }
        thread.join()
        #expect(wrong.withLock { $0 } == 0)
        try store.close()
    }
}
