// Crashes at every other disk operation (which half, the seed says) of scripts whose values are so large that segments
// fill, die and are rewritten.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct GarbageCrashTests {
    @Test(arguments: 0..<2) func crashAfterEveryOperation(round: Int) throws {
        let seed = TestSeed("GarbageCrashTests.crashAfterEveryOperation").value &+ UInt64(round)
        let disk = SimulatedDisk()
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: .everySecond, seed: seed)
        script.isHeavy = true
        // Only this thread touches the script and what it promises.
        nonisolated(unsafe) let shared = promises
        disk.onOperation = { [unowned disk] operation in
            if operation % 2 == Int(seed & 1) { return }
            let kinds: [CrashPolicy] = [.keepAll, .dropAll, .random, .torn]
            let kind = kinds[operation / 2 % 4]
            let clone = disk.crashClone(seed: UInt64(operation), policy: kind)
            let promised = kind == .keepAll ? shared.acknowledged : shared.durable
            let context = "seed \(seed), operation \(operation), \(kind), after \(disk.recentOperations.suffix(3))"
            StoreCrashTests.check(
                clone, shared, promised: promised, .everySecond, thoroughly: operation % 48 < 4, context)
        }
        try script.run(lives: 3, steps: 40)
        disk.onOperation = nil
        #expect(script.rewrites > 0, "seed \(seed)")
        #expect(script.holes > 0, "seed \(seed)")
    }

    /// The crashes above must notice a collector that forgets a sync.
    @Test(arguments: ["rewritten segments", "log directory", "manifests"])
    func forgottenSyncsAreNoticed(which: String) throws {
        let disk = SimulatedDisk()
        var mutation = SimulatedDisk.Mutation()
        switch which {
        case "rewritten segments": mutation.ignoresSync = { $0.hasSuffix(".vseg") && !$0.hasSuffix("-0.vseg") }
        case "log directory": mutation.ignoresDirectorySync = { $0.hasSuffix("/log") }
        default: mutation.ignoresSync = { $0.contains("/MANIFEST-") }
        }
        var fixture = try GarbageFixture(disk) { $0.mergeWidth = 16 }
        for i in 0..<130 { try fixture.put("k\(i)", 3000) }
        try fixture.store.flushTables()
        for i in stride(from: 0, to: 130, by: 2) { try fixture.put("k\(i)", 3000, fill: 5) }
        try fixture.store.flushTables()
        try fixture.store.mergeAll()
        disk.mutation = mutation
        try fixture.store.collectGarbage()
        // The files that were replaced go, and with them what an unsynced edit still names.
        fixture.store.janitor.drain()
        #expect(fixture.store.collector.counters.withLock { $0.segmentsRewritten } > 0 && disk.ignoredSyncCount > 0)
        var failures = 0
        for seed in 0..<40 as Range<UInt64> where failures == 0 {
            let clone = disk.crashClone(seed: seed, policy: seed == 0 ? .dropAll : .random)
            clone.mutation = .none
            let report = try? StoreVerifier.verify(disk: clone, directory: "/store")
            if report?.errorCount != 0 { failures += 1 }
        }
        #expect(failures > 0)
    }

    /// Every operation fails once, beside rewrites.
    @Test(arguments: [DiskFault.io, .noSpace]) func everyOperationMayFail(fault: DiskFault) throws {
        let seed = TestSeed("GarbageCrashTests.everyOperationMayFail").value
        var nth = 1 + Int(seed % 9)
        while nth < 4000 {
            let base = SimulatedDisk()
            let disk = FaultyDisk(base, rules: [.change(nth: nth, fault)], seed: UInt64(nth))
            let promises = StorePromises()
            let script = StoreScript(disk, promises, policy: .always, seed: seed)
            script.isHeavy = true
            script.survivesFaults = true
            do {
                try script.run(lives: 1, steps: 60)
            } catch {
                #expect(error as? Interruption == .writesStopped, "seed \(seed), \(disk.injected)")
            }
            let context = "seed \(seed), after \(disk.injected)"
            if disk.injected.isEmpty { return }
            if let store = script.store { expectState(store, promises.state, context) }
            disk.removeRules()
            script.abandon()
            StoreCrashTests.check(
                base, promises, promised: promises.acknowledged, .always, thoroughly: nth % 5 == 0, context)
            nth += 9
        }
        Issue.record("the script never got through")
    }
}
