// Stores at rest whose bytes tests change one by one: what is in them, and where a change may be of interest.
//
//   runs       tables of the root, and a log that has to be replayed
//   merged     the same, merged to one run
//   collected  everything that the collector and the tree leave behind: rewritten segments with their maps, segments
//              with holes, buckets over buckets, range deletions in the manifest and in the log

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

struct SweptStore {
    enum Kind: String, CaseIterable { case runs, merged, collected }

    static let directory = "/store"
    let disk: SimulatedDisk
    /// Without threads.
    private(set) var options: StoreOptions
    private(set) var expected: [[UInt8]: [UInt8]]
    /// Keys to ask for one by one, some of which are not there.
    private(set) var asked: [[UInt8]]

    init(_ kind: Kind) throws {
        switch kind {
        case .runs, .merged:
            let fixture = try InspectFixture(merged: kind == .merged)
            disk = fixture.disk
            options = fixture.options
            options.usesThreads = false
            expected = fixture.expected
            asked = (0..<40).map { fixture.key($0) }
        case .collected:
            disk = SimulatedDisk()
            options = StoreScript.options(.everySecond)
            options.countsNamespaces = false
            options.valueSeparationThreshold = 512
            options.tableFileBytes = 5000
            options.pushBytes = 8 << 10
            options.leafBytes = 16 << 10
            options.jobBytes = 16 << 10
            expected = [:]
            asked = []
            try collect()
            asked = [Array("z".utf8)]
            for i in 0..<6 { asked.append(SweptStore.key("big", i)) }
            for i in 0..<12 { asked.append(SweptStore.key("middle", i * 2)) }
            for i in 0..<24 { asked.append(SweptStore.key("small", i * 10)) }
        }
    }

    static func key(_ name: String, _ number: Int) -> [UInt8] { Array("\(name):\(1000 + number)".utf8) }

    // MARK: The script of `collected`

    private mutating func collect() throws {
        let store = try Store.open(options, disk: disk)
        // Values too short for holes: their segments are rewritten.
        store.collector.mayPunch = false
        for i in 0..<50 { try put(store, "middle", i % 25, 2500, fill: UInt8(1 + i / 25)) }
        try store.flushTables()
        for i in 0..<6 { try put(store, "middle", i * 4, 2500, fill: 3) }
        try work(store)
        // Values that leave holes of several blocks.
        store.collector.mayPunch = true
        for i in 0..<6 { try put(store, "big", i, 20_000, fill: 4) }
        try store.flushTables()
        for i in [1, 4] { try put(store, "big", i, 20_000, fill: 5) }
        try work(store)
        for i in 0..<240 {
            try put(store, "small", i, 160, fill: nil)
            if i % 60 == 59 { try store.flushTables() }
        }
        try work(store)
        // Newer than the tables, and never merged with them: the first stays in the manifest, the second in the log.
        try remove(store, from: SweptStore.key("small", 93), to: SweptStore.key("small", 131))
        for i in 100..<110 { try put(store, "small", i, 20, fill: 9) }
        try store.flushTables()
        try remove(store, from: SweptStore.key("small", 190), to: SweptStore.key("small", 205))
        try put(store, "middle", 6, 700, fill: 8)
        try put(store, "small", 200, 9, fill: 7)

        let garbage = store.controller.state.garbage
        #expect(garbage.values.contains { $0.generation > 0 && $0.valueCount > 0 }, "a rewritten segment")
        #expect(garbage.values.contains { $0.known != nil }, "a segment with holes")
        #expect(store.root.height >= 2, "buckets over buckets, not a height of \(store.root.height)")
        #expect(store.controller.state.rangeTombstones.count == 1, "\(store.statistics.rangeTombstones)")
        try store.close()
    }

    private func work(_ store: Store) throws {
        try store.flushTables()
        while try store.controller.mergeOnce() {}
        try store.collectGarbage()
        store.janitor.drain()
    }

    /// Without `fill` a value that does not compress.
    private mutating func put(_ store: Store, _ name: String, _ number: Int, _ bytes: Int, fill: UInt8?) throws {
        let key = SweptStore.key(name, number)
        var random = SeededRandom(seed: UInt64(number))
        let value = (0..<bytes).map { _ in fill ?? UInt8(truncatingIfNeeded: random.next()) }
        let batch = WriteBatch()
        try key.withView { k in
            try value.withView {
                batch.put(k, tag: 1, value: $0, prior: .unknown)
                try store.waitForLog(try store.commit(batch, mayBlock: true))
            }
        }
        expected[key] = value
    }

    private mutating func remove(_ store: Store, from lower: [UInt8], to upper: [UInt8]) throws {
        let batch = WriteBatch()
        lower.withView { l in upper.withView { batch.deleteRange(l, $0) } }
        try store.waitForLog(try store.commit(batch, mayBlock: true))
        expected = expected.filter { entry in
            entry.key.withView { k in
                lower.withView { k.compare($0) < 0 } || upper.withView { k.compare($0) >= 0 }
            }
        }
    }

    // MARK: Its bytes

    /// Paths of all files that hold data.
    func files() throws -> [String] {
        var paths = try disk.list(SweptStore.directory).filter { $0 == "CURRENT" || $0.hasPrefix("MANIFEST-") }
            .map { SweptStore.directory + "/" + $0 }
        for folder in ["tables", "log"] {
            let path = SweptStore.directory + "/" + folder
            paths += try disk.list(path).filter { !$0.hasSuffix(".vspare") }.map { path + "/" + $0 }
        }
        return paths.sorted()
    }

    /// What a byte is to a sweep.
    enum Interest: CaseIterable {
        /// Inside a long stretch of one and the same byte: the unwritten rest of a segment, a hole, a value's middle.
        case dull
        case plain
        /// Map and trailer of a rewritten segment.
        case map
    }

    static func interests(_ path: String, _ bytes: [UInt8]) -> [Interest] {
        var interests = bytes.indices.map { i -> Interest in
            i > 0 && i + 1 < bytes.count && bytes[i - 1] == bytes[i] && bytes[i] == bytes[i + 1] ? .dull : .plain
        }
        guard let name = path.split(separator: "/").last, let segment = LogFormat.parseSegmentName(String(name)),
            segment.generation > 0, bytes.count > SegmentTrailer.bytes
        else { return interests }
        let trailer = bytes.count - SegmentTrailer.bytes
        let map = Int(bytes[trailer + 32]) | Int(bytes[trailer + 33]) << 8 | Int(bytes[trailer + 34]) << 16
        for i in min(map, trailer)..<bytes.count { interests[i] = .map }
        return interests
    }
}
