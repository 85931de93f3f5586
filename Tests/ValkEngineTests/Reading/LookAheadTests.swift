// A reader that was told of its keys answers as one that was not, whatever happens between the announcement and the
// look-up: writes, flushes, merges, keys that are left out, asked for twice or out of turn.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct LookAheadTests {
    /// A key or value as the reader gave it.
    private static func answer(_ reader: StoreReader, _ key: [UInt8]) throws -> [UInt8]? {
        try key.withView { view in
            guard let entry = try reader.find(view) else { return nil }
            return try reader.value(entry).array
        }
    }

    @Test func announcedKeysAnswerAsOthers() throws {
        let seed = TestSeed("LookAhead")
        var random = seed.random
        var options = StoreOptions(path: "/look")
        options.usesThreads = false
        options.tableBytes = 1 << 20
        options.blockBytes = 512
        options.mergeWidth = 3
        options.valueSeparationThreshold = 200
        options.memoryBytes = 1 << 20
        let store = try Store.open(options, disk: SimulatedDisk())
        let announced = StoreReader(store, mayBlock: true)
        let plain = StoreReader(store, mayBlock: true)
        func key() -> [UInt8] { Array("key:\(random.below(300))".utf8) }
        func write() throws {
            let batch = WriteBatch()
            for _ in 0...random.below(20) {
                let value = [UInt8](repeating: UInt8(random.below(256)), count: random.below(300))
                key().withView { k in
                    if random.oneIn(5) {
                        batch.delete(k, prior: .present(hadExpiry: false))
                    } else {
                        value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) }
                    }
                }
            }
            _ = try store.commit(batch, mayBlock: true)
        }
        var fromRuns = 0
        for _ in 0..<1500 {
            for _ in 0..<random.below(4) { try write() }
            if random.oneIn(6) { try store.flushTables() }
            if random.oneIn(10) { _ = try store.controller.mergeOnce() }
            if random.oneIn(40) {
                let batch = WriteBatch()
                Array("key:1".utf8).withView { low in Array("key:2".utf8).withView { batch.deleteRange(low, $0) } }
                _ = try store.commit(batch, mayBlock: true)
            }
            let keys = (0..<(2 + random.below(StoreReader.warmKeysMax - 1))).map { _ in key() }
            var bytes = ByteBuffer()
            for key in keys { key.withView { bytes.append($0) } }
            var views: [ByteView] = []
            var at = 0
            for key in keys {
                views.append(bytes.view[at..<at + key.count])
                at += key.count
            }
            if random.oneIn(3) { announced.noteWrite() }
            views.withUnsafeBufferPointer { announced.warm($0.baseAddress!, $0.count) }
            fromRuns += (0..<announced.ahead.pointee.count).count {
                announced.ahead.pointee.items[$0].frame != nil
            }
            for key in keys {
                if random.oneIn(5) { continue }
                let wanted = random.oneIn(8) ? keys[random.below(keys.count)] : key
                if random.oneIn(6) { try write() }
                if random.oneIn(40) { try store.flushTables() }
                announced.begin()
                plain.begin()
                let told = try Self.answer(announced, wanted)
                let untold = try Self.answer(plain, wanted)
                #expect(told == untold, "seed \(seed.value), key \(String(decoding: wanted, as: UTF8.self))")
                announced.end()
                plain.end()
            }
        }
        // The short way was gone often, not just offered.
        #expect(fromRuns > 1000)
        announced.cool()
        try store.close()
    }
}
