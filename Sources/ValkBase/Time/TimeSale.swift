// Time for bytes: how writers are slowed down without being stopped. What is written costs so many nanoseconds a byte;
// all who write buy from the same clock, so the price bounds what they write in a second, all together and however many
// there are, and each is held up for about as long as the others. Nobody waits here: who has bought is told how long to
// do nothing, and sleeps, or is not read from until then.
//
// Any thread. Without a price it costs one load.

import Synchronization

@usableFromInline
package final class TimeSale: Sendable {
    /// Nanoseconds for 1024 bytes; 0 as long as nobody is held up.
    @usableFromInline let price = Atomic<Int>(0)
    /// Monotonic nanoseconds up to which the time is sold.
    private let soldUntil = Atomic<UInt64>(0)

    /// Shorter delays wait for more to come: no timer keeps them.
    package static let delayMinNanoseconds: UInt64 = 1_000_000
    /// Of one purchase, however large it is.
    package static let delayMaxNanoseconds: UInt64 = 1_000_000_000
    /// Time that went by unsold and may still be had, so that sleeping too long costs nothing.
    private static let creditNanoseconds: UInt64 = 5_000_000

    package init() {}

    /// Nanoseconds for 1024 bytes, 0 for none.
    package var nanosecondsPerKiB: Int {
        get { price.load(ordering: .relaxed) }
        set { price.store(newValue, ordering: .relaxed) }
    }

    @inline(__always)  // With every write, also in other modules; so are the next ones.
    @inlinable
    package var isFree: Bool { price.load(ordering: .relaxed) == 0 }

    /// Takes the time of so many bytes.
    @inline(__always)
    @inlinable
    package func take(_ bytes: Int) {
        let price = price.load(ordering: .relaxed)
        if price > 0 { take(bytes, price) }
    }

    @inline(never)
    @usableFromInline
    func take(_ bytes: Int, _ price: Int) {
        let now = Monotonic.nanoseconds()
        let cost = min(UInt64(bytes) &* UInt64(price) / 1024, TimeSale.delayMaxNanoseconds)
        var sold = soldUntil.load(ordering: .relaxed)
        while true {
            let next = min(max(sold, now - TimeSale.creditNanoseconds) + cost, now + TimeSale.delayMaxNanoseconds)
            let (done, seen) = soldUntil.compareExchange(expected: sold, desired: next, ordering: .relaxed)
            if done { return }
            sold = seen
        }
    }

    /// How long who has just bought should do nothing, nanoseconds; 0 when it is not worth a wait.
    @inline(__always)
    @inlinable
    package var delay: UInt64 { isFree ? 0 : delayNow }

    @inline(never)
    @usableFromInline
    var delayNow: UInt64 {
        let now = Monotonic.nanoseconds()
        let sold = soldUntil.load(ordering: .relaxed)
        guard sold > now, sold - now >= TimeSale.delayMinNanoseconds else { return 0 }
        return sold - now
    }
}
