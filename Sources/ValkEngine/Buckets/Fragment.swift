// A table file, or the part of one that lies inside of bounds: what runs are made of. Buckets and slots are given parts
// of files by changing bounds, not bytes.
//
// Bounds that cut nothing off are empty, so that two fragments with the same keys are equal, here and in the manifest.
//
// How many bytes a part has, the file's index tells. The manifest keeps it, because after a start the index is not in
// memory; where it is told by neither, the size is a guess until the file has been loaded.

import ValkBase

struct Fragment: Sendable {
    let file: TableFile
    let range: KeyRange
    /// 0 while nobody could tell.
    private let known: Int
    private let guess: Int

    /// `bytes`: of the blocks that the range touches, when it is known; `guess`: what to go by until it is.
    init(_ file: TableFile, _ range: KeyRange = .all, bytes: Int = 0, guess: Int? = nil) {
        let record = file.record
        let cutsFront = KeyRange.isBefore(record.smallest, range.lower)
        let cutsBack = !range.upper.isEmpty && !KeyRange.isBefore(record.largest, range.upper)
        self.file = file
        self.range = KeyRange(lower: cutsFront ? range.lower : [], upper: cutsBack ? range.upper : [])
        self.guess = guess ?? Int(record.bytes) / 2
        known =
            cutsFront || cutsBack ? file.table.bytes(in: self.range, whole: record.bytes) ?? bytes : Int(record.bytes)
    }

    /// Of the blocks that the range touches; nil while the file has to be loaded to know.
    var knownBytes: Int? { known > 0 ? known : file.table.bytes(in: range, whole: file.record.bytes) }

    /// As `knownBytes`, or a guess.
    var bytes: Int { knownBytes ?? guess }

    /// Whether `bytes` will not change any more.
    var isMeasured: Bool { known > 0 }

    /// No key is before this one.
    var first: [UInt8] { range.lower.isEmpty ? file.record.smallest : range.lower }

    /// Whether all keys are before `key`.
    func endsBefore(_ key: [UInt8]) -> Bool {
        range.upper.isEmpty
            ? KeyRange.isBefore(file.record.largest, key) : !KeyRange.isBefore(key, range.upper)
    }

    func overlaps(_ other: Fragment) -> Bool { !endsBefore(other.first) && !other.endsBefore(first) }

    /// The part inside of `bounds`; nil when it has no keys.
    func clipped(to bounds: KeyRange) -> Fragment? {
        if endsBefore(bounds.lower) || (!bounds.upper.isEmpty && !KeyRange.isBefore(first, bounds.upper)) { return nil }
        if !KeyRange.isBefore(first, bounds.lower) && (bounds.upper.isEmpty || endsBefore(bounds.upper)) {
            return self
        }
        guard let both = range.intersection(bounds) else { return nil }
        return Fragment(file, both, guess: bytes / 2)
    }

    /// The part of `share` of all bytes that this fragment is, applied to a number of the whole file.
    func share(of number: UInt64) -> UInt64 {
        let whole = max(1, Int(file.record.bytes))
        return bytes >= whole ? number : UInt64(Double(number) * Double(bytes) / Double(whole))
    }

    var entries: UInt64 { share(of: file.record.entries) }
    var tombstones: UInt64 { share(of: file.record.tombstones) }
}

extension Table {
    /// Bytes of the blocks that `range` touches, with their share of what the file holds besides, so that the parts of
    /// a file add up to `whole`, its size; nil when the table is not loaded.
    func bytes(in range: KeyRange, whole: UInt64) -> Int? {
        if !isLoaded { return nil }
        if index.count == 0 { return 0 }
        let first = range.lower.isEmpty ? 0 : range.lower.withView { index.lowerBound($0) }
        let last =
            range.upper.isEmpty ? index.count - 1 : min(range.upper.withView { index.lowerBound($0) }, index.count - 1)
        if first > last { return 0 }
        func end(_ block: Int) -> Int { index.blocks[block].offset + Int(index.blocks[block].stored) }
        let share =
            Double(end(last) - index.blocks[first].offset)
            / Double(max(1, end(index.count - 1) - index.blocks[0].offset))
        return Int(share * Double(whole))
    }

    /// Keys at which the table can be cut, about `parts` of them: separators of blocks, evenly spread. Waits for the
    /// device when the table is not loaded; none when it cannot be.
    func cuts(_ parts: Int) -> [[UInt8]] {
        do throws(StoreError) { try load() } catch {
            report(error)
            return []
        }
        guard index.count > 1 else { return [] }
        let step = max(1, index.count / max(1, parts))
        return stride(from: step - 1, to: index.count - 1, by: step).map { i in
            index.commonPrefix.array + index.separator(i).array
        }
    }
}
