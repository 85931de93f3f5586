// One moment of a database, to be read as often as wanted: later writes do not show in it.
//
// A snapshot keeps the memory and the files of its moment alive (also values in the log), so it should not be kept for
// hours on a database that is written. It may be used from several threads; reads of single keys take turns, scans do
// not wait for each other.

import ValkBase

public final class Snapshot: @unchecked Sendable {  // `reader` is used under `lock` only; the rest is constant.
    private let database: Database
    private let reader: StoreReader
    private let lock = Lock()

    /// Longer than any key, so above every key.
    static let aboveAll = [UInt8](repeating: 0xFF, count: EntryLimits.keyBytesMax + 1)

    init(_ database: Database) {
        self.database = database
        reader = StoreReader(database.store, mayBlock: true)
        reader.begin()
    }

    /// The value that `key` had, nil when it had none.
    public func value(of key: [UInt8]) throws(DatabaseError) -> [UInt8]? {
        try key.viewing { (view) throws(DatabaseError) in try value(view) }
    }

    private func value(_ key: ByteView) throws(DatabaseError) -> [UInt8]? {
        try Database.check(key)
        try database.enter()
        defer { database.gate.leave() }
        lock.lock()
        defer { lock.unlock() }
        // Gives back what was read, not the moment.
        defer { reader.end() }
        do throws(Interruption) {
            guard let entry = try reader.find(key) else { return nil }
            return try reader.value(entry).array
        } catch {
            throw database.fault(error)
        }
    }

    /// Shows `body` each key from `lower` up to and without `upper`, in ascending order or, backwards, in descending
    /// order, with its value, until it answers false. An `upper` of nil is no bound. The bytes are valid inside of one
    /// call of `body` only; it may read and write the database (what it writes does not show here) but not close it.
    public func scan(
        from lower: [UInt8] = [], to upper: [UInt8]? = nil, reverse: Bool = false,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) throws(DatabaseError) {
        try database.enter()
        defer { database.gate.leave() }
        do throws(Interruption) {
            try Snapshot.walk(try cursor(lower, upper ?? Snapshot.aboveAll), reverse, body)
        } catch {
            throw database.fault(error)
        }
    }

    static func walk(
        _ cursor: StoreCursor, _ reverse: Bool,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) throws(Interruption) {
        if reverse { try cursor.seekToLast() } else { try cursor.seekToFirst() }
        while cursor.isValid {
            let value = try cursor.value()
            guard body(cursor.key.buffer, value.buffer) else { return }
            if reverse { try cursor.previous() } else { try cursor.next() }
        }
    }

    /// A cursor over the keys from `lower` up to and without `upper` (nil: no bound), at no key yet.
    public func cursor(from lower: [UInt8] = [], to upper: [UInt8]? = nil) throws(DatabaseError) -> Cursor {
        try database.enter()
        defer { database.gate.leave() }
        do throws(Interruption) {
            return Cursor(database, try cursor(lower, upper ?? Snapshot.aboveAll))
        } catch {
            throw database.fault(error)
        }
    }

    private func cursor(_ lower: [UInt8], _ upper: [UInt8]) throws(Interruption) -> StoreCursor {
        lock.lock()
        defer { lock.unlock() }
        return try reader.cursor(lower, upper)
    }
}

extension StoreReader {
    func cursor(_ lower: [UInt8], _ upper: [UInt8]) throws(Interruption) -> StoreCursor {
        let result = lower.withView { l in
            upper.withView { u -> Result<StoreCursor, Interruption> in
                do throws(Interruption) { return .success(try cursor(lower: l, upper: u)) } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
    }
}
