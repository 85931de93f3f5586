// Clients that wait for data, from the side of their loop: timers, CLIENT UNBLOCK, closing.

import CLibevent
import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkRESP

extension EventLoop {
    /// The command that has just been dispatched waits for data.
    func beginWaiting(_ connection: Connection, _ client: WaitingClient) {
        let s = connection.state
        s.pointee.phase = .waiting
        connection.waiting = client
        // Its place is kept in the client now.
        connection.waitDeadline = 0
        connection.waitSequence = 0
        if client.deadline > 0 { startWaitTimer(connection, client) }
        // So that its end is seen.
        if !s.pointee.loopFlags.contains(.inputEnded) { armRead(connection) }
    }

    /// The same after a worker has run the command; it may have been served meanwhile, or be closed.
    func startWaiting(_ connection: Connection, _ client: WaitingClient) {
        guard connection.state.pointee.phase == .deferred, !client.hasEnded else {
            if connection.state.pointee.phase == .closed {
                client.isGone.store(true, ordering: .sequentiallyConsistent)
                if client.endIfWaiting() { server.waitingClients.remove(client) }
            }
            return
        }
        beginWaiting(connection, client)
    }

    private func startWaitTimer(_ connection: Connection, _ client: WaitingClient) {
        let now = valk_monotonic_ns()
        // Longer than a year is for ever.
        let left = min(client.deadline - min(client.deadline, now), 366 * 86_400 * 1_000_000_000)
        startTimer(connection, nanoseconds: max(left, 1000))
    }

    /// The time is over.
    func timeOut(_ connection: Connection) {
        guard let client = connection.waiting, client.deadline > 0 else { return }
        openTurn()
        if valk_monotonic_ns() < client.deadline { return startWaitTimer(connection, client) }
        guard client.endIfWaiting() else {
            // Somebody tries to serve it just now: it is served, or its time is over a moment later.
            if !client.hasEnded { startTimer(connection, nanoseconds: 1_000_000) }
            return
        }
        server.waitingClients.remove(client)
        answer(client) { $0.nullArray() }
    }

    /// Ends the waiting of a client that nobody else ends.
    func answer(_ client: WaitingClient, _ write: (ReplyWriter) -> Void) {
        let connection = client.connection
        let phase = connection.state.pointee.phase
        // Deferred: a worker has begun the waiting, and its message is still on its way.
        guard phase == .waiting || phase == .deferred else { return }
        openTurn()
        let out = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        out.initialize(to: ByteBuffer(capacity: 64))
        if connection.state.pointee.flags.isDisjoint(with: [.replyOff, .replySkip]) {
            write(ReplyWriter(out: out, version: client.version))
        }
        connection.deferredReply = out
        complete(connection)
    }

    /// A writer could not serve the client, which has left those who wait: its command runs again, as if it had just
    /// come, but with its old deadline and place.
    func retry(_ client: WaitingClient) {
        let connection = client.connection
        let phase = connection.state.pointee.phase
        guard phase == .waiting || phase == .deferred else { return }
        endWaiting(connection)
        connection.waitDeadline = client.deadline
        connection.waitSequence = client.sequence
        retryWaiting(connection)
    }

    /// The waiting has ended.
    func endWaiting(_ connection: Connection) {
        if connection.waiting == nil { return }
        connection.waiting = nil
        if let timer = connection.sleepEvent { event_del(timer) }
    }

    /// The connection closes.
    func forgetWaiting(_ connection: Connection) {
        guard let client = connection.waiting else { return }
        connection.waiting = nil
        client.isGone.store(true, ordering: .sequentiallyConsistent)
        if client.endIfWaiting() { server.waitingClients.remove(client) }
    }
}

extension WaitingClients {
    /// CLIENT UNBLOCK, from any thread: whether the client with this id waited. With an error, or as if its time were
    /// over.
    func unblock(_ id: UInt64, withError: Bool) -> Bool {
        guard let client = client(of: id), client.endIfWaiting() else { return false }
        remove(client)
        client.connection.loop.mailbox.post(
            .run { loop in
                if withError {
                    loop.executor.counters.addFailed(client.index)
                    loop.executor.counters.addError(.unblocked)
                }
                loop.answer(client) { reply in
                    if withError {
                        reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
                    } else {
                        reply.nullArray()
                    }
                }
            })
        return true
    }
}
