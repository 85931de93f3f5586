// Where a command's keys are among its arguments, and what is done with each, from its key specs.
//
// Two ways to ask. `keys` answers COMMAND GETKEYS and those who take stripes: all keys or, where the specs cannot tell,
// none at all. `forEach` is for access control: every argument that the specs can tell to be a key, and rather one too
// many than one too few. What does not fit the specs (a number of keys that is none) names no key: its handler refuses
// such arguments. What specs cannot tell at all is for the handler to check.

import Glibc
import ValkBase
import ValkCommands
import ValkRESP

enum CommandKeyFinder {
    struct Key {
        let position: Int
        let flags: KeySpec.Flags
    }

    /// Nil when the specs cannot tell or the arguments do not fit them.
    static func keys(_ command: CommandSpec, _ arguments: ArgumentList) -> [Key]? {
        if let sort = SortKeys(command, arguments) { return sort.keys }
        var found: [Key] = []
        for spec in command.keys {
            // Beside keys behind a word, the empty string stands for no key (MIGRATE).
            if case .keyword = spec.begin, spec.flags.contains(.incomplete), begin(spec.begin, arguments) != nil {
                found.removeAll { arguments[$0.position].isEmpty }
            }
            guard let first = begin(spec.begin, arguments) else {
                if case .keyword = spec.begin { continue }
                return nil
            }
            guard let positions = positions(spec.find, first, arguments) else { return nil }
            // No key at all is a mistake, unless it is allowed (EVAL).
            if case .keyCount = spec.find, positions.underestimatedCount == 0, !command.flags.contains(.noMandatoryKeys)
            {
                return nil
            }
            for position in positions {
                guard position > 0, position < arguments.count else { return nil }
                if spec.flags.contains(.notKey) { continue }
                found.append(Key(position: position, flags: flags(of: spec, command, arguments)))
            }
        }
        return found
    }

    /// Calls `body` with the position of every key that can be told, and what is done with it.
    static func forEach(
        _ command: CommandSpec, _ arguments: ArgumentList, _ body: (Int, KeySpec.Flags) -> Void
    ) {
        if let sort = SortKeys(command, arguments) { return sort.keys.forEach { body($0.position, $0.flags) } }
        for spec in command.keys where !spec.flags.contains(.notKey) {
            let flags = flags(of: spec, command, arguments)
            func visit(from first: Int) {
                guard let positions = positions(spec.find, first, arguments) else { return }
                for position in positions where position > 0 && position < arguments.count { body(position, flags) }
            }
            switch spec.begin {
            case .index(let index):
                // MIGRATE: the empty string in the place of the key says that keys follow behind a word.
                if command.keys.count > 1, spec.flags.contains(.access), index < arguments.count,
                    arguments[index].isEmpty, movesKeysByWord(command)
                {
                    continue
                }
                visit(from: index)
            case .keyword(let word, let startFrom):
                if movesKeysByWord(command) {
                    if let first = firstMigratedKey(arguments) { visit(from: first) }
                    continue
                }
                // Which of several the handler takes is its own affair.
                for at in max(1, startFrom)..<max(1, startFrom, arguments.count) where matches(arguments[at], word) {
                    visit(from: at + 1)
                }
            case .unknown: break
            }
        }
    }

    // MARK: MIGRATE

    private static func movesKeysByWord(_ command: CommandSpec) -> Bool { command.declaredName == "migrate" }

    /// Where the keys behind KEYS begin. The word may be a password or a user's name, too, and keys may be called so:
    /// options are read from the front, as the handler reads them.
    private static func firstMigratedKey(_ arguments: ArgumentList) -> Int? {
        guard arguments.count > 6, arguments[3].isEmpty else { return nil }
        var at = 6
        while at < arguments.count {
            if arguments[at].equalsIgnoringCase("keys") { return at + 1 }
            if arguments[at].equalsIgnoringCase("auth") {
                at += 1
            } else if arguments[at].equalsIgnoringCase("auth2") {
                at += 2
            }
            at += 1
        }
        return nil
    }

    // MARK: Specs

    /// Commands whose options say what is done with the key.
    enum Use: Sendable {
        case set, bitfield

        init?(_ command: CommandSpec) {
            switch command.declaredName {
            case "set": self = .set
            case "bitfield": self = .bitfield
            default: return nil
            }
        }

        /// Whether the key is read, and whether it is written. Plain values: this is asked on every SET of a user who
        /// may not do everything.
        func use(_ arguments: ArgumentList) -> (reads: Bool, writes: Bool) {
            switch self {
            case .set:
                // It reads only with GET.
                for at in 3..<max(3, arguments.count) where arguments[at].equalsIgnoringCase("get") {
                    return (true, true)
                }
                return (false, true)
            case .bitfield:
                var at = 2
                while true {
                    if at + 2 < arguments.count && arguments[at].equalsIgnoringCase("get") {
                        at += 3
                    } else if at + 1 < arguments.count && arguments[at].equalsIgnoringCase("overflow") {
                        at += 2
                    } else {
                        return (true, at < arguments.count)
                    }
                }
            }
        }

        func flags(_ arguments: ArgumentList) -> KeySpec.Flags {
            switch use(arguments) {
            case (true, true): [.rw, .access, .update]
            case (true, false): [.ro, .access]
            default: [.ow, .update]
            }
        }
    }

    /// What is done with the keys of `spec`.
    private static func flags(
        of spec: KeySpec, _ command: CommandSpec, _ arguments: ArgumentList
    ) -> KeySpec.Flags {
        guard spec.flags.contains(.variableFlags), let use = Use(command) else { return spec.flags }
        return use.flags(arguments)
    }

    private static func begin(_ begin: KeySpec.Begin, _ arguments: ArgumentList) -> Int? {
        switch begin {
        case .index(let index): return index
        case .keyword(let word, let startFrom):
            let forward = startFrom >= 0
            var at = forward ? startFrom : arguments.count + startFrom
            while at > 0 && at < arguments.count {
                if matches(arguments[at], word) { return at + 1 }
                at += forward ? 1 : -1
            }
            return nil
        case .unknown: return nil
        }
    }

    private static func matches(_ argument: ByteView, _ word: String) -> Bool {
        argument.count == word.utf8.count && argument.string.uppercased() == word.uppercased()
    }

    /// A number of keys, at most `max`. What is none is read as C reads it, up to the first byte that is no digit and
    /// without bits that do not fit, as Redis does where it cannot go by the specs; the handler refuses it.
    private static func keyCount(_ argument: ByteView, max: Int) -> Int? {
        if let count = Decimal.parse(argument), (0...Int64(max)).contains(count) { return Int(count) }
        let count = Int(Int32(truncatingIfNeeded: strtol(argument.string, nil, 10)))
        return (1...max).contains(count) ? count : nil
    }

    private static func positions(_ find: KeySpec.Find, _ first: Int, _ arguments: ArgumentList) -> StrideTo<Int>? {
        switch find {
        case .range(let last, let step, let limit):
            var end = first + last
            if last < 0 { end = limit > 1 ? first + (arguments.count - first) / limit + last : arguments.count + last }
            return stride(from: first, to: end + 1, by: max(1, step))
        case .keyCount(let countIndex, let offset, let step):
            let at = first + countIndex
            guard at > 0, at < arguments.count, let count = keyCount(arguments[at], max: arguments.count)
            else { return nil }
            let start = first + offset
            return stride(from: start, to: start + Int(count) * max(1, step), by: max(1, step))
        case .unknown: return nil
        }
    }
}
