// The content of a data block, and how to search it in place.
//
//    0  baseSequence  u64   smallest sequence in the block
//    8  baseExpiry    u64   smallest expiry in the block, 0 when no entry has one
//   16  prefixLength  u32   bytes that all keys of the block begin with, stored once
//   20  entriesEnd    u32   where the restart offsets begin
//   24  prefix, then the entries, then the offsets of the restart entries (u16 each; u32 in a content over 65,535 bytes)
//
//   entry := shared varint | unshared varint | bodyLength varint | unshared key bytes | body
//   body  := meta u8 | [tag u8] | sequence - baseSequence varint | [expireAt - baseExpiry varint] | value or pointer
//   meta  := flags (bits 0...3) | kind (bits 4, 5) | has a tag (bit 6) | has an expiry (bit 7)
//
// `shared` counts the key bytes after the block's prefix that equal those of the entry before; it is 0 in a restart
// entry. Every Nth entry is a restart. Putting the body's length in front lets a search step over an entry without
// looking into it.
//
// SAFETY: `validate` walks a block once, when it comes from the disk. Everything else here trusts the block: checksummed,
// walked, and immutable from then on.

import CValk
import Glibc
import ValkBase

enum BlockFormat {
    static let headerBytes = 24
    static let pointerBytes = 16

    enum Meta {
        static let flagsMask: UInt8 = 0x0F
        static let kindShift: UInt8 = 4
        static let hasTag: UInt8 = 0x40
        static let hasExpiry: UInt8 = 0x80
    }

    @inline(__always)
    static func restartWidth(_ contentBytes: Int) -> Int { contentBytes > 0xFFFF ? 4 : 2 }
}

/// The three lengths in front of an entry. A trivial struct that lives in registers.
struct EntryHead {
    var shared: Int
    var unshared: Int
    var body: Int
    /// Where the unshared key bytes start.
    var key: UnsafeRawPointer

    @inline(__always)
    init(_ at: UnsafeRawPointer) {
        // Keys are mostly shorter than 128 bytes, and a block is never read at its last 4 bytes here: restart offsets and
        // the trailer's memory follow the entries.
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

    @inline(__always) var bodyStart: UnsafeRawPointer { key + unshared }
    @inline(__always) var end: UnsafeRawPointer { key + (unshared &+ body) }
}

/// What a search inside one block came to.
enum BlockSearch {
    case found
    case absent
    /// The key's versions here are all newer than wanted, and there may be more in the next block.
    case continues
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

    @inline(__always) var baseSequence: UInt64 { base.fixed(0, UInt64.self) }
    @inline(__always) var baseExpiry: UInt64 { base.fixed(8, UInt64.self) }
    @inline(__always) var prefixLength: Int { Int(base.fixed(16, UInt32.self)) }
    @inline(__always) var entriesEnd: Int { Int(base.fixed(20, UInt32.self)) }
    @inline(__always) var prefix: ByteView { ByteView(base: base + BlockFormat.headerBytes, count: prefixLength) }
    @inline(__always) var entriesStart: Int { BlockFormat.headerBytes &+ prefixLength }
    @inline(__always) var restartCount: Int { (count &- entriesEnd) / BlockFormat.restartWidth(count) }

    @inline(__always)
    func restart(_ index: Int) -> Int {
        let table = base + entriesEnd
        return count > 0xFFFF
            ? Int(table.fixed(index &* 4, UInt32.self)) : Int(table.fixed(index &* 2, UInt16.self))
    }

    /// The last restart whose key is before `key` (both without the block's prefix), 0 when there is none.
    @inline(__always)
    func lastRestart(before key: ByteView) -> Int {
        var low = 0
        var high = restartCount
        // Invariant: restarts below `low` are before the key (or low is 0), those from `high` on are not.
        while high &- low > 1 {
            let middle = (low &+ high) >> 1
            let head = EntryHead(base + restart(middle))
            if ByteView(base: head.key, count: head.unshared).compare(key) < 0 { low = middle } else { high = middle }
        }
        return low
    }

    /// Fills in everything of `entry` but its key.
    @inline(__always)
    func readBody(_ head: EntryHead, into entry: UnsafeMutablePointer<Entry>) {
        var p = head.bodyStart
        let end = head.end
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
        let flags = EntryFlags(rawValue: meta & BlockFormat.Meta.flagsMask)
        entry.pointee.flags = flags
        if flags.contains(.separated) {
            let pointer = ValuePointer(
                segment: p.fixed(0, UInt32.self), offset: p.fixed(4, UInt32.self), length: p.fixed(8, UInt32.self),
                crc: p.fixed(12, UInt32.self))
            entry.pointee.pointer = pointer
            entry.pointee.value = ByteView(base: p, count: 0)
            entry.pointee.valueLength = Int(pointer.length)
        } else {
            let length = end - p
            entry.pointee.value = ByteView(base: p, count: length)
            entry.pointee.valueLength = length
        }
    }

