// Tables that are looked at only when somebody needs them.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct TableLoadingTests {
    private static func versions() -> [TestVersion] {
        (0..<500).map { TestVersion(Array("key:\(1000 + $0)".utf8), UInt64(1 + $0), [UInt8](repeating: 7, count: 30)) }
    }

    private static func unopened(_ fixture: TableFixture) -> Table {
        Table(disk: fixture.disk, path: TableFixture.path, fileId: TableFixture.fileId, cache: fixture.cache)
    }

    @Test func aLookUpThatMayWaitLoadsTheTable() throws {
        let fixture = try TableFixture()
        let versions = Self.versions()
        try fixture.write(versions)
        let table = Self.unopened(fixture)
        let key = versions[321].key
        #expect(!table.isLoaded)
        #expect(key.withView { table.mayContain($0.hash64) })
        #expect(TableFixture.find(table, fixture.pins, key, mayBlock: false).0 == .wouldBlock)
        #expect(!table.isLoaded)
        #expect(fixture.find(table, key).1?.sequence == versions[321].sequence)
        #expect(table.isLoaded)
        #expect(table.memoryBytes > 0 && fixture.cache.statistics.tableBytes == table.memoryBytes)
        #expect(fixture.find(table, Array("absent".utf8)).0 == .absent)
    }

    @Test func aCursorLoadsTheTable() throws {
        let fixture = try TableFixture()
        let versions = Self.versions()
        try fixture.write(versions)
        let table = Self.unopened(fixture)
        let hurried = TableCursor(table, fixture.pins, access: .scan, mayBlock: false)
        #expect(throws: Interruption.wouldBlock) { try hurried.seekToFirst() }
        #expect(!hurried.isValid)
        let patient = TableCursor(table, fixture.pins, access: .scan, mayBlock: true)
        try patient.seekToLast()
        #expect(patient.entry.key.array == versions.last?.key)
    }

    @Test func whatIsWrongWithTheFileIsToldByTheReadersResult() throws {
        let fixture = try TableFixture()
        let missing = Self.unopened(fixture)
        #expect(fixture.find(missing, [1]).0 == .readFailed)
        #expect(missing.takeFault()?.kind == .disk)
        try fixture.write(Self.versions())
        let file = try fixture.disk.open(TableFixture.path, .readWrite)
        let size = try file.size()
        try [UInt8](repeating: 0, count: 8).withUnsafeBytes { try file.write($0, at: size - 40) }
        file.close()
        let damaged = Self.unopened(fixture)
        #expect(fixture.find(damaged, [1]).0 == .damaged)
        #expect(damaged.takeFault()?.path == TableFixture.path)
        #expect(!damaged.isLoaded)
    }
}
