// The in-memory sorted table: an adaptive radix tree over the newest entries (Leis et al., "The Adaptive Radix Tree",
// ICDE 2013, with the write-once publication rules of "The ART of Practical Synchronization", DaMoN 2016).
//
// Why a radix tree: a point write or read costs one cache line per distinguishing byte and no key comparisons on the
// way (a skip list of a million keys costs twenty), and the order of the leaves is the order of the keys.
//
// Threads: one writer at a time (the holder of the store's commit lock); any number of readers without locks. What
// makes that safe:
// 1. Memory is never freed or moved while the table lives (arena).
// 2. A reader follows only slots that were published with a release store after their target was complete.
// 3. Nodes with 4 and 16 slots append: slot and byte first, then the count. Larger nodes publish the slot.
// 4. A full node or a node whose prefix splits is copied; the copy replaces it by one store in its parent's slot.
// 5. There is no removal: deletes are entries of their own.
//
// A slot is 0 (nothing), a node address, or a record address with bit 0 set. A record is one version; `previous` leads
// to the next older version of the same key in this table.
//
//   record: previous u64 | sequence u64 | expireAt u64 | keyLength u32 | valueLength u32 | kind flags tag 0 | 0 u32
//           | key | value bytes, or 16 bytes of ValuePointer when separated

import CValk
import Glibc
import ValkBase

/// A version inside a table's arena. A plain address; valid as long as the table.
@frozen
package struct TableRecord {
    package let base: UnsafeMutableRawPointer

    @inlinable init(_ base: UnsafeMutableRawPointer) { self.base = base }

    static let headerBytes = 40

    @inline(__always) var previous: UInt64 { base.load(fromByteOffset: 0, as: UInt64.self) }
    @inline(__always) var sequence: UInt64 { base.load(fromByteOffset: 8, as: UInt64.self) }
    @inline(__always) var expireAt: UInt64 { base.load(fromByteOffset: 16, as: UInt64.self) }
    @inline(__always) var keyLength: Int { Int(base.load(fromByteOffset: 24, as: UInt32.self)) }
    @inline(__always) var valueLength: Int { Int(base.load(fromByteOffset: 28, as: UInt32.self)) }
    @inline(__always) var kind: EntryKind {
        base.load(fromByteOffset: 32, as: UInt8.self) == EntryKind.put.rawValue ? .put : .delete
    }
    @inline(__always) var flags: EntryFlags { EntryFlags(rawValue: base.load(fromByteOffset: 33, as: UInt8.self)) }
    @inline(__always) var tag: UInt8 { base.load(fromByteOffset: 34, as: UInt8.self) }
    @inline(__always) var key: ByteView {
        ByteView(base: UnsafeRawPointer(base + TableRecord.headerBytes), count: keyLength)
    }

    /// Holder of the commit lock only; readers do not look at this flag.
    func clearPriorUnknown() {
        base.storeBytes(of: flags.subtracting(.priorUnknown).rawValue, toByteOffset: 33, as: UInt8.self)
    }

    @inline(__always)
    func fill(_ entry: UnsafeMutablePointer<Entry>) {
        let length = keyLength
        let at = UnsafeRawPointer(base + TableRecord.headerBytes)
        entry.pointee.key = ByteView(base: at, count: length)
        entry.pointee.sequence = sequence
        entry.pointee.kind = kind
        let flags = self.flags
        entry.pointee.flags = flags
        entry.pointee.tag = tag
        entry.pointee.expireAt = expireAt
        let bytes = valueLength
        entry.pointee.valueLength = bytes
        if flags.contains(.separated) {
            entry.pointee.value = .empty
            entry.pointee.pointer = (at + length).loadUnaligned(as: ValuePointer.self)
        } else {
            entry.pointee.value = ByteView(base: at + length, count: bytes)
        }
    }
}

