// What the planner goes by beside the tree: how much of each leaf the last merge found to be replaced, which leaves are
// walked often, what time it is. And what follows from it: how many runs are worth a merge.

import ValkBase

struct JobHints {
    /// Of the entries that a leaf's last merge read, the share that it dropped; by the leaf's number.
    private(set) var dropped: [UInt64: Double] = [:]
    /// Says whether a leaf is walked often; nil when none is.
    var isHot: ((UInt64) -> Bool)?
    /// Wall clock, milliseconds; 0: not known, nothing is taken for expired.
    var wallMilliseconds: UInt64 = 0

    /// Merges that drop more than this pay for themselves, and those below gain next to nothing.
    static let dropsMuch = 0.2
    static let dropsNothing = 0.01
    private static let leavesMax = 4096

    mutating func noteMerge(_ leaf: UInt64, read: Int, written: Int) {
        // A few entries say nothing.
        guard read >= 100 else { return }
        if dropped.count >= JobHints.leavesMax { dropped.removeAll() }
        dropped[leaf] = Double(max(0, read - written)) / Double(read)
    }

    func isHot(_ leaf: Bucket) -> Bool { isHot?(leaf.id) ?? false }

    /// Whether a leaf at or below this bucket is walked often.
    func isHotBelow(_ bucket: Bucket) -> Bool {
        guard isHot != nil else { return false }
        return bucket.isLeaf ? isHot(bucket) : bucket.children.contains { isHotBelow($0) }
    }

    /// How `leaf` is merged. `usual`: one of which nothing is known.
    func picker(_ leaf: Bucket, usual: MergePicker) -> MergePicker {
        var picker = usual
        if isHot(leaf) {
            picker.width = max(2, usual.width / 4)
            picker.runsMax = max(3, usual.width / 2)
        } else if let share = dropped[leaf.id] {
            if share > JobHints.dropsMuch {
                picker.width = max(2, usual.width / 2)
            } else if share < JobHints.dropsNothing {
                picker.width = min(usual.widthMax, usual.width + usual.width / 2)
            }
        }
        return picker
    }
}
