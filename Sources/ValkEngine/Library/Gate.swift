// What the library's front door needs to be safe for many threads: who is inside, readers to lend, the last read fault.

import Synchronization
import ValkBase

/// Counts the calls that are under way, so that closing can wait for them.
final class Gate: Sendable {
    /// Calls inside, and the top bit once closed.
    private let users = Atomic<UInt64>(0)
    private let lock = Lock()
    private let empty = Condition()
    private static let closedBit: UInt64 = 1 << 63

    /// False when closed; then there is nothing to leave.
    func enter() -> Bool {
        if users.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue & Gate.closedBit == 0 { return true }
        leave()
        return false
    }

    func leave() {
        guard users.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == Gate.closedBit else { return }
        lock.withLock { empty.broadcast() }
    }

    /// Waits until nobody is inside. True for the first caller.
    func close() -> Bool {
        let before = users.bitwiseOr(Gate.closedBit, ordering: .acquiringAndReleasing).oldValue
        lock.lock()
        while users.load(ordering: .acquiring) != Gate.closedBit { empty.wait(lock) }
        lock.unlock()
        return before & Gate.closedBit == 0
    }
}

/// Readers that threads borrow for one look. Idle readers follow the store to its newest view as calls go by, so that
/// they do not keep old tables and files alive.
final class ReaderPool: @unchecked Sendable {  // State behind `lock`.
    private let store: Store
    private let lock = Lock()
    private var idle: [StoreReader] = []
    private let seenGeneration: Atomic<UInt64>

    private static let idleMax = 16

    init(_ store: Store) {
        self.store = store
        seenGeneration = Atomic(store.generation)
        // Where nobody calls any more the background lets go for them.
        store.addViewObserver { [weak self] in self?.refresh() }
    }

    func take() -> StoreReader {
        lock.withLock { idle.popLast() } ?? StoreReader(store, mayBlock: true)
    }

    func give(_ reader: StoreReader) {
        refresh()
        reader.rest()
        lock.withLock { if idle.count < ReaderPool.idleMax { idle.append(reader) } }
    }

    /// Cheap unless the store's structure has changed since the last call.
    func refresh() {
        let now = store.generation
        guard seenGeneration.exchange(now, ordering: .acquiringAndReleasing) != now else { return }
        lock.withLock { for reader in idle { reader.rest() } }
    }

    func clear() { lock.withLock { idle.removeAll() } }
}

/// The newest story about a read that failed.
final class FaultNote: @unchecked Sendable {  // Behind `lock`.
    private let lock = Lock()
    private var newest: DatabaseError?

    func set(_ error: DatabaseError) { lock.withLock { newest = error } }

    func take() -> DatabaseError? {
        lock.withLock {
            defer { newest = nil }
            return newest
        }
    }
}
