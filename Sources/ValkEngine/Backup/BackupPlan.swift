// What goes into a backup: the structure at one moment, and the files that it needs. Made from a store that serves
// (Store+Backup) or from a directory that nobody uses (here).

import ValkBase
import ValkDisk

struct BackupPlan {
    struct SegmentSource {
        var number: UInt32
        var generation: UInt32
        var path: String
        /// Only so many bytes belong to the moment: the file is copied, it grows or is cut later. Nil: all of it, and
        /// it never changes.
        var bytes: Int?
    }

    /// The manifest of the backup.
    var state: ManifestState
    /// Directory of the source.
    let directory: String
    /// The log of the backup ends here.
    let end: LogPosition
    /// By number.
    private(set) var segments: [SegmentSource] = []

    /// `end`: where a durable log ends. `segments`: those that exist and may be needed, with their paths.
    init(
        state: ManifestState, directory: String, end: LogPosition,
        segments all: [(number: UInt32, generation: UInt32, path: String)]
    ) {
        self.state = state
        self.directory = directory
        self.end = end
        self.state.durableLog = end
        var needed = Set(state.tables.values.flatMap { $0.segments.map(\.segment) })
        for segment in all where segment.number >= state.checkpoint.position.segment { needed.insert(segment.number) }
        for segment in all where needed.contains(segment.number) && segment.number <= end.segment {
            segments.append(
                SegmentSource(
                    number: segment.number, generation: segment.generation, path: segment.path,
                    bytes: segment.number == end.segment ? Int(end.offset) : nil))
        }
    }

    /// Of a store's directory that nobody uses: what a start would find there. Throws `.invalid` when there is no
    /// store, and what reading the manifest and the log's tail throws.
    init(disk: any Disk, directory: String) throws(StoreError) {
        let disk = ReadOnlyDisk(disk)
        let folder = try StoreFolder(disk: disk, directory: directory)
        guard let loaded = try ManifestReader.load(disk, directory) else {
            throw StoreError(.invalid, "there is no store in \(directory)", path: directory)
        }
        let state = loaded.state
        let replay = try LogReplay.run(
            disk: disk, directory: folder.logDirectory,
            storeId: StoreId(high: state.identity.idHigh, low: state.identity.idLow), from: state.checkpoint.position,
            after: state.checkpoint.sequence, floor: state.durableLog, generations: state.generations
        ) { (_: LogRecord) throws(StoreError) in }
        self.init(
            state: state, directory: directory, end: replay.resume.end,
            segments: replay.resume.segments.map { ($0.number, $0.generation, folder.path($0)) })
    }

    /// Tables by number.
    var tables: [TableRecordItem] { state.tables.values.sorted { $0.fileId < $1.fileId } }
}

extension BackupReport {
    /// Makes a backup of the store in `directory`, which nobody uses; the caller holds its lock. The same brings a
    /// backup back: it is a store. Throws as `Store.backup(to:_:)`, and what a start would refuse.
    package static func make(
        disk: any Disk, of directory: String, to target: String, _ options: BackupOptions
    ) throws(StoreError) -> BackupReport {
        var target = target
        while target.count > 1 && target.hasSuffix("/") { target.removeLast() }
        try BackupWriter.check(disk, target, source: directory)
        return try BackupWriter.write(disk, try BackupPlan(disk: disk, directory: directory), to: target, options)
    }
}
