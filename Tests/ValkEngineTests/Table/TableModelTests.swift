import Testing
import ValkBase
import ValkTestSupport

@testable import ValkEngine

/// Goal: a table answers exactly as the sorted array it was built from. Method: random arrays, random options; every
/// version is found at its own sequence and by neighbours of it, every position is reached by seeks, and both walks
/// give the array.
@Suite struct TableModelTests {
    static func randomOptions(_ random: inout SeededRandom) -> TableOptions {
        var options = TableOptions()
        options.blockBytes = [128, 512, 4096, 16384][random.below(4)]
        options.restartInterval = [1, 2, 8, 16][random.below(4)]
        options.filterBitsPerKey = [0, 4, 10, 12, 16][random.below(5)]
        options.compression = random.oneIn(2) ? .none : .lz4
        options.bufferBytes = [4096, 1 << 20][random.below(2)]
        return options
    }

    @Test(arguments: 0..<24)
    func agreesWithArray(round: Int) throws {
        var random = SeededRandom(seed: TestSeed("TableModel").value &+ UInt64(round))
        let options = Self.randomOptions(&random)
        let keys = [1, 2, 40, 400, 1000][random.below(5)]
        let model = TableModel(versions: randomVersions(&random, keys: keys))
        let budget = [0, 300 << 10, 8 << 20][random.below(3)]
        let fixture = try TableFixture(BlockCache(budgetBytes: budget, shardCount: 1 + random.below(2)))
        let warm = random.oneIn(2)
        let finished = try fixture.write(model.versions, options, warm: warm)
        let table = try fixture.open(warm: finished)
        #expect(table.properties == finished.properties)
        try checkPoints(fixture, table, model, &random)
        for access in [TableAccess.read, .scan, .merge] { try checkWalks(fixture, table, model, access) }
        try checkSeeks(fixture, table, model, &random)
        checkProperties(table.properties, model)
        #expect(try table.verify(fixture.pins).entries == UInt64(model.versions.count))
        #expect(table.takeFault() == nil)
    }

    private func checkPoints(_ fixture: TableFixture, _ table: Table, _ model: TableModel, _ random: inout SeededRandom)
        throws
    {
        for version in model.versions {
            for sequence in [version.sequence, version.sequence - 1, UInt64.max] {
                let (result, got) = fixture.find(table, version.key, maxSequence: sequence)
                let expected = model.find(version.key, maxSequence: sequence)
                #expect(result == (expected == nil ? .absent : .found), "\(version) at \(sequence)")
                #expect(got == expected)
            }
            // Neighbours: the key shortened, extended, raised.
            var others = [
                version.key + [0], version.key.dropLast() + [], version.key.dropLast() + [UInt8(random.below(256))],
            ]
            others.removeAll { $0.isEmpty }
            for other in others {
                let expected = model.find(other, maxSequence: .max)
                let (result, got) = fixture.find(table, other)
                #expect(result == (expected == nil ? .absent : .found), "\(ByteText(other))")
                #expect(got == expected)
            }
        }
    }

    private func checkWalks(_ fixture: TableFixture, _ table: Table, _ model: TableModel, _ access: TableAccess) throws
    {
        let cursor = fixture.cursor(table, access)
        try cursor.seekToFirst()
        #expect(try cursor.restForward() == model.versions)
        try cursor.seekToLast()
        #expect(try cursor.restBackward() == model.versions.reversed())
    }

    private func checkSeeks(_ fixture: TableFixture, _ table: Table, _ model: TableModel, _ random: inout SeededRandom)
        throws
    {
        let cursor = fixture.cursor(table)
        var targets = model.versions.map(\.key)
        targets += targets.prefix(300).map { $0 + [0] }
        targets += targets.prefix(300).compactMap { $0.count > 1 ? Array($0.dropLast()) : nil }
        targets += [[0], [0xFF], [UInt8](repeating: 0xFF, count: 30)]
        for target in targets {
            let at = model.lowerBound(target)
            try target.withView { try cursor.seek($0) }
            #expect(cursor.isValid == (at < model.versions.count))
            if cursor.isValid {
                #expect(TestVersion(cursor.entry) == model.versions[at])
                // A few steps in random directions.
                var position = at
                for _ in 0..<4 {
                    let forward = random.oneIn(2)
                    if forward { try cursor.next() } else { try cursor.previous() }
                    position += forward ? 1 : -1
                    guard model.versions.indices.contains(position) else {
                        #expect(!cursor.isValid)
                        break
                    }
                    #expect(cursor.isValid && TestVersion(cursor.entry) == model.versions[position])
                }
            }
            try target.withView { try cursor.seekBefore($0) }
            #expect(cursor.isValid == (at > 0))
            if cursor.isValid { #expect(TestVersion(cursor.entry) == model.versions[at - 1]) }
        }
    }

    private func checkProperties(_ properties: TableProperties, _ model: TableModel) {
        let versions = model.versions
        let puts = versions.filter { $0.kind == .put }
        let separated = puts.filter { $0.flags.contains(.separated) }
        #expect(properties.entryCount == UInt64(versions.count))
        #expect(properties.keyCount == UInt64(Set(versions.map(\.key)).count))
        #expect(properties.tombstoneCount == UInt64(versions.count - puts.count))
        #expect(properties.unknownPriorCount == UInt64(versions.filter { $0.flags.contains(.priorUnknown) }.count))
        #expect(properties.keyBytes == UInt64(versions.map(\.key.count).reduce(0, +)))
        #expect(properties.valueBytes == UInt64(puts.map(\.value.count).reduce(0, +)))
        #expect(properties.separatedBytes == separated.map { UInt64($0.pointer.length) }.reduce(0, +))
        #expect(properties.separatedCount == UInt64(separated.count))
        #expect(properties.sequenceMin == versions.map(\.sequence).min())
        #expect(properties.sequenceMax == versions.map(\.sequence).max())
        let expiries = versions.map(\.expireAt).filter { $0 != 0 }
        #expect(properties.expireAtMin == expiries.min() ?? 0)
        #expect(properties.expireAtMax == expiries.max() ?? 0)
        #expect(properties.expiringCount == UInt64(expiries.count))
        #expect(properties.smallestKey == versions.first?.key)
        #expect(properties.largestKey == versions.last?.key)
        let bySegment = Dictionary(grouping: separated, by: \.pointer.segment)
        #expect(
            properties.segments
                == bySegment.keys.sorted().map { segment in
                    let list = bySegment[segment] ?? []
                    return SegmentReference(
                        segment: segment, bytes: list.map { UInt64($0.pointer.length) }.reduce(0, +),
                        count: UInt64(list.count))
                })
    }

