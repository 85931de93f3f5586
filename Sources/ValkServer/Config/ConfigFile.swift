// Reading settings at the start: file, then standard input, then the command line, each line a directive.
//
// Everything is read before anything is used. The first line that cannot be understood stops the start with the place,
// the line, what is wrong, what was expected and the nearest name that is known. `include` reads other files in place
// (shell patterns allowed), to a depth of 16.

import Glibc
import ValkBase

/// Why the settings cannot be used.
package enum ConfigFileError: Error, Sendable {
    case cannotOpen(path: String, reason: String)
    /// `origin` says where: a path, standard input or the command line; `line` counts from 1.
    case badLine(origin: String, line: Int, text: String, reason: String, hint: String?)

    /// The message for the person who starts the server, several lines.
    package var message: String {
        switch self {
        case .cannotOpen(let path, let reason):
            return "Fatal error, can't open config file '\(path)': \(reason)"
        case .badLine(let origin, let line, let text, let reason, let hint):
            var message = "\n*** FATAL CONFIG FILE ERROR (Valk \(ServerVersion.valk)) ***\n"
            message += "Reading \(origin), at line \(line)\n>>> '\(text)'\n\(reason)\n"
            if let hint { message += hint + "\n" }
            return message
        }
    }
}

struct ConfigLine: Sendable {
    let origin: String
    let number: Int
    let bytes: [UInt8]

    var text: String { String(decoding: bytes, as: UTF8.self) }

    func fault(_ reason: String, hint: String? = nil) -> ConfigFileError {
        .badLine(origin: origin, line: number, text: text, reason: reason, hint: hint)
    }
}

extension ConfigStore {
    /// Reads everything the arguments name. Call once, before the server starts.
    package func load(_ arguments: ServerArguments) throws(ConfigFileError) {
        if let file = arguments.file {
            let path = TextFile.absolutePath(file)
            remember(file: path)
            try load(file: path, depth: 0)
        }
        if arguments.readsStandardInput {
            try load(lines: splitLines(TextFile.readStandardInput()), origin: "standard input", depth: 0)
        }
        try load(lines: arguments.lines, origin: "the command line", depth: 0)
        try enterDirectory()
    }

    /// Goes to the directory that the last `dir` named, which is made when only its last part is missing. Earlier ones
    /// are never touched: a file's `dir` may be replaced on the command line.
    private func enterDirectory() throws(ConfigFileError) {
        guard let line = takeDirectoryLine(), let index = index(of: "dir") else { return }
        let path = value(index).text
        // Once only: a relative path means another directory the second time.
        var isThere = chdir(path) == 0
        if !isThere && errno == ENOENT && mkdir(path, 0o755) == 0 { isThere = chdir(path) == 0 }
        if !isThere { throw line.fault(String(cString: strerror(errno))) }
        replace(index, with: TextFile.currentDirectory())
    }

    private func load(file path: String, depth: Int) throws(ConfigFileError) {
        switch TextFile.read(path) {
        case .success(let bytes):
            try load(lines: splitLines(bytes), origin: "the configuration file \(path)", depth: depth)
        case .failure(let failure): throw .cannotOpen(path: path, reason: failure.reason)
        }
    }

    /// Reads lines as if they stood in a file called `origin`.
    package func load(lines: [[UInt8]], origin: String, depth: Int = 0) throws(ConfigFileError) {
        for (index, bytes) in lines.enumerated() {
            try read(ConfigLine(origin: origin, number: index + 1, bytes: trimmed(bytes)), depth: depth)
        }
    }

    private func read(_ line: ConfigLine, depth: Int) throws(ConfigFileError) {
        guard let first = line.bytes.first, first != UInt8(ascii: "#") else { return }
        guard let words = ConfigWords.split(line.bytes) else {
            throw line.fault("Unbalanced quotes in configuration line")
        }
        guard let head = words.first else { return }
        let name = String(decoding: head, as: UTF8.self).lowercased()
        let given = Array(words.dropFirst())
        if let index = index(of: name) {
            try read(directive: index, name: name, given: given, line: line)
        } else if name == "user", !given.isEmpty {
            let user = DeclaredUser(name: given[0], words: Array(given.dropFirst()), line: line)
            guard add(user) else {
                throw line.fault(
                    "Error in user declaration '\(String(decoding: given[0], as: UTF8.self))': Duplicate user found. A "
                        + "user can only be defined once in config files")
            }
        } else {
            try readSpecial(name, given.map { String(decoding: $0, as: UTF8.self) }, line: line, depth: depth)
        }
    }

    private func read(
        directive index: Int, name: String, given: [[UInt8]], line: ConfigLine
    ) throws(ConfigFileError) {
        let directive = directives[index]
        if given.isEmpty || (given.count > 1 && !directive.takesManyWords) {
            throw line.fault(
                "wrong number of arguments", hint: "Expected for '\(name)': \(directive.expectation)")
        }
        do throws(ConfigValueError) {
            try assign(index, given: given, source: .file)
        } catch {
            throw line.fault(error.text, hint: "Expected for '\(name)': \(directive.expectation)")
        }
        if case .refused(let reason) = directive.meaning, !isInitial(index) {
            throw line.fault(
                "\(reason): the server does not start as if '\(name)' had been obeyed",
                hint: "Remove the line, or set it to its default ('\(directive.initial)')")
        }
        if name == "dir" { remember(directory: line) }
    }

    private func readSpecial(
        _ name: String, _ given: [String], line: ConfigLine, depth: Int
    ) throws(ConfigFileError) {
        switch (name, given.count) {
        case ("include", 1):
            if depth >= 16 { throw line.fault("include is nested more than 16 deep") }
            for path in TextFile.matching(given[0]) { try load(file: path, depth: depth + 1) }
        case ("rename-command", 2):
            rename(command: given[0].lowercased(), to: given[1])
        case ("loadmodule", 1...):
            throw line.fault(
                "Valk has no modules yet: the server does not start as if '\(name)' had been obeyed",
                hint: "Remove the line")
        default:
            if ConfigSchema.forgottenNames.contains(name) && given.count == 1 {
                noteIgnored(name)
                return
            }
            var hint: String?
            if let near = nearestName(name) { hint = "'\(name)' is not known; did you mean '\(near)'?" }
            throw line.fault("Bad directive or wrong number of arguments", hint: hint)
        }
    }

    /// The known name with the fewest edits to `name`, if they are few.
    package func nearestName(_ name: String) -> String? {
        var best: (name: String, distance: Int)?
        for known in names + ["include", "rename-command", "user"] {
            let distance = editDistance(Array(name.utf8), Array(known.utf8))
            if distance < best?.distance ?? Int.max { best = (known, distance) }
        }
        guard let best, best.distance <= max(2, name.utf8.count / 3) else { return nil }
        return best.name
    }
}

/// Insertions, deletions and replacements of one byte that turn `a` into `b` (Levenshtein). O(a·b).
func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for i in 0..<a.count {
        var diagonal = row[0]
        row[0] = i + 1
        for j in 0..<b.count {
            let change = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(change, row[j] + 1, diagonal + 1)
        }
    }
    return row[b.count]
}

private func trimmed(_ line: [UInt8]) -> [UInt8] {
    guard let first = line.firstIndex(where: { !ConfigWords.isSpace($0) }),
        let last = line.lastIndex(where: { !ConfigWords.isSpace($0) })
    else { return [] }
    return Array(line[first...last])
}
