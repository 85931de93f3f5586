// Runs commands: looks them up, checks whether they may run, takes stripes, calls the handler, commits its batch,
// counts. One per loop and per worker; each has its own reader, batch, context and counters, and is used by one thread.
//
// A command's way: look-up → arity → (anything unusual: authentication, pause, MULTI, …) → stripes of its keys, for
// writes → handler → commit → reply stays. On a loop, what would have to wait (stripe taken, data not in memory, an
// argument that takes long to copy and checksum) is undone and handed to a worker, where the same code waits instead.
//
// Nothing here allocates in steady use. State that changes with every command is behind `hot`.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

/// What became of a command on a loop.
enum Verdict {
    /// Answered (or queued, or refused). The position in the log that its reply depends on, 0 for none.
    case done(position: UInt64)
    /// Must run on a worker.
    case deferred
    /// Must wait until clients are let go on.
    case paused
    /// Waits for data; `Executor.waiting` has the client.
    case waiting
}

/// What became of one run of a command.
enum Outcome {
    case done(position: UInt64)
    case wouldBlock
    /// Found nothing; the client is among those who wait.
    case waiting
}

final class Executor: @unchecked Sendable {  // Used by one thread at a time.
    unowned(unsafe) let server: Server
    let mayBlock: Bool
    let table: CommandTable
    let entries: UnsafePointer<CommandEntry>
    let hosted: [HostedCommands.Entry]
    let stripes: KeyStripes
    let watches: WatchRegistry
    let tracking: TrackingRegistry
    let waitingClients: WaitingClients
    /// The client whose command has just begun to wait.
    var waiting: WaitingClient?
    /// Keys written by what has just been committed, under which somebody waits.
    var ready: [(namespace: UInt32, key: [UInt8])] = []
    let gate: ServerGate
    private let latencies: LatencyMonitor
    let counters: ThreadCounters
    let context: CommandContext
    let hot: UnsafeMutablePointer<ExecutorState>
    let execIndex: Int
    /// Bytes that this thread's interpreters hold; read by others.
    let scriptMemory = Atomic<Int>(0)
    let functionMemory = Atomic<Int>(0)
    var scripts: ScriptRunner {
        if let scriptRunner { return scriptRunner }
        let made = ScriptRunner(self)
        scriptRunner = made
        return made
    }
    private var scriptRunner: ScriptRunner?
    /// Keys that were changed, and by whom, since those with prefixes were told last.
    var changedKeys: [[UInt8]: UInt64] = [:]
    /// What the running transaction or script was refused.
    var refusals: [AccessLog.Entry] = []
    private let store: Unmanaged<Store>
    private let batch: Unmanaged<WriteBatch>

    init(server: Server, mayBlock: Bool) {
        self.server = server
        self.mayBlock = mayBlock
        table = server.table
        entries = server.table.entries
        hosted = server.hosted
        stripes = server.stripes
        watches = server.watches
        tracking = server.tracking
        waitingClients = server.waitingClients
        gate = server.gate
        latencies = server.latencyMonitor
        counters = ThreadCounters(commandCount: server.table.count)
        let reader = StoreReader(server.store, mayBlock: mayBlock)
        let batch = WriteBatch()
        context = CommandContext(keys: KeyAccess(server.keyspace, reader: reader, batch: batch))
        store = .passUnretained(server.store)
        self.batch = .passUnretained(batch)
        hot = .allocate(capacity: 1)
        hot.initialize(to: ExecutorState())
        execIndex = Server.index(of: "exec", server.table)
        context.driver = self
    }

    deinit {
        hot.deinitialize(count: 1)
        hot.deallocate()
    }

    // MARK: Time

    /// Reads the wall clock once; within the turn it follows the monotonic one.
    func beginTurn(monotonic now: UInt64) {
        hot.pointee.turnMonotonic = now
        hot.pointee.turnWall = server.clock.milliseconds()
        hot.pointee.stamp = now
    }

    /// Commands of one connection follow from here; what went before is nobody's time.
    @inline(__always)
    func beginRun() {
        hot.pointee.stamp = valk_monotonic_ns()
        takeSettings()
    }

    /// Gives the context the settings that commands look at.
    @inline(__always)
    private func takeSettings() {
        let settings = server.settings
        context.stringBytesMax = settings.bulkBytesMax.load(ordering: .relaxed)
        context.hyperLogLogSparseMax = settings.hyperLogLogSparseMax.load(ordering: .relaxed)
        settings.encodings.take(&hot.pointee.encodingsVersion) { context.encodings = $0 }
        context.compressesDumps = settings.compressesDumps.load(ordering: .relaxed)
        context.eventKinds = KeyEventKinds(rawValue: settings.keyEventKinds.load(ordering: .relaxed))
    }

