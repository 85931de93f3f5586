// XINFO: what a stream is like, its groups, its consumers.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum StreamInfoCommands {
    /// XINFO STREAM key [FULL [COUNT count]].
    package static func stream(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let stream = try existing(c) else { return }
        if args.count == 3 { return try short(c, stream) }
        guard args.count == 4 || args.count == 6, c.isWord(3, "full"), args.count == 4 || c.isWord(4, "count") else {
            return c.fail(
                "ERR unknown subcommand or wrong number of arguments for '\(args[1].string)'. Try XINFO HELP.")
        }
        var count = 10
        if args.count == 6 {
            guard let value = c.integer(5) else { return }
            count = value < 0 ? 10 : Int(value)
        }
        try full(c, stream, count == 0 ? -1 : count)
    }

    /// Nil after an error reply.
    private static func existing(_ c: CommandContext) throws(Interruption) -> Collection? {
        guard let stream = try c.collection(c.args[2], .stream) else { return nil }
        if stream.isThere { return stream }
        c.fail(ErrorText.noSuchKey)
        return nil
    }

    private static func common(_ c: CommandContext, _ stream: borrowing Collection) throws(Interruption) {
        c.reply.bulk("length" as StaticString)
        c.reply.integer(stream.count)
        // Of Redis's tree, which is not here: as many nodes as it would have at least.
        let nodes = (stream.count + 99) / 100
        c.reply.bulk("radix-tree-keys" as StaticString)
        c.reply.integer(nodes)
        c.reply.bulk("radix-tree-nodes" as StaticString)
        c.reply.integer(nodes + 1)
        c.reply.bulk("last-generated-id" as StaticString)
        c.reply(stream.lastID)
        c.reply.bulk("max-deleted-entry-id" as StaticString)
        c.reply(stream.deletedID)
        c.reply.bulk("entries-added" as StaticString)
        c.reply.integer(stream.added)
        c.reply.bulk("recorded-first-entry-id" as StaticString)
        c.reply(try StreamEntries.edge(c, stream, isFirst: true) ?? .zero)
    }

    private static func short(_ c: CommandContext, _ stream: borrowing Collection) throws(Interruption) {
        c.reply.map(10)
        try common(c, stream)
        c.reply.bulk("groups" as StaticString)
        c.reply.integer(stream.groupCount)
        c.reply.bulk("first-entry" as StaticString)
        try entry(c, stream, isFirst: true)
        c.reply.bulk("last-entry" as StaticString)
        try entry(c, stream, isFirst: false)
    }

    private static func entry(
        _ c: CommandContext, _ stream: borrowing Collection, isFirst: Bool
    ) throws(Interruption) {
        guard let id = try StreamEntries.edge(c, stream, isFirst: isFirst) else { return c.reply.null() }
        guard let fields = try StreamEntries.find(c, stream, id) else { throw .damaged }
        StreamEntries.reply(c, id, fields: fields)
    }

    // MARK: FULL

    private static func full(
        _ c: CommandContext, _ stream: Collection, _ limit: Int
    ) throws(Interruption) {
        c.reply.map(9)
        try common(c, stream)
        c.reply.bulk("entries" as StaticString)
        try StreamEntries.reply(c, stream, from: .zero, count: limit)
        c.reply.bulk("groups" as StaticString)
        c.reply.array(stream.groupCount)
        if stream.groupCount == 0 { return }
        let progress = try StreamProgress(c, stream)
        var names: [[UInt8]] = []
        try c.forEachGroup(stream) { name, _ throws(Interruption) in names.append(name.array) }
        for name in names {
            try name.withViewTyped { name throws(Interruption) in
                guard let group = try OpenGroup(c, stream, name) else { throw .damaged }
                try describe(c, stream, group, progress, limit)
            }
        }
    }

    private static func describe(
        _ c: CommandContext, _ stream: Collection, _ group: OpenGroup, _ progress: StreamProgress,
        _ limit: Int
    ) throws(Interruption) {
        c.reply.map(7)
        c.reply.bulk("name" as StaticString)
        c.reply.bulk(group.name)
        c.reply.bulk("last-delivered-id" as StaticString)
        c.reply(group.group.lastID)
        advance(c, group.group, progress)
        c.reply.bulk("pel-count" as StaticString)
        c.reply.integer(Int64(group.group.pending))
        c.reply.bulk("pending" as StaticString)
        try pending(c, stream, group, nil, limit)
        c.reply.bulk("consumers" as StaticString)
        c.reply.array(Int(group.group.consumers))
        try c.forEachConsumer(stream, of: group.group) { name, consumer throws(Interruption) in
            c.reply.map(4)
            c.reply.bulk("name" as StaticString)
            c.reply.bulk(name)
            c.reply.bulk("seen-time" as StaticString)
            c.reply.integer(Int64(consumer.seenAt))
            c.reply.bulk("pel-count" as StaticString)
            c.reply.integer(Int64(consumer.pending))
            c.reply.bulk("pending" as StaticString)
            try pending(c, stream, group, consumer.number, limit)
        }
    }

    private static func pending(
        _ c: CommandContext, _ stream: borrowing Collection, _ group: OpenGroup, _ consumer: UInt32?, _ limit: Int
    ) throws(Interruption) {
        let start = c.replyStart
        var count = 0
        try group.forEachPending(c, stream, of: consumer) { id, entry throws(Interruption) in
            c.reply.array(consumer == nil ? 4 : 3)
            c.reply(id)
            if consumer == nil { entry.name.withView { c.reply.bulk($0) } }
            c.reply.integer(Int64(entry.deliveredAt))
            c.reply.integer(Int64(entry.deliveries))
            count += 1
            return count != limit
        }
        c.insertIntoReply(at: start) { $0.array(count) }
    }

    private static func advance(_ c: CommandContext, _ group: StreamGroup, _ progress: StreamProgress) {
        c.reply.bulk("entries-read" as StaticString)
        if group.entriesRead == -1 { c.reply.null() } else { c.reply.integer(group.entriesRead) }
        c.reply.bulk("lag" as StaticString)
        if let lag = progress.lag(group) { c.reply.integer(lag) } else { c.reply.null() }
    }

    // MARK: Groups and consumers

    package static func groups(_ c: CommandContext) throws(Interruption) {
        guard let stream = try existing(c) else { return }
        c.reply.array(stream.groupCount)
        if stream.groupCount == 0 { return }
        let progress = try StreamProgress(c, stream)
        try c.forEachGroup(stream) { name, group throws(Interruption) in
            c.reply.map(6)
            c.reply.bulk("name" as StaticString)
            c.reply.bulk(name)
            c.reply.bulk("consumers" as StaticString)
            c.reply.integer(Int64(group.consumers))
            c.reply.bulk("pending" as StaticString)
            c.reply.integer(Int64(group.pending))
            c.reply.bulk("last-delivered-id" as StaticString)
            c.reply(group.lastID)
            advance(c, group, progress)
        }
    }

    package static func consumers(_ c: CommandContext) throws(Interruption) {
        guard let stream = try existing(c) else { return }
        guard let group = try OpenGroup(c, stream, c.args[3]) else { return c.failNoGroup(c.args[3], c.args[2]) }
        c.reply.array(Int(group.group.consumers))
        try c.forEachConsumer(stream, of: group.group) { name, consumer throws(Interruption) in
            c.reply.map(3)
            c.reply.bulk("name" as StaticString)
            c.reply.bulk(name)
            c.reply.bulk("pending" as StaticString)
            c.reply.integer(Int64(consumer.pending))
            c.reply.bulk("idle" as StaticString)
            c.reply.integer(c.now > consumer.seenAt ? Int64(c.now - consumer.seenAt) : 0)
        }
    }

    package static func help(_ c: CommandContext) throws(Interruption) {
        c.replyWithHelp([
            "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CONSUMERS <key> <group>",
            "    The consumers of a group.",
            "GROUPS <key>",
            "    The groups of a stream.",
            "STREAM <key> [FULL [COUNT <count>]]",
            "    What a stream is like; with FULL also entries, groups and what is pending.",
            "HELP",
            "    This text.",
        ])
    }
}
