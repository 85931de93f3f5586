// Faults on purpose, so that a run under a sanitizer can show that it would see one. Only scripts/sanitize asks for
// them, by VALK_SANITIZER_PROOF: "thread" or "address"; its runs expect a report.

import Glibc
import Testing
import ValkBase

@Suite struct SanitizerProof {
    private static func isAsked(_ kind: String) -> Bool {
        getenv("VALK_SANITIZER_PROOF").map { String(cString: $0) == kind } ?? false
    }

    /// Two threads write the same place, and nothing orders them.
    @Test(.enabled(if: isAsked("thread"))) func aRace() {
        nonisolated(unsafe) let place = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        place.initialize(to: 0)
        defer { place.deallocate() }
        let threads = (0..<2).map { number in
            PThread(name: "racer") { for _ in 0..<1000 { place.pointee += number } }
        }
        for thread in threads { thread.join() }
    }

    /// Reads memory that was given back.
    @Test(.enabled(if: isAsked("address"))) func aUseAfterFree() {
        let place = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        place.initialize(to: getpid() == 0 ? 1 : 2)
        place.deallocate()
        #expect(place.pointee != 1)
    }
}
