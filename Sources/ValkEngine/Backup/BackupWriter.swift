// Makes a backup by its plan: everything under `TARGET.partial`, made durable, proved, and only then renamed.
//
// A crash at any point leaves the source as it was, and either no `TARGET` or a whole one. What is left of an earlier
// try under `TARGET.partial` is removed first. One thread; blocking.

import ValkBase
import ValkDisk

struct BackupWriter {
    let disk: any Disk
    let plan: BackupPlan
    private let target: String
    let partial: String
    let options: BackupOptions
    private var canLink: Bool
    private var report = BackupReport()

    static let partialSuffix = ".partial"

    /// Throws `.invalid` when `target` cannot be made: it exists (an empty directory is allowed), or lies in the
    /// source's own places.
    static func write(
        _ disk: any Disk, _ plan: BackupPlan, to target: String, _ options: BackupOptions
    ) throws(StoreError) -> BackupReport {
        let begin = Monotonic.nanoseconds()
        var writer = BackupWriter(disk, plan, target, options)
        do throws(StoreError) {
            try writer.prepare()
            try writer.fill()
            try writer.prove()
            try writer.name()
        } catch {
            writer.abandon()
            throw error
        }
        writer.report.milliseconds = Double(Monotonic.nanoseconds() - begin) / 1e6
        return writer.report
    }

    /// Refuses targets that are in the way. Also asked before a store does any work for a backup.
    static func check(_ disk: any Disk, _ target: String, source: String) throws(StoreError) {
        for place in ["/tables", "/log"] where target == source + place || target.hasPrefix(source + place + "/") {
            throw StoreError(.invalid, "a backup cannot lie in \(source + place)", path: target)
        }
        if target == source { throw StoreError(.invalid, "a store cannot be its own backup", path: target) }
        var isFree = true
        do throws(DiskError) {
            if try disk.exists(target) { isFree = try disk.list(target).isEmpty }
        } catch {
            throw StoreError(error)
        }
        if !isFree { throw StoreError(.invalid, "\(target) exists and is not empty") }
    }

    private init(_ disk: any Disk, _ plan: BackupPlan, _ target: String, _ options: BackupOptions) {
        self.disk = disk
        self.plan = plan
        self.target = target
        partial = target + BackupWriter.partialSuffix
        self.options = options
        canLink = options.links
        report.path = target
    }

    // MARK: Steps

    private mutating func prepare() throws(StoreError) {
        try BackupWriter.check(disk, target, source: plan.directory)
        try BackupWriter.removeTree(disk, partial)
        do throws(DiskError) {
            try disk.createDirectory(partial)
            try disk.createDirectory(partial + "/tables")
            try disk.createDirectory(partial + "/log")
        } catch {
            throw StoreError(error)
        }
    }

    private mutating func fill() throws(StoreError) {
        for table in plan.tables {
            let path = BucketManager.path(plan.directory, table.fileId)
            try bring(path, to: BucketManager.path(partial, table.fileId), bytes: nil)
        }
        // Dropped tables that the garbage collector has not read yet. It can do without.
        for table in plan.state.owed where plan.state.tables[table.fileId] == nil {
            let path = BucketManager.path(plan.directory, table.fileId)
            let target = BucketManager.path(partial, table.fileId)
            guard try isThere(path) else { continue }
            if try !isThere(target) { try bring(path, to: target, bytes: nil) }
        }
        for segment in plan.segments {
            let name = LogFormat.segmentName(segment.number, generation: segment.generation)
            try bring(segment.path, to: partial + "/log/" + name, bytes: segment.bytes)
        }
        do throws(DiskError) {
            try disk.syncDirectory(partial + "/tables")
            try disk.syncDirectory(partial + "/log")
        } catch {
            throw StoreError(error)
        }
        // Syncs the directory itself, and with it the names of the two below.
        try ManifestWriter(disk, partial, number: 1, state: plan.state).close()
    }

    private func isThere(_ path: String) throws(StoreError) -> Bool {
        do throws(DiskError) { return try disk.exists(path) } catch { throw StoreError(error) }
    }

    /// `bytes` nil: the whole file, which never changes.
    private mutating func bring(_ source: String, to path: String, bytes: Int?) throws(StoreError) {
        try stopIfCancelled()
        if canLink && bytes == nil {
            do throws(DiskError) {
                try disk.link(source, to: path)
                let file = try disk.open(path, .readOnly)
                defer { file.close() }
                report.linkedFiles += 1
                report.linkedBytes += try file.allocatedBytes()
                return
            } catch {
                guard error.kind == .unsupported else { throw StoreError(error) }
                canLink = false
            }
        }
        let copied = try FileCopy.copy(disk, source, to: path, bytes: bytes, isCancelled: options.isCancelled)
        try stopIfCancelled()
        report.copiedFiles += 1
        report.copiedBytes += copied
    }

    private func stopIfCancelled() throws(StoreError) {
        if options.isCancelled() { throw StoreError(.invalid, "the backup was given up", path: target) }
    }

    /// Durable everywhere: now it may be seen.
    private func name() throws(StoreError) {
        do throws(DiskError) {
            try disk.rename(partial, to: target)
            try disk.syncDirectory(parentDirectory(of: target))
        } catch {
            throw StoreError(error)
        }
    }

    private func abandon() {
        // Whatever stays is removed by the next try.
        do throws(StoreError) { try BackupWriter.removeTree(disk, partial) } catch { return }
    }

    /// Removes a backup, whole or not. Files that no store makes stay, and with them the directory: an error.
    static func removeTree(_ disk: any Disk, _ path: String) throws(StoreError) {
        do throws(DiskError) {
            guard try disk.exists(path) else { return }
            for name in try disk.list(path) where name != "tables" && name != "log" {
                guard StoreFolder.isTaken(name) else { continue }
                try disk.remove(path + "/" + name)
            }
            for inner in ["/tables", "/log"] where try disk.exists(path + inner) {
                for name in try disk.list(path + inner) { try disk.remove(path + inner + "/" + name) }
                try disk.remove(path + inner)
            }
            try disk.remove(path)
        } catch {
            throw StoreError(error)
        }
    }
}
