// Smooth brakes for writers. What is written costs time (`TimeSale`): nothing as long as the background keeps up, and
// the more the further it is behind. A thread that may wait sleeps until its time has come; an event loop does not read
// from the connection until then.
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
    private let sale = TimeSale()
    private let delayCount = Atomic<UInt64>(0)

    /// `mergeWidth`: runs that a slot of the root should have at most.
    init(mergeWidth: Int) { rule = PaceRule(mergeWidth: mergeWidth) }

    // MARK: Writers

    /// Takes the time of `bytes` that are written to the log. Never waits.
    @inline(__always)
    func take(_ bytes: Int) { sale.take(bytes) }

    /// How long who has just written should do nothing, nanoseconds; 0 when it is not worth a wait.
    @inline(__always)
    var delay: UInt64 { sale.delay }

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
            sale.nanosecondsPerKiB = Int(rule.price)
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
