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
                if quote != 0 {
                    if c == UInt8(ascii: "\\"), let escape = escape(bytes + at, count - at, within: quote) {
                        bytes[write] = escape.byte
                        write += 1
                        at += escape.length
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

/// What the backslash at `bytes`, with `left` bytes from there to the line's end, begins within quotes of a kind: the
/// byte it stands for and how long it is. Nil when it stands for itself.
private func escape(
    _ bytes: UnsafePointer<UInt8>, _ left: Int, within quote: UInt8
) -> (byte: UInt8, length: Int)? {
    guard left > 1 else { return nil }
    if quote == UInt8(ascii: "'") { return bytes[1] == quote ? (quote, 2) : nil }
    if left > 3, bytes[1] == UInt8(ascii: "x"), let high = hexValue(bytes[2]), let low = hexValue(bytes[3]) {
        return (high << 4 | low, 4)
    }
    return (unescape(bytes[1]), 2)
}

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
