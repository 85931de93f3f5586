// Runs scripts over the transaction of the command that called them (EVAL alone, or within EXEC).
//
// A script holds the stripes of the keys it names. What it does with other keys is looked at command by command: one
// that writes must hold the stripes of everything it reads and writes, or two scripts could each read what the other
// is about to change; so a script that turns out to use more is undone and runs again with all stripes (and does so
// from the start the next time). One that only reads sees one moment and needs none.
//
// On a loop a script is undone, too, when a command would have to wait or when it has run for long: it runs again from
// the start on a worker. So everything that a script does before its end must be such that it can be forgotten: writes
// are in the batch, publications in the context, and lines of redis.log and MONITOR are kept here until the end.
//
// One per executor, made when the first script comes; used by its thread.

import CValk
import Glibc
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP
import ValkScripting

final class ScriptRunner: ScriptCaller {
    /// A script that has used so much of a loop's processor moves to a worker.
    private static let loopNanoseconds: UInt64 = 1_000_000
    /// A larger buffer for replies is given back.
    private static let keptBytes = 1 << 20
    /// A library that takes longer to load is broken, as in Redis.
    private static let loadNanoseconds: UInt64 = 500_000_000

    private unowned(unsafe) let executor: Executor
    private unowned(unsafe) let server: Server
    private(set) lazy var cache = ScriptCache(
        server.scripts, caller: self, deprecated: server.options.luaDeprecatedAPI, version: ServerVersion.redis)
    private(set) lazy var functions = FunctionCache(
        server.libraries, caller: self, deprecated: server.options.luaDeprecatedAPI, version: ServerVersion.redis)
    /// Replies of the commands that scripts call.
    private let scratch: UnsafeMutablePointer<ByteBuffer>
    private var refusal = ByteBuffer()
    private var logLines: [(level: Int, text: [UInt8])] = []
    private var monitorLines: [[UInt8]] = []

    // The transaction.
    private var held = StripeSet()
    private var holdsAll = false
    private var hasWritten = false
    private var readsOutside = false

    // The script that runs.
    private var connection: Connection?
    private var isReadOnly = false
    private var isFunction = false
    /// The limit on stored data was exceeded when the script began, and the script does not say that it knows.
    private var isOverLimit = false
    private var hasCalledWrite = false
    private var name: [UInt8] = []
    /// Monotonic and processor time at which its first tick came; 0 before.
    private var firstTick: UInt64 = 0
    private var firstTickCPU: UInt64 = 0
    private var running: RunningScript?
    /// A library is being loaded.
    private var isLoading = false
    /// Since the thread was last idle.
    private var wasUsed = false

    init(_ executor: Executor) {
        self.executor = executor
        server = executor.server
        scratch = .allocate(capacity: 1)
        scratch.initialize(to: ByteBuffer(capacity: 1024))
    }

    deinit {
        scratch.deinitialize(count: 1)
        scratch.deallocate()
    }

    /// A transaction begins that holds these stripes. `writes`: commands outside of scripts write in it.
    func begin(holding set: StripeSet, writes: Bool) {
        held = set
        holdsAll = set.isAll
        hasWritten = writes
        readsOutside = false
        if !logLines.isEmpty { logLines.removeAll() }
        if !monitorLines.isEmpty { monitorLines.removeAll() }
    }

    /// The transaction is through: what its scripts had to say is said.
    func end() {
        if !logLines.isEmpty {
            for line in logLines { server.scriptLog?(line.level, line.text) }
            logLines.removeAll()
        }
        if !monitorLines.isEmpty {
            server.monitors.send(monitorLines)
            monitorLines.removeAll()
        }
    }

    /// Now and then. `isIdle`: the thread has nothing to do.
    func rest(isIdle: Bool) {
        cache.rest(isIdle: isIdle && wasUsed)
        executor.scriptMemory.store(cache.memoryBytes, ordering: .relaxed)
        if isIdle && wasUsed {
            functions.rest()
            executor.functionMemory.store(functions.memoryBytes, ordering: .relaxed)
            wasUsed = false
        }
    }

    // MARK: One script

