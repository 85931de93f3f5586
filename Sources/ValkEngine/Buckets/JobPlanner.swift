// What to do next, from the tree alone: looks at every bucket, and of all that is worth doing takes what matters most
// and is not in the range of a job that runs. Holds no state, changes nothing.
//
// Push: a slot has as many runs, or as many bytes, as an inner bucket should house; they go down to its child. Merge: a
// leaf's runs of like size become one, as `MergePicker` says. Split: a leaf is too large; files stay as they are. Join:
// neighbours are so small that one bucket does for both.

import ValkBase

enum JobKind: String, Sendable {
    case flush, push, merge, split, join
}

struct JobPlan {
    /// Given when the job begins.
    var id: UInt64 = 0
    var kind: JobKind
    /// Why; for people.
    var reason: StaticString
    /// What the job works on, and what is locked for it: a slot, a leaf, or the buckets that are joined.
    var range: KeyRange
    /// Height of the bucket that the runs are in.
    var height: Int
    /// Inside of `range`, newest first.
    var runs: [Run] = []
    /// Nothing older than the runs lies in the range.
    var isBottom = false
    /// The runs are those of a slot and of the leaf below it, where what is made of them belongs.
    var includesChild = false
    var scope = MergeScope.whole
    /// Of a split: 0.5, or 0.9 where keys come in order.
    var splitKey: [UInt8] = []
    var score = 0.0

    /// Readers of everything are slow until it is done, or the tree cannot grow.
    var isUrgent: Bool { score >= 103 }
}

struct JobPlanner {
    let options: StoreOptions
    let fanOut: Int
    var hints = JobHints()

    /// From here on readers or writers suffer; jobs with less step aside.
    static let urgentScore = 100.0
    /// Of jobs for the space governor, which only `isUrgent` ones go before.
    static let spaceScore = 102.0
    /// From here on it is about the size of the tree's parts, below about what they hold.
    static let limitScore = 10.0

    var picker: MergePicker {
        MergePicker(width: options.mergeWidth, smallestBytes: min(1 << 20, options.pushBytes / 64))
    }
    /// More runs than this in the root are a debt that writers are slowed down for.
    var rootRunsMax: Int { options.mergeWidth + options.mergeWidth / 2 }
    /// With so many in any slot of the root nothing is flushed any more until they are fewer.
    var rootRunsEver: Int { 4 * options.mergeWidth }

    private func slotRunsMax(_ child: Bucket) -> Int {
        hints.isHotBelow(child) ? max(2, options.mergeWidth / 2) : options.mergeWidth
    }

    /// The most useful job outside of the ranges that `isFree` refuses, of those that `isDue` lets pass.
    func best(
        _ root: Bucket, isFree: (KeyRange) -> Bool, isDue: (JobPlan) -> Bool = { _ in true }
    ) -> JobPlan? {
        var best: JobPlan?
        func offer(_ score: Double, _ range: KeyRange, _ plan: () -> JobPlan?) {
            guard score > best?.score ?? 0, isFree(range), var plan = plan(), isDue(plan) else { return }
            plan.score = score
            best = plan
        }
        root.forEach { bucket in
            if bucket.isLeaf {
                offerLeaf(bucket, offer)
            } else {
                offerSlots(bucket, isRoot: bucket === root, offer)
                offerJoins(bucket, offer)
            }
        }
        if root.children.count == 1 {
            offer(2, .all) { JobPlan(kind: .join, reason: "the root has one child", range: .all, height: root.height) }
        }
        return best
    }

    private typealias Offer = (Double, KeyRange, () -> JobPlan?) -> Void

    private func offerLeaf(_ leaf: Bucket, _ offer: Offer) {
        if leaf.bytes > options.leafBytes {
            offer(1000, leaf.range) {
                leaf.splitKey(leaf.isAppendedTo ? 0.9 : 0.5).map {
                    JobPlan(
                        kind: .split, reason: "the leaf is large", range: leaf.range, height: 0, splitKey: $0)
                }
            }
        }
        offerDeletes(leaf, offer)
        if leaf.runs.count < 2 { return }
        let isCrowded = leaf.runs.count > 2 * options.mergeWidth
        let isFull = leaf.runs.count > 3 * options.mergeWidth
        let score = (isFull ? JobPlanner.urgentScore : isCrowded ? 50 : 5) + Double(leaf.runs.count) / 100
        let picker = hints.picker(leaf, usual: picker)
        offer(score, leaf.range) {
            guard let group = picker.pick(leaf.runs.map(\.bytes)) else { return nil }
            return JobPlan(
                kind: .merge, reason: isCrowded ? "the leaf has many runs" : "runs of like size", range: leaf.range,
                height: 0, runs: Array(leaf.runs[group]), isBottom: group.upperBound == leaf.runs.count)
        }
    }

    /// A leaf with many deletes is merged whole, which ends them.
    private func offerDeletes(_ leaf: Bucket, _ offer: Offer) {
        var deletes: UInt64 = 0
        var entries: UInt64 = 0
        for run in leaf.runs {
            entries += run.entryCount
            for fragment in run.fragments { deletes += fragment.tombstones }
        }
        // A few are not worth the trouble.
        if deletes * 4 <= entries || entries < options.deletesEntriesMin { return }
        offer(3, leaf.range) {
            JobPlan(
                kind: .merge, reason: "the leaf has many deletes", range: leaf.range, height: 0, runs: leaf.runs,
                isBottom: true)
        }
    }

