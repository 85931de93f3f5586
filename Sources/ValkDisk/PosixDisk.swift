// The disk that programs use: Linux system calls, made through the shims in CValk, which answer -errno. Keeps no state,
// so it may be used from any thread. This file holds names, directories and the lock; PosixFile holds contents.

import CValk
import Glibc
import ValkBase

package final class PosixDisk: Disk {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
        // Direct is asked for after the open: an open with O_DIRECT that the file system refuses may have created the
        // file already, and a second try with `.exclusive` would then trip over it.
        let fd = valk_open(path, mode.subtracting(.direct).rawValue)
        if fd < 0 { throw Posix.failure(Int64(fd), "open", path) }
        let isDirect = mode.contains(.direct) && valk_set_direct(fd) == 0
        return PosixFile(path: path, fd: fd, isDirect: isDirect)
    }

    package func exists(_ path: String) throws(DiskError) -> Bool {
        try Posix.check(valk_exists(path), "stat", path) == 1
    }

    package func list(_ directory: String) throws(DiskError) -> [String] {
        var names: [String] = []
        let status = withUnsafeMutablePointer(to: &names) { names in
            valk_list_directory(directory, names) { context, name in
                guard let context, let name else { return }
                context.assumingMemoryBound(to: [String].self).pointee.append(String(cString: name))
            }
        }
        try Posix.check(status, "list", directory)
        return names
    }

    package func createDirectory(_ path: String) throws(DiskError) {
        try Posix.check(valk_make_directory(path), "mkdir", path)
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        try Posix.check(valk_sync_directory(path), "sync directory", path)
    }

    package func rename(_ source: String, to target: String) throws(DiskError) {
        try Posix.check(valk_rename(source, target), "rename", source)
    }

    package func remove(_ path: String) throws(DiskError) {
        try Posix.check(valk_remove(path), "remove", path)
    }

    package func link(_ source: String, to target: String) throws(DiskError) {
        let status = valk_link(source, target)
        if status == 0 { return }
        // EPERM is how a file system without hard links answers; EMLINK how a full inode does; EXDEV another system.
        if status == -EPERM || status == -EMLINK || status == -EXDEV {
            throw DiskError(.unsupported, "link", source, code: -status)
        }
        let blamed = status == -EEXIST ? target : source
        throw Posix.failure(Int64(status), "link", blamed)
    }

    package func lock(_ path: String) throws(DiskError) -> any DiskLock {
        let fd = valk_open(path, OpenMode([.readWrite, .create]).rawValue)
        if fd < 0 { throw Posix.failure(Int64(fd), "lock", path) }
        let status = valk_flock_exclusive(fd)
        if status == -EWOULDBLOCK {
            let pid = Posix.readProcessId(fd)
            _ = valk_close(fd)
            throw DiskError(.locked(pid), "lock", path, code: -status)
        }
        var result = status
        if result == 0 { result = Posix.writeProcessId(fd) }
        if result != 0 {
            _ = valk_close(fd)
            throw Posix.failure(Int64(result), "lock", path)
        }
        return PosixLock(fd: fd)
    }

    package func lockUnchanged(_ path: String) throws(DiskError) -> (any DiskLock)? {
        // flock asks for no right to write, and without it the release cannot cut the file.
        let fd = valk_open(path, OpenMode.readOnly.rawValue)
        if fd == -ENOENT { return nil }
        if fd < 0 { throw Posix.failure(Int64(fd), "lock", path) }
        let status = valk_flock_exclusive(fd)
        if status == 0 { return PosixLock(fd: fd) }
        let pid = Posix.readProcessId(fd)
        _ = valk_close(fd)
        if status == -EWOULDBLOCK { throw DiskError(.locked(pid), "lock", path, code: -status) }
        throw Posix.failure(Int64(status), "lock", path)
    }

    package func space(_ path: String) throws(DiskError) -> (free: UInt64, total: UInt64) {
        var free: UInt64 = 0
        var total: UInt64 = 0
        try Posix.check(valk_disk_space(path, &free, &total), "space", path)
        return (free, total)
    }
}

/// A held lock file. The kernel drops the lock when the descriptor closes, also when the process dies.
package final class PosixLock: DiskLock, @unchecked Sendable {  // `fd` is read and written under `guardian`.
    private let guardian = Lock()
    private var fd: Int32

    init(fd: Int32) { self.fd = fd }

    deinit { release() }

    /// Idempotent. Leaves the file in place, empty: removing it would let two holders lock two files of one name.
    package func release() {
        guardian.withLock {
            if fd < 0 { return }
            _ = valk_ftruncate(fd, 0)
            _ = valk_close(fd)
            fd = -1
        }
    }
}

/// errno to `DiskError`, and the text of a lock file.
enum Posix {
    static func failure(_ status: Int64, _ operation: String, _ path: String, offset: Int = -1) -> DiskError {
        let code = Int32(truncatingIfNeeded: -status)
        let kind: DiskError.Kind
        switch code {
        case ENOENT: kind = .notFound
        case EEXIST: kind = .exists
        case ENOSPC, EDQUOT: kind = .noSpace
        case EOPNOTSUPP, ENOSYS: kind = .unsupported
        default: kind = .system
        }
        return DiskError(kind, operation, path, offset: offset, code: code)
    }

    @discardableResult
    static func check(_ status: Int32, _ operation: String, _ path: String) throws(DiskError) -> Int32 {
        if status < 0 { throw failure(Int64(status), operation, path) }
        return status
    }

    /// 0, or -errno. The text is what `cat` shows: decimal and a line feed.
    static func writeProcessId(_ fd: Int32) -> Int32 {
        let cleared = valk_ftruncate(fd, 0)
        if cleared != 0 { return cleared }
        var text = "\(getpid())\n"
        let written = text.withUTF8 { valk_pwrite(fd, $0.baseAddress, $0.count, 0) }
        return written < 0 ? Int32(truncatingIfNeeded: written) : 0
    }

    /// The process id in a lock file, 0 when there is none that reads as one.
    static func readProcessId(_ fd: Int32) -> Int32 {
        var text: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        return withUnsafeMutableBytes(of: &text) { bytes in
            let count = valk_pread(fd, bytes.baseAddress, bytes.count, 0)
            var pid: Int64 = 0
            var at = 0
            while at < count, at < 10, bytes[at] >= 0x30, bytes[at] <= 0x39 {
                pid = pid * 10 + Int64(bytes[at] - 0x30)
                at += 1
            }
            return Int32(exactly: pid) ?? 0
        }
    }
}
