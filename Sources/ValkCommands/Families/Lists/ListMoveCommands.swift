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
    private let pop: CountedPop<ListEnd>

    var keys: Range<Int> { pop.keys }

    /// From the argument `first` on; nil after an error reply.
    init?(_ c: CommandContext, from first: Int) {
        guard let pop = CountedPop(c, from: first, { c.listEnd($0) }) else { return nil }
        self.pop = pop
    }

    /// Takes elements from the first list that has some. True after a reply, also one of an error.
    func run(_ c: CommandContext) throws(Interruption) -> Bool {
        for i in c.keysAtHand(keys) {
            let key = c.args[i]
            guard var list = try c.collectionToChange(key, .list) else { return true }
            if list.count == 0 { continue }
            c.reply.array(2)
            c.reply.bulk(key)
            try ListCommands.take(c, &list, key, count: pop.count, pop.end)
            return true
        }
        return false
    }
}
