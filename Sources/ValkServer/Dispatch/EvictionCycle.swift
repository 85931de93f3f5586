// Evictions, on a worker: one run at a time, which looks at rows of keys and removes the least used of them until the
// limit on stored data holds, or for so long; then it makes room for other work and goes on.
//
// A victim is looked at again with its stripe held, removed and committed like any write: who watches or tracks it
// hears of it, and so do those who listen for `evicted`. A key whose stripe is taken is in use, and stays.

import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

final class EvictionCycle: BackgroundWork, @unchecked Sendable {  // `walk` belongs to the run.
    private static let nanosecondsPerRun: UInt64 = 20_000_000
    private static let keysPerBatch = 32
    /// Neighbours tell less than as many keys drawn by chance: so many are looked at for each sample of the setting.
    /// Times to live tell as much from neighbours, which have the same; with a sharper choice keys that live shortly
    /// would hardly stay at all, however often they are used.
    private static func keysPerSample(_ policy: EvictionPolicy) -> Int { policy == .volatileTTL ? 1 : 3 }

    let event = LatencyEvent.evictionCycle
    private let reader: StoreReader
    private let walk: EvictionWalk
    unowned(unsafe) private let server: Server

    init(server: Server) {
        self.server = server
        reader = StoreReader(server.store, mayBlock: true)
        walk = EvictionWalk(server.keyspace, reader: reader)
    }

    func rest() { reader.rest() }

    func hasEnded(_ end: BackgroundEnd) {
        // Who wrote since the last look found a run under way.
        if end == .isDone && server.dataLimit.excessBytes > 0 { server.dataLimit.check() }
    }

    func run(_ executor: Executor) -> BackgroundEnd {
        // In a pause nothing that is stored changes.
        if server.gate.isPaused { return .isStuck }
        let deadline = Monotonic.nanoseconds() + EvictionCycle.nanosecondsPerRun
        var removed = 0
        var hasCandidates = true
        var victims: [EvictionVictim] = []
        let limit = server.dataLimit
        do throws(Interruption) {
            repeat {
                let excess = limit.excessBytes
                if excess <= 0 || limit.policy == .noEviction { break }
                victims.removeAll(keepingCapacity: true)
                let looked = try walk.look(
                    limit.policy, share: share(excess), now: server.clock.milliseconds(), into: &victims)
                if looked == 0 {
                    hasCandidates = false
                    break
                }
                removed += try remove(victims, limit, executor)
            } while Monotonic.nanoseconds() < deadline
        } catch {
            executor.counters.add(.expiryFaults)
            limit.evicted(foundNothing: true)
            return .isStuck
        }
        if !executor.changedKeys.isEmpty { executor.broadcastChanges(on: nil) }
        limit.evicted(foundNothing: !hasCandidates && removed == 0)
        if limit.excessBytes <= 0 || limit.policy == .noEviction { return .isDone }
        return hasCandidates || removed > 0 ? .goesOn : .isStuck
    }

    /// The share of the keys that goes: few, so that it is the least used ones, but more where much has to go.
    private func share(_ excess: Int) -> Double {
        let limit = server.dataLimit
        let keys = limit.samples.load(ordering: .relaxed) * EvictionCycle.keysPerSample(limit.policy)
        let needed = Double(excess) / Double(max(1, limit.usedBytes))
        return min(1, max(1 / Double(keys), needed))
    }

    /// Removes victims until the limit holds; returns how many.
    private func remove(
        _ victims: [EvictionVictim], _ limit: DataLimit, _ executor: Executor
    ) throws(Interruption) -> Int {
        var removed = 0
        var at = 0
        while at < victims.count && limit.excessBytes > 0 {
            let end = min(victims.count, at + EvictionCycle.keysPerBatch)
            removed += try executor.evict(victims[at..<end], limit.policy)
            limit.noteRemovals()
            at = end
        }
        return removed
    }
}

extension Executor {
    /// Removes those victims that are still there and whose stripe is free, as one batch. Between commands, on a
    /// worker.
    func evict(_ victims: ArraySlice<EvictionVictim>, _ policy: EvictionPolicy) throws(Interruption) -> Int {
        var held = StripeSet()
        defer { stripes.release(held) }
        let keys = context.keys
        context.eventKinds = KeyEventKinds(rawValue: server.settings.keyEventKinds.load(ordering: .relaxed))
        context.start(now: server.clock.milliseconds())
        var owned: [EvictionVictim] = []
        for victim in victims {
            let stripe = victim.key.withView { Stripes.index(of: $0) }
            if held.contains(stripe) || stripes.tryAcquire(stripe) {
                held.insert(stripe)
                owned.append(victim)
            }
        }
        // Other writers may have come before the stripes: read from here.
        context.start(now: server.clock.milliseconds())
        var gone: [EvictionVictim] = []
        do throws(Interruption) {
            for victim in owned {
                keys.select(victim.database)
                let isGone = try victim.key.withViewTyped { user throws(Interruption) in
                    let was = try keys.examine(user, in: keys.namespace(victim.database))
                    if was.entry == nil || policy.isVolatile && was.expireAt == 0 { return false }
                    keys.remove(user, was: was)
                    keys.notify(.evicted, user)
                    return true
                }
                if isGone { gone.append(victim) }
            }
            try commitEvictions()
        } catch {
            context.abandon()
            throw error
        }
        if !server.tracking.isEmpty {
            for victim in gone { victim.key.withView { invalidateExpired($0, on: nil) } }
        }
        context.finished()
        if context.hasPublications { deliver(on: nil) }
        counters.add(.evictedKeys, gone.count)
        return gone.count
    }

    private func commitEvictions() throws(Interruption) {
        if context.keys.batch.isEmpty { return }
        // Deletes make room: they do not wait for a pace.
        _ = try server.store.commit(context.keys.batch, mayBlock: mayBlock, keepsPace: false)
        if !watches.isEmpty { watches.touch(writtenBy: context.keys) }
    }
}
