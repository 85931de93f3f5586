// What SAVE, BGSAVE and BGREWRITEAOF have done and are doing. At most one of them works at a time, as in Redis.
//
// Any thread; behind one lock. The thread of the last background work is kept until somebody has joined it.

import ValkBase

final class SavingState: Sendable {
    enum Work { case backup, rewrite }

    /// One kind of work, for INFO.
    struct Figures {
        var runs = false
        var isScheduled = false
        var lastFailed = false
        /// -1 before the first and while none runs.
        var lastSeconds = -1
        var currentSeconds = -1
        var count = 0
        fileprivate var startedAt: UInt64 = 0
    }

    struct Report {
        var backup = Figures()
        var rewrite = Figures()
        /// Seconds since 1970 of the last success, or of the server's start.
        var lastSave = Int(WallTime.microseconds() / 1_000_000)
        /// Changes counted when the last save began.
        var changesAtSave = 0
        var backups = 0
        /// Path of the newest backup made since the start.
        var lastBackup = ""
    }

    enum Start { case started, scheduled, busy(Work) }

    private let lock = Lock()
    // SAFETY: under `lock` only.
    private nonisolated(unsafe) var report = Report()
    private nonisolated(unsafe) var current: Work?
    private nonisolated(unsafe) var thread: PThread?
    private nonisolated(unsafe) var ends = false

    /// Figures as of now.
    var figures: Report {
        lock.withLock {
            var result = report
            let now = Monotonic.nanoseconds()
            if result.backup.runs {
                result.backup.currentSeconds = Int((now - result.backup.startedAt) / 1_000_000_000)
            }
            if result.rewrite.runs {
                result.rewrite.currentSeconds = Int((now - result.rewrite.startedAt) / 1_000_000_000)
            }
            return result
        }
    }

    /// The server is ending: long work gives up.
    var isEnding: Bool { lock.withLock { ends } }

    /// Begins `work`, or, when something else is at work (or `isDeferred`), puts it down for later if `schedules`.
    func begin(_ work: Work, schedules: Bool, isDeferred: Bool = false) -> Start {
        lock.withLock {
            if let current, !schedules || current == work { return .busy(current) }
            if current != nil || isDeferred {
                update(work) { $0.isScheduled = true }
                return .scheduled
            }
            start(work)
            return .started
        }
    }

    /// Begins what was put down, if nothing is at work: a backup after a rewrite, as Redis does.
    func beginScheduled() -> Work? {
        lock.withLock {
            guard current == nil, !ends else { return nil }
            let work: Work
            if report.rewrite.isScheduled {
                work = .rewrite
            } else if report.backup.isScheduled {
                work = .backup
            } else {
                return nil
            }
            update(work) { $0.isScheduled = false }
            start(work)
            return work
        }
    }

    /// With the lock held.
    private func start(_ work: Work) {
        current = work
        update(work) {
            $0.runs = true
            $0.startedAt = Monotonic.nanoseconds()
        }
    }

    private func update(_ work: Work, _ change: (inout Figures) -> Void) {
        if work == .backup { change(&report.backup) } else { change(&report.rewrite) }
    }

    /// The end of the work under way. `backup`: where it is and how many there are now.
    func end(_ work: Work, failed: Bool, changes: Int, backup: (path: String, count: Int)?) {
        lock.withLock {
            current = nil
            update(work) {
                $0.runs = false
                $0.lastFailed = failed
                $0.lastSeconds = Int((Monotonic.nanoseconds() - $0.startedAt) / 1_000_000_000)
                if !failed { $0.count += 1 }
            }
            guard work == .backup, !failed else { return }
            report.lastSave = Int(WallTime.microseconds() / 1_000_000)
            report.changesAtSave = changes
            if let backup {
                report.lastBackup = backup.path
                report.backups = backup.count
            }
        }
    }

    /// What lay on the shelf at the start.
    func note(backups: Int) { lock.withLock { report.backups = backups } }

    /// Puts `next` in place and waits for what was there.
    func replaceThread(_ next: PThread?) {
        let old = lock.withLock { () -> PThread? in
            defer { thread = next }
            return thread
        }
        old?.join()
    }

    /// Asks long work to give up, and waits for it.
    func finish() {
        lock.withLock { ends = true }
        replaceThread(nil)
    }
}
