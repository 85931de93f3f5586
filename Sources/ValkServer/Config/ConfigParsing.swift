// Words to values, kind by kind. Pure functions: no state, no I/O. Error texts follow Redis 7.0.

import Glibc
import ValkBase

extension ConfigDirective {
    /// Where a value comes from: a file adds save points to those before it, CONFIG SET replaces them.
    package enum Source: Sendable { case file, set }

    /// Reads the words given for this directive. `previous` is the value so far (classes that a line of
    /// client-output-buffer-limit does not name keep theirs). A single word for a directive that takes many is split
    /// at its spaces first.
    package func parse(
        _ given: [[UInt8]], previous: ConfigValue, source: Source = .set
    ) throws(ConfigValueError) -> ConfigValue {
        if takesManyWords {
            var parts = given
            if parts.count == 1 {
                let word = parts[0]
                parts = word.split(separator: UInt8(ascii: " ")).map { [UInt8]($0) }
            }
            return try parseWords(parts.map { String(decoding: $0, as: UTF8.self) }, previous: previous, source: source)
        }
        guard given.count == 1 else { throw ConfigValueError("wrong number of arguments") }
        let bytes = given[0]
        let text = String(decoding: bytes, as: UTF8.self)
        switch kind {
        case .bool:
            switch text.lowercased() {
            case "yes": return ConfigValue(bytes: Array("yes".utf8), number: 1)
            case "no": return ConfigValue(bytes: Array("no".utf8), number: 0)
            default: throw ConfigValueError("argument must be 'yes' or 'no'")
            }
        case .integer(let range):
            guard let number = bytes.withView(Decimal.parse) else {
                throw ConfigValueError("argument couldn't be parsed into an integer")
            }
            return try number.checked(range)
        case .memory(let range):
            guard let number = parseMemory(text) else { throw ConfigValueError("argument must be a memory value") }
            return try number.checked(range)
        case .memoryOrPercent:
            if text.hasSuffix("%"), let percent = Int64(text.dropLast()), percent >= 0 {
                if percent > 100 { throw ConfigValueError("percentage argument must be less or equal to 100") }
                return ConfigValue(bytes: Array("\(percent)%".utf8), number: -percent)
            }
            guard let number = parseMemory(text) else {
                throw ConfigValueError("argument must be a memory or percent value")
            }
            return number.value
        case .octal(let range):
            guard let number = Int64(text, radix: 8) else {
                throw ConfigValueError("argument couldn't be parsed as an octal number")
            }
            guard range.contains(number) else {
                throw ConfigValueError(
                    "argument must be between \(String(range.lowerBound, radix: 8)) and "
                        + "\(String(range.upperBound, radix: 8)) inclusive")
            }
            return ConfigValue(bytes: Array(String(number, radix: 8).utf8), number: number)
        case .real(let range):
            guard let number = Double(text), number.isFinite else {
                throw ConfigValueError("argument couldn't be parsed into a number")
            }
            guard range.contains(number) else {
                throw ConfigValueError(
                    "argument must be between \(range.lowerBound) and \(range.upperBound) inclusive")
            }
            return ConfigValue(bytes: bytes, number: Int64(number), real: number)
        case .choice(let names):
            guard let index = names.firstIndex(of: text.lowercased()) else {
                throw ConfigValueError(
                    "argument(s) must be one of the following: " + names.joined(separator: ", "))
            }
            return ConfigValue(bytes: Array(names[index].utf8), number: Int64(index))
        case .keyspaceEvents:
            guard let flags = KeyspaceEventClasses.parse(text) else {
                throw ConfigValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
            }
            return ConfigValue(bytes: Array(KeyspaceEventClasses.text(flags).utf8), number: flags)
        case .text, .words, .choices, .savePoints, .outputLimits, .percentiles, .threeIntegers, .hostAndPort:
            return ConfigValue(bytes: bytes)
        }
    }

