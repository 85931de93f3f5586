// What rules about commands are about: every command under the name it was made with, whatever `rename-command` did.
//
// Rules name commands by their first names, and a rule about a command that was taken out of the table must stay
// readable, so the catalogue has an entry for each, with an id of its own; the table's indexes lead here. Made once,
// immutable.

import ValkBase
import ValkCommands

package final class AccessCatalog: Sendable {
    struct Command: Sendable {
        /// "get", "client|list".
        let name: String
        /// Id of the container; -1 for none.
        let parent: Int
        var children: [Int] = []
        let categories: CommandCategories
    }

    let commands: [Command]
    private let ids: [String: Int]
    /// By index in the command table.
    private let facts: [AccessFacts]

    /// `removed`: commands that are not in the table any more.
    init(_ table: CommandTable, removed: [CommandSpec]) {
        var commands: [Command] = []
        var ids: [String: Int] = [:]
        func add(_ spec: CommandSpec, _ parent: Int) -> Int {
            let name = (parent < 0 ? "" : commands[parent].name + "|") + spec.declaredName
            let id = commands.count
            commands.append(Command(name: name, parent: parent, categories: spec.categories))
            if parent >= 0 { commands[parent].children.append(id) }
            ids[name] = id
            return id
        }
        var facts: [Int: AccessFacts] = [:]
        for index in table.topLevel {
            let id = add(table.specs[index], -1)
            facts[index] = AccessFacts(table.specs[index], id: id, isSubcommand: false)
            for sub in table.subcommands(of: index) {
                let spec = table.specs[sub]
                facts[sub] = AccessFacts(spec, id: add(spec, id), isSubcommand: true)
            }
        }
        for spec in removed {
            let id = add(spec, -1)
            for sub in spec.subcommands { _ = add(sub, id) }
        }
        self.commands = commands
        self.ids = ids
        self.facts = (0..<table.count).map { index in
            guard let facts = facts[index] else { preconditionFailure("command \(index) stands nowhere in the table") }
            return facts
        }
    }

    func facts(ofIndex index: Int) -> AccessFacts { facts[index] }

    func name(ofIndex index: Int) -> String { commands[facts[index].id].name }

    /// The name in any case, "container|sub" for subcommands.
    func id(of name: some Sequence<UInt8>) -> Int? { ids[String(decoding: Array(name), as: UTF8.self).lowercased()] }

    /// The ids of the commands of a category.
    func members(of category: CommandCategories) -> [Int] {
        commands.indices.filter { commands[$0].categories.contains(category) }
    }
}
