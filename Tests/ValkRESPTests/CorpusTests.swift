// The fuzzer's corpus in the everyday tests: each of its inputs, and thousands of mutations of them, must pass the
// trial. `scripts/fuzz` looks further; what it finds becomes a file of the corpus.

import Glibc
import Testing
import ValkBase
import ValkTestSupport

@Suite struct CorpusTests {
    /// Each file of the corpus, by name.
    static let inputs: [(name: String, bytes: [UInt8])] = {
        let folder = #filePath.split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" } + "/Corpus"
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var inputs: [(name: String, bytes: [UInt8])] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { inputs.append((name, contents("\(folder)/\(name)"))) }
        }
        return inputs.sorted { $0.name < $1.name }
    }()

    private static func contents(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        return bytes
    }

    @Test func everyInputPasses() {
        #expect(Self.inputs.count >= 20)
        for (name, bytes) in Self.inputs {
            #expect(!bytes.isEmpty, "\(name) is empty")
            #expect(RequestParserTrial.complaint(bytes) == nil, "\(name)")
        }
    }

    @Test func mutationsPass() {
        let seed = TestSeed("mutations of the corpus")
        var random = seed.random
        for step in 0..<TestScale.part(of: 2500) {
            var text = Self.inputs[random.below(Self.inputs.count)].bytes
            for _ in 0...random.below(4) { mutate(&text, &random) }
            if text.count > 1000 { text.removeLast(text.count - 1000) }
            let complaint = RequestParserTrial.complaint(text)
            #expect(complaint == nil, "seed \(seed.value), step \(step): \(text)")
        }
    }

    /// What requests are made of, and numbers at which something changes.
    private static let tokens = [
        "\r\n", "\r", "\n", "*", "$", "*1\r\n", "*0\r\n", "*-1\r\n", "$-1\r\n", "$0\r\n\r\n", "$1\r\n", "*1024\r\n",
        "*1025\r\n", "*10\r\n", "*11\r\n", "$16384\r\n", "$16385\r\n", "$512\r\n", "$513\r\n", "*2147483647\r\n",
        "*2147483648\r\n", "$536870912\r\n", "$536870913\r\n", "$9223372036854775807\r\n", "$9223372036854775808\r\n",
        "$+1\r\n", "$01\r\n", "$ 1\r\n", "\"", "'", "\\", "\\x41", "\\x4", "\\n", "\0", " ", "MGET", "mset", "EVAL",
    ].map(bytes)

    private func mutate(_ text: inout [UInt8], _ random: inout SeededRandom) {
        let at = random.below(text.count + 1)
        switch random.below(7) {
        case 0:
            if at < text.count { text[at] ^= 1 << UInt8(random.below(8)) }
        case 1:
            if at < text.count { text[at] = UInt8(random.below(256)) }
        case 2: text.insert(contentsOf: Self.tokens[random.below(Self.tokens.count)], at: at)
        case 3: text.removeSubrange(at..<min(text.count, at + 1 + random.below(8)))
        case 4:
            // A stretch again.
            let from = random.below(text.count + 1)
            let part = Array(text[from..<min(text.count, from + 1 + random.below(64))])
            text.insert(contentsOf: part, at: at)
        case 5:
            // The rest of another input.
            let other = Self.inputs[random.below(Self.inputs.count)].bytes
            text.replaceSubrange(at..., with: other[random.below(other.count + 1)...])
        default: text.removeLast(text.count - at)
        }
    }
}
