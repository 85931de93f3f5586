// One record of the log, as writers encode and readers find it.
//
// Small record, in the small area:        Value record, in the value area, on a multiple of 8 (or of 4096):
//    0  size u32, of this record             0  crc32c u32 of bytes 4..<size
//    4  kind u8: type, and bits below        4  size u32: 32 + key + value
//    5  flags u8 (EntryFlags)                8  sequence u64
//    6  tag u8                              16  expireAt u64, 0 never
//    7  zero                                24  key length u32
//    8  sequence - frame's first, varint    28  type u8, flags u8, tag u8, zero u8
//       inline:    key length, varint       32  key, value
//                  [expireAt, varint]
//                  key, value
//       separated: start of the value record in the frame / 8, varint
//
// The last record of a batch carries the batch-end bit. A separated record's facts lie in its value record alone, so
// the log holds each key once. Small records have no checksum of their own: the frame header holds one over their area.

import CValk
import ValkBase

/// Stored on disk; never renumber.
package enum RecordType: UInt8, Sendable {
    /// AppendOrUpdate.
    case put = 1
    case delete = 2
    /// Removes the keys from `key` up to and without `value`.
    case deleteRange = 3
}

/// Bits beside the type in a small record's kind byte.
enum RecordBits {
    static let typeMask: UInt8 = 0x0F
    static let expires: UInt8 = 0x10
    static let separated: UInt8 = 0x20
    static let batchEnd: UInt8 = 0x40
}

/// A record found in a frame. The views are valid as long as the frame's bytes.
package struct LogRecord {
    package var type: RecordType
    package var flags: EntryFlags
    package var tag: UInt8
    package var expireAt: UInt64
    package var sequence: UInt64
    package var key: ByteView
    /// The value, also of a separated record; the upper bound of a `deleteRange`.
    package var value: ByteView
    /// Where the value lies; only for separated records.
    package var pointer: ValuePointer?
    package var endsBatch: Bool
}

enum RecordCoding {
    /// Appends a value record to `area` (which starts with the frame header, at `frameStart` in its segment) and
    /// returns its offset in the segment and its checksum.
    static func appendValue(
        _ area: inout ByteBuffer, frameStart: Int, flags: EntryFlags, tag: UInt8, expireAt: UInt64, sequence: UInt64,
        key: ByteView, value: ByteView
    ) -> (offset: Int, crc: UInt32) {
        let size = LogFormat.valueHeaderBytes &+ key.count &+ value.count
        let end = frameStart &+ area.count
        let start = LogFormat.aligned(end, size >= LogFormat.alignedValueBytesMin ? LogFormat.blockBytes : 8)
        let gap = start &- end
        let padded = LogFormat.aligned(size, 8)
        let to = area.reserve(gap &+ padded)
        if gap > 0 { memset(to, 0, gap) }
        let record = to + gap
        // The last word first: it holds the padding, and then the value's end over it.
        if padded > size { record.storeFixed(UInt64(0), padded &- 8) }
        record.storeFixed(UInt32(truncatingIfNeeded: size), 4)
        record.storeFixed(sequence, 8)
        record.storeFixed(expireAt, 16)
        record.storeFixed(UInt32(truncatingIfNeeded: key.count), 24)
        let facts = UInt32(RecordType.put.rawValue) | UInt32(flags.rawValue) << 8 | UInt32(tag) << 16
        record.storeFixed(facts, 28)
        memcpy(record + LogFormat.valueHeaderBytes, key.base, key.count)
        memcpy(record + LogFormat.valueHeaderBytes + key.count, value.base, value.count)
        let crc = valk_crc32c(0, record + 4, size &- 4)
        record.storeFixed(crc, 0)
        area.advance(gap &+ padded)
        return (start, crc)
    }

