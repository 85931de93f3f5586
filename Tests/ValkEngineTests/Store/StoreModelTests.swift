// Random operations on a store against a dictionary: reads, ordered walks both ways, exact counts, across flushes,
// merges, range deletions and reopens. Options are random too (tiny tables, blocks, segments, thresholds), so that many
// files and runs appear in milliseconds; the answers must not depend on them.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

struct ModelValue: Equatable {
    var tag: UInt8
    var expireAt: UInt64
    var bytes: [UInt8]
}

/// The store under test beside the dictionary that it must equal.
final class ModelRun {
    var random: SeededRandom
    let seed: UInt64
    let disk: any Disk
    var options: StoreOptions
    var store: Store
    var reader: StoreReader
    var model: [[UInt8]: ModelValue] = [:]

    /// Without threads the background's work happens where the script asks for it, so that a seed repeats a run.
    init(seed: UInt64, disk: any Disk, path: String, usesThreads: Bool = false) throws {
        self.seed = seed
        self.disk = disk
        random = SeededRandom(seed: seed)
        options = StoreOptions(path: path)
        options.countsNamespaces = true
        options.usesThreads = usesThreads
        options.tableBytes = 4096 << random.below(6)
        options.blockBytes = 256 << random.below(5)
        options.segmentBytes = 64 << 10
        options.valueSeparationThreshold = [16, 64, 200, 100_000][random.below(4)]
        options.tableFileBytes = 4096 << random.below(5)
        options.mergeWidth = 2 + random.below(4)
        options.pushBytes = 4096 << random.below(4)
        options.leafBytes = 4096 << random.below(5)
        options.jobBytes = 4096 << random.below(5)
        options.fanOut = 3 + random.below(4)
        options.deletesEntriesMin = [4, 40, 1000][random.below(3)]
        options.backgroundThreads = 1 + random.below(3)
        options.filterBitsPerKey = [0, 4, 12][random.below(3)]
        options.memoryBytes = 1 << 20
        store = try Store.open(options, disk: disk)
        reader = StoreReader(store, mayBlock: true)
    }

    func reopen() throws {
        try store.close()
        store = try Store.open(options, disk: disk)
        reader = StoreReader(store, mayBlock: true)
    }

    func key() -> [UInt8] {
        let namespace: UInt8 = random.oneIn(3) ? 2 : 1
        let space: UInt8 = random.oneIn(10) ? 3 : 1
        let number = random.below(400)
        let tail = random.oneIn(4) ? [UInt8](repeating: 0x78, count: number % 50) : Array("user:\(number)".utf8)
        return [0, 0, 0, namespace, space] + tail
    }

    func value() -> ModelValue {
        let length = [0, 3, 20, 100, 300, 3000][random.below(6)]
        let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        return ModelValue(tag: UInt8(1 + random.below(5)), expireAt: UInt64(random.below(3)), bytes: bytes)
    }

    func commit(_ batch: WriteBatch) throws {
        do {
            try store.waitForLog(try store.commit(batch, mayBlock: true))
        } catch {
            Issue.record("seed \(seed): the store is \(store.writeState)")
            throw error
        }
    }

    func put(_ batch: WriteBatch, _ key: [UInt8]) {
        let value = value()
        let prior: Prior
        // Blind, or with what is known (from the model, as a reader would have found it).
        if random.oneIn(2) {
            prior = .unknown
        } else if let old = model[key] {
            prior = .present(hadExpiry: old.expireAt != 0)
        } else {
            prior = .absent
        }
        key.withView { k in
            value.bytes.withView { batch.put(k, tag: value.tag, expireAt: value.expireAt, value: $0, prior: prior) }
        }
        model[key] = value
    }

    func delete(_ batch: WriteBatch, _ key: [UInt8]) {
        guard let old = model[key] else { return }
        key.withView { batch.delete($0, prior: .present(hadExpiry: old.expireAt != 0)) }
        model[key] = nil
    }

    func step() throws {
        let batch = WriteBatch()
        switch random.below(100) {
        case 0..<60: put(batch, key())
        case 60..<75: delete(batch, key())
        case 75..<90:
            for _ in 0...random.below(20) {
                if random.oneIn(4) { delete(batch, key()) } else { put(batch, key()) }
            }
        case 90:
            if random.oneIn(8) {
                let namespace = UInt8(1 + random.below(2))
                let lower: [UInt8] = [0, 0, 0, namespace]
                let upper: [UInt8] = [0, 0, 0, namespace + 1]
                lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
                model = model.filter { $0.key[3] != namespace }
                rangeDeleted.insert(Int(namespace))
            }
        case 91..<94:
            try store.flushTables()
            for _ in 0..<random.below(8) { if try !store.controller.mergeOnce() { break } }
            heightMax = max(heightMax, store.statistics.treeHeight)
            checkTree()
        case 94:
            if random.oneIn(2) { try store.mergeAll() } else { try store.collectGarbage() }
            // Threads change what is compared.
            if !options.usesThreads { expectExactGarbage(store, mayRepeat: true, "seed \(seed)") }
        case 95: try reopen()
        case 96: try checkCounts()
        default: try checkPoints()
        }
        if !batch.isEmpty { try commit(batch) }
    }

