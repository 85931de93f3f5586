// The value log: write-ahead log and home of the large values. One logical log over numbered segments.
//
// How a write travels: under `commitLock` the caller reserves room, adds the records of its batch to the open frame and
// applies them in memory. At the end of its turn it calls `flush`, which closes the frame and writes it with one call
// outside the commit lock, so that others go on adding to the next frame. Where that could wait (a background sync is
// running) or must wait (policy `.always`), the log thread does it instead, and observers hear of it.
//
// Invariants:
// 1. Frames are written in log order; `written` is the end of the last frame written, `durable` of the last one synced.
//    `durable` <= `written`; `acknowledged` is `written`, or `durable` under `.always`.
// 2. A segment's frames become durable before those of the next count as durable.
// 3. A segment's header and name are durable before its first frame is written.
// 4. After any failed write or sync nothing is written any more, and `acknowledged` stands still.
//
// Locks, in the order in which they may be taken: write or sync lock, then commit lock, then helper or upkeep lock. No
// lock but the write or sync lock is held during a disk operation.
// The layout of frames goes back to WiscKey's log of values; the chain of frames and the synced position to the record
// formats of LevelDB and Pebble.

import Glibc
import Synchronization
import ValkBase
import ValkDisk

package final class ValueLog: @unchecked Sendable {  // Locks as above; the rest is atomic or constant.
    package let directory: String
    package let storeId: StoreId
    let options: LogOptions
    let disk: any Disk
    let clock: any WallClock
    let salt: UInt32
    let files: SegmentFiles
    let supply: SegmentSupply
    let report: @Sendable (LogEvent) -> Void

    /// Held by callers of `reserve`, `beginBatch`, `add` and `endBatch`; the store's commit lock.
    package let commitLock = Lock()
    let state: UnsafeMutablePointer<AppendState>
    let segmentReady = Condition()

    let writeLock = Lock()
    /// Somebody holds the write lock. A hint.
    let isWriting = Atomic<Bool>(false)
    let syncLock = Lock()

    let writtenPosition: Atomic<UInt64>
    let durablePosition: Atomic<UInt64>
    let acknowledgedPosition: Atomic<UInt64>
    /// The last sequence that is written, and the last that is acknowledged: never ahead of their positions.
    let writtenSequence = Atomic<UInt64>(0)
    let acknowledgedSequence = Atomic<UInt64>(0)
    let policyByte: Atomic<UInt8>
    /// A background sync is in the kernel: writes could wait for it.
    let isSyncing = Atomic<Bool>(false)
    let isStopped = Atomic<Bool>(false)
    let counters = LogCounters()

    /// Guards what follows.
    let helperLock = Lock()
    let helperWork = Condition()
    let progress = Condition()
    /// What the log thread was asked to see written, and what it has told of since.
    var requested: UInt64 = 0
    var announced: UInt64 = 0
    var helperIsIdle = false
    var isClosing = false
    var failure: StoreError?
    var observers: [@Sendable () -> Void] = []

    /// Guards what follows.
    let upkeepLock = Lock()
    let upkeepWork = Condition()
    var upkeepIsClosing = false
    var wantsSegment = false
    var retired: [UInt32] = []
    var sealed: [(segment: Segment, end: Int)] = []

    /// See `segmentBytesWanted`.
    private let wantedSegmentBytes: Atomic<Int>
    /// Bytes added when upkeep last looked, and for how many looks in a row there were no more. Upkeep's own.
    var appendedAtLook: UInt64 = 0
    var quietLooks = 0
    /// Nothing is written, and what was made ahead has been given back. Under `commitLock`.
    var isResting = false

    var threads: [PThread] = []

    /// Opens the log for appending, after `LogReplay` has read what is there. Blocking: makes the first segment.
    /// `directory` exists and its name is durable. `report` hears of faults.
    package init(
        disk: any Disk, directory: String, storeId: StoreId, options: LogOptions = LogOptions(),
        resume: LogResume = LogResume(), clock: any WallClock = SystemClock(),
        report: @escaping @Sendable (LogEvent) -> Void = { _ in }
    ) throws(StoreError) {
        precondition(
            options.segmentBytes >= 64 << 10 && options.segmentBytes <= 1 << 30,
            "segments of \(options.segmentBytes) bytes")
        self.disk = disk
        self.directory = directory
        self.storeId = storeId
        self.options = options
        self.clock = clock
        self.report = report
        salt = storeId.salt
        files = SegmentFiles(disk: disk, directory: directory)
        supply = SegmentSupply(disk: disk, directory: directory, storeId: storeId, options: options, clock: clock)
        let first: Segment
        if options.isReadOnly {
            first = Segment(number: .max, generation: 0, file: NoFile(directory), capacity: 0, isRecycled: false)
        } else {
            first = try ValueLog.makeFirst(supply, resume, min(options.segmentBytes, ValueLog.segmentBytesMin))
            files.insert(first.number, generation: 0, file: first.file)
        }
        for segment in resume.segments { files.insert(segment.number, generation: segment.generation, file: nil) }
        state = .allocate(capacity: 1)
        state.initialize(
            to: AppendState(segment: first, previousEnd: resume.end, nextSegment: resume.nextSegment + 1))
        wantedSegmentBytes = Atomic(first.capacity)
        writtenPosition = Atomic(resume.end.rawValue)
        durablePosition = Atomic(resume.end.rawValue)
        acknowledgedPosition = Atomic(resume.end.rawValue)
        policyByte = Atomic(options.policy.code)
        if options.isReadOnly {
            failure = StoreError(.invalid, "the log is open for reading only", path: directory)
            isStopped.store(true, ordering: .relaxed)
            return
        }
        if options.usesThreads {
            threads.append(PThread(name: "valk-log") { [self] in runHelper() })
            threads.append(PThread(name: "valk-log-upkeep") { [self] in runUpkeep() })
        }
        requestUpkeep(segment: true)
    }

    private static func makeFirst(
        _ supply: SegmentSupply, _ resume: LogResume, _ capacity: Int
    ) throws(StoreError) -> Segment {
        do {
            try supply.prepareDirectory(resume)
            // Not prewritten, whatever the policy: a start should not wait for that.
            return try supply.make(resume.nextSegment, capacity: capacity, prewrites: false)
        } catch {
            throw StoreError(error)
        }
    }

    deinit {
        // `close` joined the threads, which hold the log while they run.
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// Smallest size of segments, unless the options say less.
    static let segmentBytesMin = 4 << 20

    /// Size of the segments to come, a power of two between 4 MiB and the option's.
    var segmentBytesWanted: Int {
        get { wantedSegmentBytes.load(ordering: .relaxed) }
        set {
            let power = 1 << (Int.bitWidth - 1 - max(1, newValue).leadingZeroBitCount)
            let size = min(options.segmentBytes, max(ValueLog.segmentBytesMin, power))
            wantedSegmentBytes.store(size, ordering: .relaxed)
        }
    }

    /// What the log holds in segments from `first` on, and what it has reserved beside that. Asks the disk for sizes.
    func bytesAhead(from first: UInt32) -> (used: Int, reserved: Int) {
        commitLock.lock()
        let current = state.pointee.segment
        var used = state.pointee.used
        var reserved = current.capacity - used + state.pointee.prepared.reduce(0) { $0 + $1.capacity }
        commitLock.unlock()
        for segment in files.segments where segment >= first && segment < current.number {
            // One that cannot be asked is going.
            used += (try? files.size(segment)) ?? 0
        }
        reserved += supply.spareBytes
        return (used, reserved)
    }

    // MARK: Positions.

    /// End of the last frame written.
    package var written: LogPosition { LogPosition(rawValue: writtenPosition.load(ordering: .acquiring)) }
    /// Everything before this survives a loss of power.
    package var durable: LogPosition { LogPosition(rawValue: durablePosition.load(ordering: .acquiring)) }
    /// Everything before this may be acknowledged to clients under the policy.
    package var acknowledged: LogPosition { LogPosition(rawValue: acknowledgedPosition.load(ordering: .acquiring)) }

    package var policy: SyncPolicy { SyncPolicy(code: policyByte.load(ordering: .relaxed)) }

    /// Changes the policy from now on. What was acknowledged stays so.
    package func setPolicy(_ policy: SyncPolicy) {
        policyByte.store(policy.code, ordering: .sequentiallyConsistent)
        wakeHelper()
    }

    /// Why writing has stopped; nil while it has not.
    package var stopReason: StoreError? { helperLock.withLock { failure } }

    package var statistics: LogStatistics { counters.snapshot }

    /// Numbers of all segments in use, in order; the last is the current one.
    package var segments: [UInt32] { files.segments }

    // MARK: Appending. All under `commitLock`.

    /// Bytes of log added since the log was opened: what differences between two moments are taken from.
    package var appendedBytes: UInt64 {
        state.pointee.closedBytes + UInt64(state.pointee.open?.pointee.frameBytes ?? 0)
    }

    /// Where replay has to begin to see everything that is added from now on: the start of the open frame, or the end
    /// of the last one. (Replay from there may meet older records of the open frame; skip them by sequence.)
    package var replayPosition: LogPosition {
        guard let open = state.pointee.open else { return state.pointee.previousEnd }
        return LogPosition(segment: state.pointee.segment.number, offset: UInt32(open.pointee.start))
    }

    /// Makes sure that `bytes` (a sum of `LogFormat.bytesMax`) can be added, before anything is applied. Throws
    /// `.wouldBlock` when that means to wait and `mayBlock` is false, `.noSpace` when the device is full (or `bytes` is
    /// above `LogFormat.batchBytesMax`), `.writesStopped` after a failure. `isUrgent` (deletes) may use the last room.
    /// While it waits it gives the commit lock up: call it before anything else.
    package func reserve(_ bytes: Int, isUrgent: Bool = false, mayBlock: Bool) throws(Interruption) {
        if isStopped.load(ordering: .relaxed) { throw .writesStopped }
        var needed = state.pointee.used &+ bytes &+ 8
        if state.pointee.open == nil { needed &+= LogFormat.frameHeaderBytes }
        if needed <= state.pointee.segment.capacity && !state.pointee.lacksSpace
            && state.pointee.pendingBytes < options.pendingBytesMax
        {
            return
        }
        try reserveSlowly(bytes, isUrgent, mayBlock)
    }

    @inline(never)
    private func reserveSlowly(_ bytes: Int, _ isUrgent: Bool, _ mayBlock: Bool) throws(Interruption) {
        guard bytes <= LogFormat.batchBytesMax else { throw .noSpace }
        while true {
            if isStopped.load(ordering: .relaxed) { throw .writesStopped }
            if state.pointee.pendingBytes >= options.pendingBytesMax {
                try drainPending(mayBlock)
                continue
            }
            let keptFree = state.pointee.lacksSpace && !isUrgent ? options.urgentBytes : 0
            let header = state.pointee.open == nil ? LogFormat.frameHeaderBytes : 0
            if state.pointee.used + header + bytes + 8 + keptFree <= state.pointee.segment.capacity { return }
            let capacity = LogFormat.segmentHeaderBytes + LogFormat.frameHeaderBytes + bytes + 8
            if state.pointee.lacksSpace && options.usesThreads
                && (state.pointee.prepared.first?.capacity ?? 0) < capacity
            {
                throw .noSpace  // The upkeep thread tries again once a second.
            }
            if let next = state.pointee.prepared.first, next.capacity >= capacity {
                state.pointee.closeFrame()
                state.pointee.roll()
                files.insert(next.number, generation: next.generation, file: next.file)
                state.pointee.wantedCapacity = 0
                requestUpkeep(segment: true)
                continue
            }
            // The next segment is not there yet, or too small for this batch, or it was given back.
            isResting = false
            state.pointee.wantedCapacity = max(capacity, state.pointee.wantedCapacity)
            requestUpkeep(segment: true)
            if !options.usesThreads {
                commitLock.unlock()
                prepareSegments()
                commitLock.lock()
                if state.pointee.lacksSpace { throw .noSpace }
            } else if mayBlock {
                segmentReady.wait(commitLock)
            } else {
                throw .wouldBlock
            }
        }
    }

    /// Too much waits for its write: lets the log thread catch up.
    private func drainPending(_ mayBlock: Bool) throws(Interruption) {
        guard mayBlock || !options.usesThreads else {
            handOver(LogPosition(segment: state.pointee.segment.number, offset: UInt32(state.pointee.used)))
            throw .wouldBlock
        }
        commitLock.unlock()
        defer { commitLock.lock() }
        try writePending()
    }

    /// Adds one record to the open frame; call between `reserve` and `endBatch`. `key` is 1...65,600 bytes (a range's
    /// lower bound may be empty). With `isSeparated` the value goes to the value area and the answer says where it
    /// lies. For `.deleteRange` `value` is the upper bound.
    @discardableResult
    package func add(
        _ type: RecordType, flags: EntryFlags, tag: UInt8, expireAt: UInt64, sequence: UInt64, key: ByteView,
        value: ByteView, isSeparated: Bool = false
    ) -> ValuePointer {
        let frame: FramePointer
        if let open = state.pointee.open { frame = open } else { frame = state.pointee.openFrame(sequence) }
        frame.pointee.lastRecord = frame.pointee.small.count
        frame.pointee.recordCount &+= 1
        let delta = sequence &- frame.pointee.firstSequence
        guard isSeparated else {
            RecordCoding.appendInline(
                &frame.pointee.small, type: type, flags: flags, tag: tag, expireAt: expireAt, delta: delta, key: key,
                value: value)
            return .none
        }
        let start = frame.pointee.start
        let (offset, crc) = RecordCoding.appendValue(
            &frame.pointee.values, frameStart: start, flags: flags, tag: tag, expireAt: expireAt, sequence: sequence,
            key: key, value: value)
        RecordCoding.appendSeparated(
            &frame.pointee.small, flags: flags, tag: tag, delta: delta, valueOffset: offset &- start)
        return ValuePointer(
            segment: state.pointee.segment.number, offset: UInt32(truncatingIfNeeded: offset),
            length: UInt32(truncatingIfNeeded: value.count), crc: crc)
    }

    /// Marks the last record added as the end of its batch. Returns the position that has to be written (or durable)
    /// before the batch may be acknowledged; positions of later batches are greater.
    package func endBatch() -> LogPosition {
        guard let frame = state.pointee.open, frame.pointee.lastRecord >= 0 else { return state.pointee.previousEnd }
        let kind = frame.pointee.small.view.base + frame.pointee.lastRecord + 4
        let bits = kind.load(as: UInt8.self) | RecordBits.batchEnd
        UnsafeMutableRawPointer(mutating: kind).storeBytes(of: bits, as: UInt8.self)
        let end = frame.pointee.start &+ frame.pointee.frameBytes
        return LogPosition(segment: state.pointee.segment.number, offset: UInt32(truncatingIfNeeded: end))
    }
}

/// The directory that holds `path`.
func parentDirectory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Where appending goes on after recovery. The default is a new, empty log.
package struct LogResume: Sendable {
    /// End of the last frame that was kept.
    package var end = LogPosition.zero
    package var nextSegment: UInt32 = 1
    /// Segments that stay, in order.
    package var segments: [(number: UInt32, generation: UInt32)] = []
    /// Segments behind `end` in which nothing was kept.
    package var discarded: [(number: UInt32, generation: UInt32)] = []
    /// Segments that were replayed and may hold bytes that are not durable yet; synced before anything is acknowledged.
    package var unsynced: [(number: UInt32, generation: UInt32)] = []

    package init() {}
}
