// The format does not change by accident: this table was written by format 2 and is the worked example of
// OnDiskFormat-Tables.md. When one of these tests fails, the format number has to be raised, and these bytes stay as
// what old files look like, as those of format 1 do: they differ in the properties, and what is "prior named" in format
// 2 was without meaning.

import Testing
import ValkBase

@testable import ValkEngine

@Suite struct TableGoldenTests {
    /// Table 77: five versions of four keys in one block, not compressed, ten filter bits per key.
    static var versions: [TestVersion] {
        var first = TestVersion(Array("key:apple".utf8), 12, Array("red".utf8))
        first.tag = 1
        var second = TestVersion(Array("key:apple".utf8), 10, Array("green".utf8))
        second.tag = 1
        second.flags = .priorUnknown
        var third = TestVersion(Array("key:apricot".utf8), 11)
        third.kind = .delete
        var fourth = TestVersion(Array("key:banana".utf8), 14)
        fourth.flags = [.separated, .priorNamed]
        fourth.pointer = ValuePointer(segment: 3, offset: 8192, length: 5000, crc: 0xDEAD_BEEF)
        var fifth = TestVersion(Array("key:cherry".utf8), 13, Array("dark".utf8))
        fifth.expireAt = 1_700_000_000_000
        return [first, second, third, fourth, fifth]
    }

    static var options: TableOptions {
        var options = TableOptions()
        options.compression = .none
        options.restartInterval = 2
        return options
    }

    /// Data block, index, filter and properties, one after the other; then the footer. Between them are zeros.
    static let body = """
        0a000000000000000068e5cf8b010000040000000300000057000000050000006b65793a300057003b0065004e007900
        0005066170706c6505000800070261707269636f7400061262616e616e61000607636865727279500102726564520100
        677265656e20011504030000000020000088130000efbeadde9003006461726b003bb6802c000a6b65793a6368657272
        7985010000e4a90e45001000000000000802000c000080000100010000000c0000000000000000000000008000400018
        000003000a0000020008000001000008000080000000400000005c946c30010105020104030101040101050101060131
        07010c080288270901010a0280010b010a0c010e0d0680d095ffbc310e0680d095ffbc310f010120096b65793a617070
        6c65210a6b65793a6368657272792205010388270100fed56749
        """
    static let footer = """
        4d000000000000008500000000000000140000000000000099000000000000004500000000000000de00000000000000
        5c00000000000000001000000000000001000000000000000600000000000000020000002dd9d09456414c4b54424c31
        """

    /// What format 1 has from the end of the properties on, and its footer.
    static let oldEnd = """
        20096b65793a6170706c65210a6b65793a6368657272792205010388270100254cab3b
        """
    static let oldFooter = """
        4d000000000000008500000000000000140000000000000099000000000000004500000000000000de00000000000000
        59000000000000000010000000000000010000000000000006000000000000000100000058050c0a56414c4b54424c31
        """

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func bytes(_ text: String) -> [UInt8] {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    @Test func writesTheseBytes() throws {
        let fixture = try TableFixture()
        try fixture.write(Self.versions, Self.options)
        let bytes = try fixture.bytes()
        #expect(bytes.count == 4096)
        let body = Self.bytes(Self.body)
        #expect(Self.hexadecimal(bytes.prefix(body.count)) == Self.hexadecimal(body))
        #expect(bytes[body.count..<4000].allSatisfy { $0 == 0 })
        #expect(Self.hexadecimal(bytes.suffix(96)) == Self.hexadecimal(Self.bytes(Self.footer)))
    }

    @Test(arguments: [1, 2]) func readsTheseBytes(format: Int) throws {
        var body = Self.bytes(Self.body)
        let oldEnd = Self.bytes(Self.oldEnd)
        if format == 1 { body = body.dropLast(3 + oldEnd.count) + oldEnd }
        let footer = Self.bytes(format == 1 ? Self.oldFooter : Self.footer)
        let fixture = try TableFixture()
        try fixture.replace(body + [UInt8](repeating: 0, count: 4000 - body.count) + footer)
        let table = try fixture.open()
        for version in Self.versions {
            #expect(fixture.find(table, version.key, maxSequence: version.sequence).1 == version)
        }
        let cursor = fixture.cursor(table)
        try cursor.seekToFirst()
        #expect(try cursor.restForward() == Self.versions)
        #expect(try table.verify(fixture.pins).entries == 5)
        #expect(table.properties.namedPriorCount == UInt64(format - 1))
        #expect(table.properties.segments == [SegmentReference(segment: 3, bytes: 5000, count: 1)])
    }
}
