// The manifest for people: what it adds up to, and edit by edit.

import ValkBase
import ValkDisk

package struct ManifestDump: Sendable {
    /// A table file, or the part of one that a run of a bucket has.
    package struct TableLine: Sendable {
        package var fileId: UInt64
        package var path: String
        package var bucket: UInt64
        package var run: UInt64
        /// Bounds that cut a part of the file off; empty: none.
        package var lower: [UInt8]
        package var upper: [UInt8]
        /// Whether no line before this one has the file.
        package var isFirst: Bool
        package var bytes: UInt64
        package var entries: UInt64
        package var deletes: UInt64
        package var unknownPriors: UInt64
        package var sequences: ClosedRange<UInt64>
        package var smallest: [UInt8]
        package var largest: [UInt8]
        package var segments: [SegmentReference]
    }

    package struct BucketLine: Sendable {
        package var id: UInt64
        package var height: Int
        package var pivots: [[UInt8]]
        package var children: [UInt64]
    }

    package struct EditLine: Sendable {
        package var number: UInt64
        package var offset: Int
        package var items: [String]
    }

    package var path: String
    package var storeId: StoreId
    /// Whether a server made the store, whose keys begin with namespace and space.
    package var isServerStore: Bool
    package var fanOut: UInt32
    package var checkpoint: LogPosition
    package var checkpointSequence: UInt64
    package var nextFileId: UInt64
    package var nextRunId: UInt64
    package var counts: [(namespace: UInt32, counts: NamespaceCounts)]
    package var rangeTombstones: [(sequence: UInt64, lower: [UInt8], upper: [UInt8])]
    /// By bucket, newest run first, by key inside a run. A file of which several runs have a part has several lines,
    /// each with the numbers of the whole file.
    package var tables: [TableLine]
    /// By number. A leaf need not be listed.
    package var buckets: [BucketLine]
    package var tornBytes: Int
    package var edits: [EditLine] = []

    /// Reads the manifest in force of the store in `directory`. Throws `.invalid` when there is none, `.corruption`,
    /// `.newerFormat`, `.disk`.
    package init(disk: any Disk, directory: String) throws(StoreError) {
        var edits: [EditLine] = []
        let loaded = try ManifestReader.load(ReadOnlyDisk(disk), directory) { edit, number, offset in
            edits.append(
                EditLine(number: number, offset: offset, items: edit.items.map { ManifestDump.describe($0) }))
        }
        guard let loaded else { throw StoreError(.invalid, "there is no store in \(directory)") }
        let state = loaded.state
        path = directory + "/" + ManifestFormat.name(loaded.number)
        storeId = StoreId(high: state.identity.idHigh, low: state.identity.idLow)
        isServerStore = state.identity.countsNamespaces
        fanOut = state.identity.fanOut
        checkpoint = state.checkpoint.position
        checkpointSequence = state.checkpoint.sequence
        nextFileId = state.nextFileId
        nextRunId = state.nextRunId
        counts = state.counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        rangeTombstones = state.rangeTombstones.map { ($0.sequence, $0.lower, $0.upper) }
        tornBytes = loaded.tornBytes
        self.edits = edits
        buckets = state.buckets.values.sorted { $0.id < $1.id }.map {
            BucketLine(id: $0.id, height: Int($0.height), pivots: $0.pivots, children: $0.children)
        }
        func first(_ fragment: FragmentRecord) -> [UInt8] {
            KeyRange.later(fragment.lower, state.tables[fragment.file]?.smallest ?? [])
        }
        let ordered = state.fragments.sorted { a, b in
            if a.bucket != b.bucket { return a.bucket < b.bucket }
            return a.run != b.run ? a.run > b.run : KeyRange.isBefore(first(a), first(b))
        }
        var seen = Set<UInt64>()
        tables = ordered.compactMap { fragment in
            guard let table = state.tables[fragment.file] else { return nil }
            return TableLine(
                fileId: table.fileId, path: BucketManager.path(directory, table.fileId), bucket: fragment.bucket,
                run: fragment.run, lower: fragment.lower, upper: fragment.upper,
                isFirst: seen.insert(table.fileId).inserted, bytes: table.bytes, entries: table.entries,
                deletes: table.tombstones,
                unknownPriors: table.unknownPriors,
                sequences: table.sequenceMin...max(table.sequenceMin, table.sequenceMax), smallest: table.smallest,
                largest: table.largest,
                segments: table.segments.map {
                    SegmentReference(segment: $0.segment, bytes: $0.bytes, count: $0.count)
                })
        }
    }

    private static func describe(_ item: GarbageItem) -> String {
        switch item {
        case .values(let segment, let bytes, let count): return "segment \(segment): \(count) values, \(bytes) bytes"
        case .discards(let segment, let chunk):
            return "segment \(segment): \(chunk.count) values are dead, \(chunk.bytes) bytes"
        case .segment(let segment, let known):
            return "segment \(segment), generation \(known.generation): \(known.valueCount) values, "
                + "\(known.valueBytes) bytes; dead \(known.deadCount), \(known.deadBytes) bytes; "
                + "\(known.punchedBytes) bytes punched"
        case .forget(let segment): return "segment \(segment) is gone"
        case .owe(let table): return "table \(table.fileId) dropped whole, its values are to be counted"
        case .settle(let table): return "table \(table.fileId): its values have been counted"
        }
    }

    private static func describe(_ item: EditItem) -> String {
        switch item {
        case .identity(let identity):
            let id = StoreId(high: identity.idHigh, low: identity.idLow)
            return "identity: store \(id), fan-out \(identity.fanOut), counts namespaces: \(identity.countsNamespaces)"
        case .addTable(let table):
            let run = table.legacyRun == 0 ? "" : " to run \(table.legacyRun)"
            return "table \(table.fileId) added\(run): \(table.entries) entries, \(table.bytes) bytes, "
                + "sequences \(table.sequenceMin) to \(table.sequenceMax)"
        case .removeTable(let id): return "table \(id) removed"
        case .resolveTable(let id): return "table \(id): its blind writes have been counted"
        case .checkpoint(let checkpoint): return "checkpoint \(checkpoint.position), sequence \(checkpoint.sequence)"
        case .counts(let namespace, let counts):
            return "namespace \(namespace): \(counts.keys) keys, \(counts.expires) with expiry, "
                + "\(counts.unknown) blind writes"
        case .addRangeTombstone(let tombstone):
            return "range deletion \(tombstone.sequence): \(Table.printable(tombstone.lower)) up to "
                + Table.printable(tombstone.upper)
        case .removeRangeTombstone(let sequence): return "range deletion \(sequence) is done"
        case .nextFileId(let id): return "next table \(id)"
        case .nextRunId(let id): return "next run \(id)"
        case .bucket(let bucket):
            let pivots = bucket.pivots.map { Table.printable($0) }.joined(separator: ", ")
            return "bucket \(bucket.id): height \(bucket.height), children \(bucket.children)"
                + (pivots.isEmpty ? "" : ", pivots \(pivots)")
        case .removeBucket(let id): return "bucket \(id) removed"
        case .addFragment(let fragment): return describe(fragment) + " added"
        case .removeFragment(let fragment): return describe(fragment) + " removed"
        case .durableLog(let position): return "log durable up to \(position)"
        case .garbage(let item): return describe(item)
        }
    }

    private static func describe(_ fragment: FragmentRecord) -> String {
        var text = "bucket \(fragment.bucket), run \(fragment.run): table \(fragment.file)"
        if !fragment.lower.isEmpty { text += " from \(Table.printable(fragment.lower))" }
        if !fragment.upper.isEmpty { text += " up to \(Table.printable(fragment.upper))" }
        return text
    }
}
