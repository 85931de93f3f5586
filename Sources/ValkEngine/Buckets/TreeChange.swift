// Changes of the tree, all without I/O: a change of one bucket, the splits that follow from it on the way up, joins of
// small neighbours. Nothing here is published; the controller diffs the new tree against the old one and makes the
// difference durable first.

import ValkBase

extension Fragment {
    /// What is left when the keys of `range` are taken out.
    func without(_ range: KeyRange) -> [Fragment] {
        var parts: [Fragment] = []
        if !range.lower.isEmpty, let front = clipped(to: KeyRange(upper: range.lower)) { parts.append(front) }
        if !range.upper.isEmpty, let back = clipped(to: KeyRange(lower: range.upper)) { parts.append(back) }
        return parts
    }
}

extension Run {
    func overlaps(_ other: Run) -> Bool {
        for fragment in fragments {
            let at = fragment.first.withView { other.fragmentIndex($0) }
            if at < other.fragments.count && other.fragments[at].overlaps(fragment) { return true }
        }
        return false
    }

    /// A run with more fragments, which overlap none of its own.
    func adding(_ more: [Fragment]) -> Run {
        let sorted = (fragments + more).sorted { KeyRange.isBefore($0.first, $1.first) }
        return Run(id: id, fragments: Run.coalesced(sorted))
    }

    /// Neighbours that are two parts of one file, with nothing between them, become one part.
    private static func coalesced(_ sorted: [Fragment]) -> [Fragment] {
        var result: [Fragment] = []
        for fragment in sorted {
            if let last = result.last, last.file === fragment.file, !last.range.upper.isEmpty,
                last.range.upper == fragment.range.lower
            {
                let both = KeyRange(lower: last.range.lower, upper: fragment.range.upper)
                let sum = last.bytes + fragment.bytes
                let isKnown = last.isMeasured && fragment.isMeasured
                result[result.count - 1] = Fragment(last.file, both, bytes: isKnown ? sum : 0, guess: sum)
            } else {
                result.append(fragment)
            }
        }
        return result
    }
}

extension Bucket {
    func with(runs: [Run]) -> Bucket {
        Bucket(id: id, height: height, range: range, pivots: pivots, children: children, runs: runs)
    }

    func with(children: [Bucket]) -> Bucket {
        Bucket(
            id: id, height: height, range: range, pivots: children.dropFirst().map(\.range.lower), children: children,
            runs: runs)
    }

    private func with(id: UInt64) -> Bucket {
        Bucket(id: id, height: height, range: range, pivots: pivots, children: children, runs: runs)
    }

    /// Takes the keys of `part` out of the runs with these numbers.
    func removing(_ part: KeyRange, from ids: Set<UInt64>) -> Bucket {
        with(
            runs: runs.compactMap { run in
                guard ids.contains(run.id) else { return run }
                let left = run.fragments.flatMap { $0.without(part) }
                return left.isEmpty ? nil : Run(id: run.id, fragments: left)
            })
    }

    /// Adds fragments to the run with this number, which is made when there is none.
    func placing(_ fragments: [Fragment], run id: UInt64) -> Bucket {
        if fragments.isEmpty { return self }
        var runs = runs
        if let at = runs.firstIndex(where: { $0.id == id }) {
            runs[at] = runs[at].adding(fragments)
        } else {
            let at = runs.firstIndex { $0.id < id } ?? runs.count
            runs.insert(Run(id: id, fragments: []).adding(fragments), at: at)
        }
        return with(runs: runs)
    }

    /// Takes in a run that is newer than everything here. `sinks`: where it overlaps nothing it becomes part of an
    /// older run, the oldest that it can pass through to; so ordered inserts make one run and not many.
    func taking(_ run: Run, sinks: Bool) -> Bucket {
        var target: Int?
        if sinks {
            for (i, older) in runs.enumerated() {
                if older.overlaps(run) { break }
                target = i
            }
        }
        var runs = runs
        if let target {
            runs[target] = runs[target].adding(run.fragments)
        } else {
            runs.insert(run, at: 0)
        }
        return with(runs: runs)
    }

    // MARK: Splits

