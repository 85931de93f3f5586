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
        let ranges = durableRanges(with: extra)
        var droppedParts: [(table: TableRecordItem, part: OwedTable)] = []
        if ranges.count > 0 {
            let dropped = coveredParts(root, ranges)
            droppedParts = dropped.map { ($0.value.file.record, OwedTable($0.value)) }
            if !dropped.isEmpty { root = root.dropping { dropped[FragmentPlace($0)] != nil } }
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
        let (more, settled, forgotten) = settle(&next, root, ranges)
        items += debts + more
        do { try appendEdit(items) } catch {
            stranded += added.map(\.finished.path)
            throw error
        }
        for path in stranded { janitor.remove(path) }
        stranded = []
        state = next
        durableRanges = ranges.removing(settled)
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

    /// The durable range deletions when an edit that says `extra` is.
    private func durableRanges(with extra: [EditItem]) -> RangeList {
        var added: [RangeTombstone] = []
        for case .addRangeTombstone(let tombstone) in extra { added.append(tombstone) }
        return added.isEmpty ? durableRanges : durableRanges.overlaid(RangeDeletions(added).list)
    }

    /// Parts of files that durable range deletions cover whole: they are dropped without reading them. Not of files
    /// that a job reads: what it drops it counts itself.
    private func coveredParts(_ root: Bucket, _ ranges: RangeList) -> [FragmentPlace: Fragment] {
        var busy = Set<UInt64>()
        for running in jobs { busy.formUnion(running.files) }
        var covered: [FragmentPlace: Fragment] = [:]
        root.forEach { bucket in
            for run in bucket.runs {
                for fragment in run.fragments
                where ranges.coversAll(of: fragment) && !busy.contains(fragment.file.id) {
                    covered[FragmentPlace(fragment)] = fragment
                }
            }
        }
        return covered
    }

    /// Range deletions that have nothing left to hide go, and so do the counts of namespaces that were deleted whole.
    private func settle(
        _ next: inout ManifestState, _ root: Bucket, _ ranges: RangeList
    ) -> ([EditItem], Set<UInt64>, [UInt32]) {
        if next.rangeTombstones.isEmpty { return ([], [], []) }
        var items: [EditItem] = []
        var settled = Set<UInt64>()
        var forgotten: [UInt32] = []
        let needed = ranges.sequencesThatHide(in: root)
        for tombstone in next.rangeTombstones
        where tombstone.sequence <= next.checkpoint.sequence && !needed.contains(tombstone.sequence) {
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
            warm: file.finished, filteredTo: file.filteredTo)
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
        guard let (first, next) = namespaces else { return nil }
        return next == first &+ 1 ? first : nil
    }
}

/// Names a fragment: no two of a tree have a key of one file in common.
private struct FragmentPlace: Hashable {
    let file: UInt64
    let lower: [UInt8]

    init(_ fragment: Fragment) {
        file = fragment.file.id
        lower = fragment.range.lower
    }
}

extension OwedTable {
    /// All of a fragment.
    fileprivate init(_ fragment: Fragment) {
        let upper = fragment.range.upper
        self.init(
            fileId: fragment.file.id, smallest: fragment.first,
            largest: upper.isEmpty ? fragment.file.record.largest : upper, excludesLargest: !upper.isEmpty,
            shownFrom: .max)
    }
}
