// What the space governor goes by.
//
// R, referenced: value records that tables point at. H, hidden: the part of R below a newer version or a delete, which
// only a merge can find; estimated. Live is R - H. Allocated is what the file system holds for the log's sealed
// segments before the checkpoint; what it holds beyond R is exposed garbage. The segments behind the checkpoint are
// left out: they are the write-ahead log.

import ValkBase

package struct SpaceFigures: Sendable, Equatable {
    /// Bytes of value records that tables point at.
    package var referencedBytes = 0
    /// Of those, below a newer version. An estimate.
    package var hiddenBytes = 0
    package var allocatedBytes = 0
    package var tableBytes = 0
    package var segments = 0
    package var diskFreeBytes: UInt64 = 0
    package var diskTotalBytes: UInt64 = 0
    /// `space-target` as it is pursued, which a full disk makes smaller.
    package var target = 0.0

    package var liveBytes: Int { max(0, referencedBytes - hiddenBytes) }
    /// Known to be dead, and still on the disk.
    package var exposedBytes: Int { max(0, allocatedBytes - referencedBytes) }
    /// Allocated over live; 1 when there is nothing.
    package var amplification: Double {
        liveBytes == 0 ? (allocatedBytes == 0 ? 1 : .infinity) : Double(allocatedBytes) / Double(liveBytes)
    }

    /// The share of R that may stay hidden, and the exposed garbage for each byte of R that may stay, so that
    /// (1 + exposed) / (1 - hidden) = target.
    static func shares(_ target: Double) -> (hidden: Double, exposed: Double) {
        let hidden = (target - 1) / 3
        return (hidden, target * (1 - hidden) - 1)
    }
}

/// How likely a value in a younger run hides one in an older: what the latest merges found.
struct OverlapEstimate: Sendable {
    /// Until a merge has told otherwise every write is taken for an overwrite: too many merges at first, never too few.
    private(set) var ratio = 1.0

    /// `inputs`: the runs that a merge read; `found`: how many values it found dead.
    mutating func take(_ inputs: [Run], found: Int) {
        let counts = inputs.map { run in run.values.count + run.values.deletes }
        let younger = counts.reduce(0, +) - (counts.max() ?? 0)
        guard younger >= 1 else { return }
        ratio = 0.25 * ratio + 0.75 * min(1, Double(found) / younger)
    }
}
