// The space governor: a closed loop, once a second. It compares what log and tables take with what of it is live, and
// works the ladder until the target holds: merges where too much is hidden; where too much is exposed holes, and then
// rewrites.
//
// When garbage still comes faster than it goes, writers are held up (`SpaceBrake`): what the store takes beyond its
// live bytes is bounded, and the rate is what the collector can follow.
//
// As the disk fills it asks for more: below 20 % free for half of the garbage, below 10 % for a quarter; below 5 %
// writers are slowed down (`writeRate`). When next to nothing is left (`reserve`) only reads and deletes are served, so
// that there is room to give space back in; that ends by itself when twice as much is free.

import Synchronization
import ValkBase
import ValkDisk

extension GarbageCollector {
    /// A segment that a rewrite would make smaller.
    struct Candidate {
        var segment: UInt32
        var allocated: Int
        /// What would be left of it.
        var left: Int
        var benefit: Double { Double(allocated - left) / Double(allocated + left) }
    }

    /// One round of the loop. With `gate` held.
    func govern() throws(StoreError) -> Bool {
        lacksSpace = false
        let start = Monotonic.nanoseconds()
        try controller.sampleTree()
        var candidates = measure()
        var didWork = false
        let limit = hiddenLimit(figures.shares.hidden)
        try controller.limitHidden(limit)
        if limit.isExceeded(by: figures.hidden) {
            didWork = true
            if !options.usesThreads { candidates = measure() }
        }
        let exposedMax = figures.exposedMax
        // Most gain for the bytes that are read and written first, whatever its age.
        candidates.sort { ($0.benefit, $1.segment) > ($1.benefit, $0.segment) }
        var hasPunched = false
        for candidate in candidates where figures.exposedBytes > exposedMax || owesHoles(candidate.segment) {
            if isOver(start) { break }
            let done = try freeing([candidate]) { () throws(StoreError) in try punch(candidate) ? 1 : 0 }
            if done > 0 { hasPunched = true }
        }
        if hasPunched {
            didWork = true
            candidates = measure()
            candidates.sort { ($0.benefit, $1.segment) > ($1.benefit, $0.segment) }
        }
        // The old files go a little after the new ones are there: a round takes no more than half of what is free.
        var room = figures.diskTotalBytes == 0 ? UInt64.max : figures.diskFreeBytes / 2
        var rest = candidates[...]
        while figures.exposedBytes > exposedMax, !isOver(start), !lacksSpace {
            let group = nextGroup(&rest, excess: figures.exposedBytes - exposedMax, room: &room)
            if group.isEmpty { break }
            budget.take(group.reduce(0) { $0 + $1.allocated })
            let done = try freeing(group) { () throws(StoreError) in try rewrite(group.map(\.segment)) }
            if done > 0 { didWork = true }
        }
        lastFigures.withLock { $0 = figures }
        return didWork
    }

    /// The next candidates, as many as bring `excess` down, but no more than are copied at once.
    private func nextGroup(_ rest: inout ArraySlice<Candidate>, excess: Int, room: inout UInt64) -> [Candidate] {
        var group: [Candidate] = []
        var (freed, left, held) = (0, 0, 0)
        // Until the old files go, both are there.
        let most = min(GarbageCollector.groupBytesMax, figures.liveBytes / 64)
        while let next = rest.first, freed < excess, group.count < GarbageCollector.groupMax {
            if held > 0 && held + next.allocated > most { break }
            rest.removeFirst()
            guard UInt64(left + next.left) <= room else { continue }
            group.append(next)
            freed += next.allocated - next.left
            left += next.left
            held += next.allocated
        }
        room -= UInt64(left)
        return group
    }

    private static let groupBytesMax = 64 << 20
    private static let groupMax = 16

