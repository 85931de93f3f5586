// A disk that refuses every change, around one that would allow it: what inspection works with, so that nothing it does
// can reach the files it looks at, whatever it calls.

import ValkBase
import ValkDisk

package final class ReadOnlyDisk: Disk {
    private let base: any Disk

    package init(_ base: any Disk) { self.base = base }

    private func refusal(_ operation: String, _ path: String) -> DiskError { DiskError(.unsupported, operation, path) }

    package func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        guard mode.subtracting(.direct) == .readOnly else { throw refusal("open for writing", path) }
        return try base.open(path, mode)
    }

    package func exists(_ path: String) throws(DiskError) -> Bool { try base.exists(path) }
    package func list(_ directory: String) throws(DiskError) -> [String] { try base.list(directory) }
    package func lockUnchanged(_ path: String) throws(DiskError) -> (any DiskLock)? { try base.lockUnchanged(path) }
    package func space(_ path: String) throws(DiskError) -> (free: UInt64, total: UInt64) { try base.space(path) }

    package func createDirectory(_ path: String) throws(DiskError) { throw refusal("mkdir", path) }
    package func syncDirectory(_ path: String) throws(DiskError) { throw refusal("sync directory", path) }
    package func rename(_ source: String, to target: String) throws(DiskError) { throw refusal("rename", source) }
    package func remove(_ path: String) throws(DiskError) { throw refusal("remove", path) }
    package func link(_ source: String, to target: String) throws(DiskError) { throw refusal("link", source) }
    package func lock(_ path: String) throws(DiskError) -> any DiskLock { throw refusal("lock", path) }
}
