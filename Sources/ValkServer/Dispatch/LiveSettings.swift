// Settings that may change while the server runs and that loops and workers look at. Each is an atomic of its own:
// CONFIG SET stores, loops load without ordering, and a change is seen within a turn.

import Synchronization
import ValkCommands

/// `hash-max-listpack-entries` and its like: many numbers, seldom changed. Who uses them keeps a copy, and takes a new
/// one when `version` is another.
package final class EncodingSettings: Sendable {
    private let version = Atomic<Int>(0)
    private let limits = Mutex(EncodingLimits())

    func change(_ body: (inout EncodingLimits) -> Void) {
        limits.withLock { body(&$0) }
        version.wrappingAdd(1, ordering: .releasing)
    }

    @inline(__always)
    func take(_ known: inout Int, _ store: (EncodingLimits) -> Void) {
        let now = version.load(ordering: .acquiring)
        if now == known { return }
        known = now
        store(limits.withLock { $0 })
    }
}

package final class LiveSettings: Sendable {
    /// `proto-max-bulk-len`, bytes.
    package let bulkBytesMax = Atomic<Int>(512 << 20)
    /// `hll-sparse-max-bytes`.
    package let hyperLogLogSparseMax = Atomic<Int>(3000)
    package let encodings = EncodingSettings()
    /// `tracking-table-max-keys`; 0 is no limit.
    package let trackedKeysMax = Atomic<Int>(1_000_000)
    /// `rdbcompression`.
    package let compressesDumps = Atomic<Bool>(true)
    /// `notify-keyspace-events`, as `KeyEventKinds.asked` has it: 0 where nothing is to be published.
    package let keyEventKinds = Atomic<UInt16>(0)
    /// `busy-reply-threshold`, milliseconds; 0 is never.
    package let busyReplyMilliseconds = Atomic<Int>(5000)
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call what they usually may not.
    package let scriptsMayAll = Atomic<Bool>(false)
    /// `client-query-buffer-limit`, bytes.
    package let queryBufferBytesMax = Atomic<Int>(1 << 30)
    /// `maxclients`.
    package let clientsMax = Atomic<Int>(10_000)
    /// `timeout`, seconds; 0 is never.
    package let idleTimeoutSeconds = Atomic<Int>(0)
    /// `tcp-keepalive`, seconds; 0 is off. For connections accepted from now on.
    package let keepAliveSeconds = Atomic<Int>(300)
    package let protectedMode = Atomic<Bool>(true)
    /// `slowlog-log-slower-than`, microseconds; negative is off.
    package let slowlogThresholdMicroseconds = Atomic<Int>(10_000)
    /// `latency-tracking`.
    package let latencyTracking = Atomic<Bool>(true)
    /// DEBUG SET-ACTIVE-EXPIRE.
    package let activeExpire = Atomic<Bool>(true)
    /// `client-output-buffer-limit` of normal clients: bytes, bytes, seconds; 0 is no limit.
    package let normalOutputHardBytes = Atomic<Int>(0)
    package let normalOutputSoftBytes = Atomic<Int>(0)
    package let normalOutputSoftSeconds = Atomic<Int>(0)
    /// The same for clients that get pushed data (MONITOR, subscriptions).
    package let pushedOutputHardBytes = Atomic<Int>(32 << 20)
    package let pushedOutputSoftBytes = Atomic<Int>(8 << 20)
    package let pushedOutputSoftSeconds = Atomic<Int>(60)
    /// Pending output at which a client is not executed any further until it has read some, bytes.
    package let outputPauseBytes = Atomic<Int>(1 << 20)
    /// A write with a longer argument runs on a worker, bytes.
    package let deferredArgumentBytes = Atomic<Int>(1 << 20)
    /// `enable-debug-command`: 0 no, 1 yes, 2 for connections from this machine.
    package let debugCommand = Atomic<Int>(0)

    package init() {}
}
