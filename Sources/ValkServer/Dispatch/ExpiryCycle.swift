// The regular removal of expired keys and fields: a walk over their indexes on a worker, ten times a second, a bounded
// number of entries a time. Off with DEBUG SET-ACTIVE-EXPIRE 0; readers see what has expired as absent in any case.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

final class ExpiryCycle: BackgroundWork, @unchecked Sendable {  // `walk` belongs to the run.
    /// Index entries looked at in one run, and the time it may take: at most a quarter of a worker.
    private static let entriesPerRun = 50_000
    private static let nanosecondsPerRun: UInt64 = 25_000_000

    /// Kinds of the events that the removal tells of: of keys, of fields, of hashes that have no field any more.
    private static let kinds: KeyEventKinds = [.expired, .hash, .generic]

    let event = LatencyEvent.expireCycle
    private let walk: ExpiryWalk
    unowned(unsafe) private let server: Server

    init(server: Server) {
        self.server = server
        walk = ExpiryWalk(server.keyspace, reader: StoreReader(server.store, mayBlock: true))
    }

    func hasEnded(_ end: BackgroundEnd) {}

    func rest() { walk.rest() }

    func run(_ executor: Executor) -> BackgroundEnd {
        let stripes = server.stripes
        let kinds = KeyEventKinds(rawValue: server.settings.keyEventKinds.load(ordering: .relaxed))
        let isListenedTo = !kinds.isDisjoint(with: Self.kinds) || !server.tracking.isEmpty
        let before = Self.threadMicroseconds()
        do throws(Interruption) {
            let progress = try walk.expireSome(
                now: server.clock.milliseconds(), budget: Self.entriesPerRun,
                deadline: Monotonic.nanoseconds() + Self.nanosecondsPerRun, tryLock: { stripes.tryAcquire($0) },
                unlock: { stripes.release($0) }, onRemoved: isListenedTo ? { self.tell($0, kinds, executor) } : nil)
            if !executor.changedKeys.isEmpty { executor.broadcastChanges(on: nil) }
            if progress.removed > 0 { executor.counters.add(.expiredKeys, progress.removed) }
            if progress.isMoreLeft { executor.counters.add(.expiryRunsCut) }
            server.expiryIsThrough.store(!progress.isMoreLeft, ordering: .relaxed)
        } catch {
            executor.counters.add(.expiryFaults)
        }
        executor.counters.add(.expiryMicroseconds, Self.threadMicroseconds() - before)
        // What is left has its turn at the next tick.
        return .isDone
    }

    /// CPU time of this thread.
    private static func threadMicroseconds() -> Int {
        var (user, system) = (UInt64(0), UInt64(0))
        return valk_thread_cpu_times(&user, &system) == 0 ? Int(user + system) : 0
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
