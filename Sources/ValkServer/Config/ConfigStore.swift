// The settings in force: one value per directive, with what CONFIG GET, SET and REWRITE and the server's parts need.
//
// Threads: any; a lock guards the values. Nothing reads settings on a hot path: parts that need one there take it at
// the start and register with `onChange`, which hands them each new value.
//
// CONFIG SET is all or nothing: every name and value is checked before any is stored, then the parts concerned are told
// in order; when one of them refuses, those told before are told the old values again and nothing has changed.

import Glibc
import ValkBase
import ValkData

/// Why CONFIG SET changed nothing; `text` is the reply, exactly.
package struct ConfigSetError: Error, Sendable {
    package let text: String
}

/// A `user` line: the name and the words behind it, and where it stands.
struct DeclaredUser: Sendable {
    let name: [UInt8]
    let words: [[UInt8]]
    let line: ConfigLine
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
    /// Settings that act together, and what makes them act.
    private var groups: [(members: Set<Int>, apply: @Sendable () throws(ConfigValueError) -> Void)] = []
    private var ignoredNames: [String] = []
    private var renames: [(command: String, name: String)] = []
    private var declaredUsers: [DeclaredUser] = []
    /// The users in force as `user` lines, for CONFIG REWRITE; nil where the file has none to say.
    private var userLines: (@Sendable () -> [[UInt8]])?
    private var filePath: String?
    private var directoryLine: ConfigLine?

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

    /// `user` lines of the settings, in order.
    var users: [DeclaredUser] { lock.withLock { declaredUsers } }

    /// One line for the log that names the directives given without effect; nil when there are none.
    package var ignoredWarning: String? {
        let names = lock.withLock { ignoredNames }
        if names.isEmpty { return nil }
        return "\(names.count) of the settings given have no effect in Valk and are only remembered: "
            + names.joined(separator: ", ")
    }

    /// Calls `apply` with each later value of `name`; it may refuse the value. Not called with the present one.
    package func onChange(_ name: String, _ apply: @escaping Applier) {
        let index = known(name)
        lock.withLock { appliers[index, default: []].append(apply) }
    }

    /// Calls `apply` once after any of `names` were set, also to the value they had, when all of them have their new
    /// values; it may refuse them. That comes before what `onChange` of one setting does.
    package func onChange(
        ofAny names: [String], _ apply: @escaping @Sendable () throws(ConfigValueError) -> Void
    ) {
        let members = Set(names.map(known))
        lock.withLock { groups.append((members, apply)) }
    }

    private func known(_ name: String) -> Int {
        guard let index = indexByName[name] else { preconditionFailure("no directive \(name)") }
        return index
    }

    // MARK: Loading

    func remember(file path: String) { lock.withLock { filePath = path } }

    func rename(command: String, to name: String) { lock.withLock { renames.append((command, name)) } }

    /// False when there is a user of that name already.
    func add(_ user: DeclaredUser) -> Bool {
        lock.withLock {
            if declaredUsers.contains(where: { $0.name == user.name }) { return false }
            declaredUsers.append(user)
            return true
        }
    }

    /// What CONFIG REWRITE is to write for the users.
    func onRewrite(_ lines: @escaping @Sendable () -> [[UInt8]]) { lock.withLock { userLines = lines } }

    var linesOfUsers: [[UInt8]] { lock.withLock { userLines }.map { $0() } ?? [] }

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

    func remember(directory line: ConfigLine) { lock.withLock { directoryLine = line } }

    /// The line of the last `dir`; nil when there was none or it was taken.
    func takeDirectoryLine() -> ConfigLine? {
        lock.withLock {
            defer { directoryLine = nil }
            return directoryLine
        }
    }

    /// Gives a number what the system allows instead of what was asked for.
    func lower(_ name: String, to number: Int) {
        let index = known(name)
        lock.withLock { values[index] = ConfigValue(bytes: Array(String(number).utf8), number: Int64(number)) }
    }

    /// Stores a text as it is.
    func replace(_ index: Int, with text: String) {
        lock.withLock { values[index] = ConfigValue(bytes: Array(text.utf8)) }
    }

    // MARK: CONFIG GET and SET

