// The library's front door: an ordered map from byte strings to byte strings that survives crashes. Embedding.md tells
// how to use it; this file is thin on purpose, the work is in Store.
//
// Threads: everything may be called from any thread. Calls wait for the disk where they have to; there is no call that
// does not wait. `Gate` lets `close` wait for calls that are under way and refuses later ones.

import ValkBase
import ValkDisk

/// An ordered, durable key-value database in a directory.
///
/// Keys are 1 to 65,600 bytes and order as unsigned bytes; values are 0 bytes to 512 MiB. One process at a time opens a
/// directory. Every method may be called from any thread.
public final class Database: @unchecked Sendable {  // Constant but for what has its own lock.
    let store: Store
    let gate = Gate()
    private let readers: ReaderPool
    private let faults: FaultNote

    /// Most bytes of a key.
    public static let keyBytesMax = EntryLimits.keyBytesMax
    /// Most bytes of a value.
    public static let valueBytesMax = EntryLimits.valueBytesMax

    /// Opens the database in the directory `path`, or makes one there (the parent must exist), with default options.
    public convenience init(path: String) throws(DatabaseError) {
        try self.init(StoreOptions(path: path))
    }

    /// Opens the database in `options.path`, or makes one there. After a crash this replays the log, which takes about
    /// a second for each gibibyte. `onEvent` is called on the thread where something happened, maybe in the middle of a
    /// call; it must be quick and must not call the database.
    public init(
        _ options: StoreOptions, onEvent: @escaping @Sendable (DatabaseEvent) -> Void = { _ in }
    ) throws(DatabaseError) {
        let faults = FaultNote()
        var options = options
        options.countsNamespaces = false
        do throws(StoreError) {
            store = try Store.open(options, disk: PosixDisk()) { event in
                let event = DatabaseEvent(event)
                if case .readFailed(let error) = event { faults.set(error) }
                onEvent(event)
            }
        } catch {
            throw DatabaseError(error)
        }
        self.faults = faults
        readers = ReaderPool(store)
    }

    deinit {
        // Nobody is left to hear of a failure. Everything acknowledged is in the log already.
        do throws(DatabaseError) { try close() } catch { return }
    }

    /// Stops the background work, syncs the log, gives the directory up. Waits for calls that are under way, so it must
    /// not be called from inside a scan. Later calls throw `.closed`, a second `close` does nothing. Throws when the
    /// last sync failed; the database is closed all the same.
    public func close() throws(DatabaseError) {
        guard gate.close() else { return }
        readers.clear()
        do throws(StoreError) { try store.close() } catch { throw DatabaseError(error, as: .writesStopped) }
    }

    // MARK: Reading

    /// The value of `key`, nil when there is none.
    public func value(of key: [UInt8]) throws(DatabaseError) -> [UInt8]? {
        try key.viewing { (view) throws(DatabaseError) in try withValue(view) { $0?.array } }
    }

