// Jobs on the tree: taking the next one with its range, doing it step by step, ending it.
//
// A step reads a bounded part of the job's range, writes new files, syncs them, and is installed as one edit: what was
// done stays when the job is cut short. At install the job's buckets are looked up again by height and key.

import ValkBase
import ValkDisk

/// A job with its range, which nobody else may take while it runs.
struct RunningJob {
    var id: UInt64
    var kind: JobKind
    var reason: StaticString
    var range: KeyRange
    var height: Int
    /// Its inputs.
    var files: Set<UInt64>
    var begin: UInt64
    var bytesRead = 0
    var bytesWritten = 0
    var entriesRead = 0
    var entriesWritten = 0
    var hasStoodAside = false

    func line(_ outcome: String) -> JobLine {
        JobLine(
            id: id, kind: kind.rawValue, reason: reason.description, bytesRead: bytesRead, bytesWritten: bytesWritten,
            milliseconds: (Monotonic.nanoseconds() - begin) / 1_000_000, outcome: outcome)
    }
}

extension BucketController {
    // MARK: Taking and ending

    /// The next job, its range taken; nil when there is none to do now.
    private func take() -> JobPlan? {
        structure.withLock {
            if pauses > 0 { return nil }
            let now = clock()
            readNotes.cool(now: now)
            hints.isHot = readNotes.hasHeat ? { [readNotes] in readNotes.isHot($0) } : nil
            hints.wallMilliseconds = logManager.log.clock.milliseconds()
            let isFree = { (range: KeyRange) in !self.jobs.contains { $0.range.overlaps(range) } }
            let isDue = { (plan: JobPlan) in !self.failures.refuses(plan, now: now) }
            let root = logManager.root
            let planner = planner
            let plan = planner.best(root, isFree: isFree, isDue: isDue)
            // Space can wait for readers of a crowded root, unless it runs out.
            if let plan, plan.isUrgent, !budget.spaceIsUrgent { return begin(plan) }
            if var plan = planForSpace(isFree), isDue(plan) {
                plan.score = JobPlanner.spaceScore
                return begin(plan)
            }
            if let dead = planForDead(isFree), isDue(dead), dead.score > plan?.score ?? 0 { return begin(dead) }
            if let plan, plan.score >= JobPlanner.limitScore { return begin(plan) }
            let soft =
                planForSkips(root) { isFree($0.range) && isDue($0) }
                ?? (plan == nil ? planner.forExpiry(root) { isFree($0.range) && isDue($0) } : nil)
            return (soft ?? plan).map { begin($0) }
        }
    }

    /// The first range that readers complained of and that there is something to do for; others are forgotten.
    private func planForSkips(_ root: Bucket, _ isFree: (JobPlan) -> Bool) -> JobPlan? {
        for range in readNotes.skipped {
            guard let plan = planner.forSkips(root, range) else {
                readNotes.forget(range)
                continue
            }
            if isFree(plan) { return plan }
        }
        return nil
    }

    /// Whether a job should leave the rest of its work for later: no thread is free for another that readers and
    /// writers wait for more. With `structure` held.
    private func isOutranked(_ plan: JobPlan) -> Bool {
        guard options.usesThreads, jobs.count >= options.mergeThreads else { return false }
        let isForSpace = plan.score == JobPlanner.spaceScore
        if plan.score >= JobPlanner.urgentScore && (!isForSpace || budget.spaceIsUrgent) { return false }
        let now = clock()
        let best = planner.best(
            logManager.root, isFree: { range in !self.jobs.contains { $0.id != plan.id && $0.range.overlaps(range) } },
            isDue: { !self.failures.refuses($0, now: now) })
        return best.map { isForSpace ? $0.isUrgent : $0.score >= JobPlanner.urgentScore } ?? false
    }

    /// With `structure` held.
    private func begin(_ given: JobPlan) -> JobPlan {
        var plan = given
        plan.id = nextJobId()
        jobs.append(
            RunningJob(
                id: plan.id, kind: plan.kind, reason: plan.reason, range: plan.range, height: plan.height,
                files: Set(plan.runs.flatMap { $0.fragments.map(\.file.id) }), begin: Monotonic.nanoseconds()))
        return plan
    }

    /// What runs now.
    var running: [JobLine] {
        structure.withLock {
            jobs.map { $0.line("running") }
        }
    }

