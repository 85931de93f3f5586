// Publishing a change: the tree is changed in memory, the difference is made durable as one edit, and then readers are
// shown the new tree. All with `structure` held.

import Synchronization
import ValkBase
import ValkDisk

extension BucketController {
    /// Publishes what `change` makes of the tree. `added`: new files, which the change is given as fragments. `extra`:
    /// what else the edit says.
    func install(
        _ added: [NewFile], _ extra: [EditItem], flushed: MemoryTable? = nil, deltas: CountDeltas = CountDeltas(),
        _ change: (Bucket, [Fragment]) -> Bucket
    ) throws(StoreError) {
        // Opened before the edit, so that nothing can fail once the change is durable.
        var opened: [TableFile] = []
        do { for file in added { opened.append(try openFile(file)) } } catch {
            for file in added { janitor.remove(file.finished.path) }
            throw error
        }
        let old = logManager.root
        var root = change(old, opened.map { Fragment($0) })
        let dropped = coveredFiles(opened, extra)
        var droppedParts: [(table: TableRecordItem, part: OwedTable)] = []
        if !dropped.isEmpty {
            droppedParts = root.parts(of: dropped)
            root = root.dropping(dropped)
        }
        assert(root.fault() == nil, "the tree is not one: \(root.fault() ?? "")")

        let diff = TreeDiff(from: old, to: root)
        var counts: [UInt64: Int] = [:]
        for (id, change) in diff.references { counts[id] = references[id, default: 0] + change }
        var items: [EditItem] = []
        for file in opened where counts[file.id, default: 0] > 0 { items.append(.addTable(file.record)) }
        items += diff.items
        let gone = counts.filter { $0.value == 0 && references[$0.key] != nil }.keys.sorted()
        for id in gone { items.append(.removeTable(id)) }
        items += extra
        items.append(.nextFileId(fileIds.load(ordering: .relaxed)))
        items.append(.nextRunId(runIds))
        var next = state
        if let fault = next.apply(VersionEdit(items: items)) {
            preconditionFailure("an edit does not fit the state it was made for: \(fault)")
        }
        let debts = next.debts(for: droppedParts)
        if let fault = next.apply(VersionEdit(items: debts)) { preconditionFailure(fault) }
        let (more, settled, forgotten) = settle(&next)
        items += debts + more
        do { try appendEdit(items) } catch {
            stranded += added.map(\.finished.path)
            throw error
        }
        for path in stranded { janitor.remove(path) }
        stranded = []
        state = next
        for (id, count) in counts { references[id] = count == 0 ? nil : count }
        for id in gone where !next.owes(id) { diff.files[id]?.markObsolete() }
        // What was dropped before it was ever shown.
        for file in opened where counts[file.id, default: 0] == 0 && !next.owes(file.id) { file.markObsolete() }
        logManager.publish(
            root: root, flushed: flushed, deltas: deltas, removedTombstones: settled, forgottenNamespaces: forgotten)
        state.showDiscards(of: items, from: logManager.generation)
        guard options.usesThreads else { return }
        let crowd = root.crowd
        if flushed == nil { logManager.pace.noteDrain(runs: old.crowd - crowd) }
        logManager.pace.set(runs: crowd)
    }

    /// Makes an edit durable that changes nothing that readers see, and applies it.
    func note(_ items: [EditItem]) throws(StoreError) {
        try appendEdit(items)
        for path in stranded { janitor.remove(path) }
        stranded = []
        if let fault = state.apply(VersionEdit(items: items)) { preconditionFailure(fault) }
        state.showDiscards(of: items, from: 0)
    }

    /// Files that a durable range deletion covers whole: they are dropped without reading them. Not those that a job
    /// reads: what it drops it counts itself.
    private func coveredFiles(_ opened: [TableFile], _ extra: [EditItem]) -> Set<UInt64> {
        var tombstones = state.rangeTombstones
        for case .addRangeTombstone(let tombstone) in extra { tombstones.append(tombstone) }
        if tombstones.isEmpty { return [] }
        var busy = Set<UInt64>()
        for running in jobs { busy.formUnion(running.files) }
        var covered = Set<UInt64>()
        for table in Array(state.tables.values) + opened.map(\.record)
        where !busy.contains(table.fileId) && tombstones.contains(where: { $0.coversAll(of: table) }) {
            covered.insert(table.fileId)
        }
        return covered
    }

