// COMMAND and its subcommands, answered from the command table.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Administration {
    func addCommandCommands(_ handlers: inout HandlersByName) {
        handlers.on("command") { connection, context throws(Interruption) in
            let table = connection.server.table
            context.reply.array(table.topLevel.count)
            for index in table.topLevel { CommandDescriptions(table: table).writeInfo(index, context.reply) }
        }
        handlers.on("command|count") { connection, context throws(Interruption) in
            context.reply.integer(connection.server.table.topLevel.count)
        }
        handlers.on("command|info") { connection, context throws(Interruption) in
            let table = connection.server.table
            let indexes =
                context.args.count == 2
                ? table.topLevel : (2..<context.args.count).map { table.lookup(fullName: context.args[$0]) }
            context.reply.array(indexes.count)
            for index in indexes { CommandDescriptions(table: table).writeInfo(index, context.reply) }
        }
        handlers.on("command|docs") { connection, context throws(Interruption) in
            let table = connection.server.table
            let indexes =
                context.args.count == 2
                ? table.topLevel
                : (2..<context.args.count).map { table.lookup(fullName: context.args[$0]) }.filter { $0 >= 0 }
            context.reply.map(indexes.count)
            for index in indexes { CommandDescriptions(table: table).writeDocs(index, context.reply) }
        }
        handlers.on("command|list", commandList)
        handlers.on("command|getkeys") { connection, context throws(Interruption) in
            Administration.writeKeys(connection.server.table, context, withFlags: false)
        }
        handlers.on("command|getkeysandflags") { connection, context throws(Interruption) in
            Administration.writeKeys(connection.server.table, context, withFlags: true)
        }
        handlers.on("command|help") { _, context throws(Interruption) in
            context.writeHelp(
                "COMMAND",
                [
                    "(no subcommand)", "    Describe every command.",
                    "COUNT", "    Return how many commands there are.",
                    "LIST [FILTERBY <MODULE name | ACLCAT category | PATTERN pattern>]", "    List command names.",
                    "INFO [<command-name> ...]", "    Describe commands; without names, all of them.",
                    "DOCS [<command-name> ...]", "    Return the documentation of commands; without names, of all.",
                    "GETKEYS <full-command>", "    Return the keys of a whole command.",
                    "GETKEYSANDFLAGS <full-command>",
                    "    Return the keys of a whole command and what it does to them.",
                ])
        }
    }

    private var commandList: HostedHandler {
        { connection, context throws(Interruption) in
            let table = connection.server.table
            let args = context.args
            var keep: (Int) -> Bool = { _ in true }
            if args.count == 5, args[2].equalsIgnoringCase("filterby") {
                if args[3].equalsIgnoringCase("module") {
                    keep = { _ in false }
                } else if args[3].equalsIgnoringCase("aclcat") {
                    let category = CommandCategories.named(args[4].string.lowercased())
                    keep = { index in category.map { table.specs[index].categories.contains($0) } ?? false }
                } else if args[3].equalsIgnoringCase("pattern") {
                    // Names are lower case and match whatever the pattern's case.
                    let pattern = args[4].array.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
                    keep = { index in
                        pattern.withView { pattern in
                            Array(table.fullNames[index].utf8).withView { GlobPattern(pattern).matches($0) }
                        }
                    }
                } else {
                    return context.failSyntax()
                }
            } else if args.count != 2 {
                return context.failSyntax()
            }
            let names = (0..<table.count).filter(keep).map { table.fullNames[$0] }
            context.reply.array(names.count)
            for name in names { context.reply.bulk(name) }
        }
    }

    private static func writeKeys(_ table: CommandTable, _ context: CommandContext, withFlags: Bool) {
        let command = context.args.dropFirst(2)
        let index = table.resolve(command[0], command.count > 1 ? command[1] : nil)
        guard index >= 0, command.count == 1 || !table.entries[index].isContainer else {
            return context.fail("ERR Invalid command specified")
        }
        let spec = table.specs[index]
        guard spec.keys.contains(where: { !$0.flags.contains(.notKey) }) else {
            return context.fail("ERR The command has no key arguments")
        }
        guard table.entries[index].accepts(argumentCount: command.count) else {
            return context.fail("ERR Invalid number of arguments specified for command")
        }
        let none: [CommandKeyFinder.Key]? = spec.flags.contains(.noMandatoryKeys) ? [] : nil
        // A spec that begins behind the last argument names no key, which here is a mistake (PFMERGE without a source).
        let isShort = spec.keys.contains { spec in
            guard case .index(let index) = spec.begin else { return false }
            return index >= command.count
        }
        guard !isShort, let found = CommandKeyFinder.keys(spec, command) ?? none else {
            return context.fail("ERR Invalid arguments specified for command")
        }
        context.reply.array(found.count)
        for key in found {
            if withFlags {
                context.reply.array(2)
                context.reply.bulk(command[key.position])
                context.reply.set(key.flags.wireNames.count)
                for name in key.flags.wireNames { writeSimple(name, context.reply) }
            } else {
                context.reply.bulk(command[key.position])
            }
        }
    }
}
