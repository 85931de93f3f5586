// INFO TIME LOLWUT MONITOR SHUTDOWN, and those that ask for the data to be safe on the disk: SAVE BGSAVE BGREWRITEAOF
// LASTSAVE.
//
// Every acknowledged write is in the log already. A "save" here forces the log to the device and flushes the tables in
// memory, so that the next start has nothing to replay; that is the work that the reply promises.

import Glibc
import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addServerCommands(_ handlers: inout HandlersByName) {
        handlers.on("info") { [self] connection, context throws(Interruption) in
            var report = InfoReport(self, connection.server)
            let names = (1..<max(1, context.args.count)).map { context.args[$0].string }
            try report.write(InfoReport.chosen(names), context)
            context.reply.verbatim(report.out.text)
        }
        handlers.on("time") { _, context throws(Interruption) in
            let now = WallTime.microseconds()
            context.reply.array(2)
            context.reply.bulk(integer: Int64(now / 1_000_000))
            context.reply.bulk(integer: Int64(now % 1_000_000))
        }
        handlers.on("monitor") { connection, context throws(Interruption) in
            if connection.isExecuting { return context.fail("ERR MONITOR isn't allowed for DENY BLOCKING client") }
            if !connection.isMonitor { connection.startMonitoring() }
            context.reply.ok()
        }
        handlers.on("lolwut") { _, context throws(Interruption) in
            context.reply.verbatim(Administration.drawing(context.args))
        }
        handlers.on("shutdown", shutdown)
        addSaving(&handlers)
    }

    private var shutdown: HostedHandler {
        { [self] connection, context throws(Interruption) in
            var aborts = false
            var isWrong = context.args.count > 4
            var saves = 0
            for index in 1..<max(1, context.args.count) {
                let option = context.args[index]
                if option.equalsIgnoringCase("abort") {
                    aborts = true
                } else if option.equalsIgnoringCase("nosave") || option.equalsIgnoringCase("save") {
                    saves += 1
                } else if !option.equalsIgnoringCase("now") && !option.equalsIgnoringCase("force") {
                    isWrong = true
                }
            }
            if isWrong || saves > 1 || (aborts && context.args.count > 2) { return context.failSyntax() }
            // A stop that was asked for is under way at once; there is no time in which it could be called back.
            if aborts { return context.fail("ERR No shutdown in progress.") }
            log.notice("SHUTDOWN was asked for by \(connection.address)")
            connection.replyMode = .off
            connection.closeAfterReply()
            stopRequest()
        }
    }

    // MARK: Saving

    private func addSaving(_ handlers: inout HandlersByName) {
        handlers.on("lastsave") { [self] _, context throws(Interruption) in
            context.reply.integer(lastSave.load(ordering: .relaxed))
        }
        handlers.on("save") { [self] connection, context throws(Interruption) in
            try context.needsWorker()
            guard beginSaving() else { return context.fail("ERR Background save already in progress") }
            let problem = save(connection.server)
            endSaving(connection.server, problem)
            if let problem { context.fail("ERR \(problem)") } else { context.reply.ok() }
        }
        handlers.on("bgsave") { [self] connection, context throws(Interruption) in
            var schedules = false
            if context.args.count == 2, context.args[1].equalsIgnoringCase("schedule") {
                schedules = true
            } else if context.args.count > 1 {
                return context.failSyntax()
            }
            switch startSaving(connection, schedules: schedules) {
            case .started: context.reply.simple("Background saving started")
            case .scheduled: context.reply.simple("Background saving scheduled")
            case .refused: context.fail("ERR Background save already in progress")
            }
        }
        handlers.on("bgrewriteaof") { [self] connection, context throws(Interruption) in
            if startSaving(connection, schedules: true) == .started {
                context.reply.simple("Background append only file rewriting started")
            } else {
                context.reply.simple("Background append only file rewriting scheduled")
            }
        }
    }

    private enum SaveStart { case started, scheduled, refused }

    /// Starts a background save. Within EXEC it is only put down, for after the commit; and so it is, if `schedules`,
    /// while another save is at work.
    private func startSaving(_ connection: Connection, schedules: Bool) -> SaveStart {
        if !connection.isExecuting && beginSaving() {
            saveInBackground(connection.server)
            return .started
        }
        guard schedules || connection.isExecuting else { return .refused }
        saveIsScheduled.store(true, ordering: .relaxed)
        return .scheduled
    }

    /// Ten times a second.
    func startScheduledSave(_ server: Server) {
        guard saveIsScheduled.load(ordering: .relaxed), beginSaving() else { return }
        saveIsScheduled.store(false, ordering: .relaxed)
        saveInBackground(server)
    }

    private func beginSaving() -> Bool { !isSaving.exchange(true, ordering: .acquiringAndReleasing) }

    private func saveInBackground(_ server: Server) {
        // Once in a while and for long: a thread of its own, so that no worker is missing.
        let thread = PThread(name: "valk-save") { [self] in endSaving(server, save(server)) }
        // The one before has ended, or this save could not have begun.
        saver.take(thread)?.join()
    }

    /// Waits for a save at work; at the end, before the store is closed.
    package func finishSaving() { saver.take(nil)?.join() }

    /// The problem in words, or nil.
    private func save(_ server: Server) -> String? {
        do throws(StoreError) {
            try server.store.flushTables()
            try server.store.sync()
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func endSaving(_ server: Server, _ problem: String?) {
        lastSaveFailed.store(problem != nil, ordering: .relaxed)
        if let problem {
            log.warning("saving failed: \(problem)")
        } else {
            lastSave.store(Int(WallTime.microseconds() / 1_000_000), ordering: .relaxed)
            dirtyAtSave.store(Int(server.totals()[.dirty]), ordering: .relaxed)
            log.notice("the log is synced and the tables are flushed")
        }
        isSaving.store(false, ordering: .releasing)
    }

    // MARK: LOLWUT

    /// Falling leaves: a valley of dots that differs each time.
    private static func drawing(_ args: ArgumentList) -> String {
        var random = SystemRandomNumberGenerator()
        let width = 60
        var rows: [String] = []
        var height = 0
        var heights: [Int] = []
        for _ in 0..<width {
            height = max(-3, min(3, height + Int.random(in: -1...1, using: &random)))
            heights.append(height)
        }
        for row in (-4...4).reversed() {
            rows.append(
                String(
                    heights.map { h -> Character in
                        if row == h { return "~" }
                        return row < h ? (Int.random(in: 0..<9, using: &random) == 0 ? "." : " ") : " "
                    }))
        }
        return rows.joined(separator: "\n") + "\n\nA walk that never stops. Valk ver. \(ServerVersion.valk), "
            + "Redis ver. \(ServerVersion.redis)\n"
    }
}
