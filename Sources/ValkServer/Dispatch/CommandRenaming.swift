// `rename-command`: commands under other names, or under none. What a command does, and what rules of users say about
// it, goes by the name that it was made with; only clients use the new one.

import Logging
import ValkCommands

struct CommandRenaming {
    /// Commands for the table.
    private(set) var kept: [CommandSpec]
    /// Commands that nobody can call any more; rules about them can still be read.
    private(set) var removed: [CommandSpec] = []

    /// `lines` in the order given: a command in lower case and its new name, empty for none. A name that is given away
    /// is taken from the command that had it.
    init(_ commands: [CommandSpec], _ lines: [(command: String, name: String)], _ logger: Logger) {
        kept = commands
        for (command, name) in lines {
            guard let index = kept.firstIndex(where: { $0.name == command }) else {
                logger.warning("rename-command: no command '\(command)'")
                continue
            }
            if name.isEmpty {
                removed.append(kept.remove(at: index))
                continue
            }
            let name = name.lowercased()
            removed += kept.filter { $0.name == name && $0.name != command }
            kept.removeAll { $0.name == name && $0.name != command }
            if let index = kept.firstIndex(where: { $0.name == command }) { kept[index].name = name }
        }
    }
}
