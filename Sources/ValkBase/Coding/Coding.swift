// Integers as bytes: little-endian fixed width, big-endian (for keys, because it orders), LEB128 varints.
// Reads of untrusted bytes go through `ByteReader`, which never runs past its end.

import CValk

@usableFromInline
package enum Varint {
    /// Writes `value` as LEB128 and returns the byte count, 1 to 10. `to` has room for 10 bytes.
    @inlinable
    package static func write(_ value: UInt64, to: UnsafeMutableRawPointer) -> Int {
        var v = value
        var n = 0
        while v >= 0x80 {
            to.storeBytes(of: UInt8(truncatingIfNeeded: v) | 0x80, toByteOffset: n, as: UInt8.self)
            v >>= 7
            n &+= 1
        }
        to.storeBytes(of: UInt8(truncatingIfNeeded: v), toByteOffset: n, as: UInt8.self)
        return n &+ 1
    }

    @inlinable
    package static func size(_ value: UInt64) -> Int {
        value == 0 ? 1 : (70 &- value.leadingZeroBitCount) / 7
    }

    /// Reads a varint that is known to be whole and valid (checksummed memory); moves `at` past it.
    @inlinable
    package static func readTrusted(_ at: inout UnsafeRawPointer) -> UInt64 {
        var byte = at.load(as: UInt8.self)
        at += 1
        if byte < 0x80 { return UInt64(byte) }
        var value = UInt64(byte & 0x7F)
        var shift: UInt64 = 7
        repeat {
            byte = at.load(as: UInt8.self)
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            shift &+= 7
        } while byte >= 0x80 && shift < 70
        return value
    }
}

/// Reads from bytes that may be damaged: every read says whether it fitted.
@frozen
@usableFromInline
package struct ByteReader {
    @usableFromInline package var at: UnsafeRawPointer
    @usableFromInline package let end: UnsafeRawPointer

    @inlinable
    package init(_ view: ByteView) {
        at = view.base
        end = view.base + view.count
    }

    @inlinable
    package var remaining: Int { end - at }

    @inlinable
    package mutating func fixed<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        guard remaining >= MemoryLayout<T>.size else { return nil }
        let v = at.loadUnaligned(as: T.self)
        at += MemoryLayout<T>.size
        return T(littleEndian: v)
    }

    @inlinable
    package mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < end && shift < 70 {
            let byte = at.load(as: UInt8.self)
            at += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    @inlinable
    package mutating func bytes(_ n: Int) -> ByteView? {
        guard n >= 0, remaining >= n else { return nil }
        defer { at += n }
        return ByteView(base: at, count: n)
    }
}

extension UnsafeRawPointer {
    @inlinable
    package func fixed<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    /// Big-endian, as stored in keys.
    @inlinable
    package func bigEndian<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension UnsafeMutableRawPointer {
    @inlinable
    package func storeFixed<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
    @inlinable
    package func storeBigEndian<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }
}
