// The limit on stored data (`maxmemory`): whether it is exceeded, and what is done about it.
//
// Counted are the store's live bytes (`Store.liveBytes`) and a few kilobytes for what an empty store needs. Looked at
// after every turn of a loop that wrote, ten times a second, and when a setting changes; without a limit that costs one
// load. What one turn writes may go beyond the limit.
//
// Exceeded, and something may be evicted: a worker does it (`EvictionCycle`), a piece at a time, while clients go on.
// Writers go on as fast as keys go: what they send costs time (`TimeSale`) from a quarter of the slack on, a part in
// `slackParts` of the limit, and the more the further the limit is exceeded. So they meet the evictions somewhere
// within the slack, each delayed a little. Beyond it (a burst, a lowered limit) those who would store more wait as in a
// CLIENT PAUSE, so that the limit is kept however fast they write. Exceeded, and nothing may be evicted: who would
// store more is refused with -OOM, as in Redis.
//
// Everything here is quick and may be called from any thread.

import CValk
import Glibc
import Synchronization
import ValkBase
import ValkData
import ValkEngine

final class DataLimit: @unchecked Sendable {  // Atomic words; the rest is under the lock.
    /// What a store without keys takes: manifest, headers of the log.
    static let emptyStoreBytes = 16 << 10
    private static let slackParts = 32
    private static let slackBytesMax = 64 << 20
    /// Bytes that clients may send in a second where the price begins, and where the slack ends.
    private static let fastest = 400e6
    private static let slowest = 1e6

    unowned(unsafe) private let server: Server
    private let limitBytes: UnsafeMutablePointer<UInt64>
    private let policyIndex = Atomic<Int>(EvictionPolicy.noEviction.rawValue)
    /// `maxmemory-samples`.
    let samples = Atomic<Int>(5)
    private let sale = TimeSale()
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

    /// A client has sent so many bytes that were written: how long it should do nothing, nanoseconds.
    @inline(__always)
    func delay(afterBytes bytes: Int) -> UInt64 {
        if sale.isFree { return 0 }
        sale.take(bytes)
        return sale.delay
    }

    /// What bytes cost where the limit is exceeded by `excess` of `slack`, nanoseconds for 1024 of them.
    static func price(excess: Int, slack: Int) -> Int {
        let from = slack / 4
        if excess <= from || slack == 0 { return 0 }
        let part = min(1, Double(excess - from) / Double(slack - from))
        return Int(1024e9 / (fastest * pow(slowest / fastest, part)))
    }

    private var slack: Int { min(limit / DataLimit.slackParts, DataLimit.slackBytesMax) }

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
        let slack = self.slack
        let mayEvict = policy != .noEviction && hasCandidates
        sale.nanosecondsPerKiB = mayEvict ? DataLimit.price(excess: excess, slack: slack) : 0
        lock.withLock {
            if exceededSince == 0 { exceededSince = valk_monotonic_ns() }
            if !mayEvict || isExhausted {
                server.gate.raise(.outOfMemory)
            } else {
                if excess > slack || waitsAtOnce { server.gate.raise(.evicting) }
                // There may have been none that may go.
                if server.gate.conditions.contains(.outOfMemory) { server.gate.lower(.outOfMemory) }
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
        sale.nanosecondsPerKiB = 0
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
        noteRemovals()
        lock.withLock {
            if foundNothing == isExhausted { return }
            isExhausted = foundNothing
            if foundNothing { server.gate.raise(.outOfMemory) } else { server.gate.lower(.outOfMemory) }
        }
        if foundNothing {
            server.gate.lower(.evicting)
            server.wakePaused()
        } else if excessBytes < slack / 2 {
            letWritersGo()
        }
    }

    /// Keys have gone.
    func noteRemovals() {
        if !sale.isFree { sale.nanosecondsPerKiB = DataLimit.price(excess: excessBytes, slack: slack) }
    }
}
