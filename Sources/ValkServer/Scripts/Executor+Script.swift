// Scripts among the commands: their stripes, and running them again when those were not enough.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Executor {
    /// Lua goes 200 calls of C deep, each with buffers of eight KiB on the stack; tables may be nested in thousands.
    static let stackBytes = 8 << 20

    /// EVAL and its relatives outside of EXEC.
    @inline(never)
    func runScripted(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ index: Int,
        _ arguments: ArgumentList, _ out: UnsafeMutablePointer<ByteBuffer>
    ) -> Outcome {
        var set = scriptStripes(index, arguments)
        while true {
            guard stripes.take(set, waits: mayBlock) else { return .wouldBlock }
            scripts.begin(holding: set, writes: false)
            let outcome = perform(connection, s, index, arguments, out)
            stripes.release(set)
            if hot.pointee.wantsAllStripes {
                hot.pointee.wantsAllStripes = false
                set = .all
                continue
            }
            if case .done = outcome {
                scripts.end()
                connection.forgetUnreadKeys()
            }
            return outcome
        }
    }

    /// The stripes of the keys that a script names; none when it may not write.
    func scriptStripes(_ index: Int, _ arguments: ArgumentList) -> StripeSet {
        var set = StripeSet()
        if entries[index].flags.contains(.readonly) { return set }
        guard let count = Decimal.parse(arguments[2]), count > 0, count <= Int64(arguments.count - 3) else {
            return set
        }
        for i in 3..<3 + Int(count) { set.insert(Stripes.index(of: arguments[i])) }
        return set
    }

    /// Calls, time and slow log of a command within a script.
    func accountWithinScript(_ connection: Connection, _ index: Int, _ arguments: ArgumentList) {
        let now = valk_monotonic_ns()
        let took = now &- hot.pointee.innerStamp
        hot.pointee.innerStamp = now
        noteCall(index, took)
        let threshold = server.settings.slowlogThresholdMicroseconds.load(ordering: .relaxed)
        if threshold >= 0 && took >= UInt64(threshold) &* 1000 { noteSlow(connection, index, arguments, took) }
    }
}
