// A sequence of calls, written down apart from any store and its options, and what answers them: a store with some
// options, or a dictionary. Answers are numbers, made of all that a caller would see.

import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

enum TraceStep {
    enum Change {
        case put([UInt8], [UInt8], expireAt: UInt64)
        case delete([UInt8])
        case deleteRange([UInt8], [UInt8])
    }

    case write([Change])
    case find([UInt8])
    /// Up to `count` entries of a range.
    case scan([UInt8], [UInt8], reverse: Bool, count: Int)
    /// From a key on, a step forward for each true, back for each false.
    case walk([UInt8], [Bool])
    case takeSnapshot(Int)
    case dropSnapshot(Int)
    case findInSnapshot(Int, [UInt8])
    case scanSnapshot(Int, [UInt8], [UInt8], reverse: Bool)
    /// The background may do something here.
    case work
    /// Ends all snapshots. Not `cleanly`: the process is gone, what it wrote is there.
    case restart(cleanly: Bool)
    /// Everything, forward and backward, and the counts of keys.
    case everything
}

/// A sequence by a seed.
struct StoreTrace {
    private(set) var steps: [TraceStep] = []
    static let snapshotsMax = 3
    /// Namespaces whose keys are counted. No range of them is deleted: a store counts none that lives on after that.
    static let namespaces: [UInt8] = [1, 2]
    private var random: SeededRandom
    private let isHeavy: Bool

    /// `isHeavy`: with values so large that segments fill, and get holes when some die.
    init(seed: UInt64, count: Int, isHeavy: Bool = false) {
        random = SeededRandom(seed: seed)
        self.isHeavy = isHeavy
        while steps.count < count { steps.append(next()) }
        steps += [.everything, .restart(cleanly: true), .everything]
    }

    private mutating func next() -> TraceStep {
        switch random.below(100) {
        case 0..<52: return .write((0...(random.oneIn(3) ? random.below(16) : 0)).map { _ in change() })
        case 52..<64: return .find(key())
        case 64..<70:
            let (lower, upper) = range()
            return .scan(lower, upper, reverse: random.oneIn(2), count: 1 + random.below(40))
        case 70..<75: return .walk(key(), (0..<random.below(12)).map { _ in !random.oneIn(3) })
        case 75..<78: return .takeSnapshot(random.below(StoreTrace.snapshotsMax))
        case 78: return .dropSnapshot(random.below(StoreTrace.snapshotsMax))
        case 79..<83: return .findInSnapshot(random.below(StoreTrace.snapshotsMax), key())
        case 83..<86:
            let (lower, upper) = range()
            return .scanSnapshot(random.below(StoreTrace.snapshotsMax), lower, upper, reverse: random.oneIn(2))
        case 86..<96: return .work
        case 96..<98: return .find(key())
        case 98: return random.oneIn(4) ? .restart(cleanly: random.oneIn(2)) : .work
        default: return random.oneIn(4) ? .everything : .work
        }
    }

    private mutating func change() -> TraceStep.Change {
        switch random.below(60) {
        case 0..<44:
            let lengths = isHeavy ? [3, 100, 300, 9000, 9000, 20_000] : [0, 3, 20, 60, 100, 300, 300, 3000]
            let length = lengths[random.below(lengths.count)]
            let value = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            return .put(key(), value, expireAt: UInt64(random.below(3)))
        case 44..<59: return .delete(key())
        default:
            if random.oneIn(5) { return .deleteRange([0, 0, 0, 4], [0, 0, 0, 5]) }
            let (lower, upper) = range()
            return .deleteRange([0, 0, 0, 3] + lower.dropFirst(4), [0, 0, 0, 3] + upper.dropFirst(4))
        }
    }

    private mutating func key() -> [UInt8] {
        let places: [(namespace: UInt8, space: UInt8)] = [(1, 1), (2, 1), (2, 5), (3, 5), (4, 1)]
        let at = places[random.below(places.count)]
        let place: [UInt8] = [0, 0, 0, at.namespace, at.space]
        switch random.below(8) {
        case 0: return place + [UInt8](repeating: 0x78, count: random.below(40))
        case 1: return place + [UInt8](repeating: 0x70, count: 100) + Array(String(random.below(50)).utf8)
        default: return place + Array("user:\(random.below(60))".utf8)
        }
    }

    private mutating func range() -> ([UInt8], [UInt8]) {
        let a = key()
        let b = key()
        return KeyRange.isBefore(a, b) ? (a, b) : (b, a + [0])
    }
}

/// What a caller sees, as a number.
struct TraceAnswer {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func take(_ number: UInt64) { value = (value ^ number) &* 0x0000_0100_0000_01B3 }

    mutating func take(_ bytes: [UInt8]) {
        take(UInt64(bytes.count))
        for byte in bytes { take(UInt64(byte)) }
    }

    mutating func takeNothing() { take(UInt64.max) }
}

