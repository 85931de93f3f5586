// What newer versions hide, of values in the log and of the tables themselves: how much there is of it, where most of
// it is, and the jobs that find it.
//
// In each leaf the largest run is taken for the bottom, and whatever lies over it, in the leaf and in the buckets
// above, hides what its flush has found or the filters told (`HiddenCount`), less what merges have met since. An
// estimate: it decides when to merge, never what is dead.

import ValkBase

/// Part of a tree.
struct TreeWeight: Sendable {
    var entries = 0.0
    var deletes = 0.0
    var tableBytes = 0.0
    /// Of values in the log.
    var valueBytes = 0.0
    /// Entries that hide an older one, and those of them whose older one's value has been named dead.
    var hiding = 0.0
    var hidingNamed = 0.0

    static func += (a: inout TreeWeight, b: TreeWeight) {
        a.entries += b.entries
        a.deletes += b.deletes
        a.tableBytes += b.tableBytes
        a.valueBytes += b.valueBytes
        a.hiding += b.hiding
        a.hidingNamed += b.hidingNamed
    }
}

/// Bytes that newer versions hide.
struct HiddenBytes: Sendable, Equatable {
    var values = 0
    var tables = 0

    init(values: Int, tables: Int) {
        self.values = values
        self.tables = tables
    }

    /// What lies over others, and what lies at the bottom.
    init(younger: TreeWeight, bottom: TreeWeight) {
        var all = younger
        all += bottom
        let puts = max(1, all.entries - all.deletes)
        // The bottom's own deletes hide nothing any more, they are only in the way.
        let found = min(puts, younger.hiding)
        values = Int(all.valueBytes * min(found, max(0, younger.hiding - younger.hidingNamed)) / puts)
        let entryBytes = all.tableBytes / max(1, all.entries)
        tables = Int(min(all.tableBytes, entryBytes * (found + all.deletes)))
    }
}

/// What the space governor lets be hidden. Merges for space are planned while there is more.
struct HiddenLimit: Sendable {
    var values = Int.max
    var tables = Int.max

    func isExceeded(by hidden: HiddenBytes) -> Bool { hidden.values > values || hidden.tables > tables }

    /// What a merge is worth that finds all of `hidden`.
    func gain(_ hidden: HiddenBytes, whole: HiddenBytes) -> Double {
        Double((whole.values > values ? hidden.values : 0) + (whole.tables > tables ? hidden.tables : 0))
    }
}

extension Run {
    var hides: HiddenCount {
        fragments.reduce(into: HiddenCount()) {
            let hides = $1.file.record.hides
            $0 += HiddenCount(all: $1.share(of: hides.all), named: $1.share(of: hides.named))
        }
    }

    /// Of files that it shares with others in proportion.
    var weight: TreeWeight {
        let hides = hides
        var sum = TreeWeight(
            tableBytes: Double(bytes), hiding: Double(hides.all), hidingNamed: Double(hides.named))
        for fragment in fragments {
            sum.entries += Double(fragment.entries)
            sum.deletes += Double(fragment.tombstones)
            var values: UInt64 = 0
            for share in fragment.file.record.segments { values += share.bytes }
            sum.valueBytes += Double(fragment.share(of: values))
        }
        return sum
    }
}

extension Bucket {
    /// What lies over the largest runs of the leaves, and those.
    func weigh() -> (younger: TreeWeight, bottom: TreeWeight) {
        var younger = TreeWeight()
        var bottom = TreeWeight()
        forEach { bucket in
            let (over, under) = Bucket.weigh(bucket.runs, isLeaf: bucket.isLeaf)
            younger += over
            bottom += under
        }
        return (younger, bottom)
    }

    /// The same of some runs of one bucket.
    static func weigh(_ runs: [Run], isLeaf: Bool) -> (younger: TreeWeight, bottom: TreeWeight) {
        var younger = TreeWeight()
        var bottom = TreeWeight()
        let weights = runs.map(\.weight)
        let largest = isLeaf ? weights.indices.max { weights[$0].tableBytes < weights[$1].tableBytes } : nil
        for (i, weight) in weights.enumerated() {
            if i == largest { bottom += weight } else { younger += weight }
        }
        return (younger, bottom)
    }
}

extension BucketController {
    /// With `structure` held.
    var hiddenBytes: HiddenBytes {
        let (younger, bottom) = logManager.root.weigh()
        return HiddenBytes(younger: younger, bottom: bottom)
    }

    /// Merges for space go on until no more is hidden than this. Without threads they are done here.
    func limitHidden(_ limit: HiddenLimit) throws(StoreError) {
        structure.withLock { hiddenLimit = limit }
        if options.usesThreads {
            mergeBell.ring()
        } else {
            while structure.withLock({ hiddenLimit.isExceeded(by: hiddenBytes) }), try mergeOnce() {}
        }
    }

    /// While too much is hidden: the merge that finds most of it for the bytes that it reads. A leaf is merged with
    /// what lies over it in its parent; from higher up a slot goes down first. With `structure` held.
    func planForSpace(_ isFree: (KeyRange) -> Bool) -> JobPlan? {
        // Most of the time nothing is asked for.
        if hiddenLimit.values == .max && hiddenLimit.tables == .max { return nil }
        let whole = hiddenBytes
        guard hiddenLimit.isExceeded(by: whole) else { return nil }
        var leaf: JobPlan?
        var slot: JobPlan?
        var above = TreeWeight()
        func offer(_ score: Double, _ best: inout JobPlan?, _ range: KeyRange, _ plan: () -> JobPlan?) {
            guard score > best?.score ?? 0, isFree(range), var plan = plan() else { return }
            plan.score = score
            best = plan
        }
        func offerLeaf(_ child: Bucket, under parent: Bucket?) {
            let upper = parent?.runs.compactMap { $0.clipped(to: child.range) } ?? []
            var (younger, bottom) = Bucket.weigh(child.runs, isLeaf: true)
            for run in upper { younger += run.weight }
            let hidden = HiddenBytes(younger: younger, bottom: bottom)
            let cost = younger.tableBytes + bottom.tableBytes
            offer(hiddenLimit.gain(hidden, whole: whole) / max(1, cost), &leaf, child.range) {
                planner.wholeMerge(child, upper, reason: "too much is hidden")
            }
        }
        let root = logManager.root
        if root.isLeaf { offerLeaf(root, under: nil) }
        root.forEach { bucket in
            for child in bucket.children {
                if child.isLeaf {
                    offerLeaf(child, under: bucket)
                    continue
                }
                var weight = TreeWeight()
                for run in bucket.runs { if let part = run.clipped(to: child.range) { weight += part.weight } }
                above += weight
                offer(weight.tableBytes + weight.valueBytes, &slot, child.range) {
                    planner.push(bucket, child, reason: "too much is hidden")
                }
            }
        }
        // Where most of it lies high up, it goes down first.
        let (younger, _) = root.weigh()
        let isHigh = above.hiding * 2 > younger.hiding
        return isHigh ? slot ?? leaf : leaf ?? slot
    }
}
