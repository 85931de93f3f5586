// Reads everything in a store's directory and compares it with everything else: manifest, tables, log, and what they
// say of each other. Changes nothing (see ReadOnlyDisk) and goes on behind a fault, so that one run tells all there is.
//
// Steps: 1. names (StoreFolder); 2. CURRENT and the manifest, and what its items must satisfy among themselves; 3.
// every table file: all blocks, order, filter, index, properties, and the manifest's record of it; each separated entry
// is followed to its value in the log (ValueCheck), unless no reader ever gets there (NamedPriors); 4. every segment:
// all frames and records, and the chain of frames across segments; 5. the log as a start would replay it, which alone
// can tell a torn tail from damage; 6. orphans.
//
// Not seen, because nothing in the store tells: loss of the very last synced frames or of the last manifest edits when
// nothing was written after them. Both look like a write that a crash cut short, and are noted.

import ValkBase
import ValkDisk

package final class StoreVerifier {
    let disk: any Disk
    let folder: StoreFolder
    let cache = BlockCache(budgetBytes: 4 << 20)
    let values: ValueCheck
    var report = VerificationReport()
    private let progress: (InspectionProgress) -> Void
    /// Offsets of the records that the manifest lists as dead, by segment.
    private(set) var dead: [UInt32: Set<UInt32>] = [:]
    /// What the tree shows of each table. The rest of the file is nobody's, and its values may be gone.
    private(set) var shown: [UInt64: [FragmentRecord]] = [:]
    /// What the manifest adds up to; nil when it cannot be read.
    private(set) var state: ManifestState?
    private var doneBytes = 0
    private var totalBytes = 0

    /// Verifies the store in `directory`. Throws only when there is no store to look at: `.invalid`, `.disk`; and
    /// `.newerFormat` for the manifest. The caller holds the directory's lock, or knows that nobody writes.
    package static func verify(
        disk: any Disk, directory: String, progress: @escaping (InspectionProgress) -> Void = { _ in }
    ) throws(StoreError) -> VerificationReport {
        let disk = ReadOnlyDisk(disk)
        let folder = try StoreFolder(disk: disk, directory: directory)
        let verifier = StoreVerifier(disk, folder, progress)
        try verifier.run()
        return verifier.report
    }

    private init(_ disk: any Disk, _ folder: StoreFolder, _ progress: @escaping (InspectionProgress) -> Void) {
        self.disk = disk
        self.folder = folder
        self.progress = progress
        values = ValueCheck(disk: disk, folder: folder)
    }

    func advance(_ bytes: Int, _ path: String) {
        doneBytes += bytes
        report.bytesRead += bytes
        progress(InspectionProgress(doneBytes: doneBytes, totalBytes: totalBytes, path: path))
    }

    func size(_ path: String) -> Int {
        do throws(DiskError) {
            let file = try disk.open(path, .readOnly)
            defer { file.close() }
            return try file.size()
        } catch {
            return 0  // Only a denominator; whoever reads the file reports why it cannot be read.
        }
    }

    private func run() throws(StoreError) {
        totalBytes = folder.tables.reduce(0) { $0 + size($1.path) }
        totalBytes += folder.segments.reduce(0) { $0 + size(folder.path($1)) }
        let loaded = try loadManifest()
        state = loaded?.state
        if let state {
            checkManifest(state)
            for fragment in state.fragments { shown[fragment.file, default: []].append(fragment) }
            dead = state.garbage.mapValues { Set($0.chunks.flatMap { DiscardChunk.decode($0.list) ?? [] }) }
            for record in state.tables.values.sorted(by: { $0.fileId < $1.fileId }) {
                checkTable(BucketManager.path(folder.directory, record.fileId), record.fileId, record)
            }
        } else {
            // Without a manifest nothing says what belongs together; each file can still be proved by itself.
            for table in folder.tables { checkTable(table.path, table.id, nil) }
        }
        checkLog(loaded?.state)
        noteOrphans(loaded)
    }

    // MARK: Manifest

    private func loadManifest() throws(StoreError) -> ManifestReader.Loaded? {
        let current = folder.directory + "/CURRENT"
        do throws(StoreError) {
            if let loaded = try ManifestReader.load(disk, folder.directory) {
                if loaded.tornBytes > 0 {
                    let path = folder.directory + "/" + ManifestFormat.name(loaded.number)
                    report.note(
                        "\(loaded.tornBytes) bytes behind edit \(loaded.editCount) are no whole edit; a start ignores them",
                        path, size(path) - loaded.tornBytes)
                }
                return loaded
            }
            guard folder.isStore else {
                throw StoreError(.invalid, "there is no store in \(folder.directory)")
            }
            report.error("missing, although there are other files of a store", current)
        } catch {
            if error.kind == .newerFormat || error.kind == .invalid { throw error }
            report.error(error, in: current)
        }
        return nil
    }

    /// What holds among the items of one manifest.
    private func checkManifest(_ state: ManifestState) {
        let path = folder.directory + "/CURRENT"
        let segments = Set(folder.segments.map(\.number))
        for table in state.tables.values.sorted(by: { $0.fileId < $1.fileId }) {
            func wrong(_ what: String) { report.error("manifest: table \(table.fileId): \(what)", path) }
            if table.fileId >= state.nextFileId { wrong("its number is not below the next one, \(state.nextFileId)") }
            if table.entries == 0 { wrong("it is empty") }
            if table.sequenceMin == 0 || table.sequenceMin > table.sequenceMax { wrong("its sequences are no range") }
            if table.sequenceMax > state.checkpoint.sequence { wrong("it has sequences beyond the checkpoint") }
            if table.smallest.withView({ a in table.largest.withView { a.compare($0) > 0 } }) {
                wrong("its smallest key is after its largest")
            }
            for share in table.segments where !segments.contains(share.segment) {
                wrong("it has \(share.count) values in segment \(share.segment), which is missing")
            }
        }
        checkTree(state, path)
        for tombstone in state.rangeTombstones
        where tombstone.lower.withView({ a in tombstone.upper.withView { a.compare($0) >= 0 } }) {
            report.error("manifest: range deletion \(tombstone.sequence) has no range", path)
        }
        let checkpoint = state.checkpoint.position
        if checkpoint != .zero && !segments.contains(checkpoint.segment) {
            report.error("manifest: segment \(checkpoint.segment), where the log's replay begins, is missing", path)
        }
    }

    // MARK: Orphans

    private func noteOrphans(_ loaded: ManifestReader.Loaded?) {
        if let loaded {
            for table in folder.tables where loaded.state.tables[table.id] == nil && !loaded.state.owes(table.id) {
                report.note("no manifest names this table; the next start removes it", table.path)
            }
            for number in folder.manifests where number != loaded.number {
                report.note(
                    "not the manifest in force; the next start removes it",
                    folder.directory + "/" + ManifestFormat.name(number))
            }
        }
        for path in folder.unfinished { report.note("left unfinished; the next start replaces or removes it", path) }
        for path in folder.strangers { report.note("not a file of a store", path) }
    }
}