    /// Range deletions that have nothing left to hide go, and so do the counts of namespaces that were deleted whole.
    private func settle(_ next: inout ManifestState) -> ([EditItem], Set<UInt64>, [UInt32]) {
        var items: [EditItem] = []
        var settled = Set<UInt64>()
        var forgotten: [UInt32] = []
        for tombstone in next.rangeTombstones
        where tombstone.sequence <= next.checkpoint.sequence
            && !next.tables.values.contains(where: { tombstone.mayHide(in: $0) })
        {
            items.append(.removeRangeTombstone(tombstone.sequence))
            settled.insert(tombstone.sequence)
            guard let namespace = tombstone.wholeNamespace, options.countsNamespaces else { continue }
            items.append(.counts(namespace, NamespaceCounts()))
            forgotten.append(namespace)
        }
        if let fault = next.apply(VersionEdit(items: items)) { preconditionFailure(fault) }
        return (items, settled, forgotten)
    }

    /// Makes an edit durable. For lack of space it may be tried again; after any other failure nothing is written any
    /// more.
    func appendEdit(_ items: [EditItem]) throws(StoreError) {
        do { try manifest.append(VersionEdit(items: items), state: state) } catch {
            if error.kind != .noSpace { logManager.stopWrites(error) }
            throw error
        }
    }

    private func openFile(_ file: NewFile) throws(StoreError) -> TableFile {
        try TableFile.open(
            file.record, disk: disk, directory: directory, cache: cache, segments: segments, janitor: janitor,
            warm: file.finished)
    }

    /// Marks files as resolved, durably.
    func markResolved(_ files: [TableFile], counts: [(UInt32, NamespaceCounts)]) throws(StoreError) {
        resolutionCount += 1
        var items: [EditItem] = counts.map { .counts($0.0, $0.1) }
        var seen = Set<UInt64>()
        for file in files where state.tables[file.id] != nil && !file.countsResolved && seen.insert(file.id).inserted {
            items.append(.resolveTable(file.id))
        }
        try appendEdit(items)
        if let fault = state.apply(VersionEdit(items: items)) { preconditionFailure(fault) }
        for file in files { file.markResolved() }
    }
}

extension RangeTombstone {
    /// The namespace whose keys this deletes, all of them and nothing else; nil for other ranges.
    var wholeNamespace: UInt32? {
        guard lower.count == 4, upper.count == 4 else { return nil }
        let first = lower.withView { $0.base.bigEndian(0, UInt32.self) }
        let next = upper.withView { $0.base.bigEndian(0, UInt32.self) }
        return next == first &+ 1 ? first : nil
    }

    /// Whether nothing in the table outlives this range deletion.
    func coversAll(of table: TableRecordItem) -> Bool {
        table.sequenceMax < sequence && table.smallest.withView { covers($0) } && table.largest.withView { covers($0) }
    }

    /// Whether the table may hold entries that this range deletion hides.
    func mayHide(in table: TableRecordItem) -> Bool {
        if table.sequenceMin >= sequence { return false }
        let startsAfter = table.smallest.withView { s in upper.withView { s.compare($0) >= 0 } }
        let endsBefore = table.largest.withView { l in lower.withView { l.compare($0) < 0 } }
        return !startsAfter && !endsBefore
    }
}

extension Bucket {
    /// What the tree has of these files.
    fileprivate func parts(of files: Set<UInt64>) -> [(table: TableRecordItem, part: OwedTable)] {
        var parts: [(table: TableRecordItem, part: OwedTable)] = []
        forEach { bucket in
            for fragment in bucket.runs.flatMap(\.fragments) where files.contains(fragment.file.id) {
                let upper = fragment.range.upper
                parts.append(
                    (
                        fragment.file.record,
                        OwedTable(
                            fileId: fragment.file.id, smallest: fragment.first,
                            largest: upper.isEmpty ? fragment.file.record.largest : upper,
                            excludesLargest: !upper.isEmpty, shownFrom: .max)
                    ))
            }
        }
        return parts
    }
}