    /// Lets the running command count as begun so much earlier: its reply is held back for that long.
    func backdate(nanoseconds: UInt64) { hot.pointee.stamp &-= nanoseconds }

    /// Wall-clock milliseconds for the command that starts now.
    @inline(__always)
    var wallNow: UInt64 {
        if !server.clockRuns { return server.clock.milliseconds() }
        return hot.pointee.turnWall &+ (hot.pointee.stamp &- hot.pointee.turnMonotonic) / 1_000_000
    }

    /// Gives back what is not needed just now. `isIdle`: the thread has nothing to do.
    func rest(isIdle: Bool) {
        context.keys.reader.rest()
        scriptRunner?.rest(isIdle: isIdle)
    }

    // MARK: On a loop

    /// Tells the store which keys the requests in `[from, length)` at `bytes` name. Returns how many requests were
    /// looked at.
    func announce(
        _ s: UnsafeMutablePointer<ConnectionState>, _ bytes: UnsafeRawPointer, from: Int, length: Int
    ) -> Int {
        hot.pointee.warmer.look(
            bytes, from: from, length: length, namespace: server.keyspace.namespace(Int(s.pointee.database)),
            context.keys)
    }

    /// Finds, checks and runs one command. Its reply goes to the connection's output.
    func dispatch(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ arguments: ArgumentList
    ) -> Verdict {
        guard let out = s.pointee.output else { preconditionFailure("no output buffer") }
        let before = out.pointee.count
        let reply = ReplyWriter(out: out, version: s.pointee.version)
        let index = find(arguments)
        guard index >= 0 else {
            refuseUnknown(connection, arguments, index, reply)
            return settled(s, out, before, 0)
        }
        let flags = entries[index].flags
        if !entries[index].accepts(argumentCount: arguments.count) {
            refuse(connection, index, "ERR wrong number of arguments for '\(table.fullNames[index])' command", reply)
            return settled(s, out, before, 0)
        }
        // One test for everything unusual.
        if !s.pointee.flags.isDisjoint(with: .needsCare) || !s.pointee.flags.contains(.authenticated)
            || !gate.conditions.isEmpty || flags.contains(.protected)
            || s.pointee.unrestrictedVersion != gate.accessVersion
        {
            switch admit(connection, s, index, arguments, reply) {
            case .run: break
            case .refused, .queued: return settled(s, out, before, 0)
            case .paused:
                s.pointee.waitingCommand = Int32(index)
                return .paused
            }
        }
        s.pointee.lastCommand = Int32(truncatingIfNeeded: index)
        let isBig =
            flags.contains(.write) && s.pointee.parser.commandBytes > 64 << 10
            && s.pointee.parser.commandBytes > server.settings.deferredArgumentBytes.load(ordering: .relaxed)
        if !isBig {
            switch run(connection, s, index, arguments, out) {
            case .done(let position): return settled(s, out, before, position)
            case .waiting: return .waiting
            case .wouldBlock: break
            }
        }
        counters.add(.deferredCommands)
        s.pointee.waitingCommand = Int32(index)
        return .deferred
    }

    /// The command's or subcommand's index; -1 when the command, -2 when the subcommand is not known.
    @inline(__always)
    func find(_ arguments: ArgumentList) -> Int {
        let index = table.lookup(arguments[0])
        if index < 0 || !entries[index].isContainer || arguments.count < 2 { return index }
        let subcommand = table.lookup(arguments[1], in: index)
        return subcommand < 0 ? -2 : subcommand
    }

    /// After a command: drops the reply of a client that wants none.
    @inline(__always)
    private func settled(
        _ s: UnsafeMutablePointer<ConnectionState>, _ out: UnsafeMutablePointer<ByteBuffer>, _ before: Int,
        _ position: UInt64
    ) -> Verdict {
        if !s.pointee.flags.isDisjoint(with: [.replyOff, .replySkip, .replySkipNext]) { silence(s, out, before) }
        return .done(position: position)
    }

    @inline(never)
    private func silence(
        _ s: UnsafeMutablePointer<ConnectionState>, _ out: UnsafeMutablePointer<ByteBuffer>, _ before: Int
    ) {
        let command = Int(s.pointee.lastCommand)
        let isPush = command >= 0 && server.answersWithPushes[command]
        if !isPush && !s.pointee.flags.isDisjoint(with: [.replyOff, .replySkip]) { out.pointee.truncate(before) }
        s.pointee.flags.remove(.replySkip)
        if s.pointee.flags.contains(.replySkipNext) {
            s.pointee.flags.remove(.replySkipNext)
            s.pointee.flags.insert(.replySkip)
        }
    }

