// A second crash while a start puts right what the first has left: at every disk operation of the start. The start
// after that finds what the first one would have found, no more and no less; where the first crash was that of a
// process and the second takes the power, at least what was durable.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct RecoveryCrashTests {
    enum Kind: String, CaseIterable {
        case light, heavy, tour

        func run(_ script: StoreScript) throws {
            switch self {
            case .light: try script.run()
            case .heavy:
                script.isHeavy = true
                try script.run(lives: 3, steps: 40)
            case .tour: try script.tour()
            }
        }
    }

    private static let kinds: [CrashPolicy] = [.keepAll, .dropAll, .random, .torn]

    /// Crashes at each operation of a start from `left`. Returns how many there were.
    private static func crashInStart(
        _ left: SimulatedDisk, _ first: CrashPolicy, _ promises: StorePromises, _ policy: SyncPolicy, _ context: String
    ) -> Int {
        func again() -> SimulatedDisk { left.crashClone(seed: 0, policy: .keepAll) }
        let promised = first == .keepAll ? promises.acknowledged : promises.durable
        guard
            let found = StoreCrashTests.check(
                again(), promises, promised: promised, policy, thoroughly: false, context)
        else { return 0 }
        for operation in 1... {
            let disk = again()
            disk.crashAt(operation: operation)
            do { _ = try StoreScript.open(disk, policy) } catch {
                if !disk.isCrashed { Issue.record("a start fails without a crash (\(error)): \(context)") }
            }
            guard disk.isCrashed else { return operation - 1 }
            // In turns, other ones for other operations of the script.
            let second = kinds[(operation + found) % kinds.count]
            let here = "\(context), then \(second) at operation \(operation) of the start"
            let last = disk.crashClone(seed: UInt64(operation), policy: second)
            let mayLose = first == .keepAll && second != .keepAll
            let held = mayLose ? promises.durable : found
            let after = StoreCrashTests.check(
                last, promises, promised: held, policy, thoroughly: operation % 11 == 5, here)
            if let after, after > found { Issue.record("\(after) batches where there were \(found): \(here)") }
        }
        return 0
    }

    @Test(arguments: Kind.allCases) func crashAtEveryOperationOfAStart(kind: Kind) throws {
        let seed = TestSeed("RecoveryCrashTests.crashAtEveryOperationOfAStart \(kind)").value
        let policy: SyncPolicy = seed % 2 == 0 ? .always : .everySecond
        let disk = SimulatedDisk()
        let promises = StorePromises()
        let script = StoreScript(disk, promises, policy: policy, seed: seed)
        // Of each kind of work one, of the rest now and then one.
        let tally = CrashTally(enough: 1, stride: kind == .light ? 61 : 401, scarce: 0)
        // Only this thread touches them.
        nonisolated(unsafe) let shared = (promises, script, tally)
        nonisolated(unsafe) var firsts = 0
        nonisolated(unsafe) var seconds = 0
        disk.onOperation = { [unowned disk] operation in
            let (promises, script, tally) = shared
            for _ in tally.take(operation, disk.recentOperations.last ?? "", script) {
                let first = Self.kinds[firsts % Self.kinds.count]
                firsts += 1
                let context = "seed \(seed), operation \(operation), \(first), after \(disk.recentOperations.suffix(2))"
                let left = disk.crashClone(seed: seed &+ UInt64(operation), policy: first)
                seconds += Self.crashInStart(left, first, promises, policy, context)
            }
        }
        try kind.run(script)
        disk.onOperation = nil
        print("\(kind): \(firsts) crashes, \(seconds) more in the starts after them")
        #expect(firsts >= 10 && seconds >= 5 * firsts)
    }
}
