// A store that lives through a script on a disk of choice, beside a record of what it was told and what it promised.
//
// Whatever happens to the disk, the oracle is the same: what a later start finds is exactly the state after some number
// of the script's batches, not fewer than were promised. The sequence number of a batch's last operation says which
// number.
//
// The store runs without threads, so the disk operations of a script are the same in every run with the same seed.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// What the script has done and been promised up to now.
final class StorePromises {
    struct Batch {
        /// Sequence of the last operation.
        var sequence: UInt64
        var position: LogPosition
    }

    var batches: [Batch] = []
    /// `states[n]`: what the store holds after `n` batches.
    var states: [[[UInt8]: ModelValue]] = [[:]]
    /// Batches that were acknowledged, and that were durable, when a call of the store last returned.
    var acknowledged = 0
    var durable = 0

    var state: [[UInt8]: ModelValue] { states[states.count - 1] }

    /// Notes what the store promises now.
    func take(_ store: Store) {
        let acknowledgedUpTo = store.acknowledgedPosition
        let durableUpTo = store.log.durable
        while acknowledged < batches.count, batches[acknowledged].position <= acknowledgedUpTo { acknowledged += 1 }
        while durable < batches.count, batches[durable].position <= durableUpTo { durable += 1 }
    }

    /// A start has recovered `count` batches: the rest never was, and what was recovered is durable.
    func restart(at count: Int) {
        batches.removeSubrange(count...)
        states.removeSubrange((count + 1)...)
        acknowledged = count
        durable = count
    }

    /// How many batches a store holds whose last sequence is `sequence`; nil when that is the middle of one.
    func count(upTo sequence: UInt64) -> Int? {
        if sequence == 0 { return 0 }
        return batches.lastIndex { $0.sequence == sequence }.map { $0 + 1 }
    }

    func copy() -> StorePromises {
        let copy = StorePromises()
        copy.batches = batches
        copy.states = states
        copy.acknowledged = acknowledged
        copy.durable = durable
        return copy
    }
}

/// Runs a store by a seed.
final class StoreScript {
    let disk: any Disk
    let promises: StorePromises
    let policy: SyncPolicy
    var random: SeededRandom
    private(set) var store: Store?
    /// What it is at; jobs on the tree say more.
    private(set) var work = StoreWork.open
    /// Faults that a call threw and after which the script went on.
    private(set) var faults: [any Error] = []
    var survivesFaults = false
    /// Most segments that one life rewrote.
    private(set) var rewrites: UInt64 = 0
    /// Holes that all lives together made.
    private(set) var holes: UInt64 = 0
    /// Kinds of jobs on the tree that have been done.
    private(set) var jobs: Set<String> = []

    init(_ disk: any Disk, _ promises: StorePromises, policy: SyncPolicy, seed: UInt64) {
        self.disk = disk
        self.promises = promises
        self.policy = policy
        random = SeededRandom(seed: seed)
    }

    static func options(_ policy: SyncPolicy) -> StoreOptions {
        var options = StoreOptions(path: "/store")
        options.syncPolicy = policy
        options.memoryBytes = 1 << 20
        options.tableBytes = 4096
        options.blockBytes = 256
        options.segmentBytes = 64 << 10
        options.tableFileBytes = 2048
        options.valueSeparationThreshold = 64
        options.mergeWidth = 2
        options.pushBytes = 4096
        options.leafBytes = 6 << 10
        options.jobBytes = 4096
        options.fanOut = 3
        options.deletesEntriesMin = 8
        options.manifestRollBytes = 1024
        options.countsNamespaces = true
        options.usesThreads = false
        options.spaceTarget = 1.1
        options.punchBytesMin = 8192
        options.holesPerSegmentMax = 4
        return options
    }

    static func open(_ disk: any Disk, _ policy: SyncPolicy, at path: String = "/store") throws -> Store {
        var options = options(policy)
        options.path = path
        return try Store.open(options, disk: disk)
    }

    // MARK: Keys and values

    /// Namespaces 1 and 2 have counted keys (space 1); namespace 2 also others, of which ranges are deleted; namespace
    /// 3 is deleted as a whole in the middle of the script and then left alone.
    private func key() -> [UInt8] {
        let number = random.below(24)
        let text = Array("key:\(number)".utf8)
        switch random.below(8) {
        case 0..<4: return [0, 0, 0, 1, 1] + text
        case 4, 5: return [0, 0, 0, 2, 1] + text
        case 6 where !isNamespaceGone: return [0, 0, 0, 3, 1] + text
        default: return [0, 0, 0, 2, 3] + text
        }
    }

    private var isNamespaceGone = false

    /// Values so large that segments fill up and garbage is collected.
    var isHeavy = false

