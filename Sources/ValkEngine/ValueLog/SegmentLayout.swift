// Where the value records of a sealed segment lie, found without reading the values: from the frames' headers and small
// areas of a segment as the log wrote it, along the map and the records' sizes of a rewritten one, and by the list of
// what was left where holes have been punched. For whoever wants to know which bytes of the file are of no use. What is
// read is proved, but the values are not. One thread.

import ValkBase
import ValkDisk

struct SegmentLayout {
    struct Place: Equatable {
        var logical: UInt32
        /// In the file. The record is inside; up to a frame's next record a gap may be.
        var start: Int
        var end: Int
    }

    /// In order of their offsets, logical and in the file.
    private(set) var places: [Place] = []
    /// Records are before it. Behind it is a rewritten segment's map, which stays.
    private(set) var end = 0

    /// Frames are found by many small reads, most of them far apart.
    private static let windowBytes = 16 << 10

    /// `known`: sorted logical offsets of all that is there, for a file with holes. Throws `.corruption`, `.disk`.
    static func read(
        disk: any Disk, directory: String, storeId: StoreId, segment: UInt32, generation: UInt32, known: [UInt32]?
    ) throws(StoreError) -> SegmentLayout {
        let reader = try SegmentReader(
            disk: disk, directory: directory, segment: segment, generation: generation, storeId: storeId,
            windowBytes: windowBytes)
        if let fault = try reader.headerFault(storeId: storeId) {
            throw StoreError(.corruption, fault, path: reader.path, offset: 0)
        }
        var layout = SegmentLayout()
        layout.end = reader.size
        var map: SegmentMap?
        if generation > 0 {
            let file: any DiskFile
            do throws(DiskError) { file = try disk.open(reader.path, .readOnly) } catch { throw StoreError(error) }
            defer { file.close() }
            let loaded = try SegmentMap.load(file, segment: segment, generation: generation)
            map = loaded.map
            layout.end = Int(loaded.trailer.dataEnd)
        }
        if let known {
            for logical in known {
                let start = map == nil ? Int(logical) : map?.physical(Int(logical)) ?? 0
                try layout.add(reader, logical, start)
            }
        } else if let map {
            try layout.readRuns(reader, map)
        } else {
            try layout.readFrames(reader)
        }
        return layout
    }

    private mutating func add(_ reader: SegmentReader, _ logical: UInt32, _ start: Int) throws(StoreError) {
        let size = try size(reader, start)
        guard size > 0, start >= places.last?.end ?? LogFormat.segmentHeaderBytes, start + size <= end else {
            throw StoreError(.corruption, "no value record is here", path: reader.path, offset: start)
        }
        places.append(Place(logical: logical, start: start, end: start + size))
    }

    /// Of the whole record at `offset`, up to a multiple of 8; 0 where none can be.
    private func size(_ reader: SegmentReader, _ offset: Int) throws(StoreError) -> Int {
        guard let head = try reader.bytes(at: offset, count: 8) else { return 0 }
        let size = Int(head.base.fixed(4, UInt32.self))
        return size < LogFormat.valueHeaderBytes ? 0 : LogFormat.aligned(size, 8)
    }

    private mutating func readRuns(_ reader: SegmentReader, _ map: SegmentMap) throws(StoreError) {
        for (i, run) in map.runs.enumerated() {
            let first = Int(SegmentMap.physical(run))
            let runEnd = i + 1 < map.runs.count ? Int(SegmentMap.physical(map.runs[i + 1])) : end
            var at = first
            // Behind the run's last record there may be zeros up to a block's border.
            while runEnd - at >= LogFormat.valueHeaderBytes, try size(reader, at) > 0 {
                try add(reader, UInt32(truncatingIfNeeded: Int(SegmentMap.logical(run)) + at - first), at)
                at = places[places.count - 1].end
            }
        }
    }

    private mutating func readFrames(_ reader: SegmentReader) throws(StoreError) {
        var at = LogFormat.segmentHeaderBytes
        while let header = try reader.header(at: at) {
            let smallStart = at + LogFormat.frameHeaderBytes + header.valueBytes
            guard let small = try reader.bytes(at: smallStart, count: Int(header.smallBytes)),
                small.crc32c == header.smallCRC, readSmall(small, header, at)
            else {
                throw StoreError(.corruption, "records fail their checksum", path: reader.path, offset: smallStart)
            }
            at += Int(header.frameBytes)
        }
    }

    /// Takes the places of a frame's value records from its small area; false when they can be no such.
    private mutating func readSmall(_ small: ByteView, _ header: FrameHeader, _ frame: Int) -> Bool {
        let first = places.count
        let valueEnd = frame + LogFormat.frameHeaderBytes + header.valueBytes
        var last = frame + LogFormat.frameHeaderBytes
        var reader = ByteReader(small)
        for _ in 0..<header.recordCount {
            guard let word = reader.fixed(UInt64.self) else { return false }
            let size = Int(word & 0xFFFF_FFFF)
            guard size >= LogFormat.smallHeaderBytes, let body = reader.bytes(size - LogFormat.smallHeaderBytes) else {
                return false
            }
            if UInt8(truncatingIfNeeded: word >> 32) & RecordBits.separated == 0 { continue }
            var fields = ByteReader(body)
            guard fields.varint() != nil, let eighths = fields.varint(), eighths < UInt64(header.frameBytes) / 8 else {
                return false
            }
            let start = frame + Int(eighths) * 8
            guard start >= last, start + LogFormat.valueHeaderBytes <= valueEnd else { return false }
            if places.count > first { places[places.count - 1].end = start }
            places.append(Place(logical: UInt32(truncatingIfNeeded: start), start: start, end: valueEnd))
            last = start + LogFormat.valueHeaderBytes
        }
        return true
    }
}
