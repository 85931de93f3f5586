// Where random tests get their seed: from VALK_SEED when it is set, so that a failure can be repeated, from the clock
// and the process otherwise. The seed is printed either way.

import Glibc
import ValkBase

package struct TestSeed: Sendable {
    package let value: UInt64

    /// `test` names the test in the printed line.
    package init(_ test: String) {
        if let text = getenv("VALK_SEED"), let given = UInt64(String(cString: text)) {
            value = given
        } else {
            var random = SeededRandom(seed: Monotonic.nanoseconds() ^ UInt64(getpid()) << 40)
            value = random.next() % 1_000_000_000_000
        }
        print("\(test): seed \(value) (repeat with VALK_SEED=\(value))")
    }

    package var random: SeededRandom { SeededRandom(seed: value) }
}
