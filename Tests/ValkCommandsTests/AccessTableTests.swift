// What is remembered of the uses of keys.

import Testing
import ValkBase
import ValkData
import ValkTestSupport

@Suite struct AccessTableTests {
    private let table = AccessTable(bytesMax: 1 << 20)

    private func hash(_ n: Int) -> UInt64 { Array("key:\(n)".utf8).withView { $0.hash64 } }

    @Test func timesAreOfTheLastUse() {
        table.setTime(milliseconds: 5_000)
        table.touch(hash(1))
        table.setTime(milliseconds: 15_000)
        table.touch(hash(2))
        #expect(table.idleSeconds(hash(1)) == 10)
        #expect(table.idleSeconds(hash(2)) == 0)
        #expect(table.score(hash(1)) > table.score(hash(2)))
        table.touch(hash(1))
        #expect(table.idleSeconds(hash(1)) == 0)
        table.forget(hash(1))
        #expect(table.score(hash(1)) == AccessTable.scoreOfUnused)
        // Unknown: since the start.
        #expect(table.idleSeconds(hash(3)) == 10)
    }

    @Test func aKeyMayBeOlderThanTheTable() {
        table.setTime(milliseconds: 0)
        table.setIdle(hash(1), seconds: 1000)
        table.setTime(milliseconds: 2_000)
        #expect(table.idleSeconds(hash(1)) == 1002)
        table.setIdle(hash(1), seconds: Int.max)
        #expect(table.idleSeconds(hash(1)) > 100_000)
    }

    @Test func theMostRecentStayWhenThereAreTooManyKeys() {
        // Room for 65,536; four times as many are used once, then some of them again.
        let table = AccessTable(bytesMax: 256 << 10)
        table.tend(keys: 1_000_000)
        for n in 0..<262_144 {
            if n % 1000 == 0 { table.setTime(milliseconds: UInt64(n) * 10) }
            table.touch(hash(n))
        }
        table.setTime(milliseconds: 2_700_000)
        for n in 0..<5000 { table.touch(hash(n)) }
        let recent = (0..<5000).reduce(0) { $0 + (table.score(hash($1)) < 100 ? 1 : 0) }
        #expect(recent > 4_990, "\(recent)")
        let old = (50_000..<55_000).reduce(0) { $0 + (table.score(hash($1)) == AccessTable.scoreOfUnused ? 1 : 0) }
        // One in some dozens shares its slot with another.
        #expect(old > 4_750, "\(old)")
    }

    @Test func growingForgetsNothing() {
        table.setTime(milliseconds: 1_000)
        for n in 0..<20_000 { table.touch(hash(n)) }
        let before = table.bytes
        table.tend(keys: 100_000)
        #expect(table.bytes > before)
        table.setTime(milliseconds: 2_000)
        let known = (0..<20_000).reduce(0) { $0 + (table.idleSeconds(hash($1)) == 1 ? 1 : 0) }
        #expect(known > 19_900, "\(known)")
    }

    @Test func theTimeDoesNotWrap() {
        var milliseconds: UInt64 = 0
        for day in 0..<40 {
            milliseconds = UInt64(day) * 86_400_000
            table.setTime(milliseconds: milliseconds)
            table.tend(keys: 0)
            table.touch(hash(day))
            if day > 1 { #expect(table.idleSeconds(hash(day - 2)) == 2 * 86_400) }
            if day > 20 {
                // Of what is older than some days only that is known.
                #expect(table.idleSeconds(hash(1)) > 3 * 86_400 - 60)
                #expect(table.score(hash(1)) > table.score(hash(day - 2)))
            }
        }
    }

    @Test func frequencyGrowsAndDecays() {
        table.count(frequency: true, FrequencyRule(logFactor: 0, decayMinutes: 1))
        table.setTime(milliseconds: 0)
        table.touch(hash(1))
        #expect(table.frequency(hash(1)) == 5)
        for _ in 0..<20 { table.touch(hash(1)) }
        #expect(table.frequency(hash(1)) == 25)
        table.touch(hash(2))
        #expect(table.score(hash(2)) > table.score(hash(1)))
        table.setTime(milliseconds: 10 * 60_000)
        #expect(table.frequency(hash(1)) == 15)
        table.count(frequency: true, FrequencyRule(logFactor: 0, decayMinutes: 0))
        #expect(table.frequency(hash(1)) == 25)
        table.setFrequency(hash(1), 255)
        table.touch(hash(1))
        #expect(table.frequency(hash(1)) == 255)
        #expect(table.frequency(hash(3)) == 0)
    }

    @Test func frequencyGrowsTheMoreSeldomTheHigherItIs() {
        table.count(frequency: true, FrequencyRule(logFactor: 10, decayMinutes: 1))
        for _ in 0..<100 { table.touch(hash(1)) }
        let low = table.frequency(hash(1))
        for _ in 0..<10_000 { table.touch(hash(1)) }
        let high = table.frequency(hash(1))
        // Redis's own table of figures has 10 and 49 for a hundred and ten thousand (from 5 on, here as there).
        #expect((6...16).contains(low), "\(low)")
        #expect((35...65).contains(high), "\(high)")
    }

    @Test func longUnusedFrequenciesDecayThoughTheMinutesWrap() {
        table.count(frequency: true, FrequencyRule(logFactor: 0, decayMinutes: 1))
        table.setTime(milliseconds: 0)
        for _ in 0..<200 { table.touch(hash(1)) }
        for day in 1...30 {
            table.setTime(milliseconds: UInt64(day) * 86_400_000)
            table.tend(keys: 0)
            #expect(table.frequency(hash(1)) == 0, "after \(day) days")
        }
    }

    @Test func threadsMayDoAsTheyLike() {
        // For the sanitizers: uses, growth and time at once.
        let table = self.table
        let threads = (0..<3).map { thread in
            PThread(name: "use-\(thread)") {
                for n in 0..<50_000 { table.touch(Array("key:\(n * 3 + thread)".utf8).withView { $0.hash64 }) }
            }
        }
        for step in 1...20 {
            table.setTime(milliseconds: UInt64(step) * 1000)
            table.tend(keys: step * 10_000)
        }
        for thread in threads { thread.join() }
        let known = (140_000..<150_000).reduce(0) {
            $0 + (table.score(hash($1)) == AccessTable.scoreOfUnused ? 0 : 1)
        }
        #expect(known > 9_000, "\(known)")
    }
}