    /// EVAL, EVALSHA and their read-only forms.
    func eval(_ connection: Connection, byDigest: Bool, readOnly: Bool) throws(Interruption) {
        let context = executor.context
        let args = context.args
        if byDigest && args[1].count != 40 {
            return context.fail("NOSCRIPT No matching script. Please use EVAL.")
        }
        guard let keyCount = keyCount(context) else { return }
        let script: CompiledScript
        if byDigest {
            guard let known = cache.script(digits: args[1]) else {
                return context.fail("NOSCRIPT No matching script. Please use EVAL.")
            }
            script = known
        } else {
            do throws(Complaint) {
                script = try cache.script(args[1])
            } catch {
                return context.fail(bytes: Array("ERR ".utf8) + error.bytes)
            }
        }
        guard permits(script.flags, readOnly: readOnly) else { return }
        isReadOnly = readOnly || script.flags.contains(.noWrites)
        isFunction = false
        noteLimit(script.flags)
        name = []
        if script.usesOtherKeys && !holdsAll && !isReadOnly { return try takeEverything() }
        let keys = args.dropFirst(3)
        let outcome = run(connection, context) {
            cache.run(
                script, keys: ArgumentList(views: keys.views, count: keyCount), arguments: keys.dropFirst(keyCount),
                version: connection.protocolVersion)
        }
        if outcome.undone && executor.hot.pointee.wantsAllStripes { script.usesOtherKeys = true }
        try answer(context, outcome)
    }

    /// FCALL and FCALL_RO.
    func fcall(_ connection: Connection, readOnly: Bool) throws(Interruption) {
        let context = executor.context
        let args = context.args
        let draft = (context.commitAction as? LibraryChange)?.set
        guard let function = functions.function(args[1], draft: draft) else {
            return context.fail("ERR Function not found")
        }
        guard let keyCount = keyCount(context, "ERR Bad number of keys provided") else { return }
        guard permits(function.flags, readOnly: readOnly) else { return }
        isReadOnly = readOnly || function.flags.contains(.noWrites)
        isFunction = true
        noteLimit(function.flags)
        name = function.name
        if function.usesOtherKeys && !holdsAll && !isReadOnly { return try takeEverything() }
        let keys = args.dropFirst(3)
        let outcome = run(connection, context) {
            functions.run(
                function, keys: ArgumentList(views: keys.views, count: keyCount), arguments: keys.dropFirst(keyCount),
                version: connection.protocolVersion)
        }
        if outcome.undone && executor.hot.pointee.wantsAllStripes { function.usesOtherKeys = true }
        try answer(context, outcome)
    }

    /// Loads a library to learn of its functions. Nil after an error reply.
    func load(_ text: [UInt8]) throws(Interruption) -> Library? {
        firstTick = 0
        isLoading = true
        logLines.removeAll()
        let loading = functions.load(text)
        noteMemory()
        isLoading = false
        switch loading {
        case .loaded(let library):
            for line in logLines { server.scriptLog?(line.level, line.text) }
            return library
        case .broken(let complaint):
            executor.context.fail(bytes: Array("ERR ".utf8) + complaint.bytes)
            return nil
        case .undone: throw .wouldBlock
        }
    }

    /// The number of keys that a command names, nil after an error reply.
    func keyCount(
        _ context: CommandContext, _ complaint: StaticString = ErrorText.notInteger
    ) -> Int? {
        guard let count = Decimal.parse(context.args[2]) else {
            context.fail(complaint)
            return nil
        }
        if count > Int64(context.args.count - 3) {
            context.fail("ERR Number of keys can't be greater than number of args")
            return nil
        }
        if count < 0 {
            context.fail("ERR Number of keys can't be negative")
            return nil
        }
        return Int(count)
    }

    /// Whether a script with these flags may run by this command; false after an error reply.
    func permits(_ flags: ScriptFlags, readOnly: Bool) -> Bool {
        if readOnly && flags.isDisjoint(with: [.compatibility, .noWrites]) {
            executor.context.fail("ERR Can not execute a script with write flag using *_ro command.")
            return false
        }
        return true
    }

    private func noteLimit(_ flags: ScriptFlags) {
        isOverLimit = executor.gate.conditions.contains(.outOfMemory) && !flags.contains(.allowOOM)
        hasCalledWrite = false
    }

    /// Runs `body`, which runs a script, as a command of `connection`; session and context are as before afterwards.
    func run(_ connection: Connection, _ context: CommandContext, _ body: () -> ScriptOutcome) -> ScriptOutcome {
        let s = connection.state
        let args = context.args
        let reply = context.reply
        let database = s.pointee.database
        let wasExecuting = s.pointee.flags.contains(.executing)
        s.pointee.flags.insert(.executing)
        self.connection = connection
        wasUsed = true
        firstTick = 0
        executor.hot.pointee.innerStamp = executor.hot.pointee.stamp
        if executor.gate.conditions.contains(.monitors) {
            monitorLines.append(
                MonitorFeed.line(
                    database: Int(database), MonitorFeed.label(connection), args, microseconds: valk_wall_us()))
        }
        let outcome = body()
        if let running {
            server.runningScripts.remove(running)
            self.running = nil
        }
        self.connection = nil
        if scratch.pointee.capacity > Self.keptBytes { scratch.pointee.release() }
        noteMemory()
        s.pointee.database = database
        if !wasExecuting { s.pointee.flags.remove(.executing) }
        context.prepare(args: args, reply: reply, database: Int(database))
        return outcome
    }

