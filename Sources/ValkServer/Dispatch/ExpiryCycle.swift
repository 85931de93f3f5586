// The regular removal of expired keys and fields: a walk over their indexes on a worker, ten times a second, a bounded
// number of entries a time. Off with DEBUG SET-ACTIVE-EXPIRE 0; readers see what has expired as absent in any case.

import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

final class ExpiryCycle: @unchecked Sendable {  // `walk` is used by whoever has set `isRunning`.
    /// Index entries looked at in one run, and the time it may take: at most a quarter of a worker.
    private static let entriesPerRun = 50_000
    private static let nanosecondsPerRun: UInt64 = 25_000_000

    /// Kinds of the events that the removal tells of: of keys, of fields, of hashes that have no field any more.
    private static let kinds: KeyEventKinds = [.expired, .hash, .generic]

    private let walk: ExpiryWalk
    private let isRunning = Atomic<Bool>(false)
    unowned(unsafe) private let server: Server

    init(server: Server) {
        self.server = server
        walk = ExpiryWalk(server.keyspace, reader: StoreReader(server.store, mayBlock: true))
    }

    /// Asks a worker for one run, unless one is under way.
    func startRun() {
        if isRunning.exchange(true, ordering: .acquiring) { return }
        server.workers.submit { [self] executor in
            let begin = Monotonic.nanoseconds()
            run(executor)
            server.latencyMonitor.note(.expireCycle, nanoseconds: Monotonic.nanoseconds() - begin)
            isRunning.store(false, ordering: .releasing)
        }
    }

    /// While runs are off it must not keep old tables and files alive. On any thread, regularly.
    func rest() {
        if isRunning.exchange(true, ordering: .acquiring) { return }
        walk.rest()
        isRunning.store(false, ordering: .releasing)
    }

    private func run(_ executor: Executor) {
        let stripes = server.stripes
        let kinds = KeyEventKinds(rawValue: server.settings.keyEventKinds.load(ordering: .relaxed))
        let isListenedTo = !kinds.isDisjoint(with: Self.kinds) || !server.tracking.isEmpty
        // The walk may have nothing to do for long; it must not keep old tables and files alive.
        defer { walk.rest() }
        do throws(Interruption) {
            let progress = try walk.expireSome(
                now: server.clock.milliseconds(), budget: Self.entriesPerRun,
                deadline: Monotonic.nanoseconds() + Self.nanosecondsPerRun, tryLock: { stripes.tryAcquire($0) },
                unlock: { stripes.release($0) }, onRemoved: isListenedTo ? { self.tell($0, kinds, executor) } : nil)
            if !executor.changedKeys.isEmpty { executor.broadcastChanges(on: nil) }
            if progress.removed > 0 { executor.counters.add(.expiredKeys, progress.removed) }
        } catch {
            executor.counters.add(.expiryFaults)
        }
    }

    private func tell(_ removed: [KeyEventRecord], _ kinds: KeyEventKinds, _ executor: Executor) {
        if !server.tracking.isEmpty {
            for record in removed { record.key.withView { executor.invalidateExpired($0, on: nil) } }
        }
        var publications: [Publication] = []
        for record in removed where kinds.contains(record.event.kind) { record.publish(kinds, to: &publications) }
        if publications.isEmpty { return }
        server.pubSub.deliver(publications, server.loops, on: nil)
    }
}
