// Work on the data that nobody asked for: evictions, the removal of expired keys. It runs on a worker, one run at a
// time, and steps back for other work between two runs. It looks at the store now and then, or never: in between it
// must not keep old tables and files alive.

import Synchronization
import ValkBase

/// What a cycle does in a run. Used by whoever has begun the run.
protocol BackgroundWork: AnyObject, Sendable {
    /// What LATENCY calls a long run.
    var event: LatencyEvent { get }

    /// Lets go of what its readers hold of the store.
    func rest()
    /// One piece of the work, milliseconds.
    func run(_ executor: Executor) -> BackgroundEnd
    /// The runs have ended, and another one may begin: whoever asked for one meanwhile was told that one is under way.
    func hasEnded(_ end: BackgroundEnd)
}

enum BackgroundEnd {
    /// There is nothing more to do.
    case isDone
    /// Another run, when others have had their turn.
    case goesOn
    /// There is something to do that cannot be done.
    case isStuck
}

final class BackgroundCycle: Sendable {
    private let work: any BackgroundWork
    private let isRunning = Atomic<Bool>(false)
    unowned(unsafe) private let server: Server

    init(_ work: any BackgroundWork, server: Server) {
        self.work = work
        self.server = server
    }

    /// Asks a worker for a run, unless one is under way.
    func startRun() {
        if isRunning.exchange(true, ordering: .acquiring) { return }
        submit()
    }

    /// Lets go of what the work holds, unless it is under way. On any thread, regularly.
    func rest() {
        if isRunning.exchange(true, ordering: .acquiring) { return }
        work.rest()
        isRunning.store(false, ordering: .releasing)
        work.hasEnded(.isDone)
    }

    private func submit() {
        server.workers.submit { [self] executor in
            let begin = Monotonic.nanoseconds()
            let end = work.run(executor)
            work.rest()
            server.latencyMonitor.note(work.event, nanoseconds: Monotonic.nanoseconds() - begin)
            if end == .goesOn && server.gate.conditions.isDisjoint(with: .stopping) { return submit() }
            isRunning.store(false, ordering: .releasing)
            work.hasEnded(end)
        }
    }
}
