// Small text files of the server itself: settings, pid. The store's files go through the disk seam instead; these are
// read before there is a store.

import Glibc
import ValkBase

package struct TextFileFailure: Error, Sendable {
    package let reason: String
}

package enum TextFile {
    /// The longest file of settings that is read.
    private static let bytesMax = 16 << 20

    package static func read(_ path: String) -> Result<[UInt8], TextFileFailure> {
        let fd = open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return .failure(lastFailure()) }
        defer { close(fd) }
        return readAll(fd)
    }

    package static func readStandardInput() -> [UInt8] {
        switch readAll(0) {
        case .success(let bytes): bytes
        case .failure: []
        }
    }

    private static func readAll(_ fd: Int32) -> Result<[UInt8], TextFileFailure> {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while bytes.count < bytesMax {
            let n = Glibc.read(fd, &chunk, chunk.count)
            if n == 0 { return .success(bytes) }
            if n < 0 {
                if errno == EINTR { continue }
                return .failure(lastFailure())
            }
            bytes += chunk[0..<n]
        }
        return .failure(TextFileFailure(reason: "the file is longer than \(bytesMax) bytes"))
    }

    /// Replaces the file at `path` as a whole: a new file beside it is written, synced and renamed over it, so that a
    /// crash leaves the old or the new text. The permissions stay those of the old file.
    package static func replace(_ path: String, with bytes: [UInt8]) -> Result<Void, TextFileFailure> {
        let path = absolutePath(path)
        let temporary = "\(path).\(getpid()).new"
        var status = stat()
        let mode = stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0o644
        let fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard fd >= 0 else { return .failure(lastFailure()) }
        let written = write(fd, bytes) && fsync(fd) == 0
        let failure = lastFailure()
        close(fd)
        guard written else {
            unlink(temporary)
            return .failure(failure)
        }
        guard rename(temporary, path) == 0 else {
            let failure = lastFailure()
            unlink(temporary)
            return .failure(failure)
        }
        let folder = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
        return .success(())
    }

    /// Writes all of `bytes`; false with errno set when that fails.
    package static func write(_ fd: Int32, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { raw -> Bool in
            var at = 0
            while at < raw.count {
                guard let base = raw.baseAddress else { return true }
                let n = Glibc.write(fd, base + at, raw.count - at)
                if n < 0 {
                    if errno == EINTR { continue }
                    return false
                }
                at += n
            }
            return true
        }
    }

    package static func absolutePath(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        return currentDirectory() + "/" + path
    }

    package static func currentDirectory() -> String {
        guard let raw = getcwd(nil, 0) else { return "." }
        defer { free(raw) }
        return String(cString: raw)
    }

    /// True when `path` names the directory the process is in.
    package static func isCurrentDirectory(_ path: String) -> Bool {
        var here = stat()
        var there = stat()
        guard stat(".", &here) == 0, stat(path, &there) == 0 else { return false }
        return here.st_dev == there.st_dev && here.st_ino == there.st_ino
    }

    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// What is behind the last slash.
    package static func name(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return path }
        return String(path[path.index(after: slash)...])
    }

    /// The files that a shell pattern names, in order; the pattern itself when it is no pattern, so that a missing
    /// file is noticed.
    package static func matching(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0, let paths = found.gl_pathv else {
            return pattern.contains(where: { "*?[".contains($0) }) ? [] : [pattern]
        }
        return (0..<Int(found.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
    }

    private static func lastFailure() -> TextFileFailure { TextFileFailure(reason: String(cString: strerror(errno))) }
}
