// Who waits for data, by key, in the order in which they came.
//
// A client is entered while the stripes of all of its keys are held, after it has found nothing; a writer looks here
// after its commit, while it still holds the stripes of what it wrote. So a writer either came before, and the client
// saw its data, or it sees the client. With nobody waiting a write costs one plain load.

import CValk
import ValkBase
import ValkCommands
import ValkData
import ValkRESP

final class WaitingClients: @unchecked Sendable {  // The table is under the lock, `total` is an atomic word.
    private struct Place {
        let namespace: UInt32
        let key: [UInt8]
        let client: WaitingClient
        /// The key's place among the client's arguments.
        let argument: Int
    }

    private let total: UnsafeMutablePointer<UInt64>
    private let lock = Lock()
    private var places: [UInt64: [Place]] = [:]
    private var all: [ObjectIdentifier: (client: WaitingClient, namespace: UInt32)] = [:]
    private var sequence: UInt64 = 0

    init() {
        total = .allocate(capacity: 1)
        total.initialize(to: 0)
    }

    deinit { total.deallocate() }

    /// Nobody waits for a key of the stripes that the caller holds.
    @inline(__always)  // One load after every commit.
    var isEmpty: Bool { valk_load_relaxed_u64(total) == 0 }

    var count: Int { Int(valk_load_relaxed_u64(total)) }

    func nextSequence() -> UInt64 {
        lock.withLock {
            sequence += 1
            return sequence
        }
    }

    private static func hash(_ namespace: UInt32, _ key: ByteView) -> UInt64 { key.hash64 ^ UInt64(namespace) }

    /// With the stripes of its keys held. `namespace` is where its database lives.
    func add(_ client: WaitingClient, in namespace: UInt32) {
        lock.withLock {
            insert(client, namespace)
            all[ObjectIdentifier(client)] = (client, namespace)
            valk_store_relaxed_u64(total, UInt64(all.count))
        }
    }

    private func insert(_ client: WaitingClient, _ namespace: UInt32) {
        for argument in client.request.keys {
            let key = client.arguments[argument]
            let place = Place(namespace: namespace, key: key.array, client: client, argument: argument)
            let hash = Self.hash(namespace, key)
            var row = places[hash] ?? []
            // Nearly always at the end: only who comes back takes the place that it had.
            var at = row.count
            while at > 0 && row[at - 1].client.sequence > client.sequence { at -= 1 }
            row.insert(place, at: at)
            places[hash] = row
        }
    }

    /// Any thread, any time.
    func remove(_ client: WaitingClient) {
        lock.withLock {
            guard let (_, namespace) = all.removeValue(forKey: ObjectIdentifier(client)) else { return }
            for argument in client.request.keys {
                let hash = Self.hash(namespace, client.arguments[argument])
                guard let row = places[hash] else { continue }
                let rest = row.filter { $0.client !== client }
                places[hash] = rest.isEmpty ? nil : rest
            }
            valk_store_relaxed_u64(total, UInt64(all.count))
        }
    }

    /// Who waits under a key, in order, each with the key's place among its arguments.
    func waiting(_ namespace: UInt32, _ key: ByteView) -> [(client: WaitingClient, argument: Int)] {
        lock.withLock {
            (places[Self.hash(namespace, key)] ?? []).filter {
                $0.namespace == namespace && $0.key.withView { $0 == key }
            }.map { ($0.client, $0.argument) }
        }
    }

    func client(of connection: UInt64) -> WaitingClient? {
        lock.withLock { all.values.first { $0.client.connection.id == connection }?.client }
    }

    func has(_ namespace: UInt32, _ key: ByteView) -> Bool {
        lock.withLock { places[Self.hash(namespace, key)] != nil }
    }

    /// Databases live elsewhere now: everybody is entered anew. With every stripe held. Returns all their keys.
    func move(_ namespace: (Int) -> UInt32) -> [(namespace: UInt32, key: [UInt8])] {
        lock.withLock {
            places.removeAll()
            var keys: [(namespace: UInt32, key: [UInt8])] = []
            for client in all.values.map(\.client).sorted(by: { $0.sequence < $1.sequence }) {
                let home = namespace(client.database)
                all[ObjectIdentifier(client)] = (client, home)
                insert(client, home)
                for argument in client.request.keys { keys.append((home, client.arguments[argument].array)) }
            }
            return keys
        }
    }
}
