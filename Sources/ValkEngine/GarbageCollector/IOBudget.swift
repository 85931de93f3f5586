// How many bytes a second the background may read and write: a token bucket, shared by all who take from it. Whoever
// comes while the bucket is in debt waits until that is paid; large takes are made of small ones, so that nobody waits
// long behind somebody else's. Any thread.
//
// Order: urgent work (flushes, jobs on a root that is over its limit) never waits, others pay for it. Then merges, then
// the garbage collector; where space is urgent those two change places.

import Synchronization
import ValkBase

enum IOPriority: Sendable {
    case urgent, merge, space
}

final class IOBudget: @unchecked Sendable {  // State behind `lock`.
    private let lock = Lock()
    private let change = Condition()
    /// Bytes a second; 0 is no limit.
    private var rate: Int
    private var tokens = 0.0
    private var last = Monotonic.nanoseconds()
    private var isCancelled = false
    private var waitingMerges = 0
    private var waitingForSpace = 0
    private var spaceFirst = false
    private let takenTotal = Atomic<UInt64>(0)

    /// What may be taken at once after a pause, in seconds' worth.
    private static let burstSeconds = 0.25
    /// What urgent work may owe.
    private let debtSeconds: Double
    /// Taken at once.
    private static let pieceBytes = 1 << 20

    init(bytesPerSecond: Int = 0, debtSeconds: Double = 1) {
        rate = bytesPerSecond
        self.debtSeconds = debtSeconds
    }

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

    /// The disk is so full that giving space back goes before merging.
    var spaceIsUrgent: Bool {
        get { lock.withLock { spaceFirst } }
        set {
            lock.withLock { spaceFirst = newValue }
            change.broadcast()
        }
    }

    /// Takes `bytes`, and waits while the bucket is in debt or somebody goes first. Returns at once without a limit and
    /// after `cancel`.
    func take(_ bytes: Int, _ priority: IOPriority = .space) {
        takenTotal.wrappingAdd(UInt64(bytes), ordering: .relaxed)
        lock.lock()
        defer { lock.unlock() }
        refill()
        var left = bytes
        while left > 0 && rate > 0 && !isCancelled {
            waitForTurn(priority)
            let piece = min(left, IOBudget.pieceBytes)
            tokens = max(tokens - Double(piece), -Double(rate) * debtSeconds)
            left -= piece
        }
        if rate == 0 { tokens = 0 }
    }

    private func waitForTurn(_ priority: IOPriority) {
        if priority == .urgent { return }
        if priority == .merge { waitingMerges += 1 } else { waitingForSpace += 1 }
        defer {
            if priority == .merge { waitingMerges -= 1 } else { waitingForSpace -= 1 }
            if waitingMerges + waitingForSpace > 0 { change.broadcast() }
        }
        while rate > 0 && !isCancelled {
            let goesFirst = priority == .merge ? spaceFirst && waitingForSpace > 0 : !spaceFirst && waitingMerges > 0
            if tokens >= 0 && !goesFirst { return }
            let wait = tokens < 0 ? UInt64(-tokens / Double(rate) * 1e9) + 1 : 10_000_000
            _ = change.wait(lock, until: Monotonic.nanoseconds() + wait)
            refill()
        }
    }

    /// How many wait.
    var waiting: Int { lock.withLock { waitingMerges + waitingForSpace } }

    /// What is owed is forgotten.
    func forgive() {
        lock.withLock { tokens = max(tokens, 0) }
        change.broadcast()
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
