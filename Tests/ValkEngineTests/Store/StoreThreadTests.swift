// Writers, readers and the store's own threads at once, on a real disk, with tables so small that flushes and merges
// run all the time. Each batch writes one value under two keys, so whoever sees one must see the other.

import Synchronization
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct StoreThreadTests {
    static let pairs = 40

    static func key(_ side: String, _ writer: Int, _ pair: Int) -> [UInt8] {
        [0, 0, 0, 1, 1] + Array("\(side)\(writer):\(100 + pair)".utf8)
    }

    /// What a writer left in the end.
    final class Written: @unchecked Sendable {  // One thread at a time.
        var values: [Int: [UInt8]] = [:]
        var failure: (any Error)?
    }

    @Test func writersReadersAndBackgroundAgree() throws {
        let folder = TemporaryFolder()
        var options = StoreOptions(path: folder.path + "/store")
        options.memoryBytes = 1 << 20
        options.tableBytes = 16 << 10
        options.segmentBytes = 128 << 10
        options.blockBytes = 512
        options.tableFileBytes = 8 << 10
        options.valueSeparationThreshold = 256
        options.mergeWidth = 2
        options.pushBytes = 8 << 10
        options.leafBytes = 16 << 10
        options.jobBytes = 16 << 10
        options.fanOut = 3
        options.backgroundThreads = 3
        options.manifestRollBytes = 8 << 10
        options.countsNamespaces = true
        let seed = TestSeed("StoreThreadTests").value
        let store = try Store.open(options, disk: PosixDisk())
        let writers = (0..<3).map { _ in Written() }
        let running = Running(writers.count)
        let wrong = FaultList()

        var threads: [PThread] = []
        for (number, written) in writers.enumerated() {
            threads.append(
                PThread(name: "writer") {
                    do {
                        try StoreThreadTests.write(store, number, seed &+ UInt64(number), written)
                    } catch {
                        written.failure = error
                    }
                    running.value.wrappingSubtract(1, ordering: .releasing)
                })
        }
        for number in 0..<2 {
            threads.append(
                PThread(name: "reader") {
                    var random = SeededRandom(seed: seed &+ 100 &+ UInt64(number))
                    let reader = StoreReader(store, mayBlock: true)
                    while running.value.load(ordering: .acquiring) > 0 {
                        do {
                            if let fault = try StoreThreadTests.look(reader, &random) { wrong.add(fault) }
                        } catch {
                            wrong.add("\(error)")
                        }
                        reader.rest()
                    }
                })
        }
        for thread in threads { thread.join() }
        #expect(wrong.items.isEmpty, "\(wrong.items.prefix(3))")
        for written in writers { #expect(written.failure == nil) }
        try StoreThreadTests.compare(store, writers)
        try store.close()
        let again = try Store.open(options, disk: PosixDisk())
        try StoreThreadTests.compare(again, writers)
        try again.mergeAll()
        try StoreThreadTests.compare(again, writers)
        try again.close()
    }

    static func write(_ store: Store, _ writer: Int, _ seed: UInt64, _ written: Written) throws {
        var random = SeededRandom(seed: seed)
        let batch = WriteBatch()
        for turn in 0..<1500 {
            batch.clear()
            let pair = random.below(pairs)
            let old = written.values[pair]
            let prior: Prior = old == nil ? .absent : random.oneIn(2) ? .unknown : .present(hadExpiry: false)
            if old != nil && random.oneIn(5) {
                for side in ["a", "b"] {
                    key(side, writer, pair).withView { batch.delete($0, prior: .present(hadExpiry: false)) }
                }
                written.values[pair] = nil
            } else {
                let value = [UInt8](repeating: UInt8(truncatingIfNeeded: turn), count: random.below(600))
                for side in ["a", "b"] {
                    key(side, writer, pair).withView { k in
                        value.withView { batch.put(k, tag: 1, value: $0, prior: prior) }
                    }
                }
                written.values[pair] = value
            }
            let position = try store.commit(batch, mayBlock: true)
            if random.oneIn(8) { try store.waitForLog(position) } else { _ = try store.flushLog(position) }
            if random.oneIn(200) { try store.resolveCounts() }
        }
    }

    /// Reads a pair, or walks over all; returns what is wrong.
    static func look(_ reader: StoreReader, _ random: inout SeededRandom) throws -> String? {
        reader.begin()
        defer { reader.end() }
        if !random.oneIn(20) {
            let writer = random.below(3)
            let pair = random.below(pairs)
            let a = try read(reader, key("a", writer, pair))
            let b = try read(reader, key("b", writer, pair))
            return a == b ? nil : "half of pair \(writer):\(pair)"
        }
        let lower: [UInt8] = [0]
        let upper: [UInt8] = [255]
        let cursor = try lower.withView { l in try upper.withView { try reader.cursor(lower: l, upper: $0) } }
        var sides: [UInt8: [[UInt8]]] = [:]
        var last: [UInt8] = []
        try cursor.seekToFirst()
        while cursor.isValid {
            let key = cursor.key.array
            guard last.withView({ l in key.withView { l.compare($0) < 0 } }) else {
                return "the order breaks at \(key)"
            }
            last = key
            sides[key[5], default: []].append(Array(key[6...]) + (try cursor.value().array))
            try cursor.next()
        }
        return sides[0x61] == sides[0x62] ? nil : "half of some pair in a scan"
    }

    static func read(_ reader: StoreReader, _ key: [UInt8]) throws -> [UInt8]? {
        try key.withView { view -> [UInt8]? in
            guard let entry = try reader.find(view) else { return nil }
            return try reader.value(entry).array
        }
    }

    static func compare(_ store: Store, _ writers: [Written]) throws {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        for (number, written) in writers.enumerated() {
            for pair in 0..<pairs {
                for side in ["a", "b"] {
                    #expect(try read(reader, key(side, number, pair)) == written.values[pair])
                }
            }
        }
        try store.resolveCounts()
        let keys = writers.reduce(0) { $0 + 2 * $1.values.count }
        #expect(store.counts(namespace: 1) == NamespaceCounts(keys: Int64(keys)))
    }
}

/// A list that several threads add to.
private final class FaultList: @unchecked Sendable {  // Behind `lock`.
    private let lock = Lock()
    private var list: [String] = []
    func add(_ item: String) { lock.withLock { list.append(item) } }
    var items: [String] { lock.withLock { list } }
}

private final class Running: Sendable {
    let value: Atomic<Int>
    init(_ count: Int) { value = Atomic(count) }
}
