// Redis's glob patterns: `*`, `?`, `[abc]`, `[^a-z]`, `\x`; bytes, not characters.
//
// Every element but `*` matches exactly one byte, so one place to go back to (the last `*`) is enough: if what follows
// a `*` cannot be matched further on, a longer match of an earlier `*` cannot help either. So a match takes at most
// |pattern| x |text| steps, whatever the pattern.
//
// Kept from Redis on purpose: an unclosed class ends with the pattern; a range may be written backwards; a `\` at the
// very end is a backslash; the empty text is matched by the empty pattern only (callers treat a lone `*` beforehand); a
// match that passes more than a thousand `*` with something behind them is none.

import ValkBase

package struct GlobPattern {
    private static let starsMax = 1000
    private let pattern: ByteView

    /// The bytes stay valid as long as the pattern is used.
    package init(_ pattern: ByteView) { self.pattern = pattern }

    /// A lone `*`: everything matches, the empty key too.
    package var matchesAll: Bool { pattern.count == 1 && pattern[0] == UInt8(ascii: "*") }

    package func matches(_ text: ByteView) -> Bool {
        if text.isEmpty { return pattern.isEmpty }
        var p = 0
        var t = 0
        // Where to go on when the bytes after the last '*' do not fit; -1 before the first '*'.
        var starPattern = -1
        var starText = 0
        var starsPassed = 0
        while t < text.count {
            if p < pattern.count {
                if pattern[p] == UInt8(ascii: "*") {
                    p += 1
                    if p == pattern.count { return true }
                    if pattern[p] == UInt8(ascii: "*") { continue }
                    starsPassed += 1
                    if starsPassed > Self.starsMax { return false }
                    starPattern = p
                    starText = t
                    continue
                }
                if let next = step(p, text[t]) {
                    p = next
                    t += 1
                    continue
                }
            }
            if starPattern < 0 { return false }
            starText += 1
            p = starPattern
            t = starText
        }
        while p < pattern.count && pattern[p] == UInt8(ascii: "*") { p += 1 }
        return p == pattern.count
    }

    /// Where the element at `p` ends if it matches `byte`, nil if it does not.
    @inline(__always)
    private func step(_ p: Int, _ byte: UInt8) -> Int? {
        switch pattern[p] {
        case UInt8(ascii: "?"): return p + 1
        case UInt8(ascii: "["): return stepClass(p + 1, byte)
        case UInt8(ascii: "\\") where p + 1 < pattern.count: return pattern[p + 1] == byte ? p + 2 : nil
        default: return pattern[p] == byte ? p + 1 : nil
        }
    }

    /// A class whose first byte after '[' is at `p`.
    private func stepClass(_ first: Int, _ byte: UInt8) -> Int? {
        var p = first
        let negated = p < pattern.count && pattern[p] == UInt8(ascii: "^")
        if negated { p += 1 }
        var found = false
        while p < pattern.count {
            let left = pattern.count - p
            if left >= 2 && pattern[p] == UInt8(ascii: "\\") {
                if pattern[p + 1] == byte { found = true }
                p += 2
            } else if pattern[p] == UInt8(ascii: "]") {
                p += 1
                break
            } else if left >= 3 && pattern[p + 1] == UInt8(ascii: "-") {
                let low = min(pattern[p], pattern[p + 2])
                let high = max(pattern[p], pattern[p + 2])
                if byte >= low && byte <= high { found = true }
                p += 3
            } else {
                if pattern[p] == byte { found = true }
                p += 1
            }
        }
        return found != negated ? p : nil
    }

    /// Writes the bytes that every match begins with into `prefix` (room for `count` of the pattern). Returns their
    /// number and whether they are the whole pattern, so that only one text can match.
    package func literalPrefix(into prefix: UnsafeMutableRawPointer) -> (count: Int, isWhole: Bool) {
        var n = 0
        var p = 0
        while p < pattern.count {
            switch pattern[p] {
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["): return (n, false)
            case UInt8(ascii: "\\") where p + 1 < pattern.count: p += 1
            default: break
            }
            prefix.storeBytes(of: pattern[p], toByteOffset: n, as: UInt8.self)
            n += 1
            p += 1
        }
        return (n, true)
    }

    package var count: Int { pattern.count }
}
