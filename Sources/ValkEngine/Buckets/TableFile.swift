// One table file as a part of the structure: the reader, its number, and what its life and death mean.
//
// Views hold runs, runs hold table files. When the last view that knows a file is gone and the file was replaced by a
// merge, the file is removed (by the janitor, never by the thread that happened to let go). While it lives it keeps the
// log segments that its pointers lead to.

import Synchronization
import ValkBase
import ValkDisk

final class TableFile: @unchecked Sendable {  // `table` is thread-safe; flags are atomic; the rest is constant.
    let id: UInt64
    let table: Table
    let record: TableRecordItem
    /// See `NewFile.filteredTo`.
    let filteredTo: UInt64
    private let segmentHolds: [SegmentHold]
    private let janitor: Janitor
    private let path: String
    private let obsolete = Atomic<Bool>(false)
    /// Every `priorUnknown` in the file has been accounted for already; the flags in it mean nothing any more.
    private let resolved: Atomic<Bool>

    init(
        id: UInt64, table: Table, record: TableRecordItem, holds: [SegmentHold], path: String, janitor: Janitor,
        filteredTo: UInt64 = 0
    ) {
        self.filteredTo = filteredTo
        self.id = id
        self.table = table
        self.record = record
        self.segmentHolds = holds
        self.path = path
        self.janitor = janitor
        resolved = Atomic(record.unknownPriors == 0)
    }

    /// A file that was just written.
    static func open(
        _ record: TableRecordItem, disk: any Disk, directory: String, cache: BlockCache, segments: SegmentRegistry,
        janitor: Janitor, warm: FinishedTable? = nil, filteredTo: UInt64 = 0
    ) throws(StoreError) -> TableFile {
        let path = BucketManager.path(directory, record.fileId)
        let table = try Table.open(disk: disk, path: path, fileId: record.fileId, cache: cache, warm: warm)
        return TableFile(record, table, segments, janitor, filteredTo: filteredTo)
    }

    /// A file that the manifest names. It is opened when somebody needs it.
    static func named(
        _ record: TableRecordItem, disk: any Disk, directory: String, cache: BlockCache, segments: SegmentRegistry,
        janitor: Janitor
    ) -> TableFile {
        let path = BucketManager.path(directory, record.fileId)
        return TableFile(
            record, Table(disk: disk, path: path, fileId: record.fileId, cache: cache), segments, janitor)
    }

    private convenience init(
        _ record: TableRecordItem, _ table: Table, _ segments: SegmentRegistry, _ janitor: Janitor,
        filteredTo: UInt64 = 0
    ) {
        self.init(
            id: record.fileId, table: table, record: record, holds: record.segments.map { segments.hold($0.segment) },
            path: table.path, janitor: janitor, filteredTo: filteredTo)
    }

    var countsResolved: Bool { resolved.load(ordering: .acquiring) }
    func markResolved() { resolved.store(true, ordering: .releasing) }

    /// No version needs the file any more: remove it when the last view lets go.
    func markObsolete() { obsolete.store(true, ordering: .releasing) }

    deinit {
        if obsolete.load(ordering: .acquiring) { janitor.remove(path) }
    }
}
