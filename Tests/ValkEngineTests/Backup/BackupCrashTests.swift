// Backups while the power or the process goes at any moment: the source is unharmed, and what has a backup's final name
// opens and holds one moment of the source.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct BackupCrashTests {
    /// Opens every backup that has its name. Returns how many there were.
    private static func checkBackups(
        _ disk: SimulatedDisk, _ all: [[[UInt8]: ModelValue]], _ sequences: [UInt64: Int], _ context: String
    ) -> Int {
        var found = 0
        for name in (try? disk.list("/")) ?? [] where name.hasPrefix("backup") && !name.hasSuffix(".partial") {
            found += 1
            do {
                let copy = try StoreScript.open(disk, .everySecond, at: "/" + name)
                guard let state = sequences[copy.visibleSequence] else {
                    Issue.record("\(name) holds half a batch, up to \(copy.visibleSequence): \(context)")
                    continue
                }
                expectState(copy, all[state], "\(name), \(context)")
                try copy.close()
            } catch {
                Issue.record("\(name) does not open (\(error)): \(context)")
            }
        }
        return found
    }

    @Test(arguments: [true, false])
    func crashAfterEveryOperation(links: Bool) throws {
        let seed = TestSeed("BackupCrashTests.crashAfterEveryOperation \(links)").value
        let base = SimulatedDisk()
        let disk: any Disk =
            links ? base : FaultyDisk(base, rules: [FaultRule([.link], forever: true, .error(95))])
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: .everySecond, seed: seed)
        // Only this thread touches what is shared.
        nonisolated(unsafe) let shared = promises
        nonisolated(unsafe) var isBackingUp = false
        nonisolated(unsafe) var backups = 0
        nonisolated(unsafe) var seen = 0
        base.onOperation = { [unowned base] operation in
            let policies: [CrashPolicy] = [.keepAll, .dropAll, .random, .torn]
            // While a backup is made two ways to lose for each operation, at other times now and then one.
            for (i, kind) in policies.enumerated()
            where (isBackingUp && (operation + i) % 2 == 0) || operation % 32 == i * 8 {
                let context = "operation \(operation), \(kind), after \(base.recentOperations.suffix(3))"
                let clone = base.crashClone(seed: UInt64(operation), policy: kind)
                var sequences: [UInt64: Int] = [0: 0]
                for (n, batch) in shared.batches.enumerated() { sequences[batch.sequence] = n + 1 }
                seen = max(seen, BackupCrashTests.checkBackups(clone, shared.states, sequences, context))
                let promised = kind == .keepAll ? shared.acknowledged : shared.durable
                StoreCrashTests.check(
                    clone, shared, promised: promised, .everySecond, thoroughly: operation % 24 == i * 6, context)
            }
        }
        try script.run(lives: 2, steps: 24) { _, step in
            guard step % 9 == 8, let store = script.store else { return }
            isBackingUp = true
            try store.backup(to: "/backup-\(backups)")
            isBackingUp = false
            backups += 1
            promises.take(store)
        }
        base.onOperation = nil
        #expect(backups == 4 && seen >= 3)
    }

    /// Each operation of a backup fails once: it says so and leaves nothing, the source goes on, the next one succeeds.
    @Test func everyOperationFailsOnce() throws {
        let seed = TestSeed("BackupCrashTests.everyOperationFailsOnce").value
        for nth in 1... {
            let base = SimulatedDisk()
            let disk = FaultyDisk(base)
            let promises = StorePromises()
            let script = StoreScript(disk, promises, policy: .everySecond, seed: seed)
            var wasHit = false
            try script.run(lives: 1, steps: 12) { _, step in
                guard step == 10, let store = script.store else { return }
                try store.flushTables()
                try store.sync()
                disk.add(.any(nth: nth))
                var failed = false
                do { try store.backup(to: "/backup") } catch { failed = true }
                wasHit = !disk.injected.isEmpty
                disk.removeRules()
                if try failed && base.exists("/backup") {
                    // The last steps: it has its name, which may not be durable.
                    #expect(disk.injected.first?.operation == .syncDirectory)
                }
                #expect(failed == wasHit || disk.injected.first?.operation == .remove)
                try store.backup(to: "/second")
            }
            for name in ["/second"] {
                let copy = try StoreScript.open(base, .everySecond, at: name)
                #expect(promises.count(upTo: copy.visibleSequence) != nil)
            }
            if !wasHit { break }
        }
    }

    /// The tests above must notice a backup that forgets its syncs.
    @Test(arguments: ["copies", "manifest", "tables", "log", "itself", "parent"])
    func forgottenSyncsAreNoticed(which: String) throws {
        let base = SimulatedDisk()
        var mutation = SimulatedDisk.Mutation()
        switch which {
        case "copies": mutation.ignoresSync = { $0.contains(".partial/tables/") || $0.contains(".partial/log/") }
        case "manifest": mutation.ignoresSync = { $0.contains(".partial/MANIFEST-") }
        case "tables": mutation.ignoresDirectorySync = { $0.hasSuffix(".partial/tables") }
        case "log": mutation.ignoresDirectorySync = { $0.hasSuffix(".partial/log") }
        case "itself": mutation.ignoresDirectorySync = { $0.hasSuffix(".partial") }
        default: mutation.ignoresDirectorySync = { $0 == "/" }
        }
        let disk = FaultyDisk(base, rules: [FaultRule([.link], forever: true, .error(95))])
        let script = StoreScript(disk, StorePromises(), policy: .everySecond, seed: 11)
        var failures = 0
        try script.run(lives: 1, steps: 12) { _, step in
            guard step == 11, let store = script.store else { return }
            base.mutation = mutation
            try store.backup(to: "/backup")
            for seed in 0..<40 as Range<UInt64> where failures == 0 {
                let clone = base.crashClone(seed: seed, policy: seed == 0 ? .dropAll : .random)
                clone.mutation = .none
                // It was finished, so it has to be there, and to be whole.
                let report = try? StoreVerifier.verify(disk: clone, directory: "/backup")
                if report?.isSound != true { failures += 1 }
            }
            base.mutation = .none
        }
        #expect(failures > 0)
        #expect(base.ignoredSyncCount > 0)
    }
}