    // MARK: On a worker

    /// Runs the deferred command of `connection`; the reply goes to its `deferredReply`. Returns the client when it
    /// waits for data now.
    func runDeferred(_ connection: Connection) -> WaitingClient? {
        let s = connection.state
        let now = valk_monotonic_ns()
        beginTurn(monotonic: now)
        if let stream = connection.replyStream {
            streamOn(connection, stream)
            return nil
        }
        let out = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        out.initialize(to: ByteBuffer(capacity: BufferPool.bufferBytes))
        let index = Int(s.pointee.waitingCommand)
        takeSettings()
        switch run(connection, s, index, s.pointee.parser.arguments, out) {
        case .done(let position):
            connection.deferredPosition = position
            connection.waitDeadline = 0
            connection.waitSequence = 0
        case .waiting:
            out.deinitialize(count: 1)
            out.deallocate()
            defer { waiting = nil }
            return waiting
        case .wouldBlock: preconditionFailure("\(table.fullNames[index]) wants to wait on a thread that may")
        }
        if !s.pointee.flags.isDisjoint(with: [.replyOff, .replySkip, .replySkipNext]) { silence(s, out, 0) }
        connection.deferredReply = out
        if context.keys.hasNoted { removeNoted(on: nil) }
        if !changedKeys.isEmpty { broadcastChanges(on: nil) }
        return nil
    }

    // MARK: Expired keys

    /// Removes the expired keys that the commands just run have met; no stripe is held. `loop` as in `deliver`.
    func removeNoted(on loop: EventLoop?) {
        // In a pause nothing that is stored changes; who asks for such a key finds none all the same.
        if gate.isPaused { return context.keys.dropNoted() }
        let stripes = self.stripes
        do throws(Interruption) {
            let removed = try context.keys.removeNoted(
                now: server.clock.milliseconds(), tryLock: { stripes.tryAcquire($0) },
                unlock: { stripe in
                    if context.hasPublications { deliver(on: loop) }
                    stripes.release(stripe)
                }, onRemoved: { if !server.tracking.isEmpty { invalidateExpired($0, on: loop) } })
            counters.add(.expiredKeys, removed)
        } catch {
            // Readers do not depend on the removal; the expiry walk comes by again.
            counters.add(.expiryFaults)
        }
    }

    // MARK: Running

    private func run(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ index: Int,
        _ arguments: ArgumentList, _ out: UnsafeMutablePointer<ByteBuffer>
    ) -> Outcome {
        if index == execIndex { return runTransaction(connection, s, arguments, out) }
        if mayBlock { readAhead(s, index, arguments) }
        let flags = entries[index].flags
        guard !flags.isDisjoint(with: .takesStripes) else { return perform(connection, s, index, arguments, out) }
        if flags.contains(.runsScripts) { return runScripted(connection, s, index, arguments, out) }
        // The common write: one key.
        if entries[index].firstKey == 1 && entries[index].lastKey == 1 && !flags.contains(.movableKeys) {
            let stripe = Stripes.index(of: arguments[1])
            guard stripes.take(stripe, waits: mayBlock) else { return .wouldBlock }
            defer { stripes.release(stripe) }
            let outcome = perform(connection, s, index, arguments, out)
            if !ready.isEmpty { serveReady(holding: StripeSet(stripe)) }
            return outcome
        }
        let set = stripeSet(index, arguments)
        guard stripes.take(set, waits: mayBlock) else { return .wouldBlock }
        defer { stripes.release(set) }
        let outcome = perform(connection, s, index, arguments, out)
        if !ready.isEmpty { serveReady(holding: set) }
        return outcome
    }

    /// The stripes of a write's keys; all of them when they cannot be told from fixed positions.
    func stripeSet(_ index: Int, _ arguments: ArgumentList) -> StripeSet {
        let entry = entries[index]
        if entry.flags.contains(.runsScripts) { return scriptStripes(index, arguments) }
        if entry.flags.contains(.namesKeysAnywhere) {
            var set = StripeSet()
            for i in Int(entry.firstKey)..<arguments.count { set.insert(Stripes.index(of: arguments[i])) }
            return set
        }
        if entry.flags.contains(.allKeys) { return .all }
        if entry.firstKey <= 0 || entry.keysMove || entry.flags.contains(.movableKeys) {
            return countedStripes(index, arguments) ?? .all
        }
        let last = entry.lastKey < 0 ? arguments.count + Int(entry.lastKey) : Int(entry.lastKey)
        var set = StripeSet()
        var at = Int(entry.firstKey)
        let step = max(1, Int(entry.keyStep))
        while at <= last && at < arguments.count {
            set.insert(Stripes.index(of: arguments[at]))
            at += step
        }
        return set
    }

