// Integers of 1 to 64 bits at any bit of a string, as BITFIELD reads and changes them: big-endian, the highest bit
// first, beyond the end zeros.

import ValkBase

package struct BitFieldType: Equatable, Sendable {
    package var isSigned: Bool
    /// 1 to 63, with a sign to 64.
    package var bits: Int

    package init(isSigned: Bool, bits: Int) {
        self.isSigned = isSigned
        self.bits = bits
    }

    /// "i16", "u8"; nil when it is no such type.
    package init?(_ text: ByteView) {
        guard text.count >= 2, text[0] == UInt8(ascii: "i") || text[0] == UInt8(ascii: "u") else { return nil }
        isSigned = text[0] == UInt8(ascii: "i")
        guard let bits = Decimal.parse(text[1..<text.count]), bits >= 1, bits <= (isSigned ? 64 : 63) else {
            return nil
        }
        self.bits = Int(bits)
    }

    private var mask: UInt64 { bits == 64 ? .max : 1 << UInt64(bits) - 1 }
    private var highest: Int64 { Int64(bitPattern: mask >> (isSigned ? 1 : 0)) }
    private var lowest: Int64 { isSigned ? -highest - 1 : 0 }

    /// What `bits` bits of a pattern mean.
    private func value(_ pattern: UInt64) -> Int64 {
        if !isSigned { return Int64(bitPattern: pattern & mask) }
        let shift = UInt64(64 - bits)
        return Int64(bitPattern: pattern << shift) >> Int64(shift)
    }

    // MARK: In a string

    /// The integer at bit `offset`.
    package func read(_ bytes: ByteView, at offset: Int) -> Int64 {
        var pattern: UInt64 = 0
        var bit = offset
        while bit < offset + bits {
            // So much of one byte as belongs to it.
            let taken = min(8 - bit & 7, offset + bits - bit)
            let byte = bit >> 3 < bytes.count ? bytes[bit >> 3] : 0
            let part = (byte << UInt8(bit & 7)) >> UInt8(8 - taken)
            pattern = pattern << UInt64(taken) | UInt64(part)
            bit += taken
        }
        return value(pattern)
    }

    /// Sets the integer at bit `offset`; the string has room for it.
    package func write(_ value: Int64, to bytes: UnsafeMutableRawPointer, at offset: Int) {
        var left = bits
        var bit = offset
        while left > 0 {
            let taken = min(8 - bit & 7, left)
            left -= taken
            let shift = UInt8(8 - bit & 7 - taken)
            let mask = UInt8(truncatingIfNeeded: 1 << taken - 1) << shift
            let part = UInt8(truncatingIfNeeded: UInt64(bitPattern: value) >> UInt64(left)) << shift & mask
            let old = bytes.load(fromByteOffset: bit >> 3, as: UInt8.self)
            bytes.storeBytes(of: old & ~mask | part, toByteOffset: bit >> 3, as: UInt8.self)
            bit += taken
        }
    }

    // MARK: Overflow

    package enum Overflow: Sendable {
        case wrap, saturate, fail
    }

    /// `value + increment` as this type holds it; nil where it does not fit and that is to fail. A `value` from outside
    /// (SET) may itself be out of range; without a sign it is taken for 64 bits without one.
    package func add(_ value: Int64, _ increment: Int64, _ overflow: Overflow) -> Int64? {
        let (sum, isLost) = value.addingReportingOverflow(increment)
        let isHigh: Bool
        if isSigned {
            if !isLost && sum >= lowest && sum <= highest { return sum }
            // As Redis reckons, for whom a far too low value is too high: the room above it does not fit 64 bits.
            let room = highest &- value
            isHigh = value > highest || (increment > room && (bits != 64 || (value >= 0 && increment > 0)))
        } else {
            // Fields without a sign have at most 63 bits, so what is negative here came from outside.
            isHigh = value < 0 || value > highest || (increment > 0 && (isLost || sum > highest))
            if !isHigh && sum >= 0 { return sum }
        }
        switch overflow {
        case .wrap: return self.value(UInt64(bitPattern: value) &+ UInt64(bitPattern: increment))
        case .saturate: return isHigh ? highest : lowest
        case .fail: return nil
        }
    }
}
