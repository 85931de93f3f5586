// The settings in force: one value per directive, with what CONFIG GET, SET and REWRITE and the server's parts need.
//
// Threads: any; a lock guards the values. Nothing reads settings on a hot path: parts that need one there take it at the
// start and register with `onChange`, which hands them each new value.
//
// CONFIG SET is all or nothing: every name and value is checked before any is stored, then the parts concerned are told
// in order; when one of them refuses, those told before are told the old values again and nothing has changed.

import Glibc
import ValkBase

/// Why CONFIG SET changed nothing; `text` is the reply, exactly.
package struct ConfigSetError: Error, Sendable {
    package let text: String
}

package final class ConfigStore: @unchecked Sendable {  // `lock` guards every var.
    package typealias Applier = @Sendable (ConfigValue) throws(ConfigValueError) -> Void

    package let directives: [ConfigDirective]
    private let indexByName: [String: Int]
    private let initials: [ConfigValue]

    private let lock = Lock()
    private var values: [ConfigValue]
    /// Given in a file or on the command line, or set since.
    private var isGiven: [Bool]
    private var appliers: [Int: [Applier]] = [:]
    private var ignoredNames: [String] = []
    private var renames: [(command: String, name: String)] = []
    private var filePath: String?

    package init(_ directives: [ConfigDirective] = ConfigSchema.all()) {
        self.directives = directives
        var indexByName: [String: Int] = [:]
        var values: [ConfigValue] = []
        for (index, directive) in directives.enumerated() {
            for name in [directive.name] + directive.aliases {
                precondition(indexByName[name] == nil, "directive \(name) is defined twice")
                indexByName[name] = index
            }
            do throws(ConfigValueError) {
                let empty = ConfigValue(bytes: [])
                values.append(try directive.parse([Array(directive.initial.utf8)], previous: empty))
            } catch {
                preconditionFailure("default '\(directive.initial)' of \(directive.name): \(error.text)")
            }
        }
        self.indexByName = indexByName
        self.initials = values
        self.values = values
        self.isGiven = Array(repeating: false, count: values.count)
    }

    // MARK: What the server reads

    /// The value of a directive that the schema has; `name` is its first name.
    package func value(_ name: String) -> ConfigValue { value(known(name)) }
    package func integer(_ name: String) -> Int { Int(value(name).number) }
    package func flag(_ name: String) -> Bool { value(name).number != 0 }
    package func real(_ name: String) -> Double { value(name).real }
    package func text(_ name: String) -> String { value(name).text }
    package func words(_ name: String) -> [String] { value(name).words }
    package func bytes(_ name: String) -> [UInt8] { value(name).bytes }

    package func value(_ index: Int) -> ConfigValue { lock.withLock { values[index] } }

    /// The directive with this name or alias (lower case).
    package func index(of name: String) -> Int? { indexByName[name] }

    /// Every name and alias.
    package var names: [String] { Array(indexByName.keys) }

    /// True when the value is the default, whoever gave it.
    package func isInitial(_ index: Int) -> Bool { lock.withLock { values[index] == initials[index] } }

    package func initial(_ index: Int) -> ConfigValue { initials[index] }

    /// Absolute path of the file the settings came from.
    package var file: String? { lock.withLock { filePath } }

    /// `rename-command` lines: the command in lower case and its new name, empty for none.
    package var renamedCommands: [(command: String, name: String)] { lock.withLock { renames } }

    /// One line for the log that names the directives given without effect; nil when there are none.
    package var ignoredWarning: String? {
        let names = lock.withLock { ignoredNames }
        if names.isEmpty { return nil }
        return "\(names.count) directives of Redis have no effect in Valk and are only remembered: "
            + names.joined(separator: ", ")
    }

    /// Calls `apply` with each later value of `name`; it may refuse the value. Not called with the present one.
    package func onChange(_ name: String, _ apply: @escaping Applier) {
        let index = known(name)
        lock.withLock { appliers[index, default: []].append(apply) }
    }

    private func known(_ name: String) -> Int {
        guard let index = indexByName[name] else { preconditionFailure("no directive \(name)") }
        return index
    }

    // MARK: Loading

    func remember(file path: String) { lock.withLock { filePath = path } }

    func rename(command: String, to name: String) { lock.withLock { renames.append((command, name)) } }

    func noteIgnored(_ name: String) { lock.withLock { if !ignoredNames.contains(name) { ignoredNames.append(name) } } }

    /// Stores a value while the settings are read.
    func assign(
        _ index: Int, given: [[UInt8]], source: ConfigDirective.Source
    ) throws(ConfigValueError) {
        let directive = directives[index]
        let value = try directive.parse(given, previous: value(index), source: source)
        lock.withLock {
            values[index] = value
            isGiven[index] = true
        }
        if case .ignored = directive.meaning { noteIgnored(directive.name) }
    }

    /// Stores a value that was given as the path the process now is in, so that it means the same later.
    func forget(relative index: Int) {
        let path = TextFile.currentDirectory()
        lock.withLock { values[index] = ConfigValue(bytes: Array(path.utf8)) }
    }

    // MARK: CONFIG GET and SET

    /// Names and values that any of the patterns (without regard to case) names, each once.
    package func matching(_ patterns: [ByteView]) -> [(name: String, value: [UInt8])] {
        var found: [(name: String, value: [UInt8])] = []
        var seen = Set<String>()
        for pattern in patterns {
            let isPattern = (0..<pattern.count).contains { "*?[".utf8.contains(pattern[$0]) }
            if !isPattern {
                let name = pattern.string.lowercased()
                if let index = indexByName[name], seen.insert(name).inserted {
                    found.append((name, answer(index)))
                }
                continue
            }
            for (index, directive) in directives.enumerated() where !directive.isHidden {
                for name in [directive.name] + directive.aliases {
                    let matches = Array(name.utf8).withView { ConfigGlob.matches(pattern, $0) }
                    if matches && seen.insert(name).inserted { found.append((name, answer(index))) }
                }
            }
        }
        return found
    }

    /// What CONFIG GET answers.
    private func answer(_ index: Int) -> [UInt8] {
        if directives[index].name == "dir" { return Array(TextFile.currentDirectory().utf8) }
        return value(index).bytes
    }

    /// Sets all or none. `isLocal` says whether the client is on this machine.
    package func set(
        _ pairs: [(name: [UInt8], value: [UInt8])], isLocal: Bool
    ) throws(ConfigSetError) {
        var unknown: String?
        var fault: (name: String, text: String)?
        var indexes: [Int] = []
        let protectedLevel = text("enable-protected-configs")
        for pair in pairs {
            let name = String(decoding: pair.name, as: UTF8.self)
            guard let index = indexByName[name.lowercased()] else {
                if unknown == nil { unknown = name }
                continue
            }
            if fault != nil { continue }
            switch directives[index].mutability {
            case .atStart: fault = (name, "can't set immutable config")
            case .protected where protectedLevel == "no" || (protectedLevel == "local" && !isLocal):
                fault = (name, "can't set protected config")
            default: break
            }
            if indexes.contains(index) { fault = (name, "duplicate parameter") }
            indexes.append(index)
        }
        if let unknown {
            throw ConfigSetError(text: "Unknown option or number of arguments for CONFIG SET - '\(unknown)'")
        }
        if fault == nil { fault = store(indexes, pairs) }
        if let fault {
            throw ConfigSetError(
                text: "CONFIG SET failed (possibly related to argument '\(fault.name)') - \(fault.text)")
        }
    }

    /// Parses and applies; returns the pair at fault after putting everything back.
    private func store(
        _ indexes: [Int], _ pairs: [(name: [UInt8], value: [UInt8])]
    ) -> (name: String, text: String)? {
        var fresh: [ConfigValue] = []
        for (position, index) in indexes.enumerated() {
            do throws(ConfigValueError) {
                fresh.append(try directives[index].parse([pairs[position].value], previous: value(index)))
            } catch {
                return (String(decoding: pairs[position].name, as: UTF8.self), error.text)
            }
        }
        let old = indexes.map { value($0) }
        for (position, index) in indexes.enumerated() where fresh[position] != old[position] {
            do throws(ConfigValueError) {
                try apply(index, fresh[position])
            } catch {
                for undone in (0...position).reversed() where fresh[undone] != old[undone] {
                    restore(indexes[undone], old[undone])
                }
                return (String(decoding: pairs[position].name, as: UTF8.self), error.text)
            }
        }
        lock.withLock { for index in indexes { isGiven[index] = true } }
        return nil
    }

    private func apply(_ index: Int, _ value: ConfigValue) throws(ConfigValueError) {
        let called = lock.withLock {
            values[index] = value
            return appliers[index] ?? []
        }
        for apply in called { try apply(value) }
        // The data stay where the store was opened.
        if directives[index].name == "dir" && !TextFile.isCurrentDirectory(value.text) {
            throw ConfigValueError("the directory of the data can't change while the server runs")
        }
    }

    /// Puts an old value back. It was in force before, so a part that refuses it now keeps what it has.
    private func restore(_ index: Int, _ value: ConfigValue) {
        do throws(ConfigValueError) { try apply(index, value) } catch { lock.withLock { values[index] = value } }
    }
}

