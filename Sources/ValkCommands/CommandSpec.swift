// A command described as data: what COMMAND INFO, COMMAND DOCS, COMMAND GETKEYS, ACL categories, the dispatcher's key
// stripes, MULTI's permissions and `redis-cli`'s hints are all answered from.
//
// One literal per command in `Specs/` (facts) with its handler in `Families/`. Commands that need the server (sessions,
// settings, INFO) are `.hosted`: the server registers a handler under the id when it builds the table.

import ValkBase
import ValkEngine

/// What a command does and where it may run. `wireNames` gives the words of COMMAND INFO in Redis's order.
@usableFromInline
package struct CommandFlags: OptionSet, Sendable, Hashable {
    @usableFromInline package let rawValue: UInt32
    @inlinable
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable package static var write: CommandFlags { CommandFlags(rawValue: 1 << 0) }
    @inlinable package static var readonly: CommandFlags { CommandFlags(rawValue: 1 << 1) }
    @inlinable package static var denyoom: CommandFlags { CommandFlags(rawValue: 1 << 2) }
    @inlinable package static var admin: CommandFlags { CommandFlags(rawValue: 1 << 3) }
    @inlinable package static var pubsub: CommandFlags { CommandFlags(rawValue: 1 << 4) }
    @inlinable package static var noscript: CommandFlags { CommandFlags(rawValue: 1 << 5) }
    @inlinable package static var blocking: CommandFlags { CommandFlags(rawValue: 1 << 6) }
    @inlinable package static var loading: CommandFlags { CommandFlags(rawValue: 1 << 7) }
    @inlinable package static var stale: CommandFlags { CommandFlags(rawValue: 1 << 8) }
    @inlinable package static var skipMonitor: CommandFlags { CommandFlags(rawValue: 1 << 9) }
    @inlinable package static var skipSlowlog: CommandFlags { CommandFlags(rawValue: 1 << 10) }
    @inlinable package static var asking: CommandFlags { CommandFlags(rawValue: 1 << 11) }
    @inlinable package static var fast: CommandFlags { CommandFlags(rawValue: 1 << 12) }
    @inlinable package static var noAuth: CommandFlags { CommandFlags(rawValue: 1 << 13) }
    /// Not shown, as in Redis: no write, and yet a pause of writes holds it back, and scripts that only read.
    @inlinable package static var mayReplicate: CommandFlags { CommandFlags(rawValue: 1 << 14) }
    @inlinable package static var noMandatoryKeys: CommandFlags { CommandFlags(rawValue: 1 << 15) }
    @inlinable package static var noAsyncLoading: CommandFlags { CommandFlags(rawValue: 1 << 16) }
    @inlinable package static var noMulti: CommandFlags { CommandFlags(rawValue: 1 << 17) }
    @inlinable package static var movableKeys: CommandFlags { CommandFlags(rawValue: 1 << 18) }
    @inlinable package static var allowBusy: CommandFlags { CommandFlags(rawValue: 1 << 19) }
    /// Not shown to clients: refused unless a setting allows it (DEBUG).
    @inlinable package static var protected: CommandFlags { CommandFlags(rawValue: 1 << 20) }
    /// Not shown: a write that touches keys beyond its arguments (FLUSHALL, SWAPDB): it runs alone among writers.
    @inlinable package static var allKeys: CommandFlags { CommandFlags(rawValue: 1 << 21) }

    /// Not shown: no write, but it must come before or after a whole write of its keys (WATCH).
    @inlinable package static var seesWholeWrites: CommandFlags { CommandFlags(rawValue: 1 << 22) }
    /// Not shown: off the loops it may wait long for the store's own work (a flush), on the thread kept for that.
    @inlinable package static var lengthy: CommandFlags { CommandFlags(rawValue: 1 << 23) }
    /// Not shown: runs a script, which may do anything that commands do, with the keys named and with others.
    @inlinable package static var runsScripts: CommandFlags { CommandFlags(rawValue: 1 << 28) }
    /// Not shown: a write; each argument from its first key on may be a key, and it takes the stripes of all (MIGRATE).
    @inlinable package static var namesKeysAnywhere: CommandFlags { CommandFlags(rawValue: 1 << 29) }
    /// Runs while it holds the stripes of its keys.
    @inlinable package static var takesStripes: CommandFlags { [.write, .seesWholeWrites, .runsScripts] }

    private static let names: [(CommandFlags, String)] = [
        (.write, "write"), (.readonly, "readonly"), (.denyoom, "denyoom"), (.admin, "admin"), (.pubsub, "pubsub"),
        (.noscript, "noscript"), (.blocking, "blocking"), (.loading, "loading"), (.stale, "stale"),
        (.skipMonitor, "skip_monitor"), (.skipSlowlog, "skip_slowlog"), (.asking, "asking"), (.fast, "fast"),
        (.noAuth, "no_auth"), (.noMandatoryKeys, "no_mandatory_keys"),
        (.noAsyncLoading, "no_async_loading"), (.noMulti, "no_multi"), (.movableKeys, "movablekeys"),
        (.allowBusy, "allow_busy"),
    ]

    package var wireNames: [String] { Self.names.filter { contains($0.0) }.map(\.1) }
}

