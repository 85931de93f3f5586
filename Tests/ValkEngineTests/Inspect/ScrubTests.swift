// The scrub: finds what is damaged, each time and nothing else, while the store goes on.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct ScrubTests {
    @Test func soundStoreHasNoErrors() throws {
        let fixture = try InspectFixture()
        var options = fixture.options
        options.usesThreads = false
        let store = try Store.open(options, disk: fixture.disk)
        let before = fixture.disk.operationCount
        store.scrubber.round(paced: false)
        let figures = store.scrubber.figures
        #expect(figures.rounds == 1 && figures.totalErrors == 0 && figures.lastBytes > 0 && figures.lastEnd > 0)
        #expect(fixture.disk.operationCount == before)
        try store.close()
    }

    @Test func randomWorkScrubsClean() throws {
        let seed = TestSeed("ScrubTests.randomWorkScrubsClean").value
        let run = try ModelRun(seed: seed, disk: SimulatedDisk(), path: "/store")
        for i in 0..<800 {
            try run.step()
            if i % 100 != 99 { continue }
            run.store.scrubber.round(paced: false)
            #expect(run.store.scrubber.figures.totalErrors == 0, "\(run.store.scrubber.figures.lastDamage)")
        }
        try run.store.close()
    }

    @Test func damageIsFoundInEachRound() throws {
        let fixture = try InspectFixture()
        let paths = try fixture.files()
        let table = try #require(paths.first { $0.hasSuffix(".vsst") })
        let segment = try #require(paths.first { $0.hasSuffix(".vseg") })
        for (path, offset) in [(table, 5), (segment, 4096 + 70)] {
            let disk = fixture.disk.crashClone(seed: 1, policy: .keepAll)
            let told = Told()
            var options = fixture.options
            options.usesThreads = false
            let store = try Store.open(options, disk: disk) { event in
                if case .log(.damaged(let error)) = event { told.add(error) }
            }
            // Segments are looked at when they are full: what comes now goes into the next one.
            try fixture.write(store) { $0.put(fixture.key(1), [1]) }
            try store.sync()
            let file = try disk.open(path, .readWrite)
            let byte = try file.read(1, at: offset)
            try file.write([byte[0] ^ 4], at: offset)
            store.scrubber.round(paced: false)
            store.scrubber.round(paced: false)
            let figures = store.scrubber.figures
            #expect(figures.rounds == 2 && figures.lastErrors == 1 && figures.totalErrors == 2)
            #expect(figures.lastDamage.contains(path) && told.paths == [path, path])
            try? store.close()
        }
    }
}

private final class Told: @unchecked Sendable {  // Behind `lock`.
    private let lock = Lock()
    private var all: [String] = []
    func add(_ error: StoreError) { lock.withLock { all.append(error.path) } }
    var paths: [String] { lock.withLock { all } }
}
