// Reading and executing: bytes from the socket to the dispatcher.
//
// A connection without leftovers reads into the loop's own buffer, executes from there and keeps nothing; what is left
// of an unfinished command moves to the connection's input buffer, and the next read puts it in front again. A big
// argument gets an input buffer of its announced size at once and is read straight into place; the read stops at the
// argument's end, so nothing behind it ever has to move.
//
// A command that has to wait (worker, pause) keeps its arguments as views into the connection's input buffer. Nothing
// is read for the connection until it is done: when the socket has more, its read event is taken off. But while replies
// wait for a client to read them, what it sends is taken in, up to `client-query-buffer-limit`, and executed later:
// many clients send all requests of a pipeline before they read the first reply, and would send for ever.

import CLibevent
import CValk
import Glibc
import Logging
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension EventLoop {
    /// Leftovers up to this size are copied in front of the next read in the loop's buffer.
    private static let carriedBytesMax = 4 << 10
    /// Arguments that need more than this are read into a buffer of their own.
    private static let bigArgumentBytes = 16 << 10
    /// Of a long input so much is executed in one turn; the others have theirs before the rest.
    private static let turnBytesMax = 256 << 10
    /// Replies of so many bytes leave at once, as far as they may: their memory is still in the caches, and is free for
    /// the next client.
    private static let earlyOutputBytes = 64 << 10
    /// Reads of a TLS session in one turn, while nothing is executed.
    private static let takenRoundsMax = 8

    // MARK: Events

    /// Starts to listen to a new connection.
    func open(_ connection: Connection) {
        let context = Unmanaged.passUnretained(connection).toOpaque()
        connection.readEvent = event_new(
            base, connection.state.pointee.descriptor, Int16(EV_READ | EV_PERSIST),
            { _, _, context in
                guard let context else { return }
                Unmanaged<Connection>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.loop.readable($0) }
            }, context)
        connection.writeEvent = event_new(
            base, connection.state.pointee.descriptor, Int16(EV_WRITE),
            { _, _, context in
                guard let context else { return }
                Unmanaged<Connection>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.loop.writable($0) }
            }, context)
        armRead(connection)
    }

    func armRead(_ connection: Connection) {
        if connection.state.pointee.loopFlags.contains(.readArmed) { return }
        connection.state.pointee.loopFlags.insert(.readArmed)
        event_add(connection.readEvent, nil)
    }

    func armWrite(_ connection: Connection) {
        if connection.state.pointee.loopFlags.contains(.writeArmed) { return }
        connection.state.pointee.loopFlags.insert(.writeArmed)
        event_add(connection.writeEvent, nil)
    }

    func disarmRead(_ connection: Connection) {
        guard connection.state.pointee.loopFlags.contains(.readArmed) else { return }
        connection.state.pointee.loopFlags.remove(.readArmed)
        event_del(connection.readEvent)
    }

    // MARK: Reading

    func readable(_ connection: Connection) {
        openTurn()
        let s = connection.state
        guard s.pointee.phase == .open else {
            if s.pointee.phase == .outputBlocked || s.pointee.phase == .waiting {
                takeIn(connection, s)
            } else if s.pointee.phase != .closed {
                disarmRead(connection)
            }
            return
        }
        // What came before is executed first, in this turn.
        if s.pointee.loopFlags.contains(.resuming) && !s.pointee.input.isEmpty { return }
        readOnce(connection, s)
        if s.pointee.tls == nil { return }
        if s.pointee.loopFlags.contains(.tlsHasMore) { drainTLS(connection) }
        if s.pointee.loopFlags.contains(.tlsWritesWhenReadable) && s.pointee.phase != .closed {
            s.pointee.loopFlags.remove(.tlsWritesWhenReadable)
            flushOutput(connection)
        }
    }

    /// One read, and what it brings is executed.
    @inline(__always)  // On every request.
    func readOnce(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        let pending = s.pointee.input.count
        let wanted = s.pointee.parser.bytesWanted
        if pending <= Self.carriedBytesMax && wanted <= Self.bigArgumentBytes {
            if pending > 0 { memcpy(readBuffer, s.pointee.input.base, pending) }
            let n = receive(connection, s, readBuffer + pending, Self.readBytes - pending)
            if n > 0 { execute(connection, s, readBuffer, pending + n, isShared: true) }
            return
        }
        s.pointee.bigInputAt = hot.pointee.now
        let room: Int
        if wanted > pending {
            s.pointee.input.ensureCapacity(wanted)
            room = wanted - pending
        } else {
            _ = s.pointee.input.reserve(Self.bigArgumentBytes)
            room = s.pointee.input.capacity - pending
        }
        let n = receive(connection, s, s.pointee.input.base + pending, room)
        guard n > 0 else { return }
        s.pointee.input.advance(n)
        execute(connection, s, s.pointee.input.base, pending + n, isShared: false)
    }

    /// Reads without executing, while the client has replies to read first. At the limit the socket is left alone.
    @inline(never)
    func takeIn(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        var rounds = 0
        repeat {
            if rounds == Self.takenRoundsMax { return resumeLater(connection) }
            rounds += 1
            let limit = server.settings.queryBufferBytesMax.load(ordering: .relaxed)
            if s.pointee.pendingInput + Self.readBytes > limit { return disarmRead(connection) }
            s.pointee.bigInputAt = hot.pointee.now
            let n = receive(connection, s, s.pointee.input.reserve(Self.readBytes), Self.readBytes)
            if n > 0 { s.pointee.input.advance(n) }
        } while s.pointee.loopFlags.contains(.tlsHasMore)
            && (s.pointee.phase == .outputBlocked || s.pointee.phase == .waiting)
        if s.pointee.phase != .closed { countMemory(connection) }
        if s.pointee.loopFlags.contains(.tlsWritesWhenReadable) && s.pointee.phase != .closed {
            s.pointee.loopFlags.remove(.tlsWritesWhenReadable)
            flushOutput(connection)
        }
    }

    /// One read. Returns the bytes read; 0 when there is nothing to execute (also after closing the connection).
    private func receive(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ to: UnsafeMutableRawPointer,
        _ room: Int
    ) -> Int {
        let n: Int
        if let session = s.pointee.tls {
            n = readTLS(connection, s, session, to, room)
        } else {
            n = Socket.read(s.pointee.descriptor, to, room)
        }
        if n <= 0 {
            if n == Socket.again { return 0 }
            peerClosed(connection)
            return 0
        }
        s.pointee.lastActivity = hot.pointee.now
        s.pointee.totalReceived &+= UInt64(n)
        executor.counters.add(.reads)
        executor.counters.add(.bytesIn, n)
        if s.pointee.pendingInput + n > server.settings.queryBufferBytesMax.load(ordering: .relaxed) {
            executor.counters.add(.queryBufferLimitClosed)
            server.logger.warning("closing client \(connection.id) (\(connection.address)): query buffer limit reached")
            close(connection)
            return 0
        }
        return n
    }

    /// End of input. What came before it is executed, and what was answered may still have to leave.
    private func peerClosed(_ connection: Connection) {
        let s = connection.state
        let hasMoreToRun = s.pointee.loopFlags.contains(.resuming) && !s.pointee.input.isEmpty
        if s.pointee.phase == .outputBlocked || hasMoreToRun {
            s.pointee.loopFlags.insert(.inputEnded)
            disarmRead(connection)
        } else if s.pointee.pendingOutput > 0 {
            if s.pointee.phase == .waiting { forgetWaiting(connection) }
            s.pointee.phase = .closing
            disarmRead(connection)
            touch(connection, s)
        } else {
            close(connection)
        }
    }

    // MARK: Executing

    /// Runs every complete command in `length` bytes at `bytes`, then puts what is left where it belongs.
    func execute(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ bytes: UnsafeMutableRawPointer,
        _ length: Int, isShared: Bool
    ) {
        if s.pointee.output == nil {
            s.pointee.output =
                s.pointee.repliesAreLarge ? hot.pointee.buffers.takeLarge() : hot.pointee.buffers.take()
        }
        touch(connection, s)
        executor.beginRun()
        let limits = RequestLimits(
            bulkBytesMax: server.settings.bulkBytesMax.load(ordering: .relaxed), authenticated: true)
        let pause = server.settings.outputPauseBytes.load(ordering: .relaxed)
        var keepFrom = -1
        // What lies in the shared buffer came with one read.
        let turnEnd = isShared ? Int.max : s.pointee.parser.position + Self.turnBytesMax
        // Requests that the store has been told of.
        var announced = 0
        parsing: while true {
            var limits = limits
            limits.authenticated = s.pointee.flags.contains(.authenticated) || server.users.isOpen
            switch s.pointee.parser.next(bytes, length, limits) {
            case .command:
                if announced == 0 {
                    if s.pointee.parser.position < length || s.pointee.parser.arguments.count > 3 {
                        announced = executor.announce(s, bytes, from: s.pointee.parser.commandStart, length: length)
                    } else {
                        announced = 1
                    }
                }
                announced &-= 1
                dispatch(connection, s, s.pointee.parser.arguments)
                if s.pointee.phase == .open {
                    if s.pointee.pendingOutput > pause {
                        blockOnOutput(connection, s)
                    } else if s.pointee.parser.position < turnEnd {
                        continue parsing
                    } else {
                        resumeLater(connection)
                    }
                }
                break parsing
            case .incomplete:
                keepFrom = s.pointee.parser.commandStart
                break parsing
            case .failed(let error):
                refuse(connection, error)
                break parsing
            }
        }
        if s.pointee.phase == .closed { return }
        if s.pointee.phase == .closing {
            s.pointee.input.release()
            return
        }
        let waits = s.pointee.phase == .deferred || s.pointee.phase == .paused || s.pointee.phase == .waiting
        if keepFrom < 0 { keepFrom = waits ? s.pointee.parser.commandStart : s.pointee.parser.position }
        keep(s, bytes, keepFrom, length, isShared: isShared)
        if waits { s.pointee.parser.rebase(s.pointee.input.base) }
        if s.pointee.pendingOutput >= Self.earlyOutputBytes { flushEarly(connection, s) }
        if s.pointee.phase == .deferred { submit(connection) }
    }

    /// Hands the waiting command to a worker, at the end of the turn if it waits for the disk: those whose answers are
    /// at hand get them first. Expired keys that commands before it have met are gone for it, too.
    private func submit(_ connection: Connection) {
        if executor.context.keys.hasNoted { executor.removeNoted(on: self) }
        if executor.hot.pointee.ranLong || connection.waitsLong {
            server.workers.submit(connection, runsLong: executor.hot.pointee.ranLong)
            executor.hot.pointee.ranLong = false
        } else {
            deferred.append(connection)
        }
    }

    /// Moves the bytes from `start` on to the front of the connection's input buffer.
    @inline(__always)
    private func keep(
        _ s: UnsafeMutablePointer<ConnectionState>, _ bytes: UnsafeMutableRawPointer, _ start: Int, _ length: Int,
        isShared: Bool
    ) {
        if isShared {
            s.pointee.input.removeAll()
            if start < length {
                let wanted = s.pointee.parser.bytesWanted
                if wanted > Self.bigArgumentBytes { s.pointee.input.ensureCapacity(wanted - start) }
                s.pointee.input.append(bytes + start, length - start)
            }
            s.pointee.parser.discard(start)
        } else {
            dropInput(s, start)
        }
    }

    /// The first `n` bytes of the input buffer have been executed. They make room when they are the greater part of it,
    /// so that nothing is moved twice.
    private func dropInput(_ s: UnsafeMutablePointer<ConnectionState>, _ n: Int) {
        if n == 0 || n < s.pointee.input.count - n { return }
        s.pointee.input.removeFirst(n)
        s.pointee.parser.discard(n)
    }

    /// Runs one command and does what its verdict says.
    @inline(__always)
    private func dispatch(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ arguments: ArgumentList
    ) {
        switch executor.dispatch(connection, s, arguments) {
        case .done(let position):
            if position > 0 {
                s.pointee.turnPosition = position
                if position > hot.pointee.turnPosition { hot.pointee.turnPosition = position }
            }
            if !s.pointee.flags.isDisjoint(with: .breaksOff) { breakOff(connection) }
        case .deferred:
            s.pointee.phase = .deferred
        case .waiting:
            if let waiting = executor.waiting { beginWaiting(connection, waiting) }
            executor.waiting = nil
        case .paused:
            s.pointee.phase = .paused
            server.registry.notePaused(1)
        }
    }

    /// Executes no more until the client has read replies.
    @inline(never)
    private func blockOnOutput(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        s.pointee.phase = .outputBlocked
        if !s.pointee.loopFlags.contains(.inputEnded) { armRead(connection) }
    }

    private func refuse(_ connection: Connection, _ error: ProtocolError) {
        let s = connection.state
        if let output = s.pointee.output { error.write(to: ReplyWriter(out: output)) }
        executor.counters.addError(.err)
        server.logger.debug("protocol error from \(connection.address): \(error.text)")
        s.pointee.phase = .closing
    }

    // MARK: Going on

    /// Takes a connection up again that waited: for output to drain, or for its turn after a worker or a pause.
    func goOn(_ connection: Connection) {
        let s = connection.state
        if s.pointee.phase == .outputBlocked && s.pointee.loopFlags.contains(.tlsHasMore) {
            takeIn(connection, s)
        }
        guard s.pointee.phase == .open else { return }
        if !s.pointee.input.isEmpty {
            execute(connection, s, s.pointee.input.base, s.pointee.input.count, isShared: false)
        }
        // There may be more to execute, in the next turn.
        if s.pointee.phase == .open && !s.pointee.loopFlags.contains(.resuming) {
            if s.pointee.loopFlags.contains(.inputEnded) { return peerClosed(connection) }
            armRead(connection)
            if s.pointee.loopFlags.contains(.tlsHasMore) { drainTLS(connection) }
        }
    }

    /// The worker is done with the connection's command.
    func complete(_ connection: Connection) {
        let s = connection.state
        let reply = connection.deferredReply
        connection.deferredReply = nil
        endWaiting(connection)
        guard s.pointee.phase == .deferred || s.pointee.phase == .waiting else {
            // Closed meanwhile.
            connection.replyStream = nil
            connection.unsubscribeAll()
            connection.stopTracking()
            if let reply { hot.pointee.buffers.give(reply) }
            return
        }
        touch(connection, s)
        if let reply {
            if let output = s.pointee.output, output.pointee.count > 0 {
                output.pointee.append(reply.pointee.view)
                hot.pointee.buffers.give(reply)
            } else {
                if let output = s.pointee.output { hot.pointee.buffers.give(output) }
                s.pointee.output = reply
                s.pointee.outputSent = 0
            }
        }
        let position = connection.deferredPosition
        connection.deferredPosition = 0
        if position > 0 {
            s.pointee.turnPosition = max(s.pointee.turnPosition, position)
            hot.pointee.turnPosition = max(hot.pointee.turnPosition, position)
        }
        s.pointee.lastActivity = hot.pointee.now
        if connection.replyStream != nil { return keepStreaming(s) }
        s.pointee.loopFlags.remove(.streams)
        dropCommand(s)
        if !connection.held.isEmpty {
            s.pointee.phase = .open
            releaseHeldPushes(connection)
        }
        s.pointee.flags.remove(.holdsPushes)
        if !s.pointee.flags.isDisjoint(with: .breaksOff) { return breakOff(connection) }
        if s.pointee.pendingOutput > server.settings.outputPauseBytes.load(ordering: .relaxed) {
            return blockOnOutput(connection, s)
        }
        s.pointee.phase = .open
        goOn(connection)
    }

    /// A paused command is dispatched again.
    func retryPaused(_ connection: Connection) {
        let s = connection.state
        guard s.pointee.phase == .paused else { return }
        server.registry.notePaused(-1)
        openTurn()
        s.pointee.phase = .open
        if s.pointee.output == nil { s.pointee.output = hot.pointee.buffers.take() }
        touch(connection, s)
        executor.beginRun()
        dispatch(connection, s, s.pointee.parser.arguments)
        switch s.pointee.phase {
        case .open:
            dropCommand(s)
            goOn(connection)
        case .deferred: submit(connection)
        case .sleeping: dropCommand(s)
        default: break
        }
    }

    /// A command that waited for data is dispatched again.
    func retryWaiting(_ connection: Connection) {
        let s = connection.state
        openTurn()
        s.pointee.phase = .open
        if s.pointee.output == nil { s.pointee.output = hot.pointee.buffers.take() }
        touch(connection, s)
        executor.beginRun()
        s.pointee.parser.rebase(s.pointee.input.base)
        dispatch(connection, s, s.pointee.parser.arguments)
        switch s.pointee.phase {
        case .open:
            connection.waitDeadline = 0
            connection.waitSequence = 0
            dropCommand(s)
            goOn(connection)
        case .deferred: submit(connection)
        default: break
        }
    }

    // MARK: Breaking off

    /// The command that ran ends the connection, or puts it to sleep, or something waited for its end.
    @inline(never)
    private func breakOff(_ connection: Connection) {
        let s = connection.state
        if s.pointee.flags.contains(.holdsPushes) {
            s.pointee.flags.remove(.holdsPushes)
            releaseHeldPushes(connection)
            if s.pointee.flags.isDisjoint(with: .breaksOff) { return }
        }
        guard s.pointee.flags.contains(.sleeps) else {
            s.pointee.phase = .closing
            return
        }
        s.pointee.flags.remove(.sleeps)
        s.pointee.phase = .sleeping
        startTimer(connection, nanoseconds: connection.sleepNanoseconds)
    }

    /// Reads and executes nothing from the connection for so long: the store takes no more at the moment. Whoever waits
    /// for something else already is held up by that.
    @inline(never)
    func keepPace(_ connection: Connection, nanoseconds: UInt64) {
        guard connection.state.pointee.phase == .open else { return }
        connection.state.pointee.phase = .paced
        disarmRead(connection)
        server.store.countWriteDelay()
        startTimer(connection, nanoseconds: nanoseconds)
    }

    func startTimer(_ connection: Connection, nanoseconds: UInt64) {
        if connection.sleepEvent == nil {
            connection.sleepEvent = event_new(
                base, -1, 0,
                { _, _, context in
                    guard let context else { return }
                    Unmanaged<Connection>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.loop.wake($0) }
                }, Unmanaged.passUnretained(connection).toOpaque())
        }
        let microseconds = Int(nanoseconds / 1000)
        var time = timeval(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
        // libevent counts from the time at which it last woke up, which may be long ago in a long turn.
        event_base_update_cache_time(base)
        event_add(connection.sleepEvent, &time)
    }

    /// A sleeping or paced connection's time has come: the reply leaves and what came behind it is executed.
    private func wake(_ connection: Connection) {
        let s = connection.state
        if s.pointee.phase == .waiting { return timeOut(connection) }
        guard s.pointee.phase == .sleeping || s.pointee.phase == .paced else { return }
        openTurn()
        s.pointee.lastActivity = hot.pointee.now
        touch(connection, s)
        if s.pointee.flags.contains(.closeAfterReply) {
            s.pointee.phase = .closing
        } else if s.pointee.pendingOutput > server.settings.outputPauseBytes.load(ordering: .relaxed) {
            blockOnOutput(connection, s)
        } else {
            s.pointee.phase = .open
            goOn(connection)
        }
    }

    /// The finished command's bytes leave the input buffer.
    private func dropCommand(_ s: UnsafeMutablePointer<ConnectionState>) { dropInput(s, s.pointee.parser.position) }
}