/// ACL categories, in Redis's order; `wireNames` begin with '@'.
package struct CommandCategories: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static var keyspace: CommandCategories { CommandCategories(rawValue: 1 << 0) }
    package static var read: CommandCategories { CommandCategories(rawValue: 1 << 1) }
    package static var write: CommandCategories { CommandCategories(rawValue: 1 << 2) }
    package static var set: CommandCategories { CommandCategories(rawValue: 1 << 3) }
    package static var sortedset: CommandCategories { CommandCategories(rawValue: 1 << 4) }
    package static var list: CommandCategories { CommandCategories(rawValue: 1 << 5) }
    package static var hash: CommandCategories { CommandCategories(rawValue: 1 << 6) }
    package static var string: CommandCategories { CommandCategories(rawValue: 1 << 7) }
    package static var bitmap: CommandCategories { CommandCategories(rawValue: 1 << 8) }
    package static var hyperloglog: CommandCategories { CommandCategories(rawValue: 1 << 9) }
    package static var geo: CommandCategories { CommandCategories(rawValue: 1 << 10) }
    package static var stream: CommandCategories { CommandCategories(rawValue: 1 << 11) }
    package static var pubsub: CommandCategories { CommandCategories(rawValue: 1 << 12) }
    package static var admin: CommandCategories { CommandCategories(rawValue: 1 << 13) }
    package static var fast: CommandCategories { CommandCategories(rawValue: 1 << 14) }
    package static var slow: CommandCategories { CommandCategories(rawValue: 1 << 15) }
    package static var blocking: CommandCategories { CommandCategories(rawValue: 1 << 16) }
    package static var dangerous: CommandCategories { CommandCategories(rawValue: 1 << 17) }
    package static var connection: CommandCategories { CommandCategories(rawValue: 1 << 18) }
    package static var transaction: CommandCategories { CommandCategories(rawValue: 1 << 19) }
    package static var scripting: CommandCategories { CommandCategories(rawValue: 1 << 20) }

    /// The words without '@', bit by bit.
    package static let names: [String] = [
        "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
        "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
    ]

    package var wireNames: [String] {
        Self.names.enumerated().filter { rawValue & (1 << UInt32($0.offset)) != 0 }.map { "@" + $0.element }
    }

    /// The category called `name` (lower case, without '@').
    package static func named(_ name: String) -> CommandCategories? {
        names.firstIndex(of: name).map { CommandCategories(rawValue: 1 << UInt32($0)) }
    }
}

