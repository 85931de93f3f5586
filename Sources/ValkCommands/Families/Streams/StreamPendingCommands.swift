// XPENDING, XCLAIM and XAUTOCLAIM: entries that were given out and are not acknowledged.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum StreamPendingCommands {
    /// XPENDING key group [[IDLE milliseconds] start end count [consumer]].
    package static func xpending(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        if args.count == 3 { return try summary(c) }
        if args.count < 6 || args.count > 9 { return c.failSyntax() }
        var first = 3
        var idle: Int64 = 0
        if c.isWord(3, "idle") {
            guard let value = c.integer(4) else { return }
            if args.count < 8 { return c.failSyntax() }
            idle = value
            first = 5
        }
        guard let count = c.integer(first + 2) else { return }
        guard let from = c.streamBound(first, isLower: true), let to = c.streamBound(first + 1, isLower: false) else {
            return
        }
        guard let (stream, found) = try open(c) else { return }
        var group = found
        var consumer: UInt32?
        if args.count > first + 3 {
            guard let number = try group.consumer(c, stream, args[first + 3]) else { return c.reply.array(0) }
            consumer = number
        }
        let start = c.replyStart
        var left = max(0, count)
        var written = 0
        if left > 0 {
            try group.forEachPending(c, stream, from: from, through: to, of: consumer) {
                id, entry throws(Interruption) in
                let age = entry.age(c.now)
                if idle > 0 && age < idle { return true }
                c.reply.array(4)
                c.reply(id)
                entry.name.withView { c.reply.bulk($0) }
                c.reply.integer(age)
                c.reply.integer(Int64(entry.deliveries))
                written += 1
                left -= 1
                return left > 0
            }
        }
        c.insertIntoReply(at: start) { $0.array(written) }
    }

    private static func summary(_ c: CommandContext) throws(Interruption) {
        guard let (stream, group) = try open(c) else { return }
        c.reply.array(4)
        c.reply.integer(Int64(group.group.pending))
        if group.group.pending == 0 {
            c.reply.null()
            c.reply.null()
            return c.reply.nullArray()
        }
        try edge(c, stream, group, isFirst: true)
        try edge(c, stream, group, isFirst: false)
        let start = c.replyStart
        var count = 0
        try c.forEachConsumer(stream, of: group.group) { name, consumer throws(Interruption) in
            if consumer.pending == 0 { return }
            c.reply.array(2)
            c.reply.bulk(name)
            c.reply.bulk(String(consumer.pending))
            count += 1
        }
        c.insertIntoReply(at: start) { $0.array(count) }
    }

    private static func edge(
        _ c: CommandContext, _ stream: borrowing Collection, _ group: OpenGroup, isFirst: Bool
    ) throws(Interruption) {
        let lower = c.keys.elementBound(32)
        let upper = c.keys.elementBound(32)
        let number = group.group.number
        var walk = try ElementWalk(
            c.keys, stream, from: lower.pending(number, .zero), to: upper.end(ElementKind.pending, number))
        try isFirst ? walk.seekToFirst() : walk.seekToLast()
        guard walk.isValid else { throw .damaged }
        c.reply(StreamID(walk.key, at: 5))
    }

    private static func open(_ c: CommandContext) throws(Interruption) -> (Collection, OpenGroup)? {
        guard let stream = try c.collection(c.args[1], .stream) else { return nil }
        guard let group = try OpenGroup(c, stream, c.args[2]) else {
            c.failNoKeyOrGroup(c.args[2], c.args[1])
            return nil
        }
        return (stream, group)
    }

    // MARK: Claiming

    /// XCLAIM key group consumer min-idle id … [IDLE ms] [TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID] [LASTID id].
    package static func xclaim(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        guard var group = try OpenGroup(c, stream, args[2]) else { return c.failNoKeyOrGroup(args[2], args[1]) }
        guard let idle = c.integer(4, "ERR Invalid min-idle-time argument for XCLAIM") else { return }
        guard c.canBeElement(args[3]) else { return }
        var ids: [StreamID] = []
        var i = 5
        while i < args.count, let id = c.isStreamID(i) {
            ids.append(id)
            i += 1
        }
        guard let options = ClaimOptions(c, from: i) else { return }
        if let last = options.lastID, last > group.group.lastID { group.group.lastID = last }
        let start = c.replyStart
        var claimed = 0
        var changes = 0
        for (n, id) in ids.enumerated() {
            try c.yieldAfter(n)
            let old = try group.pending(c, stream, id)
            guard try StreamEntries.find(c, stream, id) != nil else {
                if let old {
                    try group.forget(c, &stream, id, old)
                    changes += 1
                }
                continue
            }
            if old == nil && !options.isForced { continue }
            if let old, idle > 0, old.age(c.now) < idle { continue }
            let consumer = try group.consumerToUse(c, stream, args[3], at: args[1])
            let deliveries = options.deliveries ?? (old?.deliveries ?? 0) + (options.justID ? 0 : 1)
            try group.give(c, &stream, id, to: consumer, at: options.time, deliveries: deliveries, old: old)
            try answer(c, stream, id, options.justID)
            claimed += 1
        }
        try group.save(c, &stream)
        try c.saveStream(&stream, at: args[1], changes: claimed + changes)
        c.insertIntoReply(at: start) { $0.array(claimed) }
    }

    private static func answer(
        _ c: CommandContext, _ stream: borrowing Collection, _ id: StreamID, _ justID: Bool
    ) throws(Interruption) {
        if justID { return c.reply(id) }
        guard let fields = try StreamEntries.find(c, stream, id) else { throw .damaged }
        StreamEntries.reply(c, id, fields: fields)
    }

    private struct ClaimOptions {
        var isForced = false
        var justID = false
        var deliveries: UInt64?
        var lastID: StreamID?
        /// When the entries count as given out, in milliseconds since 1970.
        var time: UInt64

        init?(_ c: CommandContext, from first: Int) {
            let args = c.args
            time = c.now
            var i = first
            while i < args.count {
                let hasMore = i + 1 < args.count
                if c.isWord(i, "force") {
                    isForced = true
                } else if c.isWord(i, "justid") {
                    justID = true
                } else if hasMore && c.isWord(i, "idle") {
                    i += 1
                    guard let value = c.integer(i, "ERR Invalid IDLE option argument for XCLAIM") else { return nil }
                    setTime(c, Int64(c.now).subtractingReportingOverflow(value).partialValue)
                } else if hasMore && c.isWord(i, "time") {
                    i += 1
                    guard let value = c.integer(i, "ERR Invalid TIME option argument for XCLAIM") else { return nil }
                    setTime(c, value)
                } else if hasMore && c.isWord(i, "retrycount") {
                    i += 1
                    guard let value = c.integer(i, "ERR Invalid RETRYCOUNT option argument for XCLAIM") else {
                        return nil
                    }
                    deliveries = value < 0 ? nil : UInt64(value)
                } else if hasMore && c.isWord(i, "lastid") {
                    i += 1
                    guard let id = c.streamID(i) else { return nil }
                    lastID = id
                } else {
                    c.fail("ERR Unrecognized XCLAIM option '\(args[i].string)'")
                    return nil
                }
                i += 1
            }
        }

        private mutating func setTime(_ c: CommandContext, _ value: Int64) {
            time = value < 0 || UInt64(value) > c.now ? c.now : UInt64(value)
        }
    }

    /// XAUTOCLAIM key group consumer min-idle start [COUNT count] [JUSTID].
    package static func xautoclaim(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let idle = c.integer(4, "ERR Invalid min-idle-time argument for XAUTOCLAIM") else { return }
        guard let first = c.streamBound(5, isLower: true) else { return }
        var count = 100
        var justID = false
        var i = 6
        while i < args.count {
            if c.isWord(i, "count") && i + 1 < args.count {
                i += 1
                guard let value = Decimal.parse(args[i]), value > 0, value <= Int64.max / 16 else {
                    return c.fail("ERR COUNT must be > 0")
                }
                count = Int(value)
            } else if c.isWord(i, "justid") {
                justID = true
            } else {
                return c.failSyntax()
            }
            i += 1
        }
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        guard var group = try OpenGroup(c, stream, args[2]) else { return c.failNoKeyOrGroup(args[2], args[1]) }
        guard c.canBeElement(args[3]) else { return }
        // Redis looks at ten times as many entries as it may claim.
        var found: [(id: StreamID, entry: PendingEntry)] = []
        let (most, overflow) = count.multipliedReportingOverflow(by: 10)
        try group.forEachPending(c, stream, from: first) { id, entry throws(Interruption) in
            found.append((id, entry))
            return overflow || found.count <= most
        }
        c.reply.array(3)
        let start = c.replyStart
        var claimed = 0
        var deleted: [StreamID] = []
        var next = StreamID.zero
        for (n, (id, entry)) in found.enumerated() {
            if claimed + deleted.count == count || n == most {
                next = id
                break
            }
            guard try StreamEntries.find(c, stream, id) != nil else {
                try group.forget(c, &stream, id, entry)
                deleted.append(id)
                continue
            }
            if idle > 0 && entry.age(c.now) < idle { continue }
            let consumer = try group.consumerToUse(c, stream, args[3], at: args[1])
            try group.give(
                c, &stream, id, to: consumer, at: c.now, deliveries: entry.deliveries + (justID ? 0 : 1), old: entry)
            try answer(c, stream, id, justID)
            claimed += 1
        }
        try group.save(c, &stream)
        try c.saveStream(&stream, at: args[1], changes: claimed + deleted.count)
        c.insertIntoReply(at: start) { header in
            CommandContext.write(next, header)
            header.array(claimed)
        }
        c.reply.array(deleted.count)
        for id in deleted { c.reply(id) }
    }
}

extension PendingEntry {
    /// Milliseconds since it was given out.
    func age(_ now: UInt64) -> Int64 { now > deliveredAt ? Int64(now - deliveredAt) : 0 }
}
