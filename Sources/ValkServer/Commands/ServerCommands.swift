// INFO TIME LOLWUT MONITOR SHUTDOWN.

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
            let args = context.args
            // The drawings of versions 5 and 6 are given three and two numbers; this one is drawn without any.
            if args.count > 2, args[1].equalsIgnoringCase("version") {
                let version = Decimal.parse(args[2])
                let numbers = version == 5 ? 3 : version == 6 ? 2 : 0
                for index in 2..<min(args.count, 3 + numbers) where Decimal.parse(args[index]) == nil {
                    return context.fail(ErrorText.notInteger)
                }
            }
            context.reply.verbatim(Administration.drawing())
        }
        handlers.on("shutdown", shutdown)
    }

    private var shutdown: HostedHandler {
        { [self] connection, context throws(Interruption) in
            var aborts = false
            var isWrong = context.args.count > 4
            var saves = 0
            var savesNot = false
            for index in 1..<max(1, context.args.count) {
                let option = context.args[index]
                if option.equalsIgnoringCase("abort") {
                    aborts = true
                } else if option.equalsIgnoringCase("nosave") || option.equalsIgnoringCase("save") {
                    saves += 1
                    savesNot = option.equalsIgnoringCase("nosave")
                } else if !option.equalsIgnoringCase("now") && !option.equalsIgnoringCase("force") {
                    isWrong = true
                }
            }
            if isWrong || saves > 1 || (aborts && context.args.count > 2) { return context.failSyntax() }
            // A stop that was asked for is under way at once; there is no time in which it could be called back.
            if aborts { return context.fail("ERR No shutdown in progress.") }
            let conditions = connection.server.gate.conditions
            let isBusy = !conditions.isDisjoint(with: [.busyScript, .busyFunction])
            if isBusy && !savesNot { return context.fail(Executor.busyText(conditions)) }
            log.notice("SHUTDOWN was asked for by \(connection.address)")
            connection.replyMode = .off
            connection.closeAfterReply()
            stopRequest()
        }
    }

    // MARK: LOLWUT

    /// Falling leaves: a valley of dots that differs each time.
    private static func drawing() -> String {
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
