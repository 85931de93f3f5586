// The manifest: edits come back, a torn last one is cut, damage before the end is refused, a crash at any operation
// leaves the edits that were acknowledged.

import CValk
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct ManifestTests {
    private static let identity = StoreIdentity(idHigh: 1, idLow: 2, fanOut: 8, countsNamespaces: true)

    private static func table(_ id: UInt64, _ random: inout SeededRandom) -> TableRecordItem {
        let lower = (0..<1 + random.below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let shares = (0..<random.below(4)).map {
            SegmentShare(segment: UInt32($0), bytes: random.next(), count: random.next() % 1000)
        }
        return TableRecordItem(
            fileId: id, bytes: random.next(), entries: random.next(), tombstones: random.next(),
            unknownPriors: random.next(),
            sequenceMin: id, sequenceMax: id + 10, expireAtMin: random.next(), expireAtMax: random.next(),
            smallest: lower, largest: lower + [255], segments: shares)
    }

    /// Edits that fit one after another: what flushes, merges and range deletions write.
    private static func edits(_ count: Int, seed: UInt64) -> [VersionEdit] {
        var random = SeededRandom(seed: seed)
        var live: [UInt64] = []
        var fragments: [FragmentRecord] = []
        var next: UInt64 = 1
        return (1...count).map { index in
            var items: [EditItem] = [
                .addTable(table(next, &random)), .nextFileId(next + 1), .nextRunId(UInt64(index)),
                .checkpoint(
                    Checkpoint(position: LogPosition(segment: UInt32(index), offset: 9), sequence: UInt64(index))),
                .counts(UInt32(random.below(3)), NamespaceCounts(keys: Int64(index), expires: -1, unknown: 7)),
            ]
            let fragment = FragmentRecord(bucket: next % 3, run: next, file: next, lower: [1], upper: [UInt8(index)])
            items.append(.addFragment(fragment))
            items.append(
                .bucket(BucketRecord(id: next, height: 1, pivots: [[1], [2, UInt8(index)]], children: [next, 8, 9])))
            live.append(next)
            fragments.append(fragment)
            next += 1
            if live.count > 3 {
                items.append(.removeFragment(fragments.removeFirst()))
                items.append(.removeBucket(live[0]))
                items.append(.removeTable(live.removeFirst()))
            }
            if random.oneIn(3) { items.append(.resolveTable(live[0])) }
            let lower = [UInt8(truncatingIfNeeded: index)]
            if random.oneIn(2) {
                items.append(
                    .addRangeTombstone(RangeTombstone(lower: lower, upper: [255, 255], sequence: UInt64(index))))
            }
            if random.oneIn(4) { items.append(.removeRangeTombstone(UInt64(max(1, index - 1)))) }
            return VersionEdit(items: items)
        }
    }

    private static func fresh() throws -> (SimulatedDisk, ManifestWriter, ManifestState) {
        let disk = SimulatedDisk()
        try disk.createDirectory("/store")
        try disk.syncDirectory("/")
        var state = ManifestState()
        state.identity = identity
        return (disk, try ManifestWriter(disk, "/store", number: 1, state: state), state)
    }

    @Test func editsAndSnapshotsComeBack() throws {
        let seed = TestSeed("editsAndSnapshotsComeBack").value
        for edit in ManifestTests.edits(50, seed: seed) {
            var buffer = ByteBuffer()
            edit.encode(into: &buffer)
            #expect(try VersionEdit.decode(buffer.view) == edit)
        }
        let (disk, writer, empty) = try ManifestTests.fresh()
        var state = empty
        for edit in ManifestTests.edits(50, seed: seed) {
            try writer.append(edit, state: state)
            #expect(state.apply(edit) == nil)
        }
        let loaded = try #require(try ManifestReader.load(disk, "/store"))
        #expect(loaded.state == state)
        #expect(loaded.editCount == 51)
        #expect(loaded.tornBytes == 0)
        var again = ManifestState()
        #expect(again.apply(state.snapshot) == nil)
        #expect(again == state)
    }

    @Test func aDirectoryWithoutCurrentHoldsNoStore() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/store")
        #expect(try ManifestReader.load(disk, "/store") == nil)
    }

    @Test func aTornLastEditIsCutAtEveryByteAndDamageBeforeIsRefused() throws {
        let (disk, writer, empty) = try ManifestTests.fresh()
        var states = [empty]
        var ends = [writer.bytes]
        for edit in ManifestTests.edits(4, seed: 5) {
            var state = states[states.count - 1]
            try writer.append(edit, state: state)
            #expect(state.apply(edit) == nil)
            states.append(state)
            ends.append(writer.bytes)
        }
        let bytes = try disk.readFile("/store/MANIFEST-1")
        for cut in ends[3]..<ends[4] {
            let loaded = try Array(bytes[..<cut]).withView { try ManifestReader.parse($0, number: 1, path: "M") }
            #expect(loaded.state == states[3], "cut at \(cut)")
            #expect(loaded.tornBytes == cut - ends[3])
        }
        for position in 0..<ends[4] {
            var damaged = bytes
            damaged[position] ^= 0x10
            do {
                let loaded = try damaged.withView { try ManifestReader.parse($0, number: 1, path: "M") }
                #expect(position >= ends[3] && loaded.state == states[3], "byte \(position)")
            } catch let error as StoreError {
                #expect(position < ends[3], "byte \(position): \(error)")
                #expect(error.kind == .corruption && error.path == "M" && error.offset >= 0)
            }
        }
    }

    @Test func unknownItemsAreSkippedOrRefusedByTheirKind() throws {
        for (kind, isRefused) in [(15, true), (127, true), (128, false), (300, false)] as [(UInt64, Bool)] {
            var buffer = ByteBuffer()
            VersionEdit(items: [.nextFileId(7)]).encode(into: &buffer)
            buffer.appendVarint(kind)
            buffer.appendVarint(3)
            buffer.append([1, 2, 3])
            if isRefused {
                #expect(throws: VersionEdit.DecodeFault.self) { try VersionEdit.decode(buffer.view) }
            } else {
                #expect(try VersionEdit.decode(buffer.view).items == [.nextFileId(7)])
            }
        }
    }

    /// Stores from before the tree name a run in each table, and runs order by their sequences.
    @Test func runsOfOldStoresBecomeFragmentsOfTheRoot() throws {
        let (disk, writer, empty) = try ManifestTests.fresh()
        func table(_ id: UInt64, _ run: UInt64, _ sequences: ClosedRange<UInt64>) -> EditItem {
            .addTable(
                TableRecordItem(
                    fileId: id, legacyRun: run, sequenceMin: sequences.lowerBound, sequenceMax: sequences.upperBound,
                    smallest: [1], largest: [2]))
        }
        // Run 3 came of a merge and is older than run 2; table 9 came and went.
        let edit = VersionEdit(items: [
            table(1, 2, 10...19), table(2, 3, 1...5), table(3, 3, 2...9), table(9, 7, 20...21), .removeTable(9),
        ])
        try writer.append(edit, state: empty)
        let loaded = try #require(try ManifestReader.load(disk, "/store"))
        #expect(
            loaded.state.fragments == [
                FragmentRecord(run: 3, file: 1), FragmentRecord(run: 2, file: 2), FragmentRecord(run: 2, file: 3),
            ])
        #expect(loaded.state.tables.values.allSatisfy { $0.legacyRun == 0 })
        var again = ManifestState()
        #expect(again.apply(loaded.state.snapshot) == nil)
        #expect(again == loaded.state)
    }

    @Test func aNewerFormatIsRefused() throws {
        let (disk, _, _) = try ManifestTests.fresh()
        var bytes = try disk.readFile("/store/MANIFEST-1")
        bytes[8] = 2
        let crc = bytes.withUnsafeBytes { valk_crc32c(0, $0.baseAddress, 12) }
        for i in 0..<4 { bytes[12 + i] = UInt8(truncatingIfNeeded: crc >> UInt32(8 * i)) }
        try disk.writeFile("/store/MANIFEST-1", bytes)
        let error = #expect(throws: StoreError.self) { try ManifestReader.load(disk, "/store") }
        #expect(error?.kind == .newerFormat)
        #expect(error?.path == "/store/MANIFEST-1")
    }

    @Test func aLargeManifestRollsOverToASnapshot() throws {
        let (disk, writer, empty) = try ManifestTests.fresh()
        var state = empty
        let key = [UInt8](repeating: 7, count: 30_000)
        for id in 1...120 as ClosedRange<UInt64> {
            var items: [EditItem] = [.addTable(TableRecordItem(fileId: id, smallest: key, largest: key))]
            if id > 2 { items.append(.removeTable(id - 2)) }
            let edit = VersionEdit(items: items)
            try writer.append(edit, state: state)
            #expect(state.apply(edit) == nil)
        }
        #expect(writer.number > 1)
        #expect(writer.bytes <= (1 << 20) + 70_000)
        let loaded = try #require(try ManifestReader.load(disk, "/store"))
        #expect(loaded.state == state)
        #expect(loaded.number == writer.number)
        #expect(try disk.list("/store").sorted() == ["CURRENT", "MANIFEST-\(writer.number)"])
    }

    /// Goal: whatever operation the crash hits, what loads is a state that was reached, and not an older one than the
    /// last that was acknowledged. Method: edits, and a new manifest in between as every start makes one.
    @Test func crashAtEveryOperation() throws {
        let edits = ManifestTests.edits(6, seed: TestSeed("manifestCrash").value)
        func script(_ disk: SimulatedDisk, _ states: inout [ManifestState], _ acknowledged: inout Int) throws {
            try disk.createDirectory("/store")
            try disk.syncDirectory("/")
            var writer = try ManifestWriter(disk, "/store", number: 1, state: states[0])
            acknowledged = 1
            for (index, edit) in edits.enumerated() {
                if index % 2 == 1 {
                    writer = try ManifestWriter(
                        disk, "/store", number: writer.number + 1, state: states[states.count - 1])
                }
                var state = states[states.count - 1]
                _ = state.apply(edit)
                states.append(state)
                try writer.append(edit, state: states[states.count - 2])
                acknowledged = states.count
            }
        }
        let whole = SimulatedDisk()
        var states = [ManifestState()]
        var acknowledged = 0
        try script(whole, &states, &acknowledged)
        for operation in 1...whole.operationCount {
            let disk = SimulatedDisk()
            disk.crashAt(operation: operation)
            var states = [ManifestState()]
            var acknowledged = 0
            do { try script(disk, &states, &acknowledged) } catch {}
            for policy in [CrashPolicy.keepAll, .dropAll, .random, .torn] {
                for seed in 0..<4 as Range<UInt64> {
                    let clone = disk.crashClone(seed: seed, policy: policy)
                    let loaded = try clone.exists("/store") ? ManifestReader.load(clone, "/store") : nil
                    guard let loaded else {
                        #expect(acknowledged == 0, "operation \(operation), \(policy) \(seed): nothing there")
                        continue
                    }
                    let isKnown = states.suffix(from: max(0, acknowledged - 1)).contains(loaded.state)
                    #expect(isKnown, "operation \(operation), \(policy) \(seed)")
                }
            }
        }
    }

    @Test(arguments: [DiskOperation.write, .sync])
    func aFailedEditStopsTheWriter(operation: DiskOperation) throws {
        let simulated = SimulatedDisk()
        try simulated.createDirectory("/store")
        let disk = FaultyDisk(simulated)
        let state = ManifestState()
        let writer = try ManifestWriter(disk, "/store", number: 1, state: state)
        disk.add(FaultRule([operation], suffix: "MANIFEST-1", .io))
        let edit = VersionEdit(items: [.nextFileId(4)])
        #expect(throws: StoreError.self) { try writer.append(edit, state: state) }
        disk.removeRules()
        let error = #expect(throws: StoreError.self) { try writer.append(edit, state: state) }
        #expect(error?.path.hasSuffix("MANIFEST-1") == true)
    }
}
