// What reading ahead asks the device for, and how many reads a look-up costs.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct ReadAheadTests {
    private static func key(_ n: Int) -> [UInt8] { Array("key:\(100_000 + n)".utf8) }
    private static func value(_ n: Int, _ length: Int) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ n) }
    }

    /// A store of one run in files, opened anew, so that nothing is in memory.
    private static func make(_ base: any Disk, keys: Int, valueBytes: Int, memory: Int) throws -> (Store, FaultyDisk) {
        var options = StoreOptions(path: "/ahead")
        options.usesThreads = false
        options.tableBytes = 1 << 20
        options.memoryBytes = memory
        options.valueSeparationThreshold = 512
        let store = try Store.open(options, disk: base)
        for n in 0..<keys {
            let batch = WriteBatch()
            let number = n * 7919 % keys
            key(number).withView { k in
                value(number, valueBytes).withView { batch.put(k, tag: 1, value: $0, prior: .absent) }
            }
            _ = try store.commit(batch, mayBlock: true)
        }
        try store.flushTables()
        try store.mergeAll()
        try store.close()
        let disk = FaultyDisk(base)
        return (try Store.open(options, disk: disk), disk)
    }

    private static func get(_ reader: StoreReader, _ key: [UInt8]) throws -> [UInt8]? {
        reader.begin()
        defer { reader.end() }
        return try key.withView { view in
            guard let entry = try reader.find(view) else { return nil }
            return try reader.value(entry).array
        }
    }

    @Test func aWalkAsksForTheValuesToComeWhenItWouldWait() throws {
        let (store, disk) = try Self.make(SimulatedDisk(), keys: 600, valueBytes: 1000, memory: 16 << 20)
        disk.add(FaultRule([.tryRead], suffix: ".vseg", forever: true, .wouldBlock))
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        let cursor = try reader.cursor([], [0xFF])
        try cursor.seekToFirst()
        var n = 0
        while cursor.isValid {
            #expect(try cursor.value().array == Self.value(n, 1000))
            n += 1
            try cursor.next()
        }
        #expect(n == 600)
        #expect(disk.count(.willNeed) > 400)
        // What a walk read is there for the next one, as long as nobody else wants the memory.
        let reads = disk.count(.read) + disk.count(.tryRead)
        try cursor.seekToFirst()
        while cursor.isValid {
            _ = try cursor.value()
            try cursor.next()
        }
        #expect(disk.count(.read) + disk.count(.tryRead) - reads < 60)
        try store.close()
    }

    @Test func aShortLookAsksForNothing() throws {
        let (store, disk) = try Self.make(SimulatedDisk(), keys: 100, valueBytes: 1000, memory: 16 << 20)
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        let cursor = try reader.cursor([], [0xFF])
        try cursor.seekToFirst()
        _ = try cursor.value()
        #expect(try Self.get(reader, Self.key(50)) == Self.value(50, 1000))
        #expect(disk.count(.willNeed) == 0)
        try store.close()
    }

    @Test func severalKeysAreAskedForTogether() throws {
        let (store, disk) = try Self.make(SimulatedDisk(), keys: 4000, valueBytes: 600, memory: 16 << 20)
        let reader = StoreReader(store, mayBlock: true)
        // Loads the tables.
        #expect(try Self.get(reader, Self.key(0)) != nil)
        var bytes = ByteBuffer()
        var views: [ByteView] = []
        let numbers = (0..<20).map { 100 + $0 * 150 }
        for n in numbers { Self.key(n).withView { bytes.append($0) } }
        for i in 0..<20 { views.append(bytes.view[i * 10..<i * 10 + 10]) }
        #expect(disk.count(.willNeed) == 0)
        views.withUnsafeBufferPointer { reader.readAhead($0.baseAddress!, $0.count) }
        // The blocks and the values.
        #expect(disk.count(.willNeed) > 30 && disk.count(.willNeed) <= 40)
        for n in numbers { #expect(try Self.get(reader, Self.key(n)) == Self.value(n, 600)) }
        // Now everything is in memory, and nothing is asked for.
        let before = disk.count(.willNeed)
        views.withUnsafeBufferPointer { reader.readAhead($0.baseAddress!, $0.count) }
        #expect(disk.count(.willNeed) == before)
        try store.close()
    }

    /// Reads of the device per look-up, with much more data than memory: one for a value that lies in its block, one
    /// for a value in the log, whose blocks are few and stay in memory, next to none for a key that is not there.
    @Test(arguments: [100, 1000])
    func aLookUpCostsOneRead(valueBytes: Int) throws {
        let seed = TestSeed("ReadAhead.aLookUpCostsOneRead")
        var random = seed.random
        let keys = valueBytes == 100 ? 40_000 : 12_000
        let (store, disk) = try Self.make(SimulatedDisk(), keys: keys, valueBytes: valueBytes, memory: 1 << 20)
        store.cache.budgetBytes = valueBytes == 100 ? 1 << 20 : 3 << 20
        let reader = StoreReader(store, mayBlock: true)
        func reads(_ count: Int, _ key: () -> [UInt8], found: Bool) throws -> Double {
            let before = disk.count(.read) + disk.count(.tryRead)
            for _ in 0..<count { #expect((try Self.get(reader, key()) != nil) == found) }
            return Double(disk.count(.read) + disk.count(.tryRead) - before) / Double(count)
        }
        _ = try reads(2000, { Self.key(random.below(keys)) }, found: true)
        let hit = try reads(4000, { Self.key(random.below(keys)) }, found: true)
        #expect(hit <= 1.1 && hit > 0.5, "\(hit) reads a hit, seed \(seed.value)")
        let miss = try reads(4000, { Self.key(random.below(keys)) + [1] }, found: false)
        #expect(miss <= 0.1, "\(miss) reads a miss, seed \(seed.value)")
        try store.close()
    }

    /// A walk through everything leaves what point reads use in memory.
    @Test(arguments: [100, 1000])
    func aWalkLeavesTheHotSet(valueBytes: Int) throws {
        let keys = valueBytes == 100 ? 40_000 : 8000
        let (store, disk) = try Self.make(SimulatedDisk(), keys: keys, valueBytes: valueBytes, memory: 1 << 20)
        store.cache.budgetBytes = valueBytes == 100 ? 2 << 20 : 3 << 20
        let reader = StoreReader(store, mayBlock: true)
        let hot = (0..<(keys / 20)).map { keys / 2 + $0 }
        for _ in 0..<3 { for n in hot { _ = try Self.get(reader, Self.key(n)) } }
        func reads() -> Int { disk.count(.read) + disk.count(.tryRead) }
        var before = reads()
        for n in hot { _ = try Self.get(reader, Self.key(n)) }
        #expect(reads() - before < hot.count / 50)
        reader.begin()
        let cursor = try reader.cursor([], [0xFF])
        try cursor.seekToFirst()
        while cursor.isValid {
            _ = try cursor.value()
            try cursor.next()
        }
        before = reads()
        for n in hot { _ = try Self.get(reader, Self.key(n)) }
        let lost = Double(reads() - before) / Double(hot.count)
        #expect(lost < 0.1, "\(lost) reads a hot key after the walk")
        try store.close()
    }
}
