// One segment file that is written to, and the frame buffers that wait to go into it.

import Glibc
import ValkBase
import ValkDisk

/// A segment that the log writes. `capacity` and `end` are guarded by the commit lock, the rest never changes.
final class Segment: @unchecked Sendable {
    let number: UInt32
    let generation: UInt32
    let file: any DiskFile
    /// Bytes reserved in the file; frames end at or before it.
    var capacity: Int
    /// End of the last frame, once the log has moved on to the next segment.
    var end = 0
    /// The file had an earlier life, so its blocks have been written before.
    let isRecycled: Bool

    /// Its blocks have been given back: it has its name and its header.
    var isGivenBack: Bool { capacity <= LogFormat.segmentHeaderBytes }

    init(number: UInt32, generation: UInt32, file: any DiskFile, capacity: Int, isRecycled: Bool) {
        self.number = number
        self.generation = generation
        self.file = file
        self.capacity = capacity
        self.isRecycled = isRecycled
    }
}

/// A frame in memory: being filled (open), or waiting for its write (queued). Reused, so that steady state allocates
/// nothing. Guarded by the commit lock while open; once queued only its header bytes change, by the thread that holds
/// the write lock.
struct FrameBuffer: ~Copyable {
    /// Frame header and value area.
    var values = ByteBuffer(capacity: 4096)
    var small = ByteBuffer(capacity: 64 << 10)
    var segment: Segment?
    /// Offset of the frame in its segment.
    var start = 0
    /// Bytes of the small area without the padding that closing appends.
    var smallBytes = 0
    var recordCount: UInt32 = 0
    var firstSequence: UInt64 = 0
    var lastSequence: UInt64 { firstSequence &+ UInt64(recordCount) &- 1 }
    var previousEnd = LogPosition.zero
    /// Where the newest record starts in `small`; its batch-end bit is set by `endBatch`.
    var lastRecord = -1
    var next: UnsafeMutablePointer<FrameBuffer>?

    /// Buffers that one great frame has grown are not kept.
    static let keptBytesMax = 8 << 20

    var frameBytes: Int { values.count + small.count }

    mutating func clear() {
        values.removeAll()
        small.removeAll()
        if values.capacity > FrameBuffer.keptBytesMax { values.release() }
        if small.capacity > FrameBuffer.keptBytesMax { small.release() }
        segment = nil
        recordCount = 0
        lastRecord = -1
        next = nil
    }
}

typealias FramePointer = UnsafeMutablePointer<FrameBuffer>

/// Everything that the commit lock guards.
struct AppendState: ~Copyable {
    var segment: Segment
    /// Where the next frame starts in `segment`.
    var end: Int
    /// Where the last closed frame ended, maybe in an earlier segment.
    var previousEnd: LogPosition
    /// The frame that is being filled.
    var open: FramePointer?
    /// Closed frames in log order; the first may be in the middle of its write.
    var firstQueued: FramePointer?
    var lastQueued: FramePointer?
    var free: FramePointer?
    var freeCount = 0
    /// Bytes in queued frames.
    var queuedBytes = 0
    /// Bytes of all frames closed so far.
    var closedBytes: UInt64 = 0
    /// Segments with frames that may not be durable, in order; the current one is always last.
    var unsynced: [Segment]
    /// Segments ready for use, in order of their numbers.
    var prepared: [Segment] = []
    var nextSegment: UInt32
    /// The capacity that the next segment must have, when a batch is larger than a segment; 0 otherwise.
    var wantedCapacity = 0
    /// No segment could be made for lack of space.
    var lacksSpace = false

    static let freeFramesMax = 4

    init(segment: Segment, previousEnd: LogPosition, nextSegment: UInt32) {
        self.segment = segment
        self.end = LogFormat.segmentHeaderBytes
        self.previousEnd = previousEnd
        self.unsynced = [segment]
        self.nextSegment = nextSegment
    }

    /// Bytes of the current segment that are used or spoken for.
    var used: Int {
        guard let open else { return end }
        return LogFormat.aligned(open.pointee.start + open.pointee.frameBytes, 8)
    }

