// Collects the entries of one data block and encodes them (layout: BlockFormat).
//
// What the entries have in common (key prefix, smallest sequence, smallest expiry) is known only when the last one has
// come, so entries are staged first: key bytes and value bytes one after the other in `staged`, lengths in `records`.
// `sizeWith` says what the block would take with one more entry, never less than it really will, so that the writer can
// close the block in time.

import Glibc
import ValkBase

struct BlockBuilder: ~Copyable {
    private struct Record {
        var offset: Int
        /// Staged key bytes: all of the key in a restart entry, what follows the shared bytes elsewhere.
        var keyBytes: Int
        var shared: Int
        var valueBytes: Int
        var sequence: UInt64
        var expireAt: UInt64
        var meta: UInt8
        var tag: UInt8
    }

    private let interval: Int
    private var staged = ByteBuffer()
    private var records: [Record] = []
    /// Bytes that are the same whatever the block's common parts turn out to be.
    private var fixedBytes = 0
    private var prefixLength = 0
    private var sequenceMin = UInt64.max
    private var sequenceMax: UInt64 = 0
    private var expireAtMin = UInt64.max
    private var expireAtMax: UInt64 = 0
    private var expiringCount = 0

    init(interval: Int) {
        precondition(interval >= 1, "restart interval \(interval)")
        self.interval = interval
    }

    var count: Int { records.count }

    /// About how many bytes the content would take now.
    var sizeNow: Int { records.isEmpty ? 0 : BlockFormat.headerBytes + fixedBytes + records.count * 3 }

    /// Upper bound of the content's bytes if `entry`, whose key shares `shared` bytes with the key before, came too.
    func sizeWith(_ entry: Entry, shared: Int) -> Int {
        let restart = records.count % interval == 0
        let restarts = records.count / interval + 1
        let prefix = records.isEmpty ? entry.key.count : min(prefixLength, shared)
        let sequences = Varint.size(max(sequenceMax, entry.sequence) - min(sequenceMin, entry.sequence))
        var expiries = 0
        if expiringCount > 0 || entry.expireAt != 0 {
            let low = entry.expireAt == 0 ? expireAtMin : min(expireAtMin, entry.expireAt)
            expiries = Varint.size(max(expireAtMax, entry.expireAt) - low)
        }
        let fixed = fixedBytes + Self.fixedBytes(entry, shared: restart ? 0 : shared)
        let variable =
            (records.count + 1) * sequences + (expiringCount + (entry.expireAt != 0 ? 1 : 0)) * expiries
        let size = BlockFormat.headerBytes + fixed + variable + prefix - restarts * prefix
        return size + restarts * (size > 0xFF00 ? 4 : 2)
    }

    private static func fixedBytes(_ entry: Entry, shared: Int) -> Int {
        let key = entry.key.count - shared
        let value = storedValueBytes(entry)
        let body = 1 + (entry.tag != 0 ? 1 : 0) + value
        // 20 bytes more than the body: both varints at their longest.
        return Varint.size(UInt64(shared)) + Varint.size(UInt64(key)) + Varint.size(UInt64(body + 20)) + key + body
    }

    private static func storedValueBytes(_ entry: Entry) -> Int {
        entry.kind == .delete ? 0 : entry.isSeparated ? BlockFormat.pointerBytes : entry.value.count
    }

    /// `shared`: bytes that the key has in common with the key before; anything for the first one.
    mutating func add(_ entry: Entry, shared: Int) {
        let restart = records.count % interval == 0
        let storedShared = restart ? 0 : shared
        prefixLength = records.isEmpty ? entry.key.count : min(prefixLength, shared)
        sequenceMin = min(sequenceMin, entry.sequence)
        sequenceMax = max(sequenceMax, entry.sequence)
        fixedBytes += Self.fixedBytes(entry, shared: storedShared)
        var meta = entry.flags.rawValue & BlockFormat.Meta.flagsMask | entry.kind.rawValue << BlockFormat.Meta.kindShift
        if entry.tag != 0 { meta |= BlockFormat.Meta.hasTag }
        if entry.expireAt != 0 {
            meta |= BlockFormat.Meta.hasExpiry
            expiringCount += 1
            expireAtMin = min(expireAtMin, entry.expireAt)
            expireAtMax = max(expireAtMax, entry.expireAt)
        }
        let valueBytes = Self.storedValueBytes(entry)
        records.append(
            Record(
                offset: staged.count, keyBytes: entry.key.count - storedShared, shared: storedShared,
                valueBytes: valueBytes, sequence: entry.sequence, expireAt: entry.expireAt, meta: meta, tag: entry.tag))
        staged.append(entry.key.dropFirst(storedShared))
        if entry.kind == .delete { return }
        if entry.isSeparated {
            let to = staged.reserve(BlockFormat.pointerBytes)
            to.storeFixed(entry.pointer.segment, 0)
            to.storeFixed(entry.pointer.offset, 4)
            to.storeFixed(entry.pointer.length, 8)
            to.storeFixed(entry.pointer.crc, 12)
            staged.advance(BlockFormat.pointerBytes)
        } else {
            staged.append(entry.value)
        }
    }