    private func noteMemory() {
        if isFunction || isLoading {
            executor.functionMemory.store(functions.memoryBytes, ordering: .relaxed)
        } else {
            executor.scriptMemory.store(cache.memoryBytes, ordering: .relaxed)
        }
    }

    /// Passes the script's reply on.
    func answer(_ context: CommandContext, _ outcome: ScriptOutcome) throws(Interruption) {
        if outcome.undone { throw .wouldBlock }
        context.reply.out.pointee.append(outcome.reply)
        if outcome.failed {
            context.count(ErrorCode(of: outcome.reply.dropFirst(1)))
        } else if outcome.reply.starts(with: ByteView("-")) {
            // The error has been counted where it arose, within the script.
            executor.counters.addFailed(executor.find(context.args))
        }
    }

    /// The transaction is to run again with every stripe.
    func takeEverything() throws(Interruption) {
        executor.hot.pointee.wantsAllStripes = true
        throw .wouldBlock
    }

    // MARK: Commands of scripts

    func call(_ arguments: ArgumentList, version: UInt8) -> ScriptAnswer {
        guard let connection else { preconditionFailure("a script that nobody runs") }
        let executor = self.executor
        let index = executor.find(arguments)
        guard index >= 0 else { return refuse("Unknown Redis command called from script", -1) }
        let entry = executor.entries[index]
        if !entry.accepts(argumentCount: arguments.count) {
            return refuse("Wrong number of args calling Redis command from script", index)
        }
        if entry.flags.contains(.noscript) && !server.settings.scriptsMayAll.load(ordering: .relaxed) {
            return refuse("This Redis command is not allowed from script", index)
        }
        if let denial = executor.denial(connection, index, arguments) {
            executor.noteDenialLater(denial, connection, index, arguments, .lua)
            return refuse(Self.refusal(denial), index)
        }
        if isReadOnly && (entry.flags.contains(.write) || server.hasEffects[index]) {
            return refuse("Write commands are not allowed from read-only scripts.", index)
        }
        // Who has begun to write may go on, as in Redis: half a change would be worse.
        if isOverLimit && !hasCalledWrite && entry.flags.contains(.denyoom) { return refuseForRoom(index, version) }
        if entry.flags.contains(.write) { hasCalledWrite = true }
        guard mayTouch(entry, index, arguments) else {
            executor.hot.pointee.wantsAllStripes = true
            return .undo
        }
        if entry.flags.contains(.readonly) { connection.tracking?.scriptHasRead = true }
        if let running, entry.flags.contains(.write) { running.hasWritten.store(true, ordering: .relaxed) }
        return run(connection, index, arguments, version)
    }

    private func run(
        _ connection: Connection, _ index: Int, _ arguments: ArgumentList, _ version: UInt8
    ) -> ScriptAnswer {
        let context = executor.context
        if executor.gate.conditions.contains(.monitors) { noteForMonitors(connection, index, arguments) }
        scratch.pointee.removeAll()
        let mark = context.keys.batch.mark()
        let events = context.keys.eventCount
        let errorsBefore = context.takeErrors()
        context.prepare(
            args: arguments, reply: ReplyWriter(out: scratch, version: version), database: connection.database)
        context.runsForScript = true
        defer { context.runsForScript = false }
        do throws(Interruption) {
            try executor.handle(connection, index)
        } catch {
            if error == .wouldBlock && !executor.mayBlock {
                context.putBack(errorsBefore)
                return .undo
            }
            scratch.pointee.removeAll()
            context.keys.batch.rollback(to: mark)
            context.keys.dropEvents(from: events)
            executor.explain(error, index)
        }
        executor.accountWithinScript(connection, index, arguments)
        let errors = context.takeErrors()
        if errors.count > 0 {
            executor.counters.addFailed(index)
            executor.counters.addError(errors.code, errors.count)
        }
        context.putBack(errorsBefore)
        if scratch.pointee.isEmpty { ReplyWriter(out: scratch, version: version).null() }
        return .reply(scratch.pointee.view)
    }

