// Values of the log in memory: each comes back as itself or not at all, within the cache's budget, whoever
// read it.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct ValueCacheTests {
    private static func bytes(_ n: Int, length: Int) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ n) }
    }

    @Test func aValueComesBackAsItselfOrNotAtAll() throws {
        let seed = TestSeed("ValueCache")
        var random = seed.random
        let cache = BlockCache(budgetBytes: 1 << 20, shardCount: 2)
        let values = ValueCache(cache)
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        var hits = 0
        for _ in 0..<20_000 {
            // Some offsets and checksums are shared between segments.
            let n = random.below(3000)
            let length = 100 + n % 3 * 1500
            let pointer = ValuePointer(
                segment: UInt32(n % 7), offset: UInt32(n / 7), length: UInt32(length), crc: UInt32(n % 5))
            if let found = values.find(pointer, pins) {
                hits += 1
                #expect(found.array == Self.bytes(n, length: length), "seed \(seed.value)")
            } else {
                Self.bytes(n, length: length).withView { values.insert(pointer, $0) }
            }
            if random.oneIn(4) { pins.pointee.releaseAll() }
        }
        #expect(hits > 200)
        pins.pointee.releaseAll()
        #expect(cache.statistics.usedBytes <= 1 << 20)
        #expect(cache.statistics.evictions > 0)
    }

    @Test func aPinnedValueStaysWhenOthersCome() throws {
        let cache = BlockCache(budgetBytes: 1 << 20, shardCount: 1)
        let values = ValueCache(cache)
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        func pointer(_ n: Int) -> ValuePointer {
            ValuePointer(segment: 1, offset: UInt32(n), length: 2000, crc: UInt32(n))
        }
        Self.bytes(1, length: 2000).withView { values.insert(pointer(1), $0) }
        let held = try #require(values.find(pointer(1), pins))
        for n in 2..<3000 { Self.bytes(n, length: 2000).withView { values.insert(pointer(n), $0) } }
        #expect(held.array == Self.bytes(1, length: 2000))
    }

    @Test func pointReadsAndWalksKeepValues() throws {
        var options = StoreOptions(path: "/values")
        options.usesThreads = false
        options.valueSeparationThreshold = 100
        let store = try Store.open(options, disk: SimulatedDisk())
        let batch = WriteBatch()
        for n in 0..<50 {
            Array("key:\(10 + n)".utf8).withView { key in
                Self.bytes(n, length: 1000).withView { batch.put(key, tag: 1, value: $0, prior: .absent) }
            }
        }
        let position = try store.commit(batch)
        _ = try store.flushLog(position)
        let reader = StoreReader(store, mayBlock: true)
        let before = store.cache.statistics.insertions
        reader.begin()
        let cursor = try Array("key:".utf8).withView { low in
            try Array("kez".utf8).withView { try reader.cursor(lower: low, upper: $0) }
        }
        try cursor.seekToFirst()
        var walked = 0
        while cursor.isValid {
            #expect(try cursor.value().array == Self.bytes(walked, length: 1000))
            walked += 1
            try cursor.next()
        }
        #expect(walked == 50)
        #expect(store.cache.statistics.insertions == before + 50)
        for _ in 0..<2 {
            for n in 0..<50 {
                try Array("key:\(10 + n)".utf8).withView { key in
                    let entry = try #require(try reader.find(key))
                    #expect(try reader.value(entry).array == Self.bytes(n, length: 1000))
                }
                reader.end()
            }
        }
        #expect(store.cache.statistics.insertions == before + 50)
        try store.close()
    }
}
