// Values that newer versions hide: how much there is of it, where most of it is, and the job that finds it.
//
// In each leaf the largest run is taken for the bottom, and everything else that lies over it, in the leaf and in the
// buckets above, to hide as much of it as the latest merges found; a delete hides one value of average size (blind
// deletes are not written). An estimate: it decides when to merge, never what is dead.

import Synchronization
import ValkBase

/// Separated values of a part of the tree.
struct ValueWeight: Sendable {
    var bytes = 0.0
    var count = 0.0
    var deletes = 0.0

    static func += (a: inout ValueWeight, b: ValueWeight) {
        a.bytes += b.bytes
        a.count += b.count
        a.deletes += b.deletes
    }
}

extension Run {
    /// What it holds of values in the log; of files that it shares with others in proportion.
    var values: ValueWeight {
        var sum = ValueWeight()
        for fragment in fragments {
            var bytes: UInt64 = 0
            var count: UInt64 = 0
            for share in fragment.file.record.segments {
                bytes += share.bytes
                count += share.count
            }
            sum += ValueWeight(
                bytes: Double(fragment.share(of: bytes)), count: Double(fragment.share(of: count)),
                deletes: Double(fragment.tombstones))
        }
        return sum
    }
}

extension Bucket {
    /// What lies over the largest runs of the leaves, and those.
    fileprivate func weigh() -> (younger: ValueWeight, bottom: ValueWeight) {
        var younger = ValueWeight()
        var bottom = ValueWeight()
        forEach { bucket in
            let weights = bucket.runs.map(\.values)
            let largest = bucket.isLeaf ? weights.indices.max { weights[$0].bytes < weights[$1].bytes } : nil
            for (i, weight) in weights.enumerated() {
                if i == largest { bottom += weight } else { younger += weight }
            }
            if let largest { younger.deletes += weights[largest].deletes }
        }
        return (younger, bottom)
    }
}

extension BucketController {
    /// An estimate of the bytes of values that newer versions hide. With `structure` held.
    func hiddenBytes() -> Int {
        let (younger, bottom) = logManager.root.weigh()
        let count = younger.count + bottom.count
        let average = count == 0 ? 0 : (younger.bytes + bottom.bytes) / count
        // Among the younger themselves there may be as many generations as there are runs.
        return Int(min(younger.bytes + bottom.bytes, overlap.ratio * younger.bytes + younger.deletes * average))
    }

    /// The next few jobs go where most is hidden. Without threads they are done here.
    func findHidden() throws(StoreError) {
        hiddenJobs.store(8, ordering: .relaxed)
        if options.usesThreads {
            mergeBell.ring()
        } else {
            while hiddenJobs.load(ordering: .relaxed) > 0, try mergeOnce() {}
        }
        if !options.usesThreads { hiddenJobs.store(0, ordering: .relaxed) }
    }

    /// The job that meets most hidden values, while some are asked for: a push of a slot, or, where nothing is above,
    /// the merge of a whole leaf. With `structure` held.
    func planForSpace(_ isFree: (KeyRange) -> Bool) -> JobPlan? {
        guard hiddenJobs.load(ordering: .relaxed) > 0 else { return nil }
        var best: JobPlan?
        func offer(_ score: Double, _ range: KeyRange, _ plan: () -> JobPlan?) {
            guard score > best?.score ?? 0, isFree(range), var plan = plan() else { return }
            plan.score = score
            best = plan
        }
        logManager.root.forEach { bucket in
            if bucket.isLeaf {
                var sum = ValueWeight()
                for run in bucket.runs { sum += run.values }
                let largest = bucket.runs.map { $0.values.bytes }.max() ?? 0
                let hidden = sum.bytes - largest + (sum.count == 0 ? 0 : sum.deletes * sum.bytes / sum.count)
                if bucket.runs.count < 2 && sum.deletes == 0 { return }
                offer(hidden, bucket.range) {
                    JobPlan(
                        kind: .merge, reason: "values are hidden", range: bucket.range, height: 0, runs: bucket.runs,
                        isBottom: true)
                }
                return
            }
            for child in bucket.children {
                guard let plan = planner.push(bucket, child, reason: "values are hidden") else { continue }
                var sum = ValueWeight()
                for run in plan.runs { sum += run.values }
                // Deletes above the leaves hide as well.
                offer(sum.bytes + sum.deletes, child.range) { plan }
            }
        }
        let left = hiddenJobs.wrappingSubtract(1, ordering: .relaxed).newValue
        if best == nil || left < 0 { hiddenJobs.store(0, ordering: .relaxed) }
        return best
    }
}