    /// Appends a small record with its value inline.
    @inline(__always)  // The hot half of every commit; one call site.
    static func appendInline(
        _ area: inout ByteBuffer, type: RecordType, flags: EntryFlags, tag: UInt8, expireAt: UInt64, delta: UInt64,
        key: ByteView, value: ByteView
    ) {
        let record = area.reserve(LogFormat.smallHeaderBytes &+ 30 &+ key.count &+ value.count)
        var at = LogFormat.smallHeaderBytes
        at &+= Varint.write(delta, to: record + at)
        at &+= Varint.write(UInt64(truncatingIfNeeded: key.count), to: record + at)
        var kind = type.rawValue
        if expireAt != 0 {
            kind |= RecordBits.expires
            at &+= Varint.write(expireAt, to: record + at)
        }
        memcpy(record + at, key.base, key.count)
        at &+= key.count
        memcpy(record + at, value.base, value.count)
        at &+= value.count
        record.storeFixed(header(size: at, kind: kind, flags: flags, tag: tag), 0)
        area.advance(at)
    }

    /// Appends the small record of a value record that starts `valueOffset` bytes into the frame.
    static func appendSeparated(
        _ area: inout ByteBuffer, flags: EntryFlags, tag: UInt8, delta: UInt64, valueOffset: Int
    ) {
        let record = area.reserve(LogFormat.smallHeaderBytes &+ 20)
        var at = LogFormat.smallHeaderBytes
        at &+= Varint.write(delta, to: record + at)
        at &+= Varint.write(UInt64(truncatingIfNeeded: valueOffset >> 3), to: record + at)
        let kind = RecordType.put.rawValue | RecordBits.separated
        record.storeFixed(header(size: at, kind: kind, flags: flags, tag: tag), 0)
        area.advance(at)
    }

    @inline(__always)  // One shift-and-or.
    private static func header(size: Int, kind: UInt8, flags: EntryFlags, tag: UInt8) -> UInt64 {
        UInt64(truncatingIfNeeded: size) | UInt64(kind) << 32 | UInt64(flags.rawValue) << 40 | UInt64(tag) << 48
    }
}

/// Walks the records of one frame whose bytes are in memory and whose header is valid. Nothing read here is trusted:
/// every length is proved before use, and a value record's checksum is computed when `verifiesValues`.
struct FrameRecords {
    private let frame: ByteView
    private let header: FrameHeader
    private let verifiesValues: Bool
    private var small: ByteReader
    private var left: UInt32
    /// Why the walk ended early; nil when it did not.
    private(set) var fault: StaticString?
    /// Offset in the frame of what the fault was found in.
    private(set) var faultOffset = 0

    init(_ frame: ByteView, _ header: FrameHeader, verifiesValues: Bool) {
        self.frame = frame
        self.header = header
        self.verifiesValues = verifiesValues
        let start = LogFormat.frameHeaderBytes + header.valueBytes
        small = ByteReader(frame[start..<start + Int(header.smallBytes)])
        left = header.recordCount
    }

    /// The next record; nil at the end or at a fault.
    mutating func next() -> LogRecord? {
        guard fault == nil else { return nil }
        guard left > 0 else {
            if small.remaining > 0 { fail("bytes behind the last record") }
            return nil
        }
        left -= 1
        let start = small.at
        guard let word = small.fixed(UInt64.self) else { return fail("record header cut short") }
        let size = Int(word & 0xFFFF_FFFF)
        let kind = UInt8(truncatingIfNeeded: word >> 32)
        guard size >= LogFormat.smallHeaderBytes, let body = small.bytes(size - LogFormat.smallHeaderBytes) else {
            small.at = start
            return fail("record longer than its area")
        }
        guard let type = RecordType(rawValue: kind & RecordBits.typeMask), kind & 0x80 == 0, word >> 56 == 0 else {
            small.at = start
            return fail("unknown record type")
        }
        var reader = ByteReader(body)
        guard let delta = reader.varint() else { return fail("record cut short") }
        var record = LogRecord(
            type: type, flags: EntryFlags(rawValue: UInt8(truncatingIfNeeded: word >> 40)).subtracting(.separated),
            tag: UInt8(truncatingIfNeeded: word >> 48), expireAt: 0, sequence: header.firstSequence &+ delta,
            key: .empty, value: .empty, pointer: nil, endsBatch: kind & RecordBits.batchEnd != 0)
        if kind & RecordBits.separated != 0 {
            guard type == .put, let eighths = reader.varint(), reader.remaining == 0 else {
                return fail("separated record is wrong")
            }
            return readValue(&record, eighths) ? record : nil
        }
        guard let keyBytes = reader.varint(), keyBytes <= UInt64(EntryLimits.keyBytesMax) else {
            return fail("key length is wrong")
        }
        if kind & RecordBits.expires != 0 {
            guard let expireAt = reader.varint() else { return fail("record cut short") }
            record.expireAt = expireAt
        }
        guard let key = reader.bytes(Int(keyBytes)), let value = reader.bytes(reader.remaining) else {
            return fail("key longer than its record")
        }
        record.key = key
        record.value = value
        return record
    }

