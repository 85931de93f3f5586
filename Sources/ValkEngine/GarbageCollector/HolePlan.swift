// Which bytes of a segment's file can be given back: everything between its header and its end that is in no record
// which somebody may still read, cut down to whole blocks, as few and large ranges as there are.

import ValkBase
import ValkDisk

struct HolePlan: Equatable {
    /// Ascending, whole blocks.
    private(set) var ranges: [Range<Int>] = []

    var bytes: Int { ranges.reduce(0) { $0 + $1.count } }

    init() {}

    /// `live`: places of the records that stay, ascending. Ranges of less than `bytesMin` are left alone, and of more
    /// than `countMax` the largest are taken.
    init(live: [SegmentLayout.Place], end: Int, bytesMin: Int, countMax: Int) {
        var at = LogFormat.segmentHeaderBytes
        for place in live {
            add(at, place.start, bytesMin)
            at = max(at, place.end)
        }
        add(at, end, bytesMin)
        if ranges.count > countMax {
            ranges.sort { $0.count > $1.count }
            ranges.removeSubrange(countMax...)
            ranges.sort { $0.lowerBound < $1.lowerBound }
        }
    }

    private mutating func add(_ from: Int, _ to: Int, _ bytesMin: Int) {
        let lower = LogFormat.aligned(from, LogFormat.blockBytes)
        let upper = to & ~(LogFormat.blockBytes - 1)
        if upper - lower >= max(bytesMin, LogFormat.blockBytes) { ranges.append(lower..<upper) }
    }

    /// Without the ranges that `holes` have already, and what of those they have is counted off. Returns the calls that
    /// are left, whole ranges each (what is a hole already costs next to nothing), and the bytes that they free.
    func beyond(_ holes: HolePlan) -> (calls: [Range<Int>], bytes: Int) {
        var calls: [Range<Int>] = []
        var freed = 0
        var i = 0
        for range in ranges {
            while i < holes.ranges.count && holes.ranges[i].upperBound <= range.lowerBound { i += 1 }
            var fresh = range.count
            var j = i
            while j < holes.ranges.count && holes.ranges[j].lowerBound < range.upperBound {
                fresh -= holes.ranges[j].clamped(to: range).count
                j += 1
            }
            if fresh > 0 {
                calls.append(range)
                freed += fresh
            }
        }
        return (calls, freed)
    }
}
