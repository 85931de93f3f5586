// What gives way when the limit on stored data is reached: Redis's policies by their names.

/// In the order in which the setting `maxmemory-policy` has them.
package enum EvictionPolicy: Int, Sendable, CaseIterable {
    case volatileLRU, volatileLFU, volatileRandom, volatileTTL, allKeysLRU, allKeysLFU, allKeysRandom, noEviction

    package var countsFrequency: Bool { self == .volatileLFU || self == .allKeysLFU }
    /// Only keys with an expiry time may go.
    package var isVolatile: Bool { rawValue <= EvictionPolicy.volatileTTL.rawValue }
    /// By chance, without regard to use or time.
    var isRandom: Bool { self == .volatileRandom || self == .allKeysRandom }
}
