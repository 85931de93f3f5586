// Jobs that end dead entries where they are in the way: where a reader stepped over many of them, and where much has
// expired.
//
// What has expired is no merge's to drop. A merge sees a few runs and cannot tell whether something above them hides
// the entry; the write that did so has counted the key as it found it, so that a merge that counted it again would make
// the counts wrong, and the expiry index would lead to nothing. The server's expiry walk deletes expired keys by
// writes of its own, and those deletes are what a merge ends them with. So these jobs bring deletes down to a leaf much
// of which has expired, sooner than their own number would.

import ValkBase

extension JobPlanner {
    /// The next job for a range in which readers met much that is dead; nil when nothing is left to do. From the root
    /// down: deletes go to what they are about, only those of the range.
    func forSkips(_ root: Bucket, _ range: KeyRange) -> JobPlan? {
        var plan: JobPlan?
        func visit(_ bucket: Bucket) {
            if plan != nil { return }
            guard let inside = bucket.range.intersection(range) else { return }
            if bucket.isLeaf {
                plan = mergeDead(bucket, inside)
                return
            }
            for child in bucket.children where plan == nil {
                guard let part = child.range.intersection(inside) else { continue }
                plan = pushDead(bucket, part, atLeast: JobPlanner.deadMin, reason: "readers skip much")
                if plan == nil { visit(child) }
            }
        }
        visit(root)
        return plan
    }

    private static let deadMin: UInt64 = 32

    /// What a bucket has in a part of one slot goes down, when there are so many deletes in it.
    private func pushDead(_ bucket: Bucket, _ part: KeyRange, atLeast: UInt64, reason: StaticString) -> JobPlan? {
        guard bucket.deletes(in: part) >= atLeast else { return nil }
        let runs = bucket.runs.compactMap { $0.clipped(to: part) }
        return JobPlan(kind: .push, reason: reason, range: part, height: bucket.height, runs: runs)
    }

    /// A part of a leaf becomes one run.
    private func mergeDead(_ leaf: Bucket, _ part: KeyRange) -> JobPlan? {
        let runs = leaf.runs.compactMap { $0.clipped(to: part) }
        let overlaps = runs.indices.contains { i in runs[(i + 1)...].contains { $0.overlaps(runs[i]) } }
        guard overlaps || leaf.deletes(in: part) >= JobPlanner.deadMin else { return nil }
        return JobPlan(
            kind: .merge, reason: "readers skip much", range: part, height: 0, runs: runs, isBottom: true)
    }

    /// A job for a leaf of which more than a fifth has expired and for which deletes have come that are not at their
    /// ends yet; nil when there is none.
    func forExpiry(_ root: Bucket, isFree: (JobPlan) -> Bool) -> JobPlan? {
        if hints.wallMilliseconds == 0 { return nil }
        var path: [Bucket] = []
        var plan: JobPlan?
        func visit(_ bucket: Bucket) {
            if plan != nil { return }
            path.append(bucket)
            defer { path.removeLast() }
            guard bucket.isLeaf else { return bucket.children.forEach(visit) }
            let entries = bucket.runs.reduce(0) { $0 + $1.entryCount }
            guard entries >= options.deletesEntriesMin,
                bucket.expired(at: hints.wallMilliseconds) * 5 > Double(entries)
            else { return }
            let deletes = path.reduce(0) { $0 + $1.deletes(in: bucket.range) }
            if deletes * 10 < entries { return }
            var found: JobPlan?
            // One of them has its part at least.
            let part = max(1, deletes / UInt64(path.count))
            for upper in path.dropLast() where found == nil {
                found = pushDead(upper, bucket.range, atLeast: part, reason: "much has expired")
            }
            found =
                found
                ?? JobPlan(
                    kind: .merge, reason: "much has expired", range: bucket.range, height: 0, runs: bucket.runs,
                    isBottom: true)
            if let found, isFree(found) { plan = found }
        }
        visit(root)
        return plan
    }
}

extension Bucket {
    /// Deletes of its own runs inside of `part`; of files that are cut in proportion.
    fileprivate func deletes(in part: KeyRange) -> UInt64 {
        var sum: UInt64 = 0
        for run in runs {
            for fragment in run.fragments where fragment.file.record.tombstones > 0 {
                sum += fragment.clipped(to: part)?.tombstones ?? 0
            }
        }
        return sum
    }

    /// How many of its own entries have expired, if they expire evenly between the first and the last of a file.
    fileprivate func expired(at now: UInt64) -> Double {
        var sum = 0.0
        for fragment in runs.flatMap(\.fragments) {
            let record = fragment.file.record
            guard record.expireAtMax != 0, record.expireAtMin < now, fragment.file.table.isLoaded else { continue }
            let count = Double(fragment.share(of: fragment.file.table.properties.expiringCount))
            let span = Double(record.expireAtMax - record.expireAtMin)
            sum += now >= record.expireAtMax ? count : count * Double(now - record.expireAtMin) / max(1, span)
        }
        return sum
    }
}
