// Writing: one write(2) a connection and turn, what must wait for the log, limits, and closing.
//
// Back-pressure: past `outputPauseBytes` of unread replies a connection executes no more until the socket has taken
// them. Replies of writes that the log does not vouch for yet are marked: output beyond a mark's predecessor
// stays until the log has reached the mark's position. Two marks are enough: the first stands until it is reached,
// everything later joins the last one, so a client that never pauses still gets its answers in good time.

import CLibevent
import CValk
import Glibc
import Logging
import Synchronization
import ValkBase
import ValkEngine
import ValkRESP

extension EventLoop {
    /// Idle time after which a connection's input memory is given back, nanoseconds.
    private static let idleMemoryNanoseconds: UInt64 = 2_000_000_000
    /// Pushes that may wait for the end of a reply that comes in pieces.
    private static let heldPushesMax = 100_000
    /// How long room for big requests is kept after the last one.
    private static let bigInputNanoseconds: UInt64 = 200_000_000

    func writable(_ connection: Connection) {
        openTurn()
        connection.state.pointee.loopFlags.remove(.writeArmed)
        if connection.state.pointee.loopFlags.contains(.tlsReadsWhenWritable) {
            connection.state.pointee.loopFlags.remove(.tlsReadsWhenWritable)
            readable(connection)
        }
        if connection.state.pointee.phase != .closed { flushOutput(connection) }
        if connection.state.pointee.phase != .closed { countMemory(connection) }
    }

    /// Gives the socket what may leave; afterwards resumes, arms, or closes as the outcome demands. In the middle of a
    /// turn that has run commands of the connection it does nothing: the turn's end does it, after the log.
    func flushOutput(_ connection: Connection) {
        let s = connection.state
        if s.pointee.loopFlags.contains(.touched) { return }
        writeOut(connection, s)
    }

    /// In the middle of a turn: lets go what the socket takes of a client that only reads, unless this turn has written
    /// something that a reader may have seen and the log not.
    func flushEarly(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        if hot.pointee.turnPosition > 0 || s.pointee.turnPosition > 0 || s.pointee.heldFirst.position > 0 { return }
        writeOut(connection, s)
    }

    private func writeOut(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        if s.pointee.phase == .sleeping { return }
        guard let output = s.pointee.output else {
            if s.pointee.phase == .closing { close(connection) }
            return
        }
        var free = output.pointee.count - s.pointee.outputSent
        // Past the hard limit nothing more is sent, whether the socket would take it or not.
        if free > ReplySizes.ownBytes && exceedsHardLimit(s) { return closeOverLimit(connection) }
        if s.pointee.heldFirst.position > 0 {
            free =
                s.pointee.releasedOffset > s.pointee.totalSent ? Int(s.pointee.releasedOffset - s.pointee.totalSent) : 0
        }
        if free > 0 && !s.pointee.loopFlags.contains(.writeArmed) {
            let from = output.pointee.base + s.pointee.outputSent
            let n: Int
            if let session = s.pointee.tls {
                n = writeTLS(connection, s, session, from, free)
            } else {
                n = Socket.write(s.pointee.descriptor, from, free)
            }
            if n < 0 && n != Socket.again { return close(connection) }
            if n > 0 {
                s.pointee.outputSent += n
                s.pointee.totalSent &+= UInt64(n)
                // A client that reads is not idle.
                if s.pointee.phase == .outputBlocked || s.pointee.loopFlags.contains(.streams) {
                    s.pointee.lastActivity = hot.pointee.now
                }
                executor.counters.add(.writes)
                executor.counters.add(.bytesOut, n)
            }
            if n < free && !s.pointee.loopFlags.contains(.tlsWritesWhenReadable) { armWrite(connection) }
        }
        if s.pointee.outputSent == output.pointee.count {
            s.pointee.repliesAreLarge = s.pointee.outputSent >= BufferPool.keptBytesMax
            s.pointee.output = nil
            s.pointee.outputSent = 0
            s.pointee.softLimitSince = 0
            hot.pointee.buffers.give(output)
            if s.pointee.phase == .closing { return close(connection) }
        } else if exceedsLimits(s) {
            return closeOverLimit(connection)
        }
        if s.pointee.loopFlags.contains(.awaitsReader) { streamOn(connection, s) }
        if s.pointee.phase == .outputBlocked
            && s.pointee.pendingOutput <= server.settings.outputPauseBytes.load(ordering: .relaxed) / 2
        {
            s.pointee.phase = .open
            resumeLater(connection)
        }
    }

    @inline(never)
    private func closeOverLimit(_ connection: Connection) {
        executor.counters.add(.outputLimitClosed)
        server.logger.warning("closing client \(connection.id) (\(connection.address)): output buffer limit reached")
        close(connection)
    }

