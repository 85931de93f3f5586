// Figures of a store that nobody has open: from the manifest and the segments' frames, without reading a table.

import ValkBase
import ValkDisk

package struct StoreFigures: Sendable {
    package struct RunLine: Sendable {
        package var bucket: UInt64
        package var run: UInt64
        package var files = 0
        package var bytes: UInt64 = 0
        package var entries: UInt64 = 0
        package var deletes: UInt64 = 0
    }

    package struct SegmentLine: Sendable {
        package var number: UInt32
        package var fileBytes: Int
        package var allocatedBytes: Int
        package var usedBytes: Int
        package var records: Int
        package var valueBytes: Int
        /// Bytes of values that tables point at.
        package var referencedBytes: UInt64
        /// A start replays it, or part of it.
        package var isTail: Bool
        /// Why it cannot be read, nil when it can.
        package var fault: String?
    }

    package var manifest: ManifestDump
    /// By bucket, newest first. A file of which several runs have a part counts where it comes first.
    package var runs: [RunLine] = []
    package var segments: [SegmentLine] = []
    package var spares = 0
    package var orphans = 0
    /// Records that a start would replay, and the bytes of their frames.
    package var tailRecords = 0
    package var tailBytes = 0

    package var tableBytes: UInt64 { runs.reduce(0) { $0 + $1.bytes } }
    package var entries: UInt64 { runs.reduce(0) { $0 + $1.entries } }
    package var logBytes: Int { segments.reduce(0) { $0 + $1.allocatedBytes } }

    /// Throws `.invalid` when there is no store in `directory`, and what reading its manifest throws.
    package init(disk: any Disk, directory: String) throws(StoreError) {
        let disk = ReadOnlyDisk(disk)
        let folder = try StoreFolder(disk: disk, directory: directory)
        manifest = try ManifestDump(disk: disk, directory: directory)
        var referenced: [UInt32: UInt64] = [:]
        for table in manifest.tables {
            if runs.last?.run != table.run || runs.last?.bucket != table.bucket {
                runs.append(RunLine(bucket: table.bucket, run: table.run))
            }
            if !table.isFirst { continue }
            let at = runs.count - 1
            runs[at].files += 1
            runs[at].bytes += table.bytes
            runs[at].entries += table.entries
            runs[at].deletes += table.deletes
            for share in table.segments { referenced[share.segment, default: 0] += share.bytes }
        }
        spares = folder.spares.count
        let named = Set(manifest.tables.map(\.fileId))
        orphans = folder.unfinished.count + folder.tables.filter { !named.contains($0.id) }.count
        for segment in folder.segments { try read(segment, disk, folder, referenced[segment.number] ?? 0) }
    }

    private mutating func read(
        _ segment: (number: UInt32, generation: UInt32), _ disk: any Disk, _ folder: StoreFolder, _ referenced: UInt64
    ) throws(StoreError) {
        let checkpoint = manifest.checkpoint
        var line = SegmentLine(
            number: segment.number, fileBytes: 0, allocatedBytes: 0, usedBytes: 0, records: 0, valueBytes: 0,
            referencedBytes: referenced, isTail: segment.number >= checkpoint.segment)
        do throws(DiskError) {
            let file = try disk.open(folder.path(segment), .readOnly)
            defer { file.close() }
            line.fileBytes = try file.size()
            line.allocatedBytes = try file.allocatedBytes()
        } catch {
            throw StoreError(error)
        }
        var tailRecords = 0
        var tailBytes = 0
        do throws(StoreError) {
            var walk = try SegmentWalk(
                disk: disk, directory: folder.logDirectory, segment: segment, storeId: manifest.storeId,
                known: folder.known(segment.number))
            let afterSequence = manifest.checkpointSequence
            try walk.run(
                frame: { header in
                    if header.position >= checkpoint { tailBytes += Int(header.frameBytes) }
                },
                record: { header, record, _ in
                    if header.position >= checkpoint && record.sequence > afterSequence { tailRecords += 1 }
                })
            line.usedBytes = walk.summary.end
            line.records = walk.summary.records
            line.valueBytes = walk.summary.valueBytes
        } catch {
            line.fault = error.description
        }
        self.tailRecords += tailRecords
        self.tailBytes += tailBytes
        segments.append(line)
    }
}