    /// Where the number of keys stands in front of them (ZUNIONSTORE, BLMPOP). Nil where keys stand elsewhere, too.
    private func countedStripes(_ index: Int, _ arguments: ArgumentList) -> StripeSet? {
        if table.specs[index].keys.count == 1, case .keyword("STREAMS", _) = table.specs[index].keys[0].begin {
            return stripesOfStreams(arguments)
        }
        let isCounted = table.specs[index].keys.allSatisfy { spec in
            guard case .index = spec.begin, !spec.flags.contains(.incomplete) else { return false }
            if case .unknown = spec.find { return false }
            return true
        }
        guard isCounted, !table.specs[index].keys.isEmpty else { return nil }
        guard let keys = CommandKeyFinder.keys(table.specs[index], arguments) else { return nil }
        var set = StripeSet()
        for key in keys { set.insert(Stripes.index(of: arguments[key.position])) }
        return set
    }

    /// Of everything behind the first STREAMS: keys and ids, and maybe the word itself once more, if it was a name.
    private func stripesOfStreams(_ arguments: ArgumentList) -> StripeSet {
        var set = StripeSet()
        var isBehind = false
        for i in 1..<arguments.count {
            if isBehind { set.insert(Stripes.index(of: arguments[i])) }
            if !isBehind { isBehind = arguments[i].equalsIgnoringCase("streams") }
        }
        return set
    }

    /// One command as a transaction of its own; a writer's stripes are held.
    func perform(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ index: Int,
        _ arguments: ArgumentList, _ out: UnsafeMutablePointer<ByteBuffer>
    ) -> Outcome {
        let before = out.pointee.count
        context.start(now: wallNow)
        prepare(s, arguments, out)
        var position: UInt64 = 0
        do throws(Interruption) {
            if entries[index].flags.contains(.blocking) {
                context.prepareWaiting(canWait: true)
                if connection.waitSequence != 0 { context.recall(connection.waitReplacements) }
                try handle(connection, index)
                let request = context.waitRequest
                context.prepareWaiting(canWait: false)
                if let request {
                    wait(connection, index, arguments, request)
                    return .waiting
                }
            } else {
                // Who wants no reply is spared it as a whole.
                context.mayStream =
                    mayBlock && s.pointee.flags.isDisjoint(with: [.replyOff, .replySkip])
                    && !entries[index].flags.contains(.runsScripts)
                try handle(connection, index)
                context.mayStream = false
            }
            position = try commit(for: connection)
            if mayBlock { connection.replyStream = context.takeReplyStream() }
            context.finished()
            if context.hasPublications { deliver(on: mayBlock ? nil : connection.loop) }
        } catch {
            context.prepareWaiting(canWait: false)
            context.mayStream = false
            out.pointee.truncate(before)
            context.abandon()
            if error == .wouldBlock && (!mayBlock || hot.pointee.wantsAllStripes) { return .wouldBlock }
            explain(error, index)
        }
        account(connection, index, arguments, &position)
        return .done(position: position)
    }

    /// Sends what the transaction has published, from the thread of `loop` or of no loop. A writer's stripes are still
    /// held, so that the events of a key are sent in the order of its changes; where there are such, all goes through
    /// the mailboxes, because on the short way it would overtake what others have sent.
    @inline(never)
    func deliver(on loop: EventLoop?) {
        context.takeCommitAction()?.committed()
        let here = context.eventKinds.isEmpty ? loop : nil
        server.pubSub.deliver(context.takePublications(), server.loops, on: here)
    }

    /// Sets the context to a command of the session.
    @inline(__always)
    func prepare(
        _ s: UnsafeMutablePointer<ConnectionState>, _ arguments: ArgumentList, _ out: UnsafeMutablePointer<ByteBuffer>
    ) {
        context.prepare(
            args: arguments, reply: ReplyWriter(out: out, version: s.pointee.version),
            database: Int(s.pointee.database))
        context.keys.state.pointee.leavesUses = s.pointee.flags.contains(.noTouch)
    }

    /// Runs the handler of the command that was prepared.
    @inline(__always)
    func handle(_ connection: Connection, _ index: Int) throws(Interruption) {
        let hostedID = Int(entries[index].hostedID)
        if hostedID < 0 {
            try table.run(index, context)
        } else {
            try hosted[hostedID].run(connection, context)
        }
    }

