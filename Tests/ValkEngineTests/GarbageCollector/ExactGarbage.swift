// What the manifest says of dead values against what the tables say: the two are counted in different places and must
// agree to the last record.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// Looks whether the dead records that the manifest lists are exactly those that no table points at. Holds between any
/// two edits, because the list is part of the edits.
func expectExactGarbage(_ store: Store, _ context: @autoclosure () -> String) {
    let state = store.controller.structure.withLock { store.controller.state }
    var pointed: [UInt32: Set<UInt32>] = [:]
    var pointedBytes: [UInt32: UInt64] = [:]
    let pins = BlockPins.make(store.cache)
    defer { BlockPins.destroy(pins) }
    func take(_ cursor: EntryCursor, _ isPast: (ByteView) -> Bool = { _ in false }) throws {
        while let entry = cursor.position, !isPast(entry.pointee.key) {
            if entry.pointee.isSeparated {
                let pointer = entry.pointee.pointer
                let isNew = pointed[pointer.segment, default: []].insert(pointer.offset).inserted
                if !isNew { Issue.record("two entries point at \(pointer): \(context())") }
                pointedBytes[pointer.segment, default: 0] += UInt64(
                    DiscardList.recordBytes(keyBytes: entry.pointee.key.count, valueBytes: Int(pointer.length)))
            }
            try cursor.next()
        }
    }
    do {
        try store.root.forEach { bucket in
            for run in bucket.runs {
                let cursor = RunCursor(run, pins, access: .scan, mayBlock: true)
                try cursor.seekToFirst()
                try take(cursor)
            }
        }
        for owed in state.owed {
            let path = BucketManager.path(store.options.path, owed.fileId)
            let table = try Table.open(disk: store.disk, path: path, fileId: owed.fileId, cache: store.cache)
            let cursor = TableCursor(table, pins, access: .scan, mayBlock: true)
            try owed.smallest.withView { try cursor.seek($0) }
            try take(cursor) { key in
                owed.largest.withView { $0.compare(key) < (owed.excludesLargest ? 1 : 0) }
            }
        }
    } catch {
        Issue.record("a table cannot be read (\(error)): \(context())")
        return
    }
    // What no table needs is on its way out: nothing is owed for it any more.
    var needed = Set<UInt32>()
    for table in state.tables.values { for share in table.segments { needed.insert(share.segment) } }
    for (segment, known) in state.garbage
    where segment >= state.checkpoint.position.segment || needed.contains(segment) {
        let dead = known.chunks.flatMap { DiscardChunk.decode($0.list) ?? [] }
        let live = pointed[segment] ?? []
        if Set(dead).count != dead.count { Issue.record("segment \(segment): counted twice: \(context())") }
        if let both = dead.first(where: { live.contains($0) }) {
            Issue.record("segment \(segment): \(both) is listed dead and pointed at: \(context())")
        }
        if UInt64(dead.count + live.count) != known.valueCount {
            Issue.record(
                "segment \(segment): \(dead.count) dead and \(live.count) live of \(known.valueCount): \(context())")
        }
        let bytes = (pointedBytes[segment] ?? 0) + known.deadBytes
        if bytes != known.valueBytes {
            Issue.record("segment \(segment): \(bytes) bytes, not \(known.valueBytes): \(context())")
        }
    }
    pointed = pointed.filter { needed.contains($0.key) && state.garbage[$0.key] == nil }
    if !pointed.isEmpty { Issue.record("segments \(pointed.keys) are not known: \(context())") }
}
