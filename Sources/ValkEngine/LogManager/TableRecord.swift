// One version of a key in the in-memory sorted table; `previous` leads to the next older version of the same key there.
//
//   record: previous u64 | sequence u64 | expireAt u64 | keyLength u32 | valueLength u32 | kind flags tag chain | 0 u32
//           | key | value bytes, or 16 bytes of ValuePointer when separated
//
// `chain` says what the older versions of the key are like, so that nobody has to walk over them: a key that is written
// with every command has as many of them as there were commands.
//
// Written once by the holder of the commit lock before it is published, and never changed but for what is known of the
// prior.

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

    private static let chainSeparated: UInt8 = 1
    private static let chainOpen: UInt8 = 2

    @inline(__always) private var chain: UInt8 { base.load(fromByteOffset: 35, as: UInt8.self) }

    /// The value of some older version lies in the log.
    @inline(__always) var olderAreSeparated: Bool { chain & TableRecord.chainSeparated != 0 }

    /// Nobody knows whether the key existed before the oldest version of it in this table.
    @inline(__always) var oldestIsOpen: Bool {
        previous == 0 ? flags.contains(.priorUnknown) : chain & TableRecord.chainOpen != 0
    }

    /// Before the record is published: `older` is the version that it hides.
    @inline(__always)
    func follow(_ older: TableRecord) {
        base.storeBytes(of: UInt64(UInt(bitPattern: older.base)), toByteOffset: 0, as: UInt64.self)
        var chain = older.chain & TableRecord.chainSeparated
        if older.flags.contains(.separated) { chain |= TableRecord.chainSeparated }
        if older.oldestIsOpen { chain |= TableRecord.chainOpen }
        base.storeBytes(of: chain, toByteOffset: 35, as: UInt8.self)
    }

    /// What existed before the oldest version is known now. For the newest version, and the holder of the commit lock;
    /// readers do not look at these flags.
    func clearOpen() {
        var record = self
        while record.previous != 0 {
            record.base.storeBytes(of: record.chain & ~TableRecord.chainOpen, toByteOffset: 35, as: UInt8.self)
            record = TableRecord(SortedTable.address(record.previous))
        }
        record.base.storeBytes(of: record.flags.subtracting(.priorUnknown).rawValue, toByteOffset: 33, as: UInt8.self)
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
