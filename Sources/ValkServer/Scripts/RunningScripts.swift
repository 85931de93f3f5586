// The scripts that have been running for long enough to be seen: SCRIPT KILL ends them, and from the time of
// `busy-reply-threshold` on other clients are told -BUSY.
//
// Scripts come here with their first tick on a worker, so that the usual script never takes the lock.

import Synchronization
import ValkBase
import ValkRESP

final class RunningScript: Sendable {
    let isFunction: Bool
    let name: [UInt8]
    /// The command that called it.
    let arguments: [[UInt8]]
    /// Monotonic nanoseconds.
    let since: UInt64
    let hasWritten = Atomic<Bool>(false)
    let killed = Atomic<Bool>(false)
    let isBusy = Atomic<Bool>(false)

    init(isFunction: Bool, name: [UInt8], arguments: ArgumentList, since: UInt64) {
        self.isFunction = isFunction
        self.name = name
        self.arguments = (0..<arguments.count).map { arguments[$0].array }
        self.since = since
    }
}

final class RunningScripts: Sendable {
    enum KillResult { case killed, none, hasWritten, isFunction, isScript }

    private let gate: ServerGate
    private let lock = Lock()
    // SAFETY: under `lock` only.
    private nonisolated(unsafe) var running: [RunningScript] = []

    init(gate: ServerGate) { self.gate = gate }

    func add(_ script: RunningScript) { lock.withLock { running.append(script) } }

    func remove(_ script: RunningScript) {
        lock.withLock {
            running.removeAll { $0 === script }
            lowerUnneeded()
        }
    }

    /// From now on other clients are refused.
    func noteBusy(_ script: RunningScript) {
        if script.isBusy.load(ordering: .relaxed) { return }
        lock.withLock {
            script.isBusy.store(true, ordering: .relaxed)
            gate.raise(script.isFunction ? .busyFunction : .busyScript)
        }
    }

    private func lowerUnneeded() {
        for (isFunction, condition) in [(false, ServerGate.Conditions.busyScript), (true, .busyFunction)]
        where gate.conditions.contains(condition) {
            if running.contains(where: { $0.isFunction == isFunction && $0.isBusy.load(ordering: .relaxed) }) {
                continue
            }
            gate.lower(condition)
        }
    }

    /// Ends what may be ended: every running script (or function) that has not written.
    func kill(functions: Bool) -> KillResult {
        lock.withLock {
            let all = running.filter { !$0.killed.load(ordering: .relaxed) }
            if all.isEmpty { return .none }
            let harmless = all.filter { !$0.hasWritten.load(ordering: .relaxed) }
            if harmless.isEmpty { return .hasWritten }
            let meant = harmless.filter { $0.isFunction == functions }
            if meant.isEmpty { return functions ? .isScript : .isFunction }
            for script in meant { script.killed.store(true, ordering: .relaxed) }
            return .killed
        }
    }

    /// What has been running longest.
    var oldest: RunningScript? { lock.withLock { running.first } }
}
