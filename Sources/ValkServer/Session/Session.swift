// The session: what a client has chosen and may ask about. This is the face of a connection that command handlers see;
// all of it may be used by a handler wherever it runs.

import Synchronization
import ValkBase
import ValkCommands

/// What CLIENT REPLY chose.
package enum ReplyMode: Sendable { case on, off, skipNext }

extension Connection {
    /// The selected database, 0-based.
    package var database: Int {
        get { Int(state.pointee.database) }
        set { state.pointee.database = Int32(newValue) }
    }

    /// 2 or 3. A handler that changes it also changes `context.reply.version` for the reply it writes itself.
    package var protocolVersion: UInt8 {
        get { state.pointee.version }
        set { state.pointee.version = newValue }
    }

    package var isAuthenticated: Bool {
        get { state.pointee.flags.contains(.authenticated) }
        set { set(.authenticated, newValue) }
    }

    /// The client is `user` from now on.
    package func logIn(as user: AccessUser) {
        self.user = user
        isAuthenticated = true
    }

    /// Back to the user "default", logged in only where nobody has to.
    func logOut() {
        user = server.users.defaultUser
        isAuthenticated = server.users.isOpen
    }

    /// Closes the connection once the replies so far (the running command's included) have left.
    package func closeAfterReply() { set(.closeAfterReply, true) }

    /// Holds the running command's reply back for so long, and all that the client has sent behind it. Within EXEC the
    /// times of several commands add up.
    package func sleep(nanoseconds: UInt64) {
        let before = state.pointee.flags.contains(.sleeps) ? sleepNanoseconds : 0
        sleepNanoseconds = before + nanoseconds
        set(.sleeps, true)
    }

    package var isUnixSocket: Bool { state.pointee.flags.contains(.unixSocket) }
    /// From this machine: loopback address or Unix socket.
    package var isLocal: Bool { !state.pointee.flags.isDisjoint(with: [.unixSocket, .loopback]) }

    package var noEvict: Bool {
        get { state.pointee.flags.contains(.noEvict) }
        set { set(.noEvict, newValue) }
    }

    package var noTouch: Bool {
        get { state.pointee.flags.contains(.noTouch) }
        set { set(.noTouch, newValue) }
    }

    package var isMonitor: Bool { state.pointee.flags.contains(.monitor) }
    /// Between MULTI and EXEC.
    package var inTransaction: Bool { state.pointee.flags.contains(.multi) }
    /// The running command is part of an EXEC.
    package var isExecuting: Bool { state.pointee.flags.contains(.executing) }

    /// Memory of what the session holds besides its fixed part.
    var sessionBytes: Int {
        (transaction?.memoryBytes ?? 0) + (subscriptions?.memoryBytes ?? 0) + (tracking?.memoryBytes ?? 0)
    }

    package var replyMode: ReplyMode {
        get {
            if state.pointee.flags.contains(.replyOff) { return .off }
            return state.pointee.flags.isDisjoint(with: [.replySkip, .replySkipNext]) ? .on : .skipNext
        }
        set {
            state.pointee.flags.subtract([.replyOff, .replySkip, .replySkipNext])
            switch newValue {
            case .on: break
            case .off: state.pointee.flags.insert(.replyOff)
            case .skipNext: state.pointee.flags.insert(.replySkipNext)
            }
        }
    }

    /// Makes this client a monitor: it gets a line for every command that runs from now on.
    package func startMonitoring() {
        set(.monitor, true)
        server.monitors.add(self)
    }

    package func stopMonitoring() {
        guard isMonitor else { return }
        set(.monitor, false)
        server.monitors.remove(self)
    }

    /// Back to what a new connection has (RESET): no transaction, no watched keys, database 0, RESP2, no name, replies
    /// on, not a monitor, not tracked; logged in as "default" only when no password is needed.
    package func resetSession() {
        discardTransaction()
        stopMonitoring()
        unsubscribeAll()
        stopTracking()
        replyMode = .on
        database = 0
        protocolVersion = 2
        name = []
        noEvict = false
        noTouch = false
        logOut()
    }

    func set(_ flag: ConnectionFlags, _ on: Bool) {
        if on { state.pointee.flags.insert(flag) } else { state.pointee.flags.remove(flag) }
    }
}

/// A look at one client, as CLIENT LIST shows it. Sizes in bytes, times in seconds.
package struct ClientInfo: Sendable {
    package var id: UInt64
    package var user: [UInt8]
    package var address: String
    package var localAddress: String
    package var descriptor: Int32
    package var name: [UInt8]
    package var libraryName: [UInt8]
    package var libraryVersion: [UInt8]
    package var ageSeconds: Int
    package var idleSeconds: Int
    package var isMonitor: Bool
    /// Channels, patterns and shard channels that it listens to.
    package var subscriptions: (channels: Int, patterns: Int, shards: Int)
    package var isUnixSocket: Bool
    /// CLIENT TRACKING is on; it is in BCAST mode; the client that is told in its place (0: none) has gone.
    package var isTracked: Bool
    package var isBroadcastTo: Bool
    package var redirect: UInt64
    package var hasBrokenRedirect: Bool
    package var isBlocked: Bool
    package var isClosing: Bool
    package var isBroken: Bool
    package var noEvict: Bool
    package var noTouch: Bool
    package var database: Int
    /// Commands queued by MULTI; -1 outside.
    package var queuedCommands: Int
    package var watchedKeys: Int
    package var inputBytes: Int
    package var inputFreeBytes: Int
    package var argumentBytes: Int
    package var queuedBytes: Int
    package var outputBytes: Int
    package var outputCapacityBytes: Int
    package var totalMemoryBytes: Int
    package var isReading: Bool
    package var isWriting: Bool
    /// Index of the last command in the command table, -1 for none.
    package var lastCommand: Int
    package var protocolVersion: Int

    var listens: Bool { subscriptions.channels + subscriptions.patterns + subscriptions.shards > 0 }
}
