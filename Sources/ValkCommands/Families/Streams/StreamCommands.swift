// Streams: adding, trimming, deleting and reading entries. XREAD is in StreamReadCommands, groups in the files beside
// that one. Replies, errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum StreamCommands {
    /// XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value …
    package static func xadd(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var trim = StreamTrim()
        var makesStream = true
        var given: (id: StreamID, hasSequence: Bool)?
        var i = 2
        while i < args.count {
            if c.isExactly(i, "*") { break }
            guard let isRead = trim.read(c, &i) else { return }
            if !isRead {
                if c.isWord(i, "nomkstream") {
                    makesStream = false
                } else {
                    guard let id = c.newStreamID(i) else { return }
                    given = id
                    break
                }
            }
            i += 1
        }
        guard trim.isSound(c, mustTrim: false) else { return }
        let first = i + 1
        if args.count - first < 2 || (args.count - first) % 2 == 1 { return c.failArity("xadd") }
        if let given, given.hasSequence, given.id == .zero {
            return c.fail("ERR The ID specified in XADD must be greater than 0-0")
        }
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        if !stream.isThere && !makesStream { return c.reply.null() }
        if stream.lastID == .max {
            return c.fail("ERR The stream has exhausted the last possible ID, unable to add more items")
        }
        guard let id = nextID(after: stream.lastID, given, c.now), id > stream.lastID else {
            return c.fail("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        }
        try c.keys.put(&stream, c.keys.element.entry(id), StreamEntries.value(c, from: first), isNew: true)
        if stream.count == 0 { stream.firstBound = id }
        stream.count += 1
        stream.added += 1
        stream.lastID = id
        let trimmed = try trim.run(c, &stream)
        try c.saveStream(&stream, at: args[1])
        c.notify(.xadd, args[1])
        if trimmed > 0 { c.notify(.xtrim, args[1]) }
        c.reply(id)
    }

    /// Nil where there is none left.
    private static func nextID(
        after last: StreamID, _ given: (id: StreamID, hasSequence: Bool)?, _ now: UInt64
    ) -> StreamID? {
        guard let given else { return now > last.milliseconds ? StreamID(now, 0) : last.next }
        if given.hasSequence { return given.id }
        if given.id.milliseconds != last.milliseconds { return given.id }
        return last.sequence < .max ? StreamID(last.milliseconds, last.sequence + 1) : nil
    }

    /// XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count].
    package static func xtrim(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var trim = StreamTrim()
        var i = 2
        while i < args.count {
            guard let isRead = trim.read(c, &i) else { return }
            if !isRead { return c.failSyntax() }
            i += 1
        }
        guard trim.isSound(c, mustTrim: true) else { return }
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        if !stream.isThere { return c.reply.integer(0) }
        let trimmed = try trim.run(c, &stream)
        if trimmed > 0 {
            try c.saveStream(&stream, at: args[1], changes: trimmed)
            c.notify(.xtrim, args[1])
        }
        c.reply.integer(trimmed)
    }

    package static func xdel(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        if !stream.isThere { return c.reply.integer(0) }
        for i in 2..<args.count {
            guard c.streamID(i) != nil else { return }
        }
        var deleted = 0
        var least = StreamID.max
        for i in 2..<args.count {
            guard let id = c.isStreamID(i), stream.count > 0, try c.keys.has(stream, c.keys.element.entry(id)) else {
                continue
            }
            c.keys.remove(&stream, c.keys.element.entry(id))
            stream.count -= 1
            if id > stream.deletedID { stream.deletedID = id }
            least = min(least, id)
            deleted += 1
        }
        if deleted > 0 && least <= stream.firstBound,
            let first = try StreamEntries.edge(c, stream, isFirst: true)
        {
            stream.firstBound = first
        }
        if deleted > 0 {
            try c.saveStream(&stream, at: args[1], changes: deleted)
            c.notify(.xdel, args[1])
        }
        c.reply.integer(deleted)
    }

    package static func xlen(_ c: CommandContext) throws(Interruption) {
        guard let stream = try c.collection(c.args[1], .stream) else { return }
        c.reply.integer(stream.count)
    }

    package static func xrange(_ c: CommandContext) throws(Interruption) { try range(c, isReverse: false) }

    package static func xrevrange(_ c: CommandContext) throws(Interruption) { try range(c, isReverse: true) }

    private static func range(_ c: CommandContext, isReverse: Bool) throws(Interruption) {
        let args = c.args
        guard let first = c.streamBound(isReverse ? 3 : 2, isLower: true),
            let last = c.streamBound(isReverse ? 2 : 3, isLower: false)
        else { return }
        var count = -1
        var i = 4
        while i < args.count {
            guard c.isWord(i, "count"), i + 1 < args.count else { return c.failSyntax() }
            guard let value = c.integer(i + 1) else { return }
            count = Int(max(0, value))
            i += 2
        }
        guard let stream = try c.collection(args[1], .stream) else { return }
        if !stream.isThere { return c.reply.array(0) }
        if count == 0 { return c.reply.nullArray() }
        if c.mayStream, try c.streams(stream, count < 0 ? stream.count : min(count, stream.count)) {
            return try StreamEntries.stream(c, stream, from: first, through: last, count: count, isReverse: isReverse)
        }
        try StreamEntries.reply(c, stream, from: first, through: last, count: count, isReverse: isReverse)
    }

    /// XSETID key last-id [ENTRIESADDED entries] [MAXDELETEDID id].
    package static func xsetid(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let id = c.streamID(2) else { return }
        var added: Int64?
        var deleted = StreamID.zero
        var i = 3
        while i < args.count {
            guard i + 1 < args.count else { return c.failSyntax() }
            if c.isWord(i, "entriesadded") {
                guard let value = c.integer(i + 1) else { return }
                if value < 0 { return c.fail("ERR entries_added must be positive") }
                added = value
            } else if c.isWord(i, "maxdeletedid") {
                guard let value = c.streamID(i + 1) else { return }
                if id < value {
                    return c.fail("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
                }
                deleted = value
            } else {
                return c.failSyntax()
            }
            i += 2
        }
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        if !stream.isThere { return c.fail(ErrorText.noSuchKey) }
        if let top = try StreamEntries.edge(c, stream, isFirst: false) {
            if id < top { return c.fail("ERR The ID specified in XSETID is smaller than the target stream top item") }
            if let added, added < Int64(stream.count) {
                return c.fail("ERR The entries_added specified in XSETID is smaller than the target stream length")
            }
        }
        stream.lastID = id
        if let added { stream.added = added }
        if deleted != .zero { stream.deletedID = deleted }
        try c.saveStream(&stream, at: args[1])
        c.notify(.xsetid, args[1])
        c.reply.ok()
    }
}
