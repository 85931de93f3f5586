// The content of a data block, and how to search it in place.
//
//    0  baseSequence  u64   smallest sequence in the block
//    8  baseExpiry    u64   smallest expiry in the block, 0 when no entry has one
//   16  prefixLength  u32   bytes that all keys of the block begin with, stored once
//   20  restartCount  u32
//   24  bodiesStart   u32   where the first body begins and the last key ends
//   28  entryCount    u32
//   32  prefix | restarts | keys | bodies
//
//   restart := offset of its key, offset of its body (u16 each; u32 in a content over 65,535 bytes)
//   key     := shared varint | unshared varint | bodyLength varint | unshared key bytes
//   body    := meta u8 | [tag u8] | sequence - baseSequence varint | [expireAt - baseExpiry varint] | value or pointer
//   meta    := value in the log (bit 0) | prior unknown (bit 1) | prior named (bit 2) | kind (bits 4, 5) | has a tag
//              (bit 6) | has an expiry (bit 7)
//
// In files of version 1 bits 2 and 3 mean nothing.
//
// `shared` counts the key bytes after the block's prefix that equal those of the entry before; it is 0 in a restart
// entry. Every Nth entry is a restart. Keys stand together at the front and bodies behind them, both in entry order:
// the keys of a whole block fill a few cache lines, which are fetched at once, and a search touches one body at most.
//
// SAFETY: `validate` walks a block once, when it comes from the disk. Everything else here trusts the block:
// checksummed, walked, and immutable from then on.

import CValk
import Glibc
import ValkBase

enum BlockFormat {
    static let headerBytes = 32
    static let pointerBytes = 16

    enum Meta {
        private static let flagsMask: UInt8 = 0x03
        private static let priorNamed: UInt8 = 0x04
        static let kindShift: UInt8 = 4
        static let hasTag: UInt8 = 0x40
        static let hasExpiry: UInt8 = 0x80

        @inline(__always)
        static func flags(_ meta: UInt8) -> EntryFlags {
            EntryFlags(rawValue: meta & flagsMask | (meta & priorNamed) << 2)
        }

        /// The part of a meta byte that `flags` reads.
        @inline(__always)
        static func stored(_ flags: EntryFlags) -> UInt8 {
            flags.rawValue & flagsMask | (flags.contains(.priorNamed) ? priorNamed : 0)
        }
    }

    /// Bytes of one restart.
    @inline(__always)
    static func restartBytes(_ contentBytes: Int) -> Int { contentBytes > 0xFFFF ? 8 : 4 }
}

/// One entry of the key area. A trivial struct that lives in registers.
struct EntryHead {
    var shared: Int
    var unshared: Int
    /// Bytes of the body.
    var body: Int
    /// Where the unshared key bytes start.
    var key: UnsafeRawPointer

    @inline(__always)
    init(_ at: UnsafeRawPointer) {
        // The usual case: three lengths under 128, a byte each.
        let b0 = at.load(as: UInt8.self)
        let b1 = at.load(fromByteOffset: 1, as: UInt8.self)
        let b2 = at.load(fromByteOffset: 2, as: UInt8.self)
        if (b0 | b1 | b2) < 0x80 {
            shared = Int(b0)
            unshared = Int(b1)
            body = Int(b2)
            key = at + 3
            return
        }
        var p = at
        shared = Int(truncatingIfNeeded: Varint.readTrusted(&p))
        unshared = Int(truncatingIfNeeded: Varint.readTrusted(&p))
        body = Int(truncatingIfNeeded: Varint.readTrusted(&p))
        key = p
    }

    @inline(__always)
    init(shared: Int, unshared: Int, body: Int, key: UnsafeRawPointer) {
        self.shared = shared
        self.unshared = unshared
        self.body = body
        self.key = key
    }

    /// Where the next entry of the key area starts.
    @inline(__always) var end: UnsafeRawPointer { key + unshared }
}

/// What a search inside one block came to.
enum BlockSearch {
    case found
    case absent
    /// The key's versions here are all newer than wanted, and there may be more in the next block.
    case continues
}

