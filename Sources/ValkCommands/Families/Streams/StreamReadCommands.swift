// XREAD and XREADGROUP: what came into several streams after given ids, waiting for it where that is asked for.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum StreamReadCommands {
    package static func xread(_ c: CommandContext) throws(Interruption) { try run(c, isGroup: false) }

    package static func xreadgroup(_ c: CommandContext) throws(Interruption) { try run(c, isGroup: true) }

    private struct Request {
        /// Negative: all.
        var count = -1
        /// Milliseconds; nil: it does not wait.
        var timeout: Int64?
        var keepsNothing = false
        /// The arguments that name the group and the consumer.
        var group: Int?
        var keys = 0..<0

        func isNew(_ c: CommandContext, _ key: Int) -> Bool { c.isExactly(key + keys.count, ">") }
    }

    private static func run(_ c: CommandContext, isGroup: Bool) throws(Interruption) {
        guard let request = parse(c, isGroup) else { return }
        guard let ids = try starts(c, request) else { return }
        let start = c.replyStart
        var answered = 0
        for key in c.keysAtHand(request.keys) {
            let isAnswered =
                if isGroup {
                    try readGroup(c, request, key, ids[key - request.keys.lowerBound])
                } else {
                    try read(c, request, key, ids[key - request.keys.lowerBound])
                }
            if isAnswered { answered += 1 }
        }
        if answered > 0 {
            return c.insertIntoReply(at: start) { header in
                if header.version >= 3 { header.map(answered) } else { header.array(answered) }
            }
        }
        guard let timeout = request.timeout else { return c.reply.nullArray() }
        // `$` is what is the last id now.
        for key in request.keys where c.isExactly(key + request.keys.count, "$") {
            let id = ids[key - request.keys.lowerBound]
            c.replaceWhileWaiting(key + request.keys.count, "\(id.milliseconds)-\(id.sequence)")
        }
        var wait = WaitRequest(keys: request.keys, type: .stream, timeout: timeout)
        wait.leavesData = !isGroup
        wait.wakesOnAnyChange = isGroup
        c.waitForData(wait)
    }

    // MARK: What is asked for

    private static func parse(_ c: CommandContext, _ isGroup: Bool) -> Request? {
        let args = c.args
        var request = Request()
        var i = 1
        while i < args.count {
            let more = args.count - i - 1
            if more >= 1 && c.isWord(i, "block") {
                i += 1
                guard let timeout = c.integer(i, "ERR timeout is not an integer or out of range") else { return nil }
                if timeout < 0 {
                    c.fail("ERR timeout is negative")
                    return nil
                }
                request.timeout = timeout
            } else if more >= 1 && c.isWord(i, "count") {
                i += 1
                guard let count = c.integer(i) else { return nil }
                request.count = count <= 0 ? -1 : Int(count)
            } else if more >= 1 && c.isWord(i, "streams") {
                if more % 2 != 0 {
                    // For both commands.
                    c.fail(
                        """
                        ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.
                        """)
                    return nil
                }
                request.keys = i + 1..<i + 1 + more / 2
                break
            } else if more >= 2 && c.isWord(i, "group") {
                guard isGroup else { return onlyForGroups(c, "GROUP") }
                request.group = i + 1
                i += 2
            } else if c.isWord(i, "noack") {
                guard isGroup else { return onlyForGroups(c, "NOACK") }
                request.keepsNothing = true
            } else {
                c.failSyntax()
                return nil
            }
            i += 1
        }
        if request.keys.isEmpty {
            c.failSyntax()
            return nil
        }
        if isGroup && request.group == nil {
            c.fail("ERR Missing GROUP option for XREADGROUP")
            return nil
        }
        if let group = request.group, !c.canBeElement(args[group + 1]) { return nil }
        if request.timeout != nil && c.runsForScript {
            c.fail("ERR \(args[0].string) command is not allowed with BLOCK option from scripts")
            return nil
        }
        return request
    }

    private static func onlyForGroups(_ c: CommandContext, _ option: String) -> Request? {
        c.fail("ERR The \(option) option is only supported by XREADGROUP. You called XREAD instead.")
        return nil
    }

    /// The ids behind which each stream is read; nil after an error reply. Streams that are not at hand have none.
    private static func starts(_ c: CommandContext, _ request: Request) throws(Interruption) -> [StreamID]? {
        var ids = [StreamID](repeating: .zero, count: request.keys.count)
        let isAgain = c.isServed
        for key in c.keysAtHand(request.keys) {
            let at = key + request.keys.count
            switch try c.keys.collection(c.args[key], .stream) {
            case .wrongType:
                if isAgain {
                    failGone(c)
                } else {
                    c.fail(ErrorText.wrongType)
                }
                return nil
            case .collection(let stream):
                if let group = request.group {
                    if isAgain && !stream.isThere {
                        failGone(c)
                        return nil
                    }
                    guard try OpenGroup(c, stream, c.args[group]) != nil else {
                        if isAgain {
                            c.fail("NOGROUP the consumer group this client was blocked on no longer exists")
                        } else {
                            c.failNoKeyOrGroup(c.args[group], c.args[key], " in XREADGROUP with GROUP option")
                        }
                        return nil
                    }
                }
                if c.isExactly(at, "$") {
                    if request.group != nil {
                        c.fail(
                            """
                            ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history \
                            of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID \
                            would just return an empty result set.
                            """)
                        return nil
                    }
                    ids[key - request.keys.lowerBound] = c.recalledID(at) ?? stream.lastID
                } else if c.isExactly(at, ">") {
                    if request.group == nil {
                        c.fail(
                            """
                            ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
                            <consumer> option.
                            """)
                        return nil
                    }
                } else {
                    guard let id = c.streamID(at) else { return nil }
                    ids[key - request.keys.lowerBound] = id
                }
            }
        }
        return ids
    }

    private static func failGone(_ c: CommandContext) { c.fail("UNBLOCKED the stream key no longer exists") }

    // MARK: Reading

    private static func head(_ c: CommandContext, _ key: Int) {
        if c.reply.version < 3 { c.reply.array(2) }
        c.reply.bulk(c.args[key])
    }

    /// False when there is nothing.
    private static func read(
        _ c: CommandContext, _ request: Request, _ key: Int, _ start: StreamID
    ) throws(Interruption) -> Bool {
        guard let stream = try c.collection(c.args[key], .stream), stream.count > 0, let first = start.next,
            let last = try StreamEntries.edge(c, stream, isFirst: false), last >= first
        else { return false }
        head(c, key)
        try StreamEntries.reply(c, stream, from: first, count: request.count)
        return true
    }

    private static func readGroup(
        _ c: CommandContext, _ request: Request, _ key: Int, _ start: StreamID
    ) throws(Interruption) -> Bool {
        guard let named = request.group, var stream = try c.collectionToChange(c.args[key], .stream),
            var group = try OpenGroup(c, stream, c.args[named])
        else { return false }
        let consumer = try group.consumerToUse(c, stream, c.args[named + 1], at: c.args[key])
        if !request.isNew(c, key) {
            head(c, key)
            try history(c, &stream, &group, consumer, after: start, count: request.count)
            try group.save(c, &stream)
            try c.saveStream(&stream, at: c.args[key])
            return true
        }
        let last = try StreamEntries.edge(c, stream, isFirst: false)
        guard let first = group.group.lastID.next, let last, last >= first else {
            try group.save(c, &stream)
            try c.saveStream(&stream, at: c.args[key], changes: 0)
            return false
        }
        head(c, key)
        let progress = try StreamProgress(c, stream)
        var ids: [StreamID] = []
        try StreamEntries.reply(c, stream, from: first, count: request.count) { ids.append($0) }
        for (i, id) in ids.enumerated() {
            try c.yieldAfter(i)
            progress.advance(&group.group, to: id)
            if request.keepsNothing { continue }
            let old = try group.pending(c, stream, id)
            try group.give(c, &stream, id, to: consumer, at: c.now, deliveries: 1, old: old)
        }
        try group.save(c, &stream)
        try c.saveStream(&stream, at: c.args[key])
        return true
    }

    /// What the consumer has got before and not acknowledged, and counts as given out once more.
    private static func history(
        _ c: CommandContext, _ stream: inout Collection, _ group: inout OpenGroup, _ consumer: UInt32,
        after start: StreamID, count limit: Int
    ) throws(Interruption) {
        var found: [(id: StreamID, entry: PendingEntry)] = []
        if let first = start.next {
            try group.forEachPending(c, stream, from: first, of: consumer) { id, entry throws(Interruption) in
                found.append((id, entry))
                return found.count != limit
            }
        }
        c.reply.array(found.count)
        for (id, entry) in found {
            if let fields = try StreamEntries.find(c, stream, id) {
                StreamEntries.reply(c, id, fields: fields)
                try group.give(
                    c, &stream, id, to: consumer, at: c.now, deliveries: entry.deliveries + 1, old: entry)
            } else {
                c.reply.array(2)
                c.reply(id)
                c.reply.nullArray()
            }
        }
    }
}
