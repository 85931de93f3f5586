// A backup of a store that serves. Writers and readers do not notice; the garbage collector waits, so that no file of
// the log is changed or replaced meanwhile (see Backup.swift).
//
// The moment: memory is flushed first, so that little of the log is left to carry, then the log is synced. With the
// structure held, three things are taken that belong together: the manifest's state, the end of the durable log, and
// after it a view. The view keeps every table file of the state, the segments that those point into, and, through its
// memory tables, every segment from the checkpoint to the end. So nothing that the backup needs can go while it copies,
// and it holds exactly the batches up to that end.

import ValkBase
import ValkDisk

extension Store {
    /// Makes a backup in the new directory `target` (missing or empty, its parent there). Any thread but a loop's; one
    /// at a time. Throws `.invalid`, `.noSpace`, `.disk`, `.corruption` when the copy cannot be proved; then nothing is
    /// left behind.
    @discardableResult
    package func backup(
        to target: String, _ options: BackupOptions = BackupOptions()
    ) throws(StoreError) -> BackupReport {
        var target = target
        while target.count > 1 && target.hasSuffix("/") { target.removeLast() }
        try BackupWriter.check(disk, target, source: self.options.path)
        return try backupLock.withLock { () throws(StoreError) in
            try flushForBackup()
            try logManager.sync()
            return try collector.gate.withLock { () throws(StoreError) in
                let (plan, view) = backupPlan()
                defer { withExtendedLifetime(view) {} }
                return try BackupWriter.write(disk, plan, to: target, options)
            }
        }
    }

    private func backupPlan() -> (BackupPlan, View) {
        controller.structure.withLock {
            let end = log.durable
            // After the end: what lies before it is in the view's tables or in files.
            let (view, _) = currentView()
            let segments = log.segments.map { (number: UInt32) in
                (number: number, generation: log.files.generation(number), path: log.files.path(number))
            }
            let plan = BackupPlan(state: controller.state, directory: options.path, end: end, segments: segments)
            return (plan, view)
        }
    }

    /// Flushes what is in memory now; not what comes meanwhile. On a full device the log carries it all.
    private func flushForBackup() throws(StoreError) {
        let goal = logManager.visibleSequence
        logManager.sealNow()
        while controller.structure.withLock({ controller.state.checkpoint.sequence }) < goal,
            logManager.oldestSealed() != nil
        {
            if case .stopped(let reason) = writeState { throw reason }
            do throws(StoreError) {
                try controller.flushOldest()
            } catch {
                guard logManager.backgroundFailed(error) else { throw error }
                return
            }
        }
    }
}
