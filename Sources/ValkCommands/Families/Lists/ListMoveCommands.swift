// Elements that go from list to list, and LMPOP, which takes them from the first list that has any.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum ListMoveCommands {
    /// LMOVE source destination LEFT | RIGHT LEFT | RIGHT.
    package static func lmove(_ c: CommandContext) throws(Interruption) {
        guard let from = c.listEnd(3), let to = c.listEnd(4) else { return }
        if try !move(c, from, to) { c.reply.null() }
    }

    package static func rpoplpush(_ c: CommandContext) throws(Interruption) {
        if try !move(c, .right, .left) { c.reply.null() }
    }

    /// Moves an element from the list at the first argument to the one at the second. True after a reply, also one of
    /// an error; false when there is no element.
    static func move(_ c: CommandContext, _ from: ListEnd, _ to: ListEnd) throws(Interruption) -> Bool {
        let source = c.args[1]
        let target = c.args[2]
        guard var list = try c.collectionToChange(source, .list) else { return true }
        if !list.isThere { return false }
        let pushed: KeyEvent = to == .left ? .lpush : .rpush
        let popped: KeyEvent = from == .left ? .lpop : .rpop
        let value = c.keys.copied(try ListElements.value(c, list, from == .left ? 0 : list.count - 1))
        if source == target {
            ListElements.drop(c, &list, from)
            try ListElements.push(c, &list, value, to)
            try c.save(&list, at: source, pushed)
            c.notify(popped, source)
        } else {
            guard var other = try c.collectionToChange(target, .list) else { return true }
            ListElements.drop(c, &list, from)
            try ListElements.push(c, &other, value, to)
            try c.save(&other, at: target, pushed)
            try c.save(&list, at: source, popped, changes: 0)
        }
        c.reply.bulk(value)
        return true
    }

    /// LMPOP numkeys key … LEFT | RIGHT [COUNT count].
    package static func lmpop(_ c: CommandContext) throws(Interruption) {
        guard let request = ListPopRequest(c, from: 1) else { return }
        if try !request.run(c) { c.reply.nullArray() }
    }
}

/// What LMPOP and BLMPOP ask for: `numkeys key … LEFT | RIGHT [COUNT n]`.
struct ListPopRequest {
    let keys: Range<Int>
    let end: ListEnd
    let count: Int

    /// From the argument `first` on; nil after an error reply.
    init?(_ c: CommandContext, from first: Int) {
        let args = c.args
        guard let number = Decimal.parse(args[first]), number > 0 else {
            c.fail("ERR numkeys should be greater than 0")
            return nil
        }
        let (place, overflow) = Int(number).addingReportingOverflow(first + 1)
        if overflow || place >= args.count {
            c.failSyntax()
            return nil
        }
        keys = first + 1..<place
        guard let end = c.listEnd(place) else { return nil }
        self.end = end
        var count: Int?
        var i = place + 1
        while i < args.count {
            guard count == nil, c.isWord(i, "count"), i + 1 < args.count else {
                c.failSyntax()
                return nil
            }
            guard let value = Decimal.parse(args[i + 1]), value > 0 else {
                c.fail("ERR count should be greater than 0")
                return nil
            }
            count = Int(value)
            i += 2
        }
        self.count = count ?? 1
    }

    /// Takes elements from the first list that has some. True after a reply, also one of an error.
    func run(_ c: CommandContext) throws(Interruption) -> Bool {
        for i in c.keysAtHand(keys) {
            let key = c.args[i]
            guard var list = try c.collectionToChange(key, .list) else { return true }
            if list.count == 0 { continue }
            c.reply.array(2)
            c.reply.bulk(key)
            try ListCommands.take(c, &list, key, count: count, end)
            return true
        }
        return false
    }
}