    /// Takes the time of `work`, which returns how many of the candidates it has done, and what it has freed.
    private func freeing(
        _ candidates: [Candidate], _ work: () throws(StoreError) -> Int
    ) throws(StoreError) -> Int {
        let start = Monotonic.nanoseconds()
        let done = try work()
        if done == 0 { return 0 }
        let freed = candidates.reduce(0) { $0 + $1.allocated - size($1.segment) }
        figures.allocatedBytes -= freed
        debt.brake.note(freed: Double(freed), seconds: Double(Monotonic.nanoseconds() - start) / 1e9)
        return done
    }

    /// A round goes by figures that grow old: the next one takes new ones.
    private func isOver(_ start: UInt64) -> Bool {
        if cancelled.load(ordering: .relaxed) { return true }
        let most: UInt64 = debt.isPressing ? 250_000_000 : 1_000_000_000
        return options.usesThreads && Monotonic.nanoseconds() - start > most
    }

    /// How much may be hidden. `share`: of the values.
    private func hiddenLimit(_ share: Double) -> HiddenLimit {
        var limit = HiddenLimit()
        // Not where a great tree would be rewritten to find little.
        if figures.tableBytes / 8 <= figures.hiddenBytes {
            limit.values = Int(Double(figures.referencedBytes) * share)
        }
        // The tables may take what the target leaves them beside the log, its part that is written ahead included.
        let live = Double(figures.liveBytes + figures.liveTableBytes)
        let left = figures.target * live - Double(figures.allocatedBytes + figures.aheadBytes + figures.reservedBytes)
        let target = min(
            figures.target, max(GarbageCollector.tableTargetMin, left / Double(max(1, figures.liveTableBytes))))
        let tables = Double(figures.tableBytes) * (1 - 1 / target)
        // A few small tables are not worth the trouble.
        limit.tables = max(Int(tables), options.pushBytes / 4)
        return limit
    }

    /// Tables are merged for less hidden bytes than this leaves only at a price that nobody wants to pay: what is
    /// merged each time is ten times what is new.
    private static let tableTargetMin = 1.1

    /// Takes the figures, and finds the segments that can give something back.
    private func measure() -> [Candidate] {
        let horizon = controller.logManager.horizon.horizon
        controller.tendDeadHints()
        let dead = controller.deadNow()
        var tableEntries = 0
        var firstAhead: UInt32 = 0
        let (known, hidden) = controller.structure.withLock {
            figures = SpaceFigures()
            figures.tableBytes = controller.state.tables.values.reduce(0) { $0 + Int($1.bytes) }
            figures.overlap = controller.overlap.ratio
            tableEntries = controller.state.tables.values.reduce(0) { $0 + Int($1.entries) }
            let checkpoint = controller.state.checkpoint.position.segment
            firstAhead = checkpoint
            return (controller.state.garbage.filter { isEligible($0.key) }, controller.hiddenBytes)
        }
        (figures.aheadBytes, figures.reservedBytes) = log.bytesAhead(from: firstAhead)
        figures.hiddenTableBytes = min(hidden.tables, figures.tableBytes)
        var candidates: [Candidate] = []
        for (segment, garbage) in known where log.files.contains(segment) {
            let allocated = size(segment)
            if allocated == 0 { continue }
            figures.segments += 1
            figures.allocatedBytes += allocated
            figures.referencedBytes += Int(garbage.liveBytes)
            let dead = garbage.chunks[..<garbage.effectiveChunks(horizon)].reduce(0) { $0 + $1.bytes }
            // It goes when the last view lets go; or what is left of it, which pointers lead to that nobody follows,
            // goes with their tables.
            if garbage.liveBytes == 0 && (dead < garbage.deadBytes || garbage.valueBytes == 0) {
                figures.pinnedBytes += allocated
                continue
            }
            figures.pinnedBytes += Int(garbage.deadBytes - dead)
            // What a rewrite has made, and of which nobody has lost anything since, gets no smaller by another one.
            if dead == 0 && garbage.generation > 0 && garbage.known == nil { continue }
            let overhead = LogFormat.segmentHeaderBytes + SegmentTrailer.bytes + Int(garbage.valueCount) * 4
            let left = LogFormat.aligned(
                Int(garbage.valueBytes - min(dead, garbage.valueBytes)) + overhead, LogFormat.blockBytes)
            if left < allocated - allocated / 16 {
                candidates.append(Candidate(segment: segment, allocated: allocated, left: left))
            }
        }
        figures.deadTableBytes = dead.tableBytes
        figures.deadValueBytes = min(dead.valueBytes, figures.referencedBytes)
        figures.hiddenBytes = min(hidden.values + figures.deadValueBytes, figures.referencedBytes)
        figures.target = Double(targetThousandths.load(ordering: .relaxed)) / 1000
        controller.logManager.setTree(
            entries: tableEntries, overlap: figures.overlap, liveBytes: figures.liveBytes + figures.liveTableBytes)
        watchDisk()
        return candidates
    }

