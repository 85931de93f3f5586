// How many bytes a second the background may read and write: a token bucket, shared by all who take from it. Whoever
// takes more than there is waits until the debt is paid, so large takes are paid by the next taker too. Any thread.

import Synchronization
import ValkBase

final class IOBudget: @unchecked Sendable {  // State behind `lock`.
    private let lock = Lock()
    private let change = Condition()
    /// Bytes a second; 0 is no limit.
    private var rate: Int
    private var tokens = 0.0
    private var last = Monotonic.nanoseconds()
    private var isCancelled = false
    private let takenTotal = Atomic<UInt64>(0)

    /// What may be taken at once after a pause, in seconds' worth.
    private static let burstSeconds = 0.25

    init(bytesPerSecond: Int = 0) { rate = bytesPerSecond }

    /// Bytes taken since the start.
    var taken: UInt64 { takenTotal.load(ordering: .relaxed) }

    var bytesPerSecond: Int {
        get { lock.withLock { rate } }
        set {
            lock.withLock {
                rate = newValue
                tokens = min(tokens, Double(newValue) * IOBudget.burstSeconds)
            }
            change.broadcast()
        }
    }

    /// Takes `bytes`, and waits while the bucket is in debt. Returns at once without a limit and after `cancel`.
    func take(_ bytes: Int) {
        takenTotal.wrappingAdd(UInt64(bytes), ordering: .relaxed)
        lock.lock()
        defer { lock.unlock() }
        refill()
        tokens -= Double(bytes)
        while rate > 0 && tokens < 0 && !isCancelled {
            let wait = UInt64(-tokens / Double(rate) * 1e9) + 1
            _ = change.wait(lock, until: Monotonic.nanoseconds() + wait)
            refill()
        }
        if rate == 0 { tokens = 0 }
    }

    /// Nobody waits from now on.
    func cancel() {
        lock.withLock { isCancelled = true }
        change.broadcast()
    }

    private func refill() {
        let now = Monotonic.nanoseconds()
        tokens += Double(now - last) / 1e9 * Double(rate)
        last = now
        tokens = min(tokens, Double(rate) * IOBudget.burstSeconds)
    }
}
