// The whole store after the power or the process has gone at any moment of a script with puts, overwrites, deletes,
// batches, range deletions, separated values, flushes, merges, manifest rolls and restarts.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct StoreCrashTests {
    static let policies: [SyncPolicy] = [.always, .everySecond]

    /// Opens what a crash has left and looks at all of it. Returns the number of batches found, nil when it does not
    /// open.
    @discardableResult
    static func check(
        _ disk: SimulatedDisk, _ promises: StorePromises, promised: Int, _ policy: SyncPolicy, thoroughly: Bool,
        _ context: @autoclosure () -> String
    ) -> Int? {
        let store: Store
        do {
            store = try StoreScript.open(disk, policy)
        } catch {
            Issue.record("does not open (\(error)): \(context())")
            return nil
        }
        guard let found = promises.count(upTo: store.visibleSequence) else {
            Issue.record("half a batch, up to sequence \(store.visibleSequence): \(context())")
            return nil
        }
        if found < promised { Issue.record("\(found) of \(promised) promised batches left: \(context())") }
        var state = promises.states[found]
        expectState(store, state, context())
        guard thoroughly else { return found }
        do {
            // It goes on taking writes, and holds them after one more start.
            for number in 0..<3 {
                let key: [UInt8] = [0, 0, 0, 1, 7] + Array("key:\(number)".utf8)
                let value = ModelValue(tag: 1, expireAt: 0, bytes: [UInt8](repeating: 7, count: 20 + 50 * number))
                let batch = WriteBatch()
                key.withView { k in value.bytes.withView { batch.put(k, tag: 1, value: $0, prior: .unknown) } }
                _ = try store.flushLog(try store.commit(batch, mayBlock: true))
                state[key] = value
            }
            expectCounts(store, state, context())
            try store.flushTables()
            try store.close()
            let again = try StoreScript.open(disk, policy)
            expectState(again, state, "opened again, \(context())")
            expectCounts(again, state, "opened again, \(context())")
            try again.mergeAll()
            expectState(again, state, "opened again and merged, \(context())")
            expectCounts(again, state, "opened again and merged, \(context())")
            try again.collectGarbage()
            expectState(again, state, "garbage collected, \(context())")
            expectExactGarbage(again, mayRepeat: true, context())
            try again.close()
        } catch {
            Issue.record("does not go on (\(error)): \(context())")
        }
        return found
    }

    /// Every crash of a machine that runs the script, as seen from between its operations.
    @Test(arguments: policies)
    func crashAfterEveryOperation(policy: SyncPolicy) throws {
        let seed = TestSeed("StoreCrashTests.crashAfterEveryOperation \(policy)").value
        let disk = SimulatedDisk()
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: policy, seed: seed)
        // Only this thread touches the script and what it promises.
        nonisolated(unsafe) let shared = promises
        disk.onOperation = { [unowned disk] operation in
            let more: [(CrashPolicy, UInt64)] = [(.random, 2), (.torn, 2)]
            let kinds: [(CrashPolicy, UInt64)] = [
                (.keepAll, 0), (.dropAll, 0), (.random, 1), (.torn, 1), more[operation % 2],
            ]
            for (i, (kind, variant)) in kinds.enumerated() {
                let clone = disk.crashClone(seed: UInt64(operation) * 16 + variant, policy: kind)
                let promised = kind == .keepAll ? shared.acknowledged : shared.durable
                let context = "operation \(operation), \(kind) \(variant), after \(disk.recentOperations.suffix(3))"
                StoreCrashTests.check(
                    clone, shared, promised: promised, policy, thoroughly: operation % 12 == i, context)
            }
        }
        try script.run()
        disk.onOperation = nil
        #expect(disk.operationCount > 200)
    }

    /// What the crashes are about: the scripts do all there is to be done to a tree.
    @Test func theScriptsDoAllKindsOfJobs() throws {
        var jobs: Set<String> = []
        let seed = TestSeed("StoreCrashTests.theScriptsDoAllKindsOfJobs").value
        for round in 0..<200 as Range<UInt64> where jobs.count < 4 {
            let script = StoreScript(SimulatedDisk(), StorePromises(), policy: .everySecond, seed: seed &+ round)
            try script.run(lives: 3, steps: 60)
            jobs.formUnion(script.jobs)
        }
        #expect(jobs == ["push", "merge", "split", "join"])
    }

    /// A crash in the middle of an operation, and another one while the store recovers from it.
    @Test(arguments: policies)
    func crashInsideOperationsAndAgainInRecovery(policy: SyncPolicy) throws {
        let seed = TestSeed("StoreCrashTests.crashInsideOperations \(policy)").value
        let whole = SimulatedDisk()
        try StoreScript(whole, StorePromises(), policy: policy, seed: seed).run()
        var random = SeededRandom(seed: seed)
        for operation in stride(from: 1 + random.below(7), through: whole.operationCount, by: 7) {
            let disk = SimulatedDisk()
            let promises = StorePromises()
            disk.crashAt(operation: operation)
            do {
                try StoreScript(disk, promises, policy: policy, seed: seed).run()
            } catch {}
            #expect(disk.isCrashed)
            let kind = [CrashPolicy.keepAll, .dropAll, .random, .torn][random.below(4)]
            let context = "inside operation \(operation), \(kind)"
            let first = disk.crashClone(seed: random.next(), policy: kind)
            let promised = kind == .keepAll ? promises.acknowledged : promises.durable
            let again = disk.crashClone(seed: random.next(), policy: kind)
            StoreCrashTests.check(first, promises, promised: promised, policy, thoroughly: false, context)

            again.crashAt(operation: again.operationCount + 1 + random.below(24))
            var held = promises.durable
            if let store = try? StoreScript.open(again, policy) {
                guard let found = promises.count(upTo: store.visibleSequence) else {
                    Issue.record("half a batch: \(context)")
                    continue
                }
                // What a start shows stays.
                held = max(held, found)
                try? store.flushTables()
                try? store.mergeAll()
            }
            let second = [CrashPolicy.keepAll, .dropAll, .random, .torn][random.below(4)]
            let last = again.crashClone(seed: random.next(), policy: second)
            StoreCrashTests.check(
                last, promises, promised: held, policy, thoroughly: true, "\(context), then \(second) in recovery")
        }
    }

    /// Reads everything, also the tables that the start has not looked at.
    private static func walk(_ store: Store) throws {
        let reader = StoreReader(store, mayBlock: true)
        reader.begin()
        let cursor = try reader.cursor([], [UInt8](repeating: 0xFF, count: 8))
        try cursor.seekToFirst()
        while cursor.isValid {
            _ = try cursor.value()
            try cursor.next()
        }
    }

    /// The tests above must notice a store that forgets its syncs.
    @Test(arguments: ["segments", "tables", "manifests", "CURRENT", "directories"])
    func forgottenSyncsAreNoticed(which: String) throws {
        let disk = SimulatedDisk()
        var mutation = SimulatedDisk.Mutation()
        switch which {
        case "segments": mutation.ignoresSync = { $0.contains("/log/") }
        case "tables": mutation.ignoresSync = { $0.hasSuffix(".vsst") }
        case "manifests": mutation.ignoresSync = { $0.contains("/MANIFEST-") }
        case "CURRENT": mutation.ignoresSync = { $0.contains("/CURRENT") }
        default: mutation.ignoresDirectorySync = { _ in true }
        }
        disk.mutation = mutation
        let promises = StorePromises()
        nonisolated(unsafe) let shared = promises
        nonisolated(unsafe) var failures = 0
        disk.onOperation = { [unowned disk] operation in
            for kind in [CrashPolicy.dropAll, .random] where failures == 0 {
                let clone = disk.crashClone(seed: UInt64(operation), policy: kind)
                clone.mutation = .none
                guard let store = try? StoreScript.open(clone, .always) else {
                    failures += 1
                    continue
                }
                guard let found = shared.count(upTo: store.visibleSequence), found >= shared.durable,
                    (try? Self.walk(store)) != nil
                else {
                    failures += 1
                    continue
                }
            }
        }
        // Without its syncs even the script's own restarts are right: nothing crashes between them.
        try StoreScript(disk, promises, policy: .always, seed: 7).run()
        #expect(failures > 0)
        #expect(disk.ignoredSyncCount > 0)
    }
}
