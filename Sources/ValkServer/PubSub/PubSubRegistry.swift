// Publish and subscribe over all loops: how many subscribers each channel and pattern has on which loop, and the way of
// a publication to them.
//
// Each loop keeps the connections that listen (LoopSubscriptions) and tells this registry only how many there are. So a
// publisher counts the receivers and finds the loops in one look under a short lock, the publication remembers its
// route, and each loop writes to its own clients. Where nobody listens at all a publication costs one load.
//
// Order: what one client publishes reaches each subscriber in that order. A loop gives to its own clients at once and
// to others through their mailboxes, which keep order; a client whose command ran on a worker goes on only when the
// loop has taken the message behind those of that command. Events of keys keep the order of the changes of each key:
// see `Executor.deliver`.

import Synchronization
import ValkBase
import ValkCommands
import ValkData

package enum SubscriptionKind: Int, CaseIterable, Sendable {
    case channel, pattern, shard
}

package final class PubSubRegistry: Sendable {
    /// Subscribers of one name by loop.
    private struct Audience {
        var byLoop: [Int]
        var total = 0
    }

    private let loopCount: Int
    private let lock = Lock()
    // SAFETY: under `lock` only.
    private nonisolated(unsafe) var audiences = [[[UInt8]: Audience]](
        repeating: [:], count: SubscriptionKind.allCases.count)
    private let total = Atomic<Int>(0)

    init(loopCount: Int) { self.loopCount = loopCount }

    // MARK: Subscribers. Any thread.

    func add(_ kind: SubscriptionKind, _ name: [UInt8], loop: Int) {
        lock.withLock {
            var audience = audiences[kind.rawValue][name] ?? Audience(byLoop: [Int](repeating: 0, count: loopCount))
            audience.byLoop[loop] += 1
            audience.total += 1
            audiences[kind.rawValue][name] = audience
        }
        total.wrappingAdd(1, ordering: .relaxed)
    }

    func remove(_ kind: SubscriptionKind, _ name: [UInt8], loop: Int) {
        lock.withLock {
            guard var audience = audiences[kind.rawValue][name] else { return }
            audience.byLoop[loop] -= 1
            audience.total -= 1
            audiences[kind.rawValue][name] = audience.total == 0 ? nil : audience
        }
        total.wrappingSubtract(1, ordering: .relaxed)
    }

    // MARK: Asking

    /// Channels (or patterns) with subscribers.
    package func count(_ kind: SubscriptionKind) -> Int { lock.withLock { audiences[kind.rawValue].count } }

    package func names(_ kind: SubscriptionKind, matching pattern: ByteView?) -> [[UInt8]] {
        let names = lock.withLock { Array(audiences[kind.rawValue].keys) }
        guard let pattern else { return names }
        let glob = GlobPattern(pattern)
        return names.filter { name in name.withView { glob.matchesAll || glob.matches($0) } }
    }

    package func subscribers(_ kind: SubscriptionKind, _ name: [UInt8]) -> Int {
        lock.withLock { audiences[kind.rawValue][name]?.total ?? 0 }
    }

    // MARK: Publishing

    /// How many clients a publication reaches now; notes on which loops they are.
    func route(_ publication: inout Publication) -> Int {
        publication.route = 0
        if total.load(ordering: .relaxed) == 0 { return 0 }
        var (count, route) = (0, UInt128(0))
        lock.withLock {
            forEachAudience(of: publication) { audience in
                count += audience.total
                for i in 0..<loopCount where audience.byLoop[i] > 0 { route |= 1 << i }
            }
        }
        publication.route = route
        return count
    }

    /// Sends what a transaction has published. `here`: the loop on whose thread this runs, if any.
    func deliver(_ publications: [Publication], _ loops: [EventLoop], on here: EventLoop?) {
        if total.load(ordering: .relaxed) == 0 { return }
        let hereBit: UInt128 = here.map { 1 << $0.index } ?? 0
        var routed: [Publication] = []
        var others: UInt128 = 0
        for var publication in publications {
            if publication.route == nil { _ = route(&publication) }
            let route = publication.route ?? 0
            if let here, route & hereBit != 0 { here.subscriptions.deliver(publication, on: here) }
            if route & ~hereBit != 0 {
                others |= route & ~hereBit
                routed.append(publication)
            }
        }
        if others == 0 { return }
        for i in 0..<loopCount where others & 1 << i != 0 {
            let wanted = routed.filter { ($0.route ?? 0) & 1 << i != 0 }
            loops[i].mailbox.post(
                .run { loop in for publication in wanted { loop.subscriptions.deliver(publication, on: loop) } })
        }
    }

    /// With the lock held.
    private func forEachAudience(of publication: Publication, _ body: (Audience) -> Void) {
        if publication.isSharded {
            if let audience = audiences[SubscriptionKind.shard.rawValue][publication.channel] { body(audience) }
            return
        }
        if let audience = audiences[SubscriptionKind.channel.rawValue][publication.channel] { body(audience) }
        let patterns = audiences[SubscriptionKind.pattern.rawValue]
        if patterns.isEmpty { return }
        publication.channel.withView { channel in
            for (pattern, audience) in patterns where pattern.withView({ GlobPattern($0).matches(channel) }) {
                body(audience)
            }
        }
    }
}
