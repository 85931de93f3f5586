// The rules of ACL SETUSER, one by one: what each changes in a selector or a user, and what is wrong with the others.
// The words of errors are Redis's.

import ValkBase
import ValkCommands

/// What is wrong with a rule.
enum AccessRuleError: Error, Equatable {
    case unknownCommand, syntax, keyAfterAll, channelAfterAll, noSuchPassword, badHash, argumentOfSubcommand

    var text: String {
        switch self {
        case .unknownCommand: "Unknown command or category name in ACL"
        case .syntax: "Syntax error"
        case .keyAfterAll:
            "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. "
                + "Try 'resetkeys' to start with an empty list of patterns"
        case .channelAfterAll:
            "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any "
                + "effect. Try 'resetchannels' to start with an empty list of channels"
        case .noSuchPassword: "The password you are trying to remove from the user does not exist"
        case .badHash:
            "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
        case .argumentOfSubcommand: "Allowing first-arg of a subcommand is not supported"
        }
    }
}

/// What rules are read with.
struct AccessGrammar: Sendable {
    let catalog: AccessCatalog
    /// `acl-pubsub-default`: new users and selectors may use all channels.
    let allChannels: Bool

    var emptySelector: AccessSelector { AccessSelector(catalog, allChannels: allChannels) }
}

extension AccessSelector {
    /// Changes the selector as one rule says.
    mutating func apply(_ rule: [UInt8], _ grammar: AccessGrammar) throws(AccessRuleError) {
        switch String(decoding: lowercased(rule), as: UTF8.self) {
        case "allkeys", "~*":
            allKeys = true
            keys = []
        case "resetkeys":
            allKeys = false
            keys = []
        case "allchannels", "&*":
            allChannels = true
            channels = []
        case "resetchannels":
            allChannels = false
            channels = []
        case "allcommands", "+@all":
            commands.setAll(true)
            allCommands = true
        case "nocommands", "-@all":
            commands.setAll(false)
            allCommands = false
        default: try applyPattern(rule, grammar)
        }
    }

    private mutating func applyPattern(_ rule: [UInt8], _ grammar: AccessGrammar) throws(AccessRuleError) {
        let rest = rule.dropFirst()
        switch rule.first {
        case UInt8(ascii: "~"): try add(key: rest, [.read, .write])
        case UInt8(ascii: "%"):
            if allKeys { throw .keyAfterAll }
            var rights: KeyRights = []
            var at = rest.startIndex
            while at < rest.endIndex && rest[at] != UInt8(ascii: "~") {
                let right: KeyRights
                switch rest[at] | 0x20 {
                case UInt8(ascii: "r"): right = .read
                case UInt8(ascii: "w"): right = .write
                default: throw .syntax
                }
                guard rights.insert(right).inserted else { throw .syntax }
                at += 1
            }
            if rights.isEmpty { throw .syntax }
            try add(key: rest[at...].dropFirst(), rights)
        case UInt8(ascii: "&"):
            if allChannels { throw .channelAfterAll }
            if holdsSpaces(rest) { throw .syntax }
            if !channels.contains(Array(rest)) { channels.append(Array(rest)) }
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            let adds = rule.first == UInt8(ascii: "+")
            if rest.first == UInt8(ascii: "@") {
                let name = String(decoding: lowercased(rest.dropFirst()), as: UTF8.self)
                guard let category = CommandCategories.named(name) else { throw .unknownCommand }
                commands.set(category, adds, grammar.catalog)
            } else {
                try apply(command: rest, adds, grammar.catalog)
            }
            if !adds { allCommands = false }
        default: throw .syntax
        }
    }

    private mutating func add(key pattern: ArraySlice<UInt8>, _ rights: KeyRights) throws(AccessRuleError) {
        if allKeys { throw .keyAfterAll }
        if holdsSpaces(pattern) { throw .syntax }
        let pattern = Array(pattern)
        if let index = keys.firstIndex(where: { $0.pattern == pattern }) {
            keys[index].rights.formUnion(rights)
        } else {
            keys.append(KeyPattern(pattern: pattern, rights: rights))
        }
    }

    /// `command`, `container|sub`, or, to be allowed only, `command|first argument`.
    private mutating func apply(
        command name: ArraySlice<UInt8>, _ adds: Bool, _ catalog: AccessCatalog
    ) throws(AccessRuleError) {
        if let bar = name.lastIndex(of: UInt8(ascii: "|")), adds {
            guard let owner = catalog.id(of: name[..<bar]) else { throw .unknownCommand }
            if catalog.commands[owner].parent >= 0 { throw .argumentOfSubcommand }
            let argument = name[(bar + 1)...]
            if argument.isEmpty { throw .syntax }
            if catalog.commands[owner].children.isEmpty {
                return commands.allow(owner, firstArgument: Array(argument))
            }
        }
        guard let id = catalog.id(of: name) else { throw .unknownCommand }
        commands.set(id, adds, catalog)
    }
}

/// Spaces and NUL would make rules unreadable where they are written down.
func holdsSpaces(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.contains { $0 == 0x20 || (0x09...0x0D).contains($0) || $0 == 0 }
}
