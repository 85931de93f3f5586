// Client-side caching over all loops: who is tracked, which keys they read (TrackingTable), which prefixes they want to
// hear of, and the way of an invalidation to them.
//
// A writer that has committed looks here while it still holds the stripes of its keys. With nobody tracked it reads one
// word: whoever begins to be tracked holds every stripe meanwhile, so each writer has either ended before, or sees the
// word. What is found is sent to the loops of the clients, which know the state of their own (EventLoop+Invalidations).
//
// Keys for prefixes are gathered by the executor for a turn of its loop, and sent as one message for each prefix and
// client, in the order of keys. The writer's id goes with each key, for clients that do not want to hear of their own.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkData

final class TrackingRegistry: @unchecked Sendable {  // The word is atomic; the rest is under the lock or its own locks.
    /// Keys that are forgotten at a time when the bound was lowered; the next time comes with the next command of a
    /// tracked client, or ten times a second.
    private static let forgottenKeysMax = 2000

    let table = TrackingTable()
    unowned(unsafe) private let server: Server
    private let tracked: UnsafeMutablePointer<UInt64>
    private let lock = Lock()
    private var ids: Set<UInt64> = []
    private var prefixes: [[UInt8]: Set<UInt64>] = [:]
    private let prefixTotal = Atomic<Int>(0)

    init(server: Server) {
        self.server = server
        tracked = .allocate(capacity: 1)
        tracked.initialize(to: 0)
    }

    deinit { tracked.deallocate() }

    /// Nobody is tracked. For writers, with a stripe held.
    @inline(__always)  // One load after every commit.
    var isEmpty: Bool { valk_load_relaxed_u64(tracked) == 0 }

    var clientCount: Int { Int(valk_load_relaxed_u64(tracked)) }
    var prefixCount: Int { prefixTotal.load(ordering: .relaxed) }

    // MARK: Clients. With every stripe held to begin.

    func add(_ connection: Connection) { change { ids.insert(connection.id) } }

    func remove(_ connection: Connection) { change { ids.remove(connection.id) } }

    func add(prefix: [UInt8], _ connection: Connection) {
        change { prefixes[prefix, default: []].insert(connection.id) }
    }

    func remove(prefix: [UInt8], _ connection: Connection) {
        change {
            prefixes[prefix]?.remove(connection.id)
            if prefixes[prefix]?.isEmpty == true { prefixes[prefix] = nil }
        }
    }

    private func change(_ body: () -> Void) {
        lock.withLock {
            body()
            valk_store_relaxed_u64(tracked, UInt64(ids.count))
            // What nobody is told of any more need not be remembered.
            if ids.isEmpty { table.removeAll() }
            prefixTotal.store(prefixes.count, ordering: .relaxed)
        }
    }

    // MARK: Sending

    /// What to do on which loop.
    private struct Mail {
        var byLoop: [[(connection: Connection, invalidation: Invalidation)]]

        init(loops: Int) { byLoop = .init(repeating: [], count: loops) }

        mutating func add(_ connection: Connection, _ invalidation: Invalidation) {
            byLoop[connection.loop.index].append((connection, invalidation))
        }
    }

    /// `here`: the loop on whose thread this runs, nil on other threads.
    private func send(_ mail: Mail, on here: EventLoop?) {
        for (i, letters) in mail.byLoop.enumerated() where !letters.isEmpty {
            if let here, here.index == i {
                for letter in letters { here.invalidate(letter.connection, letter.invalidation) }
            } else {
                server.loops[i].mailbox.post(
                    .run { loop in for letter in letters { loop.invalidate(letter.connection, letter.invalidation) } })
            }
        }
    }

    /// Tells whoever may hold one of `keys` that `writer` (0: nobody's command) has changed it. `ownReads`: see
    /// `ClientTracking`.
    func invalidate(_ keys: [[UInt8]], writer: UInt64, ownReads: [[UInt8]: Bool] = [:], on here: EventLoop?) {
        var mail = Mail(loops: server.loops.count)
        for key in keys {
            guard let holders = key.withView({ table.take($0) }) else { continue }
            let own = ownReads.isEmpty ? nil : ownReads[key]
            address(key, holders, writer, except: own == false ? writer : 0, &mail)
            if own != nil { key.withView { _ = table.insert($0, writer) } }
        }
        send(mail, on: here)
    }

