// What the manifest says of dead values against what the tables say: the two are counted in different places and must
// agree to the last record.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Looks whether the dead records that the manifest lists are exactly those that no table points at, or that a newer
/// version's flush has named. Holds between any two edits, because the list is part of the edits.
///
/// What a range deletion or a filter takes away may have been named before by the flush of a version that went with it
/// (`mayRepeat`): then it may be in the list twice, or in the list and no longer in the file.
func expectExactGarbage(_ store: Store, mayRepeat: Bool = false, _ context: @autoclosure () -> String) {
    let state = store.controller.structure.withLock { store.controller.state }
    var account = PointerAccount(state)
    do { try account.take(store, state) } catch {
        Issue.record("a table cannot be read (\(error)): \(context())")
        return
    }
    // What no table needs is on its way out: nothing is owed for it any more.
    var needed = Set<UInt32>()
    for table in state.tables.values { for share in table.segments { needed.insert(share.segment) } }
    for (segment, known) in state.garbage
    where segment >= state.checkpoint.position.segment || needed.contains(segment) {
        func wrong(_ what: String) { Issue.record("segment \(segment): \(what): \(context())") }
        let list = known.chunks.flatMap { DiscardChunk.decode($0.list) ?? [] }
        var dead = Set(list)
        var pointers = account.pointers[segment] ?? PointerAccount.Pointers()
        if dead.count != list.count && !mayRepeat { wrong("counted twice") }
        if let both = dead.first(where: { pointers.live[$0] != nil }) { wrong("\(both) is listed dead and pointed at") }
        if !known.mayLackDead {
            if let missing = pointers.named.first(where: { !dead.contains($0) }) {
                wrong("\(missing) is named by an entry and not listed dead")
            }
        } else if mayRepeat {
            guard let places = places(store, segment, known) else { return wrong("it cannot be read") }
            dead.formIntersection(places)
            pointers.doubtful = pointers.doubtful.filter { places.contains($0.key) }
            if let gone = pointers.live.keys.first(where: { !places.contains($0) }) { wrong("\(gone) is gone") }
        }
        let doubtful = pointers.doubtful.filter { !dead.contains($0.key) }
        if UInt64(dead.count + pointers.live.count + doubtful.count) != known.valueCount {
            wrong("\(dead.count) dead, \(pointers.live.count) live, \(doubtful.count) doubtful of \(known.valueCount)")
        }
        let bytes = pointers.live.values.reduce(0, +) + doubtful.values.reduce(0, +) + known.deadBytes
        if dead.count == list.count && bytes != known.valueBytes { wrong("\(bytes) bytes, not \(known.valueBytes)") }
    }
    let unknown = account.pointers.filter { needed.contains($0.key) && state.garbage[$0.key] == nil }
    if !unknown.isEmpty { Issue.record("segments \(unknown.keys) are not known: \(context())") }
}

/// Offsets of the records that a segment's file has; nil when it cannot be read.
private func places(_ store: Store, _ segment: UInt32, _ known: SegmentGarbage) -> Set<UInt32>? {
    let layout = try? SegmentLayout.read(
        disk: store.disk, directory: store.log.directory, storeId: store.log.storeId, segment: segment,
        generation: known.generation, known: known.known.flatMap { DiscardChunk.decode($0) }?.sorted())
    return layout.map { Set($0.places.map(\.logical)) }
}

/// Where the tables of a store point.
private struct PointerAccount {
    struct Pointers {
        /// With the bytes of the record.
        var live: [UInt32: UInt64] = [:]
        /// Of entries whose next newer version says that they have been named.
        var named: Set<UInt32> = []
        /// Of entries that a range deletion hides.
        var doubtful: [UInt32: UInt64] = [:]
    }

    private struct Version {
        var sequence: UInt64
        var namesPrior: Bool
        var pointer: ValuePointer?
    }

    private(set) var pointers: [UInt32: Pointers] = [:]
    private let tombstones: [RangeTombstone]
    private var versions: [[UInt8]: [Version]] = [:]
    private var owed: [([UInt8], Version)] = []

    init(_ state: ManifestState) { tombstones = state.rangeTombstones }

    mutating func take(_ store: Store, _ state: ManifestState) throws {
        let pins = BlockPins.make(store.cache)
        defer { BlockPins.destroy(pins) }
        let origin = UnsafeMutablePointer<EntryOrigin>.allocate(capacity: 1)
        origin.initialize(to: EntryOrigin())
        defer { origin.deallocate() }
        func version(_ entry: UnsafePointer<Entry>) -> Version {
            Version(
                sequence: entry.pointee.sequence,
                namesPrior: origin.pointee.namesPrior(entry),
                pointer: entry.pointee.isSeparated ? entry.pointee.pointer : nil)
        }
        var runs: [Run] = []
        store.root.forEach { runs += $0.runs }
        for run in runs {
            let cursor = RunCursor(run, pins, access: .scan, mayBlock: true, origin: origin)
            try cursor.seekToFirst()
            while let entry = cursor.position {
                versions[entry.pointee.key.array, default: []].append(version(entry))
                try cursor.next()
            }
        }
        for table in state.owed {
            let path = BucketManager.path(store.options.path, table.fileId)
            let opened = try Table.open(disk: store.disk, path: path, fileId: table.fileId, cache: store.cache)
            let cursor = TableCursor(opened, pins, access: .scan, mayBlock: true)
            try table.smallest.withView { try cursor.seek($0) }
            while let entry = cursor.position,
                table.largest.withView({ $0.compare(entry.pointee.key) >= (table.excludesLargest ? 1 : 0) })
            {
                owed.append((entry.pointee.key.array, version(entry)))
                try cursor.next()
            }
        }
        settle()
    }

    private mutating func settle() {
        for (key, list) in versions {
            var isNamed = false
            for version in list.sorted(by: { $0.sequence > $1.sequence }) {
                let isHidden = tombstones.contains { tombstone in
                    tombstone.sequence > version.sequence && key.withView { tombstone.covers($0) }
                }
                note(key, version, isNamed: isNamed, isDoubtful: isHidden)
                isNamed = version.namesPrior
            }
        }
        for (key, version) in owed { note(key, version, isNamed: false, isDoubtful: true) }
    }

    private mutating func note(_ key: [UInt8], _ version: Version, isNamed: Bool, isDoubtful: Bool) {
        guard let pointer = version.pointer else { return }
        let bytes = UInt64(DiscardList.recordBytes(keyBytes: key.count, valueBytes: Int(pointer.length)))
        if isNamed {
            pointers[pointer.segment, default: Pointers()].named.insert(pointer.offset)
        } else if isDoubtful {
            pointers[pointer.segment, default: Pointers()].doubtful[pointer.offset] = bytes
        } else {
            let old = pointers[pointer.segment, default: Pointers()].live.updateValue(bytes, forKey: pointer.offset)
            if old != nil { Issue.record("two entries point at \(pointer)") }
        }
    }
}