/// Where an entry's body lies.
struct BodyPlace {
    var at: UnsafeRawPointer = emptyBytes
    var length = 0

    /// The pointer that ends a body whose value lies in the log.
    @inline(__always)
    var pointer: ValuePointer? {
        let flags = BlockFormat.Meta.flags(at.load(as: UInt8.self))
        return flags.contains(.separated) ? BlockView.pointer(at + (length &- BlockFormat.pointerBytes)) : nil
    }
}

/// A validated block in memory. Does not own it.
struct BlockView {
    let base: UnsafeRawPointer
    /// Bytes of the content.
    let count: Int

    @inline(__always)
    init(base: UnsafeRawPointer, count: Int) {
        self.base = base
        self.count = count
    }

    @inline(__always)
    init(_ frame: BlockFramePointer) {
        self.init(base: UnsafeRawPointer(frame.pointee.bytes), count: Int(frame.pointee.count))
    }

    @inline(__always) var baseSequence: UInt64 { base.fixed(0, UInt64.self) }
    @inline(__always) var baseExpiry: UInt64 { base.fixed(8, UInt64.self) }
    @inline(__always) var prefixLength: Int { Int(base.fixed(16, UInt32.self)) }
    @inline(__always) var restartCount: Int { Int(base.fixed(20, UInt32.self)) }
    @inline(__always) var bodiesStart: Int { Int(base.fixed(24, UInt32.self)) }
    @inline(__always) var entryCount: Int { Int(base.fixed(28, UInt32.self)) }
    @inline(__always) var prefix: ByteView { ByteView(base: base + BlockFormat.headerBytes, count: prefixLength) }
    @inline(__always) var keysStart: Int {
        BlockFormat.headerBytes &+ prefixLength &+ restartCount &* BlockFormat.restartBytes(count)
    }

    /// Asks for the lines that a search reads first, before it waits for any of them.
    @inline(__always)
    func prefetch() {
        valk_prefetch(base)
        valk_prefetch(base + 64)
        valk_prefetch(base + 128)
        valk_prefetch(base + 192)
        valk_prefetch(base + 256)
        valk_prefetch(base + 320)
        valk_prefetch(base + 384)
        valk_prefetch(base + 448)
    }

    /// Offset of the key of restart `index`.
    @inline(__always)
    func restartKey(_ index: Int) -> Int {
        let table = base + (BlockFormat.headerBytes &+ prefixLength)
        return count > 0xFFFF
            ? Int(table.fixed(index &* 8, UInt32.self)) : Int(table.fixed(index &* 4, UInt16.self))
    }

    /// Offset of the body of restart `index`.
    @inline(__always)
    func restartBody(_ index: Int) -> Int {
        let table = base + (BlockFormat.headerBytes &+ prefixLength)
        return count > 0xFFFF
            ? Int(table.fixed(index &* 8 &+ 4, UInt32.self)) : Int(table.fixed(index &* 4 &+ 2, UInt16.self))
    }

    /// The last restart whose key is before `key` (both without the block's prefix), 0 when there is none.
    @inline(__always)
    func lastRestart(before key: ByteView) -> Int {
        var low = 0
        var high = restartCount
        // Invariant: restarts below `low` are before the key (or low is 0), those from `high` on are not.
        while high &- low > 1 {
            let middle = (low &+ high) >> 1
            let head = EntryHead(base + restartKey(middle))
            if ByteView(base: head.key, count: head.unshared).compare(key) < 0 { low = middle } else { high = middle }
        }
        return low
    }

