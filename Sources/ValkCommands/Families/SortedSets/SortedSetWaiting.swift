// BZPOPMIN, BZPOPMAX and BZMPOP: pops that wait until there is something.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

package enum SortedSetWaiting {
    package static func bzpopmin(_ c: CommandContext) throws(Interruption) { try pop(c, isMax: false) }

    package static func bzpopmax(_ c: CommandContext) throws(Interruption) { try pop(c, isMax: true) }

    private static func pop(_ c: CommandContext, isMax: Bool) throws(Interruption) {
        let args = c.args
        guard let timeout = c.timeout(args.count - 1) else { return }
        let keys = 1..<args.count - 1
        for i in c.keysAtHand(keys) {
            guard var set = try c.collectionToChange(args[i], .sortedSet) else { return }
            if set.count == 0 { continue }
            let popped = try SortedSetCommands.take(c, &set, args[i], count: 1, isMax: isMax)
            c.reply.array(3)
            c.reply.bulk(args[i])
            try popped.forEach { member, score throws(Interruption) in
                c.reply.bulk(member)
                c.reply.double(score)
            }
            return
        }
        c.waitForData(WaitRequest(keys: keys, type: .sortedSet, timeout: timeout))
    }

    /// BZMPOP timeout numkeys key … MIN | MAX [COUNT n].
    package static func bzmpop(_ c: CommandContext) throws(Interruption) {
        guard let timeout = c.timeout(1), let request = SortedSetPopRequest(c, from: 2) else { return }
        if try request.run(c) { return }
        c.waitForData(WaitRequest(keys: request.keys, type: .sortedSet, timeout: timeout))
    }
}
