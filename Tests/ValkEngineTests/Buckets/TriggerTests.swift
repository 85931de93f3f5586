// What brings a job on beside size: deletes that readers stumble over, entries that have expired, leaves that are
// walked often, merges that pay or do not.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct TriggerTests {
    /// Deletes alone bring nothing on here, so that what does is the reader.
    private static func queue() throws -> TinyStore {
        let subject = try TinyStore { $0.deletesEntriesMin = .max }
        try subject.run(of: 0..<6000)
        try subject.settle()
        #expect(subject.store.root.height >= 1)
        for n in 0..<3000 { try subject.delete(TinyStore.key(n)) }
        try subject.store.flushTables()
        try subject.settle()
        return subject
    }

    @Test func aQueueWhoseHeadWasDeletedIsMergedWhereReadersSkip() throws {
        let subject = try Self.queue()
        #expect(subject.deletes >= 3000)
        #expect(try subject.walk() == 3000)
        #expect(subject.controller.readNotes.skipped.count == 1)
        let before = subject.controller.counters.mergeBytesRead
        try subject.settle()
        #expect(subject.reasons.contains("readers skip much"))
        #expect(subject.deletes < 50)
        // What lies behind is not touched.
        let read = subject.controller.counters.mergeBytesRead - before
        #expect(read < UInt64(subject.store.statistics.tableFileBytes) * 2)
        #expect(try subject.walk() == 3000)
        #expect(subject.controller.readNotes.skipped.isEmpty)
        #expect(subject.store.root.fault() == nil)
    }

    @Test func walksBackwardNoteItToo() throws {
        let subject = try Self.queue()
        let reader = StoreReader(subject.store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        let upper = TinyStore.key(3000)
        let cursor = try upper.withView { try reader.cursor(lower: .empty, upper: $0) }
        try cursor.seekToLast()
        #expect(!cursor.isValid)
        let range = try #require(subject.controller.readNotes.skipped.first)
        #expect(range.lower == TinyStore.key(0))
        #expect(range.contains(TinyStore.key(2999)))
    }

    /// What is dead in memory alone is no work for a job, and is not asked for again and again.
    @Test func whatIsOnlyInMemoryIsForgotten() throws {
        let subject = try TinyStore { $0.deletesEntriesMin = .max }
        for n in 0..<3000 { try subject.put(TinyStore.key(n), [1]) }
        for n in 0..<2000 { try subject.delete(TinyStore.key(n)) }
        #expect(try subject.walk() == 1000)
        #expect(subject.controller.readNotes.skipped.count == 1)
        #expect(try !subject.controller.mergeOnce())
        #expect(subject.controller.readNotes.skipped.isEmpty)
    }

    @Test func aFewDeletesAreNotNoted() throws {
        let subject = try TinyStore { $0.deletesEntriesMin = .max }
        try subject.run(of: 0..<3000)
        for n in 0..<ReadNotes.skipsMax { try subject.delete(TinyStore.key(n)) }
        #expect(try subject.walk() == 2000)
        #expect(subject.controller.readNotes.skipped.isEmpty)
    }

    // MARK: Expiry

    /// A leaf of which more than a fifth has expired, and the deletes of those, which are too few to go down by
    /// themselves.
    private static func expired(now: UInt64) throws -> TinyStore {
        let subject = try TinyStore { $0.leafBytes = 4 << 20 }
        for n in 0..<3000 {
            try subject.put(TinyStore.key(n), [UInt8](repeating: 7, count: 40), expireAt: n % 3 == 0 ? now : 0)
        }
        try subject.store.flushTables()
        try subject.store.mergeAll()
        for n in 0..<3000 where n % 3 == 0 { try subject.delete(TinyStore.key(n)) }
        for n in 10_000..<10_500 { try subject.put(TinyStore.key(n), [1]) }
        try subject.store.flushTables()
        return subject
    }

    @Test func deletesOfWhatHasExpiredGoDownSooner() throws {
        let subject = try Self.expired(now: 1_000_000)
        try subject.settle()
        #expect(subject.reasons.contains("much has expired"))
        #expect(subject.deletes == 0)
        #expect(try subject.walk() == 2500)
        #expect(try !subject.controller.mergeOnce())
    }

    @Test func whatHasNotExpiredBringsNothingOn() throws {
        // The year 2100.
        let subject = try Self.expired(now: 4_102_444_800_000)
        try subject.settle()
        #expect(!subject.reasons.contains("much has expired"))
        #expect(subject.deletes == 1000)
    }

    /// Nothing deletes what has expired: a merge must not, and the planner does not merge for it again and again.
    @Test func expiredEntriesThatNobodyDeletedStay() throws {
        let subject = try TinyStore { $0.leafBytes = 4 << 20 }
        for n in 0..<3000 { try subject.put(TinyStore.key(n), [7], expireAt: 1000) }
        try subject.store.flushTables()
        try subject.settle()
        try subject.store.mergeAll()
        #expect(try subject.walk() == 3000)
        #expect(!subject.reasons.contains("much has expired"))
    }

    // MARK: Heat

    @Test func leavesThatAreWalkedOftenGetFewRuns() throws {
        let subject = try TinyStore {
            $0.leafBytes = 4 << 20
            $0.mergeWidth = 8
        }
        for n in 0..<6 { try subject.run(of: stride(from: n, to: 600, by: 6)) }
        try subject.settle()
        #expect(subject.store.root.runs.count == 6)
        let reader = StoreReader(subject.store, mayBlock: true)
        reader.begin()
        for n in 0..<Int(ReadNotes.hotWalks) {
            let (lower, upper) = (TinyStore.key(n % 600), TinyStore.key(n % 600 + 1))
            let cursor = try lower.withView { l in try upper.withView { try reader.cursor(lower: l, upper: $0) } }
            try cursor.seekToFirst()
        }
        reader.end()
        try subject.settle()
        #expect(subject.store.root.runs.count <= 4)
        #expect(subject.store.root.fault() == nil)
    }

    @Test func heatFades() {
        let notes = ReadNotes(wake: Bell())
        notes.cool(now: 1_000_000_000)
        for _ in 0..<2 * ReadNotes.hotWalks { notes.noteWalk(5) }
        #expect(notes.hasHeat && notes.isHot(5) && !notes.isHot(6))
        notes.cool(now: 11_000_000_000)
        #expect(notes.hasHeat && notes.isHot(5))
        notes.cool(now: 21_000_000_000)
        #expect(!notes.hasHeat && !notes.isHot(5))
    }

    // MARK: Duplicates

    @Test func mergesThatPayComeSoonerAndOthersLater() {
        let usual = MergePicker(width: 8)
        let leaf = Bucket(rootRuns: [])
        var hints = JobHints()
        #expect(hints.picker(leaf, usual: usual).width == 8)
        hints.noteMerge(leaf.id, read: 1000, written: 700)
        #expect(hints.picker(leaf, usual: usual).width == 4)
        hints.noteMerge(leaf.id, read: 1000, written: 900)
        #expect(hints.picker(leaf, usual: usual).width == 8)
        hints.noteMerge(leaf.id, read: 1000, written: 999)
        #expect(hints.picker(leaf, usual: usual).width == 12)
        hints.isHot = { _ in true }
        #expect(hints.picker(leaf, usual: usual).width == 2)
    }

    @Test func aLeafThatIsOverwrittenIsMergedSoonerTheNextTime() throws {
        let subject = try TinyStore { $0.leafBytes = 4 << 20 }
        for _ in 0..<4 { try subject.run(of: 0..<400) }
        try subject.settle()
        #expect(subject.store.root.runs.count == 1)
        // Half of the usual four is enough now.
        try subject.run(of: 0..<400)
        try subject.settle()
        #expect(subject.store.root.runs.count == 1)
    }
}
