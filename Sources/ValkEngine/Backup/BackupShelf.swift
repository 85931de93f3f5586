// The backups that a server keeps beside its data: `backups/TIME`, the newest few. Names are UTC times, so that they
// sort by age: `2026-11-22T17-52-19.123Z`.
//
// A backup goes the way it came: it loses its name first (`….removing`), so that what has a backup's name is always a
// whole one. What a crash leaves of one or the other is removed when the next backup is made. One thread at a time.

import Glibc
import ValkBase
import ValkDisk

package struct BackupShelf {
    /// The name of the shelf in a store's directory.
    package static let name = "backups"
    private static let removingSuffix = ".removing"

    private let disk: any Disk
    private let store: String
    private var directory: String { store + "/" + BackupShelf.name }

    /// The shelf of the store in the directory `store`.
    package init(disk: any Disk, store: String) {
        self.disk = disk
        self.store = store
    }

    /// Paths of the backups, oldest first.
    package func backups() throws(StoreError) -> [String] {
        do throws(DiskError) {
            guard try disk.exists(directory) else { return [] }
            return try disk.list(directory).filter(BackupShelf.isBackup).sorted().map { directory + "/" + $0 }
        } catch {
            throw StoreError(error)
        }
    }

    /// Makes one more backup and then removes all but the `kept` newest. What could not be removed is told to `note`;
    /// that is no failure of the backup.
    package func add(
        _ store: Store, kept: Int, now milliseconds: UInt64, _ options: BackupOptions = BackupOptions(),
        note: (StoreError) -> Void
    ) throws(StoreError) -> BackupReport {
        var moment = milliseconds
        do throws(DiskError) {
            // Synced also when it is there already: an earlier call may have failed between the two.
            try disk.createDirectory(directory)
            try disk.syncDirectory(self.store)
            while try disk.exists(directory + "/" + BackupShelf.name(of: moment)) { moment += 1 }
        } catch {
            throw StoreError(error)
        }
        removeLeftovers(note)
        let report = try store.backup(to: directory + "/" + BackupShelf.name(of: moment), options)
        do throws(StoreError) {
            for path in try backups().dropLast(max(1, kept)) { try remove(path) }
        } catch {
            note(error)
        }
        return report
    }

    private func remove(_ path: String) throws(StoreError) {
        do throws(DiskError) {
            // Somebody may have opened it as a store: it stays until the next time.
            let lock = try disk.lockUnchanged(path + "/LOCK")
            defer { lock?.release() }
            try disk.rename(path, to: path + BackupShelf.removingSuffix)
            try disk.syncDirectory(directory)
        } catch {
            throw StoreError(error)
        }
        try BackupWriter.removeTree(disk, path + BackupShelf.removingSuffix)
    }

    private func removeLeftovers(_ note: (StoreError) -> Void) {
        do throws(StoreError) {
            for name in try list() {
                for suffix in [BackupShelf.removingSuffix, BackupWriter.partialSuffix] where name.hasSuffix(suffix) {
                    guard BackupShelf.isBackup(String(name.dropLast(suffix.utf8.count))) else { continue }
                    try BackupWriter.removeTree(disk, directory + "/" + name)
                }
            }
        } catch {
            note(error)
        }
    }

    private func list() throws(StoreError) -> [String] {
        do throws(DiskError) { return try disk.list(directory) } catch { throw StoreError(error) }
    }

    // MARK: Names

    static func name(of milliseconds: UInt64) -> String {
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        func two(_ number: Int32) -> String { digits(Int(number), 2) }
        return "\(digits(Int(parts.tm_year) + 1900, 4))-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour))-\(two(parts.tm_min))-\(two(parts.tm_sec)).\(digits(Int(milliseconds % 1000), 3))Z"
    }

    static func isBackup(_ name: String) -> Bool {
        let pattern = Array("0000-00-00T00-00-00.000Z".utf8)
        let bytes = Array(name.utf8)
        guard bytes.count == pattern.count else { return false }
        return zip(bytes, pattern).allSatisfy { byte, wanted in
            wanted == 0x30 ? (0x30...0x39).contains(byte) : byte == wanted
        }
    }
}
