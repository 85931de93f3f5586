// Writing frames, making them durable, and telling who waits.
//
// `flush` writes on the calling thread where that takes microseconds, or where the caller has to wait anyway. The log
// thread ("helper") writes where a loop could have to wait: while a background sync is in the kernel, and always under
// `.always`, where it writes everything that gathered with one call, syncs once, and so commits a whole group (while
// one sync runs the next group gathers).

import CValk
import Glibc
import Synchronization
import ValkBase
import ValkDisk

extension ValueLog {
    // MARK: For the threads above.

    /// Sees to it that everything up to `position` (from `endBatch`) is written. True: it is acknowledged, replies may
    /// leave. False: the log thread does it, and the observers are called when `acknowledged` has moved. Never waits
    /// for a sync unless `maySync`: then the caller writes whatever runs meanwhile and, under `.always`, syncs itself,
    /// which saves two changes of thread; callers that come meanwhile find their part done. Throws `.writesStopped`
    /// when it will never be.
    package func flush(upTo position: LogPosition, maySync: Bool = false) throws(Interruption) -> Bool {
        if acknowledgedPosition.load(ordering: .acquiring) >= position.rawValue { return true }
        if isStopped.load(ordering: .acquiring) { throw .writesStopped }
        if policy == .always && maySync {
            try writePending(upTo: position)
            try syncWritten()
        } else if policy == .always || (!maySync && isSyncing.load(ordering: .acquiring)) {
            counters.add(.handOvers, 1)
            handOver(position)
        } else {
            try writePending(upTo: position)
            // The thread that has written it may not have said so yet, and it tells nobody.
            if policy != .always { acknowledgeWritten() }
        }
        if acknowledgedPosition.load(ordering: .acquiring) >= position.rawValue { return true }
        if isStopped.load(ordering: .acquiring) { throw .writesStopped }
        return false
    }

    /// As `flush`, and waits until `position` is acknowledged. For workers.
    package func waitUntilAcknowledged(_ position: LogPosition) throws(Interruption) {
        if try flush(upTo: position, maySync: true) { return }
        helperLock.lock()
        while acknowledgedPosition.load(ordering: .acquiring) < position.rawValue {
            if failure != nil || isClosing { break }
            progress.wait(helperLock)
        }
        helperLock.unlock()
        if acknowledgedPosition.load(ordering: .acquiring) < position.rawValue { throw .writesStopped }
    }

    /// Writes and syncs everything added so far, whatever the policy. Blocking. When it returns, `durable` is at or
    /// beyond every position handed out before the call.
    package func sync() throws(Interruption) {
        try writePending()
        try syncWritten()
        announce()
    }

    /// `wake` is called, on any thread, whenever `acknowledged` moved after a `flush` answered false, and when writing
    /// stops. It must not block and must not call the log.
    package func addObserver(_ wake: @escaping @Sendable () -> Void) {
        helperLock.withLock { observers.append(wake) }
    }

    /// Writes and syncs what is left (unless writing has stopped) and ends the threads. Nobody may use the log during
    /// or after the call, except `readValue`.
    package func close() throws(Interruption) {
        if options.isReadOnly { return }
        let outcome: Interruption?
        do {
            try sync()
            outcome = nil
        } catch {
            outcome = error
        }
        abandon()
        if outcome == nil { leaveTidy() }
        if let outcome { throw outcome }
    }

    /// Ends the threads and leaves the log as it is: what is acknowledged is in it. Otherwise as `close`.
    func abandon() {
        helperLock.withLock {
            isClosing = true
            helperWork.signal()
            progress.broadcast()
        }
        upkeepLock.withLock {
            upkeepIsClosing = true
            upkeepWork.signal()
        }
        for thread in threads { thread.join() }
        threads = []
    }

    /// Whether the caller is one of the threads that `close` waits for.
    var isOnOwnThread: Bool { threads.contains { $0.isCurrent } }

