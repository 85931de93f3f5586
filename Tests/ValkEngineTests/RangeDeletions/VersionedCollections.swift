// A small layer over the store, as an upper layer keeps collections: one metadata entry with a version, one entry per
// element with the version in its key, and a filter that lets merges drop what no metadata knows any more. Deleting a
// collection of any size is one small batch.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Only ever goes forward; shared by readers and filters of all lives of a store.
final class TestClock: Sendable {
    private let now = Guarded<UInt64>(1000)
    var milliseconds: UInt64 { now.withLock { $0 } }
    func advance(_ by: UInt64) { now.withLock { $0 += by } }
}

enum CollectionKeys {
    static func metadata(_ name: String) -> [UInt8] { [0, 0, 0, 1, 1] + Array(name.utf8) }

    /// All elements of one life of a collection.
    static func elements(_ name: String, _ version: UInt64) -> [UInt8] {
        [0, 0, 0, 1, 2, UInt8(name.utf8.count)] + Array(name.utf8) + bytes(version)
    }

    static func bytes(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
    }

    static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    /// Name and version of an element's key.
    static func parse(_ key: [UInt8]) -> (name: ArraySlice<UInt8>, version: UInt64) {
        let end = 6 + Int(key[5])
        return (key[6..<end], number(key[end..<end + 8]))
    }

    /// The first key behind all that begin with `prefix`.
    static func end(_ prefix: [UInt8]) -> [UInt8] {
        var end = prefix
        while end.last == 255 { end.removeLast() }
        end[end.count - 1] += 1
        return end
    }
}

/// Judges elements by the metadata of their collection, which it looks up once for neighbours.
final class CollectionFilter: MergeFilter {
    let interest = KeyInterest(byte: 2, at: 4)
    let clock: TestClock
    let steps = Guarded(0)
    let looks = Guarded(0)
    let judged = Guarded(0)
    /// Every look fails.
    let fails = Guarded(false)

    init(_ clock: TestClock) { self.clock = clock }

    func beginStep(_ reader: StoreReader) -> any MergeFilterStep {
        steps.withLock { $0 += 1 }
        return CollectionFilterStep(self, reader)
    }
}

private final class CollectionFilterStep: MergeFilterStep {
    let filter: CollectionFilter
    let reader: StoreReader
    private var name: [UInt8] = []
    private var version: UInt64?

    init(_ filter: CollectionFilter, _ reader: StoreReader) {
        self.filter = filter
        self.reader = reader
    }

    func judge(_ entry: UnsafePointer<Entry>) throws(Interruption) -> MergeVerdict {
        let key = entry.pointee.key.array
        if key[4] != 2 { Issue.record("a filter is asked about a key of space \(key[4])") }
        filter.judged.withLock { $0 += 1 }
        if filter.fails.withLock({ $0 }) { throw .readFailed }
        let (owner, wanted) = CollectionKeys.parse(key)
        if name.isEmpty || name[...] != owner {
            version = try look(String(decoding: owner, as: UTF8.self))
            name = Array(owner)
        }
        if let version, wanted > version { Issue.record("metadata \(version) is older than element \(wanted)") }
        if version != wanted { return .drop }
        let expiry = entry.pointee.expireAt
        return expiry != 0 && expiry <= filter.clock.milliseconds ? .delete : .keep
    }

