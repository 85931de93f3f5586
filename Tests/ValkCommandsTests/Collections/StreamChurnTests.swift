// Streams of a steady size: what was trimmed or deleted stays out of the way of walks.

import Testing
import ValkBase
import ValkData
import ValkEngine
import ValkTestSupport

@testable import ValkCommands

@Suite struct StreamChurnTests {
    /// Whether a walk meets the first entry without passing many deleted ones.
    private func isClean(_ h: Harness, _ key: String) throws -> Bool {
        h.context.start(now: h.now)
        h.context.keys.select(0)
        defer { h.context.finished() }
        return try Array(key.utf8).withViewTyped { key throws(Interruption) in
            guard case .collection(let stream) = try h.context.keys.collection(key, .stream) else { return false }
            var walk = try StreamEntries.walk(h.context, stream)
            walk.setDeadBudget(20)
            try walk.seekToFirst()
            return walk.isValid
        }
    }

    @Test(arguments: ["MAXLEN", "MINID", "XTRIM", "XDEL"]) func aWindowDoesNotFillWithWhatHasLeft(
        how: String
    ) throws {
        let h = try Harness()
        for i in 1...2000 {
            // Some share their time.
            let id = "\(i / 7)-\(i)"
            switch how {
            case "MAXLEN": h.run("XADD", "x", "MAXLEN", "100", id, "f", "v")
            case "MINID":
                let least = max(0, i - 99)
                h.run("XADD", "x", "MINID", "\(least / 7)-\(least)", id, "f", "v")
            default:
                h.run("XADD", "x", id, "f", "v")
                if how == "XTRIM" { h.run("XTRIM", "x", "MAXLEN", "100") }
                if how == "XDEL" && i > 100 { #expect(h.run("XDEL", "x", "\((i - 100) / 7)-\(i - 100)") == ":1") }
            }
        }
        #expect(h.run("XLEN", "x") == ":100")
        #expect(h.run("XRANGE", "x", "-", "+", "COUNT", "1") == "[[\"271-1901\" [\"f\" \"v\"]]]")
        #expect(h.run("XREVRANGE", "x", "+", "-", "COUNT", "1") == "[[\"285-2000\" [\"f\" \"v\"]]]")
        #expect(try isClean(h, "x"))
        // A stream that was emptied begins anew, and groups keep their numbers.
        h.run("XGROUP", "CREATE", "x", "g", "0")
        h.run("XTRIM", "x", "MAXLEN", "0")
        h.run("XADD", "x", "9000-1", "f", "v")
        h.run("XGROUP", "CREATE", "x", "g2", "0")
        let entry = "[[\"x\" [[\"9000-1\" [\"f\" \"v\"]]]]]"
        #expect(h.run("XREADGROUP", "GROUP", "g2", "c", "STREAMS", "x", ">") == entry)
        #expect(h.run("XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">") == entry)
    }
}
