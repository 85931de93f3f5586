// Reads the frames of one segment file and proves them. For recovery and for tools; reads of single values do not come
// here. Nothing in the file is trusted. One thread.

import CValk
import Glibc
import ValkBase
import ValkDisk

package final class SegmentReader {
    package let path: String
    package let segment: UInt32
    /// Bytes of the file when it was opened.
    package let size: Int
    private let disk: any Disk
    private let file: any DiskFile
    private var scan: SegmentScan?
    private let salt: UInt32
    /// Bytes `windowStart ..< windowStart + window.count` of the file.
    private var window = ByteBuffer()
    private var windowStart = 0

    /// Read at once.
    private let windowBytes: Int

    package enum Found {
        /// A whole, proved frame. The view is valid until the next call.
        case frame(FrameHeader, ByteView)
        /// A header that belongs here, but the rest of the frame is not what was written; where in the frame, and why.
        case broken(FrameHeader, offset: Int, reason: StaticString)
        /// No frame starts here.
        case nothing
    }

    package init(
        disk: any Disk, directory: String, segment: UInt32, generation: UInt32, storeId: StoreId,
        windowBytes: Int = 1 << 20
    ) throws(StoreError) {
        path = directory + "/" + LogFormat.segmentName(segment, generation: generation)
        self.segment = segment
        self.windowBytes = windowBytes
        self.disk = disk
        salt = storeId.salt
        do {
            file = try disk.open(path, .readOnly)
            size = try file.size()
        } catch {
            throw StoreError(error)
        }
    }

    deinit { file.close() }

    /// Why the segment's own header cannot be used; nil when it is in order. Throws for newer formats.
    package func headerFault(storeId: StoreId) throws(StoreError) -> String? {
        guard let bytes = try bytes(at: 0, count: LogFormat.segmentHeaderBytes) else {
            return "file is shorter than a segment header"
        }
        switch SegmentHeader.decode(bytes) {
        case .newerFormat(let version): throw SegmentHeader.newer(version, path: path)
        case .invalid: return "segment header fails its checksum"
        case .header(let header):
            if header.storeId != storeId { return "segment belongs to store \(header.storeId)" }
            if header.segment != segment { return "segment header says that it is segment \(header.segment)" }
            return nil
        }
    }

    /// `count` bytes at `offset`, valid until the next call; nil where the file is shorter.
    package func bytes(at offset: Int, count: Int) throws(StoreError) -> ByteView? {
        guard offset >= 0, count <= size, offset <= size - count else { return nil }
        if offset < windowStart || offset + count > windowStart + window.count {
            let wanted = min(size - offset, max(count, windowBytes))
            window.removeAll()
            if window.capacity > 16 * windowBytes { window.release() }
            let target = UnsafeMutableRawBufferPointer(start: window.reserve(wanted), count: wanted)
            do {
                window.advance(try file.read(into: target, at: offset))
            } catch {
                throw StoreError(error)
            }
            windowStart = offset
            if window.count < count { return nil }
        }
        let start = offset - windowStart
        return window.view[start..<start + count]
    }

    /// The frame at `offset`, with checksums of its small area and of all its value records proved.
    package func frame(at offset: Int) throws(StoreError) -> Found {
        guard let header = try header(at: offset) else { return .nothing }
        guard let bytes = try bytes(at: offset, count: Int(header.frameBytes)) else {
            return .broken(header, offset: 0, reason: "file ends inside the frame")
        }
        let small = LogFormat.frameHeaderBytes + header.valueBytes
        if bytes[small..<small + Int(header.smallBytes)].crc32c != header.smallCRC {
            return .broken(header, offset: small, reason: "records fail their checksum")
        }
        var records = FrameRecords(bytes, header, verifiesValues: true)
        while records.next() != nil {}
        if let fault = records.fault { return .broken(header, offset: records.faultOffset, reason: fault) }
        return .frame(header, bytes)
    }

    /// The frame header at `offset`, if one is there that belongs there.
    package func header(at offset: Int) throws(StoreError) -> FrameHeader? {
        guard offset & 7 == 0, let bytes = try bytes(at: offset, count: LogFormat.frameHeaderBytes) else { return nil }
        return FrameHeader.decode(
            bytes.base, at: LogPosition(segment: segment, offset: UInt32(truncatingIfNeeded: offset)), salt: salt)
    }

    /// The first valid frame header at or after `offset`: looks at every multiple of 8.
    package func nextHeader(from offset: Int) throws(StoreError) -> FrameHeader? {
        var at = LogFormat.aligned(offset, 8)
        var magic = LogFormat.frameMagic.littleEndian
        let scan: SegmentScan
        if let known = self.scan {
            scan = known
        } else {
            scan = try SegmentScan(disk: disk, path: path)
            self.scan = scan
        }
        while size - at >= LogFormat.frameHeaderBytes {
            guard let found = try scan.bytes(at: at, least: LogFormat.frameHeaderBytes) else { return nil }
            let view = found[0..<min(found.count, size - at)]
            let searched = view.count - LogFormat.frameHeaderBytes + 4
            var from = 0
            while from < searched, let hit = valk_find_bytes(view.base + from, searched - from, &magic, 4) {
                let distance = UnsafeRawPointer(hit) - view.base
                if distance & 7 == 0,
                    let header = FrameHeader.decode(
                        view.base + distance, at: LogPosition(segment: segment, offset: UInt32(at + distance)),
                        salt: salt)
                {
                    return header
                }
                from = distance + 1
            }
            // Stretches overlap by almost a header, so that none is cut in two.
            at += (view.count - LogFormat.frameHeaderBytes) / 8 * 8 + 8
        }
        return nil
    }
}
