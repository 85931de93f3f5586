// A table file, or the part of one that lies inside of bounds: what runs are made of. Buckets and slots are given parts
// of files by changing bounds, not bytes.
//
// Bounds that cut nothing off are empty, so that two fragments with the same keys are equal, here and in the manifest.

import ValkBase

struct Fragment: Sendable {
    let file: TableFile
    let range: KeyRange
    /// Of the blocks that the range touches.
    let bytes: Int

    init(_ file: TableFile, _ range: KeyRange = .all) {
        let record = file.record
        let cutsFront = KeyRange.isBefore(record.smallest, range.lower)
        let cutsBack = !range.upper.isEmpty && !KeyRange.isBefore(record.largest, range.upper)
        self.file = file
        self.range = KeyRange(lower: cutsFront ? range.lower : [], upper: cutsBack ? range.upper : [])
        bytes = cutsFront || cutsBack ? file.table.bytes(in: self.range, whole: record.bytes) : Int(record.bytes)
    }

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
        return Fragment(file, both)
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
    /// Bytes of the blocks that `range` touches; of a table that is not loaded, a guess from `whole`.
    func bytes(in range: KeyRange, whole: UInt64) -> Int {
        if !isLoaded { return Int(whole / 2) }
        if index.count == 0 { return 0 }
        let first = range.lower.isEmpty ? 0 : range.lower.withView { index.lowerBound($0) }
        let last =
            range.upper.isEmpty ? index.count - 1 : min(range.upper.withView { index.lowerBound($0) }, index.count - 1)
        if first > last { return 0 }
        let end = index.blocks[last]
        return end.offset + Int(end.stored) - index.blocks[first].offset
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
