// Walking the keys: KEYS, SCAN, RANDOMKEY, and VRANGE, the ordered range that Redis does not have.
//
// KEYS and SCAN answer in key order, which nobody may rely on; VRANGE promises it. Walks that get long on a loop are
// given up there and run by a worker.

import Glibc
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum ScanCommands {
    // MARK: KEYS, RANDOMKEY

    package static func keys(_ c: CommandContext) throws(Interruption) {
        let pattern = GlobPattern(c.args[1])
        let isAll = pattern.matchesAll
        let walk = try KeyRange.cursor(c.keys, pattern, &c.scan)
        let start = c.replyStart
        let namespace = c.keys.state.pointee.namespace
        var count = 0
        var looked = 0
        try walk.seekToFirst()
        while walk.isValid {
            looked += 1
            try c.yieldAfter(looked)
            let key = KeyEncoding.userKey(walk.key)
            if c.keys.isExpired(walk.entry) {
                c.keys.note(namespace, key)
            } else if isAll || pattern.matches(key) {
                c.reply.bulk(key)
                count += 1
            }
            try walk.next()
        }
        c.insertIntoReply(at: start) { $0.array(count) }
    }

    package static func randomkey(_ c: CommandContext) throws(Interruption) {
        var key = ByteBuffer()
        if try RandomKey.draw(c.keys, &c.generator, into: &key) {
            c.reply.bulk(key.view)
        } else {
            c.reply.null()
        }
    }

    // MARK: SCAN

    package static func scan(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let cursor = parseCursor(args[1]) else { return c.fail(ErrorText.invalidCursor) }
        var scan = KeyScan(cursor: cursor)
        var i = 2
        while i < args.count {
            guard i + 1 < args.count else { return c.failSyntax() }
            if c.isWord(i, "count") {
                guard let count = c.integer(i + 1) else { return }
                if count < 1 { return c.failSyntax() }
                scan.count = Int(count)
            } else if c.isWord(i, "match") {
                let pattern = GlobPattern(args[i + 1])
                scan.pattern = pattern.matchesAll ? nil : pattern
            } else if c.isWord(i, "type") {
                scan.type = .some(type(named: args[i + 1]))
            } else {
                return c.failSyntax()
            }
            i += 2
        }
        let start = c.replyStart
        let reply = c.reply
        var count = 0
        let next = try scan.run(c.keys, &c.scan) { key in
            reply.bulk(key)
            count += 1
        }
        c.insertIntoReply(at: start) { header in
            header.array(2)
            withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { scratch in
                guard let base = scratch.baseAddress else { return }
                header.bulk(ByteView(base: base, count: Decimal.write(next, to: base)))
            }
            header.array(count)
        }
    }

    private static func type(named name: ByteView) -> ValueType? {
        ValueType.allCases.first { name.equalsIgnoringCase($0.name) }
    }

    /// As C's strtoul reads it: a sign is allowed (and wraps), nothing at all is 0; more than 64 bits is an error.
    static func parseCursor(_ text: ByteView) -> UInt64? {
        var digits = text
        var isNegative = false
        if digits.count > 0, digits[0] == UInt8(ascii: "-") || digits[0] == UInt8(ascii: "+") {
            isNegative = digits[0] == UInt8(ascii: "-")
            digits = digits.dropFirst(1)
        }
        if digits.isEmpty { return text.isEmpty ? 0 : nil }
        while digits.count > 1 && digits[0] == UInt8(ascii: "0") { digits = digits.dropFirst(1) }
        guard let value = Decimal.parseUnsigned(digits) else { return nil }
        return isNegative ? 0 &- value : value
    }

    // MARK: VRANGE

    /// Entries of a call without LIMIT.
    package static let rangeLimitDefault = 1000
    /// A reply that has reached this size ends, whatever LIMIT says.
    package static let rangeReplyBytesMax = 64 << 20

    /// VRANGE start end [LIMIT n] [REV] [WITHVALUES]: the keys between two bounds in byte order.
    ///
    /// A bound is `-` or `+` (before all keys, after all), `[key` (inclusive) or `(key` (exclusive). With REV the first
    /// bound is the upper one and the order descends. WITHVALUES adds each string's value (null for other types), in
    /// RESP3 as pairs. To go on, call again with `(last-key` as the first bound, until the reply is empty.
    package static func vrange(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var limit = rangeLimitDefault
        var isReverse = false
        var withValues = false
        var i = 3
        while i < args.count {
            if c.isWord(i, "limit") && i + 1 < args.count {
                guard let value = c.integer(i + 1) else { return }
                if value < 0 { return c.fail(ErrorText.notPositive) }
                limit = Int(value)
                i += 1
            } else if c.isWord(i, "rev") {
                isReverse = true
            } else if c.isWord(i, "withvalues") {
                withValues = true
            } else {
                return c.failSyntax()
            }
            i += 1
        }
        guard let first = RangeBound(args[1]), let second = RangeBound(args[2]) else {
            return c.fail("ERR min or max not valid string range item")
        }
        let lower = isReverse ? second : first
        let upper = isReverse ? first : second
        let start = c.replyStart
        var count = 0
        if case .end = lower {
        } else if case .beginning = upper {
        } else {
            count = try walk(c, lower, upper, limit, isReverse: isReverse, withValues: withValues)
        }
        let isPairs = withValues && c.reply.version >= 3
        c.insertIntoReply(at: start) { $0.array(withValues && !isPairs ? count * 2 : count) }
    }

    private static func walk(
        _ c: CommandContext, _ lower: RangeBound, _ upper: RangeBound, _ limit: Int, isReverse: Bool, withValues: Bool
    ) throws(Interruption) -> Int {
        var low = ByteBuffer()
        var high = ByteBuffer()
        if case .key(let key, let isInclusive) = lower {
            low.append(key)
            if !isInclusive { low.append(UInt8(0)) }
        }
        var hasHigh = false
        if case .key(let key, let isInclusive) = upper {
            high.append(key)
            if isInclusive { high.append(UInt8(0)) }
            hasHigh = true
        }
        let cursor = try c.keys.cursor(from: low.view, to: hasHigh ? high.view : nil)
        let namespace = c.keys.state.pointee.namespace
        let start = c.replyStart
        var count = 0
        var looked = 0
        if limit > 0 { try isReverse ? cursor.seekToLast() : cursor.seekToFirst() }
        while count < limit && cursor.isValid && c.replyStart - start < rangeReplyBytesMax {
            looked += 1
            try c.yieldAfter(looked)
            let key = KeyEncoding.userKey(cursor.key)
            if c.keys.isExpired(cursor.entry) {
                c.keys.note(namespace, key)
            } else {
                if withValues && c.reply.version >= 3 { c.reply.array(2) }
                c.reply.bulk(key)
                if withValues {
                    if StringTag.isString(cursor.entry.pointee.tag) {
                        c.reply.bulk(try cursor.value())
                    } else {
                        c.reply.null()
                    }
                }
                count += 1
            }
            try isReverse ? cursor.previous() : cursor.next()
        }
        return count
    }
}

