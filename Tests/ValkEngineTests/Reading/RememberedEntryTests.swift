// What a reader remembers or uses again answers as what is looked up and made anew, whatever happens in between: own
// commits, those of others, flushes, merges, deleted ranges.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct RememberedEntryTests {
    private struct Found: Equatable {
        var value: [UInt8]
        var tag: UInt8
        var expireAt: UInt64

        init(_ entry: UnsafePointer<Entry>) {
            value = entry.pointee.value.array
            tag = entry.pointee.tag
            expireAt = entry.pointee.expireAt
        }
    }

    private static func open() throws -> Store {
        var options = StoreOptions(path: "/remember")
        options.usesThreads = false
        options.tableBytes = 1 << 20
        options.blockBytes = 512
        options.mergeWidth = 3
        options.memoryBytes = 1 << 20
        return try Store.open(options, disk: SimulatedDisk())
    }

    private static func find(_ reader: StoreReader, _ key: [UInt8]) throws -> Found? {
        try key.withView { key in try reader.find(key).map { Found($0) } }
    }

    private static func recall(_ reader: StoreReader, _ key: [UInt8]) -> Found? {
        key.withView { key in reader.recall(key).map { Found($0.entry) } }
    }

    private static func remember(_ reader: StoreReader, _ key: [UInt8]) throws {
        try key.withView { key in
            if let entry = try reader.find(key) { reader.remember(entry, key, key.hash64) }
        }
    }

    private static func put(_ batch: WriteBatch, _ key: [UInt8], _ value: [UInt8], tag: UInt8 = 1) {
        key.withView { k in value.withView { batch.put(k, tag: tag, value: $0, prior: .unknown) } }
    }

    /// Commits the reader's own batch as a command does.
    private static func commitOwn(_ store: Store, _ reader: StoreReader, _ batch: WriteBatch) throws {
        _ = try store.commit(batch, mayBlock: true)
        reader.noteCommit()
        batch.clear()
        reader.end()
        reader.begin()
    }

    @Test func knowsTheEntryAfterOwnCommitsAndForgetsItAfterOthers() throws {
        let store = try Self.open()
        let reader = StoreReader(store, mayBlock: true)
        let batch = WriteBatch()
        reader.batch = batch
        reader.begin()
        Self.put(batch, [1], [10])
        #expect(Self.recall(reader, [1]) == nil)
        try Self.commitOwn(store, reader, batch)
        try Self.remember(reader, [1])
        #expect(Self.recall(reader, [1])?.value == [10])
        #expect(Self.recall(reader, [2]) == nil)
        // Another key changes nothing, its own shows at once.
        Self.put(batch, [1, 0], [11])
        #expect(Self.recall(reader, [1]) == nil)
        try Self.commitOwn(store, reader, batch)
        #expect(Self.recall(reader, [1])?.value == [10])
        Self.put(batch, [1], [12])
        Self.put(batch, [1], [13], tag: 7)
        try Self.commitOwn(store, reader, batch)
        #expect(Self.recall(reader, [1])?.value == [13])
        #expect(Self.recall(reader, [1])?.tag == 7)
        // Somebody else's commit, though it is of another key.
        let other = WriteBatch()
        Self.put(other, [9], [9])
        _ = try store.commit(other, mayBlock: true)
        reader.begin()
        #expect(Self.recall(reader, [1]) == nil)
        // One between looking and committing.
        try Self.remember(reader, [1])
        Self.put(batch, [3], [3])
        Self.put(other, [1], [14])
        _ = try store.commit(other, mayBlock: true)
        try Self.commitOwn(store, reader, batch)
        #expect(Self.recall(reader, [1]) == nil)
        // Deleted, singly and within a range.
        try Self.remember(reader, [1])
        #expect(Self.recall(reader, [1])?.value == [14])
        [1].withView { batch.delete($0, prior: .present(hadExpiry: false)) }
        try Self.commitOwn(store, reader, batch)
        #expect(Self.recall(reader, [1]) == nil)
        Self.put(batch, [1], [15])
        try Self.commitOwn(store, reader, batch)
        try Self.remember(reader, [1])
        [0].withView { low in [2].withView { batch.deleteRange(low, $0) } }
        try Self.commitOwn(store, reader, batch)
        #expect(Self.recall(reader, [1]) == nil)
        reader.end()
        try store.close()
    }

    @Test func answersAsAReaderThatRemembersNothing() throws {
        let seed = TestSeed("RememberedEntry")
        var random = seed.random
        let store = try Self.open()
        let reader = StoreReader(store, mayBlock: true)
        let batch = WriteBatch()
        reader.batch = batch
        let plain = StoreReader(store, mayBlock: true)
        var recalled = 0
        func key() -> [UInt8] { [UInt8(random.below(3)), UInt8(random.below(4))] }
        func fill(_ batch: WriteBatch) {
            for _ in 0...random.below(random.oneIn(10) ? 12 : 3) {
                let key = key()
                switch random.below(8) {
                case 0: key.withView { batch.delete($0, prior: .unknown) }
                case 1: Self.put(batch, key, [UInt8](repeating: 1, count: 100 + random.below(60)))
                default: Self.put(batch, key, [UInt8(random.below(256))], tag: UInt8(random.below(5)))
                }
            }
            if random.oneIn(20) { [1].withView { low in [2].withView { batch.deleteRange(low, $0) } } }
        }
        for _ in 0..<4000 {
            reader.begin()
            plain.begin()
            for _ in 0..<3 {
                let key = key()
                let truth = try Self.find(plain, key)
                if let known = Self.recall(reader, key) {
                    recalled += 1
                    #expect(known == truth, "seed \(seed.value)")
                }
                if random.oneIn(3) { try Self.remember(reader, key) }
            }
            if random.oneIn(2) {
                fill(batch)
                if random.oneIn(4) {
                    let other = WriteBatch()
                    fill(other)
                    _ = try store.commit(other, mayBlock: true)
                }
                _ = try store.commit(batch, mayBlock: true)
                reader.noteCommit()
                batch.clear()
            }
            reader.end()
            plain.end()
            if random.oneIn(100) { try store.flushTables() }
            if random.oneIn(150) { _ = try store.controller.mergeOnce() }
        }
        #expect(recalled > 500, "seed \(seed.value)")
        try store.close()
    }

    @Test func cursorsThatAreUsedAgainSeeWhatNewOnesSee() throws {
        let seed = TestSeed("ReusedCursor")
        var random = seed.random
        let store = try Self.open()
        let reader = StoreReader(store, mayBlock: true)
        let batch = WriteBatch()
        reader.batch = batch
        var reused = 0
        var last: ObjectIdentifier?
        func key() -> [UInt8] { Array("k\(random.below(400))".utf8) }
        func steps(_ cursor: StoreCursor, _ moves: [Int], _ places: [[UInt8]]) throws -> [[UInt8]] {
            var seen: [[UInt8]] = []
            for (move, place) in zip(moves, places) {
                switch move {
                case 0: try cursor.seekToFirst()
                case 1: try cursor.seekToLast()
                case 2: try place.withView { try cursor.seek($0) }
                case 3: try place.withView { try cursor.seekBefore($0) }
                case 4 where cursor.isValid: try cursor.previous()
                case 5... where cursor.isValid: try cursor.next()
                default: continue
                }
                seen.append(cursor.isValid ? cursor.key.array + [0] + (try cursor.value().array) : [])
            }
            return seen
        }
        for _ in 0..<3000 {
            for _ in 0..<random.below(4) {
                let other = WriteBatch()
                for _ in 0...random.below(6) {
                    if random.oneIn(3) {
                        key().withView { other.delete($0, prior: .unknown) }
                    } else {
                        Self.put(other, key(), [UInt8](repeating: UInt8(random.below(256)), count: random.below(40)))
                    }
                }
                if random.oneIn(60) {
                    Array("k1".utf8).withView { low in Array("k2".utf8).withView { other.deleteRange(low, $0) } }
                }
                _ = try store.commit(other, mayBlock: true)
            }
            if random.oneIn(60) { try store.flushTables() }
            if random.oneIn(90) { _ = try store.controller.mergeOnce() }
            reader.begin()
            if random.oneIn(10) { Self.put(batch, key(), [0]) }
            let (lower, upper) = (key(), key())
            let moves = (0..<random.below(20)).map { _ in random.below(9) }
            let places = moves.map { _ in key() }
            let fresh = try lower.withView { l in try upper.withView { try reader.cursor(lower: l, upper: $0) } }
            let taken = try lower.withView { l in try upper.withView { try reader.takeCursor(lower: l, upper: $0) } }
            let identity = ObjectIdentifier(taken._withUnsafeGuaranteedRef { $0 })
            if identity == last && batch.isEmpty { reused += 1 }
            last = identity
            let expected = try steps(fresh, moves, places)
            let seen = try steps(taken._withUnsafeGuaranteedRef { $0 }, moves, places)
            #expect(seen == expected, "seed \(seed.value)")
            if random.oneIn(12) { taken._withUnsafeGuaranteedRef { $0.deadBudget = 1 } }
            reader.giveBack(taken)
            batch.clear()
            reader.end()
        }
        #expect(reused > 500, "seed \(seed.value)")
        try store.close()
    }

    @Test func knowsTheOutermostKeysAfterOwnCommits() throws {
        let seed = TestSeed("RememberedKeys")
        var random = seed.random
        let store = try Self.open()
        let reader = StoreReader(store, mayBlock: true)
        let batch = WriteBatch()
        reader.batch = batch
        let prefix: [UInt8] = [1, 2]
        var all = Set<[UInt8]>()
        var recalled = 0
        var longest = 0
        func key() -> [UInt8] { [random.oneIn(9) ? 2 : 1, 2, UInt8(random.below(20)), UInt8(random.below(20))] }
        func fill(_ batch: WriteBatch) {
            for _ in 0...random.below(random.oneIn(20) ? 12 : 4) {
                let key = key()
                if random.below(400) < all.count {
                    key.withView { batch.delete($0, prior: .unknown) }
                    all.remove(key)
                } else {
                    Self.put(batch, key, [])
                    all.insert(key)
                }
            }
        }
        for _ in 0..<4000 {
            reader.begin()
            for fromEnd in [false, true] {
                let tails = all.filter { $0.starts(with: prefix) }.map { Array($0.dropFirst(2)) }
                let sorted = tails.sorted { a, b in
                    fromEnd ? b.lexicographicallyPrecedes(a) : a.lexicographicallyPrecedes(b)
                }
                let known = prefix.withView { prefix in reader.recallKeys(prefix, fromEnd: fromEnd) }
                if let known {
                    recalled += 1
                    longest = max(longest, known.pointee.count)
                    let seen = (0..<known.pointee.count).map { known.pointee.tail($0).array }
                    #expect(seen == Array(sorted.prefix(seen.count)), "seed \(seed.value)")
                } else if random.oneIn(4) {
                    let count = random.oneIn(3) ? sorted.count : random.below(min(sorted.count, 12) + 1)
                    prefix.withView { reader.beginKeys($0, fromEnd: fromEnd) }
                    for tail in sorted.prefix(count) {
                        tail.withView { reader.rememberKey($0[0..<1], $0.dropFirst(1), fromEnd: fromEnd) }
                    }
                    reader.endKeys(isWhole: count == sorted.count, fromEnd: fromEnd)
                }
            }
            if random.oneIn(3) {
                let other = WriteBatch()
                fill(random.oneIn(8) ? other : batch)
                if !other.isEmpty { _ = try store.commit(other, mayBlock: true) }
                if !batch.isEmpty {
                    _ = try store.commit(batch, mayBlock: true)
                    reader.noteCommit()
                    batch.clear()
                }
            }
            reader.end()
        }
        #expect(recalled > 500 && longest > 12, "seed \(seed.value)")
        try store.close()
    }
}