    /// The last that ended, oldest first, and the places where jobs fail.
    var ended: (jobs: [JobLine], failures: [JobFailureLine]) {
        structure.withLock {
            let now = clock()
            let failing = failures.items.map {
                JobFailureLine(
                    kind: $0.kind.rawValue, error: $0.error.description, tries: $0.tries,
                    retryMilliseconds: $0.retryAt > now ? ($0.retryAt - now) / 1_000_000 : 0)
            }
            return (history.lines, failing)
        }
    }

    private func end(_ plan: JobPlan, _ error: StoreError?) {
        var isNews = false
        structure.withLock {
            guard let at = jobs.firstIndex(where: { $0.id == plan.id }) else { return }
            let job = jobs.remove(at: at)
            history.add(job.line(error != nil ? "failed" : job.hasStoodAside ? "stepped aside" : "done"))
            if let error {
                if !isClosing { isNews = failures.note(plan, error, now: clock()) }
            } else {
                failures.succeeded(plan)
                if plan.kind == .merge && plan.height == 0 && plan.isBottom,
                    let leaf = logManager.root.descendant(height: 0, at: plan.range.lower)
                {
                    hints.noteMerge(leaf.id, read: job.entriesRead, written: job.entriesWritten)
                }
            }
        }
        jobEnded.broadcast()
        progressBell.ring()
        guard let error, !isClosing else { return }
        count { $0.jobsFailed += 1 }
        if isNews { logManager.report(.mergeFailed(error)) }
    }

    /// Waits until no job runs, and lets none begin until `resumeJobs`.
    func pauseJobs() {
        structure.lock()
        pauses += 1
        while !jobs.isEmpty { jobEnded.wait(structure) }
        structure.unlock()
    }

    func resumeJobs() {
        structure.withLock { pauses -= 1 }
        mergeBell.ring()
    }

    /// Runs one job if one is due. Blocking. Returns whether it did.
    func mergeOnce() throws(StoreError) -> Bool {
        guard let plan = take() else { return false }
        try perform(plan)
        // Others may have waited for this range, or for what has come of it.
        mergeBell.ring()
        return true
    }

    /// Runs what `plan` says of the tree as it is. Returns whether it said anything. The range is taken before anything
    /// else can happen to the tree: a flush may change runs that no job has.
    private func runNow(_ plan: (Bucket) -> JobPlan?) throws(StoreError) -> Bool {
        let taken = structure.withLock { plan(logManager.root).map { begin($0) } }
        guard let plan = taken else { return false }
        try perform(plan)
        return true
    }

    private func perform(_ plan: JobPlan) throws(StoreError) {
        do { try run(plan) } catch {
            end(plan, error)
            throw error
        }
        end(plan, nil)
    }

    /// Brings everything down to the leaves and merges each of them into one run. Blocking; for tools and tests.
    func mergeAll() throws(StoreError) {
        pauseJobs()
        defer { resumeJobs() }
        // Flushes go on meanwhile; what they bring is left for the next time.
        let newest = structure.withLock { logManager.root.runs.first?.id ?? 0 }
        while try runNow({ root in firstPush(root, upTo: newest) }) {}
        var leaves: [KeyRange] = []
        logManager.root.forEach { if $0.isLeaf { leaves.append($0.range) } }
        for range in leaves {
            _ = try runNow { root in
                guard let leaf = root.descendant(height: 0, at: range.lower) else { return nil }
                let hasDeletes = leaf.runs.contains { $0.fragments.contains { $0.file.record.tombstones > 0 } }
                if leaf.runs.count < 2 && !hasDeletes && !mayHaveDead(leaf) { return nil }
                return JobPlan(
                    kind: .merge, reason: "on request", range: leaf.range, height: 0, runs: leaf.runs, isBottom: true,
                    scope: .thorough)
            }
        }
    }

    /// The first bucket, from the root down, that has something for its children. `upTo`: newer runs of the root stay.
    private func firstPush(_ root: Bucket, upTo newest: UInt64) -> JobPlan? {
        var plan: JobPlan?
        root.forEach { bucket in
            for child in bucket.children where plan == nil {
                plan = planner.push(bucket, child, reason: "on request")
                if bucket === root { plan?.runs.removeAll { $0.id > newest } }
                if plan?.runs.isEmpty == true { plan = nil }
            }
        }
        return plan
    }

    // MARK: Doing

