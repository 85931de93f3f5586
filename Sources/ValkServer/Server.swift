// The server put together: loops, workers, listeners, the command table, and what they share.
//
// Made from an open store and a list of commands; `start` binds and begins to serve, `stop` drains and ends all
// threads. The store belongs to the caller, who closes it after `stop`.

import CValk
import Glibc
import Logging
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP
import ValkScripting

/// What is fixed at the start.
package struct ServerOptions: Sendable {
    /// Addresses as in `bind`; one with a leading '-' may be missing.
    package var addresses: [String] = ["127.0.0.1"]
    /// TCP port; 0 takes a free one (see `Server.port`), nil listens on none.
    package var port: Int? = 6379
    /// The same, for clients that speak TLS.
    package var tlsPort: Int?
    package var unixSocketPath: String?
    /// Permissions, 0 for what the umask gives.
    package var unixSocketMode = 0
    package var backlog = 511
    package var loopCount = 1
    /// Threads for commands that must wait.
    package var workerCount = 4
    /// Scripts have newproxy, getfenv and setfenv.
    package var luaDeprecatedAPI = false

    package init() {}
}

package final class Server: @unchecked Sendable {  // Immutable after `start`, or with its own synchronisation.
    package let options: ServerOptions
    package let settings: LiveSettings
    package let store: Store
    package let keyspace: Keyspace
    package let table: CommandTable
    package let clock: any WallClock
    /// Whether the clock is the real one, which moves on within a turn.
    let clockRuns: Bool
    package let logger: Logger
    package let registry = ClientRegistry()
    let clientMemory: ClientMemory
    /// The last look for expired keys has come to its end.
    let expiryIsThrough = Atomic<Bool>(true)
    package let monitors: MonitorFeed
    package let pubSub: PubSubRegistry
    private var trackingRegistry: TrackingRegistry?
    let hosted: [HostedCommands.Entry]
    let gate: ServerGate
    /// What took longer than a setting allows.
    package let latencyMonitor = LatencyMonitor()
    let stripes = KeyStripes()
    let watches = WatchRegistry()
    let waitingClients = WaitingClients()
    package let users: UserRegistry
    package let tls = TLSContexts()
    package let scripts = ScriptRegistry()
    package let libraries = LibraryRegistry()
    let runningScripts: RunningScripts
    /// Lines of redis.log: the level from 0 (debug) to 3 (warning), the text. Set before `start`.
    package var scriptLog: (@Sendable (Int, [UInt8]) -> Void)?
    /// By command index: MULTI does not queue it.
    let runsInsideMulti: [Bool]
    /// What CLIENT CACHING needs to know: it is for the next command that is not CLIENT itself, or for a transaction.
    let isClientCommand: [Bool]
    let cachingIndex: Int
    let multiIndex: Int
    let discardIndex: Int
    /// By command index: may be sent by a client that listens, in RESP2.
    let runsWhileSubscribed: [Bool]
    /// By command index: no write, and yet nothing for scripts that only read.
    let hasEffects: [Bool]
    /// By command index: what it answers is pushed data, which CLIENT REPLY does not silence.
    let answersWithPushes: [Bool]
    /// Told of commands slower than the setting, on the thread that ran them, with the time in nanoseconds. Set before
    /// `start`.
    package var slowCommandSink: (@Sendable (Connection, Int, ArgumentList, UInt64) -> Void)?
    /// Called ten times a second on loop 0 with monotonic nanoseconds. Set before `start`.
    package var cronHook: (@Sendable (UInt64) -> Void)?

    package private(set) var loops: [EventLoop] = []
    private var workerPool: WorkerPool?
    let listeners = ListenerSet()
    private var isStarted = false
    private let nextLoop = Atomic<Int>(0)
    private var expiryCycle: BackgroundCycle?
    private var evictions: (limit: DataLimit, cycle: BackgroundCycle)?
    private let baseline = Lock()
    private var baselineWords: [UInt64] = []
    private var baselineLatencies: [Int: LatencyHistogram] = [:]

    /// `commands` are all of them but the transaction commands, which the server adds; `hosted` holds the handlers that
    /// their `.hosted` actions name; `renames` are the lines of `rename-command`.
    package init(
        options: ServerOptions, settings: LiveSettings, store: Store, keyspace: Keyspace, commands: [CommandSpec],
        renames: [(command: String, name: String)] = [], hosted: HostedCommands, clock: any WallClock = SystemClock(),
        logger: Logger
    ) {
        self.options = options
        self.settings = settings
        self.store = store
        self.keyspace = keyspace
        self.clock = clock
        clockRuns = clock is SystemClock
        self.logger = logger
        var hosted = hosted
        let transactions = TransactionCommands.register(&hosted)
        let commands = CommandRenaming(commands + transactions, renames, logger)
        let table = CommandTable(commands.kept)
        self.table = table
        self.hosted = hosted.handlers
        runsInsideMulti = (0..<table.count).map { TransactionCommands.unqueued.contains(table.declaredNames[$0]) }
        hasEffects = (0..<table.count).map { table.entries[$0].flags.contains(.mayReplicate) }
        answersWithPushes = (0..<table.count).map { table.declaredNames[$0].hasSuffix("subscribe") }
        runsWhileSubscribed = (0..<table.count).map { Self.listenersCommands.contains(table.declaredNames[$0]) }
        isClientCommand = (0..<table.count).map { table.declaredNames[$0].hasPrefix("client") }
        cachingIndex = Self.index(of: "client|caching", table)
        multiIndex = Self.index(of: "multi", table)
        discardIndex = Self.index(of: "discard", table)
        pubSub = PubSubRegistry(loopCount: max(1, options.loopCount))
        clientMemory = ClientMemory(loopCount: max(1, options.loopCount))
        gate = ServerGate()
        users = UserRegistry(AccessCatalog(table, removed: commands.removed), gate)
        monitors = MonitorFeed(gate: gate)
        runningScripts = RunningScripts(gate: gate)
        trackingRegistry = TrackingRegistry(server: self)
        workerPool = WorkerPool(server: self, count: max(1, options.workerCount))
        expiryCycle = BackgroundCycle(ExpiryCycle(server: self), server: self)
        evictions = (DataLimit(server: self), BackgroundCycle(EvictionCycle(server: self), server: self))
        loops = (0..<max(1, options.loopCount)).map { EventLoop(index: $0, server: self) }
    }

    /// By the name that the command was made with; -1 where the table has none.
    static func index(of name: String, _ table: CommandTable) -> Int {
        table.declaredNames.firstIndex(of: name) ?? -1
    }

    private static let listenersCommands: Set<String> = [
        "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "ping", "quit", "reset",
    ]

    var tracking: TrackingRegistry {
        guard let trackingRegistry else { preconditionFailure("server has no tracking") }
        return trackingRegistry
    }

    /// The limit on stored data, and what holds it.
    var dataLimit: DataLimit {
        guard let evictions else { preconditionFailure("server has no limit on data") }
        return evictions.limit
    }

    var evictionCycle: BackgroundCycle {
        guard let evictions else { preconditionFailure("server has no evictions") }
        return evictions.cycle
    }

    package var workers: WorkerPool {
        guard let workerPool else { preconditionFailure("server has no workers") }
        return workerPool
    }

    /// The TCP port in use, 0 when there is none.
    package var port: Int { listeners.port }
    /// The port for TLS, 0 when there is none.
    package var tlsPort: Int { listeners.tlsPort }

    // MARK: Life

    /// Takes the addresses: clients may connect and wait from here on. Throws with none taken when one cannot be had.
    package func bind() throws(ListenError) { if listeners.all.isEmpty { try listeners.open(self) } }

    /// Binds unless that was done, then starts all threads. Throws without having started anything when an address
    /// cannot be had.
    package func start() throws(ListenError) {
        try bind()
        let loops = self.loops
        store.addLogObserver {
            for loop in loops where loop.awaitsLog.load(ordering: .sequentiallyConsistent) {
                loop.mailbox.post(.logAdvanced)
            }
        }
        isStarted = true
        workers.start()
        for listener in listeners.all { listener.start(on: loops[0]) }
        for loop in loops { loop.start() }
    }

    /// Stops accepting, lets running commands finish and ready replies leave (for at most `drainSeconds`), syncs the
    /// log, ends all threads. Not on a loop or worker.
    package func stop(drainSeconds: Int = 2) {
        guard isStarted else { return }
        isStarted = false
        let listeners = self.listeners.all
        onLoop(0) { _ in for listener in listeners { listener.stop() } }
        gate.raise(.stopping)
        for loop in loops { onLoop(loop.index) { $0.drain() } }
        let workersDeadline = valk_monotonic_ns() + UInt64(drainSeconds) * 1_000_000_000
        if !workers.stop(by: workersDeadline) { logger.warning("stopping although a command is still running") }
        do {
            try store.sync()
        } catch {
            logger.error("the log could not be synced: \(error)")
        }
        let deadline = valk_monotonic_ns() + UInt64(drainSeconds) * 1_000_000_000
        for loop in loops { loop.mailbox.post(.run { $0.finish(by: deadline) }) }
        for loop in loops { loop.join() }
        self.listeners.removeAll()
    }

    /// Runs `body` on a loop and waits for it. Not on a loop.
    func onLoop<R: Sendable>(_ index: Int, _ body: @escaping @Sendable (EventLoop) -> R) -> R {
        let box = Handover<R>()
        loops[index].mailbox.post(.run { box.give(body($0)) })
        return box.take()
    }

    // MARK: Connections

    /// Gives an accepted socket to the next loop in turn.
    func place(_ descriptor: Int32, _ peer: SocketPeer) {
        if loops.count == 1 { return loops[0].adopt(descriptor, peer) }
        let index = nextLoop.wrappingAdd(1, ordering: .relaxed).oldValue % loops.count
        if index == 0 {
            loops[0].adopt(descriptor, peer)
        } else {
            loops[index].mailbox.post(.adopt(descriptor: descriptor, peer: peer))
        }
    }

    /// A look at all clients by ascending id. With several loops this must wait for them, so a handler that calls it on
    /// a loop gets `.wouldBlock` and is run again on a worker.
    package func clients(_ context: CommandContext) throws(Interruption) -> [ClientInfo] {
        if loops.count == 1 && !context.keys.reader.mayBlock { return loops[0].clientInfos() }
        if !context.keys.reader.mayBlock { throw .wouldBlock }
        var all: [ClientInfo] = []
        for loop in loops { all += onLoop(loop.index) { $0.clientInfos() } }
        return all.sorted { $0.id < $1.id }
    }

    /// A look at the connection itself; anywhere its command runs.
    package func client(_ connection: Connection) -> ClientInfo { connection.loop.info(connection) }

    /// Closes a client; replies that are ready leave first. For the client itself use `closeAfterReply`.
    package func kill(_ id: UInt64) -> Bool {
        guard let connection = registry.connection(id) else { return false }
        connection.loop.mailbox.post(.run { $0.kill(connection) })
        return true
    }

    // MARK: Pause

    /// Holds clients' commands for so long: all of them, or only those that may write.
    package func pauseClients(milliseconds: UInt64, all: Bool) {
        gate.pause(until: valk_monotonic_ns() &+ min(milliseconds, 1 << 40) &* 1_000_000, all: all)
    }

    package func unpauseClients() { if gate.unpause() { wakePaused() } }

    /// Whether clients are paused, and for how many milliseconds more.
    package var pausedMilliseconds: Int? {
        guard let deadline = gate.pauseDeadline else { return nil }
        let now = valk_monotonic_ns()
        return deadline > now ? Int((deadline - now) / 1_000_000) : 0
    }

    func wakePaused() { for loop in loops { loop.mailbox.post(.run { $0.retryAllPaused() }) } }

    // MARK: Regular work

    /// On loop 0, ten times a second.
    func cron(now: UInt64) {
        if gate.endPause(now: now) { wakePaused() }
        tracking.keepBound(on: nil)
        dataLimit.noteWrites()
        tendAccesses(now)
        evictionCycle.rest()
        expiryCycle?.rest()
        cronHook?(now)
        expire()
    }

    /// The time by which uses of keys are counted, and room for those of more keys.
    private func tendAccesses(_ now: UInt64) {
        let accesses = keyspace.accesses
        accesses.setTime(milliseconds: now / 1_000_000)
        // Of so many databases that it would take long to count them, some will do.
        let keys = (0..<min(256, keyspace.databaseCount)).reduce(0) { sum, database in
            let counts = keyspace.counts(database)
            return sum + Int(max(0, counts.keys + counts.unknown))
        }
        if accesses.needsCare(keys: keys) { workers.submit { _ in accesses.tend(keys: keys) } }
    }

    /// Removes expired keys on a worker, one run at a time.
    private func expire() {
        guard settings.activeExpire.load(ordering: .relaxed),
            gate.conditions.isDisjoint(with: [.pauseAll, .pauseWrites, .stopping])
        else { return }
        expiryCycle?.startRun()
    }

    // MARK: Statistics

    /// Bytes that all Lua interpreters for scripts hold, and those for functions.
    package var luaMemoryBytes: (scripts: Int, functions: Int) {
        (loops.map(\.executor) + workers.executors).reduce(into: (0, 0)) { sums, executor in
            sums.0 += executor.scriptMemory.load(ordering: .relaxed)
            sums.1 += executor.functionMemory.load(ordering: .relaxed)
        }
    }

    /// Sums over all threads since the last reset.
    package func totals() -> ServerTotals {
        var words = sums()
        baseline.withLock {
            for (i, was) in baselineWords.enumerated() { words[i] = words[i] >= was ? words[i] - was : 0 }
        }
        return ThreadCounters.totals(words, commandCount: table.count)
    }

    /// One of them, without what all of them take.
    func total(_ counter: ServerCounter) -> UInt64 {
        var sum: UInt64 = 0
        for loop in loops { sum &+= loop.executor.counters.value(counter) }
        for executor in workers.executors { sum &+= executor.counters.value(counter) }
        let was = baseline.withLock { baselineWords.isEmpty ? 0 : baselineWords[counter.rawValue] }
        return sum >= was ? sum - was : 0
    }

    /// CONFIG RESETSTAT.
    package func resetTotals() {
        let words = sums()
        let latencies = latencySums()
        baseline.withLock {
            baselineWords = words
            baselineLatencies = latencies
        }
    }

    /// By command index: how long its calls took since the last reset; without those that were not called.
    package func latencies() -> [Int: LatencyHistogram] {
        var sums = latencySums()
        baseline.withLock { for (command, earlier) in baselineLatencies { sums[command]?.subtract(earlier) } }
        return sums.filter { $0.value.total > 0 }
    }

    private func latencySums() -> [Int: LatencyHistogram] {
        var sums: [Int: LatencyHistogram] = [:]
        for counters in allCounters { counters.addLatencies(to: &sums) }
        return sums
    }

    private var allCounters: [ThreadCounters] {
        loops.map(\.executor.counters) + workers.executors.map(\.counters)
    }

    private func sums() -> [UInt64] {
        let all = allCounters
        var words = [UInt64](repeating: 0, count: all[0].wordCount)
        for counters in all {
            for (i, word) in counters.snapshot().enumerated() { words[i] &+= word }
        }
        return words
    }
}

/// One value from one thread to another that waits for it.
final class Handover<Value: Sendable>: @unchecked Sendable {  // The value is under the lock.
    private let lock = Lock()
    private let given = Condition()
    private var value: Value?

    func give(_ value: Value) {
        lock.withLock { self.value = value }
        given.signal()
    }

    func take() -> Value {
        lock.lock()
        defer { lock.unlock() }
        while true {
            if let value { return value }
            given.wait(lock)
        }
    }
}
