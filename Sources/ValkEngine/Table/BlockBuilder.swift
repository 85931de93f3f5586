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
        return size + restarts * (size > 0xF000 ? 8 : 4)
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
        var meta = BlockFormat.Meta.stored(entry.flags) | entry.kind.rawValue << BlockFormat.Meta.kindShift
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
        let bound = BlockFormat.headerBytes + prefixLength + fixedBytes + records.count * 20 + restarts * 8
        let base = out.reserve(bound)
        // The width of a restart follows from the size of the content, offsets included.
        var keyBytes = 0
        var bodyBytes = 0
        for index in 0..<records.count {
            let lengths = lengths(index, baseExpiry)
            keyBytes +=
                Varint.size(UInt64(lengths.shared)) + Varint.size(UInt64(lengths.key))
                + Varint.size(UInt64(lengths.body))
                + lengths.key
            bodyBytes += lengths.body
        }
        let rest = BlockFormat.headerBytes + prefixLength + keyBytes + bodyBytes
        let isWide = rest + restarts * 4 > 0xFFFF
        let total = rest + restarts * (isWide ? 8 : 4)
        precondition(total <= bound, "a block of \(total) bytes, \(bound) expected at most")
        var restartAt = BlockFormat.headerBytes + prefixLength
        var at = restartAt + restarts * (isWide ? 8 : 4)
        var bodyAt = at + keyBytes
        base.storeFixed(sequenceMin, 0)
        base.storeFixed(baseExpiry, 8)
        base.storeFixed(UInt32(prefixLength), 16)
        base.storeFixed(UInt32(restarts), 20)
        base.storeFixed(UInt32(bodyAt), 24)
        base.storeFixed(UInt32(records.count), 28)
        // The first entry is a restart: its whole key is the first thing staged, and the prefix is its beginning.
        let source = staged.view.base
        memcpy(base + BlockFormat.headerBytes, source, prefixLength)
        for index in 0..<records.count {
            let record = records[index]
            if index % interval == 0 {
                if isWide {
                    base.storeFixed(UInt32(at), restartAt)
                    base.storeFixed(UInt32(bodyAt), restartAt + 4)
                } else {
                    base.storeFixed(UInt16(at), restartAt)
                    base.storeFixed(UInt16(bodyAt), restartAt + 2)
                }
                restartAt += isWide ? 8 : 4
            }
            let lengths = lengths(index, baseExpiry)
            at += Varint.write(UInt64(lengths.shared), to: base + at)
            at += Varint.write(UInt64(lengths.key), to: base + at)
            at += Varint.write(UInt64(lengths.body), to: base + at)
            // Staged key bytes of a restart begin with the block's prefix.
            memcpy(base + at, source + record.offset + (record.keyBytes - lengths.key), lengths.key)
            at += lengths.key
            base.storeBytes(of: record.meta, toByteOffset: bodyAt, as: UInt8.self)
            bodyAt += 1
            if record.meta & BlockFormat.Meta.hasTag != 0 {
                base.storeBytes(of: record.tag, toByteOffset: bodyAt, as: UInt8.self)
                bodyAt += 1
            }
            bodyAt += Varint.write(record.sequence - sequenceMin, to: base + bodyAt)
            if record.expireAt != 0 { bodyAt += Varint.write(record.expireAt - baseExpiry, to: base + bodyAt) }
            memcpy(base + bodyAt, source + record.offset + record.keyBytes, record.valueBytes)
            bodyAt += record.valueBytes
        }
        precondition(bodyAt == total, "a block of \(bodyAt) bytes, \(total) expected")
        out.advance(total)
        reset()
        return total
    }

    /// The three lengths in front of entry `index`, as they are stored.
    private func lengths(_ index: Int, _ baseExpiry: UInt64) -> (shared: Int, key: Int, body: Int) {
        let record = records[index]
        let isRestart = index % interval == 0
        var body = 1 + Varint.size(record.sequence - sequenceMin) + record.valueBytes
        if record.meta & BlockFormat.Meta.hasTag != 0 { body += 1 }
        if record.expireAt != 0 { body += Varint.size(record.expireAt - baseExpiry) }
        return isRestart
            ? (0, record.keyBytes - prefixLength, body) : (record.shared - prefixLength, record.keyBytes, body)
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
