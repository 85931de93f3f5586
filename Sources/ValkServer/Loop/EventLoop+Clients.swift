// A loop's connections as seen by CLIENT LIST, CLIENT PAUSE and the end of the server. Loop thread.

import CValk
import ValkBase
import ValkRESP

extension EventLoop {
    func clientInfos() -> [ClientInfo] {
        openTurn()
        return connections.filter { $0.state.pointee.phase != .closed }.map { info($0) }.sorted { $0.id < $1.id }
    }

    func info(_ connection: Connection) -> ClientInfo {
        let s = connection.state
        let now = valk_monotonic_ns()
        let flags = s.pointee.flags
        let idleSeconds = Int((now - min(now, s.pointee.lastActivity)) / 1_000_000_000)
        // A client that has just been heard borrows its share of the loop's read buffer.
        let borrowed = idleSeconds < 2 && s.pointee.input.capacity < 16 << 10 ? 16 << 10 : 0
        let use = memory(of: connection)
        // Of a command under way, arguments that are whole are no input any more.
        let unread = s.pointee.input.count - min(s.pointee.input.count, s.pointee.parser.position)
        let taken = s.pointee.pendingInput - unread
        // A worker may be running the transaction just now.
        let transaction = s.pointee.phase == .deferred ? nil : connection.transaction
        let subscriptions = s.pointee.phase == .deferred ? nil : connection.subscriptions
        let tracking = s.pointee.phase == .deferred ? nil : connection.tracking
        return ClientInfo(
            id: connection.id, user: connection.user.name, address: connection.address,
            localAddress: connection.localAddress,
            descriptor: s.pointee.descriptor, name: connection.name, libraryName: connection.libraryName,
            libraryVersion: connection.libraryVersion,
            ageSeconds: Int((now - min(now, s.pointee.createdAt)) / 1_000_000_000), idleSeconds: idleSeconds,
            isMonitor: flags.contains(.monitor),
            subscriptions: (
                subscriptions?.count(.channel) ?? 0, subscriptions?.count(.pattern) ?? 0,
                subscriptions?.count(.shard) ?? 0
            ),
            isUnixSocket: flags.contains(.unixSocket), isTracked: tracking != nil,
            isBroadcastTo: tracking?.mode.contains(.broadcast) ?? false, redirect: tracking?.redirect ?? 0,
            hasBrokenRedirect: tracking?.mode.contains(.brokenRedirect) ?? false,
            isBlocked: s.pointee.phase == .paused || s.pointee.phase == .waiting,
            isClosing: s.pointee.phase == .closing || flags.contains(.closeAfterReply),
            isBroken: flags.contains(.transactionBroken), noEvict: flags.contains(.noEvict),
            noTouch: flags.contains(.noTouch), database: Int(s.pointee.database),
            queuedCommands: flags.contains(.multi) ? transaction?.count ?? 0 : -1,
            watchedKeys: transaction?.watched.count ?? 0, inputBytes: unread,
            inputFreeBytes: borrowed + s.pointee.input.capacity - unread - taken,
            argumentBytes: s.pointee.parser.memoryBytes + taken, queuedBytes: transaction?.queuedBytes ?? 0,
            outputBytes: s.pointee.pendingOutput,
            outputCapacityBytes: s.pointee.output?.pointee.capacity ?? 0, totalMemoryBytes: use.total,
            isReading: s.pointee.loopFlags.contains(.readArmed), isWriting: s.pointee.loopFlags.contains(.writeArmed),
            lastCommand: Int(s.pointee.lastCommand), protocolVersion: Int(s.pointee.version))
    }

    /// CLIENT UNPAUSE, or the pause's end.
    func retryAllPaused() {
        for connection in connections where connection.state.pointee.phase == .paused { retryPaused(connection) }
    }

    /// The server is going down: nothing new is executed; what is answered leaves.
    func drain() {
        for connection in connections where connection.state.pointee.phase != .deferred { kill(connection) }
    }

    /// Ends the loop when all connections are gone, at `deadline` (monotonic nanoseconds) at the latest.
    func finish(by deadline: UInt64) {
        drain()
        for connection in connections where connection.state.pointee.phase == .deferred { close(connection) }
        hot.pointee.stopDeadline = deadline
    }
}