/// See the file header. `package` so that tests and tools can build one without a store.
package final class SortedTable: @unchecked Sendable {  // Publication rules of the file header.
    // Node header: type u8 at 0, count u16 at 2, prefix length u32 at 4, prefix address u64 at 8, terminal slot u64 at
    // 16.
    enum NodeType {
        static let four: UInt8 = 4
        static let sixteen: UInt8 = 16
        static let fortyEight: UInt8 = 48
        static let full: UInt8 = 255
    }
    static let headerBytes = 24
    // Node4: 4 bytes at 24, slots at 32. Node16: 16 bytes at 24, slots at 40. Node48: 256 index bytes at 24, slots at
    // 280. Node256: slots at 24.
    static let slots4 = 32
    static let slots16 = 40
    static let slots48 = 280
    static let slots256 = 24
    static let bytes4 = slots4 + 4 * 8
    static let bytes16 = slots16 + 16 * 8
    static let bytes48 = slots48 + 48 * 8
    static let bytes256 = slots256 + 256 * 8

    private var arena: TableArena
    /// The root slot; on the heap so that readers can load it atomically.
    let root: UnsafeMutablePointer<UInt64>
    /// Versions in the table. Writer only; readers may see an old value.
    package private(set) var entryCount = 0
    /// Smallest and largest sequence inserted; 0 when empty.
    package private(set) var firstSequence: UInt64 = 0
    package private(set) var lastSequence: UInt64 = 0

    /// Two bits a key in one cache line: a look at a key that is not here ends at the filter, which stays in the
    /// processor's cache, and not at the bottom of the tree.
    private let filter: UnsafeMutableRawPointer
    private let filterMask: UInt64

    /// `filterBytes` is rounded up to a power of two, at least 64.
    package init(pool: ChunkPool, filterBytes: Int = 4096) {
        var size = 64
        while size < filterBytes { size *= 2 }
        filter = .allocate(byteCount: size, alignment: 64)
        memset(filter, 0, size)
        filterMask = UInt64(size / 64 - 1)
        arena = TableArena(pool: pool)
        root = .allocate(capacity: 1)
        root.initialize(to: 0)
    }

    deinit {
        root.deallocate()
        filter.deallocate()
    }

    /// Bytes in use by entries and nodes. Writer only.
    package var usedBytes: Int { arena.usedBytes }
    /// Bytes held for the table. Writer only.
    package var reservedBytes: Int { arena.reservedBytes }

    // MARK: Reading

    @inline(__always)
    private func filterWords(_ hash: UInt64) -> (first: UnsafeMutableRawPointer, second: UnsafeMutableRawPointer) {
        let line = filter + Int((hash >> 32) & filterMask) &* 64
        return (line + Int(hash & 3) &* 8, line + 32 + Int((hash >> 2) & 3) &* 8)
    }

    @inline(__always)
    package func mayContain(_ hash: UInt64) -> Bool {
        let words = filterWords(hash)
        let first = valk_load_relaxed_u64(words.first) >> ((hash >> 4) & 63)
        let second = valk_load_relaxed_u64(words.second) >> ((hash >> 10) & 63)
        return first & second & 1 != 0
    }

    /// Asks for the memory that `mayContain` touches.
    @inline(__always)
    func prefetchFilter(_ hash: UInt64) { valk_prefetch(filterWords(hash).first) }

    /// As `find(_:maxSequence:)`, with `key.hash64` at hand.
    @inline(__always)
    package func find(_ key: ByteView, _ hash: UInt64, maxSequence: UInt64) -> TableRecord? {
        mayContain(hash) ? find(key, maxSequence: maxSequence) : nil
    }

    /// The newest version of `key` with a sequence of at most `maxSequence`, or nil. Any thread.
    @inline(__always)
    package func find(_ key: ByteView, maxSequence: UInt64) -> TableRecord? {
        var slot = valk_load_acquire_u64(root)
        var depth = 0
        while slot != 0 {
            if slot & 1 != 0 {
                var record = TableRecord(SortedTable.address(slot & ~1))
                guard record.keyLength == key.count,
                    memcmp(record.base + TableRecord.headerBytes, key.base, key.count) == 0
                else { return nil }
                while record.sequence > maxSequence {
                    let older = record.previous
                    if older == 0 { return nil }
                    record = TableRecord(SortedTable.address(older))
                }
                return record
            }
            // Prefixes are skipped, not compared: the record's whole key is compared in the end.
            let node = SortedTable.address(slot)
            depth &+= Int(node.load(fromByteOffset: 4, as: UInt32.self))
            if depth >= key.count {
                if depth > key.count { return nil }
                slot = valk_load_acquire_u64(node + 16)
                continue
            }
            slot = SortedTable.child(node, key[depth])
            depth &+= 1
        }
        return nil
    }

    @inline(__always)
    static func address(_ slot: UInt64) -> UnsafeMutableRawPointer {
        // SAFETY: slots are 0 or addresses that this table wrote; callers have excluded 0.
        UnsafeMutableRawPointer(bitPattern: UInt(slot)).unsafelyUnwrapped
    }

    /// The slot value of `byte` in `node`, 0 when there is none.
    @inline(__always)
    static func child(_ node: UnsafeMutableRawPointer, _ byte: UInt8) -> UInt64 {
        guard let at = childSlot(node, byte) else { return 0 }
        return valk_load_acquire_u64(at)
    }

    /// Where the slot of `byte` lies, nil when the node has none.
    @inline(__always)
    static func childSlot(_ node: UnsafeMutableRawPointer, _ byte: UInt8) -> UnsafeMutableRawPointer? {
        switch node.load(as: UInt8.self) {
        case NodeType.sixteen:
            let count = nodeCount(node)
            let pattern = 0x0101_0101_0101_0101 &* UInt64(byte)
            if let i = zeroByte(node.load(fromByteOffset: 24, as: UInt64.self) ^ pattern), i < count {
                return node + (slots16 &+ i &* 8)
            }
            if count > 8, let i = zeroByte(node.load(fromByteOffset: 32, as: UInt64.self) ^ pattern), i &+ 8 < count {
                return node + (slots16 &+ (i &+ 8) &* 8)
            }
            return nil
        case NodeType.four:
            let count = nodeCount(node)
            var i = 0
            while i < count {
                if node.load(fromByteOffset: 24 &+ i, as: UInt8.self) == byte { return node + (slots4 &+ i &* 8) }
                i &+= 1
            }
            return nil
        case NodeType.fortyEight:
            let index = Int(valk_load_acquire_u8(node + (24 &+ Int(byte))))
            return index == 0 ? nil : node + (slots48 &+ (index &- 1) &* 8)
        default:
            return node + (slots256 &+ Int(byte) &* 8)
        }
    }

    /// Index of the lowest zero byte of `word`.
    @inline(__always)
    private static func zeroByte(_ word: UInt64) -> Int? {
        let hit = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
        return hit == 0 ? nil : hit.trailingZeroBitCount >> 3
    }

    /// Filled slots of a node with 4 or 16; acquires what was appended.
    @inline(__always)
    static func nodeCount(_ node: UnsafeMutableRawPointer) -> Int {
        Int(valk_load_acquire_u32(node) >> 16)
    }

    static func prefix(_ node: UnsafeMutableRawPointer) -> ByteView {
        let length = Int(node.load(fromByteOffset: 4, as: UInt32.self))
        if length == 0 { return .empty }
        return ByteView(base: UnsafeRawPointer(address(node.load(fromByteOffset: 8, as: UInt64.self))), count: length)
    }

    // MARK: Writing (holder of the commit lock)

    /// Adds one version, newer than all in the table. Returns the version of the same key that it hides, if this table
    /// has one. The bytes are copied. For a separated value `pointer` is stored instead of `value`.
    package func insert(
        key: ByteView, sequence: UInt64, kind: EntryKind, flags: EntryFlags, tag: UInt8, expireAt: UInt64,
        value: ByteView, pointer: ValuePointer
    ) -> TableRecord? {
        let separated = flags.contains(.separated)
        let record = arena.allocate(TableRecord.headerBytes &+ key.count &+ (separated ? 16 : value.count))
        record.storeBytes(of: 0, toByteOffset: 0, as: UInt64.self)
        record.storeBytes(of: sequence, toByteOffset: 8, as: UInt64.self)
        record.storeBytes(of: expireAt, toByteOffset: 16, as: UInt64.self)
        record.storeBytes(of: UInt32(truncatingIfNeeded: key.count), toByteOffset: 24, as: UInt32.self)
        let length = separated ? Int(pointer.length) : value.count
        record.storeBytes(of: UInt32(truncatingIfNeeded: length), toByteOffset: 28, as: UInt32.self)
        record.storeBytes(of: kind.rawValue, toByteOffset: 32, as: UInt8.self)
        record.storeBytes(of: flags.rawValue, toByteOffset: 33, as: UInt8.self)
        record.storeBytes(of: tag, toByteOffset: 34, as: UInt8.self)
        let keyAt = record + TableRecord.headerBytes
        memcpy(keyAt, key.base, key.count)
        if separated {
            withUnsafeBytes(of: pointer) { (keyAt + key.count).copyMemory(from: $0.baseAddress!, byteCount: 16) }
        } else {
            memcpy(keyAt + key.count, value.base, value.count)
        }
        entryCount &+= 1
        if firstSequence == 0 { firstSequence = sequence }
        lastSequence = sequence
        return place(TableRecord(record), ByteView(base: UnsafeRawPointer(keyAt), count: key.count))
    }

    private func place(_ record: TableRecord, _ key: ByteView) -> TableRecord? {
        let leaf = UInt64(UInt(bitPattern: record.base)) | 1
        var at = UnsafeMutableRawPointer(root)
        var depth = 0
        while true {
            let slot = at.load(as: UInt64.self)
            if slot == 0 {
                note(key)
                valk_store_release_u64(at, leaf)
                return nil
            }
            if slot & 1 != 0 {
                let old = TableRecord(SortedTable.address(slot & ~1))
                let oldKey = old.key
                if oldKey == key {
                    record.base.storeBytes(of: slot & ~1, toByteOffset: 0, as: UInt64.self)
                    valk_store_release_u64(at, leaf)
                    return old
                }
                note(key)
                let shared = oldKey.dropFirst(depth).commonPrefix(with: key.dropFirst(depth))
                let node = makeNode(NodeType.four, prefix: key[depth..<depth &+ shared])
                let split = depth &+ shared
                addUnpublished(node, oldKey, split, slot)
                addUnpublished(node, key, split, leaf)
                valk_store_release_u64(at, UInt64(UInt(bitPattern: node)))
                return nil
            }
            let node = SortedTable.address(slot)
            let prefix = SortedTable.prefix(node)
            if !prefix.isEmpty {
                let rest = key.dropFirst(depth)
                let shared = prefix.commonPrefix(with: rest)
                if shared < prefix.count {
                    note(key)
                    splitPrefix(at, node, prefix, shared, key, depth, leaf)
                    return nil
                }
                depth &+= shared
            }
            if depth == key.count {
                at = node + 16
                continue
            }
            if let slotAt = SortedTable.childSlot(node, key[depth]), slotAt.load(as: UInt64.self) != 0 {
                at = slotAt
                depth &+= 1
                continue
            }
            note(key)
            append(at, node, key[depth], leaf)
            return nil
        }
    }

    /// Enters a new key into the filter, before the key can be found.
    @inline(__always)
    private func note(_ key: ByteView) {
        let hash = key.hash64
        let words = filterWords(hash)
        valk_store_relaxed_u64(words.first, words.first.load(as: UInt64.self) | 1 << ((hash >> 4) & 63))
        valk_store_relaxed_u64(words.second, words.second.load(as: UInt64.self) | 1 << ((hash >> 10) & 63))
    }

    private func makeNode(_ type: UInt8, prefix: ByteView) -> UnsafeMutableRawPointer {
        let bytes: Int
        switch type {
        case NodeType.four: bytes = SortedTable.bytes4
        case NodeType.sixteen: bytes = SortedTable.bytes16
        case NodeType.fortyEight: bytes = SortedTable.bytes48
        default: bytes = SortedTable.bytes256
        }
        let node = arena.allocateLine(bytes)
        memset(node, 0, bytes)
        node.storeBytes(of: type, as: UInt8.self)
        SortedTable.setPrefix(node, prefix)
        return node
    }

    private static func setPrefix(_ node: UnsafeMutableRawPointer, _ prefix: ByteView) {
        node.storeBytes(of: UInt32(truncatingIfNeeded: prefix.count), toByteOffset: 4, as: UInt32.self)
        node.storeBytes(of: UInt64(UInt(bitPattern: prefix.base)), toByteOffset: 8, as: UInt64.self)
    }

    private static func setCount(_ node: UnsafeMutableRawPointer, _ count: Int) {
        valk_store_release_u32(node, UInt32(node.load(as: UInt8.self)) | UInt32(truncatingIfNeeded: count) << 16)
    }

    /// Adds a child to a node of four that nobody can see yet; `depth` is where the node's own byte stands in `key`.
    private func addUnpublished(_ node: UnsafeMutableRawPointer, _ key: ByteView, _ depth: Int, _ slot: UInt64) {
        if depth == key.count {
            node.storeBytes(of: slot, toByteOffset: 16, as: UInt64.self)
            return
        }
        let count = SortedTable.nodeCount(node)
        node.storeBytes(of: key[depth], toByteOffset: 24 &+ count, as: UInt8.self)
        node.storeBytes(of: slot, toByteOffset: SortedTable.slots4 &+ count &* 8, as: UInt64.self)
        SortedTable.setCount(node, count &+ 1)
    }

    /// The key leaves `node`'s prefix after `shared` bytes: a new node takes the shared part, with a copy of `node`
    /// (with the rest of its prefix) and the new leaf below it.
    private func splitPrefix(
        _ at: UnsafeMutableRawPointer, _ node: UnsafeMutableRawPointer, _ prefix: ByteView, _ shared: Int,
        _ key: ByteView, _ depth: Int, _ leaf: UInt64
    ) {
        let type = node.load(as: UInt8.self)
        let copy = makeNode(type, prefix: .empty)
        let bytes: Int
        switch type {
        case NodeType.four: bytes = SortedTable.bytes4
        case NodeType.sixteen: bytes = SortedTable.bytes16
        case NodeType.fortyEight: bytes = SortedTable.bytes48
        default: bytes = SortedTable.bytes256
        }
        memcpy(copy, node, bytes)
        SortedTable.setPrefix(copy, prefix.dropFirst(shared &+ 1))
        let parent = makeNode(NodeType.four, prefix: prefix[0..<shared])
        addUnpublished(parent, prefix, shared, UInt64(UInt(bitPattern: copy)))
        addUnpublished(parent, key, depth &+ shared, leaf)
        valk_store_release_u64(at, UInt64(UInt(bitPattern: parent)))
    }

    /// Adds a child for a byte that `node` does not have; `at` is the slot that leads to `node`.
    private func append(_ at: UnsafeMutableRawPointer, _ node: UnsafeMutableRawPointer, _ byte: UInt8, _ slot: UInt64) {
        switch node.load(as: UInt8.self) {
        case NodeType.four:
            let count = SortedTable.nodeCount(node)
            if count < 4 {
                node.storeBytes(of: slot, toByteOffset: SortedTable.slots4 &+ count &* 8, as: UInt64.self)
                node.storeBytes(of: byte, toByteOffset: 24 &+ count, as: UInt8.self)
                SortedTable.setCount(node, count &+ 1)
                return
            }
            let grown = grow(node, NodeType.sixteen)
            memcpy(grown + 24, node + 24, 4)
            memcpy(grown + SortedTable.slots16, node + SortedTable.slots4, 32)
            SortedTable.setCount(grown, 4)
            append(at, grown, byte, slot)
            valk_store_release_u64(at, UInt64(UInt(bitPattern: grown)))
        case NodeType.sixteen:
            let count = SortedTable.nodeCount(node)
            if count < 16 {
                node.storeBytes(of: slot, toByteOffset: SortedTable.slots16 &+ count &* 8, as: UInt64.self)
                node.storeBytes(of: byte, toByteOffset: 24 &+ count, as: UInt8.self)
                SortedTable.setCount(node, count &+ 1)
                return
            }
            let grown = grow(node, NodeType.fortyEight)
            for i in 0..<16 {
                let b = Int(node.load(fromByteOffset: 24 &+ i, as: UInt8.self))
                grown.storeBytes(of: UInt8(i + 1), toByteOffset: 24 &+ b, as: UInt8.self)
            }
            memcpy(grown + SortedTable.slots48, node + SortedTable.slots16, 128)
            SortedTable.setCount(grown, 16)
            append(at, grown, byte, slot)
            valk_store_release_u64(at, UInt64(UInt(bitPattern: grown)))
        case NodeType.fortyEight:
            let count = SortedTable.nodeCount(node)
            if count < 48 {
                node.storeBytes(of: slot, toByteOffset: SortedTable.slots48 &+ count &* 8, as: UInt64.self)
                SortedTable.setCount(node, count &+ 1)
                valk_store_release_u8(node + (24 &+ Int(byte)), UInt8(count + 1))
                return
            }
            let grown = grow(node, NodeType.full)
            for b in 0..<256 {
                let index = Int(node.load(fromByteOffset: 24 &+ b, as: UInt8.self))
                if index == 0 { continue }
                let child = node.load(fromByteOffset: SortedTable.slots48 &+ (index &- 1) &* 8, as: UInt64.self)
                grown.storeBytes(of: child, toByteOffset: SortedTable.slots256 &+ b &* 8, as: UInt64.self)
            }
            append(at, grown, byte, slot)
            valk_store_release_u64(at, UInt64(UInt(bitPattern: grown)))
        default:
            valk_store_release_u64(node + (SortedTable.slots256 &+ Int(byte) &* 8), slot)
        }
    }

    /// An empty node of `type` with `node`'s prefix and terminal slot.
    private func grow(_ node: UnsafeMutableRawPointer, _ type: UInt8) -> UnsafeMutableRawPointer {
        let grown = makeNode(type, prefix: SortedTable.prefix(node))
        grown.storeBytes(of: node.load(fromByteOffset: 16, as: UInt64.self), toByteOffset: 16, as: UInt64.self)
        return grown
    }
}
