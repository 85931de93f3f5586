// A segment of generation 1 or above: what was live of an older generation, and where it lies now.
//
//   header (4096, kind 2) | value records, in order of their old offsets | map | trailer (64)
//
// Value records are what they were, byte for byte, on a multiple of 8 (or of 4096, from 16 KiB on). Pointers keep the
// offsets that they were made with ("logical"); the map leads from those to the offsets in this file. It has one entry
// for each run of records that were neighbours and still are. Readers get a file that translates as it reads, so that
// they need not know, and a segment of generation 0 costs them nothing.

import CValk
import ValkBase
import ValkDisk

/// The last 64 bytes of a rewritten segment.
struct SegmentTrailer: Equatable {
    /// "VALKVMAP" in memory order.
    static let magic: UInt64 = 0x5041_4D56_4B4C_4156
    static let bytes = 64

    var storeId: StoreId
    var segment: UInt32
    var generation: UInt32
    /// End of the records and start of the map.
    var dataEnd: UInt32
    var runCount: UInt32
    var recordCount: UInt32
    var mapCRC: UInt32

    func encode(to: UnsafeMutableRawPointer) {
        to.initializeMemory(as: UInt8.self, repeating: 0, count: SegmentTrailer.bytes)
        to.storeFixed(SegmentTrailer.magic, 0)
        to.storeFixed(storeId.high, 8)
        to.storeFixed(storeId.low, 16)
        to.storeFixed(segment, 24)
        to.storeFixed(generation, 28)
        to.storeFixed(dataEnd, 32)
        to.storeFixed(runCount, 36)
        to.storeFixed(recordCount, 40)
        to.storeFixed(mapCRC, 44)
        to.storeFixed(valk_crc32c(0, to, 60), 60)
    }

    static func decode(_ bytes: ByteView) -> SegmentTrailer? {
        guard bytes.count == SegmentTrailer.bytes, bytes.base.fixed(0, UInt64.self) == magic,
            bytes.base.fixed(60, UInt32.self) == valk_crc32c(0, bytes.base, 60)
        else { return nil }
        return SegmentTrailer(
            storeId: StoreId(high: bytes.base.fixed(8, UInt64.self), low: bytes.base.fixed(16, UInt64.self)),
            segment: bytes.base.fixed(24, UInt32.self), generation: bytes.base.fixed(28, UInt32.self),
            dataEnd: bytes.base.fixed(32, UInt32.self), runCount: bytes.base.fixed(36, UInt32.self),
            recordCount: bytes.base.fixed(40, UInt32.self), mapCRC: bytes.base.fixed(44, UInt32.self))
    }
}

/// From logical offsets to those in the file. Immutable.
struct SegmentMap: Sendable {
    /// Logical offset of the run's first record in the upper half, its offset in the file in the lower; both ascend.
    private(set) var runs: [UInt64] = []

    static func logical(_ run: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: run >> 32) }
    static func physical(_ run: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: run) }

    mutating func add(logical: UInt32, physical: UInt32) { runs.append(UInt64(logical) << 32 | UInt64(physical)) }

    /// Nil before the first record. What is no record's offset leads anywhere: the record's checksum tells.
    func physical(_ logical: Int) -> Int? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low &+ high) >> 1
            if Int(runs[middle] >> 32) <= logical { low = middle &+ 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        return Int(SegmentMap.physical(runs[low - 1])) + logical - Int(runs[low - 1] >> 32)
    }

    func encode() -> ByteBuffer {
        var out = ByteBuffer(capacity: max(8, runs.count * 8))
        for run in runs {
            out.appendFixed(SegmentMap.logical(run))
            out.appendFixed(SegmentMap.physical(run))
        }
        return out
    }

    /// Reads trailer and map of a file. Throws `.corruption` when they are not those of this segment.
    static func load(
        _ file: any DiskFile, segment: UInt32, generation: UInt32
    ) throws(StoreError) -> (map: SegmentMap, trailer: SegmentTrailer) {
        func damaged(_ what: String, _ offset: Int) -> StoreError {
            StoreError(.corruption, what, path: file.path, offset: offset)
        }
        let size: Int
        do { size = try file.size() } catch { throw StoreError(error) }
        guard size >= LogFormat.segmentHeaderBytes + SegmentTrailer.bytes else {
            throw damaged("file is too short for a rewritten segment", 0)
        }
        let end = size - SegmentTrailer.bytes
        let last = try read(file, end, SegmentTrailer.bytes)
        // The buffers outlive the looks into them.
        defer { _ = last.count }
        guard let trailer = SegmentTrailer.decode(last.view) else {
            throw damaged("the trailer fails its checksum", end)
        }
        let mapBytes = Int(trailer.runCount) * 8
        guard trailer.segment == segment, trailer.generation == generation, Int(trailer.dataEnd) + mapBytes == end
        else { throw damaged("the trailer does not belong here", end) }
        let bytes = try read(file, Int(trailer.dataEnd), mapBytes)
        defer { _ = bytes.count }
        guard bytes.view.crc32c == trailer.mapCRC else {
            throw damaged("the map of offsets fails its checksum", Int(trailer.dataEnd))
        }
        var map = SegmentMap()
        map.runs.reserveCapacity(Int(trailer.runCount))
        for i in 0..<Int(trailer.runCount) {
            map.add(
                logical: bytes.view.base.fixed(8 * i, UInt32.self),
                physical: bytes.view.base.fixed(8 * i + 4, UInt32.self))
        }
        return (map, trailer)
    }

    private static func read(_ file: any DiskFile, _ offset: Int, _ count: Int) throws(StoreError) -> ByteBuffer {
        var buffer = ByteBuffer(capacity: max(count, 8))
        let target = UnsafeMutableRawBufferPointer(start: buffer.reserve(count), count: count)
        do {
            guard try file.read(into: target, at: offset) == count else {
                throw StoreError(.corruption, "the file ends early", path: file.path, offset: offset)
            }
        } catch let error as DiskError {
            throw StoreError(error)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("unexpected error \(error)")
        }
        buffer.advance(count)
        return buffer
    }
}

/// A rewritten segment for those who read by logical offsets.
final class RewrittenFile: DiskFile {
    private let base: any DiskFile
    private let map: SegmentMap
    var path: String { base.path }

    init(_ base: any DiskFile, _ map: SegmentMap) {
        self.base = base
        self.map = map
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
        guard let at = map.physical(offset) else { return 0 }
        return try base.read(into: buffer, at: at)
    }
    func tryRead(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> ReadAttempt {
        guard let at = map.physical(offset) else { return .read(0) }
        return try base.tryRead(into: buffer, at: at)
    }
    private func refusal(_ operation: String) -> DiskError { DiskError(.closed, operation, path) }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) { throw refusal("write") }
    func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) { throw refusal("write") }
    func sync() throws(DiskError) { try base.sync() }
    func size() throws(DiskError) -> Int { try base.size() }
    func truncate(to size: Int) throws(DiskError) { throw refusal("truncate") }
    func allocate(_ range: Range<Int>) throws(DiskError) { throw refusal("allocate") }
    func punch(_ range: Range<Int>) throws(DiskError) { throw refusal("punch") }
    func allocatedBytes() throws(DiskError) -> Int { try base.allocatedBytes() }
    func linkCount() throws(DiskError) -> Int { try base.linkCount() }
    func dropCache(_ range: Range<Int>) {}
    func willNeed(_ range: Range<Int>) {
        guard let at = map.physical(range.lowerBound) else { return }
        base.willNeed(at..<at + range.count)
    }
    func startWriting(_ range: Range<Int>) {}
    func close() { base.close() }
}
