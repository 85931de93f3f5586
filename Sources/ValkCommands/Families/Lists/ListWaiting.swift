// BLPOP, BRPOP, BLMOVE, BRPOPLPUSH and BLMPOP: what their relatives without B do, once there is something.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum ListWaiting {
    package static func blpop(_ c: CommandContext) throws(Interruption) { try pop(c, .left) }

    package static func brpop(_ c: CommandContext) throws(Interruption) { try pop(c, .right) }

    private static func pop(_ c: CommandContext, _ end: ListEnd) throws(Interruption) {
        let args = c.args
        guard let timeout = c.timeout(args.count - 1) else { return }
        let keys = 1..<args.count - 1
        for i in c.keysAtHand(keys) {
            guard var list = try c.collectionToChange(args[i], .list) else { return }
            if list.count == 0 { continue }
            c.reply.array(2)
            c.reply.bulk(args[i])
            c.reply.bulk(try ListElements.value(c, list, end == .left ? 0 : list.count - 1))
            ListElements.drop(c, &list, end)
            return try c.save(&list, at: args[i], end == .left ? .lpop : .rpop)
        }
        c.waitForData(WaitRequest(keys: keys, type: .list, timeout: timeout))
    }

    /// BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout.
    package static func blmove(_ c: CommandContext) throws(Interruption) {
        guard let from = c.listEnd(3), let to = c.listEnd(4), let timeout = c.timeout(5) else { return }
        try move(c, from, to, timeout)
    }

    package static func brpoplpush(_ c: CommandContext) throws(Interruption) {
        guard let timeout = c.timeout(3) else { return }
        try move(c, .right, .left, timeout)
    }

    private static func move(
        _ c: CommandContext, _ from: ListEnd, _ to: ListEnd, _ timeout: Int64
    ) throws(Interruption) {
        if try ListMoveCommands.move(c, from, to) { return }
        if !c.canWait { return c.reply.null() }
        c.waitForData(WaitRequest(keys: 1..<2, type: .list, timeout: timeout, target: 2))
    }

    /// BLMPOP timeout numkeys key … LEFT | RIGHT [COUNT n].
    package static func blmpop(_ c: CommandContext) throws(Interruption) {
        guard let timeout = c.timeout(1), let request = ListPopRequest(c, from: 2) else { return }
        if try request.run(c) { return }
        c.waitForData(WaitRequest(keys: request.keys, type: .list, timeout: timeout))
    }
}
