// What all edits of a manifest add up to: the structure of the store at its last durable change.

import ValkBase

struct ManifestState: Equatable, Sendable {
    var identity = StoreIdentity()
    /// By file id.
    var tables: [UInt64: TableRecordItem] = [:]
    /// By number. A leaf need not have a record.
    var buckets: [UInt64: BucketRecord] = [:]
    var fragments: Set<FragmentRecord> = []
    var checkpoint = Checkpoint()
    var counts: [UInt32: NamespaceCounts] = [:]
    /// By sequence, ascending.
    var rangeTombstones: [RangeTombstone] = []
    var nextFileId: UInt64 = 1
    var nextRunId: UInt64 = 1
    /// The log up to here was durable: what is missing before it is damage.
    var durableLog: LogPosition = .zero
    /// By segment; a segment with nothing to tell is not here.
    var garbage: [UInt32: SegmentGarbage] = [:]
    var owed: [OwedTable] = []

    /// Nil when the edit fits; otherwise what is wrong with it.
    mutating func apply(_ edit: VersionEdit) -> String? {
        var settled = Set<UInt64>()
        for item in edit.items {
            switch item {
            case .identity(let identity): self.identity = identity
            case .addTable(let table):
                if tables[table.fileId] != nil { return "table \(table.fileId) is added twice" }
                tables[table.fileId] = table
                if table.legacyRun != 0 { fragments.insert(FragmentRecord(run: table.legacyRun, file: table.fileId)) }
            case .removeTable(let id):
                guard let table = tables.removeValue(forKey: id) else { return "table \(id) is removed but not there" }
                if table.legacyRun != 0 { fragments.remove(FragmentRecord(run: table.legacyRun, file: id)) }
            case .bucket(let bucket): buckets[bucket.id] = bucket
            case .removeBucket(let id):
                if buckets.removeValue(forKey: id) == nil { return "bucket \(id) is removed but not there" }
            case .addFragment(let fragment):
                if tables[fragment.file] == nil { return "a fragment of table \(fragment.file), which is not there" }
                if !fragments.insert(fragment).inserted { return "a fragment of table \(fragment.file) is added twice" }
            case .removeFragment(let fragment):
                if fragments.remove(fragment) == nil {
                    return "a fragment of table \(fragment.file) is removed but not there"
                }
            case .resolveTable(let id):
                if tables[id] == nil { return "table \(id) is resolved but not there" }
                tables[id]?.unknownPriors = 0
            case .checkpoint(let checkpoint):
                if checkpoint.position < self.checkpoint.position { return "the checkpoint goes back" }
                self.checkpoint = checkpoint
            case .counts(let namespace, let counts):
                self.counts[namespace] = counts == NamespaceCounts() ? nil : counts
            case .addRangeTombstone(let tombstone): rangeTombstones.append(tombstone)
            case .removeRangeTombstone(let sequence): settled.insert(sequence)
            case .nextFileId(let id): nextFileId = max(nextFileId, id)
            case .nextRunId(let id): nextRunId = max(nextRunId, id)
            case .durableLog(let position): durableLog = max(durableLog, position)
            case .garbage(let item):
                if let fault = apply(item) { return fault }
            }
        }
        // All at once: there may be thousands, after as many FLUSHALLs.
        if !settled.isEmpty { rangeTombstones.removeAll { settled.contains($0.sequence) } }
        return nil
    }

    /// Brings a store from before there was a tree into today's form: its runs order by age and not by number.
    mutating func settleLegacyRuns() {
        let legacy = tables.values.filter { $0.legacyRun != 0 }
        if legacy.isEmpty { return }
        var newest: [UInt64: UInt64] = [:]
        for table in legacy { newest[table.legacyRun] = max(newest[table.legacyRun] ?? 0, table.sequenceMax) }
        let byAge = newest.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
        let numbers = Dictionary(uniqueKeysWithValues: zip(byAge, newest.keys.sorted()))
        for table in legacy {
            fragments.remove(FragmentRecord(run: table.legacyRun, file: table.fileId))
            fragments.insert(FragmentRecord(run: numbers[table.legacyRun] ?? table.legacyRun, file: table.fileId))
            tables[table.fileId]?.legacyRun = 0
        }
    }

    /// The whole state as one edit: the first record of a new manifest.
    var snapshot: VersionEdit {
        var items: [EditItem] = [
            .identity(identity), .checkpoint(checkpoint), .nextFileId(nextFileId), .nextRunId(nextRunId),
        ]
        for table in tables.values.sorted(by: { $0.fileId < $1.fileId }) { items.append(.addTable(table)) }
        for bucket in buckets.values.sorted(by: { $0.id < $1.id }) { items.append(.bucket(bucket)) }
        for fragment in fragments.sorted() { items.append(.addFragment(fragment)) }
        for (namespace, count) in counts.sorted(by: { $0.key < $1.key }) { items.append(.counts(namespace, count)) }
        for tombstone in rangeTombstones { items.append(.addRangeTombstone(tombstone)) }
        if durableLog != .zero { items.append(.durableLog(durableLog)) }
        for (segment, known) in garbage.sorted(by: { $0.key < $1.key }) {
            items.append(.garbage(.segment(segment, known)))
        }
        for table in owed { items.append(.garbage(.owe(table))) }
        return VersionEdit(items: items)
    }
}
