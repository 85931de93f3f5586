// One set of rights: commands, keys, channels. A user has one of its own and may have more; a command may run when one
// of them allows all of it, so rights of two selectors never add up. Rules and words are those of Redis 7.0 (ACL).

import ValkBase
import ValkCommands
import ValkData
import ValkRESP

/// What a command asks for that is not allowed. Positions are those of arguments, 0 being the name.
enum AccessDenial: Equatable {
    case command
    case key(Int)
    case channel(Int)

    /// Of several, the one that came furthest is told of.
    fileprivate var rank: (Int, Int) {
        switch self {
        case .command: (0, 0)
        case .key(let position): (1, position)
        case .channel(let position): (2, position)
        }
    }

    func isFurther(than other: AccessDenial) -> Bool { rank > other.rank }
}

struct AccessSelector: Sendable {
    struct KeyRights: OptionSet, Sendable {
        let rawValue: UInt8
        static let read = KeyRights(rawValue: 1)
        static let write = KeyRights(rawValue: 2)

        init(rawValue: UInt8) { self.rawValue = rawValue }

        /// What somebody needs who does this to a key. Asking whether a key is there, or how long it is, needs none but
        /// a pattern that matches.
        init(needed flags: KeySpec.Flags) {
            self = []
            if flags.contains(.access) { insert(.read) }
            if !flags.isDisjoint(with: [.insert, .delete, .update]) { insert(.write) }
        }
    }

    struct KeyPattern: Sendable, Equatable {
        var pattern: [UInt8]
        var rights: KeyRights
    }

    var commands: CommandSet
    /// Set by +@all and unset by whatever takes a command away.
    var allCommands = false
    var allKeys = false
    var allChannels: Bool
    var keys: [KeyPattern] = []
    var channels: [[UInt8]] = []

    /// Nothing but, where so set, all channels.
    init(_ catalog: AccessCatalog, allChannels: Bool) {
        commands = CommandSet(catalog)
        self.allChannels = allChannels
    }

    var isUnrestricted: Bool { allCommands && allKeys && allChannels }

    // MARK: Checks

    /// Why a command may not run, nil when it may.
    func denial(_ facts: AccessFacts, _ arguments: ArgumentList) -> AccessDenial? {
        if !allCommands && !facts.isFree && !commands.contains(facts.id) {
            let first = facts.firstArgument
            guard arguments.count > first, commands.allows(facts.id, firstArgument: arguments[first]) else {
                return .command
            }
        }
        if !allKeys {
            if let refused = facts.firstKey(in: arguments, notAllowedBy: { allows($0, $1) }) { return .key(refused) }
            if facts.readsAnyKey && !allowsEveryKey(.read) { return .key(1) }
        }
        if !allChannels, let channels = facts.channels {
            let end = channels.isOne ? min(2, arguments.count) : arguments.count
            for position in 1..<max(1, end)
            where !allows(channel: arguments[position], isPattern: channels.arePatterns) {
                return .channel(position)
            }
        }
        return nil
    }

    func allows(_ key: ByteView, _ needed: KeyRights) -> Bool {
        if allKeys { return true }
        // Elements in place: a copy of each would be counted, twice.
        return keys.withUnsafeBufferPointer { keys in
            for i in keys.indices
            where keys[i].rights.isSuperset(of: needed) && Self.matches(keys[i].pattern, key) { return true }
            return false
        }
    }

    /// Whether every key may be used so, whatever its name.
    func allowsEveryKey(_ needed: KeyRights) -> Bool {
        allKeys || keys.contains { $0.rights.isSuperset(of: needed) && $0.pattern == [UInt8(ascii: "*")] }
    }

    func allows(channel: ByteView, isPattern: Bool) -> Bool {
        allChannels || Self.allows(channel: channel, isPattern: isPattern, channels)
    }

    /// A pattern to listen to must be one of those allowed to the letter, a channel must match one.
    static func allows(channel: ByteView, isPattern: Bool, _ allowed: [[UInt8]]) -> Bool {
        allowed.contains { pattern in
            isPattern ? pattern.withView { $0 == channel } : matches(pattern, channel)
        }
    }

    /// A lone `*` does not match the empty name, which only `allkeys` and `allchannels` give, as in Redis.
    private static func matches(_ pattern: [UInt8], _ text: ByteView) -> Bool {
        pattern.withView { GlobPattern($0).matches(text) }
    }
}