    /// The sequence alone.
    @inline(__always)
    func sequence(_ head: EntryHead) -> UInt64 {
        var p = head.bodyStart
        p += p.load(as: UInt8.self) & BlockFormat.Meta.hasTag != 0 ? 2 : 1
        return baseSequence &+ Varint.readTrusted(&p)
    }

    /// Looks for the newest version of `key` whose sequence is at most `maxSequence`. On `.found` the entry is filled
    /// in, with `key` itself as its key.
    @inline(__always)
    func find(_ key: ByteView, _ maxSequence: UInt64, _ entry: UnsafeMutablePointer<Entry>) -> BlockSearch {
        let prefixLength = self.prefixLength
        if prefixLength > 0 {
            guard key.count >= prefixLength, memcmp(key.base, base + BlockFormat.headerBytes, prefixLength) == 0
            else { return .absent }
        }
        let rest = key.dropFirst(prefixLength)
        var run = lastRestart(before: rest)
        let restarts = restartCount
        let stop = base + entriesEnd
        var at = base + restart(run)
        var runEnd = run &+ 1 < restarts ? base + restart(run &+ 1) : stop
        // Bytes that `rest` has in common with the entry before `at`, which is before the key or is the key itself in a
        // version that is too new.
        var matched = 0
        while true {
            if at == runEnd {
                if at == stop { break }
                run &+= 1
                runEnd = run &+ 1 < restarts ? base + restart(run &+ 1) : stop
                matched = 0
            }
            let head = EntryHead(at)
            if head.shared < matched { return .absent }
            if head.shared == matched {
                // Compare what follows the shared bytes.
                let wanted = rest.count &- matched
                let shorter = wanted < head.unshared ? wanted : head.unshared
                var i = 0
                let a = head.key
                let b = rest.base + matched
                while i < shorter && a.load(fromByteOffset: i, as: UInt8.self) == b.load(fromByteOffset: i, as: UInt8.self)
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
                    if sequence(head) <= maxSequence {
                        readBody(head, into: entry)
                        entry.pointee.key = key
                        return .found
                    }
                }
                matched &+= i
            }
            at = head.end
        }
        // Every entry of the last run is at or before the key. `matched` covers the whole key only if the last one is it.
        return matched == rest.count ? .continues : .absent
    }
}

extension BlockFormat {
    /// True when `content` is a whole data block whose lengths, kinds and restarts fit each other, so that it can be
    /// searched without further checks. Does not compare keys. O(entries).
    static func validate(_ content: ByteView) -> Bool {
        guard content.count > headerBytes, content.count <= TableFormat.blockBytesMax else { return false }
        let base = content.base
        let prefixLength = Int(base.fixed(16, UInt32.self))
        let entriesEnd = Int(base.fixed(20, UInt32.self))
        guard entriesEnd <= content.count, prefixLength <= EntryLimits.keyBytesMax,
            headerBytes + prefixLength < entriesEnd
        else { return false }
        let width = restartWidth(content.count)
        let restartBytes = content.count - entriesEnd
        guard restartBytes > 0, restartBytes % width == 0 else { return false }
        let view = BlockView(base: base, count: content.count)
        let restarts = view.restartCount
        var reader = ByteReader(content[(headerBytes + prefixLength)..<entriesEnd])
        var run = 0
        var previousLength = 0
        while reader.remaining > 0 {
            let offset = reader.at - base
            let isRestart = run < restarts && view.restart(run) == offset
            guard let shared = reader.varint(), let unshared = reader.varint(), let body = reader.varint(),
                shared <= UInt64(isRestart ? 0 : previousLength), unshared <= UInt64(EntryLimits.keyBytesMax),
                body <= UInt64(reader.remaining), reader.bytes(Int(unshared)) != nil,
                let bytes = reader.bytes(Int(body)), validateBody(bytes)
            else { return false }
            if isRestart { run += 1 } else if offset == headerBytes + prefixLength { return false }
            previousLength = Int(shared) + Int(unshared)
            guard previousLength + prefixLength <= EntryLimits.keyBytesMax else { return false }
        }
        return run == restarts
    }

    private static func validateBody(_ body: ByteView) -> Bool {
        var reader = ByteReader(body)
        guard let meta = reader.fixed(UInt8.self) else { return false }
        let kind = (meta >> Meta.kindShift) & 3
        guard kind == EntryKind.put.rawValue || kind == EntryKind.delete.rawValue else { return false }
        if meta & Meta.hasTag != 0 && reader.fixed(UInt8.self) == nil { return false }
        guard reader.varint() != nil else { return false }
        if meta & Meta.hasExpiry != 0 && reader.varint() == nil { return false }
        if EntryFlags(rawValue: meta & Meta.flagsMask).contains(.separated) {
            return kind == EntryKind.put.rawValue && reader.remaining == pointerBytes
        }
        return kind == EntryKind.put.rawValue || reader.remaining == 0
    }
}
