// Writes the next generation of a segment: records that are still live, in order, then the map.
// A writer that gives up removes what it wrote. One thread.

import CValk
import ValkBase
import ValkDisk

final class SegmentWriter {
    let path: String
    private let disk: any Disk
    private let directory: String
    private let storeId: StoreId
    private let segment: UInt32
    let generation: UInt32
    private let file: any DiskFile
    private var buffer = ByteBuffer(capacity: 1 << 20)
    /// Where `buffer` goes.
    private var at: Int
    private var map = SegmentMap()
    private var lastLogicalEnd = -1
    private var lastEnd = -1
    private(set) var recordCount = 0
    private(set) var recordBytes = 0
    /// Bytes of the file, once finished.
    private(set) var fileBytes = 0

    private static let chunkBytes = 1 << 20

    init(
        disk: any Disk, directory: String, storeId: StoreId, segment: UInt32, generation: UInt32,
        createdMilliseconds: UInt64
    ) throws(DiskError) {
        self.disk = disk
        self.directory = directory
        self.storeId = storeId
        self.segment = segment
        self.generation = generation
        path = directory + "/" + LogFormat.segmentName(segment, generation: generation)
        file = try disk.open(path, [.readWrite, .create, .truncate])
        at = 0
        let header = SegmentHeader(
            storeId: storeId, segment: segment, generation: generation,
            kind: SegmentHeader.Kind.rewritten.rawValue, createdMilliseconds: createdMilliseconds)
        header.encode(to: buffer.reserve(LogFormat.segmentHeaderBytes))
        buffer.advance(LogFormat.segmentHeaderBytes)
    }

    /// Appends a whole value record; `logical` ascends. Returns whether bytes were written to the file.
    func add(_ record: ByteView, logical: Int) throws(DiskError) -> Bool {
        let end = at + buffer.count
        let isLarge = record.count >= LogFormat.alignedValueBytesMin
        let start = LogFormat.aligned(end, isLarge ? LogFormat.blockBytes : 8)
        appendZeros(start - end)
        buffer.append(record)
        let size = LogFormat.aligned(record.count, 8)
        appendZeros(size - record.count)
        if logical != lastLogicalEnd || start != lastEnd {
            map.add(logical: UInt32(logical), physical: UInt32(start))
        }
        lastLogicalEnd = logical + size
        lastEnd = start + size
        recordCount += 1
        recordBytes += size
        guard buffer.count >= SegmentWriter.chunkBytes else { return false }
        try write()
        return true
    }

    private func appendZeros(_ count: Int) {
        if count == 0 { return }
        buffer.reserve(count).initializeMemory(as: UInt8.self, repeating: 0, count: count)
        buffer.advance(count)
    }

    private func write() throws(DiskError) {
        try file.write(buffer.view.buffer, at: at)
        // The device writes while the next piece is copied, and the sync at the end finds little left to do.
        file.startWriting(at..<at + buffer.count)
        at += buffer.count
        buffer.removeAll()
    }

    /// Map and trailer: everything is written.
    func finish() throws(DiskError) {
        let dataEnd = at + buffer.count
        let encoded = map.encode()
        buffer.append(encoded.view)
        let trailer = SegmentTrailer(
            storeId: storeId, segment: segment, generation: generation, dataEnd: UInt32(dataEnd),
            runCount: UInt32(map.runs.count), recordCount: UInt32(recordCount), mapCRC: encoded.view.crc32c)
        trailer.encode(to: buffer.reserve(SegmentTrailer.bytes))
        buffer.advance(SegmentTrailer.bytes)
        try write()
        fileBytes = at
    }

    /// What `finish` left is durable afterwards, but for the name: whoever made several files syncs the directory once.
    func sync() throws(DiskError) {
        try file.sync()
        file.close()
    }

    func abandon() {
        file.close()
        // What cannot be removed now is an orphan that the next start removes.
        do { try disk.remove(path) } catch { return }
    }
}