    /// Gives back what the next start would have to look through: the unused rest of the last segment, and segments
    /// that were made ahead and have never been written.
    private func leaveTidy() {
        do {
            let end = LogFormat.aligned(state.pointee.end, LogFormat.blockBytes)
            try state.pointee.segment.file.truncate(to: end)
            try state.pointee.segment.file.sync()
            for segment in state.pointee.prepared {
                _ = files.remove(segment.number)
                _ = try supply.recycle(segment.number, generation: segment.generation)
            }
            state.pointee.prepared = []
        } catch {
            report(.note(StoreError(error)))
        }
    }

    // MARK: Writing.

    /// Closes the open frame and writes all queued ones, in order. With `position`: nothing when another thread has
    /// written so far meanwhile.
    func writePending(upTo position: LogPosition? = nil) throws(Interruption) {
        if let position {
            guard lockForWriting(unlessWritten: position) else { return }
        } else {
            writeLock.lock()
        }
        isWriting.store(true, ordering: .relaxed)
        defer {
            isWriting.store(false, ordering: .releasing)
            writeLock.unlock()
        }
        if let position, written >= position { return }
        // Closed only now, so that what came while this thread waited for the lock goes with the same write.
        commitLock.lock()
        state.pointee.closeFrame()
        var next = state.pointee.firstQueued
        commitLock.unlock()
        while let frame = next {
            if isStopped.load(ordering: .acquiring) { throw .writesStopped }
            let end = try write(frame)
            let last = frame.pointee.lastSequence
            commitLock.lock()
            state.pointee.retireFirst()
            next = state.pointee.firstQueued
            writtenSequence.store(last, ordering: .relaxed)
            // Inside the lock: who looks for a value in the queue and does not find it must see it as written.
            writtenPosition.store(end.rawValue, ordering: .releasing)
            commitLock.unlock()
            if policy != .always {
                advance(acknowledgedPosition, to: end)
                advance(acknowledgedSequence, to: last)
            }
        }
    }

    /// A write takes about a microsecond, a change of threads several: whoever finds another thread writing looks on
    /// for a little before it goes to sleep at the lock. False, and no lock, when `position` is written meanwhile.
    @inline(__always)
    private func lockForWriting(unlessWritten position: LogPosition) -> Bool {
        var left = ValueLog.looksAtWriter
        while left > 0 {
            if !isWriting.load(ordering: .relaxed), writeLock.tryLock() { return true }
            if written >= position { return false }
            valk_pause()
            left -= 1
        }
        writeLock.lock()
        return true
    }

    /// Some ten microseconds.
    private static let looksAtWriter = 300

    /// Writes one queued frame and returns its end. Write lock held.
    private func write(_ frame: FramePointer) throws(Interruption) -> LogPosition {
        guard let segment = frame.pointee.segment else { preconditionFailure("queued frame without a segment") }
        let start = frame.pointee.start
        let bytes = frame.pointee.frameBytes
        var header = FrameHeader()
        header.frameBytes = UInt32(bytes)
        header.smallBytes = UInt32(frame.pointee.smallBytes)
        header.smallCRC = frame.pointee.small.view[0..<frame.pointee.smallBytes].crc32c
        header.recordCount = frame.pointee.recordCount
        header.position = LogPosition(segment: segment.number, offset: UInt32(start))
        header.firstSequence = frame.pointee.firstSequence
        header.syncedUpTo = durable
        header.previousEnd = frame.pointee.previousEnd
        header.timestampMilliseconds = clock.milliseconds()
        let values = frame.pointee.values.view
        header.encode(to: UnsafeMutableRawPointer(mutating: values.base), salt: salt)
        do {
            try segment.file.write(values.buffer, frame.pointee.small.view.buffer, at: start)
        } catch {
            stop(StoreError(error))
            throw .writesStopped
        }
        counters.add(.framesWritten, 1)
        counters.add(.bytesWritten, bytes)
        return header.end
    }

    // MARK: Syncing.

