// Parts of Redis that are not here, or not yet: access control lists, modules, cluster, replicas.
// Each answers what is true of a server without them, so that clients that ask go on.

import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addAbsentCommands(_ handlers: inout HandlersByName) {
        addAccessLists(&handlers)
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

    /// One user, who may do everything.
    private func addAccessLists(_ handlers: inout HandlersByName) {
        handlers.on("acl|whoami") { _, context throws(Interruption) in
            context.reply.bulk("default" as StaticString)
        }
        handlers.on("acl|users") { _, context throws(Interruption) in
            context.reply.array(1)
            context.reply.bulk("default" as StaticString)
        }
        handlers.on("acl|list") { connection, context throws(Interruption) in
            let secret = connection.server.settings.passwordRequired.load(ordering: .relaxed)
            context.reply.array(1)
            context.reply.bulk("user default on \(secret ? "#(hidden)" : "nopass") ~* &* +@all")
        }
        handlers.on("acl|getuser") { connection, context throws(Interruption) in
            guard context.args[2] == ByteView("default") else { return context.reply.null() }
            let secret = connection.server.settings.passwordRequired.load(ordering: .relaxed)
            let reply = context.reply
            reply.map(6)
            reply.bulk("flags" as StaticString)
            reply.set(secret ? 1 : 2)
            reply.bulk("on" as StaticString)
            if !secret { reply.bulk("nopass" as StaticString) }
            reply.bulk("passwords" as StaticString)
            reply.array(0)
            for (name, value) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
                reply.bulk(name)
                reply.bulk(value)
            }
            reply.bulk("selectors" as StaticString)
            reply.array(0)
        }
        handlers.on("acl|cat") { connection, context throws(Interruption) in
            let args = context.args
            if args.count > 3 { return context.failSubcommand("acl") }
            guard args.count == 3 else {
                context.reply.array(CommandCategories.names.count)
                for name in CommandCategories.names { context.reply.bulk(name) }
                return
            }
            guard let category = CommandCategories.named(args[2].string.lowercased()) else {
                return context.fail("ERR Unknown category '\(args[2].string)'")
            }
            let table = connection.server.table
            let names = (0..<table.count).filter { table.specs[$0].categories.contains(category) }
            context.reply.array(names.count)
            for index in names { context.reply.bulk(table.fullNames[index]) }
        }
        handlers.on("acl|help") { _, context throws(Interruption) in
            context.writeHelp(
                "ACL",
                [
                    "CAT [<category>]", "    List categories, or the commands of one.",
                    "GETUSER <username>", "    Describe a user.",
                    "LIST", "    Describe all users, a line each.",
                    "USERS", "    List the users: there is one, default.",
                    "WHOAMI", "    Return this connection's user.",
                ])
        }
    }
}
