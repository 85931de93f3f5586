// What one client wants to be told of keys (CLIENT TRACKING). Belongs to its session: the loop's, and a worker's while
// that runs a command of it.

import ValkBase
import ValkCommands
import ValkRESP

final class ClientTracking {
    struct Mode: OptionSet {
        let rawValue: UInt8
        /// Of all keys with some prefixes, whether they were read or not.
        static let broadcast = Mode(rawValue: 1 << 0)
        /// Only of what is read after CLIENT CACHING YES.
        static let optIn = Mode(rawValue: 1 << 1)
        /// Not of what is read after CLIENT CACHING NO.
        static let optOut = Mode(rawValue: 1 << 2)
        /// Not of what it changes itself.
        static let noLoop = Mode(rawValue: 1 << 3)
        /// CLIENT CACHING was given for the next command.
        static let caching = Mode(rawValue: 1 << 4)
        /// The client that is to be told has gone.
        static let brokenRedirect = Mode(rawValue: 1 << 5)
    }

    var mode: Mode = []
    /// The id of the client that is told in its place; 0 for none.
    var redirect: UInt64 = 0
    private(set) var prefixes: Set<[UInt8]> = []
    /// Bytes that the prefixes take: their own, and their places here and in the registry.
    private(set) var memoryBytes = 0
    private static let bytesPerPrefix = 64
    /// Keys that the running command or transaction writes and then reads: it holds them afterwards. True where it has
    /// held them before, too, and is to be told.
    var ownReads: [[UInt8]: Bool] = [:]
    /// Keys that the running script names and that the client did not hold; and whether it has read anything: then all
    /// its keys count as read.
    var scriptKeys: [[UInt8]] = []
    var scriptHasRead = false

    func insert(_ prefix: [UInt8]) -> Bool {
        guard prefixes.insert(prefix).inserted else { return false }
        memoryBytes += prefix.count + Self.bytesPerPrefix
        return true
    }

    /// Whether CLIENT CACHING with this word fits the mode.
    func takesCaching(_ word: ByteView) -> Bool {
        mode.contains(.optIn) && word.equalsIgnoringCase("yes")
            || mode.contains(.optOut) && word.equalsIgnoringCase("no")
    }

    /// Whether what the next command reads is remembered.
    var remembersReads: Bool {
        if mode.contains(.optIn) { return mode.contains(.caching) }
        return !(mode.contains(.optOut) && mode.contains(.caching))
    }
}

extension Connection {
    /// Begins or changes tracking.
    func startTracking(_ mode: ClientTracking.Mode, redirect: UInt64, prefixes: [[UInt8]]) {
        let own = tracking ?? ClientTracking()
        tracking = own
        own.mode = mode
        own.redirect = redirect
        set(.tracking, !mode.contains(.broadcast))
        server.tracking.add(self)
        if !mode.contains(.broadcast) { return }
        for prefix in prefixes.isEmpty ? [[]] : prefixes where own.insert(prefix) {
            server.tracking.add(prefix: prefix, self)
        }
    }

    /// A script has ended: without a command that reads its keys do not count.
    func forgetUnreadKeys() {
        guard let tracking, !tracking.scriptKeys.isEmpty else { return }
        if !tracking.scriptHasRead {
            for key in tracking.scriptKeys { key.withView { server.tracking.table.remove($0, id) } }
        }
        tracking.scriptKeys.removeAll()
    }

    func stopTracking() {
        guard let tracking else { return }
        for prefix in tracking.prefixes { server.tracking.remove(prefix: prefix, self) }
        server.tracking.remove(self)
        self.tracking = nil
        set(.tracking, false)
    }
}

extension Executor {
    /// Remembers the keys that a command of a tracked client is about to read. On its loop, before the moment is fixed
    /// that the command reads from.
    func noteReads(_ connection: Connection, _ index: Int, _ arguments: ArgumentList) {
        guard let tracking = connection.tracking else { return }
        tracking.ownReads.removeAll()
        tracking.scriptKeys.removeAll()
        tracking.scriptHasRead = false
        let inMulti = connection.inTransaction
        if index == execIndex {
            if inMulti, let transaction = connection.transaction { noteReads(of: transaction, connection, tracking) }
        } else if !inMulti && tracking.remembersReads && entries[index].isTracked {
            let flags = entries[index].flags
            forEachKey(index, arguments) { key in
                let isNew = server.tracking.table.insert(key, connection.id)
                if flags.contains(.runsScripts) {
                    if isNew { tracking.scriptKeys.append(key.array) }
                } else if flags.contains(.seesWholeWrites) {
                    // PFCOUNT, which may write what it read.
                    tracking.ownReads[key.array] = !isNew
                }
            }
        }
        server.tracking.keepBound(on: connection)
        // CLIENT CACHING is for one command, or for one transaction.
        let isOver = inMulti ? index == execIndex || index == server.discardIndex : index != server.multiIndex
        if isOver && !server.isClientCommand[index] { tracking.mode.remove(.caching) }
    }

    /// In order: what is read after the transaction's own write is read from that write.
    private func noteReads(of transaction: Transaction, _ connection: Connection, _ tracking: ClientTracking) {
        transaction.seal()
        let mode = tracking.mode
        var written = Set<[UInt8]>()
        var heldBefore = Set<[UInt8]>()
        for i in 0..<transaction.count {
            let index = Int(transaction.queued[i].command)
            let arguments = transaction.arguments(of: i)
            if index == server.cachingIndex && tracking.takesCaching(arguments[2]) { tracking.mode.insert(.caching) }
            if entries[index].flags.contains(.write) {
                forEachKey(index, arguments) { key in
                    let key = key.array
                    written.insert(key)
                    tracking.ownReads[key] = nil
                }
            } else if tracking.remembersReads && entries[index].isTracked {
                let isScript = entries[index].flags.contains(.runsScripts)
                forEachKey(index, arguments) { key in
                    let isNew = server.tracking.table.insert(key, connection.id)
                    let key = key.array
                    // It may read its keys before it writes them.
                    if isScript {
                        heldBefore.insert(key)
                        tracking.ownReads[key] = nil
                        return
                    }
                    if !isNew || !written.contains(key) { heldBefore.insert(key) }
                    if written.contains(key) { tracking.ownReads[key] = heldBefore.contains(key) }
                }
            }
        }
        tracking.mode = mode
    }

    private func forEachKey(_ index: Int, _ arguments: ArgumentList, _ body: (ByteView) -> Void) {
        let entry = entries[index]
        if entry.keysMove || entry.flags.contains(.movableKeys) {
            for key in CommandKeyFinder.keys(table.specs[index], arguments) ?? [] { body(arguments[key.position]) }
            return
        }
        guard entry.firstKey > 0 else { return }
        let last = entry.lastKey < 0 ? arguments.count + Int(entry.lastKey) : Int(entry.lastKey)
        var at = Int(entry.firstKey)
        while at <= last && at < arguments.count {
            body(arguments[at])
            at += max(1, Int(entry.keyStep))
        }
    }
}

extension CommandEntry {
    /// Its keys are remembered for a tracked client.
    fileprivate var isTracked: Bool {
        !flags.isDisjoint(with: [.readonly, .runsScripts]) && !flags.contains(.pubsub)
    }
}
