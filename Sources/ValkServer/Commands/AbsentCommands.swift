// Parts of Redis that are not here, or not yet: modules, cluster, replicas.
// Each answers what is true of a server without them, so that clients that ask go on.

import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addAbsentCommands(_ handlers: inout HandlersByName) {
        handlers.on("module|list") { _, context throws(Interruption) in context.reply.array(0) }
        handlers.on("module|help") { _, context throws(Interruption) in
            context.writeHelp("MODULE", ["LIST", "    Return the modules that are loaded: none."])
        }
        for name in ["readonly", "readwrite", "asking", "cluster"] {
            handlers.on(name) { _, context throws(Interruption) in
                context.fail("ERR This instance has cluster support disabled")
            }
        }
        for name in [
            "info", "nodes", "slots", "shards", "myid", "keyslot", "countkeysinslot", "getkeysinslot", "replicas",
            "slaves", "links", "reset", "meet", "help",
        ] {
            handlers.on("cluster|\(name)") { _, context throws(Interruption) in
                context.fail("ERR This instance has cluster support disabled")
            }
        }
        handlers.on("role") { _, context throws(Interruption) in
            context.reply.array(3)
            context.reply.bulk("master" as StaticString)
            context.reply.integer(0)
            context.reply.array(0)
        }
        handlers.on("wait") { _, context throws(Interruption) in
            guard Decimal.parse(context.args[1]) != nil else { return context.fail(ErrorText.notInteger) }
            guard let timeout = Decimal.parse(context.args[2]) else {
                return context.fail("ERR timeout is not an integer or out of range")
            }
            if timeout < 0 { return context.fail("ERR timeout is negative") }
            // No replicas: the number that have everything is known at once.
            context.reply.integer(0)
        }
    }
}
