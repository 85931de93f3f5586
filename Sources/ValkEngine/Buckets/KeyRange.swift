// A range of keys, `lower ..< upper`, by which buckets, jobs and locks name what they are about.
//
// An empty lower bound is before all keys (keys have at least one byte); an empty upper bound is after all keys.

import ValkBase

struct KeyRange: Hashable, Sendable {
    var lower: [UInt8] = []
    var upper: [UInt8] = []

    static let all = KeyRange()

    static func isBefore(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.withView { x in b.withView { x.compare($0) < 0 } } }

    /// The earlier of two upper bounds.
    static func earlier(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        if a.isEmpty { return b }
        return b.isEmpty || isBefore(a, b) ? a : b
    }

    /// The later of two lower bounds.
    static func later(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] { isBefore(a, b) ? b : a }

    var isEmpty: Bool { !upper.isEmpty && !KeyRange.isBefore(lower, upper) }

    func contains(_ key: [UInt8]) -> Bool {
        !KeyRange.isBefore(key, lower) && (upper.isEmpty || KeyRange.isBefore(key, upper))
    }

    func contains(_ other: KeyRange) -> Bool {
        if KeyRange.isBefore(other.lower, lower) { return false }
        return upper.isEmpty || (!other.upper.isEmpty && !KeyRange.isBefore(upper, other.upper))
    }

    /// Nil when no key is in both.
    func intersection(_ other: KeyRange) -> KeyRange? {
        let both = KeyRange(
            lower: KeyRange.later(lower, other.lower), upper: KeyRange.earlier(upper, other.upper))
        return both.isEmpty ? nil : both
    }

    func overlaps(_ other: KeyRange) -> Bool { intersection(other) != nil }
}
