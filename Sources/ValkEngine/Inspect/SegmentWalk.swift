// Reads one segment of the log from its header to its last whole frame, proving everything on the way, and says what
// lies behind. For verification, dumps and explanations. One thread.

import ValkBase
import ValkDisk

/// What a walk over one segment came to.
package struct SegmentSummary: Sendable {
    package var number: UInt32
    package var generation: UInt32
    package var path: String
    package var fileBytes = 0
    package var createdMilliseconds: UInt64 = 0
    package var storeId: StoreId
    package var frames = 0
    package var records = 0
    package var valueRecords = 0
    /// Bytes of separated values.
    package var valueBytes = 0
    /// Sequences of the first and the last record, 0 when there is none.
    package var firstSequence: UInt64 = 0
    package var lastSequence: UInt64 = 0
    /// What the first frame says it continues; nil when there is no frame.
    package var firstPreviousEnd: LogPosition?
    /// End of the last whole frame.
    package var end = LogFormat.segmentHeaderBytes
    /// Why reading stopped at something that begins like a frame; nil when nothing is there.
    package var stop: (offset: Int, reason: String)?
    /// Frames that begin behind `end`, and the furthest position that one of them knew to be durable.
    package var framesBehind = 0
    package var syncedBehind = LogPosition.zero
    package var firstBehind = 0
    /// Contradictions inside whole frames.
    package var faults: [(offset: Int, message: String)] = []

    package var endPosition: LogPosition { LogPosition(segment: number, offset: UInt32(end)) }
}

