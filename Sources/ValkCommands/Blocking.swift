// Commands that wait for data (BLPOP and its like): what they ask the dispatcher for, and how they ask.
//
// A handler that finds nothing calls `waitForData` and returns; whether that is possible now says
// `CommandContext.canWait` (never in MULTI and in scripts, where such a command answers at once that there is nothing).
// The dispatcher then keeps the client waiting under the keys. When one of them is written, the same handler runs again
// on behalf of the client, with `onlyKey` set: it may look at that key alone, because no other's stripe is held. If it
// asks to wait once more, nothing has happened.

import CValk
import Glibc
import ValkBase
import ValkData
import ValkEngine
import ValkRESP

/// What a command waits for. A trivial value.
package struct WaitRequest: Sendable {
    /// Arguments that are keys.
    package var keys: Range<Int>
    /// What has to be at one of them.
    package var type: ValueType
    /// Milliseconds; 0: for ever.
    package var timeout: Int64
    /// The argument that is written to, when there is data; 0: none.
    package var target = 0
    /// Run again, too, when a key has gone or holds something else (XREADGROUP answers with an error then).
    package var wakesOnAnyChange = false
    /// Who gets data takes nothing away: everybody who waits is served.
    package var leavesData = false

    package init(keys: Range<Int>, type: ValueType, timeout: Int64, target: Int = 0) {
        self.keys = keys
        self.type = type
        self.timeout = timeout
        self.target = target
    }
}

/// The dispatcher's side of it, in the context.
package struct WaitState {
    package var canWait = false
    /// The only key that the handler may look at; 0: all.
    package var onlyKey = 0
    package var request: WaitRequest?

    package init() {}
}

extension CommandContext {
    /// Whether the running command may wait for data.
    package var canWait: Bool { state.pointee.waiting.canWait }

    /// For the dispatcher: before a handler runs.
    package func prepareWaiting(canWait: Bool, onlyKey: Int = 0) {
        state.pointee.waiting.canWait = canWait
        state.pointee.waiting.onlyKey = onlyKey
        state.pointee.waiting.request = nil
        if !recalled.isEmpty { recalled = [] }
        if canWait && !waitReplacements.isEmpty { waitReplacements = [] }
    }

    /// For the dispatcher, after `prepareWaiting`: the command has waited before, with these arguments replaced.
    package func recall(_ replacements: [(index: Int, bytes: [UInt8])]) { recalled = replacements }

    /// What the command had put in the place of an argument before it waited.
    func recalled(_ index: Int) -> [UInt8]? { recalled.first { $0.index == index }?.bytes }

    /// Whether the command runs again for a client that waited, because of a key that was written.
    var isServed: Bool { state.pointee.waiting.onlyKey != 0 }

    /// Has the command run with another argument when it runs again.
    func replaceWhileWaiting(_ index: Int, _ text: String) {
        if canWait { waitReplacements.append((index, Array(text.utf8))) }
    }

    /// For the dispatcher, after a command has asked to wait: what stands in the place of which arguments from now on.
    package func takeWaitReplacements() -> [(index: Int, bytes: [UInt8])] {
        if waitReplacements.isEmpty { return [] }
        defer { waitReplacements = [] }
        return waitReplacements
    }

    /// For the dispatcher: what the handler that has just run waits for.
    package var waitRequest: WaitRequest? { state.pointee.waiting.request }

    /// The keys among the arguments `all` that the handler looks at now.
    func keysAtHand(_ all: Range<Int>) -> Range<Int> {
        let only = state.pointee.waiting.onlyKey
        return only == 0 ? all : only..<only + 1
    }

    /// There is nothing: waits, where that is possible, or answers with a null array.
    func waitForData(_ request: WaitRequest) {
        if canWait { state.pointee.waiting.request = request } else { reply.nullArray() }
    }

    /// The argument as a time to wait in seconds, in milliseconds; nil after an error reply.
    func timeout(_ index: Int) -> Int64? {
        var seconds = 0.0
        let text = args[index]
        // As Redis reads it: a long double, then cut.
        let slot = keys.allocate(16)
        guard NumberCommands.parse(text, into: slot) else {
            fail("ERR timeout is not a float or out of range")
            return nil
        }
        seconds = valk_long_double_value(slot)
        let milliseconds = (seconds * 1000).rounded(.up)
        if milliseconds < 0 || milliseconds >= 9.3e18 {
            fail("ERR timeout is negative")
            return nil
        }
        return Int64(exactly: milliseconds) ?? Int64.max
    }
}
