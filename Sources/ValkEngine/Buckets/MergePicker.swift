// Which runs of a bucket to merge next: size-tiered. Neighbours in age whose sizes are alike are merged together, so
// each entry is rewritten about log(size) times and young runs never wait for old ones.
//
// A group's gain is its whole size divided by its largest run: `width` for `width` runs of one size, little more than 1
// for a big run with small ones beside it. Only groups whose gain is at least three quarters of `width` are merged:
// what is in a run ends up in one so many times larger with every rewrite, at the least. Of those the group with the
// largest gain goes first, so runs that cost little ride along and a big run waits for its equals. When runs pile up
// past `runsMax` all the same (sizes that never line up), the group with the largest gain goes, whatever that is.

struct MergePicker: Sendable {
    /// Runs to a merge, 2 to 16.
    var width = 8
    /// More runs than this cost readers too much.
    var runsMax = 20
    /// Runs below this size count as if they had it: they cost next to nothing and are many soon.
    var smallestBytes = 1 << 20
    /// At most this many runs go into one merge.
    var widthMax = 16

    /// Indices (newest first, contiguous) of the runs to merge, or nil. `sizes` are bytes, newest first.
    func pick(_ sizes: [Int]) -> Range<Int>? {
        var best: Range<Int>?
        var bestGain = 0.0
        for start in sizes.indices {
            var largest = 0
            var sum = 0
            for end in start..<min(sizes.count, start + widthMax) {
                let size = max(sizes[end], smallestBytes)
                largest = max(largest, size)
                sum += size
                let gain = Double(sum) / Double(largest)
                if end - start + 1 >= width && gain > bestGain {
                    bestGain = gain
                    best = start..<end + 1
                }
            }
        }
        return bestGain >= 0.75 * Double(width) || sizes.count > runsMax ? best : nil
    }
}
