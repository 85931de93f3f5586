// Versions whose values may be gone although a table still has them: those that the flush of the next newer version has
// named dead (PriorSearch), and those under a range deletion that the manifest knows. No reader ever gets to them.

import ValkBase
import ValkDisk

/// Finds them for one table. Opens the tables that lie over it when it is first asked.
final class NamedPriors {
    /// A table with keys in common, and where in it the tree shows them.
    private struct Newer {
        let cursor: TableCursor
        let record: TableRecordItem
        let ranges: [KeyRange]
    }

    private let tombstones: [RangeTombstone]
    private let pins: UnsafeMutablePointer<BlockPins>
    private let open: () -> [Newer]
    private lazy var newer = open()

    /// For table `record` of the store that `state` describes. `pins` must outlive this.
    init(
        _ record: TableRecordItem, _ state: ManifestState, _ shown: [UInt64: [FragmentRecord]], disk: any Disk,
        directory: String, cache: BlockCache, pins: UnsafeMutablePointer<BlockPins>
    ) {
        tombstones = state.rangeTombstones
        self.pins = pins
        open = {
            state.tables.values.filter { other in
                other.fileId != record.fileId && other.sequenceMax > record.sequenceMin
                    && !KeyRange.isBefore(other.largest, record.smallest)
                    && !KeyRange.isBefore(record.largest, other.smallest)
            }.compactMap { other in
                let path = BucketManager.path(directory, other.fileId)
                // One that cannot be read is reported where it is looked at for itself.
                guard let table = try? Table.open(disk: disk, path: path, fileId: other.fileId, cache: cache) else {
                    return nil
                }
                let ranges = (shown[other.fileId] ?? []).map { KeyRange(lower: $0.lower, upper: $0.upper) }
                return Newer(
                    cursor: TableCursor(table, pins, access: .read, mayBlock: true), record: other, ranges: ranges)
            }
        }
    }

    /// Whether the value of `entry` may be gone.
    func includes(_ entry: Entry) -> Bool {
        if tombstones.contains(where: { $0.sequence > entry.sequence && $0.covers(entry.key) }) { return true }
        let key = entry.key.array
        var next = UInt64.max
        var isNamed = false
        for other in newer where other.record.sequenceMax > entry.sequence {
            guard other.ranges.contains(where: { $0.contains(key) }), let found = version(other, entry, before: next)
            else { continue }
            next = found.sequence
            isNamed = found.flags.contains(.priorNamed) && other.record.namedPriors > 0
        }
        return isNamed
    }

    /// The version of the entry's key in a table that is newer than it and older than `limit`.
    private func version(_ other: Newer, _ entry: Entry, before limit: UInt64) -> Entry? {
        do throws(Interruption) {
            try other.cursor.seek(entry.key)
            while let found = other.cursor.position, found.pointee.key == entry.key {
                if found.pointee.sequence > entry.sequence && found.pointee.sequence < limit { return found.pointee }
                try other.cursor.next()
            }
        } catch {
            return nil
        }
        return nil
    }
}
