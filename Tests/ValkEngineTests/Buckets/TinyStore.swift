// A store without threads on a simulated disk, with parts so small that a few thousand keys make a tree of several
// levels. Its background works when it is told.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

final class TinyStore {
    let disk: any Disk
    let store: Store
    private let batch = WriteBatch()

    init(_ disk: any Disk = SimulatedDisk(), _ change: (inout StoreOptions) -> Void = { _ in }) throws {
        var options = StoreOptions(path: "/store")
        options.usesThreads = false
        options.syncPolicy = .no
        options.memoryBytes = 8 << 20
        options.tableBytes = 1 << 20
        options.tableFileBytes = 16 << 10
        options.pushBytes = 32 << 10
        options.leafBytes = 128 << 10
        options.jobBytes = 48 << 10
        options.blockBytes = 1024
        options.mergeWidth = 4
        options.fanOut = 4
        options.segmentBytes = 4 << 20
        change(&options)
        self.disk = disk
        store = try Store.open(options, disk: disk)
    }

    var controller: BucketController { store.controller }

    func put(_ key: [UInt8], _ value: [UInt8], expireAt: UInt64 = 0) throws {
        batch.clear()
        key.withView { k in
            value.withView { batch.put(k, tag: 0, expireAt: expireAt, value: $0, prior: .unknown) }
        }
        _ = try store.commit(batch, mayBlock: true)
    }

    func delete(_ key: [UInt8]) throws {
        batch.clear()
        key.withView { batch.delete($0, prior: .present(hadExpiry: false)) }
        _ = try store.commit(batch, mayBlock: true)
    }

    func settle() throws { while try controller.mergeOnce() {} }

    /// Puts `keys`, with values that do not compress, and makes a run of them.
    func run(of keys: some Sequence<Int>) throws {
        var random = SeededRandom(seed: 1)
        for n in keys {
            try put(TinyStore.key(n), (0..<40).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }
        try store.flushTables()
    }

    static func key(_ n: Int) -> [UInt8] {
        let text = String(n)
        return Array(("key:" + String(repeating: "0", count: 8 - text.count) + text).utf8)
    }

    /// Reasons of the jobs that ended, flushes left out.
    var reasons: [String] { controller.ended.jobs.filter { $0.kind != "flush" }.map(\.reason) }

    /// How many keys a walk over everything shows.
    @discardableResult
    func walk() throws -> Int {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        let upper = [UInt8](repeating: 255, count: 20)
        let cursor = try upper.withView { try reader.cursor(lower: .empty, upper: $0) }
        var count = 0
        try cursor.seekToFirst()
        while cursor.isValid {
            count += 1
            try cursor.next()
        }
        return count
    }

    var deletes: UInt64 {
        var sum: UInt64 = 0
        store.root.forEach { bucket in
            for run in bucket.runs { for fragment in run.fragments { sum += fragment.tombstones } }
        }
        return sum
    }
}
