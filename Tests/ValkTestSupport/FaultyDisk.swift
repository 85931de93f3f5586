// A disk that fails on command. Wraps any other disk and checks every call against a list of rules, each of which says
// "the Nth matching operation, once or from then on, fails like this". Everything injected is logged; errors that
// it makes up have `injected` set.
//
// The usual loop: for n in 1..., run the script with `.any` failing at its nth operation, check what the program
// did about it, stop when `injected` stays empty.
//
// It can also hold operations back until they are let go, so that a test sees what happens meanwhile.
//
// Thread-safe: one lock guards rules, counts and log; it is not held while the wrapped disk works.

import Glibc
import ValkBase
import ValkDisk

package enum DiskOperation: String, CaseIterable, Sendable {
    case open, exists, list, createDirectory, syncDirectory, rename, remove, link, lock, space
    case read, tryRead, write, sync, size, truncate, allocate, punch, willNeed
}

/// How an operation goes wrong.
package enum DiskFault: Sendable, Equatable {
    /// Throws with this errno; the operation is not carried out.
    case error(Int32)
    /// Carries out a prefix of the write, by seed, and throws with this errno.
    case shortWrite(Int32)
    /// Reads succeed with one bit wrong, by seed; writes store one bit wrong.
    case bitFlip
    /// The sync throws EIO and the pages count as clean: some read as before they were written, the others look fine
    /// but no later sync saves them (on a `SimulatedDisk`; on others they may be saved).
    case lostPages
    /// `tryRead` answers `wouldBlock`.
    case wouldBlock

    package static let io = DiskFault.error(EIO)
    package static let noSpace = DiskFault.error(ENOSPC)
}

package struct FaultRule: Sendable {
    package var operations: Set<DiskOperation>
    /// The path must end like this; "" is every path. Renames and links match by source or target.
    package var suffix: String
    /// 1-based among the operations that match.
    package var nth: Int
    /// Fails from the nth on, not only at it.
    package var forever: Bool
    package var fault: DiskFault

    package init(
        _ operations: Set<DiskOperation>, suffix: String = "", nth: Int = 1, forever: Bool = false, _ fault: DiskFault
    ) {
        self.operations = operations
        self.suffix = suffix
        self.nth = nth
        self.forever = forever
        self.fault = fault
    }

    /// The nth operation of any kind that may fail with EIO.
    package static func any(nth: Int, forever: Bool = false, _ fault: DiskFault = .io) -> FaultRule {
        FaultRule(Set(DiskOperation.allCases), nth: nth, forever: forever, fault)
    }

    /// The nth operation that changes something.
    package static func change(nth: Int, forever: Bool = false, _ fault: DiskFault = .io) -> FaultRule {
        let changes: Set<DiskOperation> = [
            .open, .createDirectory, .syncDirectory, .rename, .remove, .link, .write, .sync, .truncate, .allocate,
            .punch,
        ]
        return FaultRule(changes, nth: nth, forever: forever, fault)
    }
}

package struct InjectedFault: Sendable, CustomStringConvertible {
    package let operation: DiskOperation
    package let path: String
    package let offset: Int
    package let fault: DiskFault

    package var description: String { "\(operation) \(path) at \(offset): \(fault)" }
}

