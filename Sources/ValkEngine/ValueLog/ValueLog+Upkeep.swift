// Work beside the data path, on a thread of its own: the once-a-second sync, the next segment, dead segments.

import Glibc
import Synchronization
import ValkBase
import ValkDisk

extension ValueLog {
    /// Gives a segment back in which nothing is live any more: it is kept for reuse or removed, in the background. The
    /// caller has made durable that nothing refers to it, and no reader holds a pointer into it.
    package func retire(_ segment: UInt32) {
        upkeepLock.withLock { retired.append(segment) }
        requestUpkeep(segment: false)
    }

    func requestUpkeep(segment: Bool) {
        guard options.usesThreads else {
            if !segment { recycleRetired() }
            return
        }
        upkeepLock.lock()
        if segment { wantsSegment = true }
        upkeepWork.signal()
        upkeepLock.unlock()
    }

    func runUpkeep() {
        let interval = UInt64(options.syncIntervalMilliseconds) * 1_000_000
        var tick = Monotonic.nanoseconds() + interval
        upkeepLock.lock()
        while !upkeepIsClosing {
            let now = Monotonic.nanoseconds()
            let isTick = now >= tick
            guard isTick || wantsSegment || !retired.isEmpty || !sealed.isEmpty else {
                _ = upkeepWork.wait(upkeepLock, until: tick)
                continue
            }
            let needsSegment = wantsSegment
            wantsSegment = false
            upkeepLock.unlock()
            if isTick { lookForRest() }
            if needsSegment || isTick { prepareSegments() }
            trimSealed()
            recycleRetired()
            if isTick {
                if policy == .everySecond { syncInBackground() }
                tick = Monotonic.nanoseconds() + interval
            }
            upkeepLock.lock()
        }
        upkeepLock.unlock()
    }

    /// The `everysec` sync.
    private func syncInBackground() {
        guard !isStopped.load(ordering: .acquiring) else { return }
        do {
            try writePending()
            try syncWritten()
        } catch {
            return  // `stop` has told everybody.
        }
    }

    /// Makes segments until the next one is ready (and large enough for a batch that waits for it).
    func prepareSegments() {
        while !isStopped.load(ordering: .acquiring) {
            commitLock.lock()
            let wanted = state.pointee.wantedCapacity
            let first = state.pointee.prepared.first
            let rests = isResting
            let number = state.pointee.nextSegment
            commitLock.unlock()
            do {
                if let first {
                    let capacity = first.isGivenBack && !rests ? max(segmentBytesWanted, wanted) : wanted
                    guard first.capacity < capacity else { return }
                    try supply.extend(first, to: capacity)
                    publishPrepared { _ in first.capacity = max(first.capacity, capacity) }
                } else {
                    let segment = try supply.make(
                        number, capacity: max(segmentBytesWanted, wanted),
                        prewrites: options.prewritesSegments || policy == .always)
                    counters.add(segment.isRecycled ? .segmentsRecycled : .segmentsCreated, 1)
                    publishPrepared { state in
                        state.prepared.append(segment)
                        state.nextSegment = number + 1
                    }
                }
            } catch {
                if error.kind == .noSpace {
                    commitLock.lock()
                    let isNew = !state.pointee.lacksSpace
                    state.pointee.lacksSpace = true
                    segmentReady.broadcast()
                    commitLock.unlock()
                    if isNew { report(.spaceRunsOut(StoreError(error))) }
                } else {
                    stop(StoreError(error))
                }
                return
            }
        }
    }

    // MARK: Rest

    /// Once a tick.
    private func lookForRest() {
        commitLock.withLock {
            quietLooks = appendedBytes == appendedAtLook ? quietLooks + 1 : 0
            appendedAtLook = appendedBytes
            if quietLooks == 0 { isResting = false }
        }
        if quietLooks == ValueLog.quietLooksMax { rest() }
    }

    private static let quietLooksMax = 5

    /// Nobody has written for a while: what was reserved for writing goes back to the file system, but for a little.
    /// The next segment's file stays, empty; it gets its blocks when somebody writes again. On upkeep's thread.
    func rest() {
        commitLock.lock()
        let current = state.pointee.segment
        let needed = LogFormat.aligned(state.pointee.used + 2 * options.urgentBytes, LogFormat.blockBytes)
        let ready = state.pointee.prepared.filter { !$0.isGivenBack }
        // With no space the rest is kept for deletes.
        let isLarge = current.capacity - needed >= SegmentSupply.trimmedBytesMin
        if state.pointee.lacksSpace || isStopped.load(ordering: .relaxed) || isResting {
            commitLock.unlock()
            return
        }
        isResting = true
        // Before the files are cut: nobody writes behind these ends any more.
        if isLarge { current.capacity = needed }
        for segment in ready { segment.capacity = LogFormat.segmentHeaderBytes }
        commitLock.unlock()
        do {
            if isLarge { try current.file.truncate(to: needed) }
            for segment in ready { try segment.file.truncate(to: LogFormat.segmentHeaderBytes) }
            try supply.removeSpares()
        } catch {
            report(.note(StoreError(error)))
        }
    }

    private func publishPrepared(_ change: (inout AppendState) -> Void) {
        commitLock.lock()
        change(&state.pointee)
        let wasShort = state.pointee.lacksSpace
        state.pointee.lacksSpace = false
        segmentReady.broadcast()
        commitLock.unlock()
        if wasShort { report(.spaceIsBack) }
    }

    /// Takes in the segments that the store has given back.
    func recycleRetired() {
        let batch = upkeepLock.withLock {
            defer { retired = [] }
            return retired
        }
        for number in batch {
            let (generation, isWhole) = files.remove(number)
            do {
                let fate = try supply.recycle(number, generation: generation, isWhole: isWhole)
                if fate == .removed { counters.add(.segmentsRemoved, 1) }
            } catch {
                report(.note(StoreError(error)))
            }
        }
    }

    /// A segment has got its last frame and is durable: what it reserved and did not use is given back, in the
    /// background.
    func sealSegment(_ segment: Segment, end: Int) {
        guard segment.capacity - end >= SegmentSupply.trimmedBytesMin else { return }
        upkeepLock.withLock { sealed.append((segment, end)) }
        if options.usesThreads { requestUpkeep(segment: false) } else { trimSealed() }
    }

    private func trimSealed() {
        let batch = upkeepLock.withLock {
            defer { sealed = [] }
            return sealed
        }
        for (segment, end) in batch {
            do {
                try segment.file.truncate(to: LogFormat.aligned(end, LogFormat.blockBytes))
            } catch {
                report(.note(StoreError(error)))
            }
        }
    }
}
