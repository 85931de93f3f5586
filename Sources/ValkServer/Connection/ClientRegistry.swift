// All connections of all loops: how many there are, which ids, and how to reach one from another thread.
//
// The table is under a lock, taken at accept, close and by the commands that ask about clients; never per command. What
// belongs to a loop is only read on that loop: a look at every client visits the loops through their mailboxes.

import Synchronization
import ValkBase

package final class ClientRegistry: Sendable {
    private let lock = Lock()
    /// Guards the names of all connections.
    let namesLock = Lock()
    // SAFETY: read and written under `lock` only.
    private nonisolated(unsafe) var connections: [UInt64: Connection] = [:]
    private let nextID = Atomic<UInt64>(1)
    private let countNow = Atomic<Int>(0)
    /// Clients whose command waits for the end of a CLIENT PAUSE.
    private let pausedNow = Atomic<Int>(0)

    package init() {}

    /// Connected clients.
    package var count: Int { countNow.load(ordering: .relaxed) }

    /// Clients whose command waits for the end of a pause.
    package var pausedCount: Int { pausedNow.load(ordering: .relaxed) }

    func notePaused(_ change: Int) { pausedNow.wrappingAdd(change, ordering: .relaxed) }

    func takeID() -> UInt64 { nextID.wrappingAdd(1, ordering: .relaxed).oldValue }

    func add(_ connection: Connection) {
        lock.withLock { connections[connection.id] = connection }
        countNow.wrappingAdd(1, ordering: .relaxed)
    }

    func remove(_ connection: Connection) {
        let removed = lock.withLock { connections.removeValue(forKey: connection.id) }
        if removed != nil { countNow.wrappingSubtract(1, ordering: .relaxed) }
    }

    package func connection(_ id: UInt64) -> Connection? { lock.withLock { connections[id] } }

    /// All connections there are now, by ascending id.
    package func all() -> [Connection] {
        lock.withLock { connections.values.sorted { $0.id < $1.id } }
    }
}
