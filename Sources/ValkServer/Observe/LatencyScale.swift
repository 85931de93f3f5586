// How long commands took, counted in buckets: what INFO latencystats and LATENCY HISTOGRAM are made of.
//
// The scale is even up to 63 ns and from there has 32 buckets for each doubling, so that a bucket's ends are no more
// than a thirty-second apart; everything of a second and more counts as 2^30 ns, as Redis stops there, too. A row of
// counts belongs to one command of one thread (`ThreadCounters`); whoever asks adds rows up.

import ValkBase

enum LatencyScale {
    private static let stepBits = 5
    private static let longest: UInt64 = 1 << 30 - 1
    /// Buckets of a row.
    static let bucketCount = (30 - stepBits + 1) << stepBits

    @inline(__always)  // With every command.
    static func bucket(_ nanoseconds: UInt64) -> Int {
        let value = min(nanoseconds, longest)
        let shift = 63 &- stepBits &- (value | 1 << UInt64(stepBits)).leadingZeroBitCount
        return Int(truncatingIfNeeded: shift &<< stepBits) &+ Int(truncatingIfNeeded: value &>> UInt64(shift))
    }

    /// The shortest and the longest time that count in a bucket, nanoseconds.
    static func ends(_ bucket: Int) -> ClosedRange<UInt64> {
        let shift = max(0, bucket >> stepBits - 1)
        let first = UInt64(bucket - shift << stepBits) << UInt64(shift)
        return first...(first + (1 << UInt64(shift) - 1))
    }
}

/// The times of one command, of all threads.
package struct LatencyHistogram: Sendable {
    private(set) var counts = [UInt64](repeating: 0, count: LatencyScale.bucketCount)

    package var total: UInt64 { counts.reduce(0, +) }

    mutating func add(_ row: UnsafePointer<UInt64>) { for i in counts.indices { counts[i] &+= row[i] } }

    mutating func subtract(_ earlier: LatencyHistogram) {
        for i in counts.indices { counts[i] = counts[i] >= earlier.counts[i] ? counts[i] - earlier.counts[i] : 0 }
    }

    /// The time within which `percent` of the calls ended, nanoseconds: the bucket's upper end, for 0 % the lower end
    /// of the first bucket. 0 without calls.
    package func percentile(_ percent: Double) -> UInt64 {
        let wanted = max(1, UInt64((percent / 100 * Double(total)).rounded()))
        var seen: UInt64 = 0
        for (i, count) in counts.enumerated() {
            seen += count
            if seen < wanted { continue }
            return percent == 0 ? LatencyScale.ends(i).lowerBound : LatencyScale.ends(i).upperBound
        }
        return 0
    }

    /// How many calls ended within 1.024 µs, within twice that, and so on, each as whole microseconds; steps that add
    /// no call are left out.
    package func doublings() -> [(microseconds: UInt64, calls: UInt64)] {
        var steps: [(microseconds: UInt64, calls: UInt64)] = []
        var limit: UInt64 = 1024
        var seen: UInt64 = 0
        for (i, count) in counts.enumerated() where count > 0 {
            let longest = LatencyScale.ends(i).upperBound
            while longest >= limit { limit *= 2 }
            seen += count
            // Redis' own limits are a little wider, which shows from 32 µs on.
            let shown = (limit + limit >> 7 - 1) / 1000
            if steps.last?.microseconds == shown { steps.removeLast() }
            steps.append((shown, seen))
        }
        return steps
    }
}
