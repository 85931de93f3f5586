// The second rung: holes. Where dead records lie side by side, or are large, or where a log of small values has left
// whole areas of nothing behind, the blocks go back to the file system and nothing is copied.
//
// Order: the edit "these records are left in segment s" -> the calls. A crash in between leaves a file that has more
// than it needs; the first look after a start makes the same holes again, which costs nothing where they are. From the
// edit on nobody reads the segment by its frames: walks go by the list, and its file has no other life.
//
// A file with two names belongs to a backup too and is never punched; a backup holds `gate` while it gives a file its
// second name. What a view may still read is live, as for a rewrite. A punch that fails is no fault of the store: the
// bytes stay, and the next rung is there for them. A file system that cannot do it is asked once.
//
// A call costs up to a millisecond whatever its size, so a segment is punched for a tenth of it or 4 MiB, with at most
// `holesMax` holes, and only where that is cheaper than to write what is live anew.

import Synchronization
import ValkBase
import ValkDisk

extension GarbageCollector {
    /// What a call costs where it is slow, as bytes that could be written meanwhile.
    static let punchCallBytes = 160 << 10
    /// Gives this much back, or a tenth of the segment.
    static let punchGain = 4 << 20

    /// Punches what `candidate` can give back that way, when it is worth it. Returns whether anything was punched.
    /// Throws when the manifest cannot be written. With `gate` held.
    func punch(_ candidate: Candidate) throws(StoreError) -> Bool {
        let segment = candidate.segment
        if !mayPunch || unpunchable.contains(segment) { return false }
        // While this is held the segment's file neither goes nor changes.
        guard let hold = controller.segments.holdIfHeld(segment) else { return false }
        defer { withExtendedLifetime(hold) {} }
        let horizon = controller.logManager.horizon.horizon
        let known = controller.structure.withLock { isEligible(segment) ? controller.state.garbage[segment] : nil }
        guard let known, isPromising(candidate, known) else { return false }
        let effective = known.effectiveChunks(horizon)
        let dead = known.deadOffsets(effective)
        guard let (live, end) = livePlaces(segment, known, Set(dead)) else { return false }
        let plan = HolePlan(
            live: live, end: end, bytesMin: options.punchBytesMin, countMax: options.holesPerSegmentMax)
        let (calls, fresh) = plan.beyond(holes[segment] ?? HolePlan())
        // Holes from before the start are not known: more than is there cannot come of it.
        guard isWorth(min(fresh, candidate.allocated - candidate.left), calls.count, candidate) else { return false }
        let file: any DiskFile
        do throws(DiskError) {
            file = try disk.open(log.files.path(segment), .readWrite)
            if try file.linkCount() > 1 {
                file.close()
                return false
            }
        } catch {
            controller.logManager.report(.log(.note(StoreError(error))))
            return false
        }
        defer { file.close() }
        _ = controller.atSeam?(.holesPlanned)
        try note(segment, known, effective, left: live, plan.bytes)
        _ = controller.atSeam?(.holesNoted)
        // What is dead is counted from nothing again.
        judged[segment] = nil
        make(calls, plan, in: file, segment)
        return true
    }

    /// The edit. What is dead is not counted as part of the segment any more.
    private func note(
        _ segment: UInt32, _ known: SegmentGarbage, _ effective: Int, left: [SegmentLayout.Place], _ bytes: Int
    ) throws(StoreError) {
        let dead = known.chunks[..<effective]
        var leftBytes = known.valueBytes - min(known.valueBytes, dead.reduce(0) { $0 + $1.bytes })
        if known.valueCount - UInt64(left.count) != dead.reduce(0, { $0 + $1.count }) {
            // Some were named more than once.
            leftBytes = left.reduce(0) { $0 + UInt64($1.end - $1.start) }
        }
        try controller.structure.withLock { () throws(StoreError) in
            guard let now = controller.state.garbage[segment], now.generation == known.generation else {
                preconditionFailure("segment \(segment) was rewritten by somebody else")
            }
            var next = now
            next.valueBytes = leftBytes
            next.valueCount = UInt64(left.count)
            next.chunks.removeFirst(effective)
            next.known = DiscardChunk.encode(left.map(\.logical))
            next.punchedBytes = UInt64(bytes)
            // Before the edit: a file that may come to have holes has no other life.
            log.files.markPunched(segment)
            if next != now { try controller.note([.garbage(.segment(segment, next))]) }
        }
    }