    private func run(_ plan: JobPlan) throws(StoreError) {
        let begin = Monotonic.nanoseconds()
        _ = atSeam?(.jobTaken)
        switch plan.kind {
        case .flush: preconditionFailure("flushes are no jobs on a range")
        case .push: try push(plan)
        case .merge:
            guard let oldest = plan.runs.last else { return }
            try rewrite(plan, cuts: []) { leaf, fragments in leaf.placing(fragments, run: oldest.id) }
        case .split:
            try change(plan) { root in
                root.changing(height: 0, at: plan.range.lower, fanOut: fanOut, nextId: nextNumber) {
                    $0.split(at: plan.splitKey, newId: nextNumber())
                }
            }
        case .join: try join(plan)
        }
        count {
            $0.merges += plan.kind == .merge || plan.kind == .push ? 1 : 0
            $0.jobs[plan.kind.rawValue, default: 0] += 1
            $0.mergeNanoseconds += Monotonic.nanoseconds() - begin
        }
    }

    /// A change without I/O.
    private func change(_ plan: JobPlan, _ body: (Bucket) -> Bucket) throws(StoreError) {
        try structure.withLock { () throws(StoreError) in
            try install([], []) { root, _ in body(root) }
            mergeCount += 1
        }
    }

    private func join(_ plan: JobPlan) throws(StoreError) {
        try change(plan) { root in
            if plan.height == root.height { return root.collapsed(nextId: nextNumber) }
            return root.changing(
                height: plan.height + 1, at: plan.range.lower, fanOut: fanOut, nextId: nextNumber
            ) { parent in
                let at = plan.range.lower.withView { parent.slot($0) }
                guard at + 1 < parent.children.count, parent.children[at].range.lower == plan.range.lower else {
                    return [parent]
                }
                var children = parent.children
                children.replaceSubrange(
                    at...at + 1, with: [children[at].joined(children[at + 1], nextId: nextNumber)])
                return [parent.with(children: children)]
            }
        }
    }

    private func push(_ plan: JobPlan) throws(StoreError) {
        let (child, runs) = structure.withLock { () -> (Bucket?, [Run]) in
            (logManager.root.descendant(height: plan.height - 1, at: plan.range.lower), plan.runs)
        }
        guard let child else { return }
        let overlaps = runs.indices.contains { i in runs[(i + 1)...].contains { $0.overlaps(runs[i]) } }
        let sizes = runs.map { max($0.bytes, limits.picker.smallestBytes) }
        let gain = Double(sizes.reduce(0, +)) / Double(sizes.max() ?? 1)
        let isPoor = gain < 0.75 * Double(options.mergeWidth)
        let fits = child.runs.count + runs.count <= 2 * options.mergeWidth
        if overlaps && !(child.isLeaf && isPoor && fits) {
            var run: UInt64?
            try rewrite(plan, cuts: child.pivots) { parent, fragments in
                parent.changingChild(at: plan.range.lower) { child in
                    let number = run ?? nextNumber()
                    run = number
                    return child.placing(fragments, run: number)
                }
            }
            return
        }
        // By reference: too few to be worth a merge, or nothing to merge at all.
        let ids = Set(runs.map(\.id))
        try change(plan) { root in
            root.changing(height: plan.height, at: plan.range.lower, fanOut: fanOut, nextId: nextNumber) { parent in
                let left = parent.removing(plan.range, from: ids)
                return [
                    left.changingChild(at: plan.range.lower) { child in
                        if !overlaps {
                            let run = Run(id: nextNumber(), fragments: []).adding(runs.flatMap(\.fragments))
                            return child.taking(run, sinks: true)
                        }
                        return runs.reversed().reduce(child) { child, run in
                            child.taking(Run(id: nextNumber(), fragments: run.fragments), sinks: true)
                        }
                    }
                ]
            }
        }
    }

