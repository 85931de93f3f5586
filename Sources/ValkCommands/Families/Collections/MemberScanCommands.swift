// What HSCAN, SSCAN and ZSCAN share: their options, and replies of a cursor with a list.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum MemberScanCommands {
    /// Answers `… key cursor [MATCH pattern] [COUNT n]`. `write` writes what belongs to one member and returns how many
    /// elements of the list that are.
    static func scan(
        _ c: CommandContext, _ type: ValueType, isWhole: (borrowing Collection) -> Bool,
        _ write: (borrowing ElementWalk) throws(Interruption) -> Int
    ) throws(Interruption) {
        let args = c.args
        guard let cursor = ScanCommands.parseCursor(args[2]) else { return c.fail(ErrorText.invalidCursor) }
        guard let collection = try c.collection(args[1], type) else { return }
        if !collection.isThere { return reply(c, at: c.replyStart, next: 0, count: 0) }
        var count = 10
        var pattern: GlobPattern?
        var i = 3
        while i < args.count {
            guard i + 1 < args.count else { return c.failSyntax() }
            if c.isWord(i, "count") {
                guard let value = c.integer(i + 1) else { return }
                if value < 1 { return c.failSyntax() }
                count = Int(value)
            } else if c.isWord(i, "match") {
                let given = GlobPattern(args[i + 1])
                pattern = given.matchesAll ? nil : given
            } else {
                return c.failSyntax()
            }
            i += 2
        }
        // Redis answers with all of what it holds in a compact form, whatever COUNT says.
        let scan = MemberScan(cursor: cursor, count: isWhole(collection) ? nil : count)
        let start = c.replyStart
        var written = 0
        let next = try scan.run(c.keys, collection) { walk throws(Interruption) in
            if walk.isExpired || pattern?.matches(walk.member) == false { return }
            written += try write(walk)
        }
        reply(c, at: start, next: next, count: written)
    }

    private static func reply(_ c: CommandContext, at start: Int, next: UInt64, count: Int) {
        c.insertIntoReply(at: start) { header in
            header.array(2)
            withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { scratch in
                guard let base = scratch.baseAddress else { return }
                header.bulk(ByteView(base: base, count: Decimal.write(next, to: base)))
            }
            header.array(count)
        }
    }
}