    private func look(_ name: String) throws(Interruption) -> UInt64? {
        filter.looks.withLock { $0 += 1 }
        reader.begin()
        defer { reader.end() }
        let result = CollectionKeys.metadata(name).withView { key -> Result<UInt64?, Interruption> in
            do throws(Interruption) {
                guard let entry = try reader.find(key) else { return .success(nil) }
                let expiry = entry.pointee.expireAt
                if expiry != 0 && expiry <= filter.clock.milliseconds { return .success(nil) }
                return .success(CollectionKeys.number(try reader.value(entry).array[...]))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// What a collection should hold.
struct ModelCollection: Equatable {
    struct Element: Equatable {
        var value: [UInt8]
        var expireAt: UInt64 = 0
    }
    var version: UInt64
    var expireAt: UInt64 = 0
    var elements: [String: Element] = [:]
}

/// The layer over a store without threads on a simulated disk, beside its model.
final class CollectionRun {
    var disk = SimulatedDisk()
    let options: StoreOptions
    let clock = TestClock()
    let filter: CollectionFilter
    var store: Store
    var model: [String: ModelCollection] = [:]
    /// What the model was after each batch, by the batch's last sequence.
    private(set) var history: [UInt64: [String: ModelCollection]] = [0: [:]]
    var random: SeededRandom
    let context: String

    init(_ seed: TestSeed, policy: SyncPolicy = .everySecond, _ change: (inout StoreOptions) -> Void = { _ in }) throws
    {
        random = seed.random
        context = "seed \(seed.value)"
        filter = CollectionFilter(clock)
        var options = StoreScript.options(policy)
        options.mergeFilter = filter
        change(&options)
        self.options = options
        store = try Store.open(options, disk: disk)
    }

    /// The machine loses power, as `policy` says, and comes back.
    func crash(_ policy: CrashPolicy, seed: UInt64) throws {
        disk = disk.crashClone(seed: seed, policy: policy)
        store = try Store.open(options, disk: disk)
        let state = history[store.visibleSequence]
        if state == nil { Issue.record("half a batch was recovered, \(context)") }
        model = state ?? [:]
        history = history.filter { $0.key <= store.visibleSequence }
    }

    func live(_ name: String) -> ModelCollection? {
        guard let collection = model[name] else { return nil }
        return collection.expireAt != 0 && collection.expireAt <= clock.milliseconds ? nil : collection
    }

    // MARK: Commands

    func commit(_ batch: WriteBatch) throws {
        let position = try store.commit(batch, mayBlock: true)
        history[store.visibleSequence] = model
        if !random.oneIn(3) { _ = try store.flushLog(position) }
    }

    private func writeMetadata(_ batch: WriteBatch, _ name: String, _ collection: ModelCollection) {
        CollectionKeys.metadata(name).withView { key in
            CollectionKeys.bytes(collection.version).withView {
                batch.put(key, tag: 1, expireAt: collection.expireAt, value: $0, prior: .unknown)
            }
        }
        model[name] = collection
    }

    /// Adds elements, and makes the collection when there is none.
    func add(_ name: String, _ fields: [String], bytes: Int, expireAt: UInt64 = 0) throws {
        let batch = WriteBatch()
        var collection = live(name) ?? ModelCollection(version: store.visibleSequence + 1)
        if live(name) == nil { writeMetadata(batch, name, collection) }
        for field in fields {
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: bytes)
            let key = CollectionKeys.elements(name, collection.version) + Array(field.utf8)
            key.withView { k in
                value.withView { batch.put(k, tag: 2, expireAt: expireAt, value: $0, prior: .unknown) }
            }
            collection.elements[field] = .init(value: value, expireAt: expireAt)
        }
        model[name] = collection
        try commit(batch)
    }

    func remove(_ name: String, _ field: String) throws {
        guard let collection = live(name), collection.elements[field] != nil else { return }
        let batch = WriteBatch()
        let key = CollectionKeys.elements(name, collection.version) + Array(field.utf8)
        key.withView { batch.delete($0, prior: .unknown) }
        model[name]?.elements[field] = nil
        try commit(batch)
    }

    /// By metadata alone, with a hint or without, or by a range deletion. Returns the bytes of log that it took.
    @discardableResult
    func delete(_ name: String, byRange: Bool = false, hints: Bool = true) throws -> Int {
        guard let collection = live(name) else { return 0 }
        let batch = WriteBatch()
        CollectionKeys.metadata(name).withView {
            batch.delete($0, prior: .present(hadExpiry: collection.expireAt != 0))
        }
        let lower = CollectionKeys.elements(name, collection.version)
        lower.withView { l in
            CollectionKeys.end(lower).withView { u in
                if byRange { batch.deleteRange(l, u) } else if hints { batch.noteDead(l, u) }
            }
        }
        model[name] = nil
        let before = store.log.statistics.bytesWritten
        try commit(batch)
        try store.sync()
        return store.log.statistics.bytesWritten - before
    }

    func expire(_ name: String, at time: UInt64) throws {
        guard var collection = live(name) else { return }
        collection.expireAt = time
        let batch = WriteBatch()
        writeMetadata(batch, name, collection)
        try commit(batch)
    }

    // MARK: Checks

    /// What readers see of every collection is what the model says.
    func expectModel(_ names: [String]) throws {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        let now = clock.milliseconds
        for name in names {
            var found: ModelCollection?
            try CollectionKeys.metadata(name).withView { key in
                guard let entry = try reader.find(key) else { return }
                let expiry = entry.pointee.expireAt
                if expiry != 0 && expiry <= now { return }
                found = ModelCollection(
                    version: CollectionKeys.number(try reader.value(entry).array[...]), expireAt: expiry)
            }
            if let version = found?.version {
                let prefix = CollectionKeys.elements(name, version)
                let cursor = try prefix.withView { l in
                    try CollectionKeys.end(prefix).withView { try reader.cursor(lower: l, upper: $0) }
                }
                try cursor.seekToFirst()
                while cursor.isValid {
                    let expiry = cursor.entry.pointee.expireAt
                    if expiry == 0 || expiry > now {
                        let field = String(decoding: cursor.key.array[prefix.count...], as: UTF8.self)
                        let value = try cursor.value().array
                        found?.elements[field] = .init(value: value, expireAt: expiry)
                    }
                    try cursor.next()
                }
            }
            var wanted = live(name)
            let kept = wanted?.elements.filter { $0.value.expireAt == 0 || $0.value.expireAt > now }
            wanted?.elements = kept ?? [:]
            if found != wanted {
                func words(_ collection: ModelCollection?) -> String {
                    collection.map { "\($0.elements.count) elements of version \($0.version)" } ?? "nothing"
                }
                Issue.record("\(name): \(words(found)), not \(words(wanted)), \(context)")
            }
        }
    }

    /// Elements in table files, and how many of them no reader can ask for.
    func elementsOnDisk() throws -> (all: Int, dead: Int) {
        var all = 0
        var dead = 0
        let now = clock.milliseconds
        let pins = BlockPins.make(store.cache)
        defer { BlockPins.destroy(pins) }
        try store.root.forEach { bucket in
            for run in bucket.runs {
                let cursor = RunCursor(run, pins, access: .scan, mayBlock: true)
                try cursor.seekToFirst()
                while let entry = cursor.position {
                    let key = entry.pointee.key.array
                    if key[4] == 2 {
                        all += 1
                        let (name, version) = CollectionKeys.parse(key)
                        let field = String(decoding: key[(6 + name.count + 8)...], as: UTF8.self)
                        let owner = live(String(decoding: name, as: UTF8.self))
                        let expiry = entry.pointee.expireAt
                        let isLive =
                            owner?.version == version && owner?.elements[field] != nil
                            && entry.pointee.kind == .put && (expiry == 0 || expiry > now)
                        if !isLive { dead += 1 }
                    }
                    try cursor.next()
                }
            }
        }
        return (all, dead)
    }

    /// Does every job that is due, and returns why each was.
    func mergeUntilDone() throws -> [String] {
        var reasons: [String] = []
        for _ in 0..<5000 {
            let next = store.controller.structure.withLock { () -> JobPlan? in
                let dead = store.controller.planForDead { _ in true }
                let best = store.controller.planner.best(store.root) { _ in true }
                return (dead?.score ?? 0) > (best?.score ?? 0) ? dead : best
            }
            if try !store.controller.mergeOnce() { return reasons }
            reasons.append(next?.reason.description ?? "")
        }
        Issue.record("jobs without end: \(reasons.suffix(4)), \(context)")
        return reasons
    }
}
