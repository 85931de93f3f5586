// The rules of the house that a program can check. Each takes one file and says what is wrong where, and what to do
// instead. What a rule says is a sentence for the person who broke it.

import Testing

/// One broken rule.
struct Problem: CustomStringConvertible, Equatable {
    let path: String
    /// 1-based; 0 for the file as a whole.
    let line: Int
    let text: String

    var description: String { line == 0 ? "\(path): \(text)" : "\(path):\(line): \(text)" }
}

/// A rule about single files.
struct Rule: Sendable, CustomTestStringConvertible {
    let name: String
    let check: @Sendable (SourceFile) -> [Problem]

    var testDescription: String { name }

    static let all: [Rule] = [
        imports, bannedCalls, lineLength, fileLength, header, reminders, machinePaths, finalClasses, uncheckedSendable,
    ]

    // MARK: Imports

    /// What each module may import besides the standard library, from the ground up: each stands above all it names.
    static let mayImport: [(module: String, imports: Set<String>)] = [
        ("CValk", []),
        ("CLibevent", []),
        ("COpenSSL", []),
        ("CValkTLS", ["COpenSSL"]),
        ("CCompression", []),
        ("CLua", []),
        ("CValkLua", ["CLua"]),
        ("ValkBase", ["CValk"]),
        ("ValkDisk", ["ValkBase", "CValk"]),
        ("ValkEngine", ["ValkDisk", "ValkBase", "CValk", "CCompression"]),
        ("ValkRESP", ["ValkBase", "CValk"]),
        ("ValkData", ["ValkEngine", "ValkBase", "CValk"]),
        ("ValkCommands", ["ValkData", "ValkEngine", "ValkRESP", "ValkBase", "CValk"]),
        ("ValkScripting", ["ValkCommands", "ValkRESP", "ValkBase", "CValkLua"]),
        (
            "ValkServer",
            [
                "ValkScripting", "ValkCommands", "ValkData", "ValkEngine", "ValkRESP", "ValkDisk", "ValkBase", "CValk",
                "CLibevent", "CValkTLS", "COpenSSL",
                "Logging",
            ]
        ),
        ("valk-server", ["ValkServer"]),
        ("valk-example", ["ValkEngine"]),
        ("valk-engine-bench", ["ValkEngine", "ValkBase", "ArgumentParser"]),
        ("valk-inspect", ["ValkData", "ValkEngine", "ValkDisk", "ValkBase", "ArgumentParser", "Foundation"]),
    ]
    static let everywhere: Set<String> = ["Glibc", "Synchronization"]

    static let imports = Rule(name: "imports point down") { file in
        guard file.isSwift, let module = file.module else { return [] }
        guard let allowed = mayImport.first(where: { $0.module == module })?.imports else {
            return [Problem(path: file.path, line: 0, text: "module \(module) has no row in the table of imports")]
        }
        return file.code.enumerated().compactMap { index, line in
            guard let name = importedModule(line), !allowed.contains(name), !everywhere.contains(name) else {
                return nil
            }
            let hint = name == "Foundation" ? "; below the executables use Glibc and ValkBase" : ""
            return Problem(path: file.path, line: index + 1, text: "\(module) must not import \(name)\(hint)")
        }
    }

    /// `import A`, `@testable import A`, `package import struct A.B` -> A.
    static func importedModule(_ line: String) -> String? {
        let words = line.split(separator: " ")
        guard let at = words.firstIndex(of: "import"), at + 1 < words.count else { return nil }
        let modifiers: Set<Substring> = ["package", "public", "internal", "private", "fileprivate"]
        guard words[..<at].allSatisfy({ $0.hasPrefix("@") || modifiers.contains($0) }) else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
        let name = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
        return name.split(separator: ".").first.map(String.init)
    }

    // MARK: Calls

    struct Ban: Sendable {
        let word: String
        let instead: String
        let applies: @Sendable (SourceFile) -> Bool
    }