    private func parseWords(
        _ words: [String], previous: ConfigValue, source: Source
    ) throws(ConfigValueError) -> ConfigValue {
        switch kind {
        case .choices(let names):
            let chosen = words.map { $0.lowercased() }
            guard !chosen.isEmpty, chosen.allSatisfy(names.contains) else {
                throw ConfigValueError(
                    "argument(s) must be one of the following: " + names.joined(separator: ", "))
            }
            let kept = names.dropFirst().filter(chosen.contains)
            return .words(kept.isEmpty ? [names[0]] : kept)
        case .savePoints:
            guard words.count % 2 == 0 else { throw ConfigValueError("Invalid save parameters") }
            for index in words.indices {
                guard let number = Int64(words[index]), number >= (index % 2 == 0 ? 1 : 0) else {
                    throw ConfigValueError("Invalid save parameters")
                }
            }
            return .words(source == .file && !words.isEmpty ? previous.words + words : words)
        case .outputLimits:
            return try parseOutputLimits(words, previous: previous)
        case .percentiles:
            var canonical: [String] = []
            for word in words {
                guard let number = Double(word) else {
                    throw ConfigValueError("Invalid latency-tracking-info-percentiles parameters")
                }
                guard (0...100).contains(number) else {
                    throw ConfigValueError(
                        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
                }
                canonical.append(ProcessFacts.shortest(number))
            }
            return .words(canonical)
        case .threeIntegers:
            guard words.count == 3 else { throw ConfigValueError("wrong number of arguments") }
            for word in words where Int64(word).map({ (-2000...2000).contains($0) }) != true {
                throw ConfigValueError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
            }
            return .words(words)
        case .hostAndPort:
            if words.isEmpty || words.map({ $0.lowercased() }) == ["no", "one"] { return .words([]) }
            guard words.count == 2 else { throw ConfigValueError("wrong number of arguments") }
            guard let port = Int64(words[1]), (0...65535).contains(port) else {
                throw ConfigValueError("Invalid master port")
            }
            return .words(words)
        default:
            if words.count > 16 { throw ConfigValueError("Too many bind addresses specified.") }
            return .words(words)
        }
    }

    /// One or more groups of class, hard limit, soft limit, seconds.
    private func parseOutputLimits(
        _ words: [String], previous: ConfigValue
    ) throws(ConfigValueError) -> ConfigValue {
        guard !words.isEmpty, words.count % 4 == 0 else {
            throw ConfigValueError("Wrong number of arguments in buffer limit configuration.")
        }
        let classes = ["normal", "slave", "pubsub"]
        var limits = previous.words.count == 12 ? previous.words : Array(repeating: "0", count: 12)
        for group in 0..<(words.count / 4) {
            let at = group * 4
            var name = words[at].lowercased()
            if name == "replica" { name = "slave" }
            guard let index = classes.firstIndex(of: name) else {
                throw ConfigValueError("Invalid client class specified in buffer limit configuration.")
            }
            guard let hard = parseMemory(words[at + 1]), let soft = parseMemory(words[at + 2]),
                let seconds = Int64(words[at + 3]), seconds >= 0
            else {
                throw ConfigValueError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            }
            limits[index * 4] = name
            limits[index * 4 + 1] = String(hard)
            limits[index * 4 + 2] = String(soft)
            limits[index * 4 + 3] = String(seconds)
        }
        for index in 0..<3 { limits[index * 4] = classes[index] }
        return .words(limits)
    }
}

/// A number of bytes with an optional unit; nil when it is none or does not fit.
package func parseMemory(_ text: String) -> Int64? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard !digits.isEmpty, let number = Int64(digits) else { return nil }
    let factor: Int64
    switch text.dropFirst(digits.count).lowercased() {
    case "", "b": factor = 1
    case "k": factor = 1000
    case "kb": factor = 1 << 10
    case "m": factor = 1_000_000
    case "mb": factor = 1 << 20
    case "g": factor = 1_000_000_000
    case "gb": factor = 1 << 30
    default: return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : bytes
}

extension Int64 {
    fileprivate var value: ConfigValue { ConfigValue(bytes: Array(String(self).utf8), number: self) }

    fileprivate func checked(_ range: ClosedRange<Int64>) throws(ConfigValueError) -> ConfigValue {
        guard range.contains(self) else {
            throw ConfigValueError("argument must be between \(range.lowerBound) and \(range.upperBound) inclusive")
        }
        return value
    }
}

extension ConfigValue {
    package static func words(_ words: [String]) -> ConfigValue {
        ConfigValue(bytes: Array(words.joined(separator: " ").utf8), words: words)
    }
}

/// The letters of notify-keyspace-events.
package enum KeyspaceEventClasses {
    /// Bit by position in this list, as in `KeyEventKinds`; K, E and m are no classes of their own.
    private static let letters: [Character] = ["g", "$", "l", "s", "h", "z", "x", "e", "t", "d", "n", "K", "E", "m"]
    /// What "A" stands for: everything but n, K, E and m.
    private static let all: Int64 = 0x3FF

    package static func parse(_ text: String) -> Int64? {
        var flags: Int64 = 0
        for letter in text {
            if letter == "A" {
                flags |= all
            } else if let bit = letters.firstIndex(of: letter) {
                flags |= 1 << Int64(bit)
            } else {
                return nil
            }
        }
        return flags
    }

    package static func text(_ flags: Int64) -> String {
        var text = flags & all == all ? "A" : ""
        for (bit, letter) in letters.enumerated() where flags & (1 << Int64(bit)) != 0 {
            if bit < 11 && flags & all == all { continue }
            text.append(letter)
        }
        return text
    }
}