    /// Fills in everything of `entry` but its key from the body of `length` bytes at `body`.
    @inline(__always)
    func readBody(_ body: UnsafeRawPointer, _ length: Int, into entry: UnsafeMutablePointer<Entry>) {
        var p = body
        let meta = p.load(as: UInt8.self)
        p += 1
        var tag: UInt8 = 0
        if meta & BlockFormat.Meta.hasTag != 0 {
            tag = p.load(as: UInt8.self)
            p += 1
        }
        entry.pointee.tag = tag
        entry.pointee.sequence = baseSequence &+ Varint.readTrusted(&p)
        entry.pointee.expireAt =
            meta & BlockFormat.Meta.hasExpiry != 0 ? baseExpiry &+ Varint.readTrusted(&p) : 0
        entry.pointee.kind = (meta >> BlockFormat.Meta.kindShift) & 3 == EntryKind.put.rawValue ? .put : .delete
        let flags = BlockFormat.Meta.flags(meta)
        entry.pointee.flags = flags
        if flags.contains(.separated) {
            let pointer = BlockView.pointer(p)
            entry.pointee.pointer = pointer
            entry.pointee.value = ByteView(base: p, count: 0)
            entry.pointee.valueLength = Int(pointer.length)
        } else {
            let valueLength = body + length - p
            entry.pointee.value = ByteView(base: p, count: valueLength)
            entry.pointee.valueLength = valueLength
        }
    }

    @inline(__always)
    static func pointer(_ p: UnsafeRawPointer) -> ValuePointer {
        ValuePointer(
            segment: p.fixed(0, UInt32.self), offset: p.fixed(4, UInt32.self), length: p.fixed(8, UInt32.self),
            crc: p.fixed(12, UInt32.self))
    }

    /// The sequence alone.
    @inline(__always)
    func sequence(_ body: UnsafeRawPointer) -> UInt64 {
        var p = body
        p += p.load(as: UInt8.self) & BlockFormat.Meta.hasTag != 0 ? 2 : 1
        return baseSequence &+ Varint.readTrusted(&p)
    }

    /// Looks for the newest version of `key` whose sequence is at most `maxSequence`. On `.found` the entry is filled
    /// in, with `key` itself as its key.
    @inline(__always)
    func find(_ key: ByteView, _ maxSequence: UInt64, _ entry: UnsafeMutablePointer<Entry>) -> BlockSearch {
        var place = BodyPlace()
        let result = locate(key, maxSequence, &place)
        if result == .found {
            readBody(place.at, place.length, into: entry)
            entry.pointee.key = key
        }
        return result
    }

    /// As `find`, but gives the place of the entry's body and does not touch it when any version will do.
    @inline(__always)
    func locate(_ key: ByteView, _ maxSequence: UInt64, _ place: inout BodyPlace) -> BlockSearch {
        let prefixLength = self.prefixLength
        if prefixLength > 0 {
            guard key.count >= prefixLength, memcmp(key.base, base + BlockFormat.headerBytes, prefixLength) == 0
            else { return .absent }
        }
        let rest = key.dropFirst(prefixLength)
        let restarts = restartCount
        var run = lastRestart(before: rest)
        let stop = base + bodiesStart
        var at = base + restartKey(run)
        var body = base + restartBody(run)
        var runEnd = run &+ 1 < restarts ? base + restartKey(run &+ 1) : stop
        // Bytes that `rest` has in common with the entry before `at`, which is before the key or is the key itself in a
        // version that is too new.
        var matched = 0
        while true {
            if at == runEnd {
                if at == stop { break }
                run &+= 1
                runEnd = run &+ 1 < restarts ? base + restartKey(run &+ 1) : stop
                matched = 0
            }
            let head = EntryHead(at)
            // An entry that shares more with the one before than the key does is still before the key.
            if head.shared < matched { return .absent }
            if head.shared == matched {
                let wanted = rest.count &- matched
                let shorter = wanted < head.unshared ? wanted : head.unshared
                var i = 0
                let a = head.key
                let b = rest.base + matched
                while i < shorter
                    && a.load(fromByteOffset: i, as: UInt8.self) == b.load(fromByteOffset: i, as: UInt8.self)
                {
                    i &+= 1
                }
                if i < shorter {
                    if a.load(fromByteOffset: i, as: UInt8.self) > b.load(fromByteOffset: i, as: UInt8.self) {
                        return .absent
                    }
                } else if head.unshared > wanted {
                    return .absent
                } else if head.unshared == wanted {
                    if maxSequence == UInt64.max || sequence(body) <= maxSequence {
                        place = BodyPlace(at: body, length: head.body)
                        return .found
                    }
                }
                matched &+= i
            }
            at = head.end
            body += head.body
        }
        // Every entry of the last run is at or before the key. `matched` covers the whole key only if the last one is
        // it.
        return matched == rest.count ? .continues : .absent
    }
}