    static let bans: [Ban] = [
        Ban(word: "print(", instead: "the server's log or a reply; only programs print") {
            $0.isSource && !$0.isExecutable
        },
        Ban(word: "try!", instead: "a typed throw, or a precondition with both values") { $0.isSource },
        Ban(word: "as!", instead: "`as?` and a decision") { $0.isSource },
        Ban(word: "DispatchQueue", instead: "a loop or ValkBase's PThread") { _ in true },
        Ban(word: "NSLock", instead: "ValkBase's Lock") { _ in true },
        Ban(word: "Task {", instead: "a loop or ValkBase's PThread") { $0.isSource },
        Ban(word: "Task.detached", instead: "a loop or ValkBase's PThread") { $0.isSource },
        Ban(word: "catch {}", instead: "a handler that decides something") { $0.isSource },
        Ban(word: "Mutex<", instead: "ValkBase's Lock; the library's mutex is slow where threads contend") {
            $0.isSource
        },
        Ban(word: "sleep(", instead: "waiting for what the test is about") { $0.isTest },
        Ban(word: "usleep(", instead: "waiting for what the test is about") { $0.isTest },
        Ban(word: "nanosleep(", instead: "waiting for what the test is about") { $0.isTest },
    ]

    static let bannedCalls = Rule(name: "banned calls") { file in
        guard file.isSwift, !file.path.hasPrefix("Tests/TidyTests/") else { return [] }
        var problems: [Problem] = []
        for (index, line) in file.code.enumerated() {
            for ban in bans where ban.applies(file) && contains(line, word: ban.word) {
                problems.append(Problem(path: file.path, line: index + 1, text: "\(ban.word): use \(ban.instead)"))
            }
            if contains(line, word: "fatalError(") && contains(file.lines[index], word: "fatalError(\"TODO") {
                problems.append(
                    Problem(path: file.path, line: index + 1, text: "fatalError(\"TODO: finish it or take it out"))
            }
        }
        return problems
    }

    // MARK: Shape

