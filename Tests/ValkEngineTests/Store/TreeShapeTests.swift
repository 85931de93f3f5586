// What becomes of the tree under orders of keys that are hard on one: ascending, descending, random, few hot ones, long
// common prefixes, keys of one byte to 64 KiB. Sizes are a hundredth of the real ones and smaller, so that trees are
// several levels high.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct TreeShapeTests {
    /// A store without threads on a simulated disk, and what it must hold.
    private final class Subject {
        let disk = SimulatedDisk()
        var options = StoreOptions(path: "/store")
        var store: Store
        var model: [[UInt8]: [UInt8]] = [:]
        var heightMax = 0
        private let batch = WriteBatch()

        init(_ change: (inout StoreOptions) -> Void = { _ in }) throws {
            options.usesThreads = false
            options.syncPolicy = .no
            options.memoryBytes = 8 << 20
            options.tableBytes = 64 << 10
            options.tableFileBytes = 16 << 10
            options.pushBytes = 32 << 10
            options.leafBytes = 128 << 10
            options.jobBytes = 48 << 10
            options.blockBytes = 1024
            options.mergeWidth = 4
            options.fanOut = 4
            options.segmentBytes = 4 << 20
            change(&options)
            store = try Store.open(options, disk: disk)
        }

        func put(_ key: [UInt8], _ value: [UInt8]) throws {
            batch.clear()
            key.withView { k in value.withView { batch.put(k, tag: 0, value: $0, prior: .unknown) } }
            _ = try store.commit(batch, mayBlock: true)
            model[key] = value
            try work()
        }

        func delete(_ key: [UInt8]) throws {
            batch.clear()
            key.withView { batch.delete($0, prior: .present(hadExpiry: false)) }
            _ = try store.commit(batch, mayBlock: true)
            model[key] = nil
            try work()
        }

        /// What the threads would do, when a table is full.
        func work() throws {
            while store.logManager.oldestSealed() != nil {
                try store.controller.flushOldest()
                try settle()
            }
        }

        func settle() throws {
            while try store.controller.mergeOnce() {}
            heightMax = max(heightMax, store.statistics.treeHeight)
        }

        func finish() throws {
            try store.flushTables()
            try settle()
            #expect(store.root.fault() == nil)
            try check()
            try store.close()
            let report = try StoreVerifier.verify(disk: disk, directory: "/store")
            #expect(report.errorCount == 0, "\(report.findings.prefix(3))")
            store = try Store.open(options, disk: disk)
            try check()
        }

        func check() throws {
            let reader = StoreReader(store, mayBlock: true)
            reader.begin()
            defer { reader.end() }
            for (key, value) in model {
                let found = try key.withView { k -> [UInt8]? in
                    guard let entry = try reader.find(k) else { return nil }
                    return try reader.value(entry).array
                }
                if found != value {
                    Issue.record("key \(key.prefix(20)) has \(found?.count ?? -1) bytes, not \(value.count)")
                    return
                }
            }
            let sorted = model.keys.sorted { KeyRange.isBefore($0, $1) }
            let upper = [UInt8](repeating: 255, count: 20)
            let cursor = try upper.withView { try reader.cursor(lower: .empty, upper: $0) }
            try cursor.seekToFirst()
            for key in sorted {
                guard cursor.isValid, cursor.key.array == key else {
                    Issue.record("the walk does not come to \(key.prefix(20))")
                    return
                }
                try cursor.next()
            }
            #expect(!cursor.isValid)
            try cursor.seekToLast()
            for key in sorted.reversed() {
                guard cursor.isValid, cursor.key.array == key else {
                    Issue.record("the walk back does not come to \(key.prefix(20))")
                    return
                }
                try cursor.previous()
            }
            #expect(!cursor.isValid)
        }

        /// Bytes that merges wrote for each byte that flushes wrote.
        var rewritten: Double {
            let counters = store.controller.counters
            return Double(counters.mergeBytesWritten) / Double(max(1, counters.flushBytesWritten))
        }
    }

    private static func number(_ n: Int) -> [UInt8] {
        let text = String(n)
        return Array(("key:" + String(repeating: "0", count: 8 - text.count) + text).utf8)
    }

    private static func value(_ random: inout SeededRandom, _ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// Files of ascending inserts go down by reference, and nothing is written twice.
    @Test func ascendingKeysAreWrittenOnce() throws {
        let subject = try Subject()
        var random = TestSeed("ascending").random
        for n in 0..<12_000 { try subject.put(Self.number(n), Self.value(&random, 60)) }
        #expect(subject.heightMax >= 3)
        #expect(subject.rewritten < 0.2)
        #expect(subject.store.statistics.runs <= 6)
        try subject.finish()
    }

    @Test func descendingKeys() throws {
        let subject = try Subject()
        var random = TestSeed("descending").random
        for n in 0..<8_000 { try subject.put(Self.number(20_000 - n), Self.value(&random, 60)) }
        #expect(subject.heightMax >= 3)
        #expect(subject.rewritten < 0.2)
        try subject.finish()
    }

    @Test func randomKeys() throws {
        let subject = try Subject()
        var random = TestSeed("random").random
        for _ in 0..<15_000 { try subject.put(Self.number(random.below(1_000_000)), Self.value(&random, 60)) }
        #expect(subject.heightMax >= 3)
        #expect(subject.store.statistics.runs <= 40)
        try subject.finish()
    }

    /// Ten million keys of sixteen bytes with values of a hundred, all sizes a 256th: the log and the flushes write
    /// each byte once, merges must add less than two.
    @Test func aRandomFillWritesLessThanFourTimes() throws {
        let subject = try Subject {
            $0.tableBytes = 256 << 10
            $0.tableFileBytes = 128 << 10
            $0.pushBytes = 256 << 10
            $0.leafBytes = 2 << 20
            $0.jobBytes = 384 << 10
            $0.blockBytes = 4096
            $0.mergeWidth = 8
            $0.fanOut = 8
            $0.memoryBytes = 16 << 20
        }
        var random = TestSeed("fill").random
        for _ in 0..<40_000 {
            try subject.put(Self.number(random.below(100_000_000)) + [1, 2, 3, 4], Self.value(&random, 100))
        }
        #expect(subject.rewritten < 1.9)
        #expect(subject.heightMax >= 2)
        #expect(subject.store.statistics.runs <= 24)
        try subject.finish()
    }

    /// Half of all writes go to a hundredth of the keys; then most of them are deleted, and the tree shrinks.
    @Test func skewAndDeletion() throws {
        let subject = try Subject()
        var random = TestSeed("skew").random
        for _ in 0..<10_000 {
            let n = random.oneIn(2) ? random.below(100) : random.below(10_000)
            try subject.put(Self.number(n), Self.value(&random, 100))
        }
        let high = subject.store.statistics.buckets
        for key in subject.model.keys.sorted(by: { KeyRange.isBefore($0, $1) }) where !random.oneIn(50) {
            try subject.delete(key)
        }
        try subject.store.flushTables()
        try subject.settle()
        try subject.store.mergeAll()
        try subject.settle()
        #expect(subject.store.statistics.buckets < high)
        try subject.finish()
    }

    @Test func longCommonPrefixesAndKeysOfAllLengths() throws {
        let subject = try Subject { $0.valueSeparationThreshold = 64 }
        var random = TestSeed("prefixes").random
        let prefix = [UInt8](repeating: 0x75, count: 300)
        for turn in 0..<3_000 {
            switch turn % 10 {
            case 0: try subject.put([UInt8(truncatingIfNeeded: random.next())], Self.value(&random, 10))
            case 1 where turn % 300 == 1:
                let count = [1, 1000, 20_000, 65_000][random.below(4)]
                try subject.put([0x75] + Self.value(&random, count), Self.value(&random, 200))
            case 2: try subject.put([0x75, 0x75] + Self.value(&random, random.below(40)), Self.value(&random, 10))
            default: try subject.put(prefix + Self.number(random.below(100_000)), Self.value(&random, 100))
            }
        }
        #expect(subject.heightMax >= 2)
        try subject.finish()
    }
}