    /// The parts at both sides of `key`; the second has the number `newId`. Children are not cut: for an inner bucket
    /// `key` is a pivot.
    func split(at key: [UInt8], newId: UInt64) -> [Bucket] {
        let left = KeyRange(lower: range.lower, upper: key)
        let right = KeyRange(lower: key, upper: range.upper)
        return [(left, id), (right, newId)].map { range, id in
            let children = children.filter { range.contains($0.range) }
            return Bucket(
                id: id, height: height, range: range, pivots: children.dropFirst().map(\.range.lower),
                children: children, runs: runs.compactMap { $0.clipped(to: range) })
        }
    }

    /// Makes room: splits by slots until no part has more than `fanOut` children.
    private func parted(_ fanOut: Int, _ nextId: () -> UInt64) -> [Bucket] {
        if children.count <= fanOut { return [self] }
        return split(at: children[children.count / 2].range.lower, newId: nextId())
            .flatMap { $0.parted(fanOut, nextId) }
    }

    private func replacing(
        _ height: Int, _ key: [UInt8], _ fanOut: Int, _ nextId: () -> UInt64, _ change: (Bucket) -> [Bucket]
    ) -> [Bucket] {
        if self.height == height { return change(self) }
        let slot = key.withView { self.slot($0) }
        var children = children
        children.replaceSubrange(
            slot...slot, with: children[slot].replacing(height, key, fanOut, nextId, change))
        return with(children: children).parted(fanOut, nextId)
    }

    /// The tree in which the bucket of `height` that holds `key` is replaced by what `change` makes of it: buckets that
    /// cover the same range. `self` is the root and stays the root.
    func changing(
        height: Int, at key: [UInt8], fanOut: Int, nextId: () -> UInt64, _ change: (Bucket) -> [Bucket]
    ) -> Bucket {
        var parts = replacing(height, key, fanOut, nextId, change)
        while parts.count > 1 {
            let children = parts.map { $0.id == Bucket.rootId ? $0.with(id: nextId()) : $0 }
            parts = Bucket(
                id: Bucket.rootId, height: parts[0].height + 1, range: .all,
                pivots: children.dropFirst().map(\.range.lower), children: children, runs: []
            ).parted(fanOut, nextId)
        }
        return parts[0]
    }

    // MARK: Joins

    /// This bucket and its right neighbour as one. Runs of equal age, counted from the oldest, become one; what they
    /// have in common is only that they overlap nothing. `nextId` gives rising numbers.
    func joined(_ other: Bucket, nextId: () -> UInt64) -> Bucket {
        var joinedRuns: [Run] = []
        for age in 0..<max(runs.count, other.runs.count) {
            let mine = age < runs.count ? runs[runs.count - 1 - age].fragments : []
            let theirs = age < other.runs.count ? other.runs[other.runs.count - 1 - age].fragments : []
            joinedRuns.insert(Run(id: nextId(), fragments: []).adding(mine + theirs), at: 0)
        }
        let children = children + other.children
        return Bucket(
            id: id, height: height, range: KeyRange(lower: range.lower, upper: other.range.upper),
            pivots: children.dropFirst().map(\.range.lower), children: children, runs: joinedRuns)
    }

    /// A root with one child becomes that child, with its own runs in front.
    func collapsed(nextId: () -> UInt64) -> Bucket {
        guard children.count == 1 else { return self }
        let child = children[0]
        let all = (runs + child.runs).reversed().map { Run(id: nextId(), fragments: $0.fragments) }
        return Bucket(
            id: id, height: child.height, range: range, pivots: child.pivots, children: child.children,
            runs: all.reversed())
    }

    // MARK: Dropping fragments

    /// The tree without these fragments.
    func dropping(_ isDropped: (Fragment) -> Bool) -> Bucket {
        let keptChildren = children.map { $0.dropping(isDropped) }
        let touched = runs.contains { $0.fragments.contains(where: isDropped) }
        let isSame = !touched && zip(children, keptChildren).allSatisfy { $0 === $1 }
        if isSame { return self }
        let keptRuns =
            !touched
            ? runs
            : runs.compactMap { run -> Run? in
                let kept = run.fragments.filter { !isDropped($0) }
                if kept.count == run.fragments.count { return run }
                return kept.isEmpty ? nil : Run(id: run.id, fragments: kept)
            }
        return Bucket(
            id: id, height: height, range: range, pivots: pivots, children: keptChildren, runs: keptRuns)
    }
}
