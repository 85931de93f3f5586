// Inline commands: a line of words, as a person types it into telnet.
//
// Words are separated by white space. Double quotes allow \n \r \t \b \a \xHH and backslash-anything; single quotes
// allow only \'. A closing quote must be followed by white space or the end of the line. Decoding never makes a word
// longer, so it happens in place: the write position is always at or behind the read position.

import ValkBase

extension RequestParser {
    /// Splits `count` bytes at `line` (without line end) into arguments; returns false for unbalanced quotes.
    /// An empty line gives no arguments.
    mutating func splitInline(_ line: UnsafeMutableRawPointer, _ count: Int) -> Bool {
        let bytes = line.assumingMemoryBound(to: UInt8.self)
        var at = 0
        while true {
            while at < count, isSpace(bytes[at]) { at += 1 }
            // A zero byte ends the line, as it ends a C string.
            if at >= count || bytes[at] == 0 { return true }
            let start = at
            var write = at
            var quote: UInt8 = 0
            word: while true {
                if at >= count {
                    if quote != 0 { return false }
                    break word
                }
                let c = bytes[at]
                if quote == UInt8(ascii: "\"") {
                    if c == UInt8(ascii: "\\"), at + 3 < count, bytes[at + 1] == UInt8(ascii: "x"),
                        let high = hexValue(bytes[at + 2]), let low = hexValue(bytes[at + 3])
                    {
                        bytes[write] = high << 4 | low
                        write += 1
                        at += 4
                        continue
                    }
                    if c == UInt8(ascii: "\\"), at + 1 < count {
                        bytes[write] = unescape(bytes[at + 1])
                        write += 1
                        at += 2
                        continue
                    }
                    if c == quote {
                        if at + 1 < count, !isSpace(bytes[at + 1]) { return false }
                        at += 1
                        break word
                    }
                } else if quote == UInt8(ascii: "'") {
                    if c == UInt8(ascii: "\\"), at + 1 < count, bytes[at + 1] == quote {
                        bytes[write] = quote
                        write += 1
                        at += 2
                        continue
                    }
                    if c == quote {
                        if at + 1 < count, !isSpace(bytes[at + 1]) { return false }
                        at += 1
                        break word
                    }
                } else {
                    if isSpace(c) || c == 0 { break word }
                    if c == UInt8(ascii: "\"") || c == UInt8(ascii: "'") {
                        quote = c
                        at += 1
                        continue
                    }
                }
                bytes[write] = c
                write += 1
                at += 1
            }
            appendArgument(ByteView(base: UnsafeRawPointer(line) + start, count: write - start))
        }
    }
}

private func isSpace(_ c: UInt8) -> Bool { c == 0x20 || (c >= 0x09 && c <= 0x0D) }

private func unescape(_ c: UInt8) -> UInt8 {
    switch c {
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "a"): 0x07
    default: c
    }
}

private func hexValue(_ c: UInt8) -> UInt8? {
    switch c {
    case 0x30...0x39: c - 0x30
    case 0x41...0x46: c - 0x41 + 10
    case 0x61...0x66: c - 0x61 + 10
    default: nil
    }
}
