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
    /// Of the hidden, in ranges that were deleted or that the layer above says are dead; and what of the tables is in
    /// such ranges. Estimates.
    package var deadValueBytes = 0
    package var deadTableBytes = 0
    package var allocatedBytes = 0
    package var tableBytes = 0
    /// Of those, below a newer version. An estimate.
    package var hiddenTableBytes = 0
    /// What the write-ahead log holds: frames behind the checkpoint, whose entries are in no table yet.
    package var aheadBytes = 0
    /// What it takes beside that: room in the current segment, segments made ahead, spare files.
    package var reservedBytes = 0
    /// Of the allocated bytes, dead but for readers that still look at an older view.
    package var pinnedBytes = 0
    /// What is on the disk beyond the target although writers may be held up for it; negative while there is room.
    package var debtBytes = 0
    /// How much of what was written lately hides something older, 0 to 1. An estimate.
    package var overlap = 0.0
    /// What is written to the log in a second.
    package var intakeBytesPerSecond = 0.0
    /// Enough is written for the cost of collecting to matter.
    package var isBusy = true
    /// Writers are held up for space, or will soon be.
    package var isPressing = false
    package var segments = 0
    package var diskFreeBytes: UInt64 = 0
    package var diskTotalBytes: UInt64 = 0
    /// `space-target` as it is pursued, which a full disk makes smaller.
    package var target = 0.0

    var hidden: HiddenBytes { HiddenBytes(values: hiddenBytes, tables: hiddenTableBytes) }
    package var liveBytes: Int { max(0, referencedBytes - hiddenBytes) }
    /// Known to be dead, and still on the disk.
    package var exposedBytes: Int { max(0, allocatedBytes - referencedBytes) }
    package var liveTableBytes: Int { max(0, tableBytes - hiddenTableBytes) }
    /// Allocated over live, of everything; 1 when there is nothing.
    package var amplification: Double {
        let live = liveBytes + liveTableBytes
        let all = allocatedBytes + tableBytes + aheadBytes + reservedBytes
        return live == 0 ? 1 : Double(all) / Double(live)
    }

    /// Of the log that is ahead of the tables a share is garbage, which comes to light with the flushes, and what is
    /// reserved serves nobody yet: that much is there whatever the collector does.
    var fixedGarbage: Double { overlap * Double(aheadBytes) + Double(reservedBytes) }

    /// What may be of no use, of everything, for the target to hold.
    var garbageMax: Double {
        (target - 1) * (Double(liveBytes + liveTableBytes) + (1 - overlap) * Double(aheadBytes))
    }

    /// ... of what the collector can do something about, and how far it goes. In a small store the fixed part would
    /// leave nothing, and the last tenth of garbage is dear: half of what the target gives stays. Where writers
    /// press it goes an eighth further, since the debt rests that much above (half of `slack`).
    var garbageMaxOfRest: Double {
        max(garbageMax / 2, garbageMax * (isPressing ? 7.0 / 8 : 1) - fixedGarbage)
    }

    /// What may be there beyond that when writers outrun the collector: it comes to rest at half of it.
    var slack: Double { garbageMax / 4 }

    private var targetOfRest: Double { 1 + garbageMaxOfRest / Double(max(1, liveBytes + liveTableBytes)) }

    /// The share of R that may stay hidden, and the exposed garbage for each byte of R that may stay, so that
    /// (1 + exposed) / (1 - hidden) = target, for the fewest bytes written.
    ///
    /// Hidden values cost merges: all tables (`r` bytes for each of R) are written once while `hidden` R comes in,
    /// r / hidden. Exposed garbage costs rewrites, about (1 + exposed) / (2 exposed) for random overwrites (the usual
    /// model of log cleaning, roughly). The sum is least where hidden / exposed = sqrt(2 r / target).
    var shares: (hidden: Double, exposed: Double) {
        let target = targetOfRest
        let tables = Double(tableBytes) / Double(max(1, referencedBytes))
        let most = (target - 1) / 3
        let exposed = (target - 1) / (1 + target * (2 * tables / target).squareRoot())
        let hidden = min(most, max(most / 8, 1 - (1 + exposed) / target))
        return (hidden, target * (1 - hidden) - 1)
    }

    /// Exposed garbage that may stay now: what hidden values leave of the target, since a merge that finds them makes
    /// them exposed. However much is hidden, its share stays: the next merges, not rewrites of segments with little
    /// garbage, bring that back. Of a store that hardly anybody writes to less stays, since what is given back once is
    /// not written again.
    var exposedMax: Int {
        let left = targetOfRest * Double(liveBytes) - Double(referencedBytes)
        return Int(max(left, Double(liveBytes) * shares.exposed / (isBusy ? 1 : 8)))
    }
}