/// The dictionary.
final class TraceModel {
    struct Value: Equatable {
        var bytes: [UInt8]
        var expireAt: UInt64
    }

    private var state: [[UInt8]: Value] = [:]
    private var snapshots: [Int: [[UInt8]: Value]] = [:]

    func answer(_ step: TraceStep) -> UInt64 {
        var answer = TraceAnswer()
        switch step {
        case .write(let changes):
            for change in changes {
                switch change {
                case .put(let key, let value, let expireAt): state[key] = Value(bytes: value, expireAt: expireAt)
                case .delete(let key): state[key] = nil
                case .deleteRange(let lower, let upper):
                    state = state.filter { KeyRange.isBefore($0.key, lower) || !KeyRange.isBefore($0.key, upper) }
                }
            }
        case .find(let key): take(state[key], &answer)
        case .scan(let lower, let upper, let reverse, let count):
            scan(state, lower, upper, reverse, count, &answer)
        case .walk(let key, let turns):
            let keys = state.keys.sorted { KeyRange.isBefore($0, $1) }
            var at = keys.firstIndex { !KeyRange.isBefore($0, key) } ?? keys.count
            for turn in turns {
                guard keys.indices.contains(at) else { break }
                answer.take(keys[at])
                at += turn ? 1 : -1
            }
        case .takeSnapshot(let slot): snapshots[slot] = state
        case .dropSnapshot(let slot): snapshots[slot] = nil
        case .findInSnapshot(let slot, let key):
            if let snapshot = snapshots[slot] { take(snapshot[key], &answer) }
        case .scanSnapshot(let slot, let lower, let upper, let reverse):
            if let snapshot = snapshots[slot] { scan(snapshot, lower, upper, reverse, .max, &answer) }
        case .work: break
        case .restart: snapshots = [:]
        case .everything:
            for reverse in [false, true] { scan(state, [0], [255], reverse, .max, &answer) }
            for namespace in StoreTrace.namespaces {
                let counted = state.filter { $0.key[3] == namespace && $0.key[4] == 1 }
                answer.take(UInt64(counted.count))
                answer.take(UInt64(counted.count { $0.value.expireAt != 0 }))
            }
        }
        return answer.value
    }

    private func take(_ value: Value?, _ answer: inout TraceAnswer) {
        guard let value else { return answer.takeNothing() }
        answer.take(value.expireAt)
        answer.take(value.bytes)
    }

    private func scan(
        _ state: [[UInt8]: Value], _ lower: [UInt8], _ upper: [UInt8], _ reverse: Bool, _ count: Int,
        _ answer: inout TraceAnswer
    ) {
        let inside = state.keys.filter { !KeyRange.isBefore($0, lower) && KeyRange.isBefore($0, upper) }
        for key in inside.sorted(by: { KeyRange.isBefore($0, $1) != reverse }).prefix(count) {
            answer.take(key)
            take(state[key], &answer)
        }
    }
}

/// A store.
final class TraceStore {
    let options: StoreOptions
    private let disk = SimulatedDisk()
    private var life: (store: Store, reader: StoreReader)?
    private var snapshots: [Int: StoreReader] = [:]
    private var random: SeededRandom
    private(set) var heightMax = 0
    private(set) var rewrites: UInt64 = 0
    private(set) var holes: UInt64 = 0
    /// Called where others may come in between of what the background does; see `BucketController.atSeam`.
    var atSeam: ((JobSeam) -> Bool)?
    /// A flush, a round of the collector, is under way: there is one of each at a time.
    private(set) var isFlushing = false
    private var isCollecting = false
    /// Work within work.
    private(set) var depth = 0

    /// `seed`: for how much the background does.
    init(_ options: StoreOptions, seed: UInt64) throws {
        self.options = options
        random = SeededRandom(seed: seed)
        try open()
    }

    private func open() throws {
        let store = try Store.open(options, disk: disk)
        if !options.usesThreads {
            // Without threads it stays on this one.
            nonisolated(unsafe) let trace = Unmanaged.passUnretained(self)
            store.controller.atSeam = { trace.takeUnretainedValue().atSeam?($0) ?? false }
        }
        life = (store, StoreReader(store, mayBlock: true))
    }

    func close() throws {
        snapshots = [:]
        try life?.store.close()
        life = nil
    }

