// The elements of a list: each under its position, the positions one after another from the first one on, which the
// list keeps (`extra`). Pushing and popping touch one element. What goes in or out in the middle moves those between it
// and the nearer end by one position.
//
// Values that are read and written again are copied in between: what a transaction has written itself moves as it
// writes on. `count` and the first position are kept here.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

enum ListEnd {
    case left
    case right
}

enum ListElements {
    /// Of the first element of a new list, in the middle of all positions.
    private static var origin: UInt64 { 1 << 63 }

    private static func position(_ list: borrowing Collection, _ index: Int) -> UInt64 {
        list.extra[0] &+ UInt64(index)
    }

    // MARK: Reading

    /// The element at `index`, which is within the list; valid until the list is changed.
    static func value(
        _ c: CommandContext, _ list: borrowing Collection, _ index: Int
    ) throws(Interruption) -> ByteView {
        guard let found = try c.keys.find(list, c.keys.element.position(position(list, index))) else { throw .damaged }
        return found.value
    }

    /// A walk over the elements with these indexes, from the first on; from the last back with `isBackward`.
    static func walk(
        _ c: CommandContext, _ list: borrowing Collection, _ indexes: Range<Int>, isBackward: Bool = false
    ) throws(Interruption) -> ElementWalk {
        var walk = try ElementWalk(
            c.keys, list, from: c.keys.elementBound().position(position(list, indexes.lowerBound)),
            to: c.keys.elementBound().position(position(list, indexes.upperBound)))
        try isBackward ? walk.seekToLast() : walk.seekToFirst()
        return walk
    }

    /// Answers with the elements that have these indexes.
    static func reply(
        _ c: CommandContext, _ list: borrowing Collection, _ indexes: Range<Int>, isBackward: Bool = false
    ) throws(Interruption) {
        c.reply.array(indexes.count)
        if indexes.isEmpty { return }
        var walk = try walk(c, list, indexes, isBackward: isBackward)
        var left = indexes.count
        while walk.isValid && left > 0 {
            c.reply.bulk(try walk.value())
            try c.leavesLoopWhenLarge()
            left -= 1
            try isBackward ? walk.previous() : walk.next()
        }
        if left > 0 { throw .damaged }
    }

    /// The same of many elements, as a stream.
    static func stream(
        _ c: CommandContext, _ list: borrowing Collection, _ indexes: Range<Int>
    ) throws(Interruption) {
        c.reply.array(indexes.count)
        let elements = try ElementCursor(
            c.keys, list, from: c.keys.elementBound().position(position(list, indexes.lowerBound)),
            to: c.keys.elementBound().position(position(list, indexes.upperBound)))
        try c.stream(elements, .value, count: indexes.count)
    }

    // MARK: Ends

    static func push(
        _ c: CommandContext, _ list: inout Collection, _ value: ByteView, _ end: ListEnd
    ) throws(Interruption) {
        if list.count == 0 { list.extra[0] = origin }
        var index = list.count
        if end == .left {
            list.extra[0] &-= 1
            index = 0
        }
        try c.keys.put(&list, c.keys.element.position(position(list, index)), value, isNew: true)
        list.count += 1
    }

    /// Takes the outermost element away, of a list that has one.
    static func drop(_ c: CommandContext, _ list: inout Collection, _ end: ListEnd) {
        let index = end == .left ? 0 : list.count - 1
        c.keys.remove(&list, c.keys.element.position(position(list, index)))
        if end == .left { list.extra[0] &+= 1 }
        list.count -= 1
    }

    /// Takes `number` elements away from an end of a list that has more.
    static func drop(
        _ c: CommandContext, _ list: inout Collection, _ number: Int, _ end: ListEnd
    ) throws(Interruption) {
        for done in 0..<number {
            try c.yieldAfter(done)
            drop(c, &list, end)
        }
    }

    // MARK: Changes within

    static func replace(
        _ c: CommandContext, _ list: inout Collection, _ index: Int, by value: ByteView
    ) throws(Interruption) {
        try c.keys.put(&list, c.keys.element.position(position(list, index)), value, isNew: false)
    }

    /// Puts an element in front of the one at `index`, or at the end.
    static func insert(
        _ c: CommandContext, _ list: inout Collection, _ value: ByteView, at index: Int
    ) throws(Interruption) {
        if index == 0 { return try push(c, &list, value, .left) }
        if index == list.count { return try push(c, &list, value, .right) }
        var moved = 0
        if index <= list.count / 2 {
            try push(c, &list, c.keys.copied(try self.value(c, list, 0)), .left)
            for i in 1..<index {
                try move(c, &list, from: i + 1, to: i, &moved)
            }
        } else {
            try push(c, &list, c.keys.copied(try self.value(c, list, list.count - 1)), .right)
            for i in stride(from: list.count - 2, to: index, by: -1) {
                try move(c, &list, from: i - 1, to: i, &moved)
            }
        }
        try replace(c, &list, index, by: value)
    }

    private static func move(
        _ c: CommandContext, _ list: inout Collection, from source: Int, to target: Int, _ moved: inout Int
    ) throws(Interruption) {
        moved += 1
        try c.yieldAfter(moved)
        try replace(c, &list, target, by: c.keys.copied(try value(c, list, source)))
    }

    /// Takes the elements at `indexes` (ascending, not all that there are) out, and closes the gaps from the side where
    /// fewer have to move.
    static func remove(
        _ c: CommandContext, _ list: inout Collection, _ indexes: [Int]
    ) throws(Interruption) {
        guard let first = indexes.first, let last = indexes.last else { return }
        var moved = 0
        if list.count - first <= last + 1 {
            var next = 0
            var target = first
            for i in first..<list.count {
                if next < indexes.count && indexes[next] == i {
                    next += 1
                } else {
                    try move(c, &list, from: i, to: target, &moved)
                    target += 1
                }
            }
            try drop(c, &list, indexes.count, .right)
        } else {
            var next = indexes.count - 1
            var target = last
            for i in stride(from: last, through: 0, by: -1) {
                if next >= 0 && indexes[next] == i {
                    next -= 1
                } else {
                    try move(c, &list, from: i, to: target, &moved)
                    target -= 1
                }
            }
            try drop(c, &list, indexes.count, .left)
        }
    }
}

extension CommandContext {
    /// Deletes the list at `key` as a whole, without touching its elements, and tells of it.
    func removeList(_ key: ByteView, _ event: KeyEvent, changes: Int) throws(Interruption) {
        keys.remove(key, was: try keys.look(key))
        notify(event, key)
        notify(.del, key)
        keys.changed(changes)
    }

    /// LEFT or RIGHT; nil after an error reply.
    func listEnd(_ index: Int) -> ListEnd? {
        if isWord(index, "left") { return .left }
        if isWord(index, "right") { return .right }
        failSyntax()
        return nil
    }
}
