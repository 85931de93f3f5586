// A line of a settings file as words, and words as a line: the quoting that redis.conf has.
//
// Words are separated by spaces. In "double quotes" \n \r \t \b \a \\ \" and \xHH stand for bytes; in 'single quotes'
// only \' does. A closing quote must be followed by a space or the end. Bytes pass through untouched.

import ValkBase

package enum ConfigWords {
    /// The words of a line, or nil when its quotes are unbalanced.
    package static func split(_ line: [UInt8]) -> [[UInt8]]? {
        var words: [[UInt8]] = []
        var at = 0
        while true {
            while at < line.count && isSpace(line[at]) { at += 1 }
            if at >= line.count { return words }
            var word: [UInt8] = []
            while at < line.count && !isSpace(line[at]) {
                let byte = line[at]
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                    guard let end = quoted(line, from: at + 1, quote: byte, into: &word) else { return nil }
                    at = end
                    if at < line.count && !isSpace(line[at]) { return nil }
                } else {
                    word.append(byte)
                    at += 1
                }
            }
            words.append(word)
        }
    }

    /// Reads up to the closing quote and returns the index behind it.
    private static func quoted(_ line: [UInt8], from: Int, quote: UInt8, into word: inout [UInt8]) -> Int? {
        let backslash = UInt8(ascii: "\\")
        let isDouble = quote == UInt8(ascii: "\"")
        var at = from
        while at < line.count {
            let byte = line[at]
            if byte == quote { return at + 1 }
            if byte == backslash && at + 1 < line.count {
                let next = line[at + 1]
                if isDouble {
                    if next == UInt8(ascii: "x"), at + 3 < line.count, let high = hex(line[at + 2]),
                        let low = hex(line[at + 3])
                    {
                        word.append(high << 4 | low)
                        at += 4
                        continue
                    }
                    switch next {
                    case UInt8(ascii: "n"): word.append(0x0A)
                    case UInt8(ascii: "r"): word.append(0x0D)
                    case UInt8(ascii: "t"): word.append(0x09)
                    case UInt8(ascii: "b"): word.append(0x08)
                    case UInt8(ascii: "a"): word.append(0x07)
                    default: word.append(next)
                    }
                    at += 2
                    continue
                }
                if next == quote {
                    word.append(quote)
                    at += 2
                    continue
                }
            }
            word.append(byte)
            at += 1
        }
        return nil
    }

    /// `bytes` in double quotes, so that `split` gives it back.
    package static func quote(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [UInt8(ascii: "\"")]
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): out += [UInt8(ascii: "\\"), byte]
            case 0x0A: out += Array("\\n".utf8)
            case 0x0D: out += Array("\\r".utf8)
            case 0x09: out += Array("\\t".utf8)
            case 0x07: out += Array("\\a".utf8)
            case 0x08: out += Array("\\b".utf8)
            case 0x20...0x7E: out.append(byte)
            default:
                let digits = Array("0123456789abcdef".utf8)
                out += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        out.append(UInt8(ascii: "\""))
        return out
    }

    /// `bytes` as they are where that is one word, else quoted.
    package static func quoteIfNeeded(_ bytes: [UInt8]) -> [UInt8] {
        let plain =
            !bytes.isEmpty
            && bytes.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'")
                    && $0 != UInt8(ascii: "\\")
                    && $0 != UInt8(ascii: "#")
            }
        return plain ? bytes : quote(bytes)
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) || byte == 0 }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Lines without their ends; a last line end opens no further line.
package func splitLines(_ bytes: [UInt8]) -> [[UInt8]] {
    var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map { line -> [UInt8] in
        line.last == 0x0D ? [UInt8](line.dropLast()) : [UInt8](line)
    }
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
}