    func answer(_ step: TraceStep) throws -> UInt64 {
        var answer = TraceAnswer()
        if case .restart(let cleanly) = step { try restart(cleanly) }
        guard let (store, reader) = life else { return 0 }
        switch step {
        case .write(let changes): try write(changes, store, reader)
        case .find(let key): try find(key, reader, begins: true, &answer)
        case .scan(let lower, let upper, let reverse, let count):
            try scan(reader, begins: true, lower, upper, reverse, count, &answer)
        case .walk(let key, let turns):
            reader.begin()
            defer { reader.end() }
            let cursor = try reader.cursor([0], [255])
            try key.withView { try cursor.seek($0) }
            for turn in turns {
                guard cursor.isValid else { break }
                answer.take(cursor.key.array)
                if turn { try cursor.next() } else { try cursor.previous() }
            }
        case .takeSnapshot(let slot):
            let snapshot = StoreReader(store, mayBlock: true)
            snapshot.begin()
            snapshots[slot] = snapshot
        case .dropSnapshot(let slot): snapshots[slot] = nil
        case .findInSnapshot(let slot, let key):
            if let snapshot = snapshots[slot] { try find(key, snapshot, begins: false, &answer) }
        case .scanSnapshot(let slot, let lower, let upper, let reverse):
            if let snapshot = snapshots[slot] {
                try scan(snapshot, begins: false, lower, upper, reverse, .max, &answer)
            }
        case .work: try work(store)
        case .restart: break
        case .everything:
            for reverse in [false, true] { try scan(reader, begins: true, [0], [255], reverse, .max, &answer) }
            if depth == 0 && !options.usesThreads {
                expectExactGarbage(store, mayRepeat: true, "at a look at everything")
            }
            try store.resolveCounts()
            for namespace in StoreTrace.namespaces {
                let counts = store.counts(namespace: UInt32(namespace))
                answer.take(UInt64(bitPattern: counts.keys))
                answer.take(UInt64(bitPattern: counts.expires))
            }
        }
        return answer.value
    }

    private func write(_ changes: [TraceStep.Change], _ store: Store, _ reader: StoreReader) throws {
        let batch = WriteBatch()
        reader.begin()
        reader.batch = batch
        defer {
            reader.batch = nil
            reader.end()
        }
        for change in changes {
            switch change {
            case .put(let key, let value, let expireAt):
                // Some puts are blind: the store looks later what was there.
                let prior = random.oneIn(2) ? Prior.unknown : Prior(try key.withView { try reader.find($0) })
                key.withView { k in
                    value.withView { batch.put(k, tag: 0, expireAt: expireAt, value: $0, prior: prior) }
                }
            case .delete(let key):
                // Deletes never are.
                guard let found = try key.withView({ try reader.find($0) }) else { continue }
                let prior = Prior(found)
                key.withView { batch.delete($0, prior: prior) }
            case .deleteRange(let lower, let upper):
                lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
            }
        }
        if !batch.isEmpty { try store.waitForLog(try store.commit(batch, mayBlock: true)) }
        withExtendedLifetime(changes) {}
    }

    private func find(_ key: [UInt8], _ reader: StoreReader, begins: Bool, _ answer: inout TraceAnswer) throws {
        if begins { reader.begin() }
        // Of a snapshot it gives back what was read, not the moment.
        defer { reader.end() }
        try key.withView { view in
            guard let entry = try reader.find(view) else { return answer.takeNothing() }
            answer.take(entry.pointee.expireAt)
            answer.take(try reader.value(entry).array)
        }
    }

    private func scan(
        _ reader: StoreReader, begins: Bool, _ lower: [UInt8], _ upper: [UInt8], _ reverse: Bool, _ count: Int,
        _ answer: inout TraceAnswer
    ) throws {
        if begins { reader.begin() }
        defer { reader.end() }
        let cursor = try reader.cursor(lower, upper)
        if reverse { try cursor.seekToLast() } else { try cursor.seekToFirst() }
        var left = count
        while cursor.isValid && left > 0 {
            answer.take(cursor.key.array)
            answer.take(cursor.entry.pointee.expireAt)
            answer.take(try cursor.value().array)
            if reverse { try cursor.previous() } else { try cursor.next() }
            left -= 1
        }
    }

    private func work(_ store: Store) throws {
        depth += 1
        defer { depth -= 1 }
        switch random.below(10) {
        case 0..<3: try flush(store)
        case 3..<7:
            try flush(store)
            for _ in 0..<random.below(24) { if try !store.controller.mergeOnce() { break } }
        case 7:
            // It waits for all jobs to end.
            if depth == 1 { try store.mergeAll() }
        case 8: try collect(store)
        default: return
        }
        heightMax = max(heightMax, store.statistics.treeHeight)
        let counters = store.collector.counters.withLock { $0 }
        rewrites = max(rewrites, counters.segmentsRewritten)
        holes = max(holes, counters.holes)
    }

    /// Looks at blind writes; no answer changes. Not beside a flush, for which it would wait.
    func resolveCounts() throws {
        if !isFlushing { try life?.store.resolveCounts() }
    }

    private func flush(_ store: Store) throws {
        if isFlushing { return }
        isFlushing = true
        defer { isFlushing = false }
        try store.flushTables()
    }

    private func collect(_ store: Store) throws {
        if isCollecting { return }
        isCollecting = true
        defer { isCollecting = false }
        store.janitor.drain()
        try store.collectGarbage()
    }

    /// The lock of the directory is free when nothing holds the old store any more.
    private func restart(_ cleanly: Bool) throws {
        if cleanly { try close() }
        snapshots = [:]
        life = nil
        try open()
    }
}
