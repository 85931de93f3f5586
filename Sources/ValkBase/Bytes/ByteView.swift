// A non-owning look at bytes that somebody else keeps alive: the currency of keys, values and arguments.
//
// Invariants:
// 1. `base` is readable for `count` bytes for as long as the owner promised; a view never frees or retains.
// 2. `base` is never null, also for empty views (it then points at a static byte).
// Views order as unsigned bytes, shorter first on a common prefix, like every key in the store.

import CValk
import Glibc

@frozen
@usableFromInline
package struct ByteView: @unchecked Sendable {  // Pointer and length; the owner of the bytes gives the thread rule.
    @usableFromInline package let base: UnsafeRawPointer
    @usableFromInline package let count: Int

    @inlinable
    package init(base: UnsafeRawPointer, count: Int) {
        self.base = base
        self.count = count
    }

    @inlinable
    package init(_ buffer: UnsafeRawBufferPointer) {
        self.base = buffer.baseAddress ?? emptyBytes
        self.count = buffer.count
    }

    /// A view of a literal; valid for ever.
    @inlinable
    package init(_ text: StaticString) {
        self.base = UnsafeRawPointer(text.utf8Start)
        self.count = text.utf8CodeUnitCount
    }

    @inlinable
    package static var empty: ByteView { ByteView(base: emptyBytes, count: 0) }

    @inlinable
    package var isEmpty: Bool { count == 0 }

    @inlinable
    package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// The byte at `index`, 0-based; the caller proves the range.
    @inlinable
    package subscript(index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }

    /// Bytes `range` as a view; the caller proves that the range lies inside.
    @inlinable
    package subscript(range: Range<Int>) -> ByteView {
        ByteView(base: base + range.lowerBound, count: range.upperBound &- range.lowerBound)
    }

    @inlinable
    package func dropFirst(_ n: Int) -> ByteView { ByteView(base: base + n, count: count &- n) }

    @inlinable
    package func starts(with prefix: ByteView) -> Bool {
        prefix.count <= count && memcmp(base, prefix.base, prefix.count) == 0
    }

    /// Negative, zero or positive, as the bytes order.
    @inlinable
    package func compare(_ other: ByteView) -> Int {
        let shared = count < other.count ? count : other.count
        let order = memcmp(base, other.base, shared)
        return order != 0 ? Int(order) : count &- other.count
    }

    /// Length of the longest common prefix.
    @inlinable
    package func commonPrefix(with other: ByteView) -> Int {
        let shared = count < other.count ? count : other.count
        var i = 0
        while i &+ 8 <= shared {
            let a = base.loadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian
            let b = other.base.loadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian
            if a != b { return i &+ ((a ^ b).trailingZeroBitCount >> 3) }
            i &+= 8
        }
        while i < shared && self[i] == other[i] { i &+= 1 }
        return i
    }

    /// ASCII case-insensitive equality with a literal that is written in lower case.
    @inlinable
    package func equalsIgnoringCase(_ lower: StaticString) -> Bool {
        guard count == lower.utf8CodeUnitCount else { return false }
        let other = lower.utf8Start
        for i in 0..<count {
            var c = self[i]
            if c >= 0x41 && c <= 0x5A { c |= 0x20 }
            if c != other[i] { return false }
        }
        return true
    }

    /// A copy as an array; for people and tests, not for hot paths.
    @inlinable
    package var array: [UInt8] { [UInt8](buffer) }

    /// The bytes as text, invalid UTF-8 repaired; for people and logs.
    @inlinable
    package var string: String { String(decoding: buffer, as: UTF8.self) }

    @inlinable
    package var hash64: UInt64 { valk_xxh3(base, count, 0) }
}

extension ByteView: Equatable {
    @inlinable
    package static func == (a: ByteView, b: ByteView) -> Bool {
        a.count == b.count && memcmp(a.base, b.base, a.count) == 0
    }
}

/// Where empty views point: 16 readable zeros. A constant of the program, so that asking costs nothing.
@inlinable
package var emptyBytes: UnsafeRawPointer {
    let zeros: StaticString = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    return UnsafeRawPointer(zeros.utf8Start)
}

extension Array where Element == UInt8 {
    /// Calls `body` with a view of the elements; the view must not leave the call.
    package func withView<R>(_ body: (ByteView) throws -> R) rethrows -> R {
        try withUnsafeBytes { raw in try body(ByteView(raw)) }
    }
}
