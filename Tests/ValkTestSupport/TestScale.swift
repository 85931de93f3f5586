// How much a long random test does: all of it, or the part that VALK_SCALE names, where everything is slow (under a
// sanitizer). Work is divided, never left out.

import Glibc

package enum TestScale {
    /// `count`, or with VALK_SCALE=8 an eighth of it; at least one.
    package static func part(of count: Int) -> Int {
        guard let text = getenv("VALK_SCALE"), let scale = Int(String(cString: text)), scale > 0 else { return count }
        return max(1, count / scale)
    }
}
