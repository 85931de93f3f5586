// The databases of one store: where each lives (its namespace), how many keys it has, and how it is emptied or swapped.
//
// A database is a number that clients SELECT; a namespace is a number in front of stored keys. Database d lives in
// namespace d + 1 until it is flushed; then it gets a namespace never used before, and the old one is deleted as one
// range. So FLUSHDB costs the same for one key as for a billion, and SWAPDB exchanges two numbers.
//
// The map is stored in namespace 0, in the same batch as the range deletion, and kept here as one atomic word per
// database. A command that changes it holds every stripe; the change becomes visible to others when the dispatcher
// calls `KeyAccess.finished` after the commit. A writer must look its namespace up while it holds its stripes. A reader
// that still has the old namespace sees the database as it was before, or, if it started later, empty.
//
// Shared by all threads.

import CValk
import Synchronization
import ValkBase
import ValkEngine

package final class Keyspace: @unchecked Sendable {  // The map's words are atomic; the rest has its own locks.
    /// First namespace that is given out by flushes; below it lie the databases' first namespaces.
    package static let firstFreshNamespace: UInt32 = 1 << 24
    package static let databasesMax = 1 << 20

    package let store: Store
    package let databaseCount: Int
    package let bookmarks: ScanBookmarks
    /// When keys were used last, or how often.
    package let accesses: AccessTable
    private let collectionIDs: CollectionIDs
    private let map: UnsafeMutablePointer<UInt32>
    private let nextNamespace: Atomic<UInt32>
    private let expiredCount = Atomic<Int>(0)
    /// Per database: all index entries before this time have been dealt with. Expiry thread only.
    let swept: UnsafeMutablePointer<UInt64>
    /// The same for the index of fields' times.
    let sweptFields: UnsafeMutablePointer<UInt64>

    /// Reads the map and the bookmarks; waits for the disk.
    package init(
        _ store: Store, databaseCount: Int, bookmarkCountMax: Int = ScanBookmarks.countMax
    ) throws(Interruption) {
        precondition(databaseCount >= 1 && databaseCount <= Self.databasesMax, "\(databaseCount) databases")
        self.store = store
        self.databaseCount = databaseCount
        accesses = AccessTable(bytesMax: store.options.memoryBytes / 16)
        map = .allocate(capacity: databaseCount)
        swept = .allocate(capacity: databaseCount)
        sweptFields = .allocate(capacity: databaseCount)
        for i in 0..<databaseCount { (map + i).initialize(to: UInt32(i + 1)) }
        swept.initialize(repeating: 0, count: databaseCount)
        sweptFields.initialize(repeating: 0, count: databaseCount)
        var next = Self.firstFreshNamespace
        var fault: Interruption?
        var loaded: ScanBookmarks?
        var run: UInt64 = 1
        let reader = StoreReader(store, mayBlock: true)
        do throws(Interruption) {
            next = try Self.readMap(reader, map, databaseCount)
            run = try Self.readRun(reader)
            loaded = try ScanBookmarks(store, reader, countMax: bookmarkCountMax)
        } catch {
            fault = error
        }
        nextNamespace = Atomic(next)
        collectionIDs = CollectionIDs(store, run: run)
        bookmarks = loaded ?? ScanBookmarks(store)
        if let fault { throw fault }
    }

    deinit {
        map.deallocate()
        swept.deallocate()
        sweptFields.deallocate()
    }

    private static func readMap(
        _ reader: StoreReader, _ map: UnsafeMutablePointer<UInt32>, _ count: Int
    ) throws(Interruption) -> UInt32 {
        let scratch = KeyScratch()
        defer { scratch.deallocate() }
        reader.begin()
        defer { reader.end() }
        var next = firstFreshNamespace
        for i in 0..<count {
            guard let entry = try reader.find(scratch.database(i)) else { continue }
            let value = try reader.value(entry)
            guard value.count == 4 else { throw .damaged }
            map[i] = UInt32(bigEndian: value.base.loadUnaligned(as: UInt32.self))
            next = max(next, map[i] &+ 1)
        }
        if let entry = try reader.find(scratch.bound(0, KeySpace.nextNamespace)) {
            let value = try reader.value(entry)
            guard value.count == 4 else { throw .damaged }
            next = max(next, UInt32(bigEndian: value.base.loadUnaligned(as: UInt32.self)))
        }
        return next
    }

    private static func readRun(_ reader: StoreReader) throws(Interruption) -> UInt64 {
        let scratch = KeyScratch()
        defer { scratch.deallocate() }
        reader.begin()
        defer { reader.end() }
        guard let entry = try reader.find(scratch.bound(0, KeySpace.collectionRuns)) else { return 1 }
        let value = try reader.value(entry)
        guard value.count == 8 else { throw .damaged }
        return UInt64(bigEndian: value.base.loadUnaligned(as: UInt64.self))
    }

    /// An id for a collection whose elements become entries of their own; never given out before.
    func takeCollectionID(mayBlock: Bool) throws(Interruption) -> UInt64 { try collectionIDs.take(mayBlock: mayBlock) }

    /// The namespace in which `database` (0-based, in range) lives now. For writers: with the stripes held.
    @inline(__always)  // One load on every command.
    package func namespace(_ database: Int) -> UInt32 { valk_load_acquire_u32(map + database) }

    func takeNamespace() -> UInt32 { nextNamespace.wrappingAdd(1, ordering: .relaxed).oldValue }

    func publish(_ database: Int, _ namespace: UInt32) {
        swept[database] = 0
        sweptFields[database] = 0
        valk_store_release_u32(map + database, namespace)
    }

    /// Committed keys of a database; expired ones that have not been removed count, as in Redis. Not exact while
    /// `unknown` is not 0.
    package func counts(_ database: Int) -> NamespaceCounts { store.counts(namespace: namespace(database)) }

    /// As `counts`, exact. Waits for the disk: workers only.
    package func exactCounts(_ database: Int) throws(Interruption) -> NamespaceCounts {
        try exactCounts(namespace: namespace(database))
    }

    func exactCounts(namespace: UInt32) throws(Interruption) -> NamespaceCounts {
        var counts = store.counts(namespace: namespace)
        if counts.unknown == 0 { return counts }
        do throws(StoreError) {
            try store.resolveCounts()
        } catch {
            throw error.kind == .corruption ? .damaged : .readFailed
        }
        counts = store.counts(namespace: namespace)
        // Blind writes that came meanwhile are not in `keys`; that many keys have just been written and not looked at.
        return counts
    }

    // MARK: Expired keys

    /// Keys that were removed because their time had come, since the start (`expired_keys`).
    package var expiredKeys: Int { expiredCount.load(ordering: .relaxed) }

    package func addExpired(_ n: Int) { expiredCount.wrappingAdd(n, ordering: .relaxed) }

    package func resetExpiredKeys() { expiredCount.store(0, ordering: .relaxed) }
}
