// A change of the libraries of functions within a transaction: what is stored goes into its batch at once, what is
// known of them becomes the server's when it is committed. A transaction has one change, however many of its commands
// make it.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkScripting

final class LibraryChange: CommitAction {
    private let registry: LibraryRegistry
    private(set) var set: LibrarySet

    private init(_ registry: LibraryRegistry) {
        self.registry = registry
        set = registry.current
    }

    /// The libraries as the running transaction sees them.
    static func current(_ context: CommandContext, _ registry: LibraryRegistry) -> LibrarySet {
        (context.commitAction as? LibraryChange)?.set ?? registry.current
    }

    /// Makes `new` the libraries of the running transaction and writes what differs. All stripes are held. The texts
    /// stay where they are until the commit.
    static func make(_ context: CommandContext, _ registry: LibraryRegistry, _ new: LibrarySet) {
        let change = (context.commitAction as? LibraryChange) ?? LibraryChange(registry)
        let keys = context.keys
        for name in change.set.libraries.keys where new.libraries[name] == nil {
            name.withView { keys.removeLibrary($0) }
        }
        for (name, library) in new.libraries where change.set.libraries[name] !== library {
            let memory = keys.allocate(library.text.count)
            library.text.withUnsafeBytes { text in
                if let base = text.baseAddress { memory.copyMemory(from: base, byteCount: text.count) }
            }
            name.withView { keys.putLibrary($0, ByteView(base: memory, count: library.text.count)) }
        }
        change.set = new
        keys.changed()
        context.whenCommitted(change)
    }

    func committed() { registry.put(set) }
}
