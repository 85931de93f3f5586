// The engine for programs that embed it: an ordered, durable map from bytes to bytes in a directory, without a server.
//
// This is the module's public face; everything else is `package`. It is made for convenience: keys and values are
// arrays, calls wait for the disk where they must. Any thread may call anything at any time, except `close`.
//
// A directory belongs to one open database (or server) at a time, and either to a program or to a server for good: the
// server keeps its own structure in the keys.

import ValkBase
import ValkDisk

/// Why a call failed.
public struct DatabaseError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// Stored bytes are wrong: checksum, size, order.
        case damaged
        /// Written by a newer build.
        case newerFormat
        /// Another process has the directory.
        case inUse
        /// No room on the device; deleting goes on.
        case noSpace
        /// The operating system refused. After a failed write or sync nothing more is written until the next opening.
        case disk
        /// An argument or option that cannot work.
        case invalid
    }
    public let kind: Kind
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    init(_ error: StoreError) {
        switch error.kind {
        case .corruption: kind = .damaged
        case .newerFormat: kind = .newerFormat
        case .inUse: kind = .inUse
        case .noSpace: kind = .noSpace
        case .disk: kind = .disk
        case .invalid: kind = .invalid
        }
        description = error.description
    }
}

public final class Database: Sendable {
    private let store: Store
    private let readers = ReaderPool()

    /// Opens the database in `options.path`, which is made when only its last part is missing, and brings back
    /// everything that was acknowledged.
    public init(_ options: StoreOptions) throws(DatabaseError) {
        do throws(StoreError) {
            store = try Store.open(options, disk: PosixDisk())
        } catch {
            throw DatabaseError(error)
        }
    }

    /// Opens the database in a directory with the default options.
    public convenience init(path: String) throws(DatabaseError) { try self.init(StoreOptions(path: path)) }

    // MARK: Reading

    /// The value of `key` (1 byte and more), nil when it has none.
    public func value(of key: [UInt8]) throws(DatabaseError) -> [UInt8]? {
        try Database.checkKey(key)
        return try read { reader throws(Interruption) in
            try key.withUnsafeBufferPointer { bytes throws(Interruption) -> [UInt8]? in
                guard let entry = try reader.find(ByteView(UnsafeRawBufferPointer(bytes))) else { return nil }
                return Array(try reader.value(entry).buffer)
            }
        }
    }

    /// Visits the pairs with `lower <= key < upper` (to the last key when `upper` is nil) in byte order, or backwards,
    /// until `body` answers false. All of it is one moment of the database. The buffers are valid inside `body` only.
    public func scan(
        from lower: [UInt8] = [], to upper: [UInt8]? = nil, reverse: Bool = false,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) throws(DatabaseError) {
        // No key is longer than the limit, so a longer run of the highest byte lies after all of them.
        let end = upper ?? [UInt8](repeating: 0xff, count: EntryLimits.keyBytesMax + 1)
        try read { reader throws(Interruption) in
            let cursor = try lower.withUnsafeBufferPointer { low throws(Interruption) in
                try end.withUnsafeBufferPointer { high throws(Interruption) in
                    try reader.cursor(
                        lower: ByteView(UnsafeRawBufferPointer(low)), upper: ByteView(UnsafeRawBufferPointer(high)))
                }
            }
            try reverse ? cursor.seekToLast() : cursor.seekToFirst()
            while cursor.isValid {
                let value = try cursor.value()
                if !body(cursor.key.buffer, value.buffer) { return }
                try reverse ? cursor.previous() : cursor.next()
            }
        }
    }

    // MARK: Writing

    /// Several changes that are made together: all of them or, after a crash, none.
    public struct Batch: Sendable {
        enum Change: Sendable {
            case set([UInt8], [UInt8])
            case remove([UInt8])
            case removeRange([UInt8], [UInt8])
        }
        private(set) var changes: [Change] = []

        public init() {}

        public mutating func set(_ value: [UInt8], for key: [UInt8]) { changes.append(.set(key, value)) }
        public mutating func remove(_ key: [UInt8]) { changes.append(.remove(key)) }
        /// Removes every key with `lower <= key < upper` that is there when the batch is written.
        public mutating func remove(from lower: [UInt8], to upper: [UInt8]) {
            changes.append(.removeRange(lower, upper))
        }
    }

