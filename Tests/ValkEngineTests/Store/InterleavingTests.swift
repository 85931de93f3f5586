// What threads do to each other, by a seed and on one thread: at the seams of jobs, flushes and rounds of the collector
// (files written and not shown, a segment copied and not in force, holes noted and not made, ...) other calls come in
// between: writes, deletes of ranges, reads, snapshots, flushes, other jobs and the collector, which have seams again.
// Jobs are also cut short between their steps. A dictionary says what is right.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Goes through a trace, at each seam as far as chance will have it.
private final class Interleaving {
    private let trace: StoreTrace
    private let answers: [UInt64]
    private let store: TraceStore
    private let name: String
    private var random: SeededRandom
    private var next = 0
    private(set) var seams: [JobSeam: Int] = [:]
    /// Steps of the trace that came in between.
    private(set) var stepsBetween = 0
    private(set) var hasFailed = false
    private static let depthMax = 3

    init(_ trace: StoreTrace, _ options: StoreOptions, seed: UInt64, _ name: String) throws {
        self.trace = trace
        self.name = name
        let model = TraceModel()
        answers = trace.steps.map(model.answer)
        random = SeededRandom(seed: seed)
        store = try TraceStore(options, seed: seed)
    }

    func run() throws {
        store.atSeam = { [unowned self] in self.comeBetween($0) }
        while next < trace.steps.count && !hasFailed { step() }
        try store.close()
    }

    private func step() {
        let i = next
        next += 1
        do {
            let answer = try store.answer(trace.steps[i])
            if answer == answers[i] || hasFailed { return }
            Issue.record("\(name): step \(i) (\(trace.steps[i])) is answered differently")
        } catch {
            Issue.record("\(name): step \(i) (\(trace.steps[i])) fails (\(error))")
        }
        hasFailed = true
    }

    private func comeBetween(_ seam: JobSeam) -> Bool {
        seams[seam, default: 0] += 1
        if random.oneIn(4) {
            do { try store.resolveCounts() } catch { Issue.record("\(name): counting fails (\(error))") }
        }
        guard store.depth <= Interleaving.depthMax, random.oneIn(2) else { return random.oneIn(4) }
        for _ in 0...random.below(4) where next < trace.steps.count && !hasFailed {
            // Starts come when nothing else is under way; counts of keys wait for flushes.
            if case .restart = trace.steps[next] { break }
            if case .everything = trace.steps[next], store.isFlushing { break }
            stepsBetween += 1
            step()
        }
        return random.oneIn(4)
    }
}

@Suite struct InterleavingTests {
    enum Kind: String, CaseIterable { case shallow, deep, heavy }

    private static func options(_ kind: Kind) -> StoreOptions {
        var options = StoreScript.options(.everySecond)
        options.tableBytes = 16_384
        options.spaceTarget = 1.05
        options.rangeDeletionsMax = 64
        if kind == .deep {
            options.tableFileBytes = 512
            options.leafBytes = 4096
        }
        return options
    }

    @Test func othersComeInBetween() throws {
        let seed = TestSeed("InterleavingTests.othersComeInBetween").value
        var seams: [JobSeam: Int] = [:]
        for kind in Kind.allCases {
            let trace = StoreTrace(seed: seed, count: 500, isHeavy: kind == .heavy)
            let run = try Interleaving(trace, Self.options(kind), seed: seed, "\(kind), seed \(seed)")
            try run.run()
            if run.hasFailed { return }
            #expect(run.stepsBetween > 100, "\(kind), seed \(seed)")
            seams.merge(run.seams, uniquingKeysWith: +)
        }
        print(JobSeam.allCases.map { "\($0): \(seams[$0] ?? 0)" }.joined(separator: ", "))
        for seam in JobSeam.allCases { #expect(seams[seam] ?? 0 > 0, "\(seam) never comes; seed \(seed)") }
    }
}