    /// Shows `body` the value of `key` where it lies, without a copy; nil when there is none. The bytes are valid
    /// inside of `body` only, which must not call the database for longer work: it holds memory of the cache.
    public func withValue<R>(
        of key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) -> R
    ) throws(DatabaseError) -> R {
        try withValue(ByteView(key)) { body($0?.buffer) }
    }

    private func withValue<R>(_ key: ByteView, _ body: (ByteView?) -> R) throws(DatabaseError) -> R {
        try Database.check(key)
        try enter()
        defer { gate.leave() }
        let reader = readers.take()
        defer { readers.give(reader) }
        reader.begin()
        defer { reader.end() }
        do throws(Interruption) {
            guard let entry = try reader.find(key) else { return body(nil) }
            return body(try reader.value(entry))
        } catch {
            throw fault(error)
        }
    }

    /// The database as it is now, for as long as the snapshot lives.
    public func snapshot() throws(DatabaseError) -> Snapshot {
        try enter()
        defer { gate.leave() }
        return Snapshot(self)
    }

    /// As `Snapshot.scan`, on a snapshot of now.
    public func scan(
        from lower: [UInt8] = [], to upper: [UInt8]? = nil, reverse: Bool = false,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) throws(DatabaseError) {
        try enter()
        defer { gate.leave() }
        do throws(Interruption) {
            try Snapshot.walk(try cursor(lower, upper ?? Snapshot.aboveAll), reverse, body)
        } catch {
            throw fault(error)
        }
    }

    private func cursor(_ lower: [UInt8], _ upper: [UInt8]) throws(Interruption) -> StoreCursor {
        let reader = readers.take()
        defer { readers.give(reader) }
        reader.begin()
        defer { reader.end() }
        return try reader.cursor(lower, upper)
    }

    // MARK: Writing

    /// Gives `key` a value. Returns when the write is as safe as the sync policy asks: with `.always` on the device,
    /// otherwise with the operating system, where it survives this process.
    public func set(_ value: [UInt8], for key: [UInt8]) throws(DatabaseError) {
        try key.viewing { (key) throws(DatabaseError) in
            try value.viewing { (value) throws(DatabaseError) in try set(key, value) }
        }
    }

    /// As above. The bytes are not needed any more when the call returns.
    public func set(_ value: UnsafeRawBufferPointer, for key: UnsafeRawBufferPointer) throws(DatabaseError) {
        try set(ByteView(key), ByteView(value))
    }

    private func set(_ key: ByteView, _ value: ByteView) throws(DatabaseError) {
        try Database.check(key)
        try Database.check(value: value.count)
        let batch = WriteBatch()
        batch.put(key, tag: 0, value: value, prior: .unknown)
        try commit(batch)
    }

    /// Removes `key`; nothing happens when it is not there.
    public func remove(_ key: [UInt8]) throws(DatabaseError) {
        try key.viewing { (view) throws(DatabaseError) in try remove(view) }
    }

    /// As above.
    public func remove(_ key: UnsafeRawBufferPointer) throws(DatabaseError) { try remove(ByteView(key)) }

    private func remove(_ key: ByteView) throws(DatabaseError) {
        try Database.check(key)
        let batch = WriteBatch()
        batch.delete(key, prior: .unknown)
        try commit(batch)
    }

    /// Applies the whole batch or nothing of it, in its order: readers see all of it at once, and so does a start after
    /// a crash. Throws `.invalid` before anything is done when a key, a value or a range in it cannot be.
    public func write(_ batch: Batch) throws(DatabaseError) {
        if batch.isEmpty { return }
        try batch.check()
        guard batch.logBytesMax <= LogFormat.batchBytesMax else {
            throw DatabaseError(.invalid, "a batch of \(batch.logBytesMax) bytes is larger than 1 GiB")
        }
        let assembled = AssembledBatch(batch)
        try commit(assembled.batch)
        withExtendedLifetime(assembled) {}
    }

    /// Everything written before is on the device when this returns, whatever the sync policy.
    public func sync() throws(DatabaseError) {
        try enter()
        defer { gate.leave() }
        do throws(StoreError) { try store.sync() } catch { throw DatabaseError(error, as: .writesStopped) }
    }

    // MARK: Backup

    /// Makes a copy of the database in `directory` (missing or empty, its parent there) while it works: everything that
    /// was written before the call, and maybe some of what is written meanwhile, as of one moment. The copy is a
    /// database that can be opened. On the same file system it shares files with this one and takes little time and
    /// space; none of the two ever harms the other. With `verifying` everything in it is read before it gets its name.
    @discardableResult
    public func backup(to directory: String, verifying: Bool = false) throws(DatabaseError) -> BackupReport {
        try enter()
        defer { gate.leave() }
        var options = BackupOptions()
        options.verifiesAll = verifying
        do throws(StoreError) { return try store.backup(to: directory, options) } catch { throw DatabaseError(error) }
    }

    private func commit(_ batch: WriteBatch) throws(DatabaseError) {
        try enter()
        defer { gate.leave() }
        do throws(Interruption) {
            let position = try store.commit(batch, mayBlock: true)
            try store.waitForLog(position)
        } catch {
            throw fault(error)
        }
        readers.refresh()
    }

    // MARK: Helpers

    func enter() throws(DatabaseError) {
        if !gate.enter() { throw DatabaseError(.closed, "the database is closed") }
    }

    /// The story of an interruption, as far as it is known.
    func fault(_ interruption: Interruption) -> DatabaseError {
        switch interruption {
        case .damaged:
            return tableFault() ?? faults.take() ?? DatabaseError(.damaged, "stored bytes fail their checksum")
        case .readFailed: return tableFault() ?? faults.take() ?? DatabaseError(.disk, "a file could not be read")
        case .writesStopped: return DatabaseError(store.stopError, as: .writesStopped)
        case .noSpace: return DatabaseError(.noSpace, "no space left on the device", path: store.options.path)
        case .wouldBlock: return DatabaseError(.disk, "a read was interrupted")
        }
    }

    private func tableFault() -> DatabaseError? { store.takeTableFaults().first.map { DatabaseError($0) } }

    static func check(_ key: ByteView) throws(DatabaseError) {
        guard key.count >= 1, key.count <= keyBytesMax else {
            throw DatabaseError(.invalid, "a key has 1 to \(keyBytesMax) bytes, not \(key.count)")
        }
    }

    static func check(value bytes: Int) throws(DatabaseError) {
        guard bytes <= valueBytesMax else {
            throw DatabaseError(.invalid, "a value has at most \(valueBytesMax) bytes, not \(bytes)")
        }
    }
}

extension Array where Element == UInt8 {
    /// As `withView`, with the error's type.
    func viewing<R>(_ body: (ByteView) throws(DatabaseError) -> R) throws(DatabaseError) -> R {
        let result = withUnsafeBytes { raw -> Result<R, DatabaseError> in
            do throws(DatabaseError) { return .success(try body(ByteView(raw))) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
