// Smooth brakes for writers: when the tree has more runs than it should, each batch of a thread that may wait waits a
// little, the longer the larger the debt, so that nobody comes to a stop later. Network loops are not held up here.
//
// Any thread; the Bucket Controller sets it, commits look at it.

import Glibc
import Synchronization

final class WritePace: Sendable {
    private let microseconds = Atomic<Int>(0)
    /// Of one batch.
    static let delayMax = 2000

    /// `debt`: runs that are too many. 1 costs a batch 2 µs, 10 cost it 200 µs, 32 the most.
    func set(debt: Int) {
        microseconds.store(debt <= 0 ? 0 : min(WritePace.delayMax, 2 * debt * debt), ordering: .relaxed)
    }

    /// How long a batch waits now.
    var delay: Int { microseconds.load(ordering: .relaxed) }

    @inline(__always)
    func wait() {
        let delay = delay
        if delay > 0 { usleep(UInt32(delay)) }
    }
}
