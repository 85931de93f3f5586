// A place among the keys of one snapshot, for programs that walk back and forth. Who only walks forward or only
// backward has it shorter with `scan`.

import ValkBase

/// A place in a snapshot's keys, which may lie at no key: before the first seek, and beyond the last key in either
/// direction. It keeps its moment alive as the snapshot does. One thread at a time.
public final class Cursor {
    private let database: Database
    private let cursor: StoreCursor

    init(_ database: Database, _ cursor: StoreCursor) {
        self.database = database
        self.cursor = cursor
    }

    /// Whether the cursor lies at a key.
    public var isValid: Bool { cursor.isValid }

    /// The key at the cursor; nil when it lies at none.
    public var key: [UInt8]? { cursor.isValid ? cursor.key.array : nil }

    /// The value at the cursor; nil when it lies at no key.
    public func value() throws(DatabaseError) -> [UInt8]? { try withEntry { _, value in Array(value) } }

    /// Shows `body` key and value where they lie; nil when the cursor lies at no key. The bytes are valid inside of
    /// `body` only.
    public func withEntry<R>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> R
    ) throws(DatabaseError) -> R? {
        try guarded { () throws(Interruption) in
            guard cursor.isValid else { return nil }
            let value = try cursor.value()
            return body(cursor.key.buffer, value.buffer)
        }
    }

    public func seekToFirst() throws(DatabaseError) {
        try guarded { () throws(Interruption) in try cursor.seekToFirst() }
    }

    public func seekToLast() throws(DatabaseError) {
        try guarded { () throws(Interruption) in try cursor.seekToLast() }
    }

    /// To the first key at or after `key`.
    public func seek(to key: [UInt8]) throws(DatabaseError) {
        try seek(key) { (view) throws(Interruption) in try cursor.seek(view) }
    }

    /// To the last key before `key`.
    public func seek(before key: [UInt8]) throws(DatabaseError) {
        try seek(key) { (view) throws(Interruption) in try cursor.seekBefore(view) }
    }

    private func seek(_ key: [UInt8], _ body: (ByteView) throws(Interruption) -> Void) throws(DatabaseError) {
        var buffer = ByteBuffer(capacity: max(1, key.count))
        buffer.append(key)
        try guarded { () throws(Interruption) in try body(buffer.view) }
    }

    /// To the key after; nothing happens when the cursor lies at none.
    public func next() throws(DatabaseError) {
        try guarded { () throws(Interruption) in if cursor.isValid { try cursor.next() } }
    }

    /// To the key before; nothing happens when the cursor lies at none.
    public func previous() throws(DatabaseError) {
        try guarded { () throws(Interruption) in if cursor.isValid { try cursor.previous() } }
    }

    private func guarded<R>(_ body: () throws(Interruption) -> R) throws(DatabaseError) -> R {
        try database.enter()
        defer { database.gate.leave() }
        do throws(Interruption) { return try body() } catch { throw database.fault(error) }
    }
}
