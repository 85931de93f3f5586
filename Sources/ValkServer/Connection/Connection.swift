// One client connection. The hot part lies in `ConnectionState` behind a pointer; this object is its identity: what the
// registry, workers and mailboxes hold on to, and the rarely used rest (name, addresses, transaction).
//
// Life: made by the loop that adopts an accepted socket; registered; read, executed and written by that loop alone; on
// `close` the socket is closed and the connection leaves the registry, the object lives on until the last holder (a
// worker, a mailbox message) lets go.
//
// Thread rule: everything here belongs to the loop. While `phase` is `.deferred` a worker runs a command of this
// connection and owns the session (see `Session/Session.swift`); the loop then touches sockets and buffers only.

import CLibevent
import Glibc
import ValkBase
import ValkCommands

package final class Connection: @unchecked Sendable {  // Thread rule above.
    /// Never reused while the process lives; from 1.
    package let id: UInt64
    package unowned(unsafe) let server: Server
    /// The loop that owns this connection.
    unowned(unsafe) let loop: EventLoop
    let state: UnsafeMutablePointer<ConnectionState>
    /// "127.0.0.1:50000", or "/path:0" for Unix sockets.
    package let address: String
    package let localAddress: String

    /// libevent's events, made at `open`; nil after `close`.
    var readEvent: OpaquePointer?
    var writeEvent: OpaquePointer?
    private var ownNames: ConnectionNames
    /// What its user may do, and the version of all rights at which that was looked up (0: never). The session's.
    private var rights: AccessRights?
    private var rightsVersion: UInt64 = 0
    /// MULTI's queue and WATCH's keys; made when first needed.
    var transaction: Transaction? { didSet { set(.holdsMore, true) } }
    /// What the client listens to; made when first needed.
    var subscriptions: Subscriptions? { didSet { set(.holdsMore, true) } }
    /// Its caching of keys; nil while there is none.
    var tracking: ClientTracking? { didSet { set(.holdsMore, true) } }
    /// Of a command that has waited for data before and runs again: its deadline (monotonic nanoseconds) and its place
    /// among those who wait; 0 otherwise.
    var waitDeadline: UInt64 = 0
    var waitSequence: UInt64 = 0
    /// What that command put in the place of some arguments (`$` of XREAD).
    var waitReplacements: [(index: Int, bytes: [UInt8])] = []
    /// While a command waits for data; the loop's.
    var waiting: WaitingClient?
    /// What waits for the end of the running command. The loop's.
    var held: [@Sendable (EventLoop) -> Void] = []
    /// How long the reply is to be held back, while `sleeps` is set; and the timer, while the phase is `.sleeping` or
    /// `.paced`.
    var sleepNanoseconds: UInt64 = 0
    var sleepEvent: OpaquePointer?
    /// Where this connection stands in its loop's table.
    var slot = -1
    /// The worker's side of a deferred command: its reply, and how far its write reaches in the log (0: none).
    var deferredReply: UnsafeMutablePointer<ByteBuffer>?
    var deferredPosition: UInt64 = 0
    /// The rest of a reply that comes in pieces: the worker's while it writes one, the loop's between them.
    var replyStream: ReplyStream?

    /// CLIENT SETNAME; empty for none. Names may be asked for by one thread while another sets them.
    package var name: [UInt8] {
        get { server.registry.namesLock.withLock { ownNames.client } }
        set { server.registry.namesLock.withLock { ownNames.client = newValue } }
    }

    /// CLIENT SETINFO.
    package var libraryName: [UInt8] {
        get { server.registry.namesLock.withLock { ownNames.library } }
        set { server.registry.namesLock.withLock { ownNames.library = newValue } }
    }

    package var libraryVersion: [UInt8] {
        get { server.registry.namesLock.withLock { ownNames.libraryVersion } }
        set { server.registry.namesLock.withLock { ownNames.libraryVersion = newValue } }
    }

    /// All of it at once.
    var names: ConnectionNames {
        get { server.registry.namesLock.withLock { ownNames } }
        set {
            server.registry.namesLock.withLock { ownNames = newValue }
            rightsVersion = 0
            state.pointee.unrestrictedVersion = 0
        }
    }

    /// Who the client is logged in as; "default" also where it is not. May be asked for on any thread.
    package var user: AccessUser {
        get { server.registry.namesLock.withLock { ownNames.user } }
        set {
            server.registry.namesLock.withLock { ownNames.user = newValue }
            rightsVersion = 0
            state.pointee.unrestrictedVersion = 0
        }
    }

    /// What the user may do now; nil while that is everything.
    func restrictions() -> AccessRights? {
        // Before the rights: see `UserRegistry`.
        let version = server.gate.accessVersion
        if rightsVersion != version {
            let now = server.users.rights(of: user)
            rights = now.isUnrestricted ? nil : now
            rightsVersion = version
        }
        if rights == nil { state.pointee.unrestrictedVersion = version }
        return rights
    }

    init(
        id: UInt64, server: Server, loop: EventLoop, descriptor: Int32, address: String, localAddress: String,
        flags: ConnectionFlags, now: UInt64
    ) {
        self.id = id
        self.server = server
        self.loop = loop
        self.address = address
        self.localAddress = localAddress
        ownNames = ConnectionNames(user: server.users.defaultUser)
        state = .allocate(capacity: 1)
        state.initialize(to: ConnectionState(descriptor: descriptor, flags: flags, now: now))
    }

    deinit {
        if let deferredReply {
            deferredReply.deinitialize(count: 1)
            deferredReply.deallocate()
        }
        state.deinitialize(count: 1)
        state.deallocate()
    }
}

/// What a client calls itself, and who it is.
struct ConnectionNames {
    var user: AccessUser
    var client: [UInt8] = []
    var library: [UInt8] = []
    var libraryVersion: [UInt8] = []
}
