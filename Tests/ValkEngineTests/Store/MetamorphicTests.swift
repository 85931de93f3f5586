// One sequence of calls under many sets of options: how small tables, blocks, files and buckets are, where values lie,
// what is punched and rewritten, and when the background works must not show in any answer. The answers are also those
// of a dictionary.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct MetamorphicTests {
    /// Options by a seed.
    private static func options(_ random: inout SeededRandom) -> StoreOptions {
        var options = StoreOptions(path: "/store")
        options.countsNamespaces = true
        options.usesThreads = false
        options.syncPolicy = [.always, .everySecond, .no][random.below(3)]
        options.memoryBytes = 1 << (20 + random.below(5))
        options.tableBytes = 4096 << random.below(6)
        options.blockBytes = 64 << random.below(8)
        options.tableFileBytes = 512 << random.below(8)
        options.segmentBytes = 65_536 << random.below(4)
        options.valueSeparationThreshold = [16, 64, 200, 1000, 100_000][random.below(5)]
        options.mergeWidth = 2 + random.below(7)
        options.pushBytes = 4096 << random.below(5)
        options.leafBytes = 4096 << random.below(6)
        options.jobBytes = 4096 << random.below(5)
        options.fanOut = 3 + random.below(6)
        options.deletesEntriesMin = [4, 40, 1000][random.below(3)]
        options.filterBitsPerKey = [0, 1, 4, 12][random.below(4)]
        options.spaceTarget = [1.05, 1.1, 1.3, 2][random.below(4)]
        options.punchBytesMin = 4096 << random.below(5)
        options.holesPerSegmentMax = [1, 4, 256][random.below(3)]
        options.rangeDeletionsMax = [16, 64, 16_384][random.below(3)]
        options.manifestRollBytes = 1024 << random.below(6)
        return options
    }

    /// Parts so small that a file has a few entries and a leaf has one or two files.
    private static func deepOptions(_ random: inout SeededRandom) -> StoreOptions {
        var deep = options(&random)
        deep.tableBytes = 4096 << random.below(2)
        deep.tableFileBytes = 512
        deep.blockBytes = 256
        deep.pushBytes = 4096
        deep.leafBytes = 8192
        deep.jobBytes = 8192
        deep.mergeWidth = 2
        deep.fanOut = 3
        return deep
    }

    private static func run(_ trace: StoreTrace, _ answers: [UInt64], _ store: TraceStore, _ name: String) throws {
        for (i, step) in trace.steps.enumerated() {
            let answer: UInt64
            do { answer = try store.answer(step) } catch {
                Issue.record("\(name): step \(i) (\(step)) fails (\(error)); \(store.options)")
                return
            }
            if answer != answers[i] {
                Issue.record("\(name): step \(i) (\(step)) is answered differently; \(store.options)")
                return
            }
        }
        try store.close()
    }

    @Test(arguments: 0..<2 as Range<UInt64>) func answersDoNotDependOnOptions(round: UInt64) throws {
        let seed = TestSeed("MetamorphicTests.answersDoNotDependOnOptions").value &+ round
        let trace = StoreTrace(seed: seed, count: 500)
        let model = TraceModel()
        let answers = trace.steps.map(model.answer)
        var random = SeededRandom(seed: seed)
        var collected: UInt64 = 0
        for set in 0..<6 {
            var options = Self.options(&random)
            // What the threads do comes at times of their own.
            options.usesThreads = set == 5
            if set == 0 {
                // One in which the collector has to work.
                options.spaceTarget = 1.05
                options.valueSeparationThreshold = 64
                options.segmentBytes = 65_536
            }
            let store = try TraceStore(options, seed: random.next())
            try Self.run(trace, answers, store, "seed \(seed), options \(set)")
            collected += store.rewrites + store.holes
        }
        #expect(collected > 0, "seed \(seed): the collector had nothing to do")
    }

    /// The same with trees of at least six levels.
    @Test func answersDoNotDependOnDepth() throws {
        let seed = TestSeed("MetamorphicTests.answersDoNotDependOnDepth").value
        let trace = StoreTrace(seed: seed, count: 500)
        let model = TraceModel()
        let answers = trace.steps.map(model.answer)
        var random = SeededRandom(seed: seed)
        var heightMax = 0
        for set in 0..<2 {
            let store = try TraceStore(Self.deepOptions(&random), seed: random.next())
            try Self.run(trace, answers, store, "seed \(seed), options \(set)")
            heightMax = max(heightMax, store.heightMax)
        }
        #expect(heightMax >= 6, "seed \(seed)")
    }
}
