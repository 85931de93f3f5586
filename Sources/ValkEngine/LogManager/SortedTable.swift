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
// A slot is 0 (nothing), a node address, or a record address with bit 0 set. Nodes are in SortedTable+Nodes, records in
// TableRecord.

import CValk
import Glibc
import ValkBase

/// See the file header. `package` so that tests and tools can build one without a store.
package final class SortedTable: @unchecked Sendable {  // Publication rules of the file header.
    /// Writer only.
    var arena: TableArena
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
        record.storeBytes(of: 0, toByteOffset: 35, as: UInt8.self)
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
                    record.follow(old)
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
}
