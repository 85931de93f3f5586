// A disk in memory that can lose power. Programs see what they wrote; `crashClone` shows what another machine would
// find on the device after a power loss (or a killed process) at this moment, by seed and policy.
//
// How to use it for crash tests:
// 1. Run the script once on a fresh disk and read `operationCount`.
// 2. For every n up to it: fresh disk, `crashAt(operation: n)`, run until the injected error, then open
//    `crashClone(seed:policy:)` for some seeds and check what the store holds. Or, in one run: take the clones from
//    `onOperation`, which is called after every operation.
// 3. Set `mutation` to switch syncs off: some crash test has to fail, or the tests are blind there.
//
// Only operations that change something are counted: opens that create or cut, writes, syncs, size and space changes,
// and everything about names. An interrupted write leaves a prefix of whole sectors behind.
//
// Any thread may call anything; one lock guards the whole disk, its directories and its files.

import Glibc
import Synchronization
import ValkBase
import ValkDisk

package final class SimulatedDisk: Disk, @unchecked Sendable {  // Everything mutable is guarded by `guardian`.
    /// Syncs that are made to do nothing, as if the code had forgotten them.
    package struct Mutation: Sendable {
        /// Given the path of the file, whether its sync is forgotten.
        package var ignoresSync: (@Sendable (String) -> Bool)?
        /// Given the path of the directory, whether its sync is forgotten.
        package var ignoresDirectorySync: (@Sendable (String) -> Bool)?
        /// Given the path of a file or directory, and in words what was done to the disk just before, whether its sync
        /// is forgotten: for one place in a program among several that sync the same. Must not ask the disk anything.
        package var forgets: (@Sendable (_ path: String, _ before: String) -> Bool)?

        package static let none = Mutation()
        package init(
            ignoresSync: (@Sendable (String) -> Bool)? = nil,
            ignoresDirectorySync: (@Sendable (String) -> Bool)? = nil,
            forgets: (@Sendable (_ path: String, _ before: String) -> Bool)? = nil
        ) {
            self.ignoresSync = ignoresSync
            self.ignoresDirectorySync = ignoresDirectorySync
            self.forgets = forgets
        }
    }

    /// What `tryRead` says.
    package enum Residency: Sendable {
        /// Everything is in memory.
        case all
        /// Nothing is: always `wouldBlock`.
        case none
        /// By chance, from this seed.
        case random(UInt64)
    }

    let guardian = Lock()
    private let root: SimulatedDirectory
    private var nextNumber: UInt64
    private var locks: Set<ObjectIdentifier> = []
    private var operations = 0
    private var crashOperation = Int.max
    private var hasCrashed = false
    private var activeMutation = Mutation.none
    private var ignoredSyncs = 0
    private var residencyNow = Residency.all
    private var residencyRandom = SeededRandom(seed: 0)
    private var capacity = 1 << 40
    private var recent: [String] = []
    private var observer: (@Sendable (Int) -> Void)?

    package convenience init() { self.init(root: SimulatedDirectory(), nextNumber: 1) }

    private init(root: SimulatedDirectory, nextNumber: UInt64) {
        self.root = root
        self.nextNumber = nextNumber
    }

    // MARK: Control

    /// Operations that changed something so far, the one that crashed included.
    package var operationCount: Int { guardian.withLock { operations } }

    /// True once the operation given to `crashAt` was reached.
    package var isCrashed: Bool { guardian.withLock { hasCrashed } }

    /// The process dies inside the `operation`th counted operation (1-based): it and all calls after it throw.
    package func crashAt(operation: Int) { guardian.withLock { crashOperation = operation } }

    /// The process dies now.
    package func crash() { guardian.withLock { hasCrashed = true } }

    /// Syncs to forget; clones inherit it, being run by the same code.
    package var mutation: Mutation {
        get { guardian.withLock { activeMutation } }
        set { guardian.withLock { activeMutation = newValue } }
    }

    /// How often a mutation swallowed a sync: a mutation test that never hit one proves nothing.
    package var ignoredSyncCount: Int { guardian.withLock { ignoredSyncs } }

    package var residency: Residency {
        get { guardian.withLock { residencyNow } }
        set {
            guardian.withLock {
                residencyNow = newValue
                if case .random(let seed) = newValue { residencyRandom = SeededRandom(seed: seed) }
            }
        }
    }

    /// Bytes of the whole disk; writes and allocations past it throw `.noSpace`.
    package var capacityBytes: Int {
        get { guardian.withLock { capacity } }
        set { guardian.withLock { capacity = newValue } }
    }

    /// Called with the operation's number after each, on the thread that made it, without the lock.
    package var onOperation: (@Sendable (Int) -> Void)? {
        get { guardian.withLock { observer } }
        set { guardian.withLock { observer = newValue } }
    }

    /// The last operations in words, newest last: what to print when a crash test fails.
    package var recentOperations: [String] { guardian.withLock { recent } }

    /// A new disk as the next start would find it, had the crash come now. This disk is not touched and may go on.
    package func crashClone(seed: UInt64, policy: CrashPolicy) -> SimulatedDisk {
        guardian.withLock {
            let crash = SimulatedCrash(policy, seed: seed)
            guard case .directory(let top) = crash.cloned(.directory(root)) else { preconditionFailure("root") }
            let clone = SimulatedDisk(root: top, nextNumber: nextNumber)
            clone.activeMutation = activeMutation
            clone.residencyNow = residencyNow
            clone.residencyRandom = residencyRandom
            clone.capacity = capacity
            return clone
        }
    }

    // MARK: Disk

    package func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        try perform { () throws(DiskError) in
            try alive("open", path)
            let (directory, name) = try parent(path, "open")
            if let node = directory.entries[name] {
                guard case .file(let inode) = node else { throw DiskError(.system, "open", path, code: EISDIR) }
                if mode.contains(.create) && mode.contains(.exclusive) {
                    throw DiskError(.exists, "open", path, code: EEXIST)
                }
                if mode.contains(.truncate) && inode.current.size > 0 {
                    try count("truncate", path, "at open")
                    inode.apply(.resize(0))
                }
                return SimulatedFile(path: path, mode: mode, disk: self, inode: inode)
            }
            if !mode.contains(.create) { throw DiskError(.notFound, "open", path, code: ENOENT) }
            try count("create", path)
            let inode = SimulatedInode(id: takeNumber())
            directory.set(name, .file(inode), number: takeNumber())
            return SimulatedFile(path: path, mode: mode, disk: self, inode: inode)
        }
    }

    package func exists(_ path: String) throws(DiskError) -> Bool {
        try guardian.withLock { () throws(DiskError) in
            try alive("stat", path)
            return node(at: path) != nil
        }
    }

    package func list(_ directory: String) throws(DiskError) -> [String] {
        try guardian.withLock { () throws(DiskError) in
            try alive("list", directory)
            // Always the same order, so that a script repeats itself, but not one to rely upon.
            return try self.directory(directory, "list").entries.keys.sorted(by: >)
        }
    }

    package func createDirectory(_ path: String) throws(DiskError) {
        try perform { () throws(DiskError) in
            try alive("mkdir", path)
            switch node(at: path) {
            case .directory: return
            case .file: throw DiskError(.exists, "mkdir", path, code: EEXIST)
            case nil: break
            }
            let (directory, name) = try parent(path, "mkdir")
            try count("mkdir", path)
            directory.set(name, .directory(SimulatedDirectory()), number: takeNumber())
        }
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        try perform { () throws(DiskError) in
            try alive("sync directory", path)
            let directory = try self.directory(path, "sync directory")
            try count("sync directory", path)
            if forgetsSync(path, activeMutation.ignoresDirectorySync) { return }
            let numbers = directory.sync()
            if !numbers.isEmpty { forEachDirectory(root) { $0.settle(numbers) } }
        }
    }

    package func rename(_ source: String, to target: String) throws(DiskError) {
        try perform { () throws(DiskError) in
            try alive("rename", source)
            let (from, name) = try parent(source, "rename")
            let (to, newName) = try parent(target, "rename")
            guard let node = from.entries[name] else { throw DiskError(.notFound, "rename", source, code: ENOENT) }
            switch (node, to.entries[newName]) {
            case (_, let old?) where old.identity == node.identity: return
            case (.file, .directory?): throw DiskError(.system, "rename", source, code: EISDIR)
            case (.directory, .file?): throw DiskError(.system, "rename", source, code: ENOTDIR)
            case (.directory, .directory(let old)?) where !old.entries.isEmpty:
                throw DiskError(.system, "rename", source, code: ENOTEMPTY)
            default: break
            }
            try count("rename", source, "to \(target)")
            let number = takeNumber()
            from.set(name, nil, number: number)
            to.set(newName, node, number: number)
        }
    }

    package func remove(_ path: String) throws(DiskError) {
        try perform { () throws(DiskError) in
            try alive("remove", path)
            let (directory, name) = try parent(path, "remove")
            switch directory.entries[name] {
            case nil: throw DiskError(.notFound, "remove", path, code: ENOENT)
            case .directory(let inner)?:
                if !inner.entries.isEmpty { throw DiskError(.system, "remove", path, code: ENOTEMPTY) }
            case .file?: break
            }
            try count("remove", path)
            directory.set(name, nil, number: takeNumber())
        }
    }

    package func link(_ source: String, to target: String) throws(DiskError) {
        try perform { () throws(DiskError) in
            try alive("link", source)
            guard let node = node(at: source) else { throw DiskError(.notFound, "link", source, code: ENOENT) }
            guard case .file = node else { throw DiskError(.unsupported, "link", source, code: EPERM) }
            let (to, name) = try parent(target, "link")
            if to.entries[name] != nil { throw DiskError(.exists, "link", target, code: EEXIST) }
            try count("link", source, "to \(target)")
            to.set(name, node, number: takeNumber())
        }
    }

    package func lock(_ path: String) throws(DiskError) -> any DiskLock {
        let file = try open(path, [.readWrite, .create])
        guard let file = file as? SimulatedFile else { preconditionFailure("open gave a \(type(of: file))") }
        defer { file.close() }
        let key = ObjectIdentifier(file.inode)
        let isTaken = guardian.withLock { !locks.insert(key).inserted }
        if isTaken { throw DiskError(.locked(getpid()), "lock", path, code: EWOULDBLOCK) }
        let held = SimulatedLock(self, file.inode)
        try file.truncate(to: 0)
        try file.write(Array("\(getpid())\n".utf8), at: 0)
        return held
    }

    package func lockUnchanged(_ path: String) throws(DiskError) -> (any DiskLock)? {
        guard try exists(path) else { return nil }
        let file = try open(path, .readOnly)
        guard let file = file as? SimulatedFile else { preconditionFailure("open gave a \(type(of: file))") }
        defer { file.close() }
        let key = ObjectIdentifier(file.inode)
        let isTaken = guardian.withLock { !locks.insert(key).inserted }
        if isTaken { throw DiskError(.locked(getpid()), "lock", path, code: EWOULDBLOCK) }
        return SimulatedLock(self, file.inode)
    }

    package func space(_ path: String) throws(DiskError) -> (free: UInt64, total: UInt64) {
        try guardian.withLock { () throws(DiskError) in
            try alive("space", path)
            if node(at: path) == nil { throw DiskError(.notFound, "space", path, code: ENOENT) }
            return (UInt64(max(capacity - usedBytes(), 0)), UInt64(capacity))
        }
    }

    // MARK: For files and locks of this disk

    fileprivate func unlock(_ inode: SimulatedInode) {
        guardian.withLock { _ = locks.remove(ObjectIdentifier(inode)) }
    }

    /// Runs `body` under the lock and then tells the observer, if an operation was counted.
    func perform<R>(_ body: () throws(DiskError) -> R) throws(DiskError) -> R {
        guardian.lock()
        let before = operations
        let outcome: Result<R, DiskError>
        do throws(DiskError) {
            outcome = .success(try body())
        } catch {
            outcome = .failure(error)
        }
        let after = operations
        let observer = hasCrashed ? nil : self.observer
        guardian.unlock()
        if after > before { observer?(after) }
        return try outcome.get()
    }

    /// For callers that hold the lock.
    var operationsUnlocked: Int { operations }

    func alive(_ operation: String, _ path: String) throws(DiskError) {
        if hasCrashed { throw DiskError(.system, operation, path, code: EIO, injected: true) }
    }

    /// Counts an operation that is about to change something; throws when it is the one to crash in.
    func count(
        _ operation: String, _ path: String, _ detail: @autoclosure () -> String = "", interrupted: () -> Void = {}
    ) throws(DiskError) {
        operations += 1
        if recent.count >= 64 { recent.removeFirst(32) }
        recent.append("\(operations): \(operation) \(path) \(detail())")
        if operations < crashOperation { return }
        hasCrashed = true
        interrupted()
        throw DiskError(.system, operation, path, code: EIO, injected: true)
    }

    /// Whether the file's sync is one to forget.
    func forgetsSync(_ path: String) -> Bool { forgetsSync(path, activeMutation.ignoresSync) }

    /// The sync itself has been counted.
    private func forgetsSync(_ path: String, _ ignores: (@Sendable (String) -> Bool)?) -> Bool {
        let before = recent.count > 1 ? recent[recent.count - 2] : ""
        guard ignores?(path) == true || activeMutation.forgets?(path, before) == true else { return false }
        ignoredSyncs += 1
        return true
    }

    func isResident() -> Bool {
        switch residencyNow {
        case .all: true
        case .none: false
        case .random: residencyRandom.oneIn(2)
        }
    }

    func requireSpace(_ bytes: Int, _ operation: String, _ path: String, _ offset: Int) throws(DiskError) {
        // Walking the tree for every write would be slow; disks without a set size are never full.
        if capacity >= 1 << 40 || usedBytes() + bytes <= capacity { return }
        throw DiskError(.noSpace, operation, path, offset: offset, code: ENOSPC)
    }

    // MARK: Names

    private func takeNumber() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    private func usedBytes() -> Int {
        var seen: Set<ObjectIdentifier> = []
        var total = 0
        forEachDirectory(root) { directory in
            for case .file(let inode) in directory.entries.values where seen.insert(ObjectIdentifier(inode)).inserted {
                total += inode.current.allocatedBytes
            }
        }
        return total
    }

    /// For callers that hold the lock: names that lead to this file.
    func nameCount(_ inode: SimulatedInode) -> Int {
        var count = 0
        forEachDirectory(root) { directory in
            for case .file(let other) in directory.entries.values where other === inode { count += 1 }
        }
        return count
    }

    private func forEachDirectory(_ directory: SimulatedDirectory, _ body: (SimulatedDirectory) -> Void) {
        body(directory)
        for case .directory(let inner) in directory.entries.values { forEachDirectory(inner, body) }
    }

    private func components(_ path: String) -> [Substring] {
        path.split(separator: "/").filter { $0 != "." }
    }

    private func node(at path: String) -> SimulatedNode? {
        var node = SimulatedNode.directory(root)
        for name in components(path) {
            guard case .directory(let directory) = node, let next = directory.entries[String(name)] else { return nil }
            node = next
        }
        return node
    }

    private func directory(_ path: String, _ operation: String) throws(DiskError) -> SimulatedDirectory {
        switch node(at: path) {
        case .directory(let directory)?: return directory
        case .file?: throw DiskError(.system, operation, path, code: ENOTDIR)
        case nil: throw DiskError(.notFound, operation, path, code: ENOENT)
        }
    }

    private func parent(_ path: String, _ operation: String) throws(DiskError) -> (SimulatedDirectory, String) {
        let names = components(path)
        guard let last = names.last else { throw DiskError(.system, operation, path, code: EISDIR) }
        guard case .directory(let directory)? = node(at: names.dropLast().joined(separator: "/")) else {
            throw DiskError(.notFound, operation, path, code: ENOENT)
        }
        return (directory, String(last))
    }
}

final class SimulatedLock: DiskLock, @unchecked Sendable {  // The inode is only named here, never read.
    private let disk: SimulatedDisk
    private let inode: SimulatedInode
    private let isReleased = Atomic(false)

    init(_ disk: SimulatedDisk, _ inode: SimulatedInode) {
        self.disk = disk
        self.inode = inode
    }

    deinit { release() }

    func release() {
        // A second release must not drop a later holder's lock.
        if !isReleased.exchange(true, ordering: .acquiringAndReleasing) { disk.unlock(inode) }
    }
}
