// Trees of four levels and more under orders of keys that would make a worse tree high, lopsided or busy: long shared
// prefixes, ascending and descending keys, one hot slot, and a tree that is emptied again. After every flush and every
// job the tree must be one.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct TreeOrderTests {
    /// Parts that are small, but not so small that the 4 KiB that any file takes are most of a leaf: a tree that is cut
    /// finer than its files makes ever more of both.
    private final class Subject {
        let tiny: TinyStore
        var model: [[UInt8]: [UInt8]] = [:]
        var heightMax = 0
        private var random: SeededRandom

        init(_ name: String) throws {
            random = TestSeed(name).random
            tiny = try TinyStore {
                $0.tableBytes = 64 << 10
                $0.tableFileBytes = 16 << 10
                $0.pushBytes = 32 << 10
                $0.leafBytes = 64 << 10
                $0.jobBytes = 32 << 10
                $0.blockBytes = 1024
                $0.mergeWidth = 3
                $0.fanOut = 3
                $0.deletesEntriesMin = 16
            }
        }

        func put(_ key: [UInt8], bytes: Int = 100) throws {
            let value = (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            try tiny.put(key, value)
            model[key] = value
            try work()
        }

        func delete(_ key: [UInt8]) throws {
            try tiny.delete(key)
            model[key] = nil
            try work()
        }

        func below(_ n: Int) -> Int { random.below(n) }

        private func work() throws {
            while tiny.store.logManager.oldestSealed() != nil {
                try tiny.controller.flushOldest()
                try settle()
            }
        }

        func settle() throws {
            look()
            // Work must come to an end: a few dozen buckets are due at once at the most.
            for _ in 0..<1000 {
                if try !tiny.controller.mergeOnce() { return }
                look()
            }
            let last = tiny.controller.ended.jobs.suffix(6).map { "\($0.kind): \($0.reason)" }
            throw StoreError(.invalid, "there is always another job: \(last)")
        }

        private func look() {
            let root = tiny.store.root
            heightMax = max(heightMax, root.height + 1)
            if let fault = root.fault() { Issue.record("\(fault)") }
        }

        func finish() throws {
            try tiny.store.flushTables()
            try settle()
            #expect(try tiny.walk() == model.count)
            let reader = StoreReader(tiny.store, mayBlock: true)
            reader.begin()
            defer { reader.end() }
            for (key, value) in model {
                let found = try key.withView { k -> [UInt8]? in
                    guard let entry = try reader.find(k) else { return nil }
                    return try reader.value(entry).array
                }
                if found != value { Issue.record("key \(key.suffix(12)) is not what was written") }
            }
        }

        /// Levels of a tree of which no bucket but those at the right edge is less than half full, and two more.
        var heightAllowed: Int {
            var leaves = tiny.store.statistics.leaves
            var height = 3
            while leaves > 1 {
                leaves = (leaves * 2 + 2) / 3
                height += 1
                if leaves == 2 { break }
            }
            return height
        }

        /// Bytes that merges wrote for each that flushes wrote.
        var rewritten: Double {
            let counters = tiny.controller.counters
            return Double(counters.mergeBytesWritten) / Double(max(1, counters.flushBytesWritten))
        }
    }

    private static func user(_ n: Int) -> [UInt8] {
        let text = String(n)
        return Array(("user:" + String(repeating: "0", count: 9 - text.count) + text).utf8)
    }

    private static let prefix = [UInt8](repeating: 0x70, count: 200)

    @Test func longSharedPrefixes() throws {
        let subject = try Subject("TreeOrderTests.longSharedPrefixes")
        for _ in 0..<9000 { try subject.put(Self.prefix + Self.user(subject.below(1_000_000))) }
        #expect(subject.heightMax >= 4)
        #expect(subject.heightMax <= subject.heightAllowed)
        // Pivots are as short as tells the sides apart.
        subject.tiny.store.root.forEach { bucket in
            for pivot in bucket.pivots { #expect(pivot.count <= 214) }
        }
        try subject.finish()
    }

    @Test(arguments: [false, true]) func orderedKeysMoveByReference(descends: Bool) throws {
        let subject = try Subject("TreeOrderTests.orderedKeysMoveByReference \(descends)")
        for n in 0..<12_000 { try subject.put(Self.user(descends ? 100_000 - n : n)) }
        #expect(subject.heightMax >= 4)
        #expect(subject.heightMax <= subject.heightAllowed)
        #expect(subject.rewritten < 0.05)
        #expect(subject.tiny.store.statistics.runs <= 2 * subject.heightMax)
        try subject.finish()
    }

    /// Writes go to one end of one slot: what others have is neither read nor written again.
    @Test func oneHotSlotLeavesTheOthersAlone() throws {
        let subject = try Subject("TreeOrderTests.oneHotSlotLeavesTheOthersAlone")
        for n in 0..<6000 { try subject.put(Self.user(n * 100)) }
        try subject.tiny.store.flushTables()
        try subject.settle()
        func cold() -> Set<UInt64> {
            var files = Set<UInt64>()
            subject.tiny.store.root.forEach { bucket in
                for run in bucket.runs {
                    for fragment in run.fragments where KeyRange.isBefore(Self.user(100_000), fragment.first) {
                        files.insert(fragment.file.id)
                    }
                }
            }
            return files
        }
        let before = cold()
        #expect(before.count > 20)
        for _ in 0..<6000 { try subject.put(Self.user(20_000 + subject.below(2000))) }
        try subject.settle()
        #expect(cold() == before)
        #expect(subject.heightMax <= subject.heightAllowed)
        try subject.finish()
    }

    /// Everything is deleted, in an order that has nothing to do with keys: one leaf is left, and nothing in it.
    @Test func anEmptiedTreeShrinksToOneLeaf() throws {
        let subject = try Subject("TreeOrderTests.anEmptiedTreeShrinksToOneLeaf")
        for _ in 0..<9000 { try subject.put(Self.user(subject.below(1_000_000))) }
        try subject.finish()
        #expect(subject.tiny.store.root.height >= 3)
        for key in subject.model.keys.sorted(by: { KeyRange.isBefore($0.reversed(), $1.reversed()) }) {
            try subject.delete(key)
        }
        try subject.finish()
        try subject.tiny.store.mergeAll()
        try subject.settle()
        #expect(subject.tiny.deletes == 0)
        #expect(subject.tiny.store.root.height == 0)
        #expect(subject.tiny.store.statistics.buckets == 1)
        #expect(subject.tiny.store.statistics.tableFiles == 0)
    }

    /// A step of a job reads no more than it may, however large the leaf or the slot.
    @Test func stepsAreBounded() throws {
        let subject = try Subject("TreeOrderTests.stepsAreBounded")
        for _ in 0..<3000 { try subject.put(Self.user(subject.below(1500))) }
        try subject.tiny.store.flushTables()
        try subject.settle()
        let counters = subject.tiny.controller.counters
        #expect(counters.mergeBytesRead > 100 << 10)
        // A block more of each run that takes part, at both ends.
        #expect(counters.stepBytesMax <= 3 * (32 << 10))
        try subject.finish()
    }
}
