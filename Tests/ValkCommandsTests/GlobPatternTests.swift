import Testing
import ValkBase
import ValkData
import ValkTestSupport

@Suite struct GlobPatternTests {
    private func matches(_ pattern: String, _ text: String) -> Bool {
        Array(pattern.utf8).withView { p in Array(text.utf8).withView { GlobPattern(p).matches($0) } }
    }

    @Test(arguments: [
        ("h?llo", "hello", true), ("h?llo", "hllo", false), ("h*llo", "hllo", true), ("h*llo", "heeello", true),
        ("h[ae]llo", "hallo", true), ("h[ae]llo", "hillo", false), ("h[^e]llo", "hallo", true),
        ("h[^e]llo", "hello", false),
        ("h[a-c]llo", "hbllo", true), ("h[c-a]llo", "hbllo", true), ("h[a-c]llo", "hdllo", false),
        ("h\\*llo", "h*llo", true), ("h\\*llo", "hello", false), ("[\\]]", "]", true), ("[\\a-c]", "b", false),
        ("*", "anything", true), ("**", "x", true), ("a**b", "ab", true), ("*a*b*", "xaxbx", true),
        ("*a*b", "xaxbx", false),
        ("", "", true), ("*", "", false), ("", "x", false), ("a", "", false),
        ("[abc", "b", true), ("[abc", "d", false), ("[^", "x", true), ("[", "x", false), ("[a-", "-", true),
        ("\\", "\\", true), ("a\\", "a\\", true), ("[]a", "a", false), ("[^]", "x", true), ("[a-]", "x", false),
        ("foo*", "fo", false), ("foo*", "foo", true), ("*?", "x", true), ("?*?", "x", false), ("x*[0-9]", "xyz7", true),
    ])
    func asRedisDoes(_ pattern: String, _ text: String, _ expected: Bool) {
        #expect(matches(pattern, text) == expected)
    }

    /// Patterns over a small alphabet against a plain recursive matcher.
    @Test func agreesWithTheDefinition() {
        var random = TestSeed("agreesWithTheDefinition").random
        func word(_ letters: [Character], _ count: Int) -> String {
            String((0..<count).map { _ in letters[random.below(letters.count)] })
        }
        func define(_ p: ArraySlice<UInt8>, _ t: ArraySlice<UInt8>) -> Bool {
            guard let first = p.first else { return t.isEmpty }
            if first == UInt8(ascii: "*") {
                return define(p.dropFirst(), t) || !t.isEmpty && define(p, t.dropFirst())
            }
            guard let byte = t.first else { return false }
            return (first == UInt8(ascii: "?") || first == byte) && define(p.dropFirst(), t.dropFirst())
        }
        for _ in 0..<20_000 {
            let pattern = word(["a", "b", "*", "?"], random.below(7))
            let text = word(["a", "b"], 1 + random.below(8))
            #expect(
                matches(pattern, text) == define(Array(pattern.utf8)[...], Array(text.utf8)[...]), "\(pattern) \(text)")
        }
    }

    /// Would take longer than the universe with backtracking over every star.
    @Test func hardPatternsEnd() {
        let pattern = String(repeating: "a*", count: 60) + "b"
        #expect(!matches(pattern, String(repeating: "a", count: 5_000)))
        #expect(matches(pattern, String(repeating: "a", count: 5_000) + "b"))
    }

    @Test func patternsOfMoreThanAThousandStarsMatchNothing() {
        let text = String(repeating: "a", count: 3_000)
        #expect(matches(String(repeating: "*?", count: 1_000), text))
        #expect(!matches(String(repeating: "*?", count: 1_001), text))
        #expect(matches(String(repeating: "*", count: 2_000) + "a", text))
    }

    @Test(arguments: [
        ("user:*", "user:", false), ("*", "", false), ("a\\*b?", "a*b", false), ("plain", "plain", true),
        ("x[ab]", "x", false), ("\\", "\\", true),
    ])
    func knowsItsLiteralBeginning(_ pattern: String, _ prefix: String, _ isWhole: Bool) {
        var buffer = ByteBuffer(capacity: 64)
        let result = Array(pattern.utf8).withView { GlobPattern($0).literalPrefix(into: buffer.reserve(64)) }
        buffer.advance(result.count)
        #expect(buffer.view.string == prefix)
        #expect(result.isWhole == isWhole)
    }
}