package final class FaultyDisk: Disk, @unchecked Sendable {  // Everything mutable is guarded by `guardian`.
    package let base: any Disk
    private let guardian = Lock()
    private var rules: [(rule: FaultRule, matched: Int)]
    private var random: SeededRandom
    private var log: [InjectedFault] = []
    private var counts: [DiskOperation: Int] = [:]
    private let changed = Condition()
    private var held: Set<DiskOperation> = []
    private var heldFiles = ""
    private var waiting: [DiskOperation: Int] = [:]

    package init(_ base: any Disk, rules: [FaultRule] = [], seed: UInt64 = 1) {
        self.base = base
        self.rules = rules.map { ($0, 0) }
        self.random = SeededRandom(seed: seed)
    }

    /// Adds a rule; it counts the operations from now on.
    package func add(_ rule: FaultRule) { guardian.withLock { rules.append((rule, 0)) } }

    package func removeRules() { guardian.withLock { rules.removeAll() } }

    /// What was injected so far, in order.
    package var injected: [InjectedFault] { guardian.withLock { log } }

    package func count(_ operation: DiskOperation) -> Int { guardian.withLock { counts[operation] ?? 0 } }

    package var operationCount: Int { guardian.withLock { counts.values.reduce(0, +) } }

    // MARK: Holding back

    /// From now on these operations, too, wait for `letGo`, where the path has `part` in it.
    package func hold(_ operations: Set<DiskOperation>, onPathsWith part: String) {
        guardian.withLock {
            held.formUnion(operations)
            heldFiles = part
        }
    }

    package func letGo() {
        guardian.withLock { held.removeAll() }
        changed.broadcast()
    }

    /// Returns when an operation of this kind is held back.
    package func awaitHeld(_ operation: DiskOperation) {
        guardian.lock()
        while waiting[operation, default: 0] == 0 { changed.wait(guardian) }
        guardian.unlock()
    }

    private func waitWhileHeld(_ operation: DiskOperation, _ path: String) {
        guardian.lock()
        defer { guardian.unlock() }
        guard held.contains(operation), path.contains(heldFiles) else { return }
        waiting[operation, default: 0] += 1
        changed.broadcast()
        while held.contains(operation) { changed.wait(guardian) }
        waiting[operation, default: 0] -= 1
    }

    /// Counts the operation and says how it should fail, nil when it should not.
    func fault(_ operation: DiskOperation, _ path: String, _ other: String? = nil, at offset: Int = -1) -> DiskFault? {
        waitWhileHeld(operation, path)
        return guardian.withLock {
            counts[operation, default: 0] += 1
            var found: DiskFault?
            for index in rules.indices {
                let rule = rules[index].rule
                guard rule.operations.contains(operation) else { continue }
                guard path.hasSuffix(rule.suffix) || other?.hasSuffix(rule.suffix) == true else { continue }
                rules[index].matched += 1
                let matched = rules[index].matched
                if found == nil && (matched == rule.nth || rule.forever && matched > rule.nth) { found = rule.fault }
            }
            if let found { log.append(InjectedFault(operation: operation, path: path, offset: offset, fault: found)) }
            return found
        }
    }

    func draw() -> UInt64 { guardian.withLock { random.next() } }

    /// True while a rule could still make a sync lose pages.
    var mayLosePages: Bool { guardian.withLock { rules.contains { $0.rule.fault == .lostPages } } }

    static func error(_ fault: DiskFault, _ operation: String, _ path: String, at offset: Int = -1) -> DiskError {
        let code: Int32
        switch fault {
        case .error(let given), .shortWrite(let given): code = given
        case .bitFlip, .lostPages, .wouldBlock: code = EIO
        }
        let kind: DiskError.Kind
        switch code {
        case ENOSPC: kind = .noSpace
        case ENOENT: kind = .notFound
        case EEXIST: kind = .exists
        case EOPNOTSUPP: kind = .unsupported
        default: kind = .system
        }
        return DiskError(kind, operation, path, offset: offset, code: code, injected: true)
    }

    /// For operations that can only fail or not.
    private func pass(_ operation: DiskOperation, _ path: String, _ other: String? = nil) throws(DiskError) {
        if let fault = fault(operation, path, other) { throw FaultyDisk.error(fault, operation.rawValue, path) }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        try pass(.open, path)
        return FaultyFile(try base.open(path, mode), self)
    }

    package func exists(_ path: String) throws(DiskError) -> Bool {
        try pass(.exists, path)
        return try base.exists(path)
    }

    package func list(_ directory: String) throws(DiskError) -> [String] {
        try pass(.list, directory)
        return try base.list(directory)
    }

    package func createDirectory(_ path: String) throws(DiskError) {
        try pass(.createDirectory, path)
        try base.createDirectory(path)
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        try pass(.syncDirectory, path)
        try base.syncDirectory(path)
    }

    package func rename(_ source: String, to target: String) throws(DiskError) {
        try pass(.rename, source, target)
        try base.rename(source, to: target)
    }

    package func remove(_ path: String) throws(DiskError) {
        try pass(.remove, path)
        try base.remove(path)
    }

    package func link(_ source: String, to target: String) throws(DiskError) {
        try pass(.link, source, target)
        try base.link(source, to: target)
    }

    package func lock(_ path: String) throws(DiskError) -> any DiskLock {
        try pass(.lock, path)
        return try base.lock(path)
    }

    package func lockUnchanged(_ path: String) throws(DiskError) -> (any DiskLock)? {
        try pass(.lock, path)
        return try base.lockUnchanged(path)
    }

    package func space(_ path: String) throws(DiskError) -> (free: UInt64, total: UInt64) {
        try pass(.space, path)
        return try base.space(path)
    }
}
