// Clients that wait for data, from the side of the threads that run commands: a command begins to wait, and a writer
// serves those who waited for what it wrote, before anybody else can see it.
//
// After a commit, with the stripes still held, the writer runs the command of each client that waits under a written
// key, in the order in which they came, in a transaction of its own, until one finds nothing. What that writes may make
// other keys ready, and so on. A target (BLMOVE) needs another stripe, which may only be tried for; where it is taken,
// or where data are not in memory, the client's own loop runs the command once more as if it had just come.

import CValk
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Executor {
    // MARK: Beginning

    /// The command that has just run found nothing. With the stripes of its keys held.
    func wait(_ connection: Connection, _ index: Int, _ arguments: ArgumentList, _ request: WaitRequest) {
        context.abandon()
        var deadline = connection.waitDeadline
        var sequence = connection.waitSequence
        if sequence == 0 {
            sequence = waitingClients.nextSequence()
            deadline = 0
            if request.timeout > 0 {
                let (nanoseconds, overflow) = UInt64(request.timeout).multipliedReportingOverflow(by: 1_000_000)
                let (end, isPast) = valk_monotonic_ns().addingReportingOverflow(nanoseconds)
                deadline = overflow || isPast ? .max : end
            }
        }
        connection.waitReplacements = context.takeWaitReplacements()
        let client = WaitingClient(
            connection, index: index, arguments, replacing: connection.waitReplacements, request, deadline: deadline,
            sequence: sequence)
        waitingClients.add(client, in: context.keys.state.pointee.namespace)
        waiting = client
        var position: UInt64 = 0
        account(connection, index, arguments, &position)
    }

    // MARK: Serving

    /// After a commit, before `finished`: keys under which somebody waits.
    @inline(never)
    func noteReady() {
        if context.keys.hasMoved {
            ready.append(contentsOf: waitingClients.move { context.keys.namespace($0) })
            return
        }
        context.keys.forEachWrittenKey { namespace, user in
            if waitingClients.has(namespace, user) { ready.append((namespace, user.array)) }
        }
    }

    /// Serves who waits under the keys in `ready`. `held` are the stripes that this thread has.
    @inline(never)
    func serveReady(holding held: StripeSet) {
        var more = StripeSet()
        var next = 0
        while next < ready.count {
            let (namespace, key) = ready[next]
            next += 1
            key.withView { serve(namespace, $0, held, &more) }
        }
        ready.removeAll()
        stripes.release(more)
    }

    private enum Attempt {
        case served
        case nothing
        /// Must be tried on a thread of its own.
        case elsewhere
    }

    private func serve(_ namespace: UInt32, _ key: ByteView, _ held: StripeSet, _ more: inout StripeSet) {
        for (client, argument) in waitingClients.waiting(namespace, key) {
            guard client.claim() else { continue }
            let isNew = takeTarget(of: client, held, &more)
            switch isNew ? attempt(client, argument) : .elsewhere {
            case .served:
                waitingClients.remove(client)
                client.end()
                client.connection.loop.mailbox.post(.completed(client.connection))
            case .nothing:
                if !client.letGo() { waitingClients.remove(client) }
            case .elsewhere:
                waitingClients.remove(client)
                client.end()
                client.connection.loop.mailbox.post(.run { $0.retry(client) })
            }
        }
    }

    /// Whether the stripe of the client's target is held now.
    private func takeTarget(of client: WaitingClient, _ held: StripeSet, _ more: inout StripeSet) -> Bool {
        if client.request.target == 0 { return true }
        let stripe = Stripes.index(of: client.arguments[client.request.target])
        if held.contains(stripe) || more.contains(stripe) { return true }
        guard stripes.tryAcquire(stripe) else { return false }
        more.insert(stripe)
        return true
    }

    /// Runs the client's command for one key that is ready.
    private func attempt(_ client: WaitingClient, _ argument: Int) -> Attempt {
        let connection = client.connection
        let out = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        out.initialize(to: ByteBuffer(capacity: 512))
        var outcome = Attempt.served
        context.start(now: wallNow)
        context.prepare(
            args: client.arguments, reply: ReplyWriter(out: out, version: client.version), database: client.database)
        do throws(Interruption) {
            if try isFit(client, argument) {
                context.prepareWaiting(canWait: true, onlyKey: argument)
                try handle(connection, client.index)
                let isNothing = context.waitRequest != nil
                context.prepareWaiting(canWait: false)
                if isNothing {
                    context.abandon()
                    outcome = .nothing
                } else {
                    let position = try commitServed(client)
                    let effects = context.effects
                    connection.deferredPosition = position > 0 ? position : effects.dependency.rawValue
                    context.finished()
                    if context.hasPublications { deliver(on: nil) }
                    countServed(effects, client.index)
                }
            } else {
                context.abandon()
                outcome = .nothing
            }
        } catch {
            context.prepareWaiting(canWait: false)
            out.pointee.truncate(0)
            context.abandon()
            if error == .wouldBlock { outcome = .elsewhere } else { explain(error, client.index) }
        }
        if outcome == .served && connection.state.pointee.flags.isDisjoint(with: [.replyOff, .replySkip]) {
            connection.deferredReply = out
        } else {
            out.deinitialize(count: 1)
            out.deallocate()
        }
        return outcome
    }

    /// Whether what lies at the key is something to run the command for.
    private func isFit(_ client: WaitingClient, _ argument: Int) throws(Interruption) -> Bool {
        if client.request.wakesOnAnyChange { return true }
        guard let entry = try context.keys.find(client.arguments[argument]) else { return false }
        return ValueType(tag: entry.pointee.tag) == client.request.type
    }

    private func commitServed(_ client: WaitingClient) throws(Interruption) -> UInt64 {
        if !context.keys.state.pointee.hasWritten { return 0 }
        let position = try commitBatch()
        if !watches.isEmpty { watches.touch(writtenBy: context.keys) }
        if !tracking.isEmpty {
            var keys: [[UInt8]] = []
            context.keys.forEachWrittenKey { _, key in keys.append(key.array) }
            if tracking.prefixCount > 0 { for key in keys { changedKeys[key] = client.connection.id } }
            tracking.invalidate(keys, writer: client.connection.id, on: nil)
        }
        noteReady()
        return position
    }

    private func countServed(_ effects: CommandEffects, _ index: Int) {
        if effects.errorReplies > 0 {
            counters.addFailed(index)
            counters.addError(effects.errorCode, effects.errorReplies)
        }
        if effects.keyspaceHits > 0 { counters.add(.keyspaceHits, effects.keyspaceHits) }
        if effects.dirty > 0 { counters.add(.dirty, effects.dirty) }
    }
}
