// Scripts among the commands: their stripes, and running them again when those were not enough.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP
import ValkScripting

extension Executor {
    /// Lua goes 200 calls of C deep, each with buffers of eight KiB on the stack; tables may be nested in thousands.
    static let stackBytes = 8 << 20

    /// EVAL and its relatives outside of EXEC.
    @inline(never)
    func runScripted(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ index: Int,
        _ arguments: ArgumentList, _ out: UnsafeMutablePointer<ByteBuffer>
    ) -> Outcome {
        let outcome = holding(scriptStripes(index, arguments)) { set in
            scripts.begin(holding: set, writes: false)
            if !refusals.isEmpty { refusals.removeAll() }
            return perform(connection, s, index, arguments, out)
        }
        if case .done = outcome {
            scripts.end()
            if !refusals.isEmpty { noteRefusals() }
            connection.forgetUnreadKeys()
        }
        return outcome
    }

    /// Runs `body` with stripes held; once more, with all of them, when a script has found these not enough.
    func holding(_ first: StripeSet, _ body: (StripeSet) -> Outcome) -> Outcome {
        var set = first
        while true {
            guard stripes.take(set, waits: mayBlock) else {
                context.abandon()
                return .wouldBlock
            }
            let outcome = body(set)
            if !ready.isEmpty { serveReady(holding: set) }
            stripes.release(set)
            guard hot.pointee.wantsAllStripes else { return outcome }
            hot.pointee.wantsAllStripes = false
            set = .all
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

    /// Whether a script that EVAL or FCALL is to run may write, as far as that can be told.
    func mayWrite(_ index: Int, _ arguments: ArgumentList) -> Bool {
        if entries[index].flags.contains(.readonly) { return false }
        return !scriptFlags(index, arguments).contains(.noWrites)
    }

    /// Whether a command that runs a script is refused as a whole when the limit on stored data is exceeded: a script
    /// with a header that neither only reads nor says that it knows. Of others, the commands are refused one by one.
    func scriptStoresMore(_ index: Int, _ arguments: ArgumentList) -> Bool {
        let flags = scriptFlags(index, arguments)
        return flags.isDisjoint(with: [.noWrites, .allowOOM, .compatibility])
    }

    /// What the script that a command runs says of itself; that of an old one where there is none.
    private func scriptFlags(_ index: Int, _ arguments: ArgumentList) -> ScriptFlags {
        switch table.specs[index].arguments.first?.name {
        case "script":
            return arguments[1].starts(with: ByteView("#!")) ? ScriptHeader.flags(arguments[1]) : .compatibility
        case "sha1":
            guard let digest = ScriptDigest(digits: arguments[1]), let source = server.scripts.source(digest) else {
                return .compatibility
            }
            return source.withView { $0.starts(with: ByteView("#!")) ? ScriptHeader.flags($0) : .compatibility }
        default: return server.libraries.current.flags(of: arguments[1].array)
        }
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
