// SORT and SORT_RO: the elements of a list, a set or a sorted set in another order, answered or stored as a list.
// Replies, errors and their order are those of Redis 7.0.15.
//
// Elements are copied out of the collection, weighed, sorted, cut to LIMIT, and exchanged for what GET finds. Where
// weights are equal numbers the elements' bytes decide; where they are equal texts, the order is the one before.

import Glibc
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum SortCommands {
    package static func sort(_ c: CommandContext) throws(Interruption) { try run(c, mayStore: true) }

    package static func sortRO(_ c: CommandContext) throws(Interruption) { try run(c, mayStore: false) }

    private struct Item {
        let element: ByteView
        var number = 0.0
        /// What BY found, for an alphabetic order.
        var text: ByteView?
    }

    private static func run(_ c: CommandContext, mayStore: Bool) throws(Interruption) {
        let (parsed, failure) = SortOptions.parse(c.args, mayStore: mayStore, mayReadAny: c.mayReadEveryKey)
        var options = parsed
        switch failure {
        case .syntax: return c.failSyntax()
        case .limit: return c.fail(ErrorText.notInteger)
        case .foreign(.by): return c.fail("ERR BY option of SORT denied due to insufficient ACL permissions.")
        case .foreign(.get): return c.fail("ERR GET option of SORT denied due to insufficient ACL permissions.")
        case nil: break
        }
        let entry = try options.target == nil ? c.keys.read(c.args[1]) : c.keys.find(c.args[1])
        let type = entry.flatMap { ValueType(tag: $0.pointee.tag) } ?? .list
        if type != .list && type != .set && type != .sortedSet { return c.fail(ErrorText.wrongType) }
        // So that what is stored, or seen by a script, is the same wherever it runs.
        if options.keepsOrder && type == .set && (options.target != nil || c.runsForScript) {
            options.keepsOrder = false
            options.isAlphabetic = true
            options.by = nil
        }
        var items: [Item] = []
        var range = 0..<0
        if let entry {
            let collection = try c.keys.collection(entry, type)
            range = self.range(options, collection.count)
            try load(c, collection, options, &range, &items)
        }
        if !options.keepsOrder {
            guard try weigh(c, options, &items) else {
                return c.fail("ERR One or more scores can't be converted into double")
            }
            order(options, &items)
        }
        if let target = options.target {
            try store(c, c.args[target], options, items[range])
        } else {
            try answer(c, options, items[range])
        }
    }

    // MARK: What is sorted

    /// What LIMIT leaves of `count` elements.
    private static func range(_ options: SortOptions, _ count: Int) -> Range<Int> {
        let start = Int(min(max(options.offset, 0), Int64(count)))
        let number = options.count < 0 ? count : Int(min(options.count, Int64(count)))
        return start..<min(count, start + number)
    }

    /// Of lists and sorted sets that keep their order only what `range` says is loaded, and it becomes all of them.
    private static func load(
        _ c: CommandContext, _ collection: Collection, _ options: SortOptions, _ range: inout Range<Int>,
        _ items: inout [Item]
    ) throws(Interruption) {
        let count = collection.count
        let isPart = options.keepsOrder && collection.type != .set
        let isBackward = isPart && options.isDescending
        let wanted = isPart ? range : 0..<count
        items.reserveCapacity(wanted.count)
        if collection.type == .list {
            if wanted.isEmpty { return }
            let indexes = isBackward ? count - wanted.upperBound..<count - wanted.lowerBound : wanted
            var walk = try ListElements.walk(c, collection, indexes, isBackward: isBackward)
            while walk.isValid {
                items.append(Item(element: c.keys.copied(try walk.value())))
                try isBackward ? walk.previous() : walk.next()
            }
        } else {
            let isOrdered = collection.type == .sortedSet
            var walk = try ElementWalk(c.keys, collection, isOrdered ? ElementKind.score : ElementKind.member)
            try isBackward ? walk.seekToLast() : walk.seekToFirst()
            var at = 0
            while walk.isValid && at < wanted.upperBound {
                if at >= wanted.lowerBound {
                    items.append(Item(element: c.keys.copied(isOrdered ? walk.scored.member : walk.member)))
                }
                at += 1
                try isBackward ? walk.previous() : walk.next()
            }
        }
        if items.count != wanted.count { throw .damaged }
        if isPart { range = 0..<items.count }
    }

    // MARK: Order

    /// Finds what each element is sorted by; false when that should be a number and is none.
    private static func weigh(
        _ c: CommandContext, _ options: SortOptions, _ items: inout [Item]
    ) throws(Interruption) -> Bool {
        let pattern = options.by.map { SortPattern($0) }
        if options.isAlphabetic && pattern == nil { return true }
        var areNumbers = true
        for i in items.indices {
            try c.yieldAfter(i)
            var weight: ByteView? = items[i].element
            if let pattern { weight = try pattern.value(c, items[i].element) }
            guard let weight else { continue }
            if options.isAlphabetic {
                items[i].text = weight
            } else if let number = number(c, weight) {
                items[i].number = number
            } else {
                areNumbers = false
            }
        }
        return areNumbers
    }

    /// As C reads it: blanks in front, hexadecimal and infinities are allowed, and nothing is 0.
    private static func number(_ c: CommandContext, _ text: ByteView) -> Double? {
        if let whole = Decimal.parse(text) { return Double(whole) }
        let copy = c.keys.allocate(text.count + 1)
        copy.copyMemory(from: text.base, byteCount: text.count)
        copy.storeBytes(of: 0, toByteOffset: text.count, as: UInt8.self)
        let start = copy.assumingMemoryBound(to: CChar.self)
        var end: UnsafeMutablePointer<CChar>?
        errno = 0
        let number = strtod(start, &end)
        guard let end, end.pointee == 0, errno != ERANGE, !number.isNaN else { return nil }
        return number
    }

    private static func order(_ options: SortOptions, _ items: inout [Item]) {
        let hasWeights = options.by != nil
        let isAlphabetic = options.isAlphabetic
        let sign = options.isDescending ? -1 : 1
        // The standard library's sort is stable.
        items.sort { a, b in
            var order = 0
            if !isAlphabetic {
                order = a.number < b.number ? -1 : a.number > b.number ? 1 : a.element.compare(b.element)
            } else if !hasWeights {
                order = a.element.compare(b.element)
            } else if let first = a.text, let second = b.text {
                order = first.compare(second)
            } else {
                order = (a.text == nil ? 0 : 1) - (b.text == nil ? 0 : 1)
            }
            return order * sign < 0
        }
    }

    // MARK: Results

    /// Shows what becomes of the elements: they themselves, or what GET finds for each.
    private static func forEachResult(
        _ c: CommandContext, _ options: SortOptions, _ items: ArraySlice<Item>,
        _ body: (ByteView?) throws(Interruption) -> Void
    ) throws(Interruption) {
        let patterns = options.gets.map { SortPattern($0) }
        for (i, item) in items.enumerated() {
            if patterns.isEmpty { try body(item.element) }
            try c.yieldAfter(i)
            for pattern in patterns { try body(try pattern.value(c, item.element)) }
        }
    }

    private static func answer(
        _ c: CommandContext, _ options: SortOptions, _ items: ArraySlice<Item>
    ) throws(Interruption) {
        c.reply.array(items.count * max(1, options.gets.count))
        try forEachResult(c, options, items) { value throws(Interruption) in
            if let value { c.reply.bulk(value) } else { c.reply.null() }
        }
    }

    private static func store(
        _ c: CommandContext, _ target: ByteView, _ options: SortOptions, _ items: ArraySlice<Item>
    ) throws(Interruption) {
        guard c.canStore(target) else { return }
        // What GET finds may be what is about to be replaced.
        var results: [ByteView] = []
        try forEachResult(c, options, items) { value throws(Interruption) in results.append(value ?? .empty) }
        var list = try c.keys.freshCollection(target, .list)
        for result in results { try ListElements.push(c, &list, result, .right) }
        if !results.isEmpty {
            try c.save(&list, at: target, .sortstore, changes: results.count)
        } else if list.isThere {
            _ = try c.keys.save(&list, at: target)
            c.notify(.del, target)
            c.keys.changed()
        }
        c.reply.integer(results.count)
    }
}
