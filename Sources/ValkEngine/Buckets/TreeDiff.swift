// What the manifest says of a tree: the difference between two trees as edit items, and the tree that a manifest
// describes.

import ValkBase

/// What a change of the tree adds and removes.
struct TreeDiff {
    var items: [EditItem] = []
    /// Changes of the number of fragments that name a file, by file id.
    private(set) var references: [UInt64: Int] = [:]
    private(set) var files: [UInt64: TableFile] = [:]

    init(from old: Bucket, to new: Bucket) {
        if old === new { return }
        var before: [UInt64: Bucket] = [:]
        var after: [UInt64: Bucket] = [:]
        old.forEach { before[$0.id] = $0 }
        new.forEach { after[$0.id] = $0 }
        var removed: [EditItem] = []
        var added: [EditItem] = []
        for (id, bucket) in before.sorted(by: { $0.key < $1.key }) {
            guard after[id] !== bucket else { continue }
            if after[id] == nil { removed.append(.removeBucket(id)) }
        }
        for (id, bucket) in after.sorted(by: { $0.key < $1.key }) where before[id] !== bucket {
            if before[id].map({ BucketRecord($0) }) != BucketRecord(bucket) {
                added.append(.bucket(BucketRecord(bucket)))
            }
        }
        var gone = Set<FragmentRecord>()
        var born: [FragmentRecord] = []
        for (id, bucket) in before where after[id] !== bucket {
            bucket.forEachFragment { record, file in
                gone.insert(record)
                files[file.id] = file
            }
        }
        for (id, bucket) in after where before[id] !== bucket {
            bucket.forEachFragment { record, file in
                files[file.id] = file
                if gone.remove(record) == nil { born.append(record) }
            }
        }
        for record in gone.sorted() {
            removed.append(.removeFragment(record))
            references[record.file, default: 0] -= 1
        }
        for record in born.sorted() {
            added.append(.addFragment(record))
            references[record.file, default: 0] += 1
        }
        items = removed + added
    }
}

extension Bucket {
    /// Its own runs' fragments, as the manifest names them.
    func forEachFragment(_ body: (FragmentRecord, TableFile) -> Void) {
        for run in runs {
            for fragment in run.fragments {
                body(
                    FragmentRecord(
                        bucket: id, run: run.id, file: fragment.file.id, lower: fragment.range.lower,
                        upper: fragment.range.upper, bytes: UInt64(fragment.knownBytes ?? 0)), fragment.file)
            }
        }
    }

    /// The tree that a manifest describes. `open` gives the reader of each file once.
    static func load(
        _ state: ManifestState, path: String, open: (TableRecordItem) -> TableFile
    ) throws(StoreError) -> Bucket {
        var files: [UInt64: TableFile] = [:]
        for record in state.tables.values.sorted(by: { $0.fileId < $1.fileId }) {
            files[record.fileId] = open(record)
        }
        var runs: [UInt64: [UInt64: [Fragment]]] = [:]
        for record in state.fragments {
            guard let file = files[record.file] else {
                throw StoreError(.corruption, "a fragment names table \(record.file), which is not there", path: path)
            }
            runs[record.bucket, default: [:]][record.run, default: []]
                .append(
                    Fragment(file, KeyRange(lower: record.lower, upper: record.upper), bytes: Int(record.bytes)))
        }
        func build(_ id: UInt64, _ range: KeyRange, _ depth: Int) throws(StoreError) -> Bucket {
            let record = state.buckets[id] ?? BucketRecord(id: id)
            guard depth <= heightMax, record.children.isEmpty || record.pivots.count + 1 == record.children.count,
                (record.height == 0) == record.children.isEmpty
            else { throw StoreError(.corruption, "bucket \(id) is not one of a tree", path: path) }
            var children: [Bucket] = []
            for (i, child) in record.children.enumerated() {
                let part = KeyRange(
                    lower: i == 0 ? range.lower : record.pivots[i - 1],
                    upper: i == record.pivots.count ? range.upper : record.pivots[i])
                children.append(try build(child, part, depth + 1))
            }
            guard children.allSatisfy({ $0.height == Int(record.height) - 1 }) else {
                throw StoreError(.corruption, "the children of bucket \(id) have not its height less one", path: path)
            }
            let own = (runs[id] ?? [:]).sorted { $0.key > $1.key }
            return Bucket(
                id: id, height: Int(record.height), range: range, pivots: record.pivots, children: children,
                runs: own.map { Run(id: $0.key, fragments: []).adding($0.value) })
        }
        return try build(rootId, .all, 0)
    }

    /// What does not hold of the invariants Cover and Depth, and of the order of runs; nil when all do. O(tree).
    func fault() -> String? {
        var found: String?
        forEach { bucket in
            if found != nil { return }
            found = bucket.ownFault()
        }
        return found
    }

    private func ownFault() -> String? {
        if isLeaf != children.isEmpty { return "bucket \(id) of height \(height) has \(children.count) children" }
        if pivots != children.dropFirst().map(\.range.lower) {
            return "bucket \(id): pivots are not where children begin"
        }
        if let first = children.first, let last = children.last,
            first.range.lower != range.lower || last.range.upper != range.upper
        {
            return "bucket \(id): its children do not cover it"
        }
        for (a, b) in zip(children, children.dropFirst()) where a.range.upper != b.range.lower || a.range.isEmpty {
            return "bucket \(id): a gap between its children"
        }
        for child in children where child.height != height - 1 {
            return "bucket \(id): not all leaves are at one depth"
        }
        for (a, b) in zip(runs, runs.dropFirst()) where a.id <= b.id {
            return "bucket \(id): its runs are out of order"
        }
        for run in runs {
            if run.fragments.isEmpty { return "bucket \(id): run \(run.id) is empty" }
            for fragment in run.fragments {
                let isInside =
                    !KeyRange.isBefore(fragment.first, range.lower)
                    && (range.upper.isEmpty || fragment.endsBefore(range.upper))
                if !isInside { return "bucket \(id): table \(fragment.file.id) reaches out of it" }
            }
            for (a, b) in zip(run.fragments, run.fragments.dropFirst()) where !a.endsBefore(b.first) {
                return "bucket \(id): tables \(a.file.id) and \(b.file.id) of run \(run.id) overlap"
            }
        }
        return nil
    }
}

extension BucketRecord {
    init(_ bucket: Bucket) {
        self.init(
            id: bucket.id, height: UInt64(bucket.height), pivots: bucket.pivots, children: bucket.children.map(\.id))
    }
}
