// Dumps and explanations say what is in the files.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct DumpTests {
    @Test func explainsWhereEachValueComesFrom() throws {
        let fixture = try InspectFixture()
        for (key, value) in fixture.expected {
            let found = try KeyExplanation.explain(
                disk: fixture.disk, directory: InspectFixture.directory, key: key)
            #expect(found.visible?.valueLength == value.count)
            #expect(found.visible?.preview == Array(value.prefix(KeyVersion.previewBytes)))
            #expect(found.versions.map(\.sequence) == found.versions.map(\.sequence).sorted(by: >))
        }
        // key(0) was written in the first round and deleted in it: its delete is in the first table.
        let gone = try KeyExplanation.explain(
            disk: fixture.disk, directory: InspectFixture.directory, key: fixture.key(0))
        #expect(gone.visible == nil)
        #expect(gone.versions.map(\.kind) == [.delete])
        // key(14) was written in each round: twice in tables, last in the log.
        let thrice = try KeyExplanation.explain(
            disk: fixture.disk, directory: InspectFixture.directory, key: fixture.key(14))
        #expect(thrice.versions.count == 3)
        guard case .log? = thrice.versions.first?.place, case .table? = thrice.versions.last?.place else {
            Issue.record("\(thrice.versions)")
            return
        }
        let never = try KeyExplanation.explain(disk: fixture.disk, directory: InspectFixture.directory, key: [1])
        #expect(never.versions.isEmpty && never.visible == nil)
    }

    @Test func rangeDeletionsHideVersions() throws {
        let fixture = try InspectFixture()
        let store = try Store.open(fixture.options, disk: fixture.disk)
        let batch = WriteBatch()
        fixture.key(0).withView { l in fixture.key(10).withView { batch.deleteRange(l, $0) } }
        try store.waitForLog(try store.commit(batch, mayBlock: true))
        try store.close()
        let hidden = try KeyExplanation.explain(
            disk: fixture.disk, directory: InspectFixture.directory, key: fixture.key(5))
        #expect(hidden.visible == nil && hidden.tombstones.count == 1)
        #expect(hidden.versions.first?.hiddenBy == hidden.tombstones.first?.sequence)
        #expect(try fixture.verify().isSound)
    }

    @Test func dumpsShowWhatIsThere() throws {
        let fixture = try InspectFixture()
        let manifest = try ManifestDump(disk: fixture.disk, directory: InspectFixture.directory)
        // The first edit is the whole state; then two flushes, and the close, which notes what was durable.
        #expect(manifest.tables.count == 2 && !manifest.isServerStore && manifest.edits.count == 4)
        var entries = 0
        for table in manifest.tables {
            let dump = try TableDump(disk: fixture.disk, path: table.path)
            var count: UInt64 = 0
            try dump.forEach { line in
                count += 1
                #expect(line.key.count == 7)
            }
            #expect(count == table.entries)
            entries += Int(count)
        }
        let figures = try StoreFigures(disk: fixture.disk, directory: InspectFixture.directory)
        #expect(figures.entries == UInt64(entries) && figures.runs.count == 2 && figures.tailRecords == 21)
        #expect(figures.segments.reduce(0) { $0 + $1.records } == 63)
    }
}
