// Tables that a range deletion dropped whole are read for their dead records; a disk that refuses once is asked again.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct OwedTableTests {
    @Test(arguments: [DiskFault.io, .noSpace]) func aFaultOfTheDiskLosesNoAccount(fault: DiskFault) throws {
        let disk = FaultyDisk(SimulatedDisk())
        var options = StoreScript.options(.everySecond)
        options.tableBytes = 1 << 20
        options.tableFileBytes = 1 << 20
        options.mergeWidth = 16
        let store = try Store.open(options, disk: disk)
        let batch = WriteBatch()
        let value = [UInt8](repeating: 5, count: 200)
        for namespace: UInt8 in [1, 3] {
            for n: UInt8 in 0..<10 {
                let key: [UInt8] = [0, 0, 0, namespace, 1, n]
                key.withView { k in value.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
            }
        }
        _ = try store.commit(batch, mayBlock: true)
        try store.flushTables()
        batch.clear()
        let (lower, upper): ([UInt8], [UInt8]) = ([0, 0, 0, 3], [0, 0, 0, 4])
        lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
        _ = try store.commit(batch, mayBlock: true)
        try store.flushTables()
        let owed = try #require(store.controller.state.owed.first)

        let name = hexadecimal(owed.fileId, digits: 16) + ".vsst"
        disk.add(FaultRule([.open], suffix: name, nth: 1, forever: true, fault))
        try store.collectGarbage()
        #expect(!disk.injected.isEmpty)
        #expect(store.controller.state.owed.count == 1)
        disk.removeRules()
        try store.collectGarbage()
        #expect(store.controller.state.owed.isEmpty)
        let dead = store.controller.state.garbage.values.reduce(0) { sum, known in
            sum + known.chunks.reduce(0) { $0 + (DiscardChunk.decode($1.list)?.count ?? 0) }
        }
        #expect(dead == 10)
        expectExactGarbage(store, mayRepeat: true, "after a fault")
    }
}
