// One loop: a thread, a libevent base, the connections it owns, and what they share.
//
// A turn: libevent waits and calls back for every ready socket; each call reads once and runs every complete command of
// that connection into its reply buffer. Then, once for the whole turn: the log is flushed up to the last write that
// the turn has made or seen, and every connection with output gets one write. Replies to writes that the log does not
// yet vouch for stay back, as do those of readers that have seen such writes (`Connection+Output.swift`); the log's
// observer wakes the loop when it does.
//
// Invariants:
// 1. Everything here runs on the loop's thread, except `mailbox.post` and the `awaitsLog` flag.
// 2. The loop never waits for a disk, a worker or another loop; but where all of its clients wait for the log, it syncs
//    the log itself.
// 3. A connection is alive as long as it is in `connections`; closed ones stay there until the turn's end, so the
//    unretained lists (`touched`, `held`, `resuming`) are valid throughout a turn.

import CLibevent
import CValk
import Glibc
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

package final class EventLoop: @unchecked Sendable {  // Invariant 1.
    /// 0-based.
    package let index: Int
    unowned(unsafe) let server: Server
    let base: OpaquePointer
    let mailbox = LoopMailbox()
    let subscriptions = LoopSubscriptions()
    let executor: Executor
    private let dataLimit: DataLimit
    /// Bytes of the buffer into which connections without leftovers read.
    static let readBytes = 64 << 10
    let readBuffer: UnsafeMutableRawPointer
    let hot: UnsafeMutablePointer<LoopState>
    /// Connections of this loop; the position is `Connection.slot`.
    private(set) var connections: [Connection] = []
    /// Replies wait for the log: the log's observer posts to loops that say so.
    let awaitsLog = Atomic<Bool>(false)
    /// CPU time of the thread, microseconds, as it was at the last tick.
    let userTime = Atomic<UInt64>(0)
    let systemTime = Atomic<UInt64>(0)
    /// Whose command has just ended, while those who track its keys are told.
    var running: Connection?
    /// Commands of this turn that wait for the disk; handed to workers at its end.
    var deferred: [Connection] = []
    private var taken: [LoopMessage] = []
    private var thread: PThread?
    private var mailboxEvent: OpaquePointer?
    private var cronEvent: OpaquePointer?
    private var cronCursor = 0
    /// Calls a second; connections are looked at at least once a second.
    static let cronHertz = 10

    init(index: Int, server: Server) {
        self.index = index
        self.server = server
        // No other thread touches the base: wake-ups go through the mailbox's descriptor.
        guard let config = event_config_new() else { preconditionFailure("event_config_new failed") }
        event_config_set_flag(config, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
        guard let base = event_base_new_with_config(config) else { preconditionFailure("event_base_new failed") }
        event_config_free(config)
        self.base = base
        readBuffer = .allocate(byteCount: Self.readBytes, alignment: 4096)
        hot = .allocate(capacity: 1)
        hot.initialize(to: LoopState())
        executor = Executor(server: server, mayBlock: false)
        dataLimit = server.dataLimit
    }

    deinit {
        if let mailboxEvent { event_free(mailboxEvent) }
        if let cronEvent { event_free(cronEvent) }
        event_base_free(base)
        readBuffer.deallocate()
        hot.deinitialize(count: 1)
        hot.deallocate()
    }

    // MARK: Thread

    func start() {
        let context = Unmanaged.passUnretained(self).toOpaque()
        mailboxEvent = event_new(
            base, mailbox.descriptor, Int16(EV_READ | EV_PERSIST),
            { _, _, context in
                guard let context else { return }
                Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().receive()
            }, context)
        cronEvent = event_new(
            base, -1, Int16(EV_PERSIST),
            { _, _, context in
                guard let context else { return }
                Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().cron()
            }, context)
        event_add(mailboxEvent, nil)
        var period = timeval(tv_sec: 0, tv_usec: 1_000_000 / Self.cronHertz)
        event_add(cronEvent, &period)
        thread = PThread(name: "valk-loop-\(index)", stackBytes: Executor.stackBytes) { [self] in run() }
    }

    /// Whether the caller runs on this loop.
    var isCurrent: Bool { thread?.isCurrent ?? false }

    func join() {
        thread?.join()
        thread = nil
    }

    private func run() {
        let once = Int32(EVLOOP_ONCE)
        let poll = Int32(EVLOOP_ONCE | EVLOOP_NONBLOCK)
        while true {
            event_base_loop(base, hot.pointee.resuming.count > 0 ? poll : once)
            if hot.pointee.resuming.count > 0 { resumeConnections() }
            endTurn()
            if !deferred.isEmpty {
                server.workers.submit(deferred)
                deferred.removeAll(keepingCapacity: true)
            }
            let deadline = hot.pointee.stopDeadline
            if deadline > 0 && (connections.isEmpty || valk_monotonic_ns() >= deadline) { break }
        }
        closeAll()
    }

    // MARK: Turns

    /// Reads the clocks once a turn.
    @inline(__always)
    func openTurn() {
        if hot.pointee.turnOpen { return }
        beginTurn()
    }

    @inline(never)
    private func beginTurn() {
        hot.pointee.turnOpen = true
        hot.pointee.now = valk_monotonic_ns()
        executor.beginTurn(monotonic: hot.pointee.now)
    }

    private func endTurn() {
        guard hot.pointee.turnOpen else { return }
        hot.pointee.turnOpen = false
        executor.counters.add(.turns)
        if executor.context.keys.hasNoted { executor.removeNoted(on: self) }
        if !executor.changedKeys.isEmpty { executor.broadcastChanges(on: self) }
        let position = hot.pointee.turnPosition
        var hold = false
        if position > 0 {
            hot.pointee.turnPosition = 0
            // A log that has stopped acknowledges nothing any more: the replies stay back, and their clients are
            // closed.
            do {
                hold = try !server.store.flushLog(LogPosition(rawValue: position), maySync: everybodyWaits())
            } catch {
                hold = true
            }
            dataLimit.noteWrites()
        }
        var i = 0
        while i < hot.pointee.touched.count {
            let connection = hot.pointee.touched[i]
            connection._withUnsafeGuaranteedRef { finishTurn($0, hold: hold) }
            i &+= 1
        }
        hot.pointee.touched.removeAll()
        if hold {
            // The log may have got there before the flag was up, and then nobody would tell.
            awaitsLog.store(true, ordering: .sequentiallyConsistent)
            releaseHeld()
        }
        if server.clientMemory.isExceeded { evictClients() }
        if hot.pointee.closed.count > 0 { removeClosed() }
    }

    /// Whether every client of this loop waits for the log: then nobody is kept waiting by a loop that does. Many
    /// clients seldom wait all at once, and are not counted.
    private func everybodyWaits() -> Bool {
        guard connections.count <= 64 else { return false }
        return connections.allSatisfy {
            $0.state.pointee.turnPosition > 0 || $0.state.pointee.loopFlags.contains(.held)
        }
    }

    private func finishTurn(_ connection: Connection, hold: Bool) {
        let s = connection.state
        s.pointee.loopFlags.remove(.touched)
        if s.pointee.phase == .closed { return }
        if s.pointee.turnPosition > 0 {
            if hold { self.hold(connection) }
            s.pointee.turnPosition = 0
            if s.pointee.flags.contains(.wrote) {
                s.pointee.flags.remove(.wrote)
                let sent = Int(truncatingIfNeeded: s.pointee.totalReceived &- s.pointee.paidReceived)
                let delay = max(server.store.writeDelay, dataLimit.delay(afterBytes: sent))
                if delay > 0 { keepPace(connection, nanoseconds: delay) }
            }
        }
        s.pointee.paidReceived = s.pointee.totalReceived
        flushOutput(connection)
        if s.pointee.phase != .closed { countMemory(connection) }
    }

    /// The connection has output or something to settle at the turn's end.
    @inline(__always)
    func touch(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        if s.pointee.loopFlags.contains(.touched) { return }
        s.pointee.loopFlags.insert(.touched)
        s.pointee.turnOffset = s.pointee.endOffset
        hot.pointee.touched.append(connection)
    }

    /// The connection may have commands to run that no socket event will announce.
    func resumeLater(_ connection: Connection) {
        let s = connection.state
        if s.pointee.loopFlags.contains(.resuming) { return }
        s.pointee.loopFlags.insert(.resuming)
        hot.pointee.resuming.append(connection)
    }

    private func resumeConnections() {
        openTurn()
        // What is put on the list from here on waits for the next turn.
        let count = hot.pointee.resuming.count
        for i in 0..<count {
            hot.pointee.resuming[i]._withUnsafeGuaranteedRef { connection in
                connection.state.pointee.loopFlags.remove(.resuming)
                goOn(connection)
            }
        }
        hot.pointee.resuming.removeFirst(count)
    }

    // MARK: Messages

    private func receive() {
        openTurn()
        mailbox.take(into: &taken)
        for message in taken {
            switch message {
            case .run(let body): body(self)
            case .adopt(let descriptor, let peer): adopt(descriptor, peer)
            case .completed(let connection): complete(connection)
            case .logAdvanced: releaseHeld()
            }
        }
        taken.removeAll(keepingCapacity: true)
    }

    // MARK: Connections

    /// Makes a connection of an accepted socket.
    func adopt(_ descriptor: Int32, _ peer: SocketPeer) {
        openTurn()
        var flags = peer.flags
        if server.users.isOpen { flags.insert(.authenticated) }
        let connection = Connection(
            id: peer.id, server: server, loop: self, descriptor: descriptor, address: peer.address,
            localAddress: peer.localAddress, flags: flags, now: hot.pointee.now)
        if peer.speaksTLS {
            // Without a session there is nothing that could be said to the peer.
            guard let session = server.tls.session(descriptor) else { return Socket.close(descriptor) }
            connection.state.pointee.tls = session
        }
        connection.slot = connections.count
        connections.append(connection)
        server.registry.add(connection)
        countMemory(connection)
        open(connection)
    }

    /// Forgets the connections that were closed in this turn.
    private func removeClosed() {
        for i in 0..<hot.pointee.closed.count {
            let connection = hot.pointee.closed[i].takeUnretainedValue()
            if connection.state.pointee.loopFlags.contains(.held) { hot.pointee.held.remove(connection) }
            if connection.state.pointee.loopFlags.contains(.resuming) { hot.pointee.resuming.remove(connection) }
            let last = connections.removeLast()
            if last !== connection {
                connections[connection.slot] = last
                last.slot = connection.slot
            }
        }
        hot.pointee.closed.removeAll()
    }

    private func closeAll() {
        for connection in connections { close(connection) }
        connections.removeAll()
    }

    // MARK: Cron

    private func noteTimes() {
        var (user, system) = (UInt64(0), UInt64(0))
        guard valk_thread_cpu_times(&user, &system) == 0 else { return }
        userTime.store(user, ordering: .relaxed)
        systemTime.store(system, ordering: .relaxed)
    }

    private func cron() {
        openTurn()
        // An idle loop must not keep old tables and files alive.
        executor.rest(isIdle: false)
        // Safety net for a wake-up that got lost.
        if awaitsLog.load(ordering: .relaxed) { releaseHeld() }
        keepMaxima()
        noteTimes()
        let count = connections.count
        if count > 0 {
            for _ in 0..<min(count, count / Self.cronHertz + 1) {
                cronCursor = cronCursor + 1 < count ? cronCursor + 1 : 0
                tend(connections[cronCursor])
            }
        }
        if index == 0 { server.cron(now: hot.pointee.now) }
    }
}

/// A loop's own state, behind a pointer for the reasons given in `ConnectionState`.
struct LoopState: ~Copyable {
    var turnOpen = false
    /// Monotonic nanoseconds at which the loop ends at the latest; 0 while it serves.
    var stopDeadline: UInt64 = 0
    /// Monotonic nanoseconds at the turn's start.
    var now: UInt64 = 0
    /// Of `now`, as the largest buffers are remembered by it; it moves ten times a second.
    var second = 0
    /// End of this turn's last write in the log; 0 for none.
    var turnPosition: UInt64 = 0
    /// Closed in this turn; forgotten at its end.
    var closed = ConnectionList()
    var touched = ConnectionList()
    var held = ConnectionList()
    var resuming = ConnectionList()
    var buffers = BufferPool()
}
