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
import ValkData

/// A set of stripes, one bit each.
struct StripeSet {
    var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init(words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)) { self.words = words }

    /// One stripe.
    init(_ stripe: Int) { insert(stripe) }

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

    func contains(_ stripe: Int) -> Bool {
        let word = stripe >> 6 == 0 ? words.0 : stripe >> 6 == 1 ? words.1 : stripe >> 6 == 2 ? words.2 : words.3
        return word & UInt64(1) << UInt64(stripe & 63) != 0
    }

    var isAll: Bool { words.0 & words.1 & words.2 & words.3 == .max }

    mutating func formUnion(_ other: StripeSet) {
        words.0 |= other.words.0
        words.1 |= other.words.1
        words.2 |= other.words.2
        words.3 |= other.words.3
    }

    /// Calls `body` with each stripe in ascending order until it says false. Returns whether it never did.
    @inline(__always)  // So that the closure costs nothing.
    func allSatisfy(_ body: (Int) -> Bool) -> Bool {
        for word in 0..<4 {
            var bits = word == 0 ? words.0 : word == 1 ? words.1 : word == 2 ? words.2 : words.3
            while bits != 0 {
                let stripe = word << 6 | bits.trailingZeroBitCount
                bits &= bits &- 1
                if !body(stripe) { return false }
            }
        }
        return true
    }
}

final class KeyStripes: @unchecked Sendable {  // Atomics on raw memory; waiting under the lock.
    /// One word a stripe, one cache line a stripe.
    private static let strideBytes = 64
    private let memory: UnsafeMutableRawPointer
    private let lock = Lock()
    private let released = Condition()

    init() {
        memory = .allocate(byteCount: Stripes.count * Self.strideBytes, alignment: 64)
        memset(memory, 0, Stripes.count * Self.strideBytes)
    }

    deinit { memory.deallocate() }

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
        set.allSatisfy { stripe in
            if tryAcquire(stripe) { return true }
            release(set, before: stripe)
            return false
        }
    }

    func acquire(_ set: StripeSet) {
        _ = set.allSatisfy { stripe in
            acquire(stripe)
            return true
        }
    }

    func release(_ set: StripeSet) { release(set, before: Stripes.count) }

    private func release(_ set: StripeSet, before end: Int) {
        _ = set.allSatisfy { stripe in
            if stripe < end { release(stripe) }
            return stripe < end
        }
    }

    // MARK: Either way

    /// Takes the stripe, waiting for it only if `waits`. Returns whether it is held now.
    @inline(__always)
    func take(_ stripe: Int, waits: Bool) -> Bool {
        if !waits { return tryAcquire(stripe) }
        acquire(stripe)
        return true
    }

    func take(_ set: StripeSet, waits: Bool) -> Bool {
        if !waits { return tryAcquire(set) }
        acquire(set)
        return true
    }
}