/// An end of a range of keys, as ZRANGEBYLEX writes it.
enum RangeBound {
    case beginning
    case end
    case key(ByteView, isInclusive: Bool)

    init?(_ text: ByteView) {
        guard text.count > 0 else { return nil }
        switch text[0] {
        case UInt8(ascii: "-") where text.count == 1: self = .beginning
        case UInt8(ascii: "+") where text.count == 1: self = .end
        case UInt8(ascii: "["): self = .key(text.dropFirst(1), isInclusive: true)
        case UInt8(ascii: "("): self = .key(text.dropFirst(1), isInclusive: false)
        default: return nil
        }
    }
}

extension CommandContext {
    /// Where the next reply byte goes.
    @inline(__always)
    var replyStart: Int { reply.out.pointee.count }

    /// Gives up on a loop when a walk has looked at many keys: a worker starts it again.
    @inline(__always)
    func yieldAfter(_ looked: Int) throws(Interruption) {
        if looked > KeyScan.loopKeysMax && !keys.reader.mayBlock { throw .wouldBlock }
    }

    /// Puts what `write` writes in front of everything written since `start`: headers whose numbers come last.
    func insertIntoReply(at start: Int, _ write: (ReplyWriter) -> Void) {
        let out = reply.out
        let end = out.pointee.count
        write(reply)
        let length = out.pointee.count - end
        if end == start || length == 0 { return }
        // Rotates the last `length` bytes to the front.
        withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { scratch in
            guard let copy = scratch.baseAddress else { return }
            let base = out.pointee.reserve(0) - out.pointee.count
            memcpy(copy, base + end, length)
            memmove(base + start + length, base + start, end - start)
            memcpy(base + start, copy, length)
        }
    }
}
