// Ranges that are known to be dead while their bytes are still on the disk: how many bytes that is, and where a job
// would give most of it back. Known from range deletions, which decide, and from hints of the layer above, which do
// not: a merge goes there and asks the filter.
//
// All of it is an estimate from the tables' indexes, in blocks; it steers jobs and figures. Nothing here is stored:
// range deletions are in the manifest anyhow, and hints are gone with a restart. What they meant is then found when
// merges come by for other reasons.

import Synchronization
import ValkBase

/// Bytes of a part of the tree that are dead.
struct DeadWeight: Sendable {
    var tableBytes = 0
    /// Of values in the log that the dead entries point at.
    var valueBytes = 0

    static func += (a: inout DeadWeight, b: DeadWeight) {
        a.tableBytes += b.tableBytes
        a.valueBytes += b.valueBytes
    }
}

/// The ranges of one moment.
struct DeadLists: Sendable {
    var tombstones: RangeList
    var hints: RangeList

    var isEmpty: Bool { tombstones.count == 0 && hints.count == 0 }
    var newest: UInt64 { max(tombstones.newest, hints.newest) }

    /// False when the newest range of each list says nothing about the file.
    func mayConcern(_ file: TableFile) -> Bool {
        (tombstones.count > 0 && RangeList.mayHide(tombstones.newest, in: file.record))
            || (hints.count > 0 && file.isConcerned(byHint: hints.newest))
    }
}

/// Says how much of a fragment is dead, and remembers it for fragments that stay.
final class DeadEstimator: @unchecked Sendable {  // State behind `lock`.
    private struct Place: Hashable {
        let file: UInt64
        let range: KeyRange

        init(_ fragment: Fragment) {
            file = fragment.file.id
            range = fragment.range
        }
    }

    private struct Known {
        var weight: DeadWeight
        /// Newest range that there was then.
        var stamp: UInt64
    }

    private let lock = Lock()
    private var known: [Place: Known] = [:]
    private static let knownMax = 65_536

    /// What is dead of everything in the tree. Forgets what it knew of fragments that are not there any more.
    func total(_ root: Bucket, _ lists: DeadLists) -> DeadWeight {
        var sum = DeadWeight()
        if lists.isEmpty { return sum }
        lock.withLock {
            var next: [Place: Known] = [:]
            root.forEach { bucket in
                for run in bucket.runs {
                    for fragment in run.fragments where lists.mayConcern(fragment.file) {
                        let place = Place(fragment)
                        let now = look(fragment, place, lists)
                        if now.weight.tableBytes > 0 {
                            next[place] = now
                            sum += now.weight
                        }
                    }
                }
            }
            known = next
        }
        return sum
    }

    func weight(_ fragment: Fragment, _ lists: DeadLists) -> DeadWeight {
        if !lists.mayConcern(fragment.file) { return DeadWeight() }
        return lock.withLock {
            if known.count > DeadEstimator.knownMax { known = [:] }
            let place = Place(fragment)
            let now = look(fragment, place, lists)
            if now.weight.tableBytes > 0 { known[place] = now }
            return now.weight
        }
    }

    private func look(_ fragment: Fragment, _ place: Place, _ lists: DeadLists) -> Known {
        if let old = known[place] {
            var hasNews = false
            for list in [lists.tombstones, lists.hints] where list.newest >= old.stamp {
                list.forEachPiece(in: fragment) { piece in
                    hasNews = hasNews || piece.sequence >= old.stamp
                    return !hasNews
                }
            }
            if !hasNews { return Known(weight: old.weight, stamp: max(old.stamp, lists.newest)) }
        }
        return Known(weight: DeadEstimator.measure(fragment, lists), stamp: lists.newest)
    }

    static func measure(_ fragment: Fragment, _ lists: DeadLists) -> DeadWeight {
        let record = fragment.file.record
        var bytes = 0
        lists.tombstones.forEachPiece(in: fragment) { piece in
            if RangeList.mayHide(piece.sequence, in: record) { bytes += fragment.bytes(in: piece) }
            return true
        }
        lists.hints.forEachPiece(in: fragment) { piece in
            if fragment.file.isConcerned(byHint: piece.sequence) { bytes += fragment.bytes(in: piece) }
            return true
        }
        bytes = min(bytes, fragment.bytes)
        if bytes == 0 { return DeadWeight() }
        let values = record.segments.reduce(0) { $0 + Int($1.bytes) }
        return DeadWeight(
            tableBytes: bytes,
            valueBytes: Int(Double(values) * Double(bytes) / Double(max(1, record.bytes))))
    }
}

extension Fragment {
    /// About what a piece has of it; at least 1. Of the blocks at both ends half is taken to be in it.
    fileprivate func bytes(in piece: DeletedRange) -> Int {
        guard let inside = clipped(to: KeyRange(lower: piece.lower.array, upper: piece.upper.array)) else { return 0 }
        let isWhole = inside.range == range
        guard file.table.isLoaded, file.table.index.count > 0 else { return isWhole ? bytes : 1 }
        return isWhole ? bytes : max(1, inside.bytes - Int(file.record.bytes) / file.table.index.count)
    }
}

extension TableFile {
    /// Whether the hint with this sequence may be about entries of the file that no filter has judged since.
    func isConcerned(byHint sequence: UInt64) -> Bool { record.sequenceMin <= sequence && filteredTo < sequence }
}

/// What the layer above said is dead. Added under the commit lock, so in the order of the sequences.
final class DeadHints: @unchecked Sendable {  // State behind `lock`.
    private let lock = Lock()
    private var ranges = RangeDeletions.none
    private let isEmptyAtomic = Atomic<Bool>(true)

    /// More pieces than this are not kept: the older half is forgotten.
    static let piecesMax = 8192

    var isEmpty: Bool { isEmptyAtomic.load(ordering: .acquiring) }

    func add(_ range: RangeTombstone) {
        lock.withLock {
            ranges = ranges.adding(range)
            if ranges.count > DeadHints.piecesMax {
                ranges = ranges.removing(Set(ranges.sequences.sorted().prefix(ranges.count / 2)))
            }
            isEmptyAtomic.store(ranges.isEmpty, ordering: .releasing)
        }
    }

    var list: RangeList { isEmpty ? .none : lock.withLock { ranges.list } }

    /// Forgets hints about nothing that is left. `flushedTo`: everything up to it is in `root`.
    func prune(_ root: Bucket, flushedTo: UInt64) {
        if isEmpty { return }
        let list = list
        var needed = Set<UInt64>()
        root.forEach { bucket in
            for run in bucket.runs {
                for fragment in run.fragments where fragment.file.isConcerned(byHint: list.newest) {
                    list.forEachPiece(in: fragment) { piece in
                        if fragment.file.isConcerned(byHint: piece.sequence) { needed.insert(piece.sequence) }
                        return true
                    }
                }
            }
        }
        let all = (0..<list.count).map { list.items[$0].sequence }
        let done = Set(all.filter { $0 <= flushedTo && !needed.contains($0) })
        if done.isEmpty { return }
        lock.withLock {
            ranges = ranges.removing(done)
            isEmptyAtomic.store(ranges.isEmpty, ordering: .releasing)
        }
    }
}