package struct SegmentWalk {
    private let reader: SegmentReader
    /// For segments without frames: rewritten ones, and those with holes.
    private let loose: SegmentRecords?
    package private(set) var summary: SegmentSummary

    /// Opens a segment and checks its header. `storeId` nil: whatever the header says. Throws `.corruption`,
    /// `.newerFormat`, `.disk`.
    package init(
        disk: any Disk, directory: String, segment: (number: UInt32, generation: UInt32), storeId: StoreId?,
        known: [UInt32]? = nil
    ) throws(StoreError) {
        let path = directory + "/" + LogFormat.segmentName(segment.number, generation: segment.generation)
        let header = try SegmentWalk.header(disk, path)
        if let storeId, header.storeId != storeId {
            throw StoreError(
                .corruption, "segment belongs to store \(header.storeId), not to \(storeId)", path: path, offset: 16)
        }
        guard header.segment == segment.number, header.generation == segment.generation else {
            throw StoreError(
                .corruption,
                "segment header says that it is segment \(header.segment), generation \(header.generation)",
                path: path, offset: 32)
        }
        reader = try SegmentReader(
            disk: disk, directory: directory, segment: segment.number, generation: segment.generation,
            storeId: header.storeId)
        loose =
            known == nil && segment.generation == 0
            ? nil
            : SegmentRecords(
                disk: disk, directory: directory, storeId: header.storeId, segment: segment.number,
                generation: segment.generation, known: known)
        summary = SegmentSummary(
            number: segment.number, generation: segment.generation, path: path, fileBytes: reader.size,
            createdMilliseconds: header.createdMilliseconds, storeId: header.storeId)
        if let rest = try reader.bytes(at: 64, count: LogFormat.segmentHeaderBytes - 64),
            let odd = rest.buffer.firstIndex(where: { $0 != 0 })
        {
            summary.faults.append((64 + odd, "the rest of the segment header should be zeros"))
        }
    }

    /// The segment in the file `path`, whose name must be that of a segment: `.invalid` otherwise.
    package init(disk: any Disk, path: String) throws(StoreError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard let name = parts.last.map(String.init), let segment = LogFormat.parseSegmentName(name) else {
            throw StoreError(
                .invalid, "a segment's file is called like \(LogFormat.segmentName(1, generation: 0)), not \(path)")
        }
        let directory = parts.count == 1 ? "." : parts.dropLast().joined(separator: "/")
        // The manifest beside it, if there is one, knows whether it has holes.
        var known: [UInt32]?
        if let store = try? StoreFolder(disk: disk, directory: parentDirectory(of: directory)),
            store.segments.contains(where: { $0 == (segment.segment, segment.generation) })
        {
            known = store.known(segment.segment)
        }
        try self.init(
            disk: disk, directory: directory, segment: (segment.segment, segment.generation), storeId: nil,
            known: known)
    }

    private static func header(_ disk: any Disk, _ path: String) throws(StoreError) -> SegmentHeader {
        var bytes = ByteBuffer(capacity: LogFormat.segmentHeaderBytes)
        do {
            let file = try disk.open(path, .readOnly)
            defer { file.close() }
            let target = UnsafeMutableRawBufferPointer(
                start: bytes.reserve(LogFormat.segmentHeaderBytes), count: LogFormat.segmentHeaderBytes)
            bytes.advance(try file.read(into: target, at: 0))
        } catch {
            throw StoreError(error)
        }
        guard bytes.count == LogFormat.segmentHeaderBytes else {
            throw StoreError(.corruption, "file of \(bytes.count) bytes is shorter than a segment header", path: path)
        }
        switch SegmentHeader.decode(bytes.view) {
        case .header(let header): return header
        case .newerFormat(let version): throw SegmentHeader.newer(version, path: path)
        case .invalid:
            throw StoreError(.corruption, "segment header fails its checksum", path: path, offset: 0)
        }
    }

    /// Reads all whole frames from the start and shows each and its records, then looks at what is behind.
    package mutating func run(
        frame visitFrame: (FrameHeader) -> Void = { _ in },
        record visitRecord: (FrameHeader, LogRecord, _ keyOffset: Int) throws(StoreError) -> Void = { _, _, _ in }
    ) throws(StoreError) {
        if let loose { return try runLoose(loose, visitRecord) }
        walk: while true {
            switch try reader.frame(at: summary.end) {
            case .frame(let header, let bytes):
                if header.flags != 0 {
                    throw header.newerFlags(summary.path)
                }
                if summary.frames == 0 {
                    summary.firstPreviousEnd = header.previousEnd
                } else if header.previousEnd != summary.endPosition {
                    summary.faults.append((summary.end, "frame does not continue the one before it"))
                }
                visitFrame(header)
                try take(header, bytes, visitRecord)
                summary.frames += 1
                summary.end += Int(header.frameBytes)
            case .broken(_, let inside, let reason):
                summary.stop = (summary.end, "\(reason) (at \(summary.end + inside))")
                break walk
            case .nothing: break walk
            }
        }
        if summary.stop == nil, try looksLikeBrokenHeader(at: summary.end) {
            summary.stop = (summary.end, "frame header fails its checksum")
        }
        var at = summary.end
        while let header = try reader.nextHeader(from: at) {
            if summary.framesBehind == 0 { summary.firstBehind = Int(header.position.offset) }
            summary.framesBehind += 1
            summary.syncedBehind = max(summary.syncedBehind, header.syncedUpTo)
            at = Int(header.position.offset) + LogFormat.frameHeaderBytes
        }
    }

    /// Whether the segment has no frames any more, only value records.
    package var isLoose: Bool { loose != nil }

    /// Shows the records of a segment without frames, under a frame header that says where each was.
    private mutating func runLoose(
        _ records: SegmentRecords, _ visit: (FrameHeader, LogRecord, Int) throws(StoreError) -> Void
    ) throws(StoreError) {
        let number = summary.number
        var found = summary
        try records.visit { (logical, bytes) throws(StoreError) in
            guard let value = ValueRecord(bytes, verifies: false) else { return }
            if value.sequence <= found.lastSequence {
                found.faults.append((logical, "sequence \(value.sequence) after \(found.lastSequence)"))
            }
            if found.records == 0 { found.firstSequence = value.sequence }
            found.lastSequence = max(found.lastSequence, value.sequence)
            found.records += 1
            found.valueRecords += 1
            found.valueBytes += value.value.count
            found.end += LogFormat.aligned(bytes.count, 8)
            let pointer = ValuePointer(
                segment: number, offset: UInt32(logical), length: UInt32(value.value.count), crc: value.crc)
            let record = LogRecord(
                type: .put, flags: value.flags.union(.separated), tag: value.tag, expireAt: value.expireAt,
                sequence: value.sequence, key: value.key, value: value.value, pointer: pointer, endsBatch: true)
            var header = FrameHeader()
            header.position = LogPosition(segment: number, offset: UInt32(logical))
            header.firstSequence = value.sequence
            try visit(header, record, logical + LogFormat.valueHeaderBytes)
        }
        summary = found
    }

    /// Whether most of a frame header that belongs at `offset` is there. Frames of an earlier life of the file have
    /// another page id and a checksum that is right with it.
    private func looksLikeBrokenHeader(at offset: Int) throws(StoreError) -> Bool {
        guard let bytes = try reader.bytes(at: offset, count: LogFormat.frameHeaderBytes) else { return false }
        let hasMagic = bytes.base.fixed(0, UInt32.self) == LogFormat.frameMagic
        let hasOffset = bytes.base.fixed(28, UInt32.self) == UInt32(offset)
        if bytes.base.fixed(24, UInt32.self) == summary.number { return hasMagic || hasOffset }
        guard hasMagic && hasOffset else { return false }
        var mended = ByteBuffer(capacity: LogFormat.frameHeaderBytes)
        mended.append(bytes)
        (mended.reserve(0) - LogFormat.frameHeaderBytes).storeFixed(summary.number, 24)
        return FrameHeader.decode(mended.view.base, at: summary.endPosition, salt: summary.storeId.salt) != nil
    }

    private mutating func take(
        _ header: FrameHeader, _ bytes: ByteView,
        _ visit: (FrameHeader, LogRecord, Int) throws(StoreError) -> Void
    ) throws(StoreError) {
        var records = FrameRecords(bytes, header, verifiesValues: false)
        var endsBatch = true
        while let record = records.next() {
            if record.sequence <= summary.lastSequence {
                summary.faults.append((summary.end, "sequence \(record.sequence) after \(summary.lastSequence)"))
            }
            if summary.records == 0 { summary.firstSequence = record.sequence }
            summary.lastSequence = max(summary.lastSequence, record.sequence)
            summary.records += 1
            if record.pointer != nil {
                summary.valueRecords += 1
                summary.valueBytes += record.value.count
            }
            endsBatch = record.endsBatch
            try visit(header, record, summary.end + (record.key.base - bytes.base))
        }
        if !endsBatch { summary.faults.append((summary.end, "the frame's last batch has no end")) }
    }
}
