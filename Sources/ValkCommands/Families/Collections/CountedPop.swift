// What LMPOP, ZMPOP and their waiting forms have in common: `numkeys key … END [COUNT n]`.

import ValkBase
import ValkData
import ValkRESP

struct CountedPop<End> {
    /// Arguments that are keys.
    let keys: Range<Int>
    let end: End
    let count: Int

    /// From the argument `first` on; `readEnd` reads the argument that says from which end, or replies with an error.
    /// Nil after an error reply.
    init?(_ c: CommandContext, from first: Int, _ readEnd: (Int) -> End?) {
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
        guard let end = readEnd(place) else { return nil }
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
}