extension BlockFormat {
    /// True when `content` is a whole data block whose lengths, kinds and restarts fit each other, so that it can be
    /// searched without further checks. Does not compare keys. O(entries).
    static func validate(_ content: ByteView) -> Bool {
        guard content.count > headerBytes, content.count <= TableFormat.blockBytesMax else { return false }
        let view = BlockView(base: content.base, count: content.count)
        let restarts = view.restartCount
        let entries = view.entryCount
        let bodiesStart = view.bodiesStart
        // The counts are below 2^32, so nothing overflows.
        guard view.prefixLength <= EntryLimits.keyBytesMax, restarts >= 1, restarts <= entries,
            bodiesStart <= content.count, view.keysStart < bodiesStart
        else { return false }
        let base = content.base
        let bodies = base + bodiesStart
        let end = base + content.count
        var at = base + view.keysStart
        var body = bodies
        var run = 0
        var length = 0
        for _ in 0..<entries {
            let isRestart = run < restarts && view.restartKey(run) == at - base
            if isRestart {
                guard view.restartBody(run) == body - base else { return false }
                run += 1
            }
            guard run > 0, bodies - at >= 3 else { return false }
            let b0 = at.load(as: UInt8.self)
            let b1 = at.load(fromByteOffset: 1, as: UInt8.self)
            let b2 = at.load(fromByteOffset: 2, as: UInt8.self)
            var head = EntryHead(shared: Int(b0), unshared: Int(b1), body: Int(b2), key: at + 3)
            if (b0 | b1 | b2) >= 0x80 {
                // Longer varints, which may run past the end of the area.
                var reader = ByteReader(ByteView(base: at, count: bodies - at))
                guard let shared = reader.varint(), let unshared = reader.varint(), let bytes = reader.varint(),
                    shared <= UInt64(EntryLimits.keyBytesMax), unshared <= UInt64(EntryLimits.keyBytesMax),
                    bytes <= UInt64(content.count)
                else { return false }
                head = EntryHead(shared: Int(shared), unshared: Int(unshared), body: Int(bytes), key: reader.at)
            }
            guard head.shared <= (isRestart ? 0 : length), head.unshared <= bodies - head.key, head.body <= end - body,
                validateBody(body, head.body)
            else { return false }
            length = head.shared + head.unshared
            guard length + view.prefixLength <= EntryLimits.keyBytesMax else { return false }
            at = head.end
            body += head.body
        }
        return run == restarts && at == bodies && body == end
    }

    /// The body of `length` bytes at `body` is whole and says something possible.
    @inline(__always)
    private static func validateBody(_ body: UnsafeRawPointer, _ length: Int) -> Bool {
        guard length >= 2 else { return false }
        let meta = body.load(as: UInt8.self)
        let kind = (meta >> Meta.kindShift) & 3
        guard kind == EntryKind.put.rawValue || kind == EntryKind.delete.rawValue else { return false }
        var at = meta & Meta.hasTag != 0 ? 2 : 1
        guard skipVarint(body, &at, length) else { return false }
        if meta & Meta.hasExpiry != 0 && !skipVarint(body, &at, length) { return false }
        if Meta.flags(meta).contains(.separated) {
            return kind == EntryKind.put.rawValue && length - at == pointerBytes
        }
        return kind == EntryKind.put.rawValue || at == length
    }

    /// Moves `at` past a varint that ends in front of `length`; false when there is none.
    @inline(__always)
    private static func skipVarint(_ bytes: UnsafeRawPointer, _ at: inout Int, _ length: Int) -> Bool {
        let limit = at + 10
        while at < length && at < limit {
            at += 1
            if bytes.load(fromByteOffset: at - 1, as: UInt8.self) < 0x80 { return true }
        }
        return false
    }
}