    var pendingBytes: Int { queuedBytes + (open?.pointee.frameBytes ?? 0) }

    /// Starts a frame whose first record has `sequence`.
    mutating func openFrame(_ sequence: UInt64) -> FramePointer {
        let frame: FramePointer
        if let reused = free {
            frame = reused
            free = reused.pointee.next
            freeCount -= 1
            frame.pointee.next = nil
        } else {
            frame = .allocate(capacity: 1)
            frame.initialize(to: FrameBuffer())
        }
        frame.pointee.segment = segment
        frame.pointee.start = end
        frame.pointee.firstSequence = sequence
        frame.pointee.previousEnd = previousEnd
        let header = frame.pointee.values.reserve(LogFormat.frameHeaderBytes)
        memset(header, 0, LogFormat.frameHeaderBytes)
        frame.pointee.values.advance(LogFormat.frameHeaderBytes)
        open = frame
        return frame
    }

    /// Moves the open frame to the queue; nothing happens when none is open.
    mutating func closeFrame() {
        guard let frame = open else { return }
        open = nil
        frame.pointee.smallBytes = frame.pointee.small.count
        let padding = LogFormat.aligned(frame.pointee.small.count, 8) - frame.pointee.small.count
        if padding > 0 {
            memset(frame.pointee.small.reserve(padding), 0, padding)
            frame.pointee.small.advance(padding)
        }
        let bytes = frame.pointee.frameBytes
        end += bytes
        previousEnd = LogPosition(segment: segment.number, offset: UInt32(end))
        queuedBytes += bytes
        closedBytes += UInt64(bytes)
        if let last = lastQueued { last.pointee.next = frame } else { firstQueued = frame }
        lastQueued = frame
    }

    /// Takes the first queued frame, which has been written, out of the queue.
    mutating func retireFirst() {
        guard let frame = firstQueued else { return }
        firstQueued = frame.pointee.next
        if firstQueued == nil { lastQueued = nil }
        queuedBytes -= frame.pointee.frameBytes
        frame.pointee.clear()
        if freeCount < AppendState.freeFramesMax {
            frame.pointee.next = free
            free = frame
            freeCount += 1
        } else {
            AppendState.destroy(frame)
        }
    }

    /// Makes the first prepared segment the current one. The open frame is closed.
    mutating func roll() {
        segment.end = end
        segment = prepared.removeFirst()
        end = LogFormat.segmentHeaderBytes
        unsynced.append(segment)
    }

    static func destroy(_ frame: FramePointer) {
        frame.deinitialize(count: 1)
        frame.deallocate()
    }

    deinit {
        if let open { AppendState.destroy(open) }
        for var list in [firstQueued, free] {
            while let frame = list {
                list = frame.pointee.next
                AppendState.destroy(frame)
            }
        }
    }
}

/// Stands where a log that was opened for reading has no segment to write.
final class NoFile: DiskFile {
    let path: String
    init(_ path: String) { self.path = path }

    private func refusal(_ operation: String) -> DiskError { DiskError(.closed, operation, path) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
        throw refusal("read")
    }
    func tryRead(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> ReadAttempt {
        throw refusal("read")
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) { throw refusal("write") }
    func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) { throw refusal("write") }
    func sync() throws(DiskError) { throw refusal("sync") }
    func size() throws(DiskError) -> Int { throw refusal("size") }
    func truncate(to size: Int) throws(DiskError) { throw refusal("truncate") }
    func allocate(_ range: Range<Int>) throws(DiskError) { throw refusal("allocate") }
    func punch(_ range: Range<Int>) throws(DiskError) { throw refusal("punch") }
    func allocatedBytes() throws(DiskError) -> Int { throw refusal("size") }
    func linkCount() throws(DiskError) -> Int { throw refusal("size") }
    func dropCache(_ range: Range<Int>) {}
    func willNeed(_ range: Range<Int>) {}
    func startWriting(_ range: Range<Int>) {}
    func close() {}
}
