// Memory of clients: what each of them holds, the sum over all, and the limit on it (`maxmemory-clients`).
//
// Each loop counts its own clients: at the end of every turn in which a client ran a command or was given data, and
// about once a second. What has changed goes to words of that loop which other threads may read, so the sum over all
// clients is a few loads and an undisturbed client costs some comparisons a turn.
//
// With a limit, a turn that ends above it closes the largest clients, one after the other, until those that stay fit;
// CLIENT NO-EVICT spares a client, but what it holds counts. Clients of other loops are closed by those, which look
// once more: loops that find the same victims at once do no harm. Limits of a single client (`client-output-buffer-
// limit`, `client-query-buffer-limit`) come first, because they are kept where the bytes come and go.
//
// Counted are input, arguments, replies, queued commands, watched keys, subscriptions, prefixes of tracking, and a
// fixed part for the connection itself; not what OpenSSL and the kernel keep for it.

import CValk
import Logging
import ValkBase
import ValkRESP

final class ClientMemory: @unchecked Sendable {  // Atomic words; those of a loop are written by it alone.
    /// Seconds over which the largest buffers are remembered.
    static let secondsKept = 8
    /// The connection, its state, its events and addresses.
    static let fixedBytes = MemoryLayout<ConnectionState>.size + 512

    /// Words of one loop: the sum, the part of it that may be closed, then by second the largest input and the largest
    /// output of a client.
    private enum Word {
        static let bytes = 0
        static let evictable = 1
        static let inputs = 8
        static let outputs = 16
        /// Loops do not share a cache line.
        static let count = 24
    }

    private let loopCount: Int
    private let words: UnsafeMutablePointer<UInt64>
    private let limitBytes: UnsafeMutablePointer<UInt64>

    init(loopCount: Int) {
        self.loopCount = loopCount
        words = .allocate(capacity: loopCount * Word.count)
        words.initialize(repeating: 0, count: loopCount * Word.count)
        limitBytes = .allocate(capacity: 1)
        limitBytes.initialize(to: 0)
    }

    deinit {
        words.deallocate()
        limitBytes.deallocate()
    }

    // MARK: Any thread

    /// `maxmemory-clients` in bytes, 0 for no limit. A lower one acts at the end of the turn in which it is set.
    var limit: Int {
        get { Int(valk_load_relaxed_u64(limitBytes)) }
        set { valk_store_relaxed_u64(limitBytes, UInt64(max(0, newValue))) }
    }

    /// What all clients hold.
    var bytes: Int { sum(Word.bytes) }
    /// What clients hold that may be closed for it.
    var evictableBytes: Int { sum(Word.evictable) }

    /// Whether clients hold more than they may.
    @inline(__always)  // Once a turn.
    var isExceeded: Bool { valk_load_relaxed_u64(limitBytes) != 0 && bytes > limit }

    /// The largest input and the largest output that a client has held in the last seconds.
    var recentMaxima: (input: Int, output: Int) {
        func largest(_ first: Int) -> Int {
            var most: UInt64 = 0
            for loop in 0..<loopCount {
                for i in 0..<Self.secondsKept { most = max(most, valk_load_relaxed_u64(word(loop, first + i))) }
            }
            return Int(most)
        }
        return (largest(Word.inputs), largest(Word.outputs))
    }

    @inline(__always)
    private func word(_ loop: Int, _ index: Int) -> UnsafeMutablePointer<UInt64> {
        words + (loop &* Word.count &+ index)
    }

    private func sum(_ index: Int) -> Int {
        var sum: UInt64 = 0
        for loop in 0..<loopCount { sum &+= valk_load_relaxed_u64(word(loop, index)) }
        return Int(truncatingIfNeeded: sum)
    }

    // MARK: On the loop

    fileprivate func add(_ loop: Int, bytes: Int, evictable: Int) {
        func change(_ index: Int, _ by: Int) {
            let at = word(loop, index)
            valk_store_relaxed_u64(at, valk_load_relaxed_u64(at) &+ UInt64(bitPattern: Int64(by)))
        }
        change(Word.bytes, bytes)
        change(Word.evictable, evictable)
    }