    private func exceedsHardLimit(_ s: UnsafeMutablePointer<ConnectionState>) -> Bool {
        if s.pointee.phase == .deferred { return false }
        let hard =
            s.pointee.flags.isDisjoint(with: .isPushedTo)
            ? server.settings.normalOutputHardBytes.load(ordering: .relaxed)
            : server.settings.pushedOutputHardBytes.load(ordering: .relaxed)
        return hard > 0 && s.pointee.pendingOutput > hard
    }

    private func exceedsLimits(_ s: UnsafeMutablePointer<ConnectionState>) -> Bool {
        let settings = server.settings
        // While a worker has the session nothing is added to the output; the limits are looked at again afterwards.
        if s.pointee.phase == .deferred { return false }
        let pushed = !s.pointee.flags.isDisjoint(with: .isPushedTo)
        let hard =
            pushed
            ? settings.pushedOutputHardBytes.load(ordering: .relaxed)
            : settings.normalOutputHardBytes.load(ordering: .relaxed)
        let soft =
            pushed
            ? settings.pushedOutputSoftBytes.load(ordering: .relaxed)
            : settings.normalOutputSoftBytes.load(ordering: .relaxed)
        let pending = s.pointee.pendingOutput
        // Who has not logged in is not kept answers for.
        if pending > 1024 && !s.pointee.flags.contains(.authenticated) && !server.users.isOpen { return true }
        if hard > 0 && pending > hard { return true }
        guard soft > 0 && ReplySizes(pending: pending).listBytes > soft else {
            s.pointee.softLimitSince = 0
            return false
        }
        if s.pointee.softLimitSince == 0 {
            s.pointee.softLimitSince = hot.pointee.now
            return false
        }
        let seconds =
            pushed
            ? settings.pushedOutputSoftSeconds.load(ordering: .relaxed)
            : settings.normalOutputSoftSeconds.load(ordering: .relaxed)
        return hot.pointee.now - s.pointee.softLimitSince > UInt64(seconds) * 1_000_000_000
    }

    // MARK: Waiting for the log

    /// Keeps this turn's output of the connection back until the log has reached its last write.
    func hold(_ connection: Connection) {
        let s = connection.state
        let mark = HeldMark(offset: s.pointee.endOffset, position: s.pointee.turnPosition)
        if s.pointee.heldFirst.position == 0 {
            s.pointee.releasedOffset = s.pointee.turnOffset
            s.pointee.heldFirst = mark
        } else {
            s.pointee.heldLast = mark
        }
        executor.counters.add(.heldReplies)
        if !s.pointee.loopFlags.contains(.held) {
            s.pointee.loopFlags.insert(.held)
            hot.pointee.held.append(connection)
        }
    }

    /// Lets go what the log has caught up with.
    func releaseHeld() {
        if hot.pointee.held.count == 0 {
            awaitsLog.store(false, ordering: .relaxed)
            return
        }
        let hasStopped = server.store.logHasStopped
        let reached = server.store.acknowledgedPosition.rawValue
        var i = 0
        while i < hot.pointee.held.count {
            let connection = hot.pointee.held[i].takeUnretainedValue()
            let s = connection.state
            var moved = false
            while s.pointee.heldFirst.position > 0 && s.pointee.heldFirst.position <= reached {
                moved = true
                s.pointee.releasedOffset = s.pointee.heldFirst.offset
                s.pointee.heldFirst = s.pointee.heldLast
                s.pointee.heldLast = HeldMark()
            }
            // What will never be acknowledged is not answered: the client must take its writes for lost.
            if hasStopped && s.pointee.heldFirst.position > 0 && s.pointee.phase != .closed { close(connection) }
            if s.pointee.heldFirst.position == 0 || s.pointee.phase == .closed {
                s.pointee.loopFlags.remove(.held)
                hot.pointee.held[i] = hot.pointee.held[hot.pointee.held.count - 1]
                hot.pointee.held.removeLast()
            } else {
                i += 1
            }
            if !moved || s.pointee.phase == .closed { continue }
            flushOutput(connection)
            if s.pointee.phase != .closed { countMemory(connection) }
        }
        if hot.pointee.held.count == 0 { awaitsLog.store(false, ordering: .relaxed) }
    }

    // MARK: Pushed data

    /// Appends bytes that answer no command (MONITOR lines).
    func push(_ bytes: ByteView, to connection: Connection) {
        let s = connection.state
        guard s.pointee.phase != .closed && s.pointee.phase != .closing else { return }
        if s.pointee.loopFlags.contains(.streams) {
            // Not in the middle of a reply.
            if connection.held.count == Self.heldPushesMax { return closeOverLimit(connection) }
            let bytes = bytes.array
            connection.held.append { loop in bytes.withView { loop.push($0, to: connection) } }
            return
        }
        openTurn()
        touch(connection, s)
        if s.pointee.output == nil { s.pointee.output = hot.pointee.buffers.take() }
        s.pointee.output?.pointee.append(bytes)
    }

