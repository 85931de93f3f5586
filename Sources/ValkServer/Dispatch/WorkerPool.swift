// Threads that may wait: for the disk, for stripes, for other loops. A command that a loop could not finish is run
// again here from the start, while its connection executes nothing else; the result goes back through the loop's
// mailbox.
//
// Scripts that have run for long on a loop share another thread: one after the other, as they would in Redis. Commands
// that may wait long for the store's own work (a flush under way: DBSIZE after blind writes, SAVE) share one
// thread of their own, so that however many there are the other threads stay free. A queue is bounded by the number of
// connections (each has at most one command waiting) plus the few tasks of the server itself.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

package final class WorkerPool: @unchecked Sendable {  // The queues are under the lock.
    private enum Job {
        case command(Connection)
        case task(@Sendable (Executor) -> Void)
    }

    /// Jobs for some of the threads.
    private final class Lane: @unchecked Sendable {  // Under the pool's lock.
        let wake = Condition()
        var queue: [Job] = []
        /// First job not yet taken.
        var head = 0
        /// Threads that sleep.
        var idle = 0
    }

    /// How often an idle worker looks whether the store has moved on.
    private static let restNanoseconds: UInt64 = 500_000_000

    private let lock = Lock()
    private let common = Lane()
    private let lengthy = Lane()
    private let scripts = Lane()
    private var isStopping = false
    private var runningThreads = 0
    private let ended = Condition()
    private var threads: [PThread] = []
    /// One for each thread; the last are that of the lengthy commands and that of long scripts.
    let executors: [Executor]

    /// `count` threads for common commands, and two more.
    init(server: Server, count: Int) {
        executors = (0...count + 1).map { _ in Executor(server: server, mayBlock: true) }
    }

    func start() {
        lock.withLock { runningThreads = executors.count }
        for (i, executor) in executors.enumerated() {
            let (lane, name) =
                switch executors.count - i {
                case 1: (scripts, "valk-worker-lua")
                case 2: (lengthy, "valk-worker-long")
                default: (common, "valk-worker-\(i)")
                }
            // A loop has answers to give in microseconds: it does not queue for a processor behind them.
            threads.append(
                PThread(name: name, nice: 5, stackBytes: Executor.stackBytes) { [self] in run(executor, lane) })
        }
    }

    /// Finishes what is queued, then ends the threads, until `deadline` (monotonic nanoseconds). Returns false when a
    /// command is still running then: its thread is left to the end of the process, or to another call.
    func stop(by deadline: UInt64) -> Bool {
        lock.lock()
        isStopping = true
        common.wake.broadcast()
        lengthy.wake.broadcast()
        scripts.wake.broadcast()
        var isInTime = true
        while runningThreads > 0 && isInTime { isInTime = ended.wait(lock, until: deadline) }
        let isDone = runningThreads == 0
        lock.unlock()
        guard isDone else { return false }
        for thread in threads { thread.join() }
        threads.removeAll()
        return true
    }

    /// Runs the command whose arguments the connection's parser holds. Its phase is `.deferred` until the loop hears of
    /// the end.
    func submit(_ connection: Connection, runsLong: Bool) {
        add(.command(connection), to: connection.waitsLong ? lengthy : runsLong ? scripts : common)
    }

    /// The same for several connections whose commands wait for the disk, in their order: all that a loop's turn has
    /// left, so that it pays for one wake-up of each thread and not of each command.
    func submit(_ connections: [Connection]) {
        let woken = lock.withLock { () -> Int in
            for connection in connections { common.queue.append(.command(connection)) }
            return min(connections.count, common.idle)
        }
        for _ in 0..<woken { common.wake.signal() }
    }

    /// Runs `body` on a worker; it may wait.
    func submit(_ body: @escaping @Sendable (Executor) -> Void) { add(.task(body), to: common) }

    private func add(_ job: Job, to lane: Lane) {
        lock.withLock { lane.queue.append(job) }
        lane.wake.signal()
    }

    private func run(_ executor: Executor, _ lane: Lane) {
        while let job = next(in: lane, executor) {
            switch job {
            case .command(let connection):
                if let waiting = executor.runDeferred(connection) {
                    connection.loop.mailbox.post(.run { $0.startWaiting(connection, waiting) })
                } else {
                    connection.loop.mailbox.post(.completed(connection))
                }
            case .task(let body):
                body(executor)
                // Tasks come so often that no thread ever waits until it may rest.
                executor.rest(isIdle: false)
            }
        }
        lock.withLock { runningThreads -= 1 }
        ended.broadcast()
    }

    /// The next job, nil at the end. While there is none the thread keeps up with the store, so that an idle worker
    /// does not keep old tables and files alive.
    private func next(in lane: Lane, _ executor: Executor) -> Job? {
        lock.lock()
        defer { lock.unlock() }
        while lane.head == lane.queue.count {
            if isStopping { return nil }
            lane.idle += 1
            let isWoken = lane.wake.wait(lock, until: Monotonic.nanoseconds() + Self.restNanoseconds)
            lane.idle -= 1
            if !isWoken {
                lock.unlock()
                executor.rest(isIdle: true)
                lock.lock()
            }
        }
        let job = lane.queue[lane.head]
        lane.head += 1
        if lane.head == lane.queue.count {
            lane.queue.removeAll(keepingCapacity: true)
            lane.head = 0
        } else if lane.head > 1024 {
            lane.queue.removeFirst(lane.head)
            lane.head = 0
        }
        return job
    }
}

extension Connection {
    /// The waiting command, or one that EXEC is to run, may wait long for the store's own work.
    var waitsLong: Bool {
        let index = Int(state.pointee.waitingCommand)
        if server.table.entries[index].flags.contains(.lengthy) { return true }
        return inTransaction && transaction?.isLengthy == true
    }
}