    private func offerSlots(_ bucket: Bucket, isRoot: Bool, _ offer: Offer) {
        for child in bucket.children {
            var runs = 0
            var bytes = 0
            for run in bucket.runs {
                let weight = run.bytes(in: child.range)
                if weight > 0 { runs += 1 }
                bytes += weight
            }
            let byRuns = Double(runs) / Double(slotRunsMax(child))
            let bySize = Double(bytes) / Double(options.pushBytes)
            if max(byRuns, bySize) < 1 {
                offerDeletes(bucket, child, offer)
                continue
            }
            // A slot below with twice of what it should have is as bad for readers as one of the root.
            let load = max(byRuns, bySize)
            let score = (isRoot || load >= 2 ? JobPlanner.urgentScore : JobPlanner.limitScore) + load
            offer(score, child.range) {
                push(bucket, child, reason: byRuns >= 1 ? "the slot has many runs" : "the slot is large")
            }
        }
    }

    /// Deletes go down to what they are about.
    private func offerDeletes(_ bucket: Bucket, _ child: Bucket, _ offer: Offer) {
        if !bucket.runs.contains(where: { $0.fragments.contains { $0.file.record.tombstones > 0 } }) { return }
        var deletes: UInt64 = 0
        var entries: UInt64 = 0
        for run in bucket.runs {
            for fragment in run.fragments where fragment.file.record.tombstones > 0 {
                guard let inside = fragment.clipped(to: child.range) else { continue }
                deletes += inside.tombstones
                entries += inside.entries
            }
        }
        if deletes * 4 <= entries || entries < options.deletesEntriesMin { return }
        offer(4, child.range) { push(bucket, child, reason: "the slot has many deletes") }
    }

    /// All of a slot goes down to its child.
    func push(_ bucket: Bucket, _ child: Bucket, reason: StaticString) -> JobPlan? {
        let runs = bucket.runs.compactMap { $0.clipped(to: child.range) }
        if runs.isEmpty { return nil }
        return JobPlan(kind: .push, reason: reason, range: child.range, height: bucket.height, runs: runs)
    }

    /// A leaf and what lies over it in its parent become one run of the leaf. Nil when there is nothing to do.
    func wholeMerge(_ leaf: Bucket, _ upper: [Run], reason: StaticString) -> JobPlan? {
        let runs = upper + leaf.runs
        let hasDeletes = runs.contains { $0.fragments.contains { $0.file.record.tombstones > 0 } }
        if runs.count < 2 && !hasDeletes { return nil }
        return JobPlan(
            kind: .merge, reason: reason, range: leaf.range, height: upper.isEmpty ? 0 : 1, runs: runs, isBottom: true,
            includesChild: !upper.isEmpty)
    }

    private func offerJoins(_ bucket: Bucket, _ offer: Offer) {
        for (left, right) in zip(bucket.children, bucket.children.dropFirst()) {
            let fits: Bool
            if bucket.height == 1 {
                let bytes = left.bytes + right.bytes
                let isOneEmpty = left.runs.isEmpty || right.runs.isEmpty
                fits =
                    (bytes < options.leafBytes / 4 || (isOneEmpty && bytes <= options.leafBytes))
                    && max(left.runs.count, right.runs.count) <= options.mergeWidth
            } else {
                // Two of one child each are always one too many, however small the fan-out.
                fits = left.children.count + right.children.count <= max(2, fanOut / 2)
            }
            if !fits { continue }
            let range = KeyRange(lower: left.range.lower, upper: right.range.upper)
            offer(1, range) { JobPlan(kind: .join, reason: "small neighbours", range: range, height: left.height) }
        }
    }
}

extension Bucket {
    /// Runs that a reader has to pass in this bucket, where they are most.
    var runsMost: Int {
        if isLeaf { return runs.count }
        return children.map { child in runs.count { $0.bytes(in: child.range) > 0 } }.max() ?? 0
    }

    /// Runs that a reader has to pass in this bucket, on the average of its bytes: of a leaf all, of others those of a
    /// slot. Where one slot is crowded and the others are not, it counts for as much as it holds.
    var crowd: Double {
        if isLeaf { return Double(runs.count) }
        var sum = 0.0
        var total = 0.0
        for child in children {
            var count = 0
            var bytes = 0
            for run in runs {
                let weight = run.bytes(in: child.range)
                if weight > 0 { count += 1 }
                bytes += weight
            }
            sum += Double(bytes) * Double(count)
            total += Double(bytes)
        }
        return total == 0 ? 0 : sum / total
    }
}

extension Run {
    /// Bytes inside of `range`.
    func bytes(in range: KeyRange) -> Int {
        var at = range.lower.isEmpty ? 0 : range.lower.withView { fragmentIndex($0) }
        var sum = 0
        while at < fragments.count, let inside = fragments[at].clipped(to: range) {
            sum += max(1, inside.bytes)
            at += 1
        }
        return sum
    }
}
