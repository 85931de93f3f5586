// The proof of a backup before it gets its name: what was meant to be in it is in it, and can be read.

import ValkBase
import ValkDisk

extension BackupWriter {
    func prove() throws(StoreError) {
        if options.verifiesAll {
            let report = try StoreVerifier.verify(disk: disk, directory: partial)
            if let first = report.findings.first(where: { $0.severity == .error }) {
                throw StoreError(
                    .corruption, "the backup is not sound, \(report.errorCount) errors; the first: \(first.message)",
                    path: first.path, offset: first.offset)
            }
        }
        try proveManifest()
        try proveTables()
        try proveLog()
    }

    private func proveManifest() throws(StoreError) {
        guard let loaded = try ManifestReader.load(disk, partial), loaded.state == plan.state, loaded.tornBytes == 0
        else {
            throw StoreError(.corruption, "the backup's manifest is not what was written", path: partial + "/CURRENT")
        }
    }

    private func proveTables() throws(StoreError) {
        let cache = BlockCache(budgetBytes: 4 << 20)
        for record in plan.tables {
            let path = BucketManager.path(partial, record.fileId)
            // Proves footer, index, filter and properties.
            _ = try Table.open(disk: disk, path: path, fileId: record.fileId, cache: cache)
            let size: Int
            do throws(DiskError) {
                let file = try disk.open(path, .readOnly)
                defer { file.close() }
                size = try file.size()
            } catch {
                throw StoreError(error)
            }
            guard size == record.bytes else {
                throw StoreError(.corruption, "the table has \(size) bytes, not \(record.bytes)", path: path)
            }
        }
    }

    private func proveLog() throws(StoreError) {
        let identity = plan.state.identity
        let storeId = StoreId(high: identity.idHigh, low: identity.idLow)
        for segment in plan.segments {
            let reader = try SegmentReader(
                disk: disk, directory: partial + "/log", segment: segment.number, generation: segment.generation,
                storeId: storeId)
            if let fault = try reader.headerFault(storeId: storeId) {
                throw StoreError(.corruption, fault, path: reader.path, offset: 0)
            }
        }
        let checkpoint = plan.state.checkpoint
        let replay = try LogReplay.run(
            disk: disk, directory: partial + "/log", storeId: storeId, from: checkpoint.position,
            after: checkpoint.sequence, floor: plan.end
        ) { (_: LogRecord) throws(StoreError) in }
        guard replay.resume.end == plan.end else {
            throw StoreError(
                .corruption, "the backup's log ends at \(replay.resume.end), not at \(plan.end)", path: partial + "/log"
            )
        }
    }
}