    /// Writes a batch and waits until it is acknowledged, as `options.syncPolicy` understands it.
    public func write(_ batch: Batch) throws(DatabaseError) {
        if batch.changes.isEmpty { return }
        // Large values are not copied into a WriteBatch: all bytes are gathered in one array that outlives the commit.
        var bytes: [UInt8] = []
        var pieces: [(kind: Int, first: Range<Int>, second: Range<Int>)] = []
        func piece(_ part: [UInt8]) -> Range<Int> {
            bytes += part
            return bytes.count - part.count..<bytes.count
        }
        for change in batch.changes {
            switch change {
            case .set(let key, let value):
                try Database.checkKey(key)
                pieces.append((0, piece(key), piece(value)))
            case .remove(let key):
                try Database.checkKey(key)
                pieces.append((1, piece(key), 0..<0))
            case .removeRange(let lower, let upper):
                guard !lower.isEmpty, lower.lexicographicallyPrecedes(upper) else {
                    throw DatabaseError(
                        .invalid, "a range needs a lower bound that is not empty and before its upper one")
                }
                pieces.append((2, piece(lower), piece(upper)))
            }
        }
        let own = WriteBatch()
        do throws(Interruption) {
            let position = try bytes.withUnsafeBufferPointer { raw throws(Interruption) in
                let all = ByteView(UnsafeRawBufferPointer(raw))
                for (kind, first, second) in pieces {
                    switch kind {
                    case 0: own.put(all[first], tag: 0, value: all[second], prior: .unknown)
                    case 1: own.delete(all[first], prior: .unknown)
                    default: own.deleteRange(all[first], all[second])
                    }
                }
                return try store.commit(own, mayBlock: true)
            }
            if try !store.flushLog(position) { try store.waitForLog(position) }
        } catch {
            throw explain(error)
        }
    }

    public func set(_ value: [UInt8], for key: [UInt8]) throws(DatabaseError) {
        var batch = Batch()
        batch.set(value, for: key)
        try write(batch)
    }

    public func remove(_ key: [UInt8]) throws(DatabaseError) {
        var batch = Batch()
        batch.remove(key)
        try write(batch)
    }

    /// Everything written so far is on the device when this returns.
    public func sync() throws(DatabaseError) {
        do throws(StoreError) { try store.sync() } catch { throw DatabaseError(error) }
    }

    /// Syncs, ends the background work, and gives the directory back. The last call: nobody may use the database after.
    public func close() throws(DatabaseError) {
        readers.removeAll()
        do throws(StoreError) { try store.close() } catch { throw DatabaseError(error) }
    }

    // MARK: Parts

    private static func checkKey(_ key: [UInt8]) throws(DatabaseError) {
        guard !key.isEmpty && key.count <= EntryLimits.keyBytesMax else {
            throw DatabaseError(.invalid, "a key has 1 to \(EntryLimits.keyBytesMax) bytes, not \(key.count)")
        }
    }

    private func read<Result>(
        _ body: (StoreReader) throws(Interruption) -> Result
    ) throws(DatabaseError) -> Result {
        let reader = readers.take() ?? StoreReader(store, mayBlock: true)
        reader.begin()
        defer {
            reader.end()
            readers.put(reader)
        }
        do throws(Interruption) { return try body(reader) } catch { throw explain(error) }
    }

    private func explain(_ interruption: Interruption) -> DatabaseError {
        switch interruption {
        case .damaged: return DatabaseError(.damaged, "stored bytes failed their checksum")
        case .noSpace: return DatabaseError(.noSpace, "no room on the device")
        case .writesStopped: return DatabaseError(store.stopError)
        case .readFailed: return DatabaseError(.disk, "the device could not be read")
        case .wouldBlock: return DatabaseError(.disk, "a call that may wait was told not to")
        }
    }
}

/// Readers that nobody uses at the moment: a reader belongs to one call at a time.
private final class ReaderPool: @unchecked Sendable {  // The list is behind the lock; a taken reader has one owner.
    private static let readersKept = 16
    private let lock = Lock()
    private var idle: [StoreReader] = []

    func take() -> StoreReader? { lock.withLock { idle.popLast() } }

    func put(_ reader: StoreReader) {
        lock.withLock { if idle.count < ReaderPool.readersKept { idle.append(reader) } }
    }

    func removeAll() { lock.withLock { idle.removeAll() } }
}
