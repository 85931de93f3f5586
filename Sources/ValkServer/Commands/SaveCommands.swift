// Those that ask for the data to be safe: SAVE BGSAVE BGREWRITEAOF LASTSAVE.
//
// Every acknowledged write is in the log already. SAVE and BGSAVE make a backup under `backups` in the directory of the
// data, which is what Redis' users want a snapshot for (with `backups-kept 0` they only flush and sync). BGREWRITEAOF
// flushes the tables in memory and syncs the log, so that the next start has nothing to replay.

import Glibc
import ValkBase
import ValkCommands
import ValkDisk
import ValkEngine
import ValkRESP

extension Administration {
    func addSaveCommands(_ handlers: inout HandlersByName) {
        handlers.on("lastsave") { [self] _, context throws(Interruption) in
            context.reply.integer(saving.figures.lastSave)
        }
        handlers.on("save") { [self] connection, context throws(Interruption) in
            try context.needsWorker()
            guard beginSave() else { return context.fail("ERR Background save already in progress") }
            if let problem = work(.backup, connection.server) {
                context.fail("ERR \(problem)")
            } else {
                context.reply.ok()
            }
        }
        handlers.on("bgsave") { [self] connection, context throws(Interruption) in
            var schedules = false
            if context.args.count == 2, context.args[1].equalsIgnoringCase("schedule") {
                schedules = true
            } else if context.args.count > 1 {
                return context.failSyntax()
            }
            switch start(.backup, connection, schedules: schedules) {
            case .started: context.reply.simple("Background saving started")
            case .scheduled: context.reply.simple("Background saving scheduled")
            case .busy(.backup): context.fail("ERR Background save already in progress")
            case .busy(.rewrite):
                context.fail(
                    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
                        + "schedule a BGSAVE whenever possible.")
            }
        }
        handlers.on("bgrewriteaof") { [self] connection, context throws(Interruption) in
            switch start(.rewrite, connection, schedules: true) {
            case .started: context.reply.simple("Background append only file rewriting started")
            case .scheduled: context.reply.simple("Background append only file rewriting scheduled")
            case .busy: context.fail("ERR Background append only file rewriting already in progress")
            }
        }
    }

    /// SAVE waits for a rewrite, but not for another save.
    private func beginSave() -> Bool {
        while true {
            switch saving.begin(.backup, schedules: false) {
            case .started: return true
            case .scheduled, .busy(.backup): return false
            case .busy(.rewrite): saving.replaceThread(nil)
            }
        }
    }

    /// Starts work in the background. Within EXEC it is only put down, for after the commit.
    private func start(_ kind: SavingState.Work, _ connection: Connection, schedules: Bool) -> SavingState.Start {
        let isExecuting = connection.isExecuting
        let start = saving.begin(kind, schedules: schedules || isExecuting, isDeferred: isExecuting)
        if case .started = start { run(kind, connection.server) }
        return start
    }

    /// Ten times a second.
    func startScheduledSaving(_ server: Server) {
        if let kind = saving.beginScheduled() { run(kind, server) }
    }

    private func run(_ kind: SavingState.Work, _ server: Server) {
        // Once in a while and for long: a thread of its own, so that no worker is missing.
        let thread = PThread(name: "valk-save") { [self] in _ = work(kind, server) }
        // The one before has ended its work, or this one could not have begun.
        saving.replaceThread(thread)
    }

    /// Ends work in the background; before the store is closed.
    package func finishSaving() { saving.finish() }

    /// Counts the backups that are there at the start.
    package func noteBackups(_ store: Store) {
        do throws(StoreError) {
            saving.note(backups: try BackupShelf(disk: PosixDisk(), store: store.options.path).backups().count)
        } catch {
            log.warning("the backups cannot be listed: \(error)")
        }
    }

    /// Does the work and notes its end. The problem in words, or nil.
    private func work(_ kind: SavingState.Work, _ server: Server) -> String? {
        let changes = Int(server.totals()[.dirty])
        var backup: (path: String, count: Int)?
        var problem: String?
        do throws(StoreError) {
            let kept = config.integer("backups-kept")
            if kind == .backup && kept > 0 {
                backup = try makeBackup(server.store, kept)
            } else {
                try server.store.flushTables()
                try server.store.sync()
                log.notice("the log is synced and the tables are flushed")
            }
        } catch {
            problem = "\(error)"
            log.warning("\(kind == .backup ? "the backup" : "flushing") failed: \(error)")
        }
        saving.end(kind, failed: problem != nil, changes: changes, backup: backup)
        return problem
    }

    private func makeBackup(_ store: Store, _ kept: Int) throws(StoreError) -> (path: String, count: Int) {
        var options = BackupOptions()
        options.isCancelled = { [saving] in saving.isEnding }
        let shelf = BackupShelf(disk: PosixDisk(), store: store.options.path)
        let now = UInt64(WallTime.microseconds() / 1000)
        let report = try shelf.add(store, kept: kept, now: now, options) { [log] fault in
            log.warning("an old backup could not be removed: \(fault)")
        }
        log.notice("backup \(report.path): \(report.text)")
        return (report.path, try shelf.backups().count)
    }
}
