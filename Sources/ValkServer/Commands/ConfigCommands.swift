// CONFIG GET SET RESETSTAT REWRITE HELP.

import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addConfigCommands(_ handlers: inout HandlersByName) {
        handlers.on("config|get") { [config] _, context throws(Interruption) in
            let patterns = (2..<context.args.count).map { context.args[$0] }
            let found = config.matching(patterns)
            context.reply.map(found.count)
            for pair in found {
                context.reply.bulk(pair.name)
                pair.value.withView { context.reply.bulk($0) }
            }
        }
        handlers.on("config|set") { [config] connection, context throws(Interruption) in
            // Some parts touch files when told a new value.
            try context.needsWorker()
            let args = context.args
            if args.count % 2 != 0 { return context.failSyntax() }
            let pairs = stride(from: 2, to: args.count, by: 2).map { (name: args[$0].array, value: args[$0 + 1].array) }
            do throws(ConfigSetError) {
                try config.set(pairs, isLocal: connection.isLocal)
                context.reply.ok()
            } catch {
                context.fail("ERR " + error.text)
            }
        }
        handlers.on("config|rewrite") { [config, log] _, context throws(Interruption) in
            try context.needsWorker()
            do throws(ConfigSetError) {
                try config.rewrite()
                log.notice("CONFIG REWRITE executed with success.")
                context.reply.ok()
            } catch {
                log.warning("CONFIG REWRITE failed: \(error.text)")
                context.fail("ERR " + error.text)
            }
        }
        handlers.on("config|resetstat") { [self] connection, context throws(Interruption) in
            connection.server.resetTotals()
            peakHeapBytes.store(0, ordering: .relaxed)
            context.reply.ok()
        }
        handlers.on("config|help") { _, context throws(Interruption) in
            context.writeHelp(
                "CONFIG",
                [
                    "GET <pattern> [<pattern> ...]", "    Return the settings that match the glob-like patterns.",
                    "SET <directive> <value> [<directive> <value> ...]", "    Change settings, all of them or none.",
                    "RESETSTAT", "    Set the statistics that INFO shows back to zero.",
                    "REWRITE", "    Write the settings in force into the file the server was started with.",
                ])
        }
    }
}
