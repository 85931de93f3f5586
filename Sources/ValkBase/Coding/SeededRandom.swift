// A small deterministic generator (SplitMix64, Steele et al. 2014) for tests, sampling and tie breaking. Not for
// secrets.

@usableFromInline
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }

    @inlinable
    package mutating func next() -> UInt64 { step() }

    @usableFromInline
    mutating func step() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in 0..<bound; `bound` is at least 1.
    package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    /// True once in `n`.
    package mutating func oneIn(_ n: Int) -> Bool { below(n) == 0 }
}