    /// Names and values that any of the patterns (without regard to case) names, each once.
    package func matching(_ patterns: [ByteView]) -> [(name: String, value: [UInt8])] {
        var found: [(name: String, value: [UInt8])] = []
        var seen = Set<String>()
        for given in patterns {
            let text = given.string.lowercased()
            let isPattern = text.utf8.contains { "*?[".utf8.contains($0) }
            if !isPattern {
                // A name comes back as it was asked for.
                if let index = indexByName[text], seen.insert(text).inserted {
                    found.append((given.string, answer(index)))
                }
                continue
            }
            for name in matchingNames(text) where seen.insert(name.name).inserted {
                found.append((name.name, answer(name.index)))
            }
        }
        return found
    }

    /// Listed names that a pattern in lower case names, in the schema's order.
    private func matchingNames(_ pattern: String) -> [(name: String, index: Int)] {
        var found: [(name: String, index: Int)] = []
        Array(pattern.utf8).withView { view in
            let glob = GlobPattern(view)
            for (index, directive) in directives.enumerated() where !directive.isHidden {
                for name in [directive.name] + directive.aliases
                where Array(name.utf8).withView({ glob.matches($0) }) {
                    found.append((name, index))
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
        // Two names of one setting are no duplicates: the last value stays.
        var names = Set<String>()
        let protectedLevel = text("enable-protected-configs")
        for pair in pairs {
            let name = String(decoding: pair.name, as: UTF8.self)
            guard let index = indexByName[name.lowercased()] else {
                unknown = name
                break
            }
            switch directives[index].mutability {
            case .atStart: fault = (name, "can't set immutable config")
            case .protected where protectedLevel == "no" || (protectedLevel == "local" && !isLocal):
                fault = (name, "can't set protected config")
            default: break
            }
            if !names.insert(name.lowercased()).inserted && fault == nil { fault = (name, "duplicate parameter") }
            if fault != nil { break }
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

    /// Parses and applies; returns the pair at fault, its name in lower case, after putting everything back.
    private func store(
        _ indexes: [Int], _ pairs: [(name: [UInt8], value: [UInt8])]
    ) -> (name: String, text: String)? {
        func name(_ position: Int) -> String { String(decoding: pairs[position].name, as: UTF8.self).lowercased() }
        var fresh: [ConfigValue] = []
        for (position, index) in indexes.enumerated() {
            do throws(ConfigValueError) {
                fresh.append(try directives[index].parse([pairs[position].value], previous: value(index)))
            } catch {
                return (name(position), error.text)
            }
            if directives[index].mutability == .fixed && fresh[position] != value(index) {
                return (name(position), "can't set immutable config")
            }
        }
        let old = indexes.map { value($0) }
        if let fault = storeGroups(indexes, fresh, old) {
            return (name(fault.position), fault.text)
        }
        for (position, index) in indexes.enumerated()
        where fresh[position] != old[position] && indexes.lastIndex(of: index) == position {
            do throws(ConfigValueError) {
                try apply(index, fresh[position])
            } catch {
                for undone in (0...position).reversed() where fresh[undone] != old[undone] {
                    restore(indexes[undone], old[undone])
                }
                restoreGroups(indexes, old)
                return (name(position), error.text)
            }
        }
        lock.withLock { for index in indexes { isGiven[index] = true } }
        return nil
    }

    /// Gives the members of groups their new values and lets the groups act; the position of the first member of one
    /// that refuses, with everything as before.
    private func storeGroups(
        _ indexes: [Int], _ fresh: [ConfigValue], _ old: [ConfigValue]
    ) -> (position: Int, text: String)? {
        let concerned = lock.withLock {
            let concerned = groups.filter { !$0.members.isDisjoint(with: indexes) }
            for (position, index) in indexes.enumerated()
            where concerned.contains(where: { $0.members.contains(index) }) {
                values[index] = fresh[position]
            }
            return concerned
        }
        for group in concerned {
            do throws(ConfigValueError) {
                try group.apply()
            } catch {
                restoreGroups(indexes, old)
                return (indexes.firstIndex { group.members.contains($0) } ?? 0, error.text)
            }
        }
        return nil
    }

    private func restoreGroups(_ indexes: [Int], _ old: [ConfigValue]) {
        let concerned = lock.withLock {
            let concerned = groups.filter { !$0.members.isDisjoint(with: indexes) }
            for (position, index) in indexes.enumerated()
            where concerned.contains(where: { $0.members.contains(index) }) {
                values[index] = old[position]
            }
            return concerned
        }
        // What was in force before and is refused now stays in force where it acts.
        for group in concerned { do throws(ConfigValueError) { try group.apply() } catch { continue } }
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
