// Takes comments and the contents of strings out of Swift and C text, so that a rule about calls does not stumble over
// prose. Line numbers stay. It knows line comments, nested block comments, strings, strings of several lines and raw
// strings with one #; what stands in an interpolation counts as string.

enum CodeOnly {
    private enum State: Equatable {
        case code, lineComment
        case blockComment(depth: Int)
        case string(raw: Bool, several: Bool)
    }

    static func lines(of text: String) -> [String] {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var state = State.code
        var i = 0

        func has(_ word: StaticString, at index: Int) -> Bool {
            guard index + word.utf8CodeUnitCount <= bytes.count else { return false }
            for offset in 0..<word.utf8CodeUnitCount where bytes[index + offset] != word.utf8Start[offset] {
                return false
            }
            return true
        }

        while i < bytes.count {
            let byte = bytes[i]
            if byte == UInt8(ascii: "\n") {
                out.append(byte)
                if state == .lineComment || state == .string(raw: false, several: false) { state = .code }
                i += 1
                continue
            }
            switch state {
            case .code:
                if has("//", at: i) {
                    state = .lineComment
                    i += 2
                } else if has("/*", at: i) {
                    state = .blockComment(depth: 1)
                    i += 2
                } else if has("#\"\"\"", at: i) {
                    state = .string(raw: true, several: true)
                    i += 4
                } else if has("\"\"\"", at: i) {
                    state = .string(raw: false, several: true)
                    i += 3
                } else if has("#\"", at: i) {
                    state = .string(raw: true, several: false)
                    i += 2
                } else if byte == UInt8(ascii: "\"") {
                    state = .string(raw: false, several: false)
                    out.append(byte)
                    i += 1
                } else {
                    out.append(byte)
                    i += 1
                }
            case .lineComment:
                i += 1
            case .blockComment(let depth):
                if has("*/", at: i) {
                    state = depth == 1 ? .code : .blockComment(depth: depth - 1)
                    i += 2
                } else if has("/*", at: i) {
                    state = .blockComment(depth: depth + 1)
                    i += 2
                } else {
                    i += 1
                }
            case .string(raw: false, several: let several):
                if byte == UInt8(ascii: "\\"), i + 1 < bytes.count, bytes[i + 1] != UInt8(ascii: "\n") {
                    i += 2
                } else if several ? has("\"\"\"", at: i) : byte == UInt8(ascii: "\"") {
                    state = .code
                    if !several { out.append(byte) }
                    i += several ? 3 : 1
                } else {
                    i += 1
                }
            case .string(raw: true, several: let several):
                if several ? has("\"\"\"#", at: i) : has("\"#", at: i) {
                    state = .code
                    i += several ? 4 : 2
                } else {
                    i += 1
                }
            }
        }
        return String(decoding: out, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(
            String.init)
    }
}
