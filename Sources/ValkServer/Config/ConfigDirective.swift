// What a setting is: its name, the values it takes, its default, when it may change and what it is for.
//
// A directive is plain data. Reading a value (from a file, the command line or CONFIG SET) turns the words given into a
// `ConfigValue`, whose `bytes` are the canonical text that CONFIG GET answers and CONFIG REWRITE writes, and whose
// other fields are what the server uses. The texts of errors are those that Redis gives for the same mistake.

import ValkBase

/// The form of a directive's value.
package enum ConfigKind: Sendable {
    case bool
    case integer(ClosedRange<Int64>)
    /// Bytes, written as a number with an optional unit: b, k (1000), kb (1024), m, mb, g, gb.
    case memory(ClosedRange<Int64>)
    /// As `memory`, or a percentage such as `5%`, kept as a negative number.
    case memoryOrPercent
    case octal(ClosedRange<Int64>)
    case real(ClosedRange<Double>)
    /// One of these names, in this order; `number` is the index.
    case choice([String])
    /// Some of these names; the first stands for none of the others.
    case choices([String])
    case text
    /// Words separated by spaces (addresses to bind).
    case words
    /// Pairs of seconds and changes; empty for none.
    case savePoints
    /// For each class of client: hard limit, soft limit, seconds.
    case outputLimits
    /// Letters that choose keyspace events; `number` is the set of flags.
    case keyspaceEvents
    /// Numbers between 0 and 100.
    case percentiles
    /// Exactly three integers.
    case threeIntegers
    /// `host port`; empty for none.
    case hostAndPort
}

/// When a directive may change.
package enum ConfigMutability: Sendable {
    case live
    case atStart
    /// As `atStart`, but CONFIG SET to the value in force is no error, so that tools may set all that they got.
    case fixed
    /// Live, but only where `enable-protected-configs` allows it.
    case protected
}

/// What a directive does here.
package enum ConfigMeaning: Sendable, Equatable {
    /// The server acts on it.
    case acts
    /// Kept and answered, without effect; the text says why. Mostly known from Redis.
    case ignored(IgnoredReason)
    /// Known from Redis, but a value other than the default would promise what Valk cannot do: the start is refused.
    case refused(String)
}

/// Why a directive of Redis has no effect.
package enum IgnoredReason: String, Sendable, CaseIterable {
    case snapshots = "Valk writes no snapshot files: every change is in its log"
    case appendFile = "Valk has no append-only file to rewrite: its log is always on and cleans up after itself"
    case replication = "Valk does not replicate yet"
    case cluster = "Valk has no cluster mode yet"
    case encodings = "Valk keeps collections on disk, not in Redis' compact encodings"
    case eviction = "Valk evicts in the background, without taking time from a command"
    case allocator = "Valk does not use Redis' allocator, defragmenter or background freeing"
    case process = "Valk leaves this to the system"
    case timers = "Valk sets its own timers"
    case debugging = "this steers a test hook of Redis"
}

/// A value as given and as used.
package struct ConfigValue: Sendable, Equatable {
    /// Canonical text, as CONFIG GET answers.
    package var bytes: [UInt8]
    /// bool: 0 or 1; numbers: the number; choice: index from 0; keyspaceEvents: flags.
    package var number: Int64 = 0
    package var real: Double = 0
    /// words, outputLimits (class by class: hard, soft, seconds), savePoints, percentiles: the parts.
    package var words: [String] = []

    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// Why a value was refused; the text is meant for the person who gave it.
package struct ConfigValueError: Error, Sendable {
    package let text: String
    package init(_ text: String) { self.text = text }
}

package struct ConfigDirective: Sendable {
    package let name: String
    /// Other names that mean the same; CONFIG GET answers under the name that matched.
    package let aliases: [String]
    package let kind: ConfigKind
    /// As it would be written in a file; empty for an empty value.
    package let initial: String
    package let mutability: ConfigMutability
    package let meaning: ConfigMeaning
    /// Unit of numbers ("bytes", "seconds"); empty where there is none.
    package let unit: String
    package let help: String
    /// Secret: CONFIG SET of it must not appear in the slow log or in MONITOR.
    package let isSecret: Bool
    /// Not listed by patterns, only by its exact name.
    package let isHidden: Bool

    package init(
        _ name: String, _ kind: ConfigKind, _ initial: String, _ mutability: ConfigMutability = .live,
        _ meaning: ConfigMeaning = .acts, aliases: [String] = [], unit: String = "", help: String = "",
        isSecret: Bool = false, isHidden: Bool = false
    ) {
        self.name = name
        self.aliases = aliases
        self.kind = kind
        self.initial = initial
        self.mutability = mutability
        self.meaning = meaning
        self.unit = unit
        self.help = help
        self.isSecret = isSecret
        self.isHidden = isHidden
    }

    /// True where one directive takes several words on its line.
    package var takesManyWords: Bool {
        switch kind {
        case .words, .choices, .savePoints, .outputLimits, .percentiles, .threeIntegers, .hostAndPort: true
        default: false
        }
    }

    /// What a value must look like, for people.
    package var expectation: String {
        switch kind {
        case .bool: return "yes or no"
        case .integer(let range): return "a whole number\(ConfigDirective.rangeText(range))\(inUnit)"
        case .memory(let range):
            return "a size in bytes\(ConfigDirective.rangeText(range)), with an optional unit: k, kb, m, mb, g, gb"
        case .memoryOrPercent: return "a size in bytes with an optional unit (k, kb, m, mb, g, gb), or a percentage"
        case .octal(let range):
            return "an octal number from \(String(range.lowerBound, radix: 8)) to \(String(range.upperBound, radix: 8))"
        case .real(let range): return "a number from \(range.lowerBound) to \(range.upperBound)\(inUnit)"
        case .choice(let names): return "one of " + names.joined(separator: ", ")
        case .choices(let names): return "one or more of " + names.joined(separator: ", ")
        case .text: return "one word or a text in quotes"
        case .words: return "one or more words"
        case .savePoints: return "pairs of seconds and changes, or \"\""
        case .outputLimits: return "a class (normal, replica, pubsub), a hard limit, a soft limit and seconds"
        case .keyspaceEvents: return "letters out of A g $ l s h z x e t d n m K E, or \"\""
        case .percentiles: return "numbers from 0 to 100"
        case .threeIntegers: return "three whole numbers"
        case .hostAndPort: return "a host and a port"
        }
    }

    private var inUnit: String { unit.isEmpty ? "" : " (\(unit))" }

    private static func rangeText(_ range: ClosedRange<Int64>) -> String {
        if range.upperBound >= Int64(Int32.max) {
            return range.lowerBound <= -Int64(Int32.max) ? "" : ", at least \(range.lowerBound)"
        }
        return " from \(range.lowerBound) to \(range.upperBound)"
    }
}
