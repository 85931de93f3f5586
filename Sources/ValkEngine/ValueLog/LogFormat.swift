// The value log's bytes: segment header, frame header, names of files. The drawing is in OnDiskFormat.md.
//
//   segment  = header (4096) frame frame frame … (then zeros, or the stale frames of an earlier life of the file)
//   frame    = frame header (64) value area, small area, zeros up to a multiple of 8
//
// All integers are little-endian. A frame names its own place (page id = segment number, and offset), so that stale or
// misplaced bytes are never taken for it, and its header's checksum starts from a number that only this store knows
// (its id), so that no stored value can be made to look like a frame.

import CValk
import ValkBase
import ValkDisk

/// Names a store for its whole life; drawn at random when it is created, written into every file.
package struct StoreId: Equatable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> StoreId {
        var generator = SystemRandomNumberGenerator()
        return StoreId(high: generator.next(), low: generator.next())
    }

    /// What checksums of frame headers start from.
    package var salt: UInt32 {
        var bytes = (high.littleEndian, low.littleEndian)
        return withUnsafeBytes(of: &bytes) { valk_crc32c(0, $0.baseAddress, 16) }
    }

    package var description: String { hexadecimal(high, digits: 16) + hexadecimal(low, digits: 16) }
}

func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}

package enum LogFormat {
    /// Readers refuse a higher number.
    package static let version: UInt32 = 1
    /// "VALKVSEG" in memory order.
    package static let segmentMagic: UInt64 = 0x4745_5356_4B4C_4156
    /// "VFRM" in memory order.
    package static let frameMagic: UInt32 = 0x4D52_4656
    package static let segmentHeaderBytes = 4096
    package static let frameHeaderBytes = 64
    /// Fixed part of a value record, before its key.
    package static let valueHeaderBytes = 32
    /// Fixed part of a small record, before its varints.
    package static let smallHeaderBytes = 8
    package static let blockBytes = 4096
    /// Value records of at least this many bytes start on a block border, so that their blocks can be given back. What
    /// lies before such a record is lost, a sixteenth of it at most: less than a rewrite is made for.
    package static let alignedValueBytesMin = 64 << 10
    /// Most bytes that one batch may add (see `bytesMax`); offsets in a segment are 32-bit.
    package static let batchBytesMax = 1 << 30

    @inlinable
    package static func aligned(_ n: Int, _ to: Int) -> Int { (n &+ to &- 1) & ~(to &- 1) }

    /// At most how many bytes of log one record takes; what callers of `reserve` add up.
    @inlinable
    package static func bytesMax(keyBytes: Int, valueBytes: Int, isSeparated: Bool) -> Int {
        let small = smallHeaderBytes + 30
        guard isSeparated else { return small &+ keyBytes &+ valueBytes }
        let record = valueHeaderBytes &+ keyBytes &+ valueBytes &+ 8
        return small &+ record &+ (record >= alignedValueBytesMin ? blockBytes : 0)
    }

    // MARK: Names.

    /// `SSSSSSSSSSSSSSSS-G.vseg`: segment number in hexadecimal, generation in decimal.
    package static func segmentName(_ segment: UInt32, generation: UInt32) -> String {
        hexadecimal(UInt64(segment), digits: 16) + "-\(generation).vseg"
    }

    /// A dead segment that waits for its next life. Spares are numbered for themselves.
    static func spareName(_ number: UInt64) -> String { hexadecimal(number, digits: 16) + ".vspare" }

    static func parseSpareName(_ name: String) -> UInt64? {
        guard name.hasSuffix(".vspare"), let number = UInt64(name.dropLast(7), radix: 16), number < .max,
            spareName(number) == name
        else { return nil }
        return number
    }

    /// A segment that is being made.
    static func unfinishedName(_ segment: UInt32) -> String { hexadecimal(UInt64(segment), digits: 16) + ".vtmp" }

    static func parseSegmentName(_ name: String) -> (segment: UInt32, generation: UInt32)? {
        guard name.hasSuffix(".vseg") else { return nil }
        let parts = name.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 16, let segment = UInt32(parts[0], radix: 16),
            let generation = UInt32(parts[1]), segmentName(segment, generation: generation) == name
        else { return nil }
        return (segment, generation)
    }
}

/// The first 4096 bytes of a segment; 64 are used.
struct SegmentHeader: Equatable {
    /// Stored on disk; never renumber.
    enum Kind: UInt32 {
        case log = 1
        /// See RewrittenSegment.
        case rewritten = 2
    }
    var storeId: StoreId
    var segment: UInt32
    var generation: UInt32
    var kind: UInt32 = Kind.log.rawValue
    var createdMilliseconds: UInt64

    /// `to` has room for 4096 bytes.
    func encode(to: UnsafeMutableRawPointer) {
        to.initializeMemory(as: UInt8.self, repeating: 0, count: LogFormat.segmentHeaderBytes)
        to.storeFixed(LogFormat.segmentMagic, 0)
        to.storeFixed(LogFormat.version, 8)
        to.storeFixed(kind, 12)
        to.storeFixed(storeId.high, 16)
        to.storeFixed(storeId.low, 24)
        to.storeFixed(UInt64(segment), 32)
        to.storeFixed(generation, 40)
        to.storeFixed(createdMilliseconds, 48)
        to.storeFixed(valk_crc32c(0, to, 60), 60)
    }

