// The files of the database as the file system sees them.

import Glibc

enum Files {
    /// Bytes that the file system holds for the files below `path`.
    static func allocated(_ path: String) -> Int {
        var sum = 0
        visit(path) { _, facts in sum += Int(facts.st_blocks) * 512 }
        return sum
    }

    /// Takes the clean pages of the files below `path` out of the page cache; with `syncing` makes all of them clean
    /// first.
    static func dropCaches(_ path: String, syncing: Bool) {
        visit(path) { file, _ in
            let descriptor = open(file, O_RDONLY)
            if descriptor < 0 { return }
            if syncing { fdatasync(descriptor) }
            posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
            close(descriptor)
        }
    }

    private static func visit(_ path: String, _ body: (String, stat) -> Void) {
        guard let directory = opendir(path) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") { continue }
            var facts = stat()
            guard stat(path + "/" + name, &facts) == 0 else { continue }
            if facts.st_mode & S_IFMT == S_IFDIR {
                visit(path + "/" + name, body)
            } else {
                body(path + "/" + name, facts)
            }
        }
    }
}
