// Where a key's value comes from: every version of it that a start would know, in the log behind the checkpoint and in
// table files, with its place, and which of them readers see. Reads the files; changes nothing.

import ValkBase
import ValkDisk

package struct KeyVersion: Sendable {
    package enum Place: Sendable {
        /// In the log behind the checkpoint; `offset` is the key's in the file.
        case log(path: String, offset: Int)
        /// In a table; `offset` is its block's in the file.
        case table(path: String, run: UInt64, block: Int, offset: Int)
    }
    package var place: Place
    package var sequence: UInt64
    package var kind: EntryKind
    package var flags: EntryFlags
    package var tag: UInt8
    package var expireAt: UInt64
    package var valueLength: Int
    /// Where the value lies in the log, when it is not beside its key.
    package var pointer: ValuePointer?
    package var pointerPath: String?
    /// The value's first `previewBytes` bytes; nil when it cannot be read, for the reason in `fault`.
    package var preview: [UInt8]?
    package var fault: String?
    /// Sequence of the newest range deletion that hides this version, 0 when none does.
    package var hiddenBy: UInt64 = 0
    /// A newer version's flush has named the value dead: it may be there or not.
    package var isNamedDead = false

    package static let previewBytes = 64
}

/// A range deletion that covers the key.
package struct CoveringTombstone: Sendable {
    package var sequence: UInt64
    package var lower: [UInt8]
    package var upper: [UInt8]
    /// The manifest, or the segment it was replayed from.
    package var path: String
}

