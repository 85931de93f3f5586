// FUNCTION.

import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addFunctionCommands(_ handlers: inout HandlersByName) {
        handlers.on("function|flush") { _, context throws(Interruption) in
            if context.isFlush("ERR FUNCTION FLUSH only supports SYNC|ASYNC option") { context.reply.ok() }
        }
        handlers.on("function|list") { _, context throws(Interruption) in context.reply.array(0) }
        handlers.on("function|stats") { _, context throws(Interruption) in
            context.reply.map(2)
            context.reply.bulk("running_script" as StaticString)
            context.reply.null()
            context.reply.bulk("engines" as StaticString)
            context.reply.map(0)
        }
        handlers.on("function|help") { _, context throws(Interruption) in
            context.writeHelp(
                "FUNCTION",
                [
                    "FLUSH [ASYNC|SYNC]", "    Delete all libraries.",
                    "KILL", "    End the running function.",
                    "LIST [LIBRARYNAME PATTERN] [WITHCODE]", "    Describe the libraries: none.",
                    "STATS", "    Describe the running function and the engines.",
                ])
        }
    }
}
