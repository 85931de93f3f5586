// A store that nobody closed: its threads end, its files close, its directory is free, and a later start finds what was
// acknowledged.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// The parts of a store that its threads hold. They go only when the threads have ended.
private struct Parts {
    weak var logManager: LogManager?
    weak var log: ValueLog?
    weak var controller: BucketController?
    weak var janitor: Janitor?

    init(_ store: Store) {
        logManager = store.logManager
        log = store.log
        controller = store.controller
        janitor = store.janitor
    }

    var areGone: Bool { logManager == nil && log == nil && controller == nil && janitor == nil }
}

/// Holds a store until it is told to let go of it.
private final class StoreBox: @unchecked Sendable {  // Set before the threads look, cleared once.
    var store: Store?
}

@Suite struct StoreDropTests {
    private static func options(_ path: String, _ policy: SyncPolicy) -> StoreOptions {
        var options = StoreOptions(path: path)
        options.syncPolicy = policy
        options.memoryBytes = 1 << 20
        options.tableBytes = 8 << 10
        options.segmentBytes = 64 << 10
        options.tableFileBytes = 8 << 10
        options.valueSeparationThreshold = 256
        options.mergeWidth = 2
        return options
    }

    private static func key(_ number: Int) -> [UInt8] { Array("key:\(1000 + number)".utf8) }

    /// Writes `count` values and waits for all but the last two, whose keys are in doubt then.
    private static func write(
        _ store: Store, _ count: Int, _ random: inout SeededRandom, _ expected: inout [Int: [UInt8]]
    ) throws {
        for turn in 0..<count {
            let number = random.below(200)
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: turn), count: random.below(700))
            let batch = WriteBatch()
            key(number).withView { k in value.withView { batch.put(k, tag: 0, value: $0, prior: .unknown) } }
            let position = try store.commit(batch, mayBlock: true)
            if turn < count - 2 {
                try store.waitForLog(position)
                expected[number] = value
            } else {
                expected[number] = nil
            }
        }
    }

    /// Descriptors of this process that lead into `folder`.
    private static func descriptors(_ folder: String) throws -> [String] {
        try PosixDisk().list("/proc/self/fd").compactMap { name in
            var target = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/fd/" + name, &target, target.count - 1)
            guard count > 0 else { return nil }
            let path = String(decoding: target[0..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return path.hasPrefix(folder + "/") ? path : nil
        }
    }

    @Test(arguments: [SyncPolicy.always, .everySecond, .no])
    func droppedWithWorkPending(policy: SyncPolicy) throws {
        let folder = TemporaryFolder()
        let options = StoreDropTests.options(folder.path + "/store", policy)
        let seed = TestSeed("StoreDropTests.droppedWithWorkPending \(policy)")
        var random = seed.random
        var expected: [Int: [UInt8]] = [:]
        for life in 0..<12 {
            var store: Store? = try Store.open(options, disk: PosixDisk())
            let parts = try { () throws -> Parts in
                let open = try #require(store)
                try StoreDropTests.expect(open, expected, "life \(life), seed \(seed.value)")
                try StoreDropTests.write(open, 1 + random.below(150), &random, &expected)
                return Parts(open)
            }()
            store = nil
            #expect(parts.areGone)
            #expect(try StoreDropTests.descriptors(folder.path) == [])
        }
    }

    /// The last reference goes on the flush thread, inside of an event: nobody waits for himself.
    @Test func droppedOnAThreadOfItsOwn() throws {
        let folder = TemporaryFolder()
        let options = StoreDropTests.options(folder.path + "/store", .everySecond)
        let disk = FaultyDisk(PosixDisk(), rules: [FaultRule([.write], suffix: ".vsst", forever: true, .noSpace)])
        let box = StoreBox()
        let letGo = Bell()
        let token = letGo.token
        var expected: [Int: [UInt8]] = [:]
        var random = SeededRandom(seed: 1)
        let parts = try { () throws -> Parts in
            let store = try Store.open(options, disk: disk) { event in
                guard case .spaceRunsOut = event else { return }
                letGo.wait(after: token, milliseconds: 60_000)
                box.store = nil
            }
            box.store = store
            do { try StoreDropTests.write(store, 1000, &random, &expected) } catch Interruption.noSpace {}
            return Parts(store)
        }()
        #expect(!parts.areGone)
        letGo.ring()
        while !parts.areGone { sched_yield() }
        #expect(try StoreDropTests.descriptors(folder.path) == [])
        let again = try Store.open(options, disk: PosixDisk())
        try StoreDropTests.expect(again, expected, "opened again")
        try again.close()
        try again.close()
    }

    private static func expect(_ store: Store, _ expected: [Int: [UInt8]], _ context: String) throws {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        defer { reader.end() }
        for (number, value) in expected {
            let found = try key(number).withView { k -> [UInt8]? in
                guard let entry = try reader.find(k) else { return nil }
                return try reader.value(entry).array
            }
            #expect(found == value, "key \(number), \(context)")
        }
    }
}
