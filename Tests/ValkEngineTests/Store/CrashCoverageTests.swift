// What crash tests crash in: a test that crashes at every disk operation proves nothing of work that its script never
// does. Here the crashes are counted by what the store was at, and each kind of work must have had some. Kinds of work
// that come all the time are crashed in now and then only, once they have had their share.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Crashes of a script by the work that they come in the middle of. For one thread.
final class CrashTally {
    private(set) var points: [StoreWork: Int] = [:]

    /// Crashes in one kind of work until it has had enough and only one operation in `stride` is as good as any.
    private let enough: Int
    private let stride: Int
    /// So few that each gets every kind of crash.
    private let scarce: Int

    init(enough: Int = 40, stride: Int = 16, scarce: Int = 8) {
        self.enough = enough
        self.stride = stride
        self.scarce = scarce
    }

    /// The crashes that come after this operation. `text`: its description, as the disk gives it.
    func take(_ operation: Int, _ text: String, _ script: StoreScript) -> [CrashPolicy] {
        let works = works(text, script)
        let least = works.map { points[$0] ?? 0 }.min() ?? 0
        if least >= enough && operation % stride != 0 { return [] }
        for work in works { points[work, default: 0] += 1 }
        let all: [CrashPolicy] = [.keepAll, .dropAll, .random, .torn]
        return least < scarce ? all : [all[(points[script.work] ?? 0) % all.count]]
    }

    /// An operation may be part of two: of the round of the collector, and of the rewrite in it.
    private func works(_ operation: String, _ script: StoreScript) -> Set<StoreWork> {
        var works: Set<StoreWork> = [script.work]
        // Without threads nobody changes it meanwhile.
        switch script.store?.controller.jobs.last?.kind {
        case .push: works.insert(.push)
        case .merge: works.insert(.merge)
        case .split: works.insert(.split)
        case .join: works.insert(.join)
        case .flush, nil: break
        }
        let words = operation.split(separator: " ")
        guard words.count > 2 else { return works }
        let name = words[1] == "sync" && words[2] == "directory" ? "" : words[2]
        let target = words[1] == "rename" ? words[words.count - 1] : ""
        if words[1] == "punch" { works.insert(.punch) }
        if target.hasSuffix(".vspare") { works.insert(.segmentDrop) }
        if name.hasSuffix(".vspare") { works.insert(.recycle) }
        if name.hasSuffix(".vseg"), let at = name.lastIndex(of: "/"), script.work != .backup,
            let (_, generation) = LogFormat.parseSegmentName(String(name[name.index(after: at)...]))
        {
            if words[1] == "remove" {
                if script.work != .open { works.insert(.segmentDrop) }
            } else if generation > 0 {
                works.insert(.rewrite)
            }
        }
        let isOfManifest = name.contains("/MANIFEST-") || name.contains("/CURRENT")
        if isOfManifest && script.work != .open && script.work != .backup { works.insert(.manifestRoll) }
        return works
    }

    var table: String {
        StoreWork.allCases.map { "\($0.rawValue): \(points[$0] ?? 0)" }.joined(separator: ", ")
    }
}

@Suite struct CrashCoverageTests {
    @Test(arguments: StoreCrashTests.policies) func everyKindOfWorkIsCrashedIn(policy: SyncPolicy) throws {
        let seed = TestSeed("CrashCoverageTests.everyKindOfWorkIsCrashedIn \(policy)").value
        let disk = SimulatedDisk()
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: policy, seed: seed)
        let tally = CrashTally()
        // Only this thread touches them.
        nonisolated(unsafe) let shared = (promises, script, tally)
        nonisolated(unsafe) var crashes = 0
        disk.onOperation = { [unowned disk] operation in
            let (promises, script, tally) = shared
            for kind in tally.take(operation, disk.recentOperations.last ?? "", script) {
                crashes += 1
                let clone = disk.crashClone(seed: seed &+ UInt64(operation), policy: kind)
                let promised = kind == .keepAll ? promises.acknowledged : promises.durable
                let context = "seed \(seed), operation \(operation), \(kind), after \(disk.recentOperations.suffix(3))"
                StoreCrashTests.check(
                    clone, promises, promised: promised, policy, thoroughly: crashes % 31 == 0, context)
            }
        }
        try script.tour()
        disk.onOperation = nil
        print("crashes, \(policy): \(tally.table)")
        for work in StoreWork.allCases {
            #expect(tally.points[work] ?? 0 > 0, "\(work) never happens; seed \(seed)")
        }
    }
}
