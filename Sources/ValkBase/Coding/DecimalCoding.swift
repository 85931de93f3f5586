// Decimal text to integers and back, with the strictness that Redis has: no spaces, no plus sign, no leading zeros,
// no "-0"; overflow is refused.

@usableFromInline
package enum Decimal {
    /// The whole of `text` as a signed 64-bit integer in canonical form, or nil.
    @inlinable
    package static func parse(_ text: ByteView) -> Int64? {
        let n = text.count
        if n == 0 || n > 20 { return nil }
        if n == 1 {
            let c = text[0] &- 0x30
            return c <= 9 ? Int64(c) : nil
        }
        var i = 0
        let negative = text[0] == 0x2D
        if negative { i = 1 }
        let first = text[i] &- 0x30
        if first == 0 || first > 9 { return nil }
        var value = UInt64(first)
        i &+= 1
        while i < n {
            let c = text[i] &- 0x30
            if c > 9 { return nil }
            let (m, o1) = value.multipliedReportingOverflow(by: 10)
            let (s, o2) = m.addingReportingOverflow(UInt64(c))
            if o1 || o2 { return nil }
            value = s
            i &+= 1
        }
        if negative {
            if value > UInt64(Int64.max) + 1 { return nil }
            return Int64(truncatingIfNeeded: 0 &- value)
        }
        return value > UInt64(Int64.max) ? nil : Int64(value)
    }

    /// The whole of `text` as an unsigned 64-bit integer (digits only), or nil.
    @inlinable
    package static func parseUnsigned(_ text: ByteView) -> UInt64? {
        if text.count == 0 || text.count > 20 { return nil }
        var value: UInt64 = 0
        for i in 0..<text.count {
            let c = text[i] &- 0x30
            if c > 9 { return nil }
            let (m, o1) = value.multipliedReportingOverflow(by: 10)
            let (s, o2) = m.addingReportingOverflow(UInt64(c))
            if o1 || o2 { return nil }
            value = s
        }
        return value
    }

    /// Writes `value` at `to` (room for 20 bytes) and returns the length.
    @inlinable
    package static func write(_ value: Int64, to: UnsafeMutableRawPointer) -> Int {
        if value < 0 {
            to.storeBytes(of: 0x2D, as: UInt8.self)
            return 1 &+ write(value.magnitude, to: to + 1)
        }
        return write(UInt64(value), to: to)
    }

    @inlinable
    package static func write(_ value: UInt64, to: UnsafeMutableRawPointer) -> Int {
        if value < 10 {
            to.storeBytes(of: UInt8(truncatingIfNeeded: value) &+ 0x30, as: UInt8.self)
            return 1
        }
        var digits = 1
        var limit: UInt64 = 10
        while digits < 20 && value >= limit {
            digits &+= 1
            let (next, overflow) = limit.multipliedReportingOverflow(by: 10)
            if overflow { break }
            limit = next
        }
        var v = value
        var i = digits &- 1
        while i >= 0 {
            let q = v / 10
            to.storeBytes(of: UInt8(truncatingIfNeeded: v &- q &* 10) &+ 0x30, toByteOffset: i, as: UInt8.self)
            v = q
            i &-= 1
        }
        return digits
    }
}
