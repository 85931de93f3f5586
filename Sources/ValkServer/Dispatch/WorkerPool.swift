// Threads that may wait: for the disk, for stripes, for other loops. A command that a loop could not finish is run
// again here from the start, while its connection executes nothing else; the result goes back through the loop's
// mailbox.
//
// The queue is bounded by the number of connections (each has at most one command waiting) plus the few tasks of the
// server itself.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

package final class WorkerPool: @unchecked Sendable {  // The queue is under the lock.
    private enum Job {
        case command(Connection)
        case task(@Sendable (Executor) -> Void)
    }

    /// How often an idle worker looks whether the store has moved on.
    private static let restNanoseconds: UInt64 = 500_000_000

    private let lock = Lock()
    private let wake = Condition()
    private var queue: [Job] = []
    /// First job not yet taken.
    private var head = 0
    private var isStopping = false
    private var runningThreads = 0
    private let ended = Condition()
    private var threads: [PThread] = []
    let executors: [Executor]

    init(server: Server, count: Int) {
        executors = (0..<count).map { _ in Executor(server: server, mayBlock: true) }
    }

    func start() {
        lock.withLock { runningThreads = executors.count }
        for (i, executor) in executors.enumerated() {
            // Glob matching and LCS recurse little; one MiB is ample.
            threads.append(PThread(name: "valk-worker-\(i)") { [self] in run(executor) })
        }
    }

    /// Finishes what is queued, then ends the threads, until `deadline` (monotonic nanoseconds). Returns false when a
    /// command is still running then (a long DEBUG SLEEP): its thread is left to the end of the process, or to another
    /// call.
    func stop(by deadline: UInt64) -> Bool {
        lock.lock()
        isStopping = true
        wake.broadcast()
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
    func submit(_ connection: Connection) { add(.command(connection)) }

    /// Runs `body` on a worker; it may wait.
    func submit(_ body: @escaping @Sendable (Executor) -> Void) { add(.task(body)) }

    private func add(_ job: Job) {
        lock.withLock { queue.append(job) }
        wake.signal()
    }

    private func run(_ executor: Executor) {
        while let job = next(executor.context.keys.reader) {
            switch job {
            case .command(let connection):
                executor.runDeferred(connection)
                connection.loop.mailbox.post(.completed(connection))
            case .task(let body): body(executor)
            }
        }
        lock.withLock { runningThreads -= 1 }
        ended.broadcast()
    }

    /// The next job, nil at the end. While there is none the thread keeps up with the store, so that an idle worker
    /// does not keep old tables and files alive.
    private func next(_ reader: StoreReader) -> Job? {
        lock.lock()
        defer { lock.unlock() }
        while head == queue.count {
            if isStopping { return nil }
            if !wake.wait(lock, until: Monotonic.nanoseconds() + Self.restNanoseconds) {
                lock.unlock()
                reader.rest()
                lock.lock()
            }
        }
        let job = queue[head]
        head += 1
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 1024 {
            queue.removeFirst(head)
            head = 0
        }
        return job
    }
}
