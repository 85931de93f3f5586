// The value records of a sealed segment in order of their logical offsets, whatever its generation: from the frames of
// a segment as the log wrote it, along the map of a rewritten one, and by the list of what was left where holes have
// been punched. Every record is proved by its checksum. One thread.

import ValkBase
import ValkDisk

struct SegmentRecords {
    let disk: any Disk
    let directory: String
    let storeId: StoreId
    let segment: UInt32
    let generation: UInt32
    /// Sorted logical offsets of all that is there, for a file with holes.
    var known: [UInt32]?

    /// Shows each record; the view is valid inside of the call.
    func visit(_ body: (_ logical: Int, _ record: ByteView) throws(StoreError) -> Void) throws(StoreError) {
        let reader = try SegmentReader(
            disk: disk, directory: directory, segment: segment, generation: generation, storeId: storeId)
        if let fault = try reader.headerFault(storeId: storeId) {
            throw StoreError(.corruption, fault, path: reader.path, offset: 0)
        }
        if let known {
            let map = generation > 0 ? try loadMap(reader.path).map : nil
            for logical in known {
                let physical = map == nil ? Int(logical) : map?.physical(Int(logical)) ?? 0
                try body(Int(logical), try record(reader, physical))
            }
        } else if generation > 0 {
            try visitRuns(reader, body)
        } else {
            try visitFrames(reader, body)
        }
    }

    private func loadMap(_ path: String) throws(StoreError) -> (map: SegmentMap, trailer: SegmentTrailer) {
        do {
            let file = try disk.open(path, .readOnly)
            defer { file.close() }
            return try SegmentMap.load(file, segment: segment, generation: generation)
        } catch let error as DiskError {
            throw StoreError(error)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("unexpected error \(error)")
        }
    }

    private func visitFrames(
        _ reader: SegmentReader, _ body: (Int, ByteView) throws(StoreError) -> Void
    ) throws(StoreError) {
        var at = LogFormat.segmentHeaderBytes
        while true {
            switch try reader.frame(at: at) {
            case .frame(let header, let bytes):
                // `frame(at:)` has just proved the values.
                var records = FrameRecords(bytes, header, verifiesValues: false)
                while let record = records.next() {
                    guard let pointer = record.pointer else { continue }
                    let start = Int(pointer.offset) - at
                    let size = LogFormat.valueHeaderBytes + record.key.count + record.value.count
                    try body(Int(pointer.offset), bytes[start..<start + size])
                }
                at += Int(header.frameBytes)
            case .broken(_, let inside, let reason):
                throw StoreError(.corruption, "\(reason)", path: reader.path, offset: at + inside)
            case .nothing: return
            }
        }
    }

    private func visitRuns(
        _ reader: SegmentReader, _ body: (Int, ByteView) throws(StoreError) -> Void
    ) throws(StoreError) {
        let (map, trailer) = try loadMap(reader.path)
        var count = 0
        for (i, run) in map.runs.enumerated() {
            let first = Int(SegmentMap.physical(run))
            let end = i + 1 < map.runs.count ? Int(SegmentMap.physical(map.runs[i + 1])) : Int(trailer.dataEnd)
            var at = first
            // Behind the run's last record there may be zeros up to a block's border.
            while end - at >= LogFormat.valueHeaderBytes {
                guard let head = try reader.bytes(at: at, count: 8), head.base.fixed(4, UInt32.self) != 0 else { break }
                let found = try record(reader, at)
                try body(Int(SegmentMap.logical(run)) + at - first, found)
                at += LogFormat.aligned(found.count, 8)
                count += 1
            }
        }
        guard count == Int(trailer.recordCount) else {
            throw StoreError(
                .corruption, "\(count) value records, not \(trailer.recordCount)", path: reader.path,
                offset: Int(trailer.dataEnd))
        }
    }

    /// The whole record at `offset` of the file, proved.
    private func record(_ reader: SegmentReader, _ offset: Int) throws(StoreError) -> ByteView {
        if let head = try reader.bytes(at: offset, count: LogFormat.valueHeaderBytes) {
            let size = Int(head.base.fixed(4, UInt32.self))
            if size >= LogFormat.valueHeaderBytes, let bytes = try reader.bytes(at: offset, count: size),
                ValueRecord(bytes, verifies: true) != nil
            {
                return bytes
            }
        }
        throw StoreError(.corruption, "value record fails its checksum", path: reader.path, offset: offset)
    }
}
