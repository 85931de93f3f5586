// One word of server-wide conditions that the dispatcher looks at with every command: all clear in normal running.

import CValk
import ValkBase

package final class ServerGate: @unchecked Sendable {  // One atomic word; the pause's end is under the lock.
    struct Conditions: OptionSet {
        let rawValue: UInt64
        static let monitors = Conditions(rawValue: 1)
        /// CLIENT PAUSE … WRITE.
        static let pauseWrites = Conditions(rawValue: 2)
        /// CLIENT PAUSE … ALL.
        static let pauseAll = Conditions(rawValue: 4)
        /// The server is going down: nothing new is executed.
        static let stopping = Conditions(rawValue: 8)
        /// A script runs for longer than clients are to wait for; a function does.
        static let busyScript = Conditions(rawValue: 16)
        static let busyFunction = Conditions(rawValue: 32)
        /// The limit on stored data is exceeded and nothing may be evicted: who would store more is refused.
        static let outOfMemory = Conditions(rawValue: 64)
        /// The limit is exceeded by so much that who would store more waits for evictions.
        static let evicting = Conditions(rawValue: 128)
    }

    private let word: UnsafeMutableRawPointer
    private let lock = Lock()
    private var pauseUntil: UInt64 = 0

    init() {
        word = .allocate(byteCount: 64, alignment: 64)
        word.storeBytes(of: 0, as: UInt64.self)
        word.storeBytes(of: 1, toByteOffset: 8, as: UInt64.self)
    }

    deinit { word.deallocate() }

    @inline(__always)
    var conditions: Conditions { Conditions(rawValue: valk_load_relaxed_u64(word)) }

    /// Raised with every change of a user (`UserRegistry`); from 1. It lies beside the conditions, because both are
    /// looked at before each command.
    @inline(__always)
    var accessVersion: UInt64 { valk_load_relaxed_u64(word + 8) }

    /// One caller at a time.
    func raiseAccessVersion() { valk_store_relaxed_u64(word + 8, accessVersion &+ 1) }

    func raise(_ condition: Conditions) { change { $0.insert(condition) } }

    func lower(_ condition: Conditions) { change { $0.remove(condition) } }

    private func change(_ body: (inout Conditions) -> Void) {
        while true {
            let old = valk_load_relaxed_u64(word)
            var new = Conditions(rawValue: old)
            body(&new)
            if valk_cas_u64(word, old, new.rawValue) { return }
        }
    }

    // MARK: Pause

    /// Some of the clients' commands are held.
    var isPaused: Bool { !conditions.isDisjoint(with: [.pauseAll, .pauseWrites]) }

    /// Holds clients' commands (only writes, or all) until `deadline` in monotonic nanoseconds. A running pause is
    /// never made shorter or milder.
    func pause(until deadline: UInt64, all: Bool) {
        lock.withLock {
            pauseUntil = max(pauseUntil, deadline)
            raise(all ? .pauseAll : .pauseWrites)
        }
    }

    /// Returns whether there was a pause.
    func unpause() -> Bool {
        lock.withLock {
            let was = isPaused
            pauseUntil = 0
            lower([.pauseAll, .pauseWrites])
            return was
        }
    }

    /// Ends the pause when its time has come; true when it did.
    func endPause(now: UInt64) -> Bool {
        if !isPaused { return false }
        return lock.withLock {
            guard pauseUntil <= now else { return false }
            lower([.pauseAll, .pauseWrites])
            return true
        }
    }

    /// Until when clients are held (monotonic nanoseconds), nil when they are not.
    var pauseDeadline: UInt64? {
        isPaused ? lock.withLock { pauseUntil } : nil
    }
}
