// Which runs of a bucket to merge next: size-tiered. Runs of about the same size, neighbours in age, are merged together, so
// each entry is rewritten about log(size) times and young runs never wait for old ones.
//
// A run's tier is the logarithm of its size to the base `width`. A merge takes the youngest group of `width` or more
// neighbours whose tiers are equal or smaller towards the young end. When runs pile up past `runsMax` all the same (sizes
// that never line up), the cheapest group of `width` neighbours goes.

struct MergePicker: Sendable {
    /// Runs to a merge, 2 to 16.
    var width = 4
    /// More runs than this cost readers too much: merge whatever is cheapest.
    var runsMax = 12
    /// Runs below this size all count as the smallest tier.
    var smallestBytes = 1 << 20
    /// At most this many runs go into one merge.
    var widthMax = 16

    func tier(_ bytes: Int) -> Int {
        var tier = 0
        var size = bytes / max(1, smallestBytes)
        while size >= width {
            size /= width
            tier += 1
        }
        return tier
    }

    /// Indices (newest first, contiguous) of the runs to merge, or nil. `sizes` are bytes, newest first.
    func pick(_ sizes: [Int]) -> Range<Int>? {
        guard sizes.count >= 2 else { return nil }
        let tiers = sizes.map(tier)
        var end = 0
        while end < sizes.count {
            // A group ends with runs of one tier; younger, smaller runs before it ride along.
            let top = tiers[end]
            var count = 0
            while end < sizes.count && tiers[end] == top {
                end += 1
                count += 1
            }
            if count >= width {
                var start = end - count
                while start > 0 && tiers[start - 1] <= top { start -= 1 }
                return max(start, end - widthMax)..<end
            }
        }
        if sizes.count > runsMax {
            var best = 0..<width
            var bestBytes = Int.max
            for start in 0...(sizes.count - width) {
                let bytes = sizes[start..<start + width].reduce(0, +)
                if bytes < bestBytes {
                    bestBytes = bytes
                    best = start..<start + width
                }
            }
            return best
        }
        return nil
    }
}
