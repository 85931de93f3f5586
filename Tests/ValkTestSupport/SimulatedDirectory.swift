// One directory of a simulated disk: the names that programs see, the names that survive a power loss, and the changes
// between the two. Each change is kept or dropped by itself, so names may survive out of order; the two halves of a
// rename share a number and survive together, as rename is atomic.
//
// Guarded by the lock of its disk.

import ValkBase

enum SimulatedNode {
    case file(SimulatedInode)
    case directory(SimulatedDirectory)

    var identity: ObjectIdentifier {
        switch self {
        case .file(let inode): ObjectIdentifier(inode)
        case .directory(let directory): ObjectIdentifier(directory)
        }
    }
}

final class SimulatedDirectory {
    struct Change {
        /// Shared by the halves of a rename.
        let number: UInt64
        let name: String
        /// What the name means afterwards, nil when it is gone.
        let node: SimulatedNode?
    }

    private(set) var entries: [String: SimulatedNode] = [:]
    private(set) var durable: [String: SimulatedNode] = [:]
    private(set) var pending: [Change] = []

    func set(_ name: String, _ node: SimulatedNode?, number: UInt64) {
        entries[name] = node
        pending.append(Change(number: number, name: name, node: node))
    }

    /// Returns the numbers of what became durable, so that the other halves of renames can follow.
    func sync() -> Set<UInt64> {
        let numbers = Set(pending.map(\.number))
        durable = entries
        pending.removeAll()
        return numbers
    }

    /// Makes the changes with these numbers durable, and what came before them under the same names.
    func settle(_ numbers: Set<UInt64>) {
        for change in pending where numbers.contains(change.number) {
            durable[change.name] = change.node
            guard let last = pending.lastIndex(where: { $0.number == change.number && $0.name == change.name }) else {
                continue
            }
            let before = pending[...last].filter { $0.name != change.name }
            pending.replaceSubrange(...last, with: before)
        }
    }

    func crashClone(_ crash: SimulatedCrash) -> SimulatedDirectory {
        let clone = SimulatedDirectory()
        if crash.policy == .keepAll {
            clone.entries = crash.cloned(entries)
            clone.durable = crash.cloned(durable)
            clone.pending = pending.map {
                Change(number: $0.number, name: $0.name, node: $0.node.map(crash.cloned))
            }
        } else {
            var names = durable
            for change in pending where crash.keepsName(change.number) { names[change.name] = change.node }
            clone.entries = crash.cloned(names)
            clone.durable = clone.entries
        }
        return clone
    }
}

/// One crash: remembers which file became which, so that hard links stay links.
final class SimulatedCrash {
    private enum Names { case kept, dropped, scattered }

    let policy: CrashPolicy
    private let seed: UInt64
    private let names: Names
    private var files: [ObjectIdentifier: SimulatedInode] = [:]
    private var directories: [ObjectIdentifier: SimulatedDirectory] = [:]

    init(_ policy: CrashPolicy, seed: UInt64) {
        self.policy = policy
        self.seed = seed
        if policy == .dropAll {
            names = .dropped
        } else {
            var random = SeededRandom(seed: seed)
            names = [.kept, .dropped, .scattered, .scattered][random.below(4)]
        }
    }

    /// Depends on the seed and the number only: both halves of a rename get one answer.
    func keepsName(_ number: UInt64) -> Bool {
        switch names {
        case .kept: return true
        case .dropped: return false
        case .scattered:
            var random = SeededRandom(seed: seed &+ number &* 0xD134_2543_DE82_EF95)
            return random.oneIn(2)
        }
    }

    func cloned(_ names: [String: SimulatedNode]) -> [String: SimulatedNode] { names.mapValues(cloned) }

    func cloned(_ node: SimulatedNode) -> SimulatedNode {
        switch node {
        case .file(let inode):
            if let known = files[node.identity] { return .file(known) }
            let clone = inode.crashClone(policy, seed: seed)
            files[node.identity] = clone
            return .file(clone)
        case .directory(let directory):
            if let known = directories[node.identity] { return .directory(known) }
            let clone = directory.crashClone(self)
            directories[node.identity] = clone
            return .directory(clone)
        }
    }
}
