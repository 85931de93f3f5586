// Exclusive rights to keys: 256 stripes chosen by the hash of the user's key (without its database, so that MOVE, COPY
// and SWAPDB need no second set). A writer holds the stripes of its keys from before its handler reads until its batch
// is visible; readers need none, they read a fixed moment.
//
// Loops only try: when a stripe is taken, the command goes to a worker, which waits. A stripe that somebody waits for
// counts as taken for triers, so that a busy loop cannot starve a worker. Stripes are always taken in ascending order,
// and who waits holds only lower ones: no cycle, no deadlock.
//
// A stripe's word: bit 0 held, the rest twice the number of waiters. The last act of a holder is one locked subtract;
// only when there are waiters does it touch the mutex.

import CValk
import ValkBase

/// A set of stripes, one bit each.
struct StripeSet {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static let all = StripeSet(words: (.max, .max, .max, .max))

    mutating func insert(_ stripe: Int) {
        let bit = UInt64(1) << UInt64(stripe & 63)
        switch stripe >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func formUnion(_ other: StripeSet) {
        words.0 |= other.words.0
        words.1 |= other.words.1
        words.2 |= other.words.2
        words.3 |= other.words.3
    }

    subscript(word: Int) -> UInt64 {
        switch word {
        case 0: words.0
        case 1: words.1
        case 2: words.2
        default: words.3
        }
    }
}

final class KeyStripes: @unchecked Sendable {  // Atomics on raw memory; waiting under the lock.
    static let count = 256
    /// One word a stripe, one cache line a stripe.
    private static let strideBytes = 64
    private let memory: UnsafeMutableRawPointer
    private let lock = Lock()
    private let released = Condition()

    init() {
        memory = .allocate(byteCount: Self.count * Self.strideBytes, alignment: 64)
        memset(memory, 0, Self.count * Self.strideBytes)
    }

    deinit { memory.deallocate() }

    @inline(__always)  // A multiply and a shift on the request path.
    static func stripe(of key: ByteView) -> Int { Int(truncatingIfNeeded: key.hash64 >> 56) }

    @inline(__always)
    private func word(_ stripe: Int) -> UnsafeMutableRawPointer { memory + stripe &* Self.strideBytes }

    // MARK: One stripe

    @inline(__always)
    func tryAcquire(_ stripe: Int) -> Bool { valk_cas_u32(word(stripe), 0, 1) }

    @inline(__always)
    func release(_ stripe: Int) {
        if valk_fetch_sub_u32(word(stripe), 1) != 1 { wakeWaiters() }
    }

    /// Waits until the stripe is free and takes it. Never on a loop.
    func acquire(_ stripe: Int) {
        if tryAcquire(stripe) { return }
        let at = word(stripe)
        lock.lock()
        _ = valk_fetch_add_u32(at, 2)
        while true {
            let now = valk_load_acquire_u32(at)
            if now & 1 == 0 {
                if valk_cas_u32(at, now, now - 2 + 1) { break }
            } else {
                released.wait(lock)
            }
        }
        lock.unlock()
    }

    @inline(never)
    private func wakeWaiters() {
        lock.lock()
        released.broadcast()
        lock.unlock()
    }

    // MARK: Sets

    func tryAcquire(_ set: StripeSet) -> Bool {
        for w in 0..<4 {
            var bits = set[w]
            while bits != 0 {
                let bit = bits.trailingZeroBitCount
                bits &= bits &- 1
                let stripe = w << 6 | bit
                if !tryAcquire(stripe) {
                    release(set, before: stripe)
                    return false
                }
            }
        }
        return true
    }

    func acquire(_ set: StripeSet) {
        for w in 0..<4 {
            var bits = set[w]
            while bits != 0 {
                let bit = bits.trailingZeroBitCount
                bits &= bits &- 1
                acquire(w << 6 | bit)
            }
        }
    }

    func release(_ set: StripeSet) { release(set, before: Self.count) }

    private func release(_ set: StripeSet, before end: Int) {
        for w in 0..<4 {
            var bits = set[w]
            while bits != 0 {
                let bit = bits.trailingZeroBitCount
                bits &= bits &- 1
                let stripe = w << 6 | bit
                if stripe >= end { return }
                release(stripe)
            }
        }
    }
}