    private func value() -> ModelValue {
        let length =
            isHeavy
            ? [100, 1500, 6000, 9000, 20_000][random.below(5)]
            : random.oneIn(40) ? 20_000 : [0, 3, 20, 60, 100, 300, 1500][random.below(7)]
        let seed = UInt8(truncatingIfNeeded: random.next())
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) ^ seed }
        return ModelValue(tag: UInt8(1 + random.below(5)), expireAt: UInt64(random.below(3)), bytes: bytes)
    }

    // MARK: The script

    /// `lives` lives with a clean or unclean end each. Throws when the store cannot go on.
    func run(
        lives: Int = 3, steps: Int = 20, before: (_ life: Int, _ step: Int) throws -> Void = { _, _ in }
    ) throws {
        for life in 0..<lives {
            try open()
            for step in 0..<steps {
                if life == 1 && step == steps / 2 { try dropNamespace() }
                try before(life, step)
                try self.step()
            }
            if random.oneIn(2) { try close() } else { store = nil }
        }
    }

    func open() throws {
        work = .open
        store = nil
        let opened: Store
        do {
            opened = try StoreScript.open(disk, policy)
        } catch  where survivesFaults {
            faults.append(error)
            opened = try StoreScript.open(disk, policy)
        }
        store = opened
        guard let count = promises.count(upTo: opened.visibleSequence) else {
            Issue.record("a start recovered half a batch, up to \(opened.visibleSequence)")
            throw StoreError(.corruption, "half a batch")
        }
        #expect(count >= promises.durable)
        promises.restart(at: count)
    }

    /// The process ends without a word.
    func abandon() { store = nil }

    func close() throws {
        guard let store else { return }
        work = .close
        if !survivesFaults { expectExactGarbage(store, mayRepeat: true, "script") }
        self.store = nil
        // What is acknowledged when `close` returns is known only here.
        do { try store.close() } catch  where survivesFaults { faults.append(error) }
        promises.take(store)
    }

    private func step() throws {
        guard let store else { return }
        switch random.below(20) {
        case 0..<13: try commit(store)
        case 13: try attempt { try store.sync() }
        case 14, 15: try flush()
        case 16:
            work = .jobs
            try attempt { for _ in 0..<random.below(12) { if try !store.controller.mergeOnce() { break } } }
        case 17:
            work = .jobs
            try attempt { if random.oneIn(3) { try store.mergeAll() } else { try store.resolveCounts() } }
        case 18: try collect()
        default: try commit(store, deletesRange: true)
        }
        promises.take(store)
        jobs.formUnion(store.controller.counters.jobs.keys)
    }

    func flush() throws {
        guard let store else { return }
        work = .flush
        try attempt { try store.flushTables() }
        promises.take(store)
    }

    func collect() throws {
        guard let store else { return }
        work = .collect
        store.janitor.drain()
        let before = store.collector.counters.withLock { $0.holes }
        try attempt { try store.collectGarbage() }
        holes += store.collector.counters.withLock { $0.holes } - before
        rewrites = max(rewrites, store.collector.counters.withLock { $0.segmentsRewritten })
    }

    /// `body` is work of this kind, for those who ask what the script is at.
    func doing(_ kind: StoreWork, _ body: (Store) throws -> Void) throws {
        guard let store else { return }
        work = kind
        try attempt { try body(store) }
        promises.take(store)
        jobs.formUnion(store.controller.counters.jobs.keys)
    }

    func attempt(_ body: () throws -> Void) throws {
        do { try body() } catch  where survivesFaults { faults.append(error) }
    }

    func dropNamespace() throws {
        guard let store else { return }
        isNamespaceGone = true
        var state = promises.state
        let batch = WriteBatch()
        let lower: [UInt8] = [0, 0, 0, 3]
        let upper: [UInt8] = [0, 0, 0, 4]
        lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
        state = state.filter { $0.key[3] != 3 }
        try commit(batch, state, store)
    }

    private func commit(_ store: Store, deletesRange: Bool = false) throws {
        let batch = WriteBatch()
        var state = promises.state
        if deletesRange {
            let first = UInt8(0x30 + random.below(8))
            let lower: [UInt8] = [0, 0, 0, 2, 3] + Array("key:".utf8) + [first]
            let upper: [UInt8] = [0, 0, 0, 2, 3] + Array("key:".utf8) + [first + 2]
            lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
            state = state.filter { entry in
                !entry.key.withView { k in
                    lower.withView { $0.compare(k) <= 0 } && upper.withView { k.compare($0) < 0 }
                }
            }
        }
        for _ in 0..<(random.oneIn(2) ? 1 : 1 + random.below(6)) {
            let key = key()
            let old = state[key]
            if random.oneIn(4) {
                guard let old else { continue }
                key.withView { batch.delete($0, prior: .present(hadExpiry: old.expireAt != 0)) }
                state[key] = nil
            } else {
                let value = value()
                let known: Prior = old.map { .present(hadExpiry: $0.expireAt != 0) } ?? .absent
                let prior = random.oneIn(2) ? .unknown : known
                key.withView { k in
                    value.bytes.withView {
                        batch.put(k, tag: value.tag, expireAt: value.expireAt, value: $0, prior: prior)
                    }
                }
                // Large values are only referenced by the batch.
                kept.append(value.bytes)
                state[key] = value
            }
        }
        if !batch.isEmpty { try commit(batch, state, store) }
        kept = []
    }

    private var kept: [[UInt8]] = []

    func commit(_ batch: WriteBatch, _ state: [[UInt8]: ModelValue], _ store: Store) throws {
        work = .commit
        let position: LogPosition
        do {
            position = try store.commit(batch, mayBlock: true)
        } catch Interruption.noSpace where survivesFaults {
            // Nothing was applied.
            faults.append(Interruption.noSpace)
            return
        }
        promises.batches.append(.init(sequence: store.visibleSequence, position: position))
        promises.states.append(state)
        // Some replies wait for those of later commands.
        if !random.oneIn(3) { _ = try store.flushLog(position) }
        promises.take(store)
    }
}

