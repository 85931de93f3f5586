// The entries of a stream: written, walked over, shown.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum StreamEntries {
    /// Fields and values from the argument `first` on, as they are stored; valid until the transaction ends.
    static func value(_ c: CommandContext, from first: Int) -> ByteView {
        let args = c.args
        var size = 0
        for i in first..<args.count { size += Varint.size(UInt64(args[i].count)) + args[i].count }
        let memory = c.keys.allocate(size)
        var at = memory
        for i in first..<args.count {
            at += Varint.write(UInt64(args[i].count), to: at)
            at.copyMemory(from: args[i].base, byteCount: args[i].count)
            at += args[i].count
        }
        return ByteView(base: memory, count: size)
    }

    /// Answers with fields and values as they are stored.
    static func reply(_ c: CommandContext, fields value: ByteView) { write(fields: value, to: c.reply) }

    private static func write(fields value: ByteView, to reply: ReplyWriter) {
        var count = 0
        StreamFields.forEach(value) { _ in count += 1 }
        reply.array(count)
        StreamFields.forEach(value) { reply.bulk($0) }
    }

    static func reply(_ c: CommandContext, _ id: StreamID, fields value: ByteView) {
        write(id, fields: value, to: c.reply)
    }

    static func write(_ id: StreamID, fields value: ByteView, to reply: ReplyWriter) {
        reply.array(2)
        CommandContext.write(id, reply)
        write(fields: value, to: reply)
    }

    /// The stored fields of an entry; nil when it is not there.
    static func find(
        _ c: CommandContext, _ stream: borrowing Collection, _ id: StreamID
    ) throws(Interruption) -> ByteView? {
        if stream.count == 0 { return nil }
        return try c.keys.find(stream, c.keys.element.entry(id))?.value
    }

    /// A walk over the entries from `first` through `last`, not yet at any.
    static func walk(
        _ c: CommandContext, _ stream: borrowing Collection, from first: StreamID = .zero, through last: StreamID = .max
    ) throws(Interruption) -> ElementWalk {
        let (lower, upper) = bounds(c, stream, first, last)
        return try ElementWalk(c.keys, stream, from: lower, to: upper)
    }

    private static func bounds(
        _ c: CommandContext, _ stream: borrowing Collection, _ first: StreamID, _ last: StreamID
    ) -> (lower: ElementKey, upper: ElementKey) {
        let lower = c.keys.elementBound(32)
        let upper = c.keys.elementBound(32)
        return (
            lower.entry(max(first, stream.firstBound)),
            last.next.map { upper.entry($0) } ?? upper.bound(ElementKind.entry + 1)
        )
    }

    /// As `reply`, as a stream.
    static func stream(
        _ c: CommandContext, _ stream: borrowing Collection, from first: StreamID, through last: StreamID,
        count limit: Int, isReverse: Bool
    ) throws(Interruption) {
        var count = 0
        if first <= last {
            let bound = stream.firstBound
            let end = stream.lastID
            if first <= bound && last >= end {
                count = limit < 0 ? stream.count : min(limit, stream.count)
            } else {
                var walk = try walk(c, stream, from: first, through: last)
                try isReverse ? walk.seekToLast() : walk.seekToFirst()
                while walk.isValid && count != limit {
                    count += 1
                    try isReverse ? walk.previous() : walk.next()
                }
            }
        }
        c.reply.array(count)
        if count == 0 { return }
        let (lower, upper) = bounds(c, stream, first, last)
        let elements = try ElementCursor(c.keys, stream, from: lower, to: upper, isBackward: isReverse)
        try c.stream(elements, .entry, count: count)
    }

    static func id(_ walk: borrowing ElementWalk) -> StreamID { StreamID(walk.key, at: 1) }

    /// The id of the first or the last entry; nil without any.
    static func edge(
        _ c: CommandContext, _ stream: borrowing Collection, isFirst: Bool
    ) throws(Interruption) -> StreamID? {
        if stream.count == 0 { return nil }
        var walk = try walk(c, stream)
        try isFirst ? walk.seekToFirst() : walk.seekToLast()
        return walk.isValid ? id(walk) : nil
    }

    /// Answers with the entries from `first` through `last`, at most `count` of them (negative: all), and calls `body`
    /// with each id.
    static func reply(
        _ c: CommandContext, _ stream: borrowing Collection, from first: StreamID, through last: StreamID = .max,
        count limit: Int, isReverse: Bool = false, _ body: (StreamID) -> Void = { _ in }
    ) throws(Interruption) {
        let start = c.replyStart
        var count = 0
        if stream.count > 0 && first <= last {
            var walk = try walk(c, stream, from: first, through: last)
            try isReverse ? walk.seekToLast() : walk.seekToFirst()
            while walk.isValid && count != limit {
                let id = id(walk)
                reply(c, id, fields: try walk.value())
                try c.leavesLoopWhenLarge()
                body(id)
                count += 1
                if count == limit { break }
                try isReverse ? walk.previous() : walk.next()
            }
        }
        c.insertIntoReply(at: start) { $0.array(count) }
    }
}