    private func address(
        _ key: [UInt8], _ holders: TrackingTable.Holders, _ writer: UInt64, except: UInt64 = 0, _ mail: inout Mail
    ) {
        holders.forEach { id in
            if id == except { return }
            guard let connection = server.registry.connection(id) else { return }
            mail.add(connection, Invalidation(keys: [(key, writer)], isBroadcast: false))
        }
    }

    /// Tells those with prefixes of changed keys: key → who changed it last.
    func broadcast(_ changes: [[UInt8]: UInt64], on here: EventLoop?) {
        var mail = Mail(loops: server.loops.count)
        let sorted = changes.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        for (prefix, ids) in lock.withLock({ prefixes }).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let keys = sorted.filter { $0.key.starts(with: prefix) }.map { ($0.key, $0.value) }
            if keys.isEmpty { continue }
            for id in ids {
                guard let connection = server.registry.connection(id) else { continue }
                mail.add(connection, Invalidation(keys: keys, isBroadcast: true))
            }
        }
        send(mail, on: here)
    }

    /// Databases were emptied or exchanged: nothing that anybody holds is good any more.
    func invalidateAll(on here: EventLoop?) {
        table.removeAll()
        var mail = Mail(loops: server.loops.count)
        for id in lock.withLock({ ids }) {
            if let connection = server.registry.connection(id) {
                mail.add(connection, Invalidation(keys: nil, isBroadcast: false))
            }
        }
        send(mail, on: here)
    }

    /// Forgets keys until there are no more than the setting allows, or many of them; their clients are told.
    /// `connection`: whose command is about to run on this thread.
    func keepBound(on connection: Connection?) {
        let most = server.settings.trackedKeysMax.load(ordering: .relaxed)
        if most == 0 || table.keyCount <= most { return }
        var mail = Mail(loops: server.loops.count)
        var left = Self.forgottenKeysMax
        while left > 0 && table.keyCount > most, let (key, holders) = table.takeOne() {
            address(key, holders, 0, &mail)
            left -= 1
        }
        guard let connection else { return send(mail, on: nil) }
        connection.loop.during(connection) { send(mail, on: $0) }
    }
}

extension Executor {
    /// After the commit of a command of `connection`, or of nobody's: tells who tracks the keys that it wrote.
    @inline(never)
    func invalidateWritten(for connection: Connection) {
        let here = mayBlock ? nil : connection.loop
        if context.keys.hasEmptied {
            if let here {
                here.during(connection) { server.tracking.invalidateAll(on: $0) }
            } else {
                server.tracking.invalidateAll(on: nil)
            }
        }
        var keys: [[UInt8]] = []
        context.keys.forEachWrittenKey { _, key in
            let key = key.array
            if keys.last != key { keys.append(key) }
        }
        if keys.isEmpty { return }
        if server.tracking.prefixCount > 0 { for key in keys { changedKeys[key] = connection.id } }
        let ownReads = connection.tracking?.ownReads ?? [:]
        if let here {
            here.during(connection) {
                server.tracking.invalidate(keys, writer: connection.id, ownReads: ownReads, on: $0)
            }
        } else {
            server.tracking.invalidate(keys, writer: connection.id, ownReads: ownReads, on: nil)
        }
    }

    /// An expired key was removed.
    func invalidateExpired(_ user: ByteView, on loop: EventLoop?) {
        let key = user.array
        if server.tracking.prefixCount > 0 { changedKeys[key] = 0 }
        server.tracking.invalidate([key], writer: 0, on: loop)
    }

    /// Sends what has been gathered for prefixes: at the end of a turn, of a worker's command, or of a walk.
    @inline(never)
    func broadcastChanges(on loop: EventLoop?) {
        let changes = changedKeys
        changedKeys.removeAll()
        server.tracking.broadcast(changes, on: loop)
    }
}
