// `@inlinable package` members are inlined into other modules only if their type is `@usableFromInline` (or public):
// without it the compiler says nothing, serialises no bodies, and every access to a view's bytes is a call. Seen with
// Swift 6.3.1; it cost a GET 60 ns.

import Glibc
import Testing

@Suite struct InlinableTests {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    private static func files(_ folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            if name.hasSuffix(".swift") { found.append("\(folder)/\(name)") }
            if entry.pointee.d_type == UInt8(DT_DIR) { found += files("\(folder)/\(name)") }
        }
        return found
    }

    private static func text(_ path: String) -> String {
        guard let stream = fopen(path, "r") else { return "" }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let n = fread(&buffer, 1, buffer.count, stream)
            if n == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[0..<n]
        }
    }

    /// Modules whose small members others use on every command.
    @Test(arguments: ["ValkBase", "ValkRESP", "ValkEngine/Keys", "ValkData", "ValkCommands"])
    func typesOfInlinableMembersAreUsableFromInline(_ module: String) {
        let files = Self.files("\(Self.root)/Sources/\(module)")
        #expect(!files.isEmpty)
        for file in files {
            let lines = Self.text(file).split(separator: "\n", omittingEmptySubsequences: false)
            for (i, line) in lines.enumerated() {
                let words = line.split(separator: " ")
                let isType =
                    words.contains("package")
                    && (words.contains("struct") || words.contains("enum") || words.contains("class"))
                guard isType, !line.hasPrefix(" ") else { continue }
                let body = lines[(i + 1)...].prefix { $0 != "}" }
                guard body.contains(where: { $0.contains("@inlinable") }) else { continue }
                let attributes = lines[max(0, i - 2)...i].joined(separator: " ")
                #expect(attributes.contains("@usableFromInline"), "\(file): \(line)")
            }
        }
    }
}