    @inline(__always)
    fileprivate func note(_ loop: Int, _ second: Int, input: Int, output: Int) {
        func raise(_ first: Int, _ to: Int) {
            let at = word(loop, first &+ second & (Self.secondsKept &- 1))
            if UInt64(to) > valk_load_relaxed_u64(at) { valk_store_relaxed_u64(at, UInt64(to)) }
        }
        raise(Word.inputs, input)
        raise(Word.outputs, output)
    }

    /// From `second` on its place holds its own maxima; in order, and none is left out.
    fileprivate func begin(_ loop: Int, second: Int) {
        let at = second & (Self.secondsKept - 1)
        valk_store_relaxed_u64(word(loop, Word.inputs + at), 0)
        valk_store_relaxed_u64(word(loop, Word.outputs + at), 0)
    }
}

/// What a client holds, bytes.
struct ClientMemoryUse {
    var input: Int
    var output: Int
    /// What belongs to the session: queued commands, watched keys, subscriptions, prefixes.
    var session: Int

    @inline(__always)
    var total: Int { ClientMemory.fixedBytes &+ input &+ output &+ session }
}

extension EventLoop {
    /// While a worker has the session, what that held before. A buffer without replies is the loop's.
    @inline(__always)
    func memory(of connection: Connection) -> ClientMemoryUse {
        let s = connection.state
        if s.pointee.phase != .deferred && s.pointee.flags.contains(.holdsMore) {
            s.pointee.sessionBytes = connection.sessionBytes
        }
        return ClientMemoryUse(
            input: s.pointee.input.capacity &+ s.pointee.parser.memoryBytes,
            output: s.pointee.pendingOutput > 0 ? s.pointee.output?.pointee.capacity ?? 0 : 0,
            session: s.pointee.sessionBytes)
    }

    /// Counts what the client holds now.
    @inline(__always)  // Once a turn for each client that did something.
    func countMemory(_ connection: Connection) {
        let s = connection.state
        let use = memory(of: connection)
        server.clientMemory.note(index, hot.pointee.second, input: use.input, output: use.output)
        let total = use.total
        let evictable = s.pointee.flags.contains(.noEvict) ? 0 : total
        if total != s.pointee.countedBytes || evictable != Int(valk_load_relaxed_u64(&s.pointee.evictableBytes)) {
            count(s, bytes: total, evictable: evictable)
        }
    }

    /// A connection has gone.
    func forgetMemory(_ connection: Connection) { count(connection.state, bytes: 0, evictable: 0) }

    @inline(never)
    private func count(_ s: UnsafeMutablePointer<ConnectionState>, bytes: Int, evictable: Int) {
        let before = Int(valk_load_relaxed_u64(&s.pointee.evictableBytes))
        server.clientMemory.add(index, bytes: bytes - s.pointee.countedBytes, evictable: evictable - before)
        s.pointee.countedBytes = bytes
        valk_store_relaxed_u64(&s.pointee.evictableBytes, UInt64(evictable))
    }

    /// Some times a second.
    func keepMaxima() {
        let second = Int(hot.pointee.now / 1_000_000_000)
        let last = hot.pointee.second
        if second == last { return }
        for one in max(last + 1, second - ClientMemory.secondsKept + 1)...second {
            server.clientMemory.begin(index, second: one)
        }
        hot.pointee.second = second
    }

    // MARK: Above the limit

    /// Closes the largest clients until the others fit. At the end of a turn.
    @inline(never)
    func evictClients() {
        let memory = server.clientMemory
        if memory.evictableBytes == 0 { return }
        let clients = server.registry.all().map { connection in
            (connection: connection, bytes: Int(valk_load_relaxed_u64(&connection.state.pointee.evictableBytes)))
        }
        var excess = memory.bytes - memory.limit
        for (connection, bytes) in clients.sorted(by: { $0.bytes > $1.bytes }) where bytes > 0 {
            if excess <= 0 { break }
            excess -= bytes
            if connection.loop === self {
                evict(connection)
            } else {
                connection.loop.mailbox.post(.run { $0.evict(connection) })
            }
        }
    }

    private func evict(_ connection: Connection) {
        guard connection.state.pointee.phase != .closed, connection.state.pointee.evictableBytes > 0,
            server.clientMemory.isExceeded
        else { return }
        openTurn()
        executor.counters.add(.evictedClients)
        let held = connection.state.pointee.countedBytes
        server.logger.notice(
            "closing client \(connection.id) (\(connection.address)) with \(held) bytes: maxmemory-clients reached")
        close(connection)
    }
}