    enum Reading {
        case header(SegmentHeader)
        case newerFormat(UInt32)
        case invalid
    }

    static func decode(_ bytes: ByteView) -> Reading {
        guard bytes.count >= 64 else { return .invalid }
        let base = bytes.base
        guard base.fixed(0, UInt64.self) == LogFormat.segmentMagic,
            base.fixed(60, UInt32.self) == valk_crc32c(0, base, 60)
        else { return .invalid }
        let version = base.fixed(8, UInt32.self)
        guard version <= LogFormat.version else { return .newerFormat(version) }
        guard version > 0, let segment = UInt32(exactly: base.fixed(32, UInt64.self)) else { return .invalid }
        return .header(
            SegmentHeader(
                storeId: StoreId(high: base.fixed(16, UInt64.self), low: base.fixed(24, UInt64.self)),
                segment: segment, generation: base.fixed(40, UInt32.self), kind: base.fixed(12, UInt32.self),
                createdMilliseconds: base.fixed(48, UInt64.self)))
    }

    static func newer(_ version: UInt32, path: String) -> StoreError {
        StoreError(
            .newerFormat, "segment has format \(version), this build reads up to \(LogFormat.version)", path: path,
            offset: 8)
    }

    /// For those who read single values, each of which is proved by itself: a damaged header is none of their business.
    static func refuseNewer(_ file: any DiskFile) throws(StoreError) {
        var bytes = ByteBuffer(capacity: 64)
        do {
            let target = UnsafeMutableRawBufferPointer(start: bytes.reserve(64), count: 64)
            bytes.advance(try file.read(into: target, at: 0))
        } catch {
            throw StoreError(error)
        }
        if case .newerFormat(let version) = decode(bytes.view) { throw newer(version, path: file.path) }
    }
}

/// The 64 bytes in front of each frame.
package struct FrameHeader: Equatable, Sendable {
    /// Whole frame with this header, a multiple of 8.
    package var frameBytes: UInt32 = 0
    /// Small area without the zeros behind it.
    package var smallBytes: UInt32 = 0
    package var smallCRC: UInt32 = 0
    package var recordCount: UInt32 = 0
    /// Segment number (the seed's Page_id) and own offset in the segment.
    package var position: LogPosition = .zero
    package var firstSequence: UInt64 = 0
    /// Everything before this was known durable when the frame was written.
    package var syncedUpTo: LogPosition = .zero
    /// Where the frame before this one ended; frames form a chain across segments.
    package var previousEnd: LogPosition = .zero
    package var timestampMilliseconds: UInt64 = 0
    /// None is defined in format 1.
    package var flags: UInt16 = 0

    /// Bytes between this header and the small area.
    package var valueBytes: Int {
        Int(frameBytes) - LogFormat.frameHeaderBytes - LogFormat.aligned(Int(smallBytes), 8)
    }
    package var end: LogPosition { LogPosition(rawValue: position.rawValue + UInt64(frameBytes)) }

    /// What to say of a frame with flags.
    func newerFlags(_ path: String) -> StoreError {
        StoreError(
            .newerFormat, "frame has flags \(flags), this build reads only frames without", path: path,
            offset: Int(position.offset))
    }

    func encode(to: UnsafeMutableRawPointer, salt: UInt32) {
        to.storeFixed(LogFormat.frameMagic, 0)
        to.storeFixed(frameBytes, 8)
        to.storeFixed(smallBytes, 12)
        to.storeFixed(smallCRC, 16)
        to.storeFixed(recordCount, 20)
        to.storeFixed(position.segment, 24)
        to.storeFixed(position.offset, 28)
        to.storeFixed(firstSequence, 32)
        to.storeFixed(syncedUpTo.rawValue, 40)
        to.storeFixed(previousEnd.rawValue, 48)
        to.storeFixed(timestampMilliseconds & 0xFFFF_FFFF_FFFF | UInt64(flags) << 48, 56)
        to.storeFixed(valk_crc32c(salt, to + 8, LogFormat.frameHeaderBytes - 8), 4)
    }

    /// The header at `bytes`, when it is one that belongs at `position`; nil otherwise.
    static func decode(_ bytes: UnsafeRawPointer, at position: LogPosition, salt: UInt32) -> FrameHeader? {
        guard bytes.fixed(0, UInt32.self) == LogFormat.frameMagic,
            bytes.fixed(24, UInt32.self) == position.segment, bytes.fixed(28, UInt32.self) == position.offset,
            bytes.fixed(4, UInt32.self) == valk_crc32c(salt, bytes + 8, LogFormat.frameHeaderBytes - 8)
        else { return nil }
        let last = bytes.fixed(56, UInt64.self)
        let header = FrameHeader(
            frameBytes: bytes.fixed(8, UInt32.self), smallBytes: bytes.fixed(12, UInt32.self),
            smallCRC: bytes.fixed(16, UInt32.self), recordCount: bytes.fixed(20, UInt32.self), position: position,
            firstSequence: bytes.fixed(32, UInt64.self),
            syncedUpTo: LogPosition(rawValue: bytes.fixed(40, UInt64.self)),
            previousEnd: LogPosition(rawValue: bytes.fixed(48, UInt64.self)),
            timestampMilliseconds: last & 0xFFFF_FFFF_FFFF, flags: UInt16(last >> 48))
        guard header.frameBytes & 7 == 0, header.valueBytes >= 0 else { return nil }
        return header
    }
}
