// EXEC: the queued commands under the union of their stripes, over one batch, committed as one.
//
// On a loop everything is tried without waiting; if any command would have to wait, all of it is undone and the whole
// EXEC runs again on a worker. A command that fails answers its error and the rest goes on, as in Redis. What queued
// session commands (SELECT, HELLO) did is undone with a broken attempt.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Executor {
    func runTransaction(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ arguments: ArgumentList,
        _ out: UnsafeMutablePointer<ByteBuffer>
    ) -> Outcome {
        context.start(now: server.clock.milliseconds())
        prepare(s, arguments, out)
        guard s.pointee.flags.contains(.multi) else {
            context.fail("ERR EXEC without MULTI")
            return refused(connection, arguments)
        }
        if s.pointee.flags.contains(.transactionBroken) {
            context.fail("EXECABORT Transaction discarded because of previous errors.")
            connection.discardTransaction()
            return refused(connection, arguments)
        }
        let transaction = connection.transaction ?? Transaction(server.watches)
        transaction.seal()
        let outcome = holding(stripes(of: transaction)) { set in
            if !refusals.isEmpty { refusals.removeAll() }
            if transaction.hasScripts { scripts.begin(holding: set, writes: transaction.hasWrites) }
            return runQueued(connection, s, transaction, arguments, out)
        }
        if case .done = outcome {
            if transaction.hasScripts { scripts.end() }
            if !refusals.isEmpty { noteRefusals() }
        }
        return outcome
    }

    /// Stripes of the queued writes (and of what must see them whole) and of the watched keys. Where anything is
    /// written, those of what is only read as well: two transactions that each read what the other writes must not both
    /// read what was before.
    private func stripes(of transaction: Transaction) -> StripeSet {
        var set = StripeSet()
        let counts: CommandFlags = transaction.hasWrites ? [.takesStripes, .readonly] : .takesStripes
        for i in 0..<transaction.count {
            let index = Int(transaction.queued[i].command)
            if entries[index].flags.isDisjoint(with: counts) { continue }
            set.formUnion(stripeSet(index, transaction.arguments(of: i)))
        }
        for watched in transaction.watched { set.insert(watched.key.withView { Stripes.index(of: $0) }) }
        return set
    }

    /// With the stripes held.
    private func runQueued(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ transaction: Transaction,
        _ arguments: ArgumentList, _ out: UnsafeMutablePointer<ByteBuffer>
    ) -> Outcome {
        let before = out.pointee.count
        let session = (
            database: s.pointee.database, version: s.pointee.version, flags: s.pointee.flags,
            names: connection.names
        )
        var position: UInt64 = 0
        s.pointee.flags.insert(.executing)
        // Another writer may have come between the transaction's start and the stripes: read from here.
        context.start(now: server.clock.milliseconds())
        do throws(Interruption) {
            if transaction.watchedKeysStand(at: context.now) {
                ReplyWriter(out: out, version: s.pointee.version).array(transaction.count)
                for i in 0..<transaction.count { try runOne(connection, s, transaction, i, out) }
                position = try commit(for: connection)
            } else {
                ReplyWriter(out: out, version: s.pointee.version).nullArray()
            }
            context.finished()
            if context.hasPublications { deliver(on: mayBlock ? nil : connection.loop) }
        } catch {
            out.pointee.truncate(before)
            context.abandon()
            s.pointee.database = session.database
            s.pointee.version = session.version
            s.pointee.flags = session.flags
            // Subscriptions stay: the next attempt finds them.
            connection.refreshSubscribed()
            connection.names = session.names
            if error == .wouldBlock && (!mayBlock || hot.pointee.wantsAllStripes) { return .wouldBlock }
            prepare(s, arguments, out)
            explain(error, execIndex)
        }
        s.pointee.flags.remove(.executing)
        connection.discardTransaction()
        return ended(connection, arguments, position: position)
    }

    private func runOne(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ transaction: Transaction,
        _ i: Int, _ out: UnsafeMutablePointer<ByteBuffer>
    ) throws(Interruption) {
        let index = Int(transaction.queued[i].command)
        let arguments = transaction.arguments(of: i)
        let before = out.pointee.count
        let mark = context.keys.batch.mark()
        let events = context.keys.eventCount
        let errors = context.effects.errorReplies
        prepare(s, arguments, out)
        do throws(Interruption) {
            // Rights may have changed since it was queued.
            if let denial = denial(connection, index, arguments) {
                noteDenialLater(denial, connection, index, arguments, .multi)
                context.fail(lateRefusal(denial))
            } else {
                try handle(connection, index)
            }
        } catch {
            if error == .wouldBlock { throw error }
            out.pointee.truncate(before)
            context.keys.batch.rollback(to: mark)
            context.keys.dropEvents(from: events)
            explain(error, index)
        }
        s.pointee.lastCommand = Int32(index)
        let now = valk_monotonic_ns()
        let took = now &- hot.pointee.stamp
        noteCall(index, took)
        hot.pointee.stamp = now
        let threshold = server.settings.slowlogThresholdMicroseconds.load(ordering: .relaxed)
        if threshold >= 0 && took >= UInt64(threshold) &* 1000 { noteSlow(connection, index, arguments, took) }
        if context.effects.errorReplies > errors { counters.addFailed(index) }
        if gate.conditions.contains(.monitors) && entries[index].flags.isDisjoint(with: [.skipMonitor, .admin]) {
            server.monitors.feed(
                connection, arguments, as: table.declaredNames[index], microseconds: valk_wall_us())
        }
    }

    /// An error of EXEC itself is a failed call of EXEC; those of what was queued belong to that.
    private func refused(_ connection: Connection, _ arguments: ArgumentList) -> Outcome {
        counters.addFailed(execIndex)
        return ended(connection, arguments, position: 0)
    }

    private func ended(_ connection: Connection, _ arguments: ArgumentList, position: UInt64) -> Outcome {
        var position = position
        account(connection, execIndex, arguments, &position)
        return .done(position: position)
    }
}