    /// Encodes the staged entries behind what `out` holds, empties the builder and returns the content's bytes.
    mutating func finish(into out: inout ByteBuffer) -> Int {
        precondition(!records.isEmpty, "an empty block")
        let baseExpiry = expiringCount > 0 ? expireAtMin : 0
        let restarts = (records.count + interval - 1) / interval
        let bound =
            BlockFormat.headerBytes + prefixLength + fixedBytes + records.count * 20 + restarts * 4
        let base = out.reserve(bound)
        base.storeFixed(sequenceMin, 0)
        base.storeFixed(baseExpiry, 8)
        base.storeFixed(UInt32(prefixLength), 16)
        // The first entry is a restart: its whole key is the first thing staged, and the prefix is its beginning.
        let source = UnsafeRawPointer(staged.view.base)
        memcpy(base + BlockFormat.headerBytes, source, prefixLength)
        var at = BlockFormat.headerBytes + prefixLength
        var restartOffsets: [Int] = []
        restartOffsets.reserveCapacity(restarts)
        for index in 0..<records.count {
            let record = records[index]
            let isRestart = index % interval == 0
            if isRestart { restartOffsets.append(at) }
            // A non-restart entry shares at least the block's prefix with the one before; a restart entry has it in front.
            let shared = isRestart ? 0 : record.shared - prefixLength
            let keySkip = isRestart ? prefixLength : 0
            let keyBytes = record.keyBytes - keySkip
            let sequence = record.sequence - sequenceMin
            let expiry = record.expireAt == 0 ? 0 : record.expireAt - baseExpiry
            var body = 1 + Varint.size(sequence) + record.valueBytes
            if record.meta & BlockFormat.Meta.hasTag != 0 { body += 1 }
            if record.meta & BlockFormat.Meta.hasExpiry != 0 { body += Varint.size(expiry) }
            at += Varint.write(UInt64(shared), to: base + at)
            at += Varint.write(UInt64(keyBytes), to: base + at)
            at += Varint.write(UInt64(body), to: base + at)
            memcpy(base + at, source + record.offset + keySkip, keyBytes)
            at += keyBytes
            base.storeBytes(of: record.meta, toByteOffset: at, as: UInt8.self)
            at += 1
            if record.meta & BlockFormat.Meta.hasTag != 0 {
                base.storeBytes(of: record.tag, toByteOffset: at, as: UInt8.self)
                at += 1
            }
            at += Varint.write(sequence, to: base + at)
            if record.meta & BlockFormat.Meta.hasExpiry != 0 { at += Varint.write(expiry, to: base + at) }
            memcpy(base + at, source + record.offset + record.keyBytes, record.valueBytes)
            at += record.valueBytes
        }
        base.storeFixed(UInt32(at), 20)
        // The width follows from the whole content's size, offsets included.
        let width = at + restarts * 2 > 0xFFFF ? 4 : 2
        for offset in restartOffsets {
            if width == 4 {
                base.storeFixed(UInt32(offset), at)
            } else {
                base.storeFixed(UInt16(offset), at)
            }
            at += width
        }
        precondition(at <= bound, "a block of \(at) bytes, \(bound) expected at most")
        out.advance(at)
        reset()
        return at
    }

    private mutating func reset() {
        staged.removeAll()
        records.removeAll(keepingCapacity: true)
        fixedBytes = 0
        prefixLength = 0
        sequenceMin = .max
        sequenceMax = 0
        expireAtMin = .max
        expireAtMax = 0
        expiringCount = 0
    }
}