    private func make(_ calls: [Range<Int>], _ plan: HolePlan, in file: any DiskFile, _ segment: UInt32) {
        var made = 0
        for range in calls {
            // What is left over is done by the next start.
            if cancelled.load(ordering: .relaxed) { return }
            budget.take(max(GarbageCollector.punchCallBytes, range.count / 16))
            let start = Monotonic.nanoseconds()
            do throws(DiskError) {
                try file.punch(range)
                made += 1
                let microseconds = Int((Monotonic.nanoseconds() - start) / 1000)
                if debt.brake.limit == 0 { punchBudget.take(microseconds) }
            } catch {
                if error.kind == .unsupported {
                    mayPunch = false
                } else {
                    unpunchable.insert(segment)
                    counters.withLock { $0.punchesFailed += 1 }
                }
                controller.logManager.report(.log(.note(StoreError(error))))
                break
            }
        }
        let before = sizes.removeValue(forKey: segment) ?? 0
        let after = size(segment)
        if made == calls.count { holes[segment] = plan }
        counters.withLock {
            if made > 0 { $0.segmentsPunched += 1 }
            $0.holes += UInt64(made)
            $0.bytesPunched += UInt64(max(0, before - after))
            $0.punchingIsUnsupported = !mayPunch
        }
    }

    // MARK: Whether

    /// It has an edit that says so and perhaps not all of the holes.
    func owesHoles(_ segment: UInt32) -> Bool { log.files.isPunched(segment) && holes[segment] == nil }

    private func isWorth(_ gain: Int, _ calls: Int, _ candidate: Candidate) -> Bool {
        if calls == 0 || gain < min(GarbageCollector.punchGain, max(candidate.allocated / 10, 1)) { return false }
        // Cost for each byte freed, against that of the rung below.
        let cost = Double(calls * min(GarbageCollector.punchCallBytes, 2 * options.punchBytesMin + 32 << 10))
        let rewriteCost = Double(candidate.allocated / 2 + candidate.left)
        return cost * Double(candidate.allocated - candidate.left) <= rewriteCost * Double(gain)
    }

    /// Looks at the lists alone, since the layout costs reads: whether dead records are so large, or so many of them
    /// lie side by side, or so much of the file never was values, that holes may come of it. Asked again when more is
    /// dead.
    private func isPromising(_ candidate: Candidate, _ known: SegmentGarbage) -> Bool {
        let total = known.deadBytes
        if let judged = judged[candidate.segment], total < judged + UInt64(candidate.allocated / 32) { return false }
        judged[candidate.segment] = total
        let isNew = known.known == nil && known.generation == 0
        if isNew && candidate.allocated - Int(known.valueBytes) > candidate.allocated / 4 { return true }
        // Holes that a crash has left undone.
        if owesHoles(candidate.segment) { return true }
        guard known.deadCount > 0 else { return false }
        let average = Int(known.deadBytes / known.deadCount)
        if average + LogFormat.blockBytes >= options.punchBytesMin { return true }
        let offsets = known.deadOffsets(known.chunks.count)
        var runs = 0
        var first = Int(offsets[0])
        for i in offsets.indices {
            let here = Int(offsets[i])
            if i + 1 < offsets.count && Int(offsets[i + 1]) - here <= 2 * average + LogFormat.blockBytes { continue }
            let bytes = here + average - first
            if bytes >= options.punchBytesMin { runs += bytes }
            if i + 1 < offsets.count { first = Int(offsets[i + 1]) }
        }
        return runs >= min(GarbageCollector.punchGain, candidate.allocated / 10)
    }

    /// The records that are not `dead`. Nil when the segment is not what the manifest says of it: it is left alone.
    private func livePlaces(
        _ segment: UInt32, _ known: SegmentGarbage, _ dead: Set<UInt32>
    ) -> (live: [SegmentLayout.Place], end: Int)? {
        do throws(StoreError) {
            let list = known.known.flatMap { DiscardChunk.decode($0) }
            let layout = try SegmentLayout.read(
                disk: disk, directory: log.directory, storeId: log.storeId, segment: segment,
                generation: known.generation, known: list?.sorted())
            let live = layout.places.filter { !dead.contains($0.logical) }
            let found = layout.places.count - live.count
            guard UInt64(layout.places.count) == known.valueCount, found == dead.count || known.mayLackDead else {
                throw StoreError(
                    .corruption,
                    "\(layout.places.count) values found, \(found) of them dead; the manifest "
                        + " says \(known.valueCount) and \(dead.count)", path: log.files.path(segment))
            }
            return (live, layout.end)
        } catch {
            unpunchable.insert(segment)
            controller.logManager.report(.log(.note(error)))
            return nil
        }
    }
}
