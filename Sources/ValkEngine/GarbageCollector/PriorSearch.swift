// What a flush hides in the tree: for each of its keys, which come in order, the version that was the newest so far.
//
// Without this, values in the log that random puts hide stay unknown until a merge brings the two versions together,
// which takes as long as the tree is deep; meanwhile segments full of garbage look full of live values, and others are
// rewritten for the little garbage that is known of them. So the flush itself names the value's record dead, in its own
// edit, and marks the new version (`EntryFlags.priorNamed`): the merge that meets the two later says nothing.
//
// Invariant: an entry marked so hides nothing in the tree whose value is in the log and not named. An unmarked one may,
// and the merge will tell; so nothing is lost where the search is left out: where hardly anything is hidden (the
// filters of a few keys tell), where a table would have to be read that is not in memory and is not worth it, or cannot
// be read. What views show stays, as with all that is named dead: see ViewHorizon. (Deferred lookups of the kind that
// WiscKey does in its collector, moved to where keys come sorted and the new version is at hand.)
//
// Cost: the filters of the runs on the key's way, and about one block of the tree in memory for each key, a block for
// several keys where the flush is dense. One thread; the flush's.

import ValkBase

struct PriorSearch: ~Copyable {
    private let root: Unmanaged<Bucket>
    private let entry: UnsafeMutablePointer<Entry>
    private let pins: UnsafeMutablePointer<BlockPins>
    /// Whether tables are read for it.
    private let loads: Bool
    private var isWorthwhile: Bool
    /// Not where there are next to no values in the log.
    private let mayBeWorthwhile: Bool
    /// Versions in the tree that were found, and entries for which nobody knows.
    private var found: UInt64 = 0
    private var puts: UInt64 = 0
    private var deletes: UInt64 = 0

    /// Fewer of the puts hide something.
    private static let ratioMin = 1.0 / 16
    /// Answers of filters that are enough to go by.
    private static let askedMin = 4

    /// `root` must be kept alive. `logBytes`: of what is flushed. `overlap`: of the puts before, nil when nobody knows.
    init(_ root: Bucket, logBytes: Int, overlap: Double?, cache: BlockCache) {
        self.root = .passUnretained(root)
        entry = .allocate(capacity: 1)
        entry.initialize(to: Entry())
        pins = BlockPins.make(cache)
        let (younger, bottom) = root.weigh()
        let tableBytes = younger.tableBytes + bottom.tableBytes
        mayBeWorthwhile = younger.valueBytes + bottom.valueBytes > 4 * tableBytes
        isWorthwhile = mayBeWorthwhile && overlap ?? 1 >= PriorSearch.ratioMin
        // Where all tables are little beside what is flushed, or stay in memory for the next flush.
        loads = tableBytes <= Double(max(logBytes, cache.budgetBytes / 2))
    }

    deinit {
        BlockPins.destroy(pins)
        entry.deallocate()
    }

    /// Some keys of the flush have been asked for.
    mutating func learn(_ sample: OverlapSample) {
        if sample.asked >= PriorSearch.askedMin {
            isWorthwhile = mayBeWorthwhile && sample.ratio >= PriorSearch.ratioMin
        }
    }

    /// Names dead what a new version hides in the tree. `walk`: over the range deletions, which have named theirs or
    /// will. Returns whether nothing is left for a merge to name.
    @inline(__always)
    mutating func isNamed(_ new: Entry, _ walk: inout RangeWalk, _ discards: inout DiscardList) -> Bool {
        if isWorthwhile && search(new.key, &walk, &discards) { return true }
        if new.kind == .put { puts &+= 1 } else { deletes &+= 1 }
        return false
    }

    /// What the entries hide, as far as it is known; for the rest of the puts as the sample says. A delete is only
    /// written where it hides something.
    func hidden(estimate: OverlapSample) -> HiddenCount {
        let unknown = UInt64(Double(puts) * estimate.ratio) + deletes
        return HiddenCount(all: found + unknown, named: found)
    }

    @inline(never)
    private mutating func search(_ key: ByteView, _ walk: inout RangeWalk, _ discards: inout DiscardList) -> Bool {
        let hash = key.hash64
        var path = RunPath(root)
        while let run = path.next(key) { run._withUnsafeGuaranteedRef { $0.prefetch(key, hash) } }
        // By itself: ThreadSanitizer's marks take the change of what `self.pins` points at for one of `root`, the first
        // of the fields that are loaded for it.
        let pins = pins
        defer { pins.pointee.releaseAll() }
        path = RunPath(root)
        while let run = path.next(key) {
            let result = run._withUnsafeGuaranteedRef {
                $0.find(key, hash, maxSequence: .max, entry, pins, mayBlock: loads)
            }
            switch result {
            case .absent: continue
            case .found:
                if walk.hides(entry) { return false }
                if entry.pointee.kind == .put { found &+= 1 }
                discards.add(entry)
                return true
            case .wouldBlock, .damaged, .readFailed: return false
            }
        }
        return true
    }
}
