// LZF, the compression of strings in Redis's RDB format.
//
//   000LLLLL                      L + 1 bytes follow as they are
//   LLLooooo oooooooo             L + 2 bytes (3 to 8) from o + 1 bytes back
//   111ooooo LLLLLLLL oooooooo    L + 9 bytes (9 to 264) from o + 1 bytes back
//
// The compressor looks for the last place with the same three bytes, one candidate a place, and takes what it finds. It
// decides as Redis's does (which places are remembered, where it gives up), so that both write the same bytes for the
// same string; nothing depends on that.

import Glibc
import ValkBase

/// Memory of the compressor; one thread at a time.
package final class LZFCompressor {
    private static let slotBits = 16
    private static let distanceMax = 1 << 13
    private static let literalsMax = 32
    private static let matchMax = 264

    /// By hash of three bytes: `base` plus where they were seen last. Smaller values are of earlier calls, so that the
    /// table is cleared once in 4 GiB.
    private let places: UnsafeMutablePointer<UInt32>
    private var base: UInt32 = 0

    package init() {
        places = .allocate(capacity: 1 << Self.slotBits)
        places.initialize(repeating: 0, count: 1 << Self.slotBits)
    }

    deinit { places.deallocate() }

    @inline(__always)
    private func slot(_ p: UnsafePointer<UInt8>) -> Int {
        let three = UInt32(p[0]) << 16 | UInt32(p[1]) << 8 | UInt32(p[2])
        return Int((three >> 8 &- three &* 5) & 0xFFFF)
    }

    /// Compresses `input` into at most `room` bytes at `output`. Returns how many; nil when they do not fit.
    package func compress(_ input: ByteView, to output: UnsafeMutableRawPointer, room: Int) -> Int? {
        let count = input.count
        guard count > 0, room > 0, count < 1 << 31 else { return nil }
        if Int(base) + count >= Int(UInt32.max) {
            places.update(repeating: 0, count: 1 << Self.slotBits)
            base = 0
        }
        // The first byte cannot be referred to, so that 0 is nowhere.
        let from = input.base.assumingMemoryBound(to: UInt8.self)
        let to = output.assumingMemoryBound(to: UInt8.self)
        let first = base
        base += UInt32(count)

        var at = 0
        // A run of literals begins with its length, which is written when it ends.
        var out = 1
        var literals = 0
        while at < count - 2 {
            let place = places + slot(from + at)
            let seen = place.pointee
            place.pointee = first + UInt32(at)
            let back = seen > first ? at - Int(seen - first) - 1 : Self.distanceMax
            if back < Self.distanceMax, equalThree(from + (at - back - 1), from + at) {
                if out - (literals == 0 ? 1 : 0) + 4 >= room { return nil }
                out = endRun(to, out, literals)
                literals = 0
                let length = matchLength(from + (at - back - 1), from + at, left: count - at)
                out = write(to, out, length: length, back: back)
                out += 1
                at += length
                if at >= count - 2 { break }
                for earlier in [at - 2, at - 1] { places[slot(from + earlier)] = first + UInt32(earlier) }
            } else {
                if out >= room { return nil }
                to[out] = from[at]
                out += 1
                at += 1
                literals += 1
                if literals == Self.literalsMax {
                    out = endRun(to, out, literals) + 1
                    literals = 0
                }
            }
        }
        // At most two bytes are left, and maybe one run begins.
        if out + 3 > room { return nil }
        while at < count {
            to[out] = from[at]
            out += 1
            at += 1
            literals += 1
            if literals == Self.literalsMax {
                out = endRun(to, out, literals) + 1
                literals = 0
            }
        }
        return endRun(to, out, literals)
    }

    @inline(__always)
    private func equalThree(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>) -> Bool {
        a[0] == b[0] && a[1] == b[1] && a[2] == b[2]
    }

    /// Writes the length of the run before `out`, or takes its place back. Returns where to go on.
    @inline(__always)
    private func endRun(_ to: UnsafeMutablePointer<UInt8>, _ out: Int, _ literals: Int) -> Int {
        if literals == 0 { return out - 1 }
        to[out - literals - 1] = UInt8(literals - 1)
        return out
    }

    /// How many bytes of a match are taken, three of which are known to be equal. The last two bytes stay literals,
    /// except near the end, where up to 16 bytes are compared without a look at it.
    private func matchLength(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>, left: Int) -> Int {
        let limit = min(left - 2, Self.matchMax)
        var length = 3
        if limit > 16 {
            while length <= 18 {
                if a[length] != b[length] { return length }
                length += 1
            }
        }
        while length < limit && a[length] == b[length] { length += 1 }
        return length
    }

    private func write(_ to: UnsafeMutablePointer<UInt8>, _ out: Int, length: Int, back: Int) -> Int {
        let high = UInt8(back >> 8)
        to[out] = UInt8(min(length - 2, 7)) << 5 | high
        if length < 9 {
            to[out + 1] = UInt8(truncatingIfNeeded: back)
            return out + 2
        }
        to[out + 1] = UInt8(length - 9)
        to[out + 2] = UInt8(truncatingIfNeeded: back)
        return out + 3
    }
}

package enum LZF {
    /// The most bytes that `count` compressed ones can stand for.
    package static func expansionMax(_ count: Int) -> Int { count * 88 }

    /// Writes what `input` stands for to `output`, which is to be exactly `count` bytes. False when it is not, or when
    /// `input` is no LZF.
    package static func expand(_ input: ByteView, to output: UnsafeMutableRawPointer, count: Int) -> Bool {
        let to = output.assumingMemoryBound(to: UInt8.self)
        var at = 0
        var out = 0
        while at < input.count {
            let control = Int(input[at])
            at += 1
            if control < 32 {
                let length = control + 1
                if out + length > count || at + length > input.count { return false }
                memcpy(to + out, input.base + at, length)
                out += length
                at += length
                continue
            }
            var length = control >> 5
            if length == 7 {
                if at >= input.count { return false }
                length += Int(input[at])
                at += 1
            }
            if at >= input.count { return false }
            let back = (control & 31) << 8 | Int(input[at])
            at += 1
            length += 2
            let from = out - back - 1
            if from < 0 || out + length > count { return false }
            if from + length <= out {
                memcpy(to + out, to + from, length)
            } else {
                // It repeats what it writes.
                for i in 0..<length { to[out + i] = to[from + i] }
            }
            out += length
        }
        return out == count
    }
}
