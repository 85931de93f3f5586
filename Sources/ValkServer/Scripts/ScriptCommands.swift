// EVAL and its relatives, and SCRIPT: what scripts there are, and ending one that runs for too long.

import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP
import ValkScripting

extension Administration {
    func addScriptCommands(_ handlers: inout HandlersByName) {
        for (name, byDigest, readOnly) in [
            ("eval", false, false), ("evalsha", true, false), ("eval_ro", false, true), ("evalsha_ro", true, true),
        ] {
            handlers.on(name) { connection, context throws(Interruption) in
                try context.executor.scripts.eval(connection, byDigest: byDigest, readOnly: readOnly)
            }
        }
        handlers.on("script|load") { _, context throws(Interruption) in
            let script: CompiledScript
            do throws(Complaint) {
                script = try context.executor.scripts.cache.script(context.args[2])
            } catch {
                return context.fail(bytes: Array("ERR ".utf8) + error.bytes)
            }
            script.digest.digits.withView { context.reply.bulk($0) }
        }
        handlers.on("script|exists") { connection, context throws(Interruption) in
            context.reply.array(context.args.count - 2)
            for i in 2..<context.args.count {
                let known = ScriptDigest(digits: context.args[i]).map { connection.server.scripts.knows($0) } ?? false
                context.reply.integer(known ? 1 : 0)
            }
        }
        handlers.on("script|flush") { connection, context throws(Interruption) in
            guard context.isFlush("ERR SCRIPT FLUSH only support SYNC|ASYNC option") else { return }
            connection.server.scripts.removeAll()
            context.reply.ok()
        }
        handlers.on("script|debug") { _, context throws(Interruption) in
            let mode = context.args[2]
            if mode.equalsIgnoringCase("no") { return context.reply.ok() }
            if mode.equalsIgnoringCase("yes") || mode.equalsIgnoringCase("sync") {
                return context.fail("ERR there is no debugger of scripts here")
            }
            context.fail("ERR Use SCRIPT DEBUG YES/SYNC/NO")
        }
        handlers.on("script|kill", Self.kill(functions: false))
        handlers.on("function|kill", Self.kill(functions: true))
        handlers.on("script|help") { _, context throws(Interruption) in
            context.writeHelp(
                "SCRIPT",
                [
                    "DEBUG (YES|SYNC|NO)", "    Choose how scripts are debugged: there is only NO.",
                    "EXISTS <sha1> [<sha1> ...]", "    Tell which scripts are cached.",
                    "FLUSH [ASYNC|SYNC]", "    Forget the cached scripts.",
                    "KILL", "    End the script that runs.",
                    "LOAD <script>", "    Cache a script without running it.",
                ])
        }
    }

    private static func kill(functions: Bool) -> HostedHandler {
        { connection, context throws(Interruption) in
            switch connection.server.runningScripts.kill(functions: functions) {
            case .killed: context.reply.ok()
            case .none: context.fail("NOTBUSY No scripts in execution right now.")
            case .hasWritten:
                context.fail(
                    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either "
                        + "wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE "
                        + "command.")
            case .isScript: context.fail(Executor.busyText(.busyScript))
            case .isFunction: context.fail(Executor.busyText(.busyFunction))
            }
        }
    }
}

extension CommandContext {
    /// Whether the arguments after the second are those of a FLUSH; false after an error reply.
    func isFlush(_ complaint: StaticString) -> Bool {
        if args.count == 2 { return true }
        if args.count == 3 && (args[2].equalsIgnoringCase("sync") || args[2].equalsIgnoringCase("async")) {
            return true
        }
        fail(complaint)
        return false
    }
}
