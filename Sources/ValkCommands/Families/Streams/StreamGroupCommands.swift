// XGROUP and XACK.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum StreamGroupCommands {
    /// XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries].
    package static func create(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let options = options(c, mayMake: true) else { return }
        guard var stream = try c.collectionToChange(args[2], .stream) else { return }
        if !stream.isThere && !options.makesStream { return failNoKey(c) }
        var last = stream.lastID
        if !c.isExactly(4, "$") {
            guard let id = c.streamID(4) else { return }
            last = id
        }
        guard c.canBeElement(args[3]) else { return }
        if try OpenGroup(c, stream, args[3]) != nil {
            return c.fail("BUSYGROUP Consumer Group name already exists")
        }
        let group = OpenGroup(&stream, args[3], last, options.entriesRead)
        try group.save(c, &stream, isNew: true)
        try c.saveStream(&stream, at: args[2])
        c.notify(.xgroupCreate, args[2])
        c.reply.ok()
    }

    /// XGROUP SETID key group id | $ [ENTRIESREAD entries].
    package static func setid(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let options = options(c, mayMake: false) else { return }
        guard let (opened, found) = try open(c) else { return }
        var stream = opened
        var group = found
        var last = stream.lastID
        if !c.isExactly(4, "$") {
            // Unlike CREATE it takes `-` and `+`.
            guard let id = c.isExactly(4, "-") ? .zero : c.isExactly(4, "+") ? .max : c.streamID(4) else { return }
            last = id
        }
        group.group.lastID = last
        group.group.entriesRead = options.entriesRead
        try group.save(c, &stream)
        try c.saveStream(&stream, at: args[2])
        c.notify(.xgroupSetid, args[2])
        c.reply.ok()
    }

    package static func destroy(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var stream = try c.collectionToChange(args[2], .stream) else { return }
        if !stream.isThere { return failNoKey(c) }
        guard let group = try OpenGroup(c, stream, args[3]) else { return c.reply.integer(0) }
        try group.destroy(c, &stream)
        try c.saveStream(&stream, at: args[2])
        c.notify(.xgroupDestroy, args[2])
        c.reply.integer(1)
    }

    package static func createconsumer(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let (opened, found) = try open(c) else { return }
        var stream = opened
        var group = found
        guard c.canBeElement(args[4]) else { return }
        if try group.consumer(c, stream, args[4]) != nil { return c.reply.integer(0) }
        _ = group.makeConsumer(c, args[4])
        try group.save(c, &stream)
        try c.saveStream(&stream, at: args[2])
        c.notify(.xgroupCreateconsumer, args[2])
        c.reply.integer(1)
    }

    package static func delconsumer(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let (opened, found) = try open(c) else { return }
        var stream = opened
        var group = found
        guard let consumer = try group.consumer(c, stream, args[4]) else { return c.reply.integer(0) }
        let count = try group.removeConsumer(c, &stream, consumer)
        try group.save(c, &stream)
        try c.saveStream(&stream, at: args[2])
        c.notify(.xgroupDelconsumer, args[2])
        c.reply.integer(count)
    }

    /// The stream and the group that subcommands name; nil after an error reply.
    private static func open(_ c: CommandContext) throws(Interruption) -> (Collection, OpenGroup)? {
        let args = c.args
        guard let stream = try c.collectionToChange(args[2], .stream) else { return nil }
        if !stream.isThere {
            failNoKey(c)
            return nil
        }
        guard let group = try OpenGroup(c, stream, args[3]) else {
            c.failNoGroup(args[3], args[2])
            return nil
        }
        return (stream, group)
    }

    private static func failNoKey(_ c: CommandContext) {
        c.fail(
            """
            ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
            option to create an empty stream automatically.
            """)
    }

    private static func options(
        _ c: CommandContext, mayMake: Bool
    ) -> (makesStream: Bool, entriesRead: Int64)? {
        let args = c.args
        var makesStream = false
        var entriesRead: Int64 = -1
        var i = 5
        while i < args.count {
            if mayMake && c.isWord(i, "mkstream") {
                makesStream = true
            } else if c.isWord(i, "entriesread") && i + 1 < args.count {
                guard let value = c.integer(i + 1) else { return nil }
                if value < -1 {
                    c.fail("ERR value for ENTRIESREAD must be positive or -1")
                    return nil
                }
                entriesRead = value
                i += 1
            } else {
                c.fail(
                    "ERR unknown subcommand or wrong number of arguments for '\(args[1].string)'. Try XGROUP HELP.")
                return nil
            }
            i += 1
        }
        return (makesStream, entriesRead)
    }

    package static func help(_ c: CommandContext) throws(Interruption) {
        c.replyWithHelp([
            "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <entries>]",
            "    Makes a group that reads what comes after <id>, or after the last entry ($).",
            "CREATECONSUMER <key> <group> <consumer>",
            "    Makes a consumer of a group.",
            "DELCONSUMER <key> <group> <consumer>",
            "    Deletes a consumer and what is pending of it.",
            "DESTROY <key> <group>",
            "    Deletes a group with its consumers.",
            "SETID <key> <group> <id|$> [ENTRIESREAD <entries>]",
            "    Sets which entry the group got last.",
            "HELP",
            "    This text.",
        ])
    }

    /// XACK key group id …
    package static func xack(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var stream = try c.collectionToChange(args[1], .stream) else { return }
        guard stream.isThere, var group = try OpenGroup(c, stream, args[2]) else { return c.reply.integer(0) }
        for i in 3..<args.count {
            guard c.streamID(i) != nil else { return }
        }
        var count = 0
        for i in 3..<args.count {
            guard let id = c.isStreamID(i), let old = try group.pending(c, stream, id) else { continue }
            try group.forget(c, &stream, id, old)
            count += 1
        }
        if count > 0 {
            try group.save(c, &stream)
            try c.saveStream(&stream, at: args[1], changes: count)
        }
        c.reply.integer(count)
    }
}
