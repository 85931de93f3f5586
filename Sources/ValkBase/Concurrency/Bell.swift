// A wake-up that cannot be lost and takes no part in lock orders: ringing only ever holds the bell's own lock.
//
// Use: take the `token`, look whether there is work (with whatever locks that needs), and if not, `wait(after: token)`.
// A ring between the look and the wait is not lost, because the token has changed by then.

package final class Bell: Sendable {
    private let lock = Lock()
    private let rung = Condition()
    private nonisolated(unsafe) var count: UInt64 = 0  // Behind `lock`.

    package init() {}

    package var token: UInt64 { lock.withLock { count } }

    /// Wakes all who wait. May be called with any lock held.
    package func ring() {
        lock.withLock { count += 1 }
        rung.broadcast()
    }

    /// Returns when the bell was rung after `token` was taken, or after `milliseconds`.
    package func wait(after token: UInt64, milliseconds: UInt64) {
        let deadline = Monotonic.nanoseconds() + milliseconds * 1_000_000
        lock.lock()
        while count == token, rung.wait(lock, until: deadline) {}
        lock.unlock()
    }
}