    /// Bytes that the file system holds for a segment; 0 when it cannot tell.
    func size(_ segment: UInt32) -> Int {
        if let size = sizes[segment] { return size }
        do throws(DiskError) {
            let size = try log.files.size(segment)
            sizes[segment] = size
            return size
        } catch {
            return 0  // It is going, or the next round asks again.
        }
    }

    /// What is kept for deletes and for giving space back: a fiftieth, but on a small disk enough for some segments of
    /// deletes and the tables that they are flushed to.
    static func reserve(_ total: UInt64, _ segmentBytes: Int) -> UInt64 {
        max(min(total / 50, 1 << 30), min(total / 16, 4 * UInt64(segmentBytes)))
    }

    /// Bytes of log that may be written in a second, 0 for no limit: with less than a twentieth of the disk free, as
    /// much as would reach the reserve in 20 s. So writers slow down evenly and never meet it at full speed, while
    /// garbage comes back.
    static func writeRate(free: UInt64, total: UInt64, reserve: UInt64) -> Int {
        if free >= max(total / 20, 2 * reserve) { return 0 }
        let left = free - min(free, reserve)
        return max(1, Int(left / 20))
    }

    private func watchDisk() {
        var space: (free: UInt64, total: UInt64) = (0, 0)
        do throws(DiskError) { space = try disk.space(options.path) } catch { space.total = 0 }
        figures.diskFreeBytes = space.free
        figures.diskTotalBytes = space.total
        let isFilling = space.total > 0 && space.free < space.total / 10
        if isFilling {
            figures.target = 1 + (figures.target - 1) / 4
        } else if space.total > 0 && space.free < space.total / 5 {
            figures.target = 1 + (figures.target - 1) / 2
        }
        figures.target = max(1.05, figures.target)
        // Without threads nobody is held up, and nobody's time counts.
        let debtRate =
            options.usesThreads
            ? debt.look(&figures, written: log.statistics.bytesWritten, now: Monotonic.nanoseconds()) : 0
        log.segmentBytesWanted = GarbageCollector.segmentBytes(figures)
        let reserve = GarbageCollector.reserve(space.total, options.segmentBytes)
        let diskRate = GarbageCollector.writeRate(free: space.free, total: space.total, reserve: reserve)
        controller.logManager.pace.set(spaceBytesPerSecond: [debtRate, diskRate].filter { $0 > 0 }.min() ?? 0)
        budget.spaceIsUrgent = debt.brake.limit > 0 || isFilling
        guard space.total > 0 else { return }
        if space.free < reserve {
            controller.logManager.setNearlyFull(true)
        } else if space.free >= 2 * reserve {
            controller.logManager.setNearlyFull(false)
        }
    }

    /// The size of log segments to come: a small part of the store, since one is always half empty and one is ready,
    /// but not so small that a busy log would make many in a second.
    private static func segmentBytes(_ figures: SpaceFigures) -> Int {
        let wanted = max(Double(figures.liveBytes + figures.liveTableBytes) / 128, figures.intakeBytesPerSecond / 16)
        return Int(wanted)
    }
}
