// Which commands a selector allows: a bit for each, whether commands yet unknown count in, and for commands that are
// not allowed as a whole the first arguments with which they are.

import ValkBase
import ValkCommands

struct CommandSet: Sendable, Equatable {
    private var words: [UInt64]
    private let count: Int
    /// It began with everything: what is added to the table later is in it, too.
    private(set) var hasFuture = false
    /// By command id: first arguments, in the order given.
    private(set) var firstArguments: [Int: [[UInt8]]] = [:]

    /// Nothing.
    init(_ catalog: AccessCatalog) {
        count = catalog.commands.count
        words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    @inline(__always)
    func contains(_ id: Int) -> Bool { words[id >> 6] & (1 << UInt64(id & 63)) != 0 }

    /// Every command there is.
    var isFull: Bool { hasFuture && (0..<count).allSatisfy { contains($0) } }

    mutating func setAll(_ allowed: Bool) {
        for i in words.indices { words[i] = allowed ? UInt64.max : 0 }
        hasFuture = allowed
        firstArguments = [:]
    }

    /// A command, with all its subcommands.
    mutating func set(_ id: Int, _ allowed: Bool, _ catalog: AccessCatalog) {
        put(id, allowed)
        firstArguments[id] = nil
        for child in catalog.commands[id].children { put(child, allowed) }
    }

    mutating func set(_ category: CommandCategories, _ allowed: Bool, _ catalog: AccessCatalog) {
        for id in catalog.members(of: category) { set(id, allowed, catalog) }
    }

    mutating func allow(_ id: Int, firstArgument: [UInt8]) {
        let known = firstArguments[id] ?? []
        if known.contains(where: { lowercased($0) == lowercased(firstArgument) }) { return }
        firstArguments[id] = known + [firstArgument]
    }

    func allows(_ id: Int, firstArgument: ByteView) -> Bool {
        guard let allowed = firstArguments[id] else { return false }
        return allowed.contains { lowercased($0) == lowercased(firstArgument.array) }
    }

    /// How many commands of a category are in it, and how many are not.
    func counts(_ members: [Int]) -> (inside: Int, outside: Int) {
        let inside = members.count { contains($0) }
        return (inside, members.count - inside)
    }

    func allowsTheSame(as other: CommandSet) -> Bool { (0..<count).allSatisfy { contains($0) == other.contains($0) } }

    private mutating func put(_ id: Int, _ allowed: Bool) {
        let bit: UInt64 = 1 << UInt64(id & 63)
        if allowed { words[id >> 6] |= bit } else { words[id >> 6] &= ~bit }
    }
}

/// ASCII letters in lower case.
func lowercased(_ bytes: some Sequence<UInt8>) -> [UInt8] { bytes.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 } }

// MARK: As rules

extension CommandSet {
    /// Rules that lead to this set, beginning with +@all or -@all. Categories come first, as long as one fits more of
    /// the commands than it misses, the best first; single commands mend the rest.
    func rules(_ catalog: AccessCatalog) -> String {
        var made = CommandSet(catalog)
        made.setAll(hasFuture)
        var rules = [hasFuture ? "+@all" : "-@all"]
        let adds = !hasFuture
        // What no category has explained yet.
        var rest = self
        var left = CommandCategories.names.compactMap { name in
            CommandCategories.named(name).map { (name: name, category: $0, members: catalog.members(of: $0)) }
        }
        while let best = bestCategory(left.map(\.members), in: rest, adds: adds) {
            let chosen = left.remove(at: best)
            made.set(chosen.category, adds, catalog)
            rest.set(chosen.category, !adds, catalog)
            rules.append((adds ? "+@" : "-@") + chosen.name)
        }
        for (id, command) in catalog.commands.enumerated() {
            let isAllowed = contains(id)
            if isAllowed != made.contains(id) {
                made.set(id, isAllowed, catalog)
                rules.append((isAllowed ? "+" : "-") + command.name)
            }
            if !isAllowed {
                for argument in firstArguments[id] ?? [] {
                    rules.append("+\(command.name)|" + String(decoding: argument, as: UTF8.self))
                }
            }
        }
        precondition(made.allowsTheSame(as: self), "rules \(rules) allow something else")
        return rules.joined(separator: " ")
    }

    /// The category that misses fewest commands, of those that fit more than they miss; the first of equals that fit
    /// as many.
    private func bestCategory(_ categories: [[Int]], in rest: CommandSet, adds: Bool) -> Int? {
        var best: (index: Int, misses: Int, fits: Int)?
        for (index, members) in categories.enumerated() {
            let counts = rest.counts(members)
            let fits = adds ? counts.inside : counts.outside
            let misses = adds ? counts.outside : counts.inside
            guard fits > misses else { continue }
            if let best, misses > best.misses || (misses == best.misses && fits <= best.fits) { continue }
            best = (index, misses, fits)
        }
        return best?.index
    }
}
