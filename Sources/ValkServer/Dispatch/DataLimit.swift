// The limit on stored data (`maxmemory`): whether it is exceeded, and what is done about it.
//
// Counted are the store's live bytes (`Store.liveBytes`) and a few kilobytes for what an empty store needs. Looked at
// after every turn of a loop that wrote, ten times a second, and when a setting changes; without a limit that costs one
// load. What one turn writes may go beyond the limit.
//
// Exceeded, and something may be evicted: a worker does it (`EvictionCycle`), a piece at a time, while clients go on.
// They wait (as in a CLIENT PAUSE, and the loops go on) only where they would store more and the limit is exceeded by
// a part in `slackParts` already, so that it is kept however fast they write. Exceeded, and nothing may be evicted:
// who would store more is refused with -OOM, as in Redis.
//
// Everything here is quick and may be called from any thread.

import CValk
import Synchronization
import ValkBase
import ValkData
import ValkEngine

final class DataLimit: @unchecked Sendable {  // Atomic words; the rest is under the lock.
    /// What a store without keys takes: manifest, headers of the log.
    static let emptyStoreBytes = 16 << 10
    private static let slackParts = 32
    private static let slackBytesMax = 64 << 20

    unowned(unsafe) private let server: Server
    private let limitBytes: UnsafeMutablePointer<UInt64>
    private let policyIndex = Atomic<Int>(EvictionPolicy.noEviction.rawValue)
    /// `maxmemory-samples`.
    let samples = Atomic<Int>(5)
    private let lock = Lock()
    /// The evictions found nothing that may go.
    private var isExhausted = false
    /// Monotonic nanoseconds since when the limit is exceeded, 0 while it is not; and for how long it was before.
    private var exceededSince: UInt64 = 0
    private var exceededBefore: UInt64 = 0

    init(server: Server) {
        self.server = server
        limitBytes = .allocate(capacity: 1)
        limitBytes.initialize(to: 0)
    }

    deinit { limitBytes.deallocate() }

    // MARK: Settings

    /// `maxmemory`, 0 for no limit. A change acts at the next `check`.
    var limit: Int {
        get { Int(valk_load_relaxed_u64(limitBytes)) }
        set { valk_store_relaxed_u64(limitBytes, UInt64(max(0, newValue))) }
    }

    var policy: EvictionPolicy {
        get { EvictionPolicy(rawValue: policyIndex.load(ordering: .relaxed)) ?? .noEviction }
        set { policyIndex.store(newValue.rawValue, ordering: .relaxed) }
    }

    // MARK: What counts

    /// What the limit is held against, bytes.
    var usedBytes: Int { server.store.liveBytes() + DataLimit.emptyStoreBytes }

    /// Bytes that evictions have to free now; 0 or less when there are none.
    var excessBytes: Int { limit == 0 ? 0 : usedBytes - limit }

    /// Milliseconds for which the limit is exceeded now, and for which it was in all.
    var exceededMilliseconds: (current: Int, total: Int) {
        lock.withLock {
            let current = exceededSince == 0 ? 0 : valk_monotonic_ns() - exceededSince
            return (Int(current / 1_000_000), Int((exceededBefore + current) / 1_000_000))
        }
    }

    /// Something was written.
    @inline(__always)
    func noteWrites() { if valk_load_relaxed_u64(limitBytes) != 0 { check() } }

    /// Settings have changed: who would store more waits until it is known whether there is room.
    func settingsChanged() {
        lock.withLock { isExhausted = false }
        check(waitsAtOnce: true)
    }

    /// See above.
    @inline(never)
    func check(waitsAtOnce: Bool = false) {
        let excess = excessBytes
        if excess <= 0 { return relax() }
        let slack = min(limit / DataLimit.slackParts, DataLimit.slackBytesMax)
        let mayEvict = policy != .noEviction && hasCandidates
        lock.withLock {
            if exceededSince == 0 { exceededSince = valk_monotonic_ns() }
            if !mayEvict || isExhausted {
                server.gate.raise(.outOfMemory)
            } else if excess > slack || waitsAtOnce {
                server.gate.raise(.evicting)
            }
        }
        if mayEvict {
            server.evictionCycle.startRun()
        } else if server.gate.conditions.contains(.evicting) {
            // Who waits is refused.
            server.gate.lower(.evicting)
            server.wakePaused()
        }
    }

    private func relax() {
        lock.withLock {
            isExhausted = false
            if exceededSince != 0 { exceededBefore += valk_monotonic_ns() - exceededSince }
            exceededSince = 0
        }
        letWritersGo()
    }

    private func letWritersGo() {
        let conditions = server.gate.conditions
        if conditions.isDisjoint(with: [.outOfMemory, .evicting]) { return }
        server.gate.lower([.outOfMemory, .evicting])
        if conditions.contains(.evicting) { server.wakePaused() }
    }

    /// As far as counts tell: keys of blind writes are among the unknown.
    private var hasCandidates: Bool {
        let isVolatile = policy.isVolatile
        for database in 0..<server.keyspace.databaseCount {
            let counts = server.keyspace.counts(database)
            if (isVolatile ? counts.expires : counts.keys + counts.unknown) > 0 { return true }
        }
        return false
    }

    // MARK: The evictions

    /// What a round of evictions came to.
    func evicted(foundNothing: Bool) {
        if excessBytes <= 0 { return relax() }
        lock.withLock {
            if foundNothing == isExhausted { return }
            isExhausted = foundNothing
            if foundNothing { server.gate.raise(.outOfMemory) } else { server.gate.lower(.outOfMemory) }
        }
        if foundNothing {
            server.gate.lower(.evicting)
            server.wakePaused()
        } else if excessBytes < min(limit / DataLimit.slackParts, DataLimit.slackBytesMax) / 2 {
            letWritersGo()
        }
    }
}
