// The regular removal of expired keys: a walk over the expiry index on a worker, ten times a second, a bounded number
// of entries a time. Off with DEBUG SET-ACTIVE-EXPIRE 0; readers see expired keys as absent in any case.

import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

final class ExpiryCycle: @unchecked Sendable {  // `walk` is used by whoever has set `isRunning`.
    /// Index entries looked at in one run, and the time it may take: at most a quarter of a worker.
    private static let entriesPerRun = 50_000
    private static let nanosecondsPerRun: UInt64 = 25_000_000

    private let walk: ExpiryWalk
    private let reader: StoreReader
    private let isRunning = Atomic<Bool>(false)
    unowned(unsafe) private let server: Server

    init(server: Server) {
        self.server = server
        reader = StoreReader(server.store, mayBlock: true)
        walk = ExpiryWalk(server.keyspace, reader: reader)
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
        reader.rest()
        isRunning.store(false, ordering: .releasing)
    }

    private func run(_ executor: Executor) {
        let stripes = server.stripes
        let kinds = KeyEventKinds(rawValue: server.settings.keyEventKinds.load(ordering: .relaxed))
        let isListenedTo = kinds.contains(.expired) || !server.tracking.isEmpty
        // The walk may have nothing to do for long; it must not keep old tables and files alive.
        defer { reader.rest() }
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
        if !kinds.contains(.expired) { return }
        var publications: [Publication] = []
        for record in removed { record.publish(kinds, to: &publications) }
        server.pubSub.deliver(publications, server.loops, on: nil)
    }
}
