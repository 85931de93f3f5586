import Glibc
import Synchronization
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct BlockCacheTests {
    /// `count` keys with 100-byte values that follow from the key.
    static func versions(_ count: Int) -> [TestVersion] {
        (0..<count).map { TestVersion(key($0), UInt64($0 + 1), value($0)) }
    }
    static func key(_ i: Int) -> [UInt8] { Array("key:\(1_000_000 + i)".utf8) }
    static func value(_ i: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: i), count: 100) }

    static func plainOptions() -> TableOptions {
        var options = TableOptions()
        options.compression = .none
        return options
    }

    @Test func sizeClassesCoverEverySize() {
        for bytes in 1...SizeClass.largestBytes {
            let c = SizeClass.index(bytes)
            #expect(c < SizeClass.count && SizeClass.bytes(c) >= bytes)
            #expect(c == 0 || SizeClass.bytes(c - 1) < bytes)
        }
        #expect(SizeClass.bytes(SizeClass.count - 1) == SizeClass.largestBytes)
    }

    @Test func secondReadIsAHit() throws {
        let fixture = try TableFixture()
        try fixture.write(Self.versions(500))
        let table = try fixture.open()
        #expect(fixture.find(table, Self.key(7)).0 == .found)
        #expect(fixture.cache.statistics.misses == 1)
        #expect(fixture.find(table, Self.key(8)).0 == .found)
        #expect(fixture.cache.statistics.misses == 1)
        #expect(fixture.cache.statistics.hits == 1)
    }

    /// What a writer leaves in the cache is there when the table is opened: no read of data at all.
    @Test func flushedBlocksAreWarm() throws {
        let fixture = try TableFixture()
        let finished = try fixture.write(Self.versions(5000), warm: true)
        let table = try fixture.open(warm: finished)
        for i in 0..<5000 { #expect(fixture.find(table, Self.key(i)).1?.value == Self.value(i)) }
        #expect(fixture.cache.statistics.misses == 0)
        #expect(fixture.cache.statistics.hits == 5000)
    }

    @Test func abandonedWritersLeaveNothing() throws {
        let fixture = try TableFixture()
        let writer = try TableWriter(
            disk: fixture.disk, path: TableFixture.path, fileId: TableFixture.fileId, cache: fixture.cache)
        for version in Self.versions(2000) { try version.withEntry { try writer.add($0) } }
        writer.abandon()
        // All frames are free again: as many blocks fit as before, without an eviction.
        try fixture.disk.remove(TableFixture.path)
        let finished = try fixture.write(Self.versions(2000), warm: true)
        let table = try fixture.open(warm: finished)
        #expect(fixture.find(table, Self.key(3)).0 == .found)
        #expect(fixture.cache.statistics.evictions == 0)
    }

    @Test func staysWithinItsBudget() throws {
        let fixture = try TableFixture(BlockCache(budgetBytes: 1 << 20, shardCount: 1))
        try fixture.write(Self.versions(40_000), Self.plainOptions())
        let table = try fixture.open()
        var random = SeededRandom(seed: TestSeed("CacheBudget").value)
        for _ in 0..<20_000 {
            let i = random.below(40_000)
            #expect(fixture.find(table, Self.key(i)).1?.value == Self.value(i))
        }
        let statistics = fixture.cache.statistics
        #expect(statistics.usedBytes <= 1 << 20)
        #expect(statistics.usedBytes >= 2 << 18)
        #expect(statistics.evictions > 1000)
        #expect(statistics.insertions == statistics.misses)
        // Shrinking gives memory back at once, growing lets it be used again.
        fixture.cache.budgetBytes = 300 << 10
        #expect(fixture.cache.statistics.usedBytes <= 300 << 10)
        fixture.cache.budgetBytes = 4 << 20
        for i in 0..<40_000 { _ = fixture.find(table, Self.key(i)) }
        #expect(fixture.cache.statistics.usedBytes > 1 << 20)
        #expect(fixture.cache.statistics.usedBytes <= 4 << 20)
    }

    /// Indexes and filters count: blocks have what open tables leave, an eighth of the budget at the least.
    @Test func openTablesTakeFromTheBudget() throws {
        let cache = BlockCache(budgetBytes: 2 << 20, shardCount: 1)
        let fixture = try TableFixture(cache)
        try fixture.write(Self.versions(40_000), Self.plainOptions())
        var tables = try (0..<12).map { _ in try fixture.open() }
        let each = tables[0].memoryBytes
        #expect(each > 50_000)
        #expect(cache.statistics.tableBytes == 12 * each)
        for i in 0..<40_000 { _ = fixture.find(tables[i % tables.count], Self.key(i)) }
        #expect(cache.statistics.usedBytes + cache.statistics.tableBytes <= 2 << 20)
        #expect(cache.statistics.usedBytes > 0)
        tables.removeLast(11)
        for i in 0..<40_000 { _ = fixture.find(tables[0], Self.key(i)) }
        #expect(cache.statistics.usedBytes > 1 << 20)
        #expect(cache.statistics.usedBytes + each <= 2 << 20)
        tables = []
        #expect(cache.statistics.tableBytes == 0)
    }

    /// One scan over twenty times the cache leaves most of what point reads use in place.
    @Test func scansDoNotEvictTheHotSet() throws {
        let fixture = try TableFixture(BlockCache(budgetBytes: 1 << 20, shardCount: 1))
        try fixture.write(Self.versions(160_000), Self.plainOptions())
        let table = try fixture.open()
        let hot = (0..<120).map { $0 * 1300 }
        for _ in 0..<3 { for i in hot { _ = fixture.find(table, Self.key(i)) } }
        let before = fixture.cache.statistics.misses
        let cursor = fixture.cursor(table, .scan)
        try cursor.seekToFirst()
        var n = 0
        while cursor.isValid {
            n += 1
            // Point reads go on meanwhile, as they do in life.
            if n % 400 == 0 { _ = fixture.find(table, Self.key(hot[n / 400 % hot.count])) }
            try cursor.next()
        }
        #expect(n == 160_000)
        let scanned = fixture.cache.statistics.misses
        for i in hot { _ = fixture.find(table, Self.key(i)) }
        let lost = fixture.cache.statistics.misses - scanned
        #expect(lost <= 12, "\(lost) of \(hot.count) hot blocks went; \(scanned - before) misses of the scan")
    }

    /// A merge reads everything and keeps nothing.
    @Test func mergesBringNothingIn() throws {
        let fixture = try TableFixture()
        try fixture.write(Self.versions(3000))
        let table = try fixture.open()
        let cursor = fixture.cursor(table, .merge)
        try cursor.seekToFirst()
        #expect(try cursor.restForward().count == 3000)
        #expect(fixture.cache.statistics.insertions == 0)
    }

    @Test func pinnedBlocksStayThroughEverything() throws {
        let cache = BlockCache(budgetBytes: 256 << 10, shardCount: 1)
        let fixture = try TableFixture(cache)
        try fixture.write(Self.versions(20_000), Self.plainOptions())
        var table: Table? = try fixture.open()
        let holder = BlockPins.make(cache)
        defer { BlockPins.destroy(holder) }
        var held: [(ByteView, Int)] = []
        for i in stride(from: 0, to: 20_000, by: 150) {
            var entry = Entry()
            let result = Self.key(i).withView { view in
                table?.find(view, view.hash64, maxSequence: .max, &entry, holder, mayBlock: true)
            }
            #expect(result == .found)
            held.append((entry.value, i))
        }
        // More blocks are pinned than the budget has room for; reading goes on.
        for i in 0..<20_000 {
            guard let table else { break }
            #expect(fixture.find(table, Self.key(i)).0 == .found)
        }
        cache.budgetBytes = 0
        table = nil
        for (view, i) in held { #expect(view.array == Self.value(i)) }
        holder.pointee.releaseAll()
        #expect(holder.pointee.heldCount == 0)
        #expect(cache.statistics.usedBytes <= 256 << 10)
        cache.budgetBytes = 0
        #expect(cache.statistics.usedBytes == 0)
    }

    @Test func sizeClassesTakeMemoryFromEachOther() throws {
        let cache = BlockCache(budgetBytes: 1 << 20, shardCount: 1)
        let fixture = try TableFixture(cache)
        try fixture.write(Self.versions(20_000), Self.plainOptions())
        let small = try fixture.open()
        for i in 0..<20_000 { _ = fixture.find(small, Self.key(i)) }
        // Now blocks of 16 KiB only.
        var options = Self.plainOptions()
        options.blockBytes = 16 << 10
        let writer = try TableWriter(disk: fixture.disk, path: "/t/2", fileId: 2, options: options)
        for version in Self.versions(20_000) { try version.withEntry { try writer.add($0) } }
        _ = try writer.finish()
        let big = try Table.open(disk: fixture.disk, path: "/t/2", fileId: 2, cache: cache)
        for _ in 0..<40 {
            for i in stride(from: 0, to: 20_000, by: 100) { #expect(fixture.find(big, Self.key(i)).0 == .found) }
        }
        // Half of the cache or more serves the new size: 32 of its blocks hit when read twice in a row.
        let before = cache.statistics.misses
        for _ in 0..<2 { for i in stride(from: 0, to: 3200, by: 100) { _ = fixture.find(big, Self.key(i)) } }
        #expect(cache.statistics.misses - before <= 40)
        #expect(cache.statistics.usedBytes <= 1 << 20)
    }

    /// Blocks above the biggest size class have memory of their own, and it counts.
    @Test func bigBlocksCount() throws {
        let cache = BlockCache(budgetBytes: 1 << 20, shardCount: 1)
        let fixture = try TableFixture(cache)
        let noise = (0..<(200 << 10)).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        try fixture.write((0..<20).map { TestVersion([UInt8($0)], UInt64($0 + 1), noise) })
        let table = try fixture.open()
        for _ in 0..<3 { for i in 0..<20 { #expect(fixture.find(table, [UInt8(i)]).1?.value == noise) } }
        #expect(cache.statistics.usedBytes <= 1 << 20)
        #expect(cache.statistics.usedBytes > 400 << 10)
        #expect(cache.statistics.evictions > 20)
        // A hit now and then all the same.
        _ = fixture.find(table, [19])
        let misses = cache.statistics.misses
        _ = fixture.find(table, [19])
        #expect(cache.statistics.misses == misses)
    }

    /// A block of half the cache is read and forgotten; everything else stays.
    @Test func hugeBlocksDisplaceNothing() throws {
        let cache = BlockCache(budgetBytes: 1 << 20, shardCount: 1)
        let fixture = try TableFixture(cache)
        let noise = (0..<(500 << 10)).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        try fixture.write(Self.versions(2000) + [TestVersion([0xFF], 9000, noise)], Self.plainOptions())
        let table = try fixture.open()
        for i in 0..<2000 { _ = fixture.find(table, Self.key(i)) }
        for _ in 0..<3 { #expect(fixture.find(table, [0xFF]).1?.value == noise) }
        let misses = cache.statistics.misses
        for i in 0..<2000 { _ = fixture.find(table, Self.key(i)) }
        #expect(cache.statistics.misses == misses)
        #expect(cache.statistics.evictions == 0)
        #expect(cache.statistics.usedBytes <= 1 << 20)
    }

    @Test func wouldBlockWhereTheDiskWouldWait() throws {
        let fixture = try TableFixture()
        let disk = try #require(fixture.disk as? SimulatedDisk)
        try fixture.write(Self.versions(500))
        let table = try fixture.open()
        disk.residency = .none
        let (result, _) = TableFixture.find(table, fixture.pins, Self.key(5), mayBlock: false)
        #expect(result == .wouldBlock)
        let cursor = TableCursor(table, fixture.pins, access: .read, mayBlock: false)
        #expect(throws: Interruption.wouldBlock) { try cursor.seekToFirst() }
        #expect(!cursor.isValid)
        // After a read that may wait, both go on without.
        cursor.mayBlock = true
        try cursor.seekToFirst()
        cursor.mayBlock = false
        try cursor.seekToFirst()
        #expect(TestVersion(cursor.entry).key == Self.key(0))
        #expect(TableFixture.find(table, fixture.pins, Self.key(5), mayBlock: false).0 == .found)
    }

    /// Goal: frames change hands under readers without a wrong answer. Method: four threads find and scan in two tables
    /// through a cache that holds a few dozen blocks, while a fifth changes the budget and opens and closes a third
    /// table.
    @Test func threadsShareATinyCache() throws {
        let seed = TestSeed("CacheThreads").value
        let cache = BlockCache(budgetBytes: 512 << 10, shardCount: 2)
        let fixture = try TableFixture(cache)
        try fixture.write(Self.versions(8000), Self.plainOptions())
        let first = try fixture.open()
        let writer = try TableWriter(disk: fixture.disk, path: "/t/2", fileId: 2)
        for version in Self.versions(8000) { try version.withEntry { try writer.add($0) } }
        _ = try writer.finish()
        let second = try Table.open(disk: fixture.disk, path: "/t/2", fileId: 2, cache: cache)
        let wrong = SharedCounter(0)
        let running = SharedCounter(4)
        do {
            var threads: [PThread] = []
            for t in 0..<4 {
                threads.append(
                    PThread(name: "reader \(t)") {
                        let pins = BlockPins.make(cache)
                        var random = SeededRandom(seed: seed &+ UInt64(t))
                        for round in 0..<4000 {
                            let table = random.oneIn(2) ? first : second
                            let i = random.below(8000)
                            if round % 50 == 0 {
                                let cursor = TableCursor(
                                    table, pins, access: random.oneIn(2) ? .scan : .read, mayBlock: true)
                                var at = i
                                do {
                                    try Self.key(i).withView { try cursor.seek($0) }
                                    while cursor.isValid && at < i + 200 {
                                        if TestVersion(cursor.entry).value != Self.value(at) { wrong.add() }
                                        at += 1
                                        try cursor.next()
                                    }
                                } catch { wrong.add() }
                            } else if TableFixture.find(table, pins, Self.key(i)).1?.value != Self.value(i) {
                                wrong.add()
                            }
                        }
                        BlockPins.destroy(pins)
                        running.subtract()
                    })
            }
            var random = SeededRandom(seed: seed &+ 99)
            while running.value > 0 {
                cache.budgetBytes = (1 + random.below(4)) * 256 << 10
                do {
                    let third = try Table.open(disk: fixture.disk, path: "/t/2", fileId: 2, cache: cache)
                    for _ in 0..<50 {
                        let i = random.below(8000)
                        if fixture.find(third, Self.key(i)).1?.value != Self.value(i) { wrong.add() }
                    }
                } catch { wrong.add() }
            }
            for thread in threads { thread.join() }
            #expect(wrong.value == 0)
        }
        #expect(cache.statistics.usedBytes <= 1 << 20)
    }
}

/// Counters that closures on other threads share: an Atomic cannot be captured, a reference to one can.
private final class SharedCounter: Sendable {
    private let count: Atomic<Int>
    init(_ start: Int) { count = Atomic(start) }
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.wrappingAdd(1, ordering: .relaxed) }
    func subtract() { count.wrappingSubtract(1, ordering: .relaxed) }
}
