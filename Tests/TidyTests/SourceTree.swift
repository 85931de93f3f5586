// The project's files as data: what the tidy rules look at. Files that git ignores are not seen.

import Glibc
import Testing

/// One text file, by its path from the project's root.
struct SourceFile {
    let path: String
    let text: String
    /// Lines as they stand, without the newline.
    let lines: [String]
    /// Lines without comments and with the contents of strings taken out (Swift and C files only, else as they stand).
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        self.lines = lines
        let isCode = path.hasSuffix(".swift") || path.hasSuffix(".c") || path.hasSuffix(".h")
        code = isCode ? CodeOnly.lines(of: text) : lines
    }

    /// The first folder below Sources, or nil.
    var module: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isSource: Bool { path.hasPrefix("Sources/") }
    var isTest: Bool { path.hasPrefix("Tests/") }
    var isExecutable: Bool { module?.hasPrefix("valk-") ?? false }
    var isProgramText: Bool {
        [".swift", ".c", ".h", ".py", ".sh"].contains { path.hasSuffix($0) } || text.hasPrefix("#!")
    }
}

/// The project on the disk.
struct SourceTree {
    let root: String
    let files: [SourceFile]
    /// Names in the root folder, ignored ones left out.
    let topLevel: [String]

    static let project = SourceTree(root: folder(of: #filePath, levels: 3))

    init(root: String) {
        self.root = root
        topLevel = Self.names(in: root).filter { !Self.isIgnored($0) }
        var paths: [String] = []
        for name in topLevel where name != ".git" { Self.collect(name, root: root, into: &paths) }
        files = paths.sorted().compactMap { path in
            guard let text = Self.read("\(root)/\(path)") else { return nil }
            return SourceFile(path: path, text: text)
        }
    }

    func exists(_ path: String) -> Bool { access("\(root)/\(path)", F_OK) == 0 }
    func isRunnable(_ path: String) -> Bool { access("\(root)/\(path)", X_OK) == 0 }

    /// What .gitignore says; a test compares the two.
    static func isIgnored(_ name: String) -> Bool {
        name.hasPrefix(".build") || name.hasSuffix(".pyc")
            || [".swiftpm", "Package.resolved", "data", "__pycache__", ".venv", "scratch"].contains(name)
    }

    static func folder(of path: String, levels: Int) -> String {
        path.split(separator: "/").dropLast(levels).reduce(into: "") { $0 += "/\($1)" }
    }

    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func collect(_ path: String, root: String, into paths: inout [String]) {
        var facts = stat()
        guard lstat("\(root)/\(path)", &facts) == 0 else { return }
        if facts.st_mode & S_IFMT == S_IFDIR {
            for name in names(in: "\(root)/\(path)") where name != "data" && name != "__pycache__" && !isIgnored(name) {
                collect("\(path)/\(name)", root: root, into: &paths)
            }
        } else if facts.st_mode & S_IFMT == S_IFREG {
            paths.append(path)
        }
    }

    /// The text of a file, or nil if it is not text.
    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }
}