package struct KeyExplanation: Sendable {
    package let key: [UInt8]
    /// Newest first.
    package private(set) var versions: [KeyVersion] = []
    /// Newest first.
    package private(set) var tombstones: [CoveringTombstone] = []
    /// Tables whose range has the key but which have no version of it, and whether their filter knows that.
    package private(set) var without: [(path: String, filterSaysNo: Bool)] = []

    /// The version that a reader finds; nil when there is none. Its expiry may have passed.
    package var visible: KeyVersion? {
        guard let newest = versions.first, newest.kind == .put, newest.hiddenBy == 0 else { return nil }
        return newest
    }

    /// Looks `key` up in the store in `directory`. Throws `.invalid` when there is no store, `.corruption` when a file
    /// that has to be read is damaged, and what `LogReplay` throws.
    package static func explain(
        disk: any Disk, directory: String, key: [UInt8]
    ) throws(StoreError) -> KeyExplanation {
        let disk = ReadOnlyDisk(disk)
        let folder = try StoreFolder(disk: disk, directory: directory)
        guard let loaded = try ManifestReader.load(disk, directory) else {
            throw StoreError(.invalid, "there is no store in \(directory)")
        }
        var explanation = KeyExplanation(key: key)
        let manifest = directory + "/" + ManifestFormat.name(loaded.number)
        for tombstone in loaded.state.rangeTombstones where key.withView({ tombstone.covers($0) }) {
            explanation.add(tombstone, manifest)
        }
        let values = ValueCheck(disk: disk, folder: folder)
        try explanation.readTables(loaded.state, disk, directory, values)
        try explanation.readLog(loaded.state, disk, folder)
        explanation.settle()
        return explanation
    }

    private init(key: [UInt8]) { self.key = key }

    private mutating func add(_ tombstone: RangeTombstone, _ path: String) {
        tombstones.append(
            CoveringTombstone(
                sequence: tombstone.sequence, lower: tombstone.lower, upper: tombstone.upper, path: path))
    }

    private mutating func readTables(
        _ state: ManifestState, _ disk: any Disk, _ directory: String, _ values: ValueCheck
    ) throws(StoreError) {
        let cache = BlockCache(budgetBytes: 4 << 20)
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let key = self.key
        var wanted = ByteBuffer(capacity: 64)
        wanted.append(key)
        let fragments = state.fragments.compactMap { fragment in
            state.tables[fragment.file].map { (fragment: fragment, table: $0) }
        }
        for (fragment, record) in fragments.sorted(by: { $0.table.sequenceMax > $1.table.sequenceMax }) {
            let isInside = key.withView { k in
                record.smallest.withView { $0.compare(k) <= 0 } && record.largest.withView { $0.compare(k) >= 0 }
            }
            guard isInside, KeyRange(lower: fragment.lower, upper: fragment.upper).contains(key) else { continue }
            let path = BucketManager.path(directory, record.fileId)
            let table = try Table.open(disk: disk, path: path, fileId: record.fileId, cache: cache)
            let before = versions.count
            let filterSaysNo = key.withView { !table.mayContain($0.hash64) }
            let cursor = TableCursor(table, pins, access: .merge, mayBlock: true)
            do throws(Interruption) {
                try cursor.seek(wanted.view)
                while cursor.isValid, cursor.entry.key.array == key {
                    versions.append(KeyExplanation.version(cursor, table, fragment.run, values))
                    try cursor.next()
                }
            } catch {
                throw table.takeFault() ?? StoreError(.corruption, "cannot be read: \(error)", path: path)
            }
            if versions.count == before { without.append((path, filterSaysNo)) }
        }
    }

    private static func version(
        _ cursor: TableCursor, _ table: Table, _ run: UInt64, _ values: ValueCheck
    ) -> KeyVersion {
        var entry = cursor.entry
        // Of a file of version 1 the flag means nothing.
        if table.properties.namedPriorCount == 0 { entry.setPriorNamed(false) }
        let block = cursor.currentBlock
        var version = KeyVersion(
            place: .table(path: table.path, run: run, block: block, offset: table.index.blocks[block].offset),
            sequence: entry.sequence, kind: entry.kind, flags: entry.flags, tag: entry.tag, expireAt: entry.expireAt,
            valueLength: entry.valueLength)
        if entry.isSeparated {
            version.pointer = entry.pointer
            version.pointerPath = values.path(entry.pointer.segment)
            version.fault = values.problem(entry)
            version.preview = values.value(entry).map { Array($0.prefix(KeyVersion.previewBytes)) }
        } else {
            version.preview = Array(entry.value.array.prefix(KeyVersion.previewBytes))
        }
        return version
    }

    /// Everything that a start would replay. The segments are those that `LogReplay` keeps.
    private mutating func readLog(
        _ state: ManifestState, _ disk: any Disk, _ folder: StoreFolder
    ) throws(StoreError) {
        let storeId = StoreId(high: state.identity.idHigh, low: state.identity.idLow)
        let checkpoint = state.checkpoint
        let replay = try LogReplay.run(
            disk: disk, directory: folder.logDirectory, storeId: storeId, from: checkpoint.position,
            after: checkpoint.sequence, floor: state.durableLog
        ) { (_: LogRecord) throws(StoreError) in }
        for segment in replay.resume.segments where segment.number >= checkpoint.position.segment {
            let path = folder.path(segment)
            var walk = try SegmentWalk(
                disk: disk, directory: folder.logDirectory, segment: segment, storeId: storeId,
                known: folder.known(segment.number))
            try walk.run(record: { (header, record, offset) throws(StoreError) in
                if header.position < checkpoint.position || header.position >= replay.resume.end { return }
                if record.sequence <= checkpoint.sequence { return }
                take(record, path, offset)
            })
        }
    }

    private mutating func take(_ record: LogRecord, _ path: String, _ offset: Int) {
        if record.type == .deleteRange {
            let tombstone = RangeTombstone(
                lower: record.key.array, upper: record.value.array, sequence: record.sequence)
            if key.withView({ tombstone.covers($0) }) { add(tombstone, path) }
            return
        }
        guard key.withView({ record.key == $0 }) else { return }
        versions.append(
            KeyVersion(
                place: .log(path: path, offset: offset), sequence: record.sequence,
                kind: record.type == .put ? .put : .delete, flags: record.flags, tag: record.tag,
                expireAt: record.expireAt, valueLength: record.value.count, pointer: record.pointer,
                pointerPath: record.pointer == nil ? nil : path,
                preview: Array(record.value.array.prefix(KeyVersion.previewBytes))))
    }

    private mutating func settle() {
        versions.sort { $0.sequence > $1.sequence }
        tombstones.sort { $0.sequence > $1.sequence }
        for i in versions.indices.dropFirst() where versions[i - 1].flags.contains(.priorNamed) {
            versions[i].isNamedDead = true
            versions[i].fault = nil
        }
        for i in versions.indices {
            if let newest = tombstones.first, newest.sequence > versions[i].sequence {
                versions[i].hiddenBy = newest.sequence
            }
        }
    }
}
