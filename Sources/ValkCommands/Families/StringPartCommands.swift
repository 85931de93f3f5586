// Parts of values: APPEND, GETRANGE, SUBSTR, SETRANGE, and LCS over two values.

import Glibc
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

extension StringCommands {
    package static func append(_ c: CommandContext) throws(Interruption) {
        let key = c.args[1]
        let more = c.args[2]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        guard let entry = was.entry else {
            c.keys.put(key, tag: StringTag.plain, expireAt: 0, value: more, was: was)
            c.notify(.append, key)
            c.keys.changed()
            return c.reply.integer(more.count)
        }
        guard StringTag.isString(entry.pointee.tag) else { return c.fail(ErrorText.wrongType) }
        guard c.canHold(entry.pointee.valueLength, more.count) else { return }
        let old = try c.keys.value(entry)
        let total = old.count + more.count
        let new = c.keys.allocate(total)
        memcpy(new, old.base, old.count)
        memcpy(new + old.count, more.base, more.count)
        c.keys.put(
            key, tag: StringTag.raw, expireAt: was.expireAt, value: ByteView(base: new, count: total), was: was)
        c.notify(.append, key)
        c.keys.changed()
        c.reply.integer(total)
    }

    /// GETRANGE, and SUBSTR, its older name.
    package static func getrange(_ c: CommandContext) throws(Interruption) {
        guard let start = c.integer(2), let end = c.integer(3) else { return }
        guard let entry = try c.keys.read(c.args[1]) else { return c.reply.bulk(.empty) }
        guard StringTag.isString(entry.pointee.tag) else { return c.fail(ErrorText.wrongType) }
        let range = StringValue.range(start: start, end: end, length: entry.pointee.valueLength)
        if range.isEmpty { return c.reply.bulk(.empty) }
        c.reply.bulk(try c.keys.value(entry)[range])
    }

    package static func setrange(_ c: CommandContext) throws(Interruption) {
        guard let offset = c.integer(2) else { return }
        if offset < 0 { return c.fail(ErrorText.offsetOutOfRange) }
        let key = c.args[1]
        let part = c.args[3]
        guard c.canStore(key) else { return }
        let was = try c.keys.look(key)
        if let entry = was.entry, !StringTag.isString(entry.pointee.tag) { return c.fail(ErrorText.wrongType) }
        let oldLength = was.entry?.pointee.valueLength ?? 0
        if part.isEmpty { return c.reply.integer(oldLength) }
        guard c.canHold(Int(offset), part.count) else { return }
        let old = if let entry = was.entry { try c.keys.value(entry) } else { ByteView.empty }
        let at = Int(offset)
        let total = max(oldLength, at + part.count)
        let new = c.keys.allocate(total)
        memcpy(new, old.base, old.count)
        if at > old.count { memset(new + old.count, 0, at - old.count) }
        memcpy(new + at, part.base, part.count)
        c.keys.put(
            key, tag: StringTag.raw, expireAt: was.entry == nil ? 0 : was.expireAt,
            value: ByteView(base: new, count: total), was: was)
        c.notify(.setrange, key)
        c.keys.changed()
        c.reply.integer(total)
    }

    // MARK: LCS

    /// Tables larger than this are filled by a worker.
    private static let lcsLoopBytesMax = 1 << 20

    package static func lcs(_ c: CommandContext) throws(Interruption) {
        guard let a = try lcsOperand(c, 1), let b = try lcsOperand(c, 2) else {
            return c.fail("ERR The specified keys must contain string values")
        }
        var wantsLength = false
        var wantsIndexes = false
        var withLengths = false
        var shortest: Int64 = 0
        let args = c.args
        var i = 3
        while i < args.count {
            if c.isWord(i, "idx") {
                wantsIndexes = true
            } else if c.isWord(i, "len") {
                wantsLength = true
            } else if c.isWord(i, "withmatchlen") {
                withLengths = true
            } else if c.isWord(i, "minmatchlen") && i + 1 < args.count {
                guard let value = c.integer(i + 1) else { return }
                shortest = max(0, value)
                i += 1
            } else {
                return c.failSyntax()
            }
            i += 1
        }
        if wantsIndexes && wantsLength {
            return c.fail("ERR If you want both the length and indexes, please just use IDX.")
        }
        guard let tableBytes = LongestCommonSubsequence.tableBytes(a.count, b.count) else {
            return c.fail("ERR String too long for LCS")
        }
        if tableBytes > c.stringBytesMax {
            return c.fail("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
        }
        if tableBytes > lcsLoopBytesMax && !c.keys.reader.mayBlock { throw .wouldBlock }
        guard let table = LongestCommonSubsequence(a, b) else {
            return c.fail("ERR Insufficient memory, failed allocating transient memory for LCS")
        }
        if wantsIndexes {
            replyWithMatches(c, table, shortest: Int(shortest), withLengths)
        } else if wantsLength {
            c.reply.integer(table.length)
        } else {
            let text = c.keys.allocate(table.length)
            table.walk(text: text) { _ in }
            c.reply.bulk(ByteView(base: text, count: table.length))
        }
    }

    /// Nil when the key holds something else than a string; a missing key is an empty string.
    private static func lcsOperand(_ c: CommandContext, _ index: Int) throws(Interruption) -> ByteView? {
        guard let entry = try c.keys.read(c.args[index]) else { return .empty }
        guard StringTag.isString(entry.pointee.tag) else { return nil }
        return try c.keys.value(entry)
    }

    private static func replyWithMatches(
        _ c: CommandContext, _ table: borrowing LongestCommonSubsequence, shortest: Int, _ withLengths: Bool
    ) {
        var matches: [LongestCommonSubsequence.Match] = []
        table.walk(text: nil) { if $0.length >= shortest { matches.append($0) } }
        let reply = c.reply
        reply.map(2)
        reply.bulk("matches" as StaticString)
        reply.array(matches.count)
        for match in matches {
            reply.array(withLengths ? 3 : 2)
            reply.array(2)
            reply.integer(match.aFirst)
            reply.integer(match.aLast)
            reply.array(2)
            reply.integer(match.bFirst)
            reply.integer(match.bLast)
            if withLengths { reply.integer(match.length) }
        }
        reply.bulk("len" as StaticString)
        reply.integer(table.length)
    }
}