    /// Whether the script may go on with this command, given the stripes that it holds; notes what it does.
    private func mayTouch(_ entry: CommandEntry, _ index: Int, _ arguments: ArgumentList) -> Bool {
        let writes = entry.flags.contains(.write)
        if holdsAll {
            if writes { hasWritten = true }
            return true
        }
        guard writes || entry.flags.contains(.readonly) else { return true }
        let isInside = holdsKeys(entry, index, arguments)
        if writes {
            if !isInside || readsOutside { return false }
            hasWritten = true
        } else if !isInside {
            if hasWritten { return false }
            readsOutside = true
        }
        return true
    }

    /// Whether the command's keys are known and their stripes held.
    private func holdsKeys(_ entry: CommandEntry, _ index: Int, _ arguments: ArgumentList) -> Bool {
        if entry.flags.contains(.allKeys) { return false }
        if entry.keysMove || entry.firstKey <= 0 {
            let spec = server.table.specs[index]
            if SortKeys(spec, arguments)?.readsOthers == true { return false }
            guard let keys = CommandKeyFinder.keys(spec, arguments), !keys.isEmpty else { return false }
            return keys.allSatisfy { held.contains(Stripes.index(of: arguments[$0.position])) }
        }
        let last = entry.lastKey < 0 ? arguments.count + Int(entry.lastKey) : Int(entry.lastKey)
        var at = Int(entry.firstKey)
        let step = max(1, Int(entry.keyStep))
        while at <= last && at < arguments.count {
            if !held.contains(Stripes.index(of: arguments[at])) { return false }
            at += step
        }
        return true
    }

    private func refuse(_ text: StaticString, _ index: Int) -> ScriptAnswer {
        if index >= 0 { executor.counters.addRejected(index) }
        executor.counters.addError(.err)
        return .refused(ByteView(text))
    }

    private static func refusal(_ denial: AccessDenial) -> StaticString {
        switch denial {
        case .command: "The user executing the script can't run this command or subcommand"
        case .key:
            "The user executing the script can't access at least one of the keys mentioned in the command arguments"
        case .channel: "The user executing the script can't publish to the channel mentioned in the command"
        }
    }

    func permits(_ arguments: ArgumentList) -> Bool? {
        let index = executor.find(arguments)
        guard index >= 0 else { return nil }
        guard let connection else { return true }
        return executor.denial(connection, index, arguments) == nil
    }

    private func refuseForRoom(_ index: Int, _ version: UInt8) -> ScriptAnswer {
        executor.counters.addRejected(index)
        executor.counters.addError(.oom)
        scratch.pointee.removeAll()
        ReplyWriter(out: scratch, version: version).error(Executor.outOfMemoryText)
        return .reply(scratch.pointee.view)
    }

    // MARK: What is said when the script has ended

    func log(level: Int, _ text: ByteView) { logLines.append((level, text.array)) }

    @inline(never)
    private func noteForMonitors(_ connection: Connection, _ index: Int, _ arguments: ArgumentList) {
        if !executor.entries[index].flags.isDisjoint(with: [.skipMonitor, .admin]) { return }
        monitorLines.append(
            MonitorFeed.line(
                database: connection.database, "lua", arguments, as: server.table.declaredNames[index],
                microseconds: valk_wall_us()))
    }

    // MARK: Ticks

    func tick() -> TickAdvice {
        let now = valk_monotonic_ns()
        // Nobody waits for it any more: it ends, and nothing of it stays.
        if executor.gate.conditions.contains(.stopping) { return .undo }
        if firstTick == 0 {
            firstTick = now
            if !executor.mayBlock {
                firstTickCPU = Self.processorNanoseconds()
            } else if !isLoading {
                let running = RunningScript(
                    isFunction: isFunction, name: name, arguments: executor.context.args, since: now)
                running.hasWritten.store(hasWritten, ordering: .relaxed)
                self.running = running
                server.runningScripts.add(running)
            }
            return .goOn
        }
        if !executor.mayBlock {
            guard now &- firstTick > Self.loopNanoseconds else { return .goOn }
            guard Self.processorNanoseconds() &- firstTickCPU > Self.loopNanoseconds else { return .goOn }
            executor.hot.pointee.ranLong = true
            return .undo
        }
        if isLoading && now &- firstTick > Self.loadNanoseconds { return .timeOut }
        guard let running else { return .goOn }
        if running.killed.load(ordering: .relaxed) { return .kill }
        let limit = server.settings.busyReplyMilliseconds.load(ordering: .relaxed)
        if limit > 0 && now &- firstTick > UInt64(limit) &* 1_000_000 { server.runningScripts.noteBusy(running) }
        return .goOn
    }

    /// What this thread has used of processors.
    private static func processorNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
