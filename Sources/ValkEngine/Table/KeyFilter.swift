// Says of most absent keys that they are absent, without reading a block: a Bloom filter whose bits for one key all lie
// in one 64-byte line, so that a probe costs one cache miss (Putze, Sanders, Singler 2007).
//
// A key's 64-bit hash (XXH3 of the whole key) picks the line with its upper half; the bits inside the line come from
// the hash times an odd constant, nine bits each, up to seven. The filter block is the lines and nothing else; the
// number of bits per key is in the footer.

import CValk
import Glibc
import ValkBase

package enum KeyFilter {
    static let lineBytes = 64
    static let probesMax = 7
    private static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// Bits per key to set and test, for a filter of `bitsPerKey`: a little under ln 2 times, because lines fill
    /// unevenly.
    static func probes(bitsPerKey: Int) -> Int {
        bitsPerKey <= 0 ? 0 : min(probesMax, max(1, bitsPerKey * 6 / 10))
    }

    static func lineCount(keys: Int, bitsPerKey: Int) -> Int {
        max(1, (keys * bitsPerKey + lineBytes * 8 - 1) / (lineBytes * 8))
    }

    @inline(__always)
    static func line(_ hash: UInt64, _ lines: Int) -> Int {
        Int(truncatingIfNeeded: ((hash >> 32) &* UInt64(truncatingIfNeeded: lines)) >> 32)
    }

    static func insert(_ hash: UInt64, into bits: UnsafeMutableRawPointer, lines: Int, probes: Int) {
        let base = bits + line(hash, lines) &* lineBytes
        var h = hash &* multiplier
        for _ in 0..<probes {
            let bit = Int(truncatingIfNeeded: h & 511)
            let at = base + (bit >> 3)
            at.storeBytes(of: at.load(as: UInt8.self) | (1 << UInt8(bit & 7)), as: UInt8.self)
            h >>= 9
        }
    }

    /// Asks for the line of `hash`, so that the probe of one table waits while those of others do.
    @inline(__always)
    static func prefetch(_ hash: UInt64, in bits: UnsafeRawPointer, lines: Int) {
        valk_prefetch(bits + line(hash, lines) &* lineBytes)
    }

    /// False: the key is certainly not in the table. `lines` is at least 1.
    @inline(__always)
    static func mayContain(_ hash: UInt64, in bits: UnsafeRawPointer, lines: Int, probes: Int) -> Bool {
        let base = bits + line(hash, lines) &* lineBytes
        var h = hash &* multiplier
        var i = probes
        while i > 0 {
            let bit = Int(truncatingIfNeeded: h & 511)
            if base.load(fromByteOffset: bit >> 3, as: UInt8.self) & (1 << UInt8(truncatingIfNeeded: bit & 7)) == 0 {
                return false
            }
            h >>= 9
            i &-= 1
        }
        return true
    }
}
