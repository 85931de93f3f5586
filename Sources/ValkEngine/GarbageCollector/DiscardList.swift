// What a job found dead: records in the log whose versions it dropped.
//
// A version with a separated value is named by the job that finds it hidden for all readers to come: the flush that
// finds it superseded inside its table, or in the tree below it (PriorSearch), the merge that meets a newer one (or a
// range deletion) above it, or the scan of a table that a range deletion dropped whole. That job names the value's
// record here, and the list becomes part of the job's own manifest edit.
//
// A record is named once, with one exception: what a flush has named and a range deletion, or the layer above, then
// takes away together with the version that hid it, is named again. So lists are sets; sums over them may be too large
// until the segment is rewritten. One thread; the job's.

import ValkBase

struct DiscardList: Sendable {
    private struct Item {
        /// Segment and offset, so that the natural order is that of the log.
        var position: UInt64
        var bytes: UInt32
    }
    private var items: [Item] = []

    var isEmpty: Bool { items.isEmpty }
    var count: Int { items.count }

    /// Bytes that the value record of an entry takes in the log.
    @inline(__always)
    static func recordBytes(keyBytes: Int, valueBytes: Int) -> Int {
        LogFormat.aligned(LogFormat.valueHeaderBytes &+ keyBytes &+ valueBytes, 8)
    }

    /// The same for an entry whose value is in the log.
    @inline(__always)
    fileprivate static func recordBytes(_ entry: UnsafePointer<Entry>) -> Int {
        recordBytes(keyBytes: entry.pointee.key.count, valueBytes: Int(entry.pointee.pointer.length))
    }

    /// Takes in a version that the job drops. Nothing happens when its value is not in the log.
    @inline(__always)
    mutating func add(_ entry: UnsafePointer<Entry>) {
        if entry.pointee.flags.contains(.separated) { append(entry) }
    }

    @inline(never)
    private mutating func append(_ entry: UnsafePointer<Entry>) {
        let pointer = entry.pointee.pointer
        let bytes = DiscardList.recordBytes(entry)
        items.append(
            Item(
                position: LogPosition(segment: pointer.segment, offset: pointer.offset).rawValue,
                bytes: UInt32(truncatingIfNeeded: bytes)))
    }

    /// The items of an edit: one for each segment.
    var editItems: [EditItem] {
        let sorted = items.sorted { $0.position < $1.position }
        var result: [EditItem] = []
        var at = 0
        while at < sorted.count {
            let segment = LogPosition(rawValue: sorted[at].position).segment
            var end = at
            var bytes: UInt64 = 0
            var offsets: [UInt32] = []
            while end < sorted.count, LogPosition(rawValue: sorted[end].position).segment == segment {
                bytes += UInt64(sorted[end].bytes)
                offsets.append(LogPosition(rawValue: sorted[end].position).offset)
                end += 1
            }
            result.append(.garbage(.discards(segment, DiscardChunk(offsets, bytes: bytes))))
            at = end
        }
        return result
    }
}

/// How many value records a flush met in each segment, the dead ones included: every record is flushed exactly once, so
/// these add up to what the segment holds.
struct ValueTotals: Sendable {
    private var totals: [UInt32: (bytes: UInt64, count: UInt64)] = [:]

    @inline(__always)
    mutating func add(_ entry: UnsafePointer<Entry>) {
        if entry.pointee.flags.contains(.separated) { append(entry) }
    }

    @inline(never)
    private mutating func append(_ entry: UnsafePointer<Entry>) {
        let pointer = entry.pointee.pointer
        let bytes = DiscardList.recordBytes(entry)
        totals[pointer.segment, default: (0, 0)].bytes += UInt64(bytes)
        totals[pointer.segment, default: (0, 0)].count += 1
    }

    var editItems: [EditItem] {
        totals.sorted { $0.key < $1.key }.map {
            .garbage(.values($0.key, bytes: $0.value.bytes, count: $0.value.count))
        }
    }
}