    /// Commits what the handlers wrote, with their stripes held, and tells who watches or tracks those keys. Returns
    /// the position in the log, 0 when there was nothing to commit.
    @inline(__always)
    func commit(for connection: Connection) throws(Interruption) -> UInt64 {
        if !context.keys.state.pointee.hasWritten { return 0 }
        if !watches.isEmpty || !tracking.isEmpty { return try commitWatched(connection) }
        let position = try commitBatch()
        if !waitingClients.isEmpty { noteReady() }
        return position
    }

    @inline(__always)
    func commitBatch() throws(Interruption) -> UInt64 {
        // The server keeps the store, and the context its batch.
        try batch.borrow { batch throws(Interruption) in
            if batch.isEmpty { return 0 }
            return try store.borrow { store throws(Interruption) in
                // The pace is kept by the connection, which no stripe waits for.
                try store.commit(batch, mayBlock: mayBlock, keepsPace: false).rawValue
            }
        }
    }

    @inline(never)
    private func commitWatched(_ connection: Connection) throws(Interruption) -> UInt64 {
        let moved = try watches.marks(movedBy: context.keys)
        let position = try commitBatch()
        for mark in moved { mark.touch() }
        if !watches.isEmpty { watches.touch(writtenBy: context.keys) }
        if !tracking.isEmpty { invalidateWritten(for: connection) }
        if !waitingClients.isEmpty { noteReady() }
        return position
    }

    /// Calls, time, effects, slow log, monitors.
    @inline(__always)
    func account(_ connection: Connection, _ index: Int, _ arguments: ArgumentList, _ position: inout UInt64) {
        let now = valk_monotonic_ns()
        let took = now &- hot.pointee.stamp
        let began = hot.pointee.stamp
        hot.pointee.stamp = now
        noteCall(index, took)
        let effects = context.effects
        if effects.keyspaceHits > 0 { counters.add(.keyspaceHits, effects.keyspaceHits) }
        if effects.keyspaceMisses > 0 { counters.add(.keyspaceMisses, effects.keyspaceMisses) }
        if effects.position.rawValue > position { position = effects.position.rawValue }
        if position > 0 {
            connection.state.pointee.flags.insert(.wrote)
        } else {
            // A writer's own place in the log is behind all that it has read.
            position = effects.dependency.rawValue
        }
        if effects.dirty > 0 { counters.add(.dirty, effects.dirty) }
        if effects.errorReplies > 0 {
            // Of EXEC, the queued command that failed has been counted.
            if index != execIndex { counters.addFailed(index) }
            counters.addError(effects.errorCode, effects.errorReplies)
        }
        let threshold = server.settings.slowlogThresholdMicroseconds.load(ordering: .relaxed)
        if threshold >= 0 && took >= UInt64(threshold) &* 1000 { noteSlow(connection, index, arguments, took) }
        if gate.conditions.contains(.monitors) { feedMonitors(connection, index, arguments, began) }
    }

    @inline(__always)
    func noteCall(_ index: Int, _ took: UInt64) {
        latencies.note(entries[index].flags.contains(.fast) ? .fastCommand : .command, nanoseconds: took)
        counters.add(.commands)
        counters.addCall(index, nanoseconds: took)
        if server.settings.latencyTracking.load(ordering: .relaxed) { counters.addLatency(index, nanoseconds: took) }
    }

    @inline(never)
    func noteSlow(_ connection: Connection, _ index: Int, _ arguments: ArgumentList, _ took: UInt64) {
        if entries[index].flags.contains(.skipSlowlog) { return }
        counters.add(.slowCommands)
        server.slowCommandSink?(connection, index, arguments, took)
    }

    @inline(never)
    private func feedMonitors(_ connection: Connection, _ index: Int, _ arguments: ArgumentList, _ began: UInt64) {
        if !entries[index].flags.isDisjoint(with: [.skipMonitor, .admin]) { return }
        server.monitors.feed(
            connection, arguments, as: table.declaredNames[index], microseconds: valk_wall_us())
    }
}

/// An executor's own state, behind a pointer.
struct ExecutorState: ~Copyable {
    /// Monotonic nanoseconds at which the running command began: the end of the one before.
    var stamp: UInt64 = 0
    var turnMonotonic: UInt64 = 0
    /// Wall clock at the turn's start, milliseconds.
    var turnWall: UInt64 = 0
    /// Where the running command of a script began, as `stamp`.
    var innerStamp: UInt64 = 0
    /// Of the encoding limits that the context has.
    var encodingsVersion = 0
    /// What was undone is to run again with every stripe.
    var wantsAllStripes = false
    /// What was undone was a script that had run for long.
    var ranLong = false
    let warmer = KeyWarmer()
}
