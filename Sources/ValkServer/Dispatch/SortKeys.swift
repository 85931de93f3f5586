// The keys of SORT, which its specs cannot tell: what is sorted, where STORE puts it, and those of BY and GET, which
// come from what is sorted and are known only when it runs. Whoever may not read every key may not use these.

import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

struct SortKeys {
    let keys: [CommandKeyFinder.Key]
    /// BY or GET reads keys that are not named.
    let readsOthers: Bool

    /// Nil for other commands.
    init?(_ command: CommandSpec, _ arguments: ArgumentList) {
        guard command.group == "generic", command.declaredName == "sort" || command.declaredName == "sort_ro",
            arguments.count > 1
        else { return nil }
        let options = SortOptions(reading: arguments, mayStore: command.declaredName == "sort")
        var keys = [CommandKeyFinder.Key(position: 1, flags: [.ro, .access])]
        if let target = options.target { keys.append(CommandKeyFinder.Key(position: target, flags: [.ow, .update])) }
        self.keys = keys
        readsOthers = options.foreign != nil
    }
}

extension Administration {
    /// The handlers find out what the client may read; all else is done where the data are.
    func addSortCommands(_ handlers: inout HandlersByName) {
        handlers.on("sort") { connection, context throws(Interruption) in
            context.mayReadEveryKey = connection.mayReadEveryKey(context.args)
            try SortCommands.sort(context)
        }
        handlers.on("sort_ro") { connection, context throws(Interruption) in
            context.mayReadEveryKey = connection.mayReadEveryKey(context.args)
            try SortCommands.sortRO(context)
        }
    }
}

extension Connection {
    /// Whether one set of the user's rights allows the command and every key to be read.
    func mayReadEveryKey(_ arguments: ArgumentList) -> Bool {
        if state.pointee.unrestrictedVersion == server.gate.accessVersion { return true }
        guard let rights = restrictions() else { return true }
        let facts = server.users.catalog.facts(ofIndex: server.table.lookup(arguments[0]))
        return rights.allowsEveryKey(facts, arguments)
    }
}