    /// Makes everything written so far durable, segment after segment.
    func syncWritten() throws(Interruption) {
        syncLock.lock()
        defer { syncLock.unlock() }
        // In this order: what the position covers is at least this sequence.
        let last = writtenSequence.load(ordering: .acquiring)
        let target = written
        if durable >= target {
            if policy == .always { acknowledge(target, last) }
            return
        }
        if isStopped.load(ordering: .acquiring) { throw .writesStopped }
        commitLock.lock()
        let unsynced = state.pointee.unsynced
        commitLock.unlock()
        isSyncing.store(true, ordering: .sequentiallyConsistent)
        defer { isSyncing.store(false, ordering: .sequentiallyConsistent) }
        for segment in unsynced where segment.number <= target.segment {
            let began = Monotonic.nanoseconds()
            do {
                try segment.file.sync()
            } catch {
                stop(StoreError(error))
                throw .writesStopped
            }
            counters.synced(Monotonic.nanoseconds() - began)
        }
        durablePosition.store(target.rawValue, ordering: .releasing)
        if policy == .always { acknowledge(target, last) }
        // Segments before the target's are full and durable now: no write and no sync will come to them any more.
        commitLock.lock()
        var done: [(segment: Segment, end: Int)] = []
        while let first = state.pointee.unsynced.first, first.number < target.segment {
            done.append((first, first.end))
            state.pointee.unsynced.removeFirst()
        }
        commitLock.unlock()
        for (segment, end) in done { sealSegment(segment, end: end) }
    }

    /// What is written is acknowledged: the policy asks for no sync.
    private func acknowledgeWritten() {
        let last = writtenSequence.load(ordering: .acquiring)
        acknowledge(written, last)
    }

    private func acknowledge(_ target: LogPosition, _ sequence: UInt64) {
        advance(acknowledgedPosition, to: target)
        advance(acknowledgedSequence, to: sequence)
    }

    /// Moves a position forward, never back.
    func advance(_ position: borrowing Atomic<UInt64>, to target: LogPosition) {
        advance(position, to: target.rawValue)
    }

    private func advance(_ mark: borrowing Atomic<UInt64>, to target: UInt64) {
        _ = mark.max(target, ordering: .acquiringAndReleasing)
    }

    // MARK: The log thread.

    /// Leaves the writing (and syncing, under `.always`) up to `position` to the log thread.
    func handOver(_ position: LogPosition) {
        guard options.usesThreads else {
            helperStep()
            return
        }
        helperLock.lock()
        if position.rawValue > requested { requested = position.rawValue }
        let wakes = helperIsIdle
        helperIsIdle = false
        helperLock.unlock()
        if wakes { helperWork.signal() }
    }

    func wakeHelper() { handOver(written) }

    func runHelper() {
        helperLock.lock()
        while !isClosing && failure == nil {
            let target = requested
            // Others may have written meanwhile what was handed over. That must still be told.
            if target <= min(announced, acknowledgedPosition.load(ordering: .acquiring)) {
                helperIsIdle = true
                helperWork.wait(helperLock)
                helperIsIdle = false
                continue
            }
            helperLock.unlock()
            helperStep()
            helperLock.lock()
            announced = target
        }
        helperLock.unlock()
    }

    /// One group: everything that gathered is written and, where the policy asks, synced.
    private func helperStep() {
        do {
            try writePending()
            if policy == .always { try syncWritten() } else { acknowledgeWritten() }
            announce()
        } catch {
            return  // `stop` has told everybody.
        }
    }

    /// Wakes whoever waits for `acknowledged` to move.
    func announce() {
        helperLock.lock()
        progress.broadcast()
        let observers = observers
        helperLock.unlock()
        for wake in observers { wake() }
    }

    // MARK: Failure.

    /// Stops writing for good. The first reason is kept. No lock but write and sync lock is held.
    func stop(_ error: StoreError) {
        helperLock.lock()
        let isFirst = failure == nil
        if isFirst { failure = error }
        isStopped.store(true, ordering: .sequentiallyConsistent)
        helperWork.signal()
        helperLock.unlock()
        commitLock.lock()
        segmentReady.broadcast()
        commitLock.unlock()
        if isFirst { report(.stopped(error)) }
        announce()
    }
}

extension ByteView {
    var crc32c: UInt32 { valk_crc32c(0, base, count) }
}
