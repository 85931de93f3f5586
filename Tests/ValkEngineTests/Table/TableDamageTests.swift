import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct TableDamageTests {
    private static func smallTable(_ compression: BlockCompression) throws -> (TableFixture, [TestVersion]) {
        let fixture = try TableFixture()
        var versions: [TestVersion] = []
        for i in 0..<60 {
            var version = TestVersion(
                Array("key:\(100 + i / 2)".utf8), UInt64(1000 - i), [UInt8](repeating: UInt8(i), count: i))
            version.expireAt = i % 3 == 0 ? 1_700_000_000_000 + UInt64(i) : 0
            if i % 7 == 0 {
                version.value = []
                version.flags = .separated
                version.pointer = ValuePointer(segment: 3, offset: UInt32(i), length: 9, crc: 1)
            }
            versions.append(version)
        }
        var options = TableOptions()
        options.blockBytes = 512
        options.compression = compression
        try fixture.write(versions, options)
        return (fixture, versions)
    }

    /// Reads everything in every way. Throws when something is damaged, records an issue when an answer is wrong.
    private static func readAll(_ fixture: TableFixture, _ versions: [TestVersion], _ note: String) throws -> Bool {
        let table: Table
        do { table = try fixture.open() } catch let error as StoreError {
            #expect(error.kind == .corruption || error.kind == .newerFormat, "\(note): \(error)")
            return false
        }
        var whole = true
        for version in versions {
            let (result, got) = fixture.find(table, version.key, maxSequence: version.sequence)
            switch result {
            case .found: #expect(got == version, "\(note)")
            case .damaged:
                whole = false
                #expect(table.takeFault()?.kind == .corruption, "\(note)")
            default: Issue.record("\(note): \(result) for \(version)")
            }
        }
        for access in [TableAccess.scan, .merge] {
            do throws(Interruption) {
                let cursor = fixture.cursor(table, access)
                try cursor.seekToFirst()
                var i = 0
                while cursor.isValid {
                    #expect(i < versions.count && TestVersion(cursor.entry) == versions[i], "\(note)")
                    i += 1
                    try cursor.next()
                }
                #expect(i == versions.count, "\(note)")
            } catch {
                #expect(error == .damaged, "\(note)")
                whole = false
            }
        }
        return whole
    }

    /// Goal: no flipped byte is ever taken for data. Method: flip each byte of a small file in turn; the table answers
    /// as before (the padding) or reports damage, and never crashes.
    @Test(arguments: [BlockCompression.none, .lz4])
    func noticesEveryFlippedByte(compression: BlockCompression) throws {
        let (fixture, versions) = try Self.smallTable(compression)
        let bytes = try fixture.bytes()
        #expect(try Self.readAll(fixture, versions, "untouched"))
        let place = bytes.count - TableFormat.footerBytes
        let footer = try bytes.withUnsafeBytes { raw in
            try TableFooter.decode(
                #require(raw.baseAddress) + place, fileBytes: bytes.count, fileId: TableFixture.fileId, path: "")
        }
        let padding = footer.properties.end..<place
        for i in bytes.indices {
            // Padding is many zeros: every 64th of them will do.
            if padding.contains(i) && i % 64 != 0 { continue }
            var changed = bytes
            changed[i] ^= [0x01, 0x80, 0xFF][i % 3]
            try fixture.replace(changed)
            let isWhole = try Self.readAll(fixture, versions, "byte \(i)")
            #expect(isWhole == padding.contains(i), "byte \(i)")
        }
        try fixture.replace(bytes)
        #expect(try Self.readAll(fixture, versions, "restored"))
    }

    @Test func refusesTruncatedFiles() throws {
        let (fixture, _) = try Self.smallTable(.lz4)
        let bytes = try fixture.bytes()
        var lengths = Array(stride(from: 0, to: bytes.count, by: 97))
        lengths += [bytes.count - 1, bytes.count - 4096, 96, 95, 1]
        for length in lengths where length >= 0 {
            try fixture.replace(Array(bytes.prefix(length)))
            #expect(throws: StoreError.self, "\(length) bytes") { try fixture.open() }
        }
        // Longer than it says, by a page of zeros and by a page with the old footer at its end.
        try fixture.replace(bytes + [UInt8](repeating: 0, count: 4096))
        #expect(throws: StoreError.self) { try fixture.open() }
        try fixture.replace(bytes + [UInt8](repeating: 0, count: 4000) + bytes.suffix(96))
        #expect(throws: StoreError.self) { try fixture.open() }
    }

    @Test func refusesAnotherTablesFile() throws {
        let (fixture, _) = try Self.smallTable(.none)
        #expect(throws: StoreError.self) {
            try Table.open(disk: fixture.disk, path: TableFixture.path, fileId: 78, cache: fixture.cache)
        }
    }

    /// A block of another table at the same place has a right checksum there and a wrong one here.
    @Test func noticesBlocksOfAnotherFile() throws {
        let (fixture, versions) = try Self.smallTable(.none)
        let bytes = try fixture.bytes()
        var options = TableOptions()
        options.blockBytes = 512
        options.compression = .none
        let writer = try TableWriter(disk: fixture.disk, path: "/t/2.sst", fileId: 78, options: options)
        for version in versions { try version.withEntry { try writer.add($0) } }
        _ = try writer.finish()
        let stored = try fixture.open().blockSummary(0).stored
        let other = try fixture.disk.open("/t/2.sst", .readOnly)
        var block = [UInt8](repeating: 0, count: stored)
        _ = try block.withUnsafeMutableBytes { try other.read(into: $0, at: 0) }
        other.close()
        #expect(block.dropLast(4) == bytes[0..<(stored - 4)])
        try fixture.replace(block + bytes.dropFirst(stored))
        #expect(try !Self.readAll(fixture, versions, "foreign block"))
    }

    @Test func refusesNewerFormats() throws {
        let (fixture, _) = try Self.smallTable(.none)
        var bytes = try fixture.bytes()
        let footer = bytes.count - TableFormat.footerBytes
        bytes.withUnsafeMutableBytes { raw in
            guard let base = raw.baseAddress else { return }
            (base + footer).storeFixed(TableFormat.version + 1, 80)
            (base + footer).storeFixed(TableFooter.checksum(base + footer), 84)
        }
        try fixture.replace(bytes)
        do {
            _ = try fixture.open()
            Issue.record("opened a newer format")
        } catch let error as StoreError {
            #expect(error.kind == .newerFormat)
        }
    }

    /// Goal: bytes with a right checksum that no writer wrote never lead out of the block. Method: change a few random
    /// bytes of any block, seal it again, and read in every way; answers may be wrong, reading must end. Worth running
    /// with the address sanitizer.
    @Test(arguments: [BlockCompression.none, .lz4])
    func survivesWrongBytesUnderRightChecksums(compression: BlockCompression) throws {
        let (fixture, versions) = try Self.smallTable(compression)
        var random = SeededRandom(seed: TestSeed("TableLies").value)
        let bytes = try fixture.bytes()
        let table = try fixture.open()
        let place = bytes.count - TableFormat.footerBytes
        let footer = try bytes.withUnsafeBytes { raw in
            try TableFooter.decode(
                #require(raw.baseAddress) + place, fileBytes: bytes.count, fileId: TableFixture.fileId, path: "")
        }
        var ranges = (0..<table.blockCount).map {
            FileRange(offset: table.blockSummary($0).offset, bytes: table.blockSummary($0).stored)
        }
        ranges += [footer.index, footer.filter, footer.properties]
        var opened = 0
        for _ in 0..<3000 {
            let range = ranges[random.below(ranges.count)]
            var changed = bytes
            for _ in 0...random.below(3) {
                let i = range.offset + random.below(range.bytes - TableFormat.trailerBytes)
                changed[i] = random.oneIn(3) ? [0, 1, 0x7F, 0x80, 0xFF][random.below(5)] : UInt8(random.below(256))
            }
            changed.withUnsafeMutableBytes { raw in
                guard let base = raw.baseAddress else { return }
                let content = range.bytes - TableFormat.trailerBytes
                let kind = BlockCompression(rawValue: raw[range.offset + content]) ?? .none
                TableFormat.seal(
                    base + range.offset, content: content, kind, fileId: TableFixture.fileId, offset: range.offset)
            }
            try fixture.replace(changed)
            guard let table = try? fixture.open() else { continue }
            opened += 1
            for version in versions { _ = fixture.find(table, version.key, maxSequence: version.sequence) }
            let cursor = fixture.cursor(table)
            _ = try? cursor.seekToFirst()
            var steps = 0
            while cursor.isValid && steps < 10_000 {
                steps += 1
                guard (try? cursor.next()) != nil else { break }
            }
            #expect(steps < 10_000)
            _ = try? cursor.seekToLast()
            while cursor.isValid { guard (try? cursor.previous()) != nil else { break } }
            for version in versions { _ = try? version.key.withView { try cursor.seekBefore($0) } }
            _ = try? table.verify(fixture.pins)
        }
        #expect(opened > 500)
    }

    /// A writer that hits the end of the device reports it, at whichever write, and leaves nothing open.
    @Test func reportsAFullDevice() throws {
        var random = SeededRandom(seed: TestSeed("TableFull").value)
        let versions = randomVersions(&random, keys: 3000)
        for capacity in [0, 4096, 40_000, 200_000] {
            let disk = SimulatedDisk()
            try disk.createDirectory("/t")
            disk.capacityBytes = capacity
            let cache = BlockCache(budgetBytes: 4 << 20, shardCount: 1)
            var options = TableOptions()
            options.bufferBytes = 16 << 10
            do {
                let writer = try TableWriter(disk: disk, path: "/t/1", fileId: 1, options: options, cache: cache)
                defer { writer.abandon() }
                for version in versions { try version.withEntry { try writer.add($0) } }
                _ = try writer.finish()
                Issue.record("wrote into \(capacity) bytes")
            } catch let error as StoreError {
                #expect(error.kind == .noSpace)
            }
            try disk.remove("/t/1")
        }
    }
}
