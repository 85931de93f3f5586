// What all edits of a manifest add up to: the structure of the store at its last durable change.

import ValkBase

struct ManifestState: Equatable, Sendable {
    var identity = StoreIdentity()
    /// By file id.
    var tables: [UInt64: TableRecordItem] = [:]
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
            case .removeTable(let id):
                if tables.removeValue(forKey: id) == nil { return "table \(id) is removed but not there" }
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

    /// The whole state as one edit: the first record of a new manifest.
    var snapshot: VersionEdit {
        var items: [EditItem] = [
            .identity(identity), .checkpoint(checkpoint), .nextFileId(nextFileId), .nextRunId(nextRunId),
        ]
        for table in tables.values.sorted(by: { $0.fileId < $1.fileId }) { items.append(.addTable(table)) }
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