    static let lineLengthMax = 120
    static let lineLength = Rule(name: "lines of at most \(lineLengthMax) characters") { file in
        guard file.isProgramText else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            guard line.utf8.count > lineLengthMax, line.count > lineLengthMax, !isOneText(file, index) else {
                return nil
            }
            return Problem(path: file.path, line: index + 1, text: "\(line.count) characters; break the line")
        }
    }

    /// A line of a text of several lines, or one that is a single string: breaking it would change or hide the text.
    private static func isOneText(_ file: SourceFile, _ index: Int) -> Bool {
        guard file.isSwift else { return false }
        let line = file.lines[index].drop { $0 == " " }
        if line.hasPrefix("//") { return false }
        return line.hasPrefix("\"") || file.code[index].allSatisfy { $0 == " " }
    }

    static let lineCountMax = 700
    static let fileLength = Rule(name: "files of at most \(lineCountMax) lines") { file in
        guard file.isProgramText, file.lines.count > lineCountMax else { return [] }
        return [Problem(path: file.path, line: 0, text: "\(file.lines.count) lines; look for a seam")]
    }

    static let header = Rule(name: "files say what they are for") { file in
        if file.isSource {
            guard file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".h") else { return [] }
            let first = file.lines.first ?? ""
            if first.hasPrefix("// ") || first.hasPrefix("/// ") { return [] }
        } else if file.text.hasPrefix("#!") {
            let second = file.lines.count > 1 ? file.lines[1] : ""
            if second.hasPrefix("# ") || second.hasPrefix("\"\"\"") || second.hasPrefix("// ") { return [] }
        } else {
            return []
        }
        return [Problem(path: file.path, line: 1, text: "begin with a comment that says what the file is for")]
    }

    static let reminders = Rule(name: "reminders carry a reason") { file in
        guard file.isProgramText, !file.path.hasPrefix("Tests/TidyTests/") else { return [] }
        var problems: [Problem] = []
        for (index, line) in file.lines.enumerated() {
            if contains(line, word: "FIXME") {
                problems.append(Problem(path: file.path, line: index + 1, text: "FIXME: fix it before it lands"))
            }
            guard contains(line, word: "TODO") else { continue }
            let reason = line.split(separator: " ").drop { !$0.hasPrefix("TODO") }.dropFirst()
            if reason.count < 3 {
                problems.append(
                    Problem(path: file.path, line: index + 1, text: "TODO without a reason: say why and when"))
            }
        }
        return problems
    }

    /// Folders that exist on somebody's machine only. Written in two parts, so that this file has none itself.
    static let machineFolders = ["/" + "work/", "/" + "home/", "/" + "Users/", "/" + "root/"]
    static let machinePaths = Rule(name: "no paths of one machine") { file in
        file.lines.enumerated().compactMap { index, line in
            guard let folder = machineFolders.first(where: { beginsPath($0, in: line) }) else { return nil }
            return Problem(path: file.path, line: index + 1, text: "\(folder) exists on one machine only")
        }
    }

    /// Whether a path in `line` begins with `folder`; one that only goes on with such a name (`$HOME/…`) does not.
    private static func beginsPath(_ folder: String, in line: String) -> Bool {
        find(folder, in: line) { before in
            guard let before else { return true }
            return !isWordByte(before) && before != UInt8(ascii: ".") && before != UInt8(ascii: "}")
                && before != UInt8(ascii: ")") && before != UInt8(ascii: "*")
        }
    }

    static let finalClasses = Rule(name: "classes are final") { file in
        guard file.isSource, file.isSwift else { return [] }
        let modifiers: Set<Substring> = ["package", "public", "internal", "private", "fileprivate"]
        return file.code.enumerated().compactMap { index, line in
            let words = line.split(separator: " ").drop { $0.hasPrefix("@") || modifiers.contains($0) }
            guard words.first == "class", words.count > 1 else { return nil }
            let name = words[words.startIndex + 1]
            guard name != "func", name != "var", !openClasses.contains(where: { name.hasPrefix($0) }) else {
                return nil
            }
            return Problem(path: file.path, line: index + 1, text: "class \(name): make it final")
        }
    }
    /// Base classes by design: subclasses replace their methods.
    static let openClasses = ["EntryCursor", "SequenceCursor"]

    static let uncheckedSendable = Rule(name: "@unchecked Sendable is justified") { file in
        guard file.isSource, file.isSwift else { return [] }
        return file.code.enumerated().compactMap { index, line in
            guard contains(line, word: "@unchecked Sendable") else { return nil }
            let around = file.lines[max(0, index - 6)...min(index + 1, file.lines.count - 1)]
            if around.contains(where: { contains($0, word: "//") }) { return nil }
            return Problem(path: file.path, line: index + 1, text: "@unchecked Sendable: say in a comment why it holds")
        }
    }

    // MARK: Searching

    /// Whether `word` stands in `line` and is not the end of a longer name.
    static func contains(_ line: String, word: String) -> Bool {
        find(word, in: line) { before in
            guard let before, let first = word.utf8.first, isWordByte(first) else { return true }
            return !isWordByte(before)
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (byte >= 48 && byte < 58) || (byte >= 65 && byte < 91)
            || (byte >= 97 && byte < 123)
    }

    /// Whether `word` occurs in `line` at a place whose byte before it (nil at the start) is accepted.
    private static func find(_ word: String, in line: String, accept: (UInt8?) -> Bool) -> Bool {
        let length = word.utf8.count
        guard line.utf8.count >= length else { return false }
        return line.utf8.withContiguousStorageIfAvailable { text in
            word.utf8.withContiguousStorageIfAvailable { wanted in
                var at = 0
                while at + length <= text.count {
                    if text[at] == wanted[0] && memoryEqual(text, at, wanted) && accept(at == 0 ? nil : text[at - 1]) {
                        return true
                    }
                    at += 1
                }
                return false
            } ?? false
        } ?? false
    }

    private static func memoryEqual(_ a: UnsafeBufferPointer<UInt8>, _ at: Int, _ b: UnsafeBufferPointer<UInt8>) -> Bool
    {
        for i in 0..<b.count where a[at + i] != b[i] { return false }
        return true
    }
}
