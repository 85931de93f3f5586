// One version of a key in the in-memory sorted table; `previous` leads to the next older version of the same key there.
//
//   record: previous u64 | sequence u64 | expireAt u64 | keyLength u32 | valueLength u32 | kind flags tag 0 | 0 u32
//           | key | value bytes, or 16 bytes of ValuePointer when separated
//
// Written once by the holder of the commit lock before it is published, and never changed but for one flag.

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