    /// Merges the plan's runs piece by piece. What was read goes from the bucket at the plan's height, and `place` puts
    /// what came of it where it belongs.
    private func rewrite(
        _ plan: JobPlan, cuts: [[UInt8]], _ place: (Bucket, [Fragment]) -> Bucket
    ) throws(StoreError) {
        let pieces = pieces(plan)
        let ids = Set(plan.runs.map(\.id))
        func replace(_ ranges: [KeyRange], _ root: Bucket, _ fragments: [Fragment]) -> Bucket {
            func replaced(_ bucket: Bucket) -> Bucket { ranges.reduce(bucket) { $0.removing($1, from: ids) } }
            return root.changing(
                height: plan.height, at: plan.range.lower, fanOut: fanOut, nextId: nextNumber
            ) { bucket in
                guard plan.includesChild else { return [place(replaced(bucket), fragments)] }
                return [replaced(bucket).changingChild(at: plan.range.lower) { place(replaced($0), fragments) }]
            }
        }
        var kept: [Fragment] = []
        var keptRanges: [KeyRange] = []
        for case .keep(let range, let fragment) in pieces {
            kept.append(fragment)
            keptRanges.append(range)
        }
        if !kept.isEmpty { try change(plan) { root in replace(keptRanges, root, kept) } }
        for case .rewrite(let range) in pieces {
            let runs = plan.runs.compactMap { $0.clipped(to: range) }
            if runs.isEmpty { continue }
            try step(runs, plan, cuts) { root, fragments in replace([range], root, fragments) }
            if isClosing { throw StoreError(.invalid, "the store is closing") }
            let isToldTo = atSeam?(.stepShown) ?? false
            let stepsAside = structure.withLock { () -> Bool in
                guard isToldTo || isOutranked(plan), let at = jobs.firstIndex(where: { $0.id == plan.id }) else {
                    return false
                }
                jobs[at].hasStoodAside = true
                return true
            }
            if stepsAside { return }
        }
    }

    /// Jobs on a root that writers are slowed down for go before everything.
    private func priority(_ plan: JobPlan) -> IOPriority {
        let root = logManager.root
        return plan.height == root.height && root.crowd > Double(limits.rootRunsMax) ? .urgent : .merge
    }

    private func step(
        _ runs: [Run], _ plan: JobPlan, _ cuts: [[UInt8]], _ change: (Bucket, [Fragment]) -> Bucket
    ) throws(StoreError) {
        // Only what is durable may hide entries for good.
        let (ranges, resolvedBefore) = structure.withLock { (durableRanges, resolutionCount) }
        _ = atSeam?(.stepBegun)
        let filteredTo = options.mergeFilter == nil ? 0 : logManager.visibleSequence
        var result = try manager(priority(plan)).merge(
            runs, cuts: cuts, isBottom: plan.isBottom, ranges: ranges, filter: beginFilter(runs))
        for i in result.files.indices { result.files[i].filteredTo = filteredTo }
        if result.entriesFiltered > 0 {
            // What the filter went by must last at least as long as what came of it.
            do { try logManager.sync() } catch {
                for file in result.files { janitor.remove(file.finished.path) }
                throw error
            }
        }
        try syncTables(result)
        _ = atSeam?(.stepWritten)
        try structure.withLock { () throws(StoreError) in
            if resolutionCount != resolvedBefore {
                // Somebody settled the counts of all runs meanwhile: what this merge found is in them already.
                result.deltas = CountDeltas()
                for i in result.files.indices { result.files[i].record.unknownPriors = 0 }
            }
            let counts = logManager.countsAfterMerge(result.deltas)
            try install(
                result.files, result.discards.editItems + counts.map { .counts($0.0, $0.1) }, deltas: result.deltas,
                change)
            mergeCount += 1
            for i in jobs.indices where jobs[i].id == plan.id {
                jobs[i].bytesRead += result.bytesRead
                jobs[i].bytesWritten += result.bytesWritten
                jobs[i].entriesRead += result.entriesRead
                jobs[i].entriesWritten += result.entriesWritten
            }
        }
        count {
            $0.mergeBytesRead += UInt64(result.bytesRead)
            $0.stepBytesMax = max($0.stepBytesMax, result.bytesRead)
            $0.mergeBytesWritten += UInt64(result.bytesWritten)
            $0.entriesDropped += UInt64(max(0, result.entriesRead - result.entriesWritten))
            $0.entriesFiltered += UInt64(result.entriesFiltered)
            $0.filterFailures += UInt64(result.filterFailures)
        }
    }
}

extension Bucket {
    /// With the child that holds `key` replaced.
    fileprivate func changingChild(at key: [UInt8], _ body: (Bucket) -> Bucket) -> Bucket {
        let at = key.withView { slot($0) }
        var children = children
        children[at] = body(children[at])
        return with(children: children)
    }
}

extension Run {
    /// A range that holds all of its keys.
    var hull: KeyRange {
        guard let first = fragments.first, let last = fragments.last else { return .all }
        return KeyRange(
            lower: first.first, upper: last.range.upper.isEmpty ? last.file.record.largest + [0] : last.range.upper)
    }
}
