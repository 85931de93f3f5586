// Where holes go.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct HolePlanTests {
    private func place(_ start: Int, _ end: Int) -> SegmentLayout.Place {
        SegmentLayout.Place(logical: UInt32(start), start: start, end: end)
    }

    @Test func holesAreWholeBlocksBetweenRecordsThatStay() {
        let live = [place(4096, 5000), place(40_000, 41_000), place(41_000, 50_000), place(100_000, 100_008)]
        let plan = HolePlan(live: live, end: 150_000, bytesMin: 8192, countMax: 10)
        #expect(plan.ranges == [8192..<36_864, 53_248..<98_304, 102_400..<147_456])
        // Less than the least is left alone, and of too many the largest are taken.
        #expect(HolePlan(live: live, end: 150_000, bytesMin: 30_000, countMax: 10).ranges.count == 2)
        let two = HolePlan(live: live, end: 150_000, bytesMin: 8192, countMax: 2)
        #expect(two.ranges == [53_248..<98_304, 102_400..<147_456])
    }

    @Test func theHeaderStaysAndNothingLiveIsTouched() {
        #expect(HolePlan(live: [], end: 4096, bytesMin: 4096, countMax: 9).ranges.isEmpty)
        #expect(HolePlan(live: [], end: 12_288, bytesMin: 4096, countMax: 9).ranges == [4096..<12_288])
        var random = SeededRandom(seed: TestSeed("HolePlanTests").value)
        for _ in 0..<200 {
            var live: [SegmentLayout.Place] = []
            var at = 4096
            while at < 1 << 20 {
                let size = 8 * (4 + random.below(5000))
                if random.oneIn(2) { live.append(place(at, at + size)) }
                at += size
            }
            let plan = HolePlan(
                live: live, end: at, bytesMin: 4096 * (1 + random.below(8)), countMax: 1 + random.below(20))
            for range in plan.ranges {
                #expect(range.lowerBound >= 4096 && range.upperBound <= at)
                #expect(!live.contains { $0.start < range.upperBound && $0.end > range.lowerBound })
            }
        }
    }

    @Test func whatIsAHoleAlreadyIsNotMadeAgain() {
        let first = HolePlan(live: [place(40_960, 50_000)], end: 90_112, bytesMin: 4096, countMax: 9)
        #expect(first.beyond(HolePlan()).bytes == first.bytes)
        #expect(first.beyond(first).calls.isEmpty)
        let all = HolePlan(live: [], end: 90_112, bytesMin: 4096, countMax: 9)
        let more = all.beyond(first)
        #expect(more.calls == [4096..<90_112] && more.bytes == all.bytes - first.bytes)
    }
}
