// Smooth brakes for writers. What is written costs time: so many nanoseconds a byte, nothing as long as the background
// keeps up, and the more the further it is behind. Who writes takes the time of its bytes; all writers together sell
// and buy the same second, so the price is a bound for the whole store, however many there are. A thread that may
// wait sleeps until its time has come; an event loop does not read from the connection until then.
//
// The price has three parts, the largest counts (`PaceRule`): runs in the root (the merges are behind), sealed tables
// in memory (the flushes are behind), and what the space governor wishes.
//
// Any thread. The lock is the innermost: nothing is called under it.

import Glibc
import Synchronization
import ValkBase

final class WritePace: @unchecked Sendable {  // `rule` behind `lock`; the rest is atomic.
    private let lock = Lock()
    private var rule: PaceRule
    /// Nanoseconds for 1024 bytes of log; 0 as long as nobody is held up.
    private let price = Atomic<Int>(0)
    /// Monotonic nanoseconds up to which the time is sold.
    private let soldUntil = Atomic<UInt64>(0)
    private let delayCount = Atomic<UInt64>(0)

    /// Shorter delays wait for more to come: no timer keeps them.
    static let delayMinNanoseconds: UInt64 = 1_000_000
    /// Of one batch, however large it is.
    static let delayMaxNanoseconds: UInt64 = 1_000_000_000
    /// Time that went by unsold and may still be had, so that sleeping too long costs nothing.
    private static let creditNanoseconds: UInt64 = 5_000_000

    /// `mergeWidth`: runs that a slot of the root should have at most.
    init(mergeWidth: Int) { rule = PaceRule(mergeWidth: mergeWidth) }

    // MARK: Writers

    /// Takes the time of `bytes` that are written to the log. Never waits.
    @inline(__always)
    func take(_ bytes: Int) {
        let price = price.load(ordering: .relaxed)
        if price > 0 { take(bytes, price) }
    }

    @inline(never)
    private func take(_ bytes: Int, _ price: Int) {
        let now = Monotonic.nanoseconds()
        let cost = min(UInt64(bytes) &* UInt64(price) / 1024, WritePace.delayMaxNanoseconds)
        var sold = soldUntil.load(ordering: .relaxed)
        while true {
            let next = min(max(sold, now - WritePace.creditNanoseconds) + cost, now + WritePace.delayMaxNanoseconds)
            let (done, seen) = soldUntil.compareExchange(expected: sold, desired: next, ordering: .relaxed)
            if done { return }
            sold = seen
        }
    }

    /// How long who has just written should do nothing, nanoseconds; 0 when it is not worth a wait.
    @inline(__always)
    var delay: UInt64 { price.load(ordering: .relaxed) == 0 ? 0 : delayNow }

    @inline(never)
    private var delayNow: UInt64 {
        let now = Monotonic.nanoseconds()
        let sold = soldUntil.load(ordering: .relaxed)
        guard sold > now, sold - now >= WritePace.delayMinNanoseconds else { return 0 }
        return sold - now
    }

    /// Waits until what has been taken so far is paid.
    @inline(__always)
    func wait() {
        let delay = delay
        if delay > 0 { sleep(delay) }
    }

    @inline(never)
    private func sleep(_ nanoseconds: UInt64) {
        countDelay()
        usleep(UInt32(nanoseconds / 1000))
    }

    /// Somebody was held up.
    func countDelay() { delayCount.wrappingAdd(1, ordering: .relaxed) }

    // MARK: The background

    /// Runs that a key of the root has to pass, on the average of its bytes; see `Bucket.crowd`.
    func set(runs: Double) { change { $0.runs = runs } }

    /// Tables that wait for their flush.
    func set(sealed: Int) { change { $0.sealed = sealed } }

    /// The most that the space governor wants written in a second, bytes of log; 0: as much as one likes.
    func set(spaceBytesPerSecond: Int) { change { $0.spaceRate = Double(spaceBytesPerSecond) } }

    /// A table with so much log became a run of the root.
    func noteFlush(logBytes: Int, nanoseconds: UInt64) {
        change { $0.noteFlush(logBytes: Double(logBytes), seconds: Double(nanoseconds) / 1e9) }
    }

    /// A step of a job took `runs` (as of `set(runs:)`) out of the root.
    func noteDrain(runs: Double) {
        let now = Double(Monotonic.nanoseconds()) / 1e9
        change { $0.noteDrain(runs: runs, now: now) }
    }

    private func change(_ body: (inout PaceRule) -> Void) {
        lock.withLock {
            body(&rule)
            price.store(Int(rule.price), ordering: .relaxed)
        }
    }

    var figures: WritePaceFigures {
        let rule = lock.withLock { self.rule }
        return WritePaceFigures(
            debt: rule.debt, bytesPerSecond: rule.price == 0 ? 0 : UInt64(1024e9 / rule.price),
            delayMicroseconds: delay / 1000, delays: delayCount.load(ordering: .relaxed))
    }
}

/// How writers are held up, for people.
package struct WritePaceFigures: Sendable, Equatable {
    /// How far the background is behind: 0 not at all, 1 as far as it should ever be.
    package var debt = 0.0
    /// The most that is taken in a second, bytes of log; 0: no limit.
    package var bytesPerSecond: UInt64 = 0
    /// How long somebody who writes now is held up.
    package var delayMicroseconds: UInt64 = 0
    /// How often somebody was held up since the start.
    package var delays: UInt64 = 0
}
