// Keys whatever they hold: DEL, EXISTS, TYPE, RENAME, COPY, MOVE …, and whole databases: DBSIZE, FLUSHALL, SWAPDB …

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum GenericCommands {
    // MARK: Some keys

    /// DEL, and UNLINK, which promises nothing else here: space is given back in the background either way.
    package static func del(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var count = 0
        for i in 1..<args.count {
            let was = try c.keys.look(args[i])
            if was.entry == nil { continue }
            c.keys.remove(args[i], was: was)
            c.notify(.del, args[i])
            count += 1
        }
        c.keys.changed(count)
        c.reply.integer(count)
    }

    package static func exists(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var count = 0
        for i in 1..<args.count where try c.keys.readUntouched(args[i]) != nil { count += 1 }
        c.reply.integer(count)
    }

    /// As EXISTS, and a use of each key, whatever the client has said of other commands.
    package static func touch(_ c: CommandContext) throws(Interruption) {
        c.keys.state.pointee.leavesUses = false
        let args = c.args
        var count = 0
        for i in 1..<args.count where try c.keys.read(args[i]) != nil { count += 1 }
        c.reply.integer(count)
    }

    package static func type(_ c: CommandContext) throws(Interruption) {
        guard let entry = try c.keys.readUntouched(c.args[1]) else { return c.reply.simple("none") }
        c.reply.simple(ValueType(tag: entry.pointee.tag)?.name ?? "unknown")
    }

    // MARK: One key elsewhere

    package static func rename(_ c: CommandContext) throws(Interruption) { try rename(c, onlyNew: false) }

    package static func renamenx(_ c: CommandContext) throws(Interruption) { try rename(c, onlyNew: true) }

    private static func rename(_ c: CommandContext, onlyNew: Bool) throws(Interruption) {
        let source = c.args[1]
        let target = c.args[2]
        guard let from = try Moved(c, source, in: c.keys.state.pointee.namespace) else {
            return c.fail(ErrorText.noSuchKey)
        }
        if source == target {
            if onlyNew { c.reply.integer(0) } else { c.reply.ok() }
            return
        }
        guard c.canStore(target) else { return }
        let was = try c.keys.look(target)
        if onlyNew && was.entry != nil { return c.reply.integer(0) }
        c.keys.removeMoved(source, in: c.keys.state.pointee.namespace, was: from.was)
        c.keys.adopt(from.value, tag: from.tag, as: target, in: c.keys.state.pointee.namespace)
        c.keys.put(target, tag: from.tag, expireAt: from.was.expireAt, value: from.value, was: was)
        c.keys.indexFieldTimes(of: from.value, tag: from.tag, as: target, in: c.keys.state.pointee.namespace)
        // Who replaces a key, deletes it first.
        if was.entry != nil { c.notify(.new, target) }
        c.notify(.renameFrom, source)
        c.notify(.renameTo, target)
        c.keys.changed()
        if onlyNew { c.reply.integer(1) } else { c.reply.ok() }
    }

    package static func copy(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var database = c.database
        var replace = false
        var i = 3
        while i < args.count {
            if c.isWord(i, "replace") {
                replace = true
            } else if c.isWord(i, "db") && i + 1 < args.count {
                guard let number = c.smallInteger(i + 1) else { return }
                guard c.isDatabase(number) else { return c.fail(ErrorText.databaseOutOfRange) }
                database = number
                i += 1
            } else {
                return c.failSyntax()
            }
            i += 1
        }
        let source = args[1]
        let target = args[2]
        if database == c.database && source == target { return c.fail(ErrorText.sameObject) }
        guard let from = try Moved(c, source, in: c.keys.state.pointee.namespace) else {
            c.notify(.keymiss, source)
            return c.reply.integer(0)
        }
        guard c.canStore(target) else { return }
        let namespace = c.keys.namespace(database)
        let was = try c.keys.look(target, in: namespace)
        if was.entry != nil && !replace { return c.reply.integer(0) }
        let value = try from.copy(c, to: namespace, as: target)
        c.keys.put(target, in: namespace, tag: from.tag, expireAt: from.was.expireAt, value: value, was: was)
        c.keys.indexFieldTimes(of: value, tag: from.tag, as: target, in: namespace)
        if was.entry != nil { c.notify(.new, target, in: database) }
        c.notify(.copyTo, target, in: database)
        c.keys.changed()
        c.reply.integer(1)
    }

    package static func move(_ c: CommandContext) throws(Interruption) {
        guard let database = c.smallInteger(2) else { return }
        guard c.isDatabase(database) else { return c.fail(ErrorText.databaseOutOfRange) }
        if database == c.database { return c.fail(ErrorText.sameObject) }
        let key = c.args[1]
        guard let from = try Moved(c, key, in: c.keys.state.pointee.namespace) else { return c.reply.integer(0) }
        let namespace = c.keys.namespace(database)
        let was = try c.keys.look(key, in: namespace)
        if was.entry != nil { return c.reply.integer(0) }
        let value = try from.copy(c, to: namespace, as: key)
        c.keys.remove(key, was: from.was)
        c.keys.put(key, in: namespace, tag: from.tag, expireAt: from.was.expireAt, value: value, was: was)
        c.keys.indexFieldTimes(of: value, tag: from.tag, as: key, in: namespace)
        c.notify(.moveFrom, key)
        c.notify(.moveTo, key, in: database)
        c.keys.changed()
        c.reply.integer(1)
    }

    /// A key that is written again elsewhere.
    private struct Moved {
        let was: KeyState
        let namespace: UInt32
        let tag: UInt8
        let value: ByteView

        /// Nil when there is no such key.
        init?(_ c: CommandContext, _ key: ByteView, in namespace: UInt32) throws(Interruption) {
            let state = try c.keys.look(key, in: namespace)
            guard let entry = state.entry else { return nil }
            was = state
            self.namespace = namespace
            tag = entry.pointee.tag
            value = c.keys.stable(try c.keys.value(entry))
        }

        /// The value for a copy, its elements written for it.
        func copy(_ c: CommandContext, to other: UInt32, as user: ByteView) throws(Interruption) -> ByteView {
            if ValueType(tag: tag) == .string { return value }
            return try c.keys.copyElements(value, tag: tag, from: namespace, to: other, as: user)
        }
    }

    // MARK: Whole databases

    package static func dbsize(_ c: CommandContext) throws(Interruption) {
        c.reply.integer(try c.keys.keyCount())
    }

    package static func flushdb(_ c: CommandContext) throws(Interruption) {
        guard acceptsFlushWords(c) else { return }
        c.keys.changed(c.keys.flush(c.database..<c.database + 1))
        c.reply.ok()
    }

    package static func flushall(_ c: CommandContext) throws(Interruption) {
        guard acceptsFlushWords(c) else { return }
        c.keys.changed(c.keys.flush(0..<c.keys.keyspace.databaseCount))
        c.keys.changed()
        c.reply.ok()
    }

    /// ASYNC and SYNC are the same here: one range deletion, whose space is given back in the background.
    private static func acceptsFlushWords(_ c: CommandContext) -> Bool {
        if c.args.count == 1 || c.args.count == 2 && (c.isWord(1, "sync") || c.isWord(1, "async")) { return true }
        c.failSyntax()
        return false
    }

    package static func swapdb(_ c: CommandContext) throws(Interruption) {
        guard let first = c.smallInteger(1, "ERR invalid first DB index"),
            let second = c.smallInteger(2, "ERR invalid second DB index")
        else { return }
        guard c.isDatabase(first), c.isDatabase(second) else { return c.fail(ErrorText.databaseOutOfRange) }
        if first != second { c.keys.swap(first, second) }
        c.keys.changed()
        c.reply.ok()
    }
}

extension CommandContext {
    @inline(__always)
    func isDatabase(_ number: Int) -> Bool { number >= 0 && number < keys.keyspace.databaseCount }
}
