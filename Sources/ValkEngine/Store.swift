// The store as a whole: opens a directory, takes batches, hands out views.
//
// Threads: everything here may be called from any thread. `commit` holds one short lock in which a batch gets its sequence
// numbers, its place in the log and its entries in the active sorted table; the log itself is written by `flushLog`,
// outside of it. Readers take no lock at all: they hold a view and read up to the visible sequence.

import CValk
import Synchronization
import ValkBase
import ValkDisk

public final class Store: @unchecked Sendable {  // Mutable state is behind `commitLock` or atomic.
    package let options: StoreOptions
    private let disk: any Disk
    private let pool: ChunkPool
    /// Guards the active table, sequence numbers, counts and the open log frame.
    private let commitLock = Lock()
    private var view: View
    private let viewGeneration = Atomic<UInt64>(1)
    private let visibleAtomic = Atomic<UInt64>(0)
    private var nextSequence: UInt64 = 1
    private var baseCounts = CountDeltas()

    private init(_ options: StoreOptions, disk: any Disk) {
        self.options = options
        self.disk = disk
        pool = ChunkPool(idleChunksMax: 2 * options.tableBytes / ChunkPool.chunkBytes + 4)
        view = View(active: MemoryTable(pool: pool, startPosition: .zero), sealed: [], rangeTombstones: [])
    }

    package static func open(_ options: StoreOptions, disk: any Disk) throws(StoreError) -> Store {
        Store(options, disk: disk)
    }

    package func close() throws(StoreError) {}

    // MARK: Reading

    package var generation: UInt64 { viewGeneration.load(ordering: .acquiring) }
    package var visibleSequence: UInt64 { visibleAtomic.load(ordering: .acquiring) }

    func currentView() -> (View, UInt64) {
        commitLock.withLock { (view, viewGeneration.load(ordering: .relaxed)) }
    }

    func readSeparated(
        _ pointer: ValuePointer, key: ByteView, into buffer: inout ByteBuffer, mayBlock: Bool
    ) throws(Interruption) {
        throw .damaged
    }

    // MARK: Writing

    /// Applies `batch` as a whole: readers see all of it or nothing. Returns where it ends in the log; the caller
    /// acknowledges it to its client after `flushLog` of that position. The batch is left as it is.
    package func commit(_ batch: WriteBatch) throws(Interruption) -> LogPosition {
        commitLock.lock()
        defer { commitLock.unlock() }
        let table = view.active
        var sequence = nextSequence
        for operation in batch.operations {
            if operation.action == .deleteRange {
                deleteRange(batch.key(operation), batch.value(operation), sequence)
                sequence &+= 1
                continue
            }
            let key = batch.key(operation)
            let older = table.sorted.insert(
                key: key, sequence: sequence, kind: operation.action == .put ? .put : .delete, flags: operation.flags,
                tag: operation.tag, expireAt: operation.expireAt, value: batch.value(operation), pointer: .none)
            if options.countsNamespaces { count(table, key, operation, older) }
            sequence &+= 1
        }
        nextSequence = sequence
        visibleAtomic.store(sequence &- 1, ordering: .releasing)
        return LogPosition(rawValue: sequence)
    }

    private func deleteRange(_ lower: ByteView, _ upper: ByteView, _ sequence: UInt64) {
        let tombstone = RangeTombstone(lower: lower.array, upper: upper.array, sequence: sequence)
        view = View(
            active: view.active, sealed: view.sealed, rangeTombstones: view.rangeTombstones + [tombstone])
        viewGeneration.wrappingAdd(1, ordering: .releasing)
    }

    private func count(
        _ table: MemoryTable, _ key: ByteView, _ operation: WriteBatch.Operation, _ older: TableRecord?
    ) {
        guard key.count >= 5, key[4] == 1 else { return }
        var flags = operation.flags
        if let older {
            flags = older.kind == .put ? .priorPresent : []
            if older.kind == .put && older.expireAt != 0 { flags.insert(.priorExpiring) }
        }
        let namespace = key.base.bigEndian(0, UInt32.self)
        table.deltas.withCounts(namespace) { counts in
            if flags.contains(.priorUnknown) {
                counts.unknown += 1
                if operation.action == .put && operation.expireAt != 0 { counts.expires += 1 }
                return
            }
            if operation.action == .put {
                if !flags.contains(.priorPresent) { counts.keys += 1 }
                if operation.expireAt != 0 { counts.expires += 1 }
            } else if flags.contains(.priorPresent) {
                counts.keys -= 1
            }
            if flags.contains(.priorExpiring) { counts.expires -= 1 }
        }
    }

    /// Makes sure that the log up to `position` is on its way as the policy asks. True: acknowledgements may leave now.
    /// False: they may leave when `acknowledgedPosition` has reached `position` (observers are told).
    package func flushLog(_ position: LogPosition) -> Bool { true }

    package var acknowledgedPosition: LogPosition { LogPosition(rawValue: UInt64.max) }

    /// `wake` is called on a background thread whenever `acknowledgedPosition` has advanced. It must be quick.
    package func addLogObserver(_ wake: @escaping @Sendable () -> Void) {}

    package func sync() throws(StoreError) {}

    // MARK: Counts

    /// Keys of a namespace; not exact while `unknown` is not 0.
    package func counts(namespace: UInt32) -> NamespaceCounts {
        commitLock.withLock {
            var sum = baseCounts.counts(namespace)
            sum += view.active.deltas.counts(namespace)
            for table in view.sealed { sum += table.deltas.counts(namespace) }
            return sum
        }
    }

    /// Looks at the blind writes of a namespace, so that `counts` is exact for the moment of the call. Waits for the disk.
    package func resolveCounts(namespace: UInt32) throws(StoreError) {}

    /// Seals the active table and flushes everything in memory. Waits for the disk.
    package func flushTables() throws(StoreError) {}
}
