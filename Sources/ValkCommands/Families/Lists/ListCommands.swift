// Lists: pushing, popping, reading and changing by position. Moves between lists are in ListMoveCommands.
//
// Replies, errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum ListCommands {
    // MARK: Pushing

    package static func lpush(_ c: CommandContext) throws(Interruption) { try push(c, .left, onlyOld: false) }

    package static func rpush(_ c: CommandContext) throws(Interruption) { try push(c, .right, onlyOld: false) }

    package static func lpushx(_ c: CommandContext) throws(Interruption) { try push(c, .left, onlyOld: true) }

    package static func rpushx(_ c: CommandContext) throws(Interruption) { try push(c, .right, onlyOld: true) }

    private static func push(_ c: CommandContext, _ end: ListEnd, onlyOld: Bool) throws(Interruption) {
        let args = c.args
        guard var list = try c.collectionToChange(args[1], .list) else { return }
        if onlyOld && !list.isThere { return c.reply.integer(0) }
        for i in 2..<args.count { try ListElements.push(c, &list, args[i], end) }
        try c.save(&list, at: args[1], end == .left ? .lpush : .rpush, changes: args.count - 2)
        c.reply.integer(list.count)
    }

    // MARK: Popping

    package static func lpop(_ c: CommandContext) throws(Interruption) { try pop(c, .left) }

    package static func rpop(_ c: CommandContext) throws(Interruption) { try pop(c, .right) }

    private static func pop(_ c: CommandContext, _ end: ListEnd) throws(Interruption) {
        let args = c.args
        if args.count > 3 { return c.failArity(end == .left ? "lpop" : "rpop") }
        var count: Int?
        if args.count == 3 {
            guard let value = Decimal.parse(args[2]), value >= 0 else { return c.fail(ErrorText.notPositive) }
            count = Int(value)
        }
        guard var list = try c.collectionToChange(args[1], .list) else { return }
        if !list.isThere {
            if count == nil { c.reply.null() } else { c.reply.nullArray() }
            return
        }
        guard let count else {
            c.reply.bulk(try ListElements.value(c, list, end == .left ? 0 : list.count - 1))
            ListElements.drop(c, &list, end)
            return try c.save(&list, at: args[1], end == .left ? .lpop : .rpop)
        }
        if count == 0 { return c.reply.array(0) }
        try take(c, &list, args[1], count: count, end)
    }

    /// Answers with up to `count` elements from an end of the list at `key`, which has some, and takes them out.
    static func take(
        _ c: CommandContext, _ list: inout Collection, _ key: ByteView, count: Int, _ end: ListEnd
    ) throws(Interruption) {
        let number = min(count, list.count)
        let indexes = end == .left ? 0..<number : list.count - number..<list.count
        try ListElements.reply(c, list, indexes, isBackward: end == .right)
        let event: KeyEvent = end == .left ? .lpop : .rpop
        if number == list.count { return try c.removeList(key, event, changes: number) }
        try ListElements.drop(c, &list, number, end)
        try c.save(&list, at: key, event, changes: number)
    }

    // MARK: Reading

    package static func llen(_ c: CommandContext) throws(Interruption) {
        guard let list = try c.collection(c.args[1], .list) else { return }
        c.reply.integer(list.count)
    }

    package static func lindex(_ c: CommandContext) throws(Interruption) {
        guard let list = try c.collection(c.args[1], .list) else { return }
        if !list.isThere { return c.reply.null() }
        guard let given = c.integer(2) else { return }
        guard let index = index(given, of: list.count) else { return c.reply.null() }
        c.reply.bulk(try ListElements.value(c, list, index))
    }

    /// An index as commands take it, negative from the end; nil when it is outside.
    private static func index(_ given: Int64, of count: Int) -> Int? {
        let index = given < 0 ? given + Int64(count) : given
        return index >= 0 && index < Int64(count) ? Int(index) : nil
    }

    /// The indexes from `start` through `end`, as far as there are any.
    private static func range(_ start: Int64, _ end: Int64, of count: Int) -> Range<Int> {
        let count = Int64(count)
        let first = max(0, start < 0 ? start + count : start)
        let last = min(count - 1, end < 0 ? end + count : end)
        return first > last ? 0..<0 : Int(first)..<Int(last) + 1
    }

    package static func lrange(_ c: CommandContext) throws(Interruption) {
        guard let start = c.integer(2), let end = c.integer(3) else { return }
        guard let list = try c.collection(c.args[1], .list) else { return }
        let indexes = range(start, end, of: list.count)
        if try c.streams(list, indexes.count) { return try ListElements.stream(c, list, indexes) }
        try ListElements.reply(c, list, indexes)
    }

    /// LPOS key element [RANK rank] [COUNT count] [MAXLEN length].
    package static func lpos(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        var rank: Int64 = 1
        var count: Int?
        var limit = Int.max
        var i = 3
        while i < args.count {
            guard i + 1 < args.count else { return c.failSyntax() }
            if c.isWord(i, "rank") {
                guard let value = c.integer(i + 1) else { return }
                if value == 0 {
                    return c.fail(
                        """
                        ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                        or use negative to start from the end of the list
                        """)
                }
                rank = value
            } else if c.isWord(i, "count") {
                guard let value = Decimal.parse(args[i + 1]), value >= 0 else {
                    return c.fail("ERR COUNT can't be negative")
                }
                count = Int(value)
            } else if c.isWord(i, "maxlen") {
                guard let value = Decimal.parse(args[i + 1]), value >= 0 else {
                    return c.fail("ERR MAXLEN can't be negative")
                }
                if value > 0 { limit = Int(value) }
            } else {
                return c.failSyntax()
            }
            i += 2
        }
        guard let list = try c.collection(args[1], .list) else { return }
        let start = c.replyStart
        var found = 0
        let isBackward = rank < 0
        // As Redis does it: the lowest rank of all counts as -1.
        var toSkip = rank == Int64.min ? 0 : rank.magnitude - 1
        let wanted = count == 0 ? Int.max : count ?? 1
        if list.isThere {
            var walk = try ListElements.walk(c, list, 0..<list.count, isBackward: isBackward)
            var looked = 0
            while walk.isValid && looked < limit && found < wanted {
                if try walk.value() == args[2] {
                    if toSkip == 0 {
                        c.reply.integer(isBackward ? list.count - 1 - looked : looked)
                        found += 1
                    } else {
                        toSkip -= 1
                    }
                }
                looked += 1
                try isBackward ? walk.previous() : walk.next()
            }
        }
        if count != nil {
            c.insertIntoReply(at: start) { $0.array(found) }
        } else if found == 0 {
            c.reply.null()
        }
    }

    // MARK: Changing by position

    package static func lset(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard var list = try c.collectionToChange(args[1], .list) else { return }
        if !list.isThere { return c.fail("ERR no such key") }
        guard let given = c.integer(2) else { return }
        guard let index = index(given, of: list.count) else { return c.fail("ERR index out of range") }
        try ListElements.replace(c, &list, index, by: args[3])
        try c.saveElements(&list, at: args[1], .lset)
        c.reply.ok()
    }

    /// LINSERT key BEFORE | AFTER pivot element.
    package static func linsert(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        let isAfter = c.isWord(2, "after")
        if !isAfter && !c.isWord(2, "before") { return c.failSyntax() }
        guard var list = try c.collectionToChange(args[1], .list) else { return }
        if !list.isThere { return c.reply.integer(0) }
        guard let pivot = try find(c, list, args[3]) else { return c.reply.integer(-1) }
        try ListElements.insert(c, &list, args[4], at: isAfter ? pivot + 1 : pivot)
        try c.save(&list, at: args[1], .linsert)
        c.reply.integer(list.count)
    }

    /// The index of the first element that equals `value`.
    private static func find(
        _ c: CommandContext, _ list: borrowing Collection, _ value: ByteView
    ) throws(Interruption) -> Int? {
        var walk = try ListElements.walk(c, list, 0..<list.count)
        var index = 0
        while walk.isValid {
            if try walk.value() == value { return index }
            index += 1
            try walk.next()
        }
        return nil
    }

    package static func ltrim(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let start = c.integer(2), let end = c.integer(3) else { return }
        guard var list = try c.collectionToChange(args[1], .list) else { return }
        if !list.isThere { return c.reply.ok() }
        let kept = range(start, end, of: list.count)
        let removed = list.count - kept.count
        if kept.isEmpty {
            try c.removeList(args[1], .ltrim, changes: removed)
            return c.reply.ok()
        }
        try ListElements.drop(c, &list, list.count - kept.upperBound, .right)
        try ListElements.drop(c, &list, kept.lowerBound, .left)
        try c.save(&list, at: args[1], .ltrim, changes: removed)
        c.reply.ok()
    }

    /// LREM key count element: from the end with a negative count, all with 0.
    package static func lrem(_ c: CommandContext) throws(Interruption) {
        let args = c.args
        guard let given = c.integer(2) else { return }
        guard var list = try c.collectionToChange(args[1], .list) else { return }
        if !list.isThere { return c.reply.integer(0) }
        var indexes: [Int] = []
        do {
            let isBackward = given < 0
            let wanted = given == 0 ? UInt64.max : given.magnitude
            var walk = try ListElements.walk(c, list, 0..<list.count, isBackward: isBackward)
            var looked = 0
            while walk.isValid && UInt64(indexes.count) < wanted {
                if try walk.value() == args[3] { indexes.append(isBackward ? list.count - 1 - looked : looked) }
                looked += 1
                try isBackward ? walk.previous() : walk.next()
            }
            if isBackward { indexes.reverse() }
        }
        if indexes.isEmpty { return c.reply.integer(0) }
        if indexes.count == list.count {
            try c.removeList(args[1], .lrem, changes: indexes.count)
        } else {
            try ListElements.remove(c, &list, indexes)
            try c.save(&list, at: args[1], .lrem, changes: indexes.count)
        }
        c.reply.integer(indexes.count)
    }
}
