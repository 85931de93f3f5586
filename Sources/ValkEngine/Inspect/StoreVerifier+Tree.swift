// The verification of the tree that the manifest describes: the invariants Cover, Depth, Age.
//
// Of Age, most is seen without opening a file: where the parts of two files may have keys in common, the one that is
// read first is newer as a whole. That need not be so where ordered inserts sank into an old run and were then merged
// with it; there the keys are compared.

import ValkBase

extension StoreVerifier {
    /// A part of a file as the manifest knows it.
    private struct Part {
        let table: TableRecordItem
        let fragment: FragmentRecord

        var first: [UInt8] { KeyRange.later(table.smallest, fragment.lower) }
        func endsBefore(_ key: [UInt8]) -> Bool {
            KeyRange.isBefore(table.largest, key)
                || (!fragment.upper.isEmpty && !KeyRange.isBefore(key, fragment.upper))
        }
        func overlaps(_ other: Part) -> Bool { !endsBefore(other.first) && !other.endsBefore(first) }
    }

    func checkTree(_ state: ManifestState, _ path: String) {
        var parts: [UInt64: [UInt64: [Part]]] = [:]
        var named = Set<UInt64>()
        for fragment in state.fragments.sorted() {
            guard let table = state.tables[fragment.file] else {
                report.error("manifest: a fragment names table \(fragment.file), which it does not have", path)
                continue
            }
            if fragment.run >= state.nextRunId {
                report.error("manifest: run \(fragment.run) is not below the next one, \(state.nextRunId)", path)
            }
            named.insert(fragment.file)
            parts[fragment.bucket, default: [:]][fragment.run, default: []].append(
                Part(table: table, fragment: fragment))
        }
        for id in state.tables.keys.sorted() where !named.contains(id) {
            report.error("manifest: table \(id) is part of no run", path)
        }
        var reached = Set<UInt64>()
        check(Bucket.rootId, .all, nil, [], state, parts, &reached, path)
        for id in Set(state.buckets.keys).union(parts.keys).subtracting(reached).sorted() {
            report.error("manifest: bucket \(id) is not in the tree", path)
        }
    }

    /// `above`: the parts of the buckets above, in the order of reading.
    private func check(
        _ id: UInt64, _ range: KeyRange, _ height: UInt64?, _ above: [Part], _ state: ManifestState,
        _ parts: [UInt64: [UInt64: [Part]]], _ reached: inout Set<UInt64>, _ path: String
    ) {
        func wrong(_ what: String) { report.error("manifest: bucket \(id): \(what)", path) }
        guard reached.insert(id).inserted else { return wrong("it is in the tree twice") }
        let record = state.buckets[id] ?? BucketRecord(id: id)
        if let height, record.height != height { wrong("its height is \(record.height), not \(height)") }
        if (record.height == 0) != record.children.isEmpty { wrong("height and children do not fit") }
        if range.isEmpty { wrong("its range is empty") }
        var passed = above
        for (_, run) in (parts[id] ?? [:]).sorted(by: { $0.key > $1.key }) {
            let ordered = run.sorted { KeyRange.isBefore($0.first, $1.first) }
            for (a, b) in zip(ordered, ordered.dropFirst()) where !a.endsBefore(b.first) {
                wrong("tables \(a.table.fileId) and \(b.table.fileId) of run \(a.fragment.run) overlap")
            }
            for part in ordered {
                let isInside =
                    !KeyRange.isBefore(part.first, range.lower) && (range.upper.isEmpty || part.endsBefore(range.upper))
                if !isInside { wrong("table \(part.table.fileId) reaches out of it") }
                for newer in passed where newer.table.fileId != part.table.fileId && newer.overlaps(part) {
                    checkAge(newer, part, path)
                }
            }
            passed += ordered
        }
        guard record.pivots.count + 1 == record.children.count else {
            if !record.children.isEmpty { wrong("it has \(record.pivots.count) pivots for its children") }
            return
        }
        for (i, child) in record.children.enumerated() {
            let part = KeyRange(
                lower: i == 0 ? range.lower : record.pivots[i - 1],
                upper: i == record.pivots.count ? range.upper : record.pivots[i])
            let inside = passed.filter {
                !$0.endsBefore(part.lower) && (part.upper.isEmpty || KeyRange.isBefore($0.first, part.upper))
            }
            check(child, part, record.height &- 1, inside, state, parts, &reached, path)
        }
    }

    /// Files that a merge made of old and new entries may have sequences on both sides of another's: then each key that
    /// both have must tell.
    private func checkAge(_ newer: Part, _ older: Part, _ path: String) {
        if newer.table.sequenceMin > older.table.sequenceMax { return }
        // A file that cannot be read is reported where it is checked by itself.
        guard let key = try? misplacedKey(newer, older) else { return }
        report.error(
            "manifest: tables \(newer.table.fileId) and \(older.table.fileId) are in the wrong order for key "
                + Table.printable(key), path)
    }

    /// A key whose entry in `newer`, which is read first, is not newer than that in `older`.
    private func misplacedKey(_ newer: Part, _ older: Part) throws -> [UInt8]? {
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let start = KeyRange.later(newer.first, older.first)
        let cursors = try [newer, older].map { part in
            let path = BucketManager.path(folder.directory, part.table.fileId)
            let table = try Table.open(disk: disk, path: path, fileId: part.table.fileId, cache: cache)
            let cursor = TableCursor(table, pins, access: .scan, mayBlock: true)
            var fault: Interruption?
            start.withView { key in do throws(Interruption) { try cursor.seek(key) } catch { fault = error } }
            if let fault { throw fault }
            return cursor
        }
        while let a = cursors[0].position, let b = cursors[1].position {
            let key = a.pointee.key.array
            if newer.endsBefore(key) || older.endsBefore(key) { return nil }
            let order = a.pointee.key.compare(b.pointee.key)
            if order == 0 && a.pointee.sequence <= b.pointee.sequence { return key }
            if order <= 0 { try cursors[0].next() } else { try cursors[1].next() }
        }
        return nil
    }
}
