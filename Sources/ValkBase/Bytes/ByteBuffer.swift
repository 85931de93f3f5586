// A growable, owned run of bytes: reply buffers, log frames, table blocks.
//
// A plain struct without reference counting. Hot owners keep it behind `UnsafeMutablePointer<ByteBuffer>`, so that
// appends cost neither a retain nor an exclusivity check. Storage never shrinks by itself; `release()` frees it.
// Not thread-safe: one owner at a time. Growth doubles, so appending n bytes costs O(n) in all.

import CValk
import Glibc

@frozen
@usableFromInline
package struct ByteBuffer: ~Copyable {
    @usableFromInline package private(set) var base: UnsafeMutableRawPointer
    /// Bytes in use.
    @usableFromInline package var length: Int
    @usableFromInline package private(set) var capacity: Int

    /// `capacity` may be 0; storage is then taken at the first append.
    package init(capacity: Int = 0) {
        self.base = capacity > 0 ? malloc(capacity)! : UnsafeMutableRawPointer(mutating: emptyBytes)
        self.length = 0
        self.capacity = capacity
    }

    deinit { if capacity > 0 { free(base) } }

    @inlinable
    package var count: Int { length }

    @inlinable
    package var isEmpty: Bool { length == 0 }

    /// What is in the buffer now; invalid after the next append.
    @inlinable
    package var view: ByteView { ByteView(base: UnsafeRawPointer(base), count: length) }

    /// Makes room for `n` more bytes and returns where they go; `advance` then counts them in.
    @inlinable
    package mutating func reserve(_ n: Int) -> UnsafeMutableRawPointer {
        if length &+ n > capacity { grow(n) }
        return base + length
    }

    @inlinable
    package mutating func advance(_ n: Int) { length &+= n }

    /// Forgets everything past `newLength`, which is at most `count`.
    @inlinable
    package mutating func truncate(_ newLength: Int) { length = newLength }

    @inlinable
    package mutating func removeAll() { length = 0 }

    /// Drops the first `n` bytes and moves the rest to the front.
    package mutating func removeFirst(_ n: Int) {
        precondition(n <= length, "removeFirst(\(n)) of \(length)")
        memmove(base, base + n, length - n)
        length -= n
    }

    /// Frees the storage; the buffer is empty and usable afterwards.
    package mutating func release() {
        if capacity > 0 { free(base) }
        base = UnsafeMutableRawPointer(mutating: emptyBytes)
        length = 0
        capacity = 0
    }

    /// Makes the storage at least `total` bytes large, exactly that when it has to grow: for a size known beforehand.
    package mutating func ensureCapacity(_ total: Int) {
        if total <= capacity { return }
        base = capacity > 0 ? realloc(base, total)! : malloc(total)!
        capacity = total
    }

    @inline(never)
    @usableFromInline
    mutating func grow(_ n: Int) {
        var wanted = capacity < 256 ? 256 : capacity &* 2
        while wanted < length + n { wanted *= 2 }
        if capacity > 0 {
            base = realloc(base, wanted)!
        } else {
            base = malloc(wanted)!
        }
        capacity = wanted
    }

    @inlinable
    package mutating func append(_ byte: UInt8) {
        reserve(1).storeBytes(of: byte, as: UInt8.self)
        length &+= 1
    }

    @inlinable
    package mutating func append(_ source: UnsafeRawPointer, _ n: Int) {
        let to = reserve(n)
        memcpy(to, source, n)
        length &+= n
    }

    @inlinable
    package mutating func append(_ bytes: ByteView) { append(bytes.base, bytes.count) }

    @inlinable
    package mutating func append(_ text: StaticString) { append(text.utf8Start, text.utf8CodeUnitCount) }

    /// For people-facing text only: not for hot paths.
    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append($0.baseAddress ?? emptyBytes.assumingMemoryBound(to: UInt8.self), $0.count) }
    }

    package mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append(ByteView($0)) } }

    /// Little-endian fixed width integers.
    @inlinable
    package mutating func appendFixed<T: FixedWidthInteger>(_ value: T) {
        reserve(MemoryLayout<T>.size).storeBytes(of: value.littleEndian, as: T.self)
        length &+= MemoryLayout<T>.size
    }

    /// LEB128, 1 to 10 bytes.
    @inlinable
    package mutating func appendVarint(_ value: UInt64) {
        length &+= Varint.write(value, to: reserve(10))
    }
}
