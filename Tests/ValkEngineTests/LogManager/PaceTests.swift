// Writers are slowed down smoothly, and the background shares one budget by rank.

import Synchronization
import Testing
import ValkBase

@testable import ValkEngine

@Suite struct PaceTests {
    private static let mebibyte = 1024.0 * 1024

    /// A background that drains eight runs of 64 MiB in ten seconds.
    private static func busyRule() -> PaceRule {
        var rule = PaceRule(mergeWidth: 8)
        rule.noteFlush(logBytes: 64 * mebibyte, seconds: 0.5)
        rule.runs = 10
        for second in 0..<20 { rule.noteDrain(runs: 0.8, now: Double(second + 1)) }
        return rule
    }

    @Test func nobodyIsHeldUpWithoutDebt() {
        var rule = Self.busyRule()
        rule.runs = 12
        rule.sealed = 1
        #expect(rule.price == 0)
        #expect(rule.debt == 0)
        #expect(PaceRule(mergeWidth: 8).price == 0)
    }

    @Test func theDelayGrowsFromNothingAndNeverJumps() {
        var rule = Self.busyRule()
        #expect(abs(rule.drain / (0.8 * 64 * Self.mebibyte) - 1) < 0.01)
        var last = 0.0
        for step in 0...400 {
            rule.runs = 12 + Double(step) / 10
            let price = rule.price
            #expect(price >= last)
            // One run more in ten seconds is as much as comes and goes: it costs a twelfth of what one writes for.
            #expect(price - last < 0.02 * 1024e9 / rule.drain + 1)
            last = price
        }
        rule.runs = 18
        #expect(abs(rule.price * rule.drain / 1024e9 - 1) < 0.01)
        #expect(rule.debt == 0.5)
    }

    /// Somebody writes as much as he is let, a hundred times a second, for five minutes: after the first half minute no
    /// second takes less than half of the mean, and the root does not grow past its limit.
    @Test(arguments: [0.1, 0.4, 2.0]) func aSustainedLoadSettlesWithoutAStall(drained: Double) {
        var rule = PaceRule(mergeWidth: 8)
        let runBytes = 64 * Self.mebibyte
        var open = 0.0
        var seconds: [Double] = []
        var runsMax = 0.0
        var runs = 0.0
        var left = 0.0
        for tick in 0..<30_000 {
            let now = Double(tick) / 100
            let rate = rule.price == 0 ? 400 * Self.mebibyte : min(400 * Self.mebibyte, 1024e9 / rule.price)
            if tick % 100 == 0 { seconds.append(0) }
            seconds[seconds.count - 1] += rate / 100
            open += rate / 100
            while open >= runBytes {
                open -= runBytes
                runs += 1
                rule.noteFlush(logBytes: runBytes, seconds: 0.2)
            }
            // Slots go down one by one, an eighth of eight runs each.
            left += drained / 100
            if runs >= 8 && left >= 1 {
                left -= 1
                runs -= 1
                rule.noteDrain(runs: 1, now: now)
            } else if runs < 8 {
                left = 0
            }
            rule.runs = runs
            runsMax = max(runsMax, runs)
        }
        let late = seconds.dropFirst(100)
        let mean = late.reduce(0, +) / Double(late.count)
        #expect(late.allSatisfy { $0 >= mean / 2 }, "mean \(mean), least \(late.min() ?? 0)")
        #expect(abs(mean / (drained * runBytes) - 1) < 0.25)
        #expect(runsMax <= 32)
    }

    @Test func sealedTablesAndTheDiskHaveTheirPart() {
        var rule = Self.busyRule()
        rule.sealed = 2
        let two = rule.price
        rule.sealed = 3
        let three = rule.price
        #expect(two > 0 && three > 2 * two)
        rule.sealed = 0
        rule.spaceRate = Self.mebibyte
        #expect(abs(rule.price / (1024e9 / Self.mebibyte) - 1) < 0.01)
    }

    @Test func timeIsSoldOnceToAllWriters() {
        let pace = WritePace(mergeWidth: 8)
        pace.take(1 << 20)
        #expect(pace.delay == 0)
        pace.set(spaceBytesPerSecond: 1 << 20)
        let begin = Monotonic.nanoseconds()
        for _ in 0..<8 { pace.take(64 << 10) }
        let delay = pace.delay
        // Half a second, less what has passed and the credit.
        let passed = Monotonic.nanoseconds() - begin
        #expect(delay <= 500_000_000 + 1_000_000)
        #expect(delay + passed + 6_000_000 >= 500_000_000)
        pace.take(1 << 30)
        #expect(pace.delay <= TimeSale.delayMaxNanoseconds)
        pace.set(spaceBytesPerSecond: 0)
        #expect(pace.delay == 0)
    }

    // MARK: The budget

    /// Two threads take from a bucket in debt, the garbage collector's first.
    private static func order(spaceIsUrgent: Bool) -> [String] {
        let budget = IOBudget(bytesPerSecond: 1 << 20, debtSeconds: 3600)
        budget.spaceIsUrgent = spaceIsUrgent
        budget.take(2 << 30, .urgent)
        let order = Guarded<[String]>([])
        func start(_ name: String, _ priority: IOPriority) -> PThread {
            PThread(name: name) {
                budget.take(1 << 20, priority)
                order.withLock { $0.append(name) }
            }
        }
        let first = start(spaceIsUrgent ? "merge" : "space", spaceIsUrgent ? .merge : .space)
        let second = start(spaceIsUrgent ? "space" : "merge", spaceIsUrgent ? .space : .merge)
        while budget.waiting < 2 {}
        // What is owed is paid at once, and then one piece lasts for a quarter of a second.
        budget.bytesPerSecond = 4 << 20
        budget.forgive()
        first.join()
        second.join()
        return order.withLock { $0 }
    }

    @Test func mergesGoBeforeTheCollectorUnlessSpaceIsUrgent() {
        #expect(Self.order(spaceIsUrgent: false) == ["merge", "space"])
        #expect(Self.order(spaceIsUrgent: true) == ["space", "merge"])
    }

    @Test func urgentWorkNeverWaits() {
        let budget = IOBudget(bytesPerSecond: 1, debtSeconds: 1e9)
        for _ in 0..<100 { budget.take(10 << 20, .urgent) }
        #expect(budget.taken == 1000 << 20)
    }
}
