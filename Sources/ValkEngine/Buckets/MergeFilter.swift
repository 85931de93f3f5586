// What the owner of a store may have merges leave out: entries that it knows to be dead, although no newer version and
// no delete says so. A collection with one entry per element is deleted by writing its metadata anew; the elements of
// old are then dropped by the merges that come by.
//
// What a filter may rely on, and what its owner must keep:
// 1. A step reads the store at a moment that is not older than any entry it is asked about. So metadata that was
// written
//    in one batch with an element is seen by whoever judges the element, and a collection that is being created while
//    the merge runs is not mistaken for a dead one: its elements are not among the inputs.
// 2. What is dead stays dead: no later write makes readers ask for a version that was dropped. An owner numbers the
//    lives of its collections and never uses a number twice.
// 3. A verdict rests on what was written when the filter looked, and becomes durable only after that: the log is synced
//    before the edit of a step that dropped anything. So a crash never brings back metadata whose elements are gone,
//    and a backup, which takes the manifest and a later end of the log together, holds both or neither.
// 4. Time is no writing. Where a filter goes by a clock, no reader may ever go by an earlier one: after a restart, too.
// 5. Snapshots and views hold the files of their moment and see nothing of all this.
//
// A filter is asked about the version that the merge would keep, put or delete, never about what a range deletion
// hides. Flushes do not ask.

import ValkBase

/// What becomes of the version that a merge would keep.
package enum MergeVerdict: Sendable {
    case keep
    /// This version and all older ones of the key are dead and no reader will ever ask for them. It vanishes at any
    /// level of the tree; older ones below may live on until a merge meets them.
    case drop
    /// This version is dead, and older ones must stay hidden: it becomes a delete, and vanishes at the bottom.
    case delete
}

/// The keys that a filter is asked about: those with this byte at this place. All others cost one comparison.
package struct KeyInterest: Sendable {
    /// 0-based.
    package let offset: Int
    package let byte: UInt8

    package init(byte: UInt8, at offset: Int) {
        self.offset = offset
        self.byte = byte
    }

    @inline(__always)
    func includes(_ key: ByteView) -> Bool { key.count > offset && key[offset] == byte }

    /// Whether such a key may lie between two others.
    func mayLie(from lower: [UInt8], to upper: [UInt8]) -> Bool {
        guard lower.count > offset, upper.count > offset, lower[..<offset] == upper[..<offset] else { return true }
        return lower[offset] <= byte && byte <= upper[offset]
    }
}

/// Given to a store when it is opened. Called from several merge threads at once.
package protocol MergeFilter: AnyObject, Sendable {
    /// Constant. In a store that counts keys per namespace it is a byte at place 4 and not that of the counted keys.
    var interest: KeyInterest { get }

    /// One step of a merge begins: a walk over neighbouring keys in order. `reader` is the step's own and may wait for
    /// the disk; each look is between `begin` and `end`. Nothing may be written.
    func beginStep(_ reader: StoreReader) -> any MergeFilterStep
}

/// The state of a filter for one step, on one thread.
package protocol MergeFilterStep: AnyObject {
    /// Called for keys in ascending order. `entry` is valid for the call; its value is there when it is inline. When it
    /// throws, the entry is kept.
    func judge(_ entry: UnsafePointer<Entry>) throws(Interruption) -> MergeVerdict
}

/// The place of the filter in a merge's loop: plain values, so that an entry of no interest costs one comparison.
struct FilterSeat {
    private let offset: Int
    private let byte: UInt8
    private let step: (any MergeFilterStep)?
    /// Verdicts other than to keep, and looks that failed.
    private(set) var verdicts = 0
    private(set) var failures = 0

    init(_ step: (any MergeFilterStep)?, _ interest: KeyInterest?) {
        self.step = step
        // No key is that long.
        offset = step == nil ? Int.max : interest?.offset ?? Int.max
        byte = interest?.byte ?? 0
    }

    @inline(__always)
    func wants(_ key: ByteView) -> Bool { key.count > offset && key[offset] == byte }

    @inline(never)
    mutating func judge(_ entry: UnsafePointer<Entry>) -> MergeVerdict {
        guard let step else { return .keep }
        do {
            let verdict = try step.judge(entry)
            if verdict == .delete && entry.pointee.kind == .delete { return .keep }
            if verdict != .keep { verdicts += 1 }
            return verdict
        } catch {
            failures += 1
            return .keep
        }
    }
}