/// Looks whether a store holds exactly `state`. Reads may fail only with `mayFail`; they may never be wrong.
func expectState(
    _ store: Store, _ state: [[UInt8]: ModelValue], mayFail: Bool = false, _ context: @autoclosure () -> String
) {
    let reader = StoreReader(store, mayBlock: true)
    reader.begin()
    defer { reader.end() }
    var keys: [[UInt8]] = []
    for space in [[1, 1], [2, 1], [3, 1], [2, 3], [1, 7]] as [[UInt8]] {
        for number in 0..<24 { keys.append([0, 0, 0] + space + Array("key:\(number)".utf8)) }
    }
    for key in keys {
        do {
            let found = try key.withView { view -> ModelValue? in
                guard let entry = try reader.find(view) else { return nil }
                let tag = entry.pointee.tag
                let expireAt = entry.pointee.expireAt
                return ModelValue(tag: tag, expireAt: expireAt, bytes: try reader.value(entry).array)
            }
            if found != state[key] {
                func words(_ value: ModelValue?) -> String {
                    value.map { "\($0.bytes.count) bytes, tag \($0.tag), expiry \($0.expireAt)" } ?? "nothing"
                }
                Issue.record("\(words(found)), not \(words(state[key])), for \(key): \(context())")
            }
        } catch {
            if !mayFail { Issue.record("reading \(key) failed (\(error)): \(context())") }
        }
    }
    let sorted = state.keys.sorted { a, b in a.withView { x in b.withView { x.compare($0) < 0 } } }
    do {
        let lower: [UInt8] = [0]
        let upper: [UInt8] = [255]
        let cursor = try lower.withView { l in try upper.withView { try reader.cursor(lower: l, upper: $0) } }
        try cursor.seekToFirst()
        var at = 0
        while cursor.isValid {
            guard at < sorted.count, cursor.key.array == sorted[at] else {
                Issue.record("the scan is wrong at its entry \(at), \(cursor.key.array): \(context())")
                return
            }
            let bytes = try cursor.value().array
            if bytes != state[sorted[at]]?.bytes { Issue.record("wrong value in the scan: \(context())") }
            at += 1
            try cursor.next()
        }
        if at != sorted.count { Issue.record("the scan ends early, at \(at) of \(sorted.count): \(context())") }
    } catch {
        if !mayFail { Issue.record("the scan failed (\(error)): \(context())") }
    }
}

/// Looks whether the counts equal those of `state`. Changes the store: what was not known before is then recorded.
func expectCounts(_ store: Store, _ state: [[UInt8]: ModelValue], _ context: @autoclosure () -> String) {
    do {
        try store.resolveCounts()
    } catch {
        Issue.record("counting failed (\(error)): \(context())")
        return
    }
    for namespace in [1, 2] as [UInt8] {
        let counted = state.filter { $0.key[3] == namespace && $0.key[4] == 1 }
        let expires = counted.filter { $0.value.expireAt != 0 }.count
        let wanted = NamespaceCounts(keys: Int64(counted.count), expires: Int64(expires))
        let counts = store.counts(namespace: UInt32(namespace))
        if counts != wanted { Issue.record("namespace \(namespace): \(counts), not \(wanted): \(context())") }
    }
}
