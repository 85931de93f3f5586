// Hashes: fields with values. Numbers, the expiry of fields, random fields and scans are in the files beside this one.
//
// A field whose own time has passed is absent for all commands; it counts in HLEN until it is removed, as in Redis.
// Replies, errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum HashCommands {
    // MARK: Writing

    package static func hset(_ c: CommandContext) throws(Interruption) { try set(c, "hset") { c.reply.integer($0) } }

    package static func hmset(_ c: CommandContext) throws(Interruption) { try set(c, "hmset") { _ in c.reply.ok() } }

    private static func set(
        _ c: CommandContext, _ name: String, _ reply: (Int) -> Void
    ) throws(Interruption) {
        let args = c.args
        if args.count % 2 == 1 { return c.failArity(name) }
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        var i = 2
        while i < args.count {
            guard c.canBeElement(args[i]) else { return }
            i += 2
        }
        let before = Header(hash)
        var added = 0
        i = 2
        while i < args.count {
            if try put(c, &hash, args[i], args[i + 1]) { added += 1 }
            i += 2
        }
        try save(c, &hash, .hset, isSame: before == Header(hash), changes: (args.count - 2) / 2)
        reply(added)
    }

    package static func hsetnx(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        guard c.canBeElement(args[2]) else { return }
        if try find(c, hash, args[2]) != nil { return c.reply.integer(0) }
        _ = try put(c, &hash, args[2], args[3])
        try c.save(&hash, at: args[1], .hset)
        c.reply.integer(1)
    }

    /// What a hash's entry says beside the elements that may lie in it.
    struct Header: Equatable {
        private let count: Int
        private let tag: UInt8
        private let time: UInt64

        init(_ hash: borrowing Collection) {
            count = hash.count
            tag = hash.tag
            time = hash.extra[0]
        }
    }

    /// Sets a field and its expiry; `count` is kept. Returns whether the field is new: an expired one is not there.
    static func put(
        _ c: CommandContext, _ hash: inout Collection, _ field: ByteView, _ value: ByteView, expireAt: UInt64 = 0
    ) throws(Interruption) -> Bool {
        let key = c.keys.element.member(field)
        let old = try c.keys.find(hash, key)
        let wasExpired = old.map { $0.expireAt != 0 && $0.expireAt <= c.now } ?? false
        let isNew = old == nil
        try c.keys.putField(&hash, key, field, value, expireAt: expireAt, old: old)
        if isNew { hash.count += 1 }
        grow(c, &hash, field, value)
        return isNew || wasExpired
    }

    /// Notes when Redis would give up its compact form.
    private static func grow(_ c: CommandContext, _ hash: inout Collection, _ field: ByteView, _ value: ByteView) {
        if hash.tag & CollectionTag.large != 0 { return }
        let limits = c.encodings
        if hash.count > limits.hashEntries || field.count > limits.hashValueBytes
            || value.count > limits.hashValueBytes
        {
            hash.tag |= CollectionTag.large
        }
    }

    /// Saves after fields were set; `isSame`: neither their number nor anything else that the entry says has changed.
    static func save(
        _ c: CommandContext, _ hash: inout Collection, _ event: @autoclosure () -> KeyEvent, isSame: Bool, changes: Int
    ) throws(Interruption) {
        if isSame {
            try c.saveElements(&hash, at: c.args[1], event(), changes: changes)
        } else {
            try c.save(&hash, at: c.args[1], event(), changes: changes)
        }
    }

    package static func hdel(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var hash = try c.collectionToChange(args[1], .hash) else { return }
        var removed = 0
        for i in 2..<args.count where try take(c, &hash, args[i]) { removed += 1 }
        if removed > 0 { try c.save(&hash, at: args[1], .hdel, changes: removed) }
        c.reply.integer(removed)
    }

    /// Takes a live field out; false when it is not there. `count` is kept.
    static func take(
        _ c: CommandContext, _ hash: inout Collection, _ field: ByteView
    ) throws(Interruption) -> Bool {
        guard let old = try element(c, hash, field) else { return false }
        c.keys.removeField(&hash, field, old: old)
        hash.count -= 1
        return true
    }

    // MARK: Reading

    /// The live value of a field; valid until the hash is changed.
    static func find(
        _ c: CommandContext, _ hash: borrowing Collection, _ field: ByteView
    ) throws(Interruption) -> ByteView? {
        try element(c, hash, field)?.value
    }

    /// The same with its expiry.
    static func element(
        _ c: CommandContext, _ hash: borrowing Collection, _ field: ByteView
    ) throws(Interruption) -> Element? {
        if hash.count == 0 || !c.keys.fitsElement(field) { return nil }
        guard let element = try c.keys.find(hash, c.keys.element.member(field)) else { return nil }
        if element.expireAt != 0 && element.expireAt <= c.now {
            c.keys.noteDueField(c.args[1])
            return nil
        }
        return element
    }

    package static func hget(_ c: CommandContext) throws(Interruption) {
        guard let hash = try c.collection(c.args[1], .hash) else { return }
        if let value = try find(c, hash, c.args[2]) { c.reply.bulk(value) } else { c.reply.null() }
    }

    package static func hmget(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let hash = try c.collection(args[1], .hash) else { return }
        c.reply.array(args.count - 2)
        for i in 2..<args.count {
            if let value = try find(c, hash, args[i]) { c.reply.bulk(value) } else { c.reply.null() }
        }
    }

    package static func hexists(_ c: CommandContext) throws(Interruption) {
        guard let hash = try c.collection(c.args[1], .hash) else { return }
        c.reply.integer(try find(c, hash, c.args[2]) == nil ? 0 : 1)
    }

    package static func hstrlen(_ c: CommandContext) throws(Interruption) {
        guard let hash = try c.collection(c.args[1], .hash) else { return }
        c.reply.integer(try find(c, hash, c.args[2])?.count ?? 0)
    }

    package static func hlen(_ c: CommandContext) throws(Interruption) {
        guard let hash = try c.collection(c.args[1], .hash) else { return }
        c.reply.integer(hash.count)
    }

    // MARK: All fields

    package static func hgetall(_ c: CommandContext) throws(Interruption) {
        try answer(c, .memberAndValue) { $0.map($1) }
    }

    package static func hkeys(_ c: CommandContext) throws(Interruption) { try answer(c, .member) { $0.array($1) } }

    package static func hvals(_ c: CommandContext) throws(Interruption) { try answer(c, .value) { $0.array($1) } }

    /// Answers with all live fields behind a header that says how many they are.
    private static func answer(
        _ c: CommandContext, _ form: ReplyStream.Form, _ header: (ReplyWriter, Int) -> Void
    ) throws(Interruption) {
        guard let hash = try c.collection(c.args[1], .hash) else { return }
        if try c.streams(hash, hash.count) {
            let count = try liveCount(c, hash)
            header(c.reply, count)
            if count > 0 { try c.stream(ElementCursor(c.keys, hash, ElementKind.member), form, count: count) }
            return
        }
        let start = c.replyStart
        let count = try forEach(c, hash) { walk throws(Interruption) in
            if form != .value { c.reply.bulk(walk.member) }
            if form != .member { c.reply.bulk(try walk.value()) }
            try c.leavesLoopWhenLarge()
        }
        c.insertIntoReply(at: start) { header($0, count) }
    }

    /// Fields whose time has not passed.
    private static func liveCount(_ c: CommandContext, _ hash: borrowing Collection) throws(Interruption) -> Int {
        let earliest = hash.extra[0]
        if earliest == 0 || earliest > c.keys.state.pointee.now { return hash.count }
        return try forEach(c, hash) { _ throws(Interruption) in }
    }

    /// Shows each live field; returns how many.
    static func forEach(
        _ c: CommandContext, _ hash: borrowing Collection,
        _ body: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) -> Int {
        if hash.count == 0 { return 0 }
        var walk = try ElementWalk(c.keys, hash, ElementKind.member)
        var count = 0
        try walk.seekToFirst()
        while walk.isValid {
            if !walk.isExpired {
                try body(walk)
                count += 1
            }
            try walk.next()
        }
        return count
    }

    package static func hscan(_ c: CommandContext) throws(Interruption) {
        try MemberScanCommands.scan(c, .hash, isWhole: { $0.tag & CollectionTag.large == 0 }) {
            walk throws(Interruption) in
            c.reply.bulk(walk.member)
            c.reply.bulk(try walk.value())
            return 2
        }
    }
}