    /// The highest tree that there was.
    var heightMax = 0

    /// The tree in memory is one, and the manifest says the same.
    func checkTree() {
        store.controller.structure.withLock {
            let root = store.root
            #expect(root.fault() == nil, "seed \(seed)")
            var fragments = Set<FragmentRecord>()
            var buckets: [UInt64: BucketRecord] = [:]
            root.forEach { bucket in
                bucket.forEachFragment { record, _ in fragments.insert(record) }
                buckets[bucket.id] = BucketRecord(bucket)
            }
            let state = store.controller.state
            #expect(state.fragments == fragments, "seed \(seed)")
            #expect(state.buckets.allSatisfy { buckets[$0.key] == $0.value }, "seed \(seed)")
            #expect(Set(state.tables.keys) == Set(fragments.map(\.file)), "seed \(seed)")
        }
    }

    func checkPoints() throws {
        reader.begin()
        defer { reader.end() }
        for _ in 0..<20 {
            let key = key()
            let found = try key.withView { k -> ModelValue? in
                guard let entry = try reader.find(k) else { return nil }
                let tag = entry.pointee.tag
                let expireAt = entry.pointee.expireAt
                return ModelValue(tag: tag, expireAt: expireAt, bytes: try reader.value(entry).array)
            }
            #expect(found == model[key], "seed \(seed) key \(key)")
        }
    }

    func checkCounts() throws {
        try store.resolveCounts()
        for namespace in 1...2 {
            let counts = store.counts(namespace: UInt32(namespace))
            let counted = model.filter { $0.key[3] == UInt8(namespace) && $0.key[4] == 1 }
            // A namespace that was deleted by range is never used again by its owners; here only untouched ones count.
            if !rangeDeleted.contains(namespace) {
                #expect(counts.unknown == 0, "seed \(seed)")
                #expect(counts.keys == Int64(counted.count), "seed \(seed) namespace \(namespace)")
                let expires = counted.filter { $0.value.expireAt != 0 }.count
                #expect(counts.expires == Int64(expires), "seed \(seed) namespace \(namespace)")
            }
        }
    }

    var rangeDeleted: Set<Int> = []

    func checkAll() throws {
        let keys = model.keys.sorted { a, b in a.withView { x in b.withView { x.compare($0) < 0 } } }
        reader.begin()
        defer { reader.end() }
        let lower: [UInt8] = [0]
        let upper: [UInt8] = [255, 255, 255, 255, 255]
        let cursor = try lower.withView { l in try upper.withView { try reader.cursor(lower: l, upper: $0) } }
        var seen: [[UInt8]] = []
        try cursor.seekToFirst()
        while cursor.isValid {
            let key = cursor.key.array
            seen.append(key)
            let value = try cursor.value().array
            #expect(value == model[key]?.bytes, "seed \(seed)")
            try cursor.next()
        }
        #expect(seen == keys, "seed \(seed)")
        seen = []
        try cursor.seekToLast()
        while cursor.isValid {
            let key = cursor.key.array
            seen.append(key)
            let value = try cursor.value().array
            #expect(value == model[key]?.bytes, "seed \(seed)")
            try cursor.previous()
        }
        #expect(seen == keys.reversed(), "seed \(seed)")
        // Turns in the middle.
        for _ in 0..<20 where !keys.isEmpty {
            let start = random.below(keys.count)
            try keys[start].withView { try cursor.seek($0) }
            var at = start
            for _ in 0..<8 {
                if random.oneIn(2) {
                    at += 1
                    try cursor.next()
                } else {
                    at -= 1
                    try cursor.previous()
                }
                let expected = keys.indices.contains(at) ? keys[at] : nil
                #expect((cursor.isValid ? cursor.key.array : nil) == expected, "seed \(seed)")
                if expected == nil { break }
            }
        }
    }
}

@Suite struct StoreModelTests {
    @Test(arguments: 0..<4, [true, false])
    func agreesWithModel(round: Int, usesThreads: Bool) throws {
        let folder = TemporaryFolder()
        let run = try ModelRun(
            seed: TestSeed("StoreModelTests").value &+ UInt64(round), disk: PosixDisk(), path: folder.path + "/store",
            usesThreads: usesThreads)
        let steps = TestScale.part(of: 250)
        for i in 0..<4 * steps {
            try run.step()
            if i % steps == steps - 1 { try run.checkAll() }
        }
        try run.checkAll()
        try run.reopen()
        try run.checkAll()
        try run.checkCounts()
        try run.store.close()
    }
}
