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
        guard !spec.keys.isEmpty else { return context.fail("ERR The command has no key arguments") }
        guard table.entries[index].accepts(argumentCount: command.count) else {
            return context.fail("ERR Invalid number of arguments specified for command")
        }
        let none: [CommandKeyFinder.Key]? = spec.flags.contains(.noMandatoryKeys) ? [] : nil
        guard let found = CommandKeyFinder.keys(spec.keys, command) ?? none else {
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

/// Where a command's keys are among its arguments, from its key specs.
enum CommandKeyFinder {
    struct Key {
        let position: Int
        let flags: KeySpec.Flags
    }

    /// Nil when the specs cannot tell or the arguments do not fit them.
    static func keys(_ specs: [KeySpec], _ command: ArgumentList) -> [Key]? {
        var found: [Key] = []
        for spec in specs {
            // Beside keys behind a word, the empty string stands for no key (MIGRATE).
            if case .keyword = spec.begin, spec.flags.contains(.incomplete), begin(spec.begin, command) != nil {
                found.removeAll { command[$0.position].isEmpty }
            }
            guard let first = begin(spec.begin, command) else {
                if case .keyword = spec.begin { continue }
                return nil
            }
            guard let positions = positions(spec.find, first, command) else { return nil }
            for position in positions {
                guard position > 0, position < command.count else { return nil }
                if spec.flags.contains(.notKey) { continue }
                found.append(Key(position: position, flags: flags(of: spec, command)))
            }
        }
        return found
    }

    /// What is done with the keys of `spec`, for flags that depend on the options: SET reads only with GET.
    private static func flags(of spec: KeySpec, _ command: ArgumentList) -> KeySpec.Flags {
        guard spec.flags.contains(.variableFlags) else { return spec.flags }
        let reads = (3..<max(3, command.count)).contains { command[$0].equalsIgnoringCase("get") }
        return reads ? [.rw, .access, .update] : [.ow, .update]
    }

    private static func begin(_ begin: KeySpec.Begin, _ command: ArgumentList) -> Int? {
        switch begin {
        case .index(let index): return index
        case .keyword(let word, let startFrom):
            let forward = startFrom >= 0
            var at = forward ? startFrom : command.count + startFrom
            while at > 0 && at < command.count {
                if command[at].string.uppercased() == word.uppercased() { return at + 1 }
                at += forward ? 1 : -1
            }
            return nil
        case .unknown: return nil
        }
    }

    private static func positions(_ find: KeySpec.Find, _ first: Int, _ command: ArgumentList) -> StrideTo<Int>? {
        switch find {
        case .range(let last, let step, let limit):
            var end = first + last
            if last < 0 { end = limit > 1 ? first + (command.count - first) / limit + last : command.count + last }
            return stride(from: first, to: end + 1, by: max(1, step))
        case .keyCount(let countIndex, let offset, let step):
            let at = first + countIndex
            guard at > 0, at < command.count, let count = Decimal.parse(command[at]), count >= 0,
                count <= Int64(command.count)
            else { return nil }
            let start = first + offset
            return stride(from: start, to: start + Int(count) * max(1, step), by: max(1, step))
        case .unknown: return nil
        }
    }
}
