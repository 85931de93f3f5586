// The text of a library as FUNCTION LOAD gets it: a first line "#!lua name=…", then the code.

import ValkBase

package struct LibraryText {
    package let name: [UInt8]
    /// Where the code begins: at the end of the first line, so that lines count as they are written.
    let codeStart: Int

    package static let nameComplaint =
        "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

    package init(_ text: ByteView) throws(Complaint) {
        guard text.starts(with: ByteView("#!")) else { throw Complaint("Missing library metadata") }
        var end = 0
        while end < text.count && text[end] != 0x0A { end += 1 }
        guard end < text.count, let words = Words.split(text[0..<end]), let first = words.first else {
            throw Complaint("Invalid library metadata")
        }
        var name: [UInt8]?
        for word in words.dropFirst() {
            let prefix = Array("name=".utf8)
            let isName = word.count >= prefix.count && zip(word, prefix).allSatisfy { $0 | 0x20 == $1 | 0x20 }
            guard isName else {
                throw Complaint("Invalid metadata value given: \(String(decoding: word, as: UTF8.self))")
            }
            if name != nil {
                throw Complaint("Invalid metadata value, name argument was given multiple times")
            }
            name = Array(word.dropFirst(prefix.count))
        }
        guard let name else { throw Complaint("Library name was not given") }
        guard Self.isName(name) else { throw Complaint(Self.nameComplaint) }
        let engine = String(decoding: first.dropFirst(2), as: UTF8.self)
        guard engine.lowercased() == "lua" else { throw Complaint("Engine '\(engine)' not found") }
        self.name = name
        codeStart = end
    }

    private static func isName(_ bytes: [UInt8]) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { c in
                c >= 0x30 && c <= 0x39 || c >= 0x41 && c <= 0x5A || c >= 0x61 && c <= 0x7A || c == 0x5F
            }
    }
}

/// Words as a shell would see them, roughly: "double quotes" with escapes, 'single quotes'.
enum Words {
    /// Nil where quotes are not closed, or something follows a closing one.
    static func split(_ line: ByteView) -> [[UInt8]]? {
        var words: [[UInt8]] = []
        var at = 0
        func isSpace(_ c: UInt8) -> Bool { c == 0x20 || c >= 0x09 && c <= 0x0D }
        while true {
            while at < line.count && isSpace(line[at]) { at += 1 }
            if at == line.count { return words }
            var word: [UInt8] = []
            var quote: UInt8 = 0
            reading: while true {
                guard at < line.count else {
                    if quote != 0 { return nil }
                    break
                }
                let c = line[at]
                at += 1
                switch (quote, c) {
                case (0, 0x22), (0, 0x27): quote = c
                case (0, _):
                    if isSpace(c) { break reading }
                    word.append(c)
                case (_, quote):
                    if at < line.count && !isSpace(line[at]) { return nil }
                    break reading
                case (0x22, 0x5C) where at < line.count:
                    word.append(escaped(line, &at))
                case (0x27, 0x5C) where at < line.count && line[at] == 0x27:
                    word.append(0x27)
                    at += 1
                default: word.append(c)
                }
            }
            words.append(word)
        }
    }

    /// What stands behind a backslash at `at`.
    private static func escaped(_ line: ByteView, _ at: inout Int) -> UInt8 {
        let c = line[at]
        at += 1
        switch c {
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "a"): return 0x07
        case UInt8(ascii: "x") where at + 2 <= line.count:
            let text = line[at..<at + 2].string
            guard let value = UInt8(text, radix: 16) else { return c }
            at += 2
            return value
        default: return c
        }
    }
}