/// How to find some of a command's keys in its arguments, and what is done with them.
package struct KeySpec: Sendable {
    package struct Flags: OptionSet, Sendable, Hashable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        package static var ro: Flags { Flags(rawValue: 1 << 0) }
        package static var rw: Flags { Flags(rawValue: 1 << 1) }
        package static var ow: Flags { Flags(rawValue: 1 << 2) }
        package static var rm: Flags { Flags(rawValue: 1 << 3) }
        package static var access: Flags { Flags(rawValue: 1 << 4) }
        package static var update: Flags { Flags(rawValue: 1 << 5) }
        package static var insert: Flags { Flags(rawValue: 1 << 6) }
        package static var delete: Flags { Flags(rawValue: 1 << 7) }
        package static var notKey: Flags { Flags(rawValue: 1 << 8) }
        package static var incomplete: Flags { Flags(rawValue: 1 << 9) }
        package static var variableFlags: Flags { Flags(rawValue: 1 << 10) }

        private static let names = [
            "RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
        ]
        package var wireNames: [String] {
            Self.names.enumerated().filter { rawValue & (1 << UInt16($0.offset)) != 0 }.map(\.element)
        }
    }

    package enum Begin: Sendable, Equatable {
        /// The argument at this position (the name is 0).
        case index(Int)
        /// After this word, sought from `startFrom` (negative: backwards from the end).
        case keyword(String, startFrom: Int)
        case unknown
    }

    package enum Find: Sendable, Equatable {
        /// From the beginning to `last` (relative to it; negative counts from the end of the arguments), every `step`;
        /// `limit` n > 1 with last -1 means only the first 1/n of what is left.
        case range(last: Int, step: Int, limit: Int)
        /// At `countIndex` (relative) stands the number of keys, which begin at `first` (relative), every `step`.
        case keyCount(countIndex: Int, first: Int, step: Int)
        case unknown
    }

    package var flags: Flags
    package var begin: Begin
    package var find: Find
    /// For people, in COMMAND INFO; nil mostly.
    package var notes: String?

    package init(_ flags: Flags, begin: Begin, find: Find, notes: String? = nil) {
        self.flags = flags
        self.begin = begin
        self.find = find
        self.notes = notes
    }

    /// One key, or a run of keys, from a fixed position.
    package static func at(
        _ index: Int, _ flags: Flags, last: Int = 0, step: Int = 1, notes: String? = nil
    ) -> KeySpec {
        KeySpec(flags, begin: .index(index), find: .range(last: last, step: step, limit: 0), notes: notes)
    }
}

/// One argument in the tree that COMMAND DOCS shows.
package struct ArgumentSpec: Sendable {
    package enum Kind: String, Sendable {
        case string, integer, double, key, pattern
        case unixTime = "unix-time"
        case pureToken = "pure-token"
        case oneof, block
    }

    package struct Flags: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static var optional: Flags { Flags(rawValue: 1) }
        package static var multiple: Flags { Flags(rawValue: 2) }
        package static var multipleToken: Flags { Flags(rawValue: 4) }
        package var wireNames: [String] {
            var names: [String] = []
            if contains(.optional) { names.append("optional") }
            if contains(.multiple) { names.append("multiple") }
            if contains(.multipleToken) { names.append("multiple_token") }
            return names
        }
    }

    package var name: String
    package var kind: Kind
    package var keySpecIndex: Int?
    package var token: String?
    package var since: String?
    package var deprecatedSince: String?
    package var flags: Flags
    package var arguments: [ArgumentSpec]

    package init(
        _ name: String, _ kind: Kind, _ flags: Flags = [], token: String? = nil, key keySpecIndex: Int? = nil,
        since: String? = nil, deprecated deprecatedSince: String? = nil, of arguments: [ArgumentSpec] = []
    ) {
        self.name = name
        self.kind = kind
        self.flags = flags
        self.token = token
        self.keySpecIndex = keySpecIndex
        self.since = since
        self.deprecatedSince = deprecatedSince
        self.arguments = arguments
    }
}

/// The handler of a data command: reads through the context, writes into its batch, replies. It may be abandoned at any
/// throw and run again from the start, so it changes nothing else.
package typealias DataHandler = @Sendable (CommandContext) throws(Interruption) -> Void

package enum Action: Sendable {
    /// Runs in this module.
    case data(DataHandler)
    /// Runs in the server, which knows it by this id.
    case hosted(Int)
    /// Has subcommands and does nothing by itself.
    case container
    /// Described, but no handler has been attached; the table refuses it.
    case unattached
}