/// Shell-like patterns over names: * ? [a-z] [^a] and \ as Redis reads them, without regard to case.
enum ConfigGlob {
    static func matches(_ pattern: ByteView, _ text: ByteView) -> Bool {
        var p = 0
        var t = 0
        var starAt = -1
        var resume = 0
        while t < text.count {
            if p < pattern.count && pattern[p] == UInt8(ascii: "*") {
                starAt = p
                resume = t
                p += 1
            } else if p < pattern.count, let next = matchOne(pattern, p, fold(text[t])) {
                p = next
                t += 1
            } else if starAt >= 0 {
                resume += 1
                t = resume
                p = starAt + 1
            } else {
                return false
            }
        }
        while p < pattern.count && pattern[p] == UInt8(ascii: "*") { p += 1 }
        return p == pattern.count
    }

    /// Index behind the element at `at` when it matches `byte`.
    private static func matchOne(_ pattern: ByteView, _ at: Int, _ byte: UInt8) -> Int? {
        switch pattern[at] {
        case UInt8(ascii: "?"): return at + 1
        case UInt8(ascii: "["): return matchClass(pattern, at + 1, byte)
        case UInt8(ascii: "\\") where at + 1 < pattern.count:
            return fold(pattern[at + 1]) == byte ? at + 2 : nil
        default: return fold(pattern[at]) == byte ? at + 1 : nil
        }
    }

    private static func matchClass(_ pattern: ByteView, _ from: Int, _ byte: UInt8) -> Int? {
        var at = from
        let negated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if negated { at += 1 }
        var found = false
        while at < pattern.count && pattern[at] != UInt8(ascii: "]") {
            if pattern[at] == UInt8(ascii: "\\") && at + 1 < pattern.count { at += 1 }
            let low = fold(pattern[at])
            if at + 2 < pattern.count && pattern[at + 1] == UInt8(ascii: "-") && pattern[at + 2] != UInt8(ascii: "]") {
                let high = fold(pattern[at + 2])
                if byte >= min(low, high) && byte <= max(low, high) { found = true }
                at += 3
            } else {
                if low == byte { found = true }
                at += 1
            }
        }
        return found != negated ? min(at + 1, pattern.count) : nil
    }

    private static func fold(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
}
