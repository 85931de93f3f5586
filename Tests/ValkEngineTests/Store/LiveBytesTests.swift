// What the store says it holds live, against what was put in.

import Testing
import ValkBase
import ValkTestSupport

@testable import ValkEngine

@Suite struct LiveBytesTests {
    private static func key(_ namespace: UInt32, _ n: Int) -> [UInt8] {
        withUnsafeBytes(of: namespace.bigEndian) { Array($0) } + [1] + Array("key:\(n)".utf8)
    }

    /// Bytes that do not compress.
    private static func value(_ n: Int, _ count: Int) -> [UInt8] {
        var random = SeededRandom(seed: UInt64(n) + 1)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private static func makeStore() throws -> TinyStore { try TinyStore { $0.countsNamespaces = true } }

    private func expect(_ store: TinyStore, about bytes: Int, within share: Double = 0.15) {
        let live = store.store.liveBytes()
        #expect(
            Double(abs(live - bytes)) <= Double(bytes) * share + 4096, "\(live) live bytes where there are \(bytes)")
    }

    @Test func inMemoryOverwritesAndDeletesCountExactly() throws {
        let store = try LiveBytesTests.makeStore()
        #expect(store.store.liveBytes() == 0)
        for n in 0..<1000 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 100)) }
        let once = store.store.liveBytes()
        for n in 0..<1000 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 100)) }
        #expect(store.store.liveBytes() == once)
        for n in 0..<500 { try store.delete(LiveBytesTests.key(1, n)) }
        // Keys of three digits at most are a little shorter in the first half.
        #expect(abs(store.store.liveBytes() - once / 2) < 1000)
        for n in 500..<1000 { try store.delete(LiveBytesTests.key(1, n)) }
        #expect(store.store.liveBytes() == 0)
    }

    @Test func aDeleteOfWhatIsInTheTreeCountsBeforeAnyMerge() throws {
        let store = try LiveBytesTests.makeStore()
        for n in 0..<4000 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 100)) }
        try store.store.mergeAll()
        let whole = store.store.liveBytes()
        for n in 0..<2000 { try store.delete(LiveBytesTests.key(1, n)) }
        expect(store, about: whole / 2, within: 0.1)
        try store.store.flushTables()
        expect(store, about: whole / 2, within: 0.1)
        // Smaller files have more room to spare.
        try store.store.mergeAll()
        expect(store, about: whole / 2)
    }

    @Test func valuesInTheLogCount() throws {
        let store = try LiveBytesTests.makeStore()
        for n in 0..<300 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 4000)) }
        expect(store, about: 300 * 4100, within: 0.05)
        try store.store.flushTables()
        expect(store, about: 300 * 4100, within: 0.05)
        for n in 0..<100 { try store.delete(LiveBytesTests.key(1, n)) }
        expect(store, about: 200 * 4100, within: 0.05)
        try store.store.mergeAll()
        expect(store, about: 200 * 4100, within: 0.05)
    }

    @Test func blindOverwritesOfTheTreeCountOnce() throws {
        let store = try LiveBytesTests.makeStore()
        for n in 0..<4000 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 100)) }
        try store.store.flushTables()
        let whole = store.store.liveBytes()
        // The filters learn at the first flush that such writes hide something.
        for n in 0..<2000 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 100)) }
        try store.store.flushTables()
        expect(store, about: whole)
        for n in 2000..<4000 { try store.put(LiveBytesTests.key(1, n), LiveBytesTests.value(n, 100)) }
        expect(store, about: whole)
    }

    @Test func aDeletedNamespaceWeighsNothing() throws {
        let store = try LiveBytesTests.makeStore()
        for flushes in [false, true] {
            for n in 0..<1000 { try store.put(LiveBytesTests.key(7, n), LiveBytesTests.value(n, 100)) }
            for n in 0..<1000 { try store.put(LiveBytesTests.key(8, n), LiveBytesTests.value(n, 100)) }
            if flushes { try store.store.flushTables() }
            let whole = store.store.liveBytes()
            _ = try store.store.commit(TinyStore.deletion(of: 7), mayBlock: true)
            expect(store, about: whole / 2)
            _ = try store.store.commit(TinyStore.deletion(of: 8), mayBlock: true)
            expect(store, about: 0)
        }
    }
}

extension TinyStore {
    fileprivate static func deletion(of namespace: UInt32) -> WriteBatch {
        let batch = WriteBatch()
        let bounds = [namespace, namespace + 1].map { withUnsafeBytes(of: $0.bigEndian) { Array($0) } }
        bounds[0].withView { lower in bounds[1].withView { batch.deleteRange(lower, $0) } }
        return batch
    }
}
