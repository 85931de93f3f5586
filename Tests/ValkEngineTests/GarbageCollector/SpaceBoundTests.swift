// The bound on space: random overwrites for several passes, in small sizes and without threads, and at the end of each
// pass the log may take little more than what is live of it.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Keys of one size of value, overwritten in random order.
struct OverwriteLoad {
    var fixture: GarbageFixture
    let keys: Int
    let valueBytes: Int
    private var random: SeededRandom
    private var values: [UInt8]
    /// Values accepted since the start.
    private(set) var accepted = 0

    /// `segments`: how many of them the live values fill.
    init(
        keys: Int, valueBytes: Int, segments: Int, seed: UInt64, change: (inout StoreOptions) -> Void = { _ in }
    ) throws {
        self.keys = keys
        self.valueBytes = valueBytes
        var random = SeededRandom(seed: seed)
        values = (0..<valueBytes + 256).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        self.random = random
        let live = keys * (valueBytes + 64)
        fixture = try GarbageFixture {
            $0.segmentBytes = max(64 << 10, live / segments) & ~4095
            // A flush brings about a fortieth of the keys.
            $0.tableBytes = max(4096, keys * 96 / 40)
            $0.replayBytesMax = live / 40
            $0.tableFileBytes = 32 << 10
            $0.pushBytes = 64 << 10
            $0.leafBytes = 256 << 10
            $0.jobBytes = 64 << 10
            $0.mergeWidth = 4
            $0.fanOut = 8
            $0.blockBytes = 1024
            $0.valueSeparationThreshold = 512
            $0.manifestRollBytes = 1 << 20
            $0.spaceTarget = 1.3
            change(&$0)
        }
    }

    var store: Store { fixture.store }

    /// All keys once, in order.
    mutating func fill() throws { for i in 0..<keys { try put(i) } }

    /// As many writes as there are keys, to random ones.
    mutating func pass() throws { for _ in 0..<keys { try put(random.below(keys)) } }

    private mutating func put(_ i: Int) throws {
        let batch = WriteBatch()
        let start = random.below(256)
        try values.withView { all in
            let value = all[start..<start + valueBytes]
            GarbageFixture.key("key:\(100_000 + i)").withView { batch.put($0, tag: 1, value: value, prior: .unknown) }
            try store.waitForLog(try store.commit(batch, mayBlock: true))
        }
        accepted += valueBytes
        // The background: what is full is flushed, what is due is merged, and now and then the collector looks.
        while store.logManager.oldestSealed() != nil { try store.controller.flushOldest() }
        while try store.controller.mergeOnce() {}
        if random.below(max(1, keys / 8)) == 0 { try collect() }
    }

    func collect() throws {
        try store.collectGarbage()
        store.janitor.drain()
    }

    /// What log and tree wrote for each byte of value that was accepted.
    var writtenPerAccepted: Double {
        let background = store.controller.counters
        let moved = store.collector.counters.withLock { $0.bytesMoved }
        let tables = background.flushBytesWritten + background.mergeBytesWritten
        return Double(UInt64(store.log.statistics.bytesWritten) + moved + tables) / Double(accepted)
    }

    /// What the sealed segments take, over what is live.
    mutating func amplification() throws -> Double {
        try store.flushTables()
        try collect()
        let checkpoint = store.controller.state.checkpoint.position.segment
        var allocated = 0
        for name in try fixture.disk.list("/store/log") {
            guard let (segment, _) = LogFormat.parseSegmentName(name), segment < checkpoint else { continue }
            let file = try fixture.disk.open("/store/log/" + name, .readOnly)
            allocated += try file.allocatedBytes()
            file.close()
        }
        let record = DiscardList.recordBytes(keyBytes: GarbageFixture.key("key:100000").count, valueBytes: valueBytes)
        let isAligned = record >= LogFormat.alignedValueBytesMin
        return Double(allocated) / Double(keys * (isAligned ? LogFormat.aligned(record, 4096) : record))
    }
}

@Suite struct SpaceBoundTests {
    /// `written`: bytes that log and tree may write for each accepted; more than in stores of a common size, where a
    /// round of the collector does not find an eighth of all values dead at once and the log that is ahead of the
    /// tables takes a smaller part of what may be garbage.
    @Test(arguments: [(1024, 3000, 5.0), (4096, 1200, 3.8), (16_384, 500, 2.5), (65_536, 300, 1.3)])
    func randomOverwritesStayNearTheTarget(valueBytes: Int, keys: Int, written: Double) throws {
        let seed = TestSeed("SpaceBoundTests.randomOverwrites \(valueBytes)").value
        var load = try OverwriteLoad(keys: keys, valueBytes: valueBytes, segments: 16, seed: seed)
        try load.fill()
        for pass in 1...5 {
            try load.pass()
            let found = try load.amplification()
            #expect(found <= 1.35, "pass \(pass), seed \(seed): \(load.store.collector.figures)")
        }
        #expect(load.writtenPerAccepted <= written, "seed \(seed)")
        let work = load.store.collector.counters.withLock { $0 }
        // Where nobody writes there comes an end.
        for _ in 0..<3 { try load.collect() }
        let later = load.store.collector.counters.withLock { $0.segmentsRewritten }
        #expect(later <= work.segmentsRewritten + 2, "seed \(seed)")
        // What holes can give back is not written anew.
        if valueBytes >= 65_536 {
            #expect(work.holes > 0 && work.bytesMoved * 10 < work.bytesPunched, "seed \(seed): \(work)")
        }
    }

    /// Whatever the tables weigh, hidden and exposed garbage together make up the target.
    @Test(arguments: [0, 1, 10, 100, 1000], [1.1, 1.3, 2.0]) func sharesMakeUpTheTarget(tables: Int, target: Double) {
        var figures = SpaceFigures()
        figures.referencedBytes = 1000
        figures.tableBytes = tables
        figures.target = target
        let (hidden, exposed) = figures.shares
        #expect(hidden > 0 && hidden <= (target - 1) / 3 && exposed > 0)
        #expect(abs((1 + exposed) / (1 - hidden) - target) < 1e-9)
        figures.hiddenBytes = Int(hidden * 1000)
        #expect(abs(figures.exposedMax - Int(exposed * 1000)) <= 2)
        // However much is hidden, its share of the exposed stays; in a store at rest less.
        figures.hiddenBytes = 900
        #expect(figures.exposedMax == Int(100 * figures.shares.exposed))
        figures.isBusy = false
        #expect(figures.exposedMax == Int(100 * figures.shares.exposed / 8))
    }

    /// What the log takes ahead of the tables is paid for by the rest, but not with more than half.
    @Test(arguments: [0, 50, 100, 500, 5000]) func theLogAheadCounts(ahead: Int) {
        var figures = SpaceFigures()
        figures.referencedBytes = 1000
        figures.target = 1.3
        figures.overlap = 1
        figures.aheadBytes = ahead
        #expect(abs(figures.garbageMaxOfRest - max(150, 300 - Double(ahead))) < 1e-6)
        figures.isPressing = true
        #expect(abs(figures.garbageMaxOfRest - max(150, 262.5 - Double(ahead))) < 1e-6)
        // What hides nothing is no garbage, and garbage is allowed for it.
        figures.overlap = 0
        #expect(abs(figures.garbageMax - 0.3 * Double(1000 + ahead)) < 1e-6)
        #expect(abs(figures.garbageMaxOfRest - figures.garbageMax * 7 / 8) < 1e-6)
    }
}