    @Test func holdsNothing() throws {
        let fixture = try TableFixture()
        try fixture.write([])
        let table = try fixture.open()
        #expect(table.properties.entryCount == 0)
        #expect(fixture.find(table, [1]).0 == .absent)
        let cursor = fixture.cursor(table)
        try cursor.seekToFirst()
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        #expect(!cursor.isValid)
        try [UInt8]([5]).withView { try cursor.seek($0) }
        #expect(!cursor.isValid)
    }

    @Test(arguments: 0..<4)
    func longKeys(round: Int) throws {
        var random = SeededRandom(seed: TestSeed("TableLongKeys").value &+ UInt64(round))
        let model = TableModel(versions: randomVersions(&random, keys: 40, longKeys: true))
        let fixture = try TableFixture()
        try fixture.write(model.versions, Self.randomOptions(&random))
        let table = try fixture.open()
        try checkPoints(fixture, table, model, &random)
        try checkWalks(fixture, table, model, .scan)
        try checkSeeks(fixture, table, model, &random)
        #expect(try table.verify(fixture.pins).blocks == table.blockCount)
    }

    /// 500 versions of one key between two others, in blocks of 128 bytes: each is found at its own sequence.
    @Test func manyVersionsSpanBlocks() throws {
        var versions = [TestVersion([1], 5)]
        versions += (0..<500).map { TestVersion([2, 2], UInt64(10_000 - $0 * 7), [UInt8](repeating: 9, count: 20)) }
        versions.append(TestVersion([2, 2, 0], 3))
        let fixture = try TableFixture()
        var options = TableOptions()
        options.blockBytes = 128
        try fixture.write(versions, options)
        let table = try fixture.open()
        #expect(table.blockCount > 50)
        for version in versions {
            #expect(fixture.find(table, version.key, maxSequence: version.sequence).1 == version)
        }
        #expect(fixture.find(table, [2, 2], maxSequence: 10_000 - 499 * 7 - 1).0 == .absent)
        #expect(fixture.find(table, [2, 2], maxSequence: 9_999).1?.sequence == 9_993)
    }

    @Test func bigValuesStayWhole() throws {
        let fixture = try TableFixture()
        let big = [UInt8](repeating: 3, count: 3 << 20)
        let noise = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
        let versions = [TestVersion([1], 1, big), TestVersion([2], 2), TestVersion([3], 3, noise)]
        try fixture.write(versions)
        let table = try fixture.open()
        for version in versions { #expect(fixture.find(table, version.key).1 == version) }
    }

    @Test func refusesEntriesOutOfOrder() throws {
        for (first, second) in [
            (TestVersion([2], 5), TestVersion([1], 9)), (TestVersion([2], 5), TestVersion([2], 5)),
            (TestVersion([2], 5), TestVersion([2], 6)), (TestVersion([2, 1], 5), TestVersion([2], 4)),
        ] {
            let fixture = try TableFixture()
            let writer = try TableWriter(disk: fixture.disk, path: TableFixture.path, fileId: 1)
            try first.withEntry { try writer.add($0) }
            #expect(throws: StoreError.self) { try second.withEntry { try writer.add($0) } }
            writer.abandon()
        }
    }

    /// Keys that were not inserted pass the filter about as often as the bits per key promise.
    @Test func filterKeepsItsPromise() throws {
        for (bits, limit) in [(10, 0.02), (12, 0.01)] {
            let fixture = try TableFixture()
            var options = TableOptions()
            options.filterBitsPerKey = bits
            try fixture.write(
                (0..<20_000).map { TestVersion(Array("key:\(1_000_000 + $0 * 2)".utf8), UInt64($0 + 1)) }, options)
            let table = try fixture.open()
            var passed = 0
            for i in 0..<20_000 {
                if Array("key:\(1_000_001 + i * 2)".utf8).withView({ table.mayContain($0.hash64) }) { passed += 1 }
            }
            #expect(Double(passed) / 20_000 < limit, "\(passed) of 20000 passed with \(bits) bits")
        }
    }
}