    // MARK: Closing

    /// Closes the socket now; output that has not left is lost. The object stays until the turn's end.
    func close(_ connection: Connection) {
        let s = connection.state
        if s.pointee.phase == .closed { return }
        connection.stopMonitoringOnClose()
        // While a worker runs EXEC the transaction is its own; it goes with the connection.
        if s.pointee.phase != .deferred || s.pointee.loopFlags.contains(.awaitsReader) {
            connection.discardTransaction()
            connection.unsubscribeAll()
            connection.stopTracking()
        }
        connection.held = []
        if s.pointee.loopFlags.contains(.awaitsReader) { connection.replyStream = nil }
        s.pointee.loopFlags.subtract([.streams, .awaitsReader])
        if s.pointee.phase == .paused { server.registry.notePaused(-1) }
        if s.pointee.phase == .waiting { forgetWaiting(connection) }
        s.pointee.phase = .closed
        forgetMemory(connection)
        if let event = connection.readEvent { event_free(event) }
        if let event = connection.writeEvent { event_free(event) }
        if let event = connection.sleepEvent { event_free(event) }
        connection.readEvent = nil
        connection.writeEvent = nil
        connection.sleepEvent = nil
        closeTLS(s)
        Socket.close(s.pointee.descriptor)
        s.pointee.descriptor = -1
        if let output = s.pointee.output {
            // What a client had left unread is memory that its end gives back.
            hot.pointee.buffers.give(output, keepsLarge: false)
            s.pointee.output = nil
            s.pointee.outputSent = 0
        }
        hot.pointee.closed.append(connection)
        server.registry.remove(connection)
    }

    /// Closes from outside the connection's own commands (CLIENT KILL, shutdown): replies that are ready leave first.
    func kill(_ connection: Connection) {
        let s = connection.state
        guard s.pointee.phase != .closed else { return }
        openTurn()
        if s.pointee.phase == .deferred {
            // The worker still uses the session and the input buffer, which live as long as it holds the connection.
            return close(connection)
        }
        if s.pointee.phase == .paused { server.registry.notePaused(-1) }
        if s.pointee.phase == .waiting { forgetWaiting(connection) }
        s.pointee.phase = .closing
        disarmRead(connection)
        touch(connection, s)
    }

    // MARK: Regular care

    /// Idle timeout, soft limits, and memory of clients that have gone quiet. Called about once a second for each.
    func tend(_ connection: Connection) {
        let s = connection.state
        guard s.pointee.phase != .closed else { return }
        let idle = hot.pointee.now - min(hot.pointee.now, s.pointee.lastActivity)
        let timeout = server.settings.idleTimeoutSeconds.load(ordering: .relaxed)
        let waitsForClient = s.pointee.phase == .open || s.pointee.phase == .outputBlocked
        if timeout > 0 && waitsForClient && s.pointee.flags.isDisjoint(with: .isPushedTo)
            && idle > UInt64(timeout) * 1_000_000_000
        {
            executor.counters.add(.idleClosed)
            server.logger.debug("closing idle client \(connection.id) (\(connection.address))")
            return close(connection)
        }
        if closeStalled(connection, idle: idle) { return }
        if s.pointee.output != nil && exceedsLimits(s) {
            return closeOverLimit(connection)
        }
        defer { countMemory(connection) }
        guard s.pointee.phase == .open && s.pointee.input.isEmpty else { return }
        // A client that has gone back to small requests does not need the room that a big one took.
        if s.pointee.input.capacity > 0
            && hot.pointee.now - min(hot.pointee.now, s.pointee.bigInputAt) > Self.bigInputNanoseconds
        {
            s.pointee.input.release()
        }
        if idle > Self.idleMemoryNanoseconds {
            if s.pointee.parser.memoryBytes > 0 && !s.pointee.parser.isMidCommand { s.pointee.parser.release() }
        }
    }
}

/// Replies that wait, as CLIENT LIST shows them: what would fit a Redis client's own buffer, and a list of further
/// ones. The soft limit counts the list, the hard one all of it once there is a list.
struct ReplySizes {
    /// Bytes of a client's own buffer, and of each in the list.
    static let ownBytes = 16 << 10

    let ownBytes: Int
    let listBytes: Int
    let listCount: Int

    init(pending: Int) {
        ownBytes = min(pending, Self.ownBytes)
        listBytes = pending - ownBytes
        listCount = (listBytes + Self.ownBytes - 1) / Self.ownBytes
    }
}