/// Which arguments of a command are channels that its caller must be allowed to use.
package struct ChannelArguments: Sendable {
    /// Only the first argument; otherwise all.
    package var isOne: Bool
    /// They are patterns of channels.
    package var arePatterns: Bool

    package static let first = ChannelArguments(isOne: true, arePatterns: false)
    package static let all = ChannelArguments(isOne: false, arePatterns: false)
    package static let allPatterns = ChannelArguments(isOne: false, arePatterns: true)
}

package struct CommandSpec: Sendable {
    /// Lower case; of a subcommand only its own word.
    package var name: String
    /// The name it was made with, whatever it is called now (`rename-command`).
    package let declaredName: String
    /// Arguments with the name(s) included; negative: at least.
    package var arity: Int
    package var flags: CommandFlags
    package var keys: [KeySpec]
    /// All of them, `@fast`/`@slow`/`@write`/… included.
    package var categories: CommandCategories
    package var since: String
    /// As COMMAND DOCS says it: "string", "generic", "connection", "server", "transactions", "scripting" …
    package var group: String
    package var summary: String
    package var complexity: String
    package var arguments: [ArgumentSpec]
    /// Version and what changed then.
    package var history: [(version: String, change: String)]
    package var tips: [String]
    package var docFlags: [String]
    package var deprecatedSince: String?
    package var replacedBy: String?
    package var subcommands: [CommandSpec]
    package var action: Action
    /// Nil for commands without channels.
    package var channels: ChannelArguments?
    /// It may read the values of keys that it does not name: who runs it must be allowed to read every key.
    package var readsAnyKey = false

    package init(
        _ name: String, arity: Int, flags: CommandFlags = [], keys: [KeySpec] = [], categories: CommandCategories,
        since: String, group: String, summary: String, complexity: String = "", arguments: [ArgumentSpec] = [],
        history: [(version: String, change: String)] = [], tips: [String] = [], docFlags: [String] = [],
        deprecatedSince: String? = nil, replacedBy: String? = nil, subcommands: [CommandSpec] = [],
        action: Action = .unattached
    ) {
        self.name = name
        declaredName = name
        self.arity = arity
        self.flags = flags
        self.keys = keys
        self.categories = categories
        self.since = since
        self.group = group
        self.summary = summary
        self.complexity = complexity
        self.arguments = arguments
        self.history = history
        self.tips = tips
        self.docFlags = docFlags
        self.deprecatedSince = deprecatedSince
        self.replacedBy = replacedBy
        self.subcommands = subcommands
        self.action = subcommands.isEmpty ? action : .container
    }

    /// The same command with a handler of this module.
    package func runs(_ handler: @escaping DataHandler) -> CommandSpec {
        var copy = self
        copy.action = .data(handler)
        return copy
    }

    /// The same command, run by the server under `id`.
    package func hosted(_ id: Int) -> CommandSpec {
        var copy = self
        copy.action = .hosted(id)
        return copy
    }

    /// The same command with channels among its arguments.
    package func with(_ channels: ChannelArguments) -> CommandSpec {
        var copy = self
        copy.channels = channels
        return copy
    }

    /// The same container with `attach` applied to each subcommand.
    package func subcommands(_ attach: (CommandSpec) -> CommandSpec) -> CommandSpec {
        var copy = self
        copy.subcommands = subcommands.map(attach)
        return copy
    }

    /// First key, last key and step as the old form of COMMAND has them; all 0 without fixed keys.
    package var legacyRange: (first: Int, last: Int, step: Int) {
        guard let spec = keys.first, case .index(let first) = spec.begin,
            case .range(let last, let step, _) = spec.find
        else { return (0, 0, 0) }
        var end = last < 0 ? last : first + last
        // Several fixed single keys side by side (RENAME: two specs) make one range.
        for other in keys.dropFirst() {
            guard case .index(let at) = other.begin, case .range(let more, let otherStep, _) = other.find,
                otherStep == step, end >= 0, at == end + step
            else { break }
            end = more < 0 ? more : at + more
        }
        return (first, end, step)
    }
}
