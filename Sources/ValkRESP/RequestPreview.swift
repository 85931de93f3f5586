// A glance at the requests that follow in the input: where their keys lie, so that the store can be told before they
// run.
//
// Knows no commands: the first argument counts as a key, for MGET and MSET (names that begin with "mg" or "ms") the
// others too; of scripts and functions ("ev", "fc") it is the third. What hashes, sets and sorted sets are asked for
// (names that begin with "h", "z", or "s" without an "e" behind it) is the second argument, or the third behind a
// score. Nothing is validated and nothing changes; at the first byte that is out of place the glance ends.

import ValkBase

package enum RequestPreview {
    /// Longer arguments are not taken for keys, bytes.
    package static let keyBytesMax = 128

    /// Collects at most `room` keys from the multibulk requests in `[from, length)` at `base`, and in `members`, with
    /// as much room, what may be a field or a member of what is at each key (empty where there is none). Returns how
    /// many keys were found in how many requests; an unfinished request counts when a key of it is there.
    package static func keys(
        _ base: UnsafeRawPointer, from: Int, length: Int, into keys: UnsafeMutablePointer<ByteView>,
        members: UnsafeMutablePointer<ByteView>, room: Int
    ) -> (keys: Int, requests: Int) {
        var cursor = Cursor(base: base, at: from, end: length)
        var found = 0
        var requests = 0
        while found < room {
            guard let count = cursor.number(UInt8(ascii: "*")), count > 0, let name = cursor.bulk() else { break }
            requests += 1
            let step = stride(name, count)
            let first = firstKey(name)
            let member = memberPlace(name)
            let before = found
            var i = 1
            while i < count {
                guard let argument = cursor.bulk() else { return (found, requests) }
                let isKey = step == 0 ? i == first : (i &- 1) % step == 0
                if isKey && found < room && argument.count <= keyBytesMax {
                    keys[found] = argument
                    members[found] = .empty
                    found &+= 1
                } else if i == member && found > before && argument.count <= keyBytesMax {
                    members[found &- 1] = argument
                }
                i &+= 1
            }
        }
        return (found, requests)
    }

    @inline(__always)
    private static func firstKey(_ name: ByteView) -> Int {
        guard name.count >= 4 else { return 1 }
        let start = (name[0] | 0x20, name[1] | 0x20)
        let runs = start == (UInt8(ascii: "e"), UInt8(ascii: "v")) || start == (UInt8(ascii: "f"), UInt8(ascii: "c"))
        return runs ? 3 : 1
    }

    /// Where the first field or member stands; 0 where there is none.
    @inline(__always)
    private static func memberPlace(_ name: ByteView) -> Int {
        guard name.count >= 4 else { return 0 }
        switch name[0] | 0x20 {
        case UInt8(ascii: "h"): return 2
        case UInt8(ascii: "s"): return name[1] | 0x20 == UInt8(ascii: "e") ? 0 : 2
        case UInt8(ascii: "z"):
            let second = name[1] | 0x20
            return second == UInt8(ascii: "a") || second == UInt8(ascii: "i") ? 3 : 2
        default: return 0
        }
    }

    /// Distance between the keys of MGET and MSET; 0 for commands with one key.
    @inline(__always)
    private static func stride(_ name: ByteView, _ count: Int) -> Int {
        guard count > 3, name.count == 4, name[0] | 0x20 == UInt8(ascii: "m") else { return 0 }
        switch name[1] | 0x20 {
        case UInt8(ascii: "g"): return 1
        case UInt8(ascii: "s"): return 2
        default: return 0
        }
    }

    private struct Cursor {
        let base: UnsafeRawPointer
        var at: Int
        let end: Int

        /// A type byte, a number below 100,000,000 and a line end.
        @inline(__always)
        mutating func number(_ type: UInt8) -> Int? {
            guard at &+ 3 < end, base.load(fromByteOffset: at, as: UInt8.self) == type else { return nil }
            var i = at &+ 1
            var value = 0
            let last = min(end &- 1, i &+ 8)
            while i < last {
                let digit = base.load(fromByteOffset: i, as: UInt8.self) &- 0x30
                if digit > 9 { break }
                value = value &* 10 &+ Int(digit)
                i &+= 1
            }
            guard i < end &- 1, base.load(fromByteOffset: i, as: UInt8.self) == 0x0D else { return nil }
            at = i &+ 2
            return value
        }

        @inline(__always)
        mutating func bulk() -> ByteView? {
            guard let count = number(UInt8(ascii: "$")), at &+ count &+ 2 <= end else { return nil }
            defer { at &+= count &+ 2 }
            return ByteView(base: base + at, count: count)
        }
    }
}
