// Dead values are counted once each, wherever a version is dropped, and in the edit that drops it.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// A store on a simulated disk, without threads, with small segments.
struct GarbageFixture {
    private(set) var disk: any Disk
    var options: StoreOptions
    private(set) var store: Store
    var model: [String: [UInt8]] = [:]

    init(_ disk: any Disk = SimulatedDisk(), _ change: (inout StoreOptions) -> Void = { _ in }) throws {
        self.disk = disk
        options = StoreScript.options(.everySecond)
        options.tableBytes = 1 << 20
        options.tableFileBytes = 1 << 20
        change(&options)
        store = try Store.open(options, disk: disk)
    }

    mutating func reopen() throws {
        try store.close()
        store = try Store.open(options, disk: disk)
    }

    /// Ends as a killed process does, on a machine that lives on.
    mutating func kill() throws {
        guard let simulated = disk as? SimulatedDisk else { preconditionFailure("only a simulated disk can crash") }
        disk = simulated.crashClone(seed: 1, policy: .keepAll)
        store = try Store.open(options, disk: disk)
    }

    /// The same model beside another store.
    func other(_ store: Store, _ disk: any Disk) -> GarbageFixture {
        var other = self
        other.store = store
        other.disk = disk
        return other
    }

    static func key(_ name: String, _ namespace: UInt8 = 1) -> [UInt8] { [0, 0, 0, namespace, 1] + Array(name.utf8) }

    mutating func put(_ name: String, _ bytes: Int, fill: UInt8 = 1, namespace: UInt8 = 1) throws {
        let pattern = (0...255 as ClosedRange<UInt8>).map { $0 ^ fill }
        var value: [UInt8] = []
        while value.count < bytes { value += pattern.prefix(bytes - value.count) }
        let batch = WriteBatch()
        GarbageFixture.key(name, namespace).withView { k in
            value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) }
        }
        try store.waitForLog(try store.commit(batch, mayBlock: true))
        if namespace == 1 { model[name] = value }
    }

    mutating func delete(_ name: String) throws {
        let batch = WriteBatch()
        GarbageFixture.key(name).withView { batch.delete($0, prior: .present(hadExpiry: false)) }
        try store.waitForLog(try store.commit(batch, mayBlock: true))
        model[name] = nil
    }

    func deleteNamespace(_ namespace: UInt8) throws {
        let batch = WriteBatch()
        let lower: [UInt8] = [0, 0, 0, namespace]
        let upper: [UInt8] = [0, 0, 0, namespace + 1]
        lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
        try store.waitForLog(try store.commit(batch, mayBlock: true))
    }

    func value(_ name: String, _ reader: StoreReader? = nil) throws -> [UInt8]? {
        let reader = reader ?? StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        return try GarbageFixture.key(name).withView { k -> [UInt8]? in
            guard let entry = try reader.find(k) else { return nil }
            return try reader.value(entry).array
        }
    }

    /// `mayRepeat`: see `expectExactGarbage`.
    func expectAll(_ context: String = "", mayRepeat: Bool = false) throws {
        for (name, value) in model { #expect(try self.value(name) == value, "\(name) \(context)") }
        expectExactGarbage(store, mayRepeat: mayRepeat, context)
    }

    var garbage: [UInt32: SegmentGarbage] { store.controller.structure.withLock { store.controller.state.garbage } }
    var deadCount: UInt64 { garbage.values.reduce(0) { $0 + $1.deadCount } }
    var valueCount: UInt64 { garbage.values.reduce(0) { $0 + $1.valueCount } }
}

@Suite struct DiscardTests {
    @Test func chunksKeepTheirOffsets() {
        let offsets: [UInt32] = [4096, 4104, 65536, 1 << 30, UInt32.max & ~7]
        #expect(DiscardChunk.decode(DiscardChunk.encode(offsets)) == offsets)
        #expect(DiscardChunk.decode(DiscardChunk.encode(offsets) + DiscardChunk.encode([8])) == offsets + [8])
        #expect(DiscardChunk.decode([]) == [])
        // More than is there, and offsets beyond a segment.
        #expect(DiscardChunk.decode([3, 1]) == nil)
        #expect(DiscardChunk.decode([1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]) == nil)
    }

    @Test func whatIsSupersededInMemoryIsDeadAtTheFlush() throws {
        var fixture = try GarbageFixture()
        for round in 0..<5 { for i in 0..<10 { try fixture.put("k\(i)", 200, fill: UInt8(round)) } }
        try fixture.put("small", 3)
        #expect(fixture.valueCount == 0)
        try fixture.store.flushTables()
        #expect(fixture.valueCount == 50)
        #expect(fixture.deadCount == 40)
        try fixture.expectAll()
        try fixture.reopen()
        #expect(fixture.deadCount == 40)
        try fixture.expectAll()
    }

    @Test func mergesCountOverwritesAndDeletes() throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<10 { try fixture.put("k\(i)", 200) }
        try fixture.store.flushTables()
        for i in 0..<5 { try fixture.put("k\(i)", 200, fill: 9) }
        try fixture.delete("k9")
        try fixture.store.flushTables()
        // Hidden, but nobody has met it.
        #expect(fixture.deadCount == 0)
        try fixture.store.mergeAll()
        #expect(fixture.deadCount == 6)
        try fixture.expectAll()
        try fixture.reopen()
        try fixture.store.mergeAll()
        #expect(fixture.deadCount == 6)
        try fixture.expectAll()
    }

    /// A table that a range deletion covers goes unread. Its segments hold others' values too, so its dead are counted
    /// from the file, once, also when the process ends in between.
    @Test(arguments: [false, true]) func tablesDroppedWholeAreCountedLater(dies: Bool) throws {
        var fixture = try GarbageFixture { $0.mergeWidth = 16 }
        for i in 0..<10 {
            try fixture.put("k\(i)", 200)
            try fixture.put("k\(i)", 200, namespace: 3)
        }
        try fixture.store.flushTables()
        try fixture.deleteNamespace(3)
        try fixture.put("last", 10)
        try fixture.store.flushTables()
        #expect(fixture.deadCount == 0)
        #expect(fixture.store.controller.state.owed.count == 1)
        expectExactGarbage(fixture.store, "owed")
        if dies { try fixture.kill() }
        #expect(fixture.store.controller.state.owed.count == 1)
        try fixture.store.collectGarbage()
        #expect(fixture.store.controller.state.owed.isEmpty)
        #expect(fixture.deadCount == 10)
        try fixture.expectAll()
        try fixture.reopen()
        #expect(fixture.deadCount == 10)
        try fixture.expectAll()
    }

    /// What is dead for new readers waits for those that still look at an older view.
    @Test func aViewHoldsBackWhatItShows() throws {
        var fixture = try GarbageFixture()
        try fixture.put("a", 300)
        try fixture.store.flushTables()
        let horizon = fixture.store.logManager.horizon
        var reader: StoreReader? = StoreReader(fixture.store, mayBlock: true)
        reader?.begin()
        try fixture.put("a", 300, fill: 7)
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        let known = try #require(fixture.garbage.values.first { $0.deadCount > 0 })
        #expect(known.effectiveChunks(horizon.horizon) == 0)
        reader = nil
        #expect(known.effectiveChunks(horizon.horizon) == 1)
    }
}