    private mutating func readValue(_ record: inout LogRecord, _ eighths: UInt64) -> Bool {
        let end = LogFormat.frameHeaderBytes + header.valueBytes
        guard eighths < UInt64(end / 8) else { return failure("value record outside its area", 0) }
        let offset = Int(eighths) * 8
        guard offset >= LogFormat.frameHeaderBytes, end - offset >= LogFormat.valueHeaderBytes else {
            return failure("value record outside its area", offset)
        }
        let base = frame.base + offset
        guard
            let found = ValueRecord(ByteView(base: base, count: end - offset), verifies: verifiesValues),
            found.sequence == record.sequence
        else { return failure("value record fails its checksum", offset) }
        record.flags.insert(.separated)
        record.expireAt = found.expireAt
        record.key = found.key
        record.value = found.value
        record.pointer = ValuePointer(
            segment: header.position.segment, offset: header.position.offset + UInt32(offset),
            length: UInt32(found.value.count), crc: found.crc)
        return true
    }

    private mutating func failure(_ reason: StaticString, _ offset: Int) -> Bool {
        fault = reason
        faultOffset = offset
        return false
    }

    @discardableResult
    private mutating func fail(_ reason: StaticString) -> LogRecord? {
        fault = reason
        faultOffset = small.at - frame.base
        return nil
    }
}

/// A value record taken apart.
struct ValueRecord {
    let crc: UInt32
    let sequence: UInt64
    let expireAt: UInt64
    let flags: EntryFlags
    let tag: UInt8
    let key: ByteView
    let value: ByteView

    /// Nil when `bytes` do not begin with a whole value record, or when `verifies` and its checksum is wrong.
    init?(_ bytes: ByteView, verifies: Bool) {
        guard bytes.count >= LogFormat.valueHeaderBytes else { return nil }
        let base = bytes.base
        let size = Int(base.fixed(4, UInt32.self))
        let keyBytes = Int(base.fixed(24, UInt32.self))
        let facts = base.fixed(28, UInt32.self)
        guard size <= bytes.count, keyBytes <= EntryLimits.keyBytesMax, size >= LogFormat.valueHeaderBytes + keyBytes,
            UInt8(truncatingIfNeeded: facts) == RecordType.put.rawValue, facts >> 24 == 0
        else { return nil }
        crc = base.fixed(0, UInt32.self)
        if verifies && valk_crc32c(0, base + 4, size - 4) != crc { return nil }
        sequence = base.fixed(8, UInt64.self)
        expireAt = base.fixed(16, UInt64.self)
        flags = EntryFlags(rawValue: UInt8(truncatingIfNeeded: facts >> 8))
        tag = UInt8(truncatingIfNeeded: facts >> 16)
        key = ByteView(base: base + LogFormat.valueHeaderBytes, count: keyBytes)
        value = ByteView(
            base: base + LogFormat.valueHeaderBytes + keyBytes, count: size - LogFormat.valueHeaderBytes - keyBytes)
    }
}
