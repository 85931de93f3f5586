// Jobs where ranges are dead, so that their space comes back without anybody asking for it: what lies above the leaves
// is pushed down when an eighth of it is dead, and in a leaf those parts are merged in which an eighth of a file is
// dead. When very many range deletions are live, whatever they hide is worth a job.

import ValkBase

/// How much of its range a merge rewrites.
enum MergeScope: Sendable {
    /// Everything but files that can stay as they are.
    case whole
    /// Only where files have dead parts.
    case deadParts
    /// Also files that could stay, when anything in them may be dead.
    case thorough
}

extension BucketController {
    /// A job is worth it when it finds one part in so many dead.
    private static let worthwhile = 8

    /// What merges can find dead now. With `structure` held.
    var deadLists: DeadLists { DeadLists(tombstones: durableRanges, hints: logManager.deadHints.list) }

    /// There are so many range deletions that they should become fewer at any price. With `structure` held.
    private var hasManyRanges: Bool { durableRanges.count > options.rangeDeletionsMax / 2 }

    /// The job that meets most of what is dead. With `structure` held.
    func planForDead(_ isFree: (KeyRange) -> Bool) -> JobPlan? {
        let lists = deadLists
        if lists.isEmpty { return nil }
        var best: JobPlan?
        var bestDead = 0
        func offer(_ dead: Int, _ range: KeyRange, _ plan: () -> JobPlan?) {
            guard dead > bestDead, isFree(range), let plan = plan() else { return }
            bestDead = dead
            best = plan
        }
        let reason: StaticString =
            lists.tombstones.count > 0 ? "a range was deleted" : "dead by the layer above"
        logManager.root.forEach { bucket in
            if bucket.isLeaf {
                let fragments = bucket.runs.flatMap(\.fragments)
                let dead = fragments.reduce(0) {
                    isMuch($1, lists) ? $0 + deadWeights.weight($1, lists).tableBytes : $0
                }
                offer(dead, bucket.range) {
                    JobPlan(
                        kind: .merge, reason: reason, range: bucket.range, height: 0, runs: bucket.runs,
                        isBottom: true, scope: .deadParts)
                }
                return
            }
            if !bucket.runs.contains(where: { $0.fragments.contains { deadWeights.weight($0, lists).tableBytes > 0 } })
            {
                return
            }
            for child in bucket.children {
                guard let plan = planner.push(bucket, child, reason: reason) else { continue }
                var dead = 0
                var bytes = 0
                for fragment in plan.runs.flatMap(\.fragments) {
                    dead += deadWeights.weight(fragment, lists).tableBytes
                    bytes += fragment.bytes
                }
                if dead > 0 && (hasManyRanges || dead * BucketController.worthwhile >= bytes) {
                    offer(dead, child.range) { plan }
                }
            }
        }
        best?.score = hasManyRanges ? 200 : 6
        return best
    }

    private func isMuch(_ fragment: Fragment, _ lists: DeadLists) -> Bool {
        let dead = deadWeights.weight(fragment, lists).tableBytes
        return dead > 0 && (hasManyRanges || dead * BucketController.worthwhile >= fragment.bytes)
    }

    /// What of a merge's range is to be rewritten, step by step. No locks held.
    func pieces(_ plan: JobPlan) -> [MergePiece] {
        let (lists, much) = structure.withLock { () -> (DeadLists, Set<UInt64>) in
            let lists = deadLists
            var much = Set<UInt64>()
            for fragment in plan.runs.flatMap(\.fragments) where isWorthIt(fragment, plan.scope, lists) {
                much.insert(fragment.file.id)
            }
            return (lists, much)
        }
        let step =
            plan.scope == .deadParts ? min(options.jobBytes, 4 * options.tableFileBytes) : options.jobBytes
        let pieces = MergePieces(
            stepBytes: step, smallBytes: options.tableFileBytes / 4, isBottom: plan.isBottom, mustRewrite: much
        ).pieces(plan.runs, in: plan.range)
        if plan.scope != .deadParts { return pieces }
        let fragments = plan.runs.flatMap(\.fragments).filter { much.contains($0.file.id) }
        return pieces.filter { piece in
            guard case .rewrite(let range) = piece else { return false }
            return fragments.contains { fragment in
                fragment.clipped(to: range).map { DeadEstimator.measure($0, lists).tableBytes > 0 } ?? false
            }
        }
    }

    private func isWorthIt(_ fragment: Fragment, _ scope: MergeScope, _ lists: DeadLists) -> Bool {
        if scope != .thorough { return isMuch(fragment, lists) }
        let record = fragment.file.record
        if let filter = options.mergeFilter, filter.interest.mayLie(from: record.smallest, to: record.largest) {
            return true
        }
        return deadWeights.weight(fragment, lists).tableBytes > 0
    }

    /// Whether a merge on request would find anything in a file that stands alone. With `structure` held.
    func mayHaveDead(_ bucket: Bucket) -> Bool {
        let lists = deadLists
        return bucket.runs.contains { $0.fragments.contains { isWorthIt($0, .thorough, lists) } }
    }

    /// What is dead as of now, also what no merge can find yet because it is not durable. Any thread, no locks held.
    func deadNow() -> DeadWeight {
        let (view, _) = logManager.currentView()
        if !view.hasRangeDeletions && logManager.deadHints.isEmpty { return DeadWeight() }
        let lists = DeadLists(tombstones: view.rangeDeletions.list, hints: logManager.deadHints.list)
        return shownDeadWeights.total(view.root, lists)
    }

    /// Forgets hints that have done their work, and sends merges after the others. Once a second.
    func tendDeadHints() {
        if logManager.deadHints.isEmpty { return }
        let (root, flushedTo) = structure.withLock { (logManager.root, state.checkpoint.sequence) }
        logManager.deadHints.prune(root, flushedTo: flushedTo)
        if !logManager.deadHints.isEmpty { mergeBell.ring() }
    }

    /// The filter for a step that merges `runs`, which are fixed: what it reads is not older than they are.
    func beginFilter(_ runs: [Run]) -> FilterSeat {
        guard let filter = options.mergeFilter, let store else { return FilterSeat(nil, nil) }
        let concerns = runs.contains { run in
            run.fragments.contains {
                filter.interest.mayLie(from: $0.file.record.smallest, to: $0.file.record.largest)
            }
        }
        if !concerns { return FilterSeat(nil, nil) }
        return FilterSeat(filter.beginStep(StoreReader(store, mayBlock: true)), filter.interest)
    }
}
