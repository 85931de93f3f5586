// The example of Embedding.md, compiled and run. The text between the marks is the article's, letter by letter, behind
// its import; the test compares them.

import Glibc
import Testing
import ValkEngine
import ValkTestSupport

// example begins
/// Counts visits to pages, and lists the pages of a site in order.
func countVisits(directory: String) throws -> [String] {
    var options = StoreOptions(path: directory)
    options.memoryBytes = 64 << 20
    options.tableBytes = 8 << 20
    let database = try Database(options) { event in
        print("database: \(event)")
    }

    for page in ["example.org/b", "example.org/a", "example.org/b"] {
        let key = Array(page.utf8)
        let old = try database.value(of: key)
        let visits = old.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
        try database.set(Array("\(visits + 1)".utf8), for: key)
    }

    var batch = Database.Batch()
    batch.set(Array("1".utf8), for: Array("example.com/".utf8))
    batch.remove(Array("example.org/c".utf8))
    try database.write(batch)

    var lines: [String] = []
    try database.scan(from: Array("example.org/".utf8), to: Array("example.org0".utf8)) { key, value in
        lines.append(String(decoding: key, as: UTF8.self) + ": " + String(decoding: value, as: UTF8.self))
        return true
    }
    try database.sync()
    try database.close()
    return lines
}
// example ends

@Suite struct EmbeddingExample {
    @Test func exampleRuns() throws {
        let folder = TemporaryFolder()
        #expect(try countVisits(directory: folder.file("visits")) == ["example.org/a: 1", "example.org/b: 2"])
        #expect(try countVisits(directory: folder.file("visits")) == ["example.org/a: 2", "example.org/b: 4"])
        withExtendedLifetime(folder) {}
    }

    @Test func articleShowsThisExample() throws {
        let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        let source = try #require(text(#filePath))
        let article = try #require(text(root + "/Sources/ValkEngine/ValkEngine.docc/Embedding.md"))
        let begin = try #require(lines(source).firstIndex(of: "// example begins"))
        let end = try #require(lines(source).firstIndex(of: "// example ends"))
        let example = lines(source)[(begin + 1)..<end]
        let block = try #require(lines(article).firstIndex(of: "```swift"))
        let shown = lines(article)[(block + 1)...].prefix { $0 != "```" }
        #expect(Array(shown) == ["import ValkEngine", ""] + Array(example))
    }

    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

    private func text(_ path: String) -> String? {
        guard let stream = fopen(path, "r") else { return nil }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let n = fread(&buffer, 1, buffer.count, stream)
            if n == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[0..<n]
        }
    }
}
