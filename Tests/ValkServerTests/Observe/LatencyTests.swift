// Latency histograms: the scale, percentiles, and what INFO and LATENCY show of them.

import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

@Suite struct LatencyTests {
    @Test func bucketsFollowEachOtherWithoutGapsAndAreNarrow() {
        var next: UInt64 = 0
        for bucket in 0..<LatencyScale.bucketCount {
            let ends = LatencyScale.ends(bucket)
            #expect(ends.lowerBound == next)
            #expect(LatencyScale.bucket(ends.lowerBound) == bucket)
            #expect(LatencyScale.bucket(ends.upperBound) == bucket)
            #expect(ends.upperBound - ends.lowerBound <= ends.lowerBound / 32)
            next = ends.upperBound + 1
        }
        #expect(next == 1 << 30)
        #expect(LatencyScale.bucket(.max) == LatencyScale.bucketCount - 1)
    }

    private func histogram(_ times: [UInt64]) -> LatencyHistogram {
        let counters = ThreadCounters(commandCount: 3)
        for time in times { counters.addLatency(1, nanoseconds: time) }
        var sums: [Int: LatencyHistogram] = [:]
        counters.addLatencies(to: &sums)
        #expect(sums.count == 1)
        return sums[1] ?? LatencyHistogram()
    }

    @Test func percentilesAreThoseOfTheSortedTimes() {
        let seed = TestSeed("percentilesAreThoseOfTheSortedTimes")
        var random = seed.random
        let times = (0..<10_000).map { _ in random.next() >> (34 + random.next() % 20) }
        let histogram = histogram(times)
        let sorted = times.sorted()
        #expect(histogram.total == 10_000)
        for percent in [1, 50, 90, 99, 99.9, 100] {
            let exact = sorted[Int((percent / 100 * 10_000).rounded()) - 1]
            let told = histogram.percentile(percent)
            let isNear = told >= exact && told <= exact + exact / 32
            #expect(isNear, "p\(percent): \(told), not \(exact); seed \(seed.value)")
        }
        #expect(histogram.percentile(0) <= sorted[0])
        #expect(LatencyHistogram().percentile(50) == 0)
    }

    @Test func doublingsAddUp() {
        let steps = histogram([10, 1000, 1500, 1600, 40_000, 40_001, 3_000_000_000]).doublings()
        #expect(steps.map(\.microseconds) == [1, 2, 66, 1_082_130])
        #expect(steps.map(\.calls) == [2, 4, 6, 7])
    }

    @Test func infoAndLatencyShowWhatRan() throws {
        let server = try FullServer()
        let client = try server.connect()
        for _ in 0..<5 { _ = try client.ask("SET", "a", "b") }
        _ = try client.ask("CLIENT", "ID")
        let info = try client.ask("INFO", "latencystats")
        let set = info.split(separator: "\r\n").first { $0.hasPrefix("latency_percentiles_usec_set:p50=") }
        #expect(set?.wholeMatch(of: /.*:p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}/) != nil)
        #expect(info.contains("\r\nlatency_percentiles_usec_client|id:p50="))
        #expect(!info.contains("_get:"))
        let told = try client.ask("LATENCY", "HISTOGRAM", "SET", "client", "nosuch", "get")
        #expect(told.hasPrefix("*[$set,*[$calls,:5,$histogram_usec,*[:"))
        #expect(told.contains(",:5]],$client|id,*[$calls,:1,"))
        #expect(try client.ask("CONFIG", "SET", "latency-tracking-info-percentiles", "99.99 0") == "+OK")
        #expect(try client.ask("INFO", "latencystats").contains("_set:p99.99="))
        #expect(try client.ask("CONFIG", "RESETSTAT") == "+OK")
        #expect(try client.ask("LATENCY", "HISTOGRAM", "set") == "*[]")
        #expect(try client.ask("CONFIG", "SET", "latency-tracking", "no") == "+OK")
        _ = try client.ask("SET", "a", "b")
        #expect(try client.ask("INFO", "latencystats") == "$# Latencystats\r\n")
        #expect(try client.ask("LATENCY", "HISTOGRAM", "set") == "*[]")
        #expect(try client.ask("CONFIG", "SET", "latency-tracking", "yes") == "+OK")
        _ = try client.ask("SET", "a", "b")
        #expect(try client.ask("LATENCY", "HISTOGRAM", "set").hasPrefix("*[$set,*[$calls,:1,"))
    }
}
