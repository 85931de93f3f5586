// Time. Wall time is only for what users see (expiry, LASTSAVE); order and durations use the monotonic clock.

import CValk
import Synchronization

/// Where the wall clock comes from; tests give their own.
package protocol WallClock: AnyObject, Sendable {
    /// Milliseconds since 1970.
    func milliseconds() -> UInt64
}

package final class SystemClock: WallClock {
    package init() {}
    package func milliseconds() -> UInt64 { valk_wall_us() / 1000 }
}

/// A clock that stands still until it is told to move.
package final class ManualClock: WallClock {
    private let now: Atomic<UInt64>
    package init(milliseconds: UInt64 = 1_700_000_000_000) { now = Atomic(milliseconds) }
    package func milliseconds() -> UInt64 { now.load(ordering: .relaxed) }
    package func advance(_ milliseconds: UInt64) { now.wrappingAdd(milliseconds, ordering: .relaxed) }
}

@usableFromInline
package enum Monotonic {
    @inlinable
    package static func nanoseconds() -> UInt64 { valk_monotonic_ns() }
}
