// How the keys that users see become keys of the store. KeyEncoding.md has the same byte by byte.
//
//   [namespace u32 BE][space u8][rest]
//
//   namespace n >= 1, one per database at a time
//     space 1  user key                        -> the key itself: tag = type byte, expireAt, value
//     space 2  [id u64 BE][element]            -> an element of a spread collection (ElementKey); without an element:
//                                                 the user key of the collection
//     space 3  [expireAt u64 BE][user key]     -> expiry index, empty value; one for each key that has an expiry
//     space 9  [time u64 BE][user key]         -> index of fields' times, empty value; one for each hash with such
//   namespace 0, the store's own
//     space 4  [namespace u32 BE][label u64 BE] -> [floor u64 BE][user key], a SCAN bookmark
//     space 5  [database u32 BE]               -> [namespace u32 BE], where a database lives now
//     space 6  (nothing)                       -> [namespace u32 BE], the first namespace never given out
//     space 7  [name]                          -> the text of a library of functions (FUNCTION LOAD)
//     space 8  (nothing)                       -> [run u64 BE], the first run never claimed (CollectionIDs)
//
// Big-endian numbers order as bytes, so a namespace is one range of keys, its user keys stand together in user order,
// and the expiry index in order of time. Stored; never renumber.

import ValkBase
import ValkEngine

@usableFromInline
package enum KeySpace {
    @inlinable package static var keys: UInt8 { 1 }
    package static var elements: UInt8 { 2 }
    package static var expiry: UInt8 { 3 }
    package static var bookmarks: UInt8 { 4 }
    package static var databases: UInt8 { 5 }
    package static var nextNamespace: UInt8 { 6 }
    package static var libraries: UInt8 { 7 }
    package static var collectionRuns: UInt8 { 8 }
    package static var fieldTimes: UInt8 { 9 }
}

@usableFromInline
package enum KeyEncoding {
    /// Longest user key. With the expiry index's prefix (13 bytes) it stays under the store's limit of 65,600.
    @inlinable package static var userKeyBytesMax: Int { 65_535 }
    /// Bytes in front of a user key in space 1.
    @inlinable package static var prefixBytes: Int { 5 }
    /// Bytes in front of a user key in the expiry index.
    package static var expiryPrefixBytes: Int { 13 }
    /// Room that any encoded key needs.
    package static var scratchBytes: Int { 13 + 65_535 + 3 }

    /// The user key within an encoded key of space 1.
    @inlinable
    package static func userKey(_ encoded: ByteView) -> ByteView { encoded.dropFirst(prefixBytes) }

    /// Writes the key of `user` (space 1) to memory with room for it and `prefixBytes` more.
    package static func write(_ namespace: UInt32, _ user: ByteView, to memory: UnsafeMutableRawPointer) -> ByteView {
        memory.storeBytes(of: namespace.bigEndian, as: UInt32.self)
        memory.storeBytes(of: KeySpace.keys, toByteOffset: 4, as: UInt8.self)
        (memory + 5).copyMemory(from: user.base, byteCount: user.count)
        return ByteView(base: memory, count: user.count &+ 5)
    }

    /// Whether an encoded key is one of space 1: a key as users see it.
    package static func isUserKey(_ encoded: ByteView) -> Bool {
        encoded.count >= prefixBytes && encoded[4] == KeySpace.keys
    }

    @inlinable
    package static func namespace(_ encoded: ByteView) -> UInt32 {
        UInt32(bigEndian: encoded.base.loadUnaligned(as: UInt32.self))
    }
}

/// Memory for one encoded key. The view that an encoding returns is valid until the next encoding into the same
/// scratch. Owned by whoever allocated it; `deallocate` once.
@usableFromInline
package struct KeyScratch {
    @usableFromInline let base: UnsafeMutableRawPointer

    package init() { base = .allocate(byteCount: KeyEncoding.scratchBytes, alignment: 16) }

    package func deallocate() { base.deallocate() }

    @inlinable
    func prefix(_ namespace: UInt32, _ space: UInt8) {
        base.storeBytes(of: namespace.bigEndian, as: UInt32.self)
        base.storeBytes(of: space, toByteOffset: 4, as: UInt8.self)
    }

    /// Space 1. `user` is at most `userKeyBytesMax` bytes.
    @inlinable
    package func key(_ namespace: UInt32, _ user: ByteView) -> ByteView {
        assert(user.count <= KeyEncoding.userKeyBytesMax)
        prefix(namespace, KeySpace.keys)
        (base + 5).copyMemory(from: user.base, byteCount: user.count)
        return ByteView(base: base, count: user.count &+ 5)
    }

    /// Space 3: the index entry of `user` under `expireAt`.
    package func expiry(_ namespace: UInt32, _ expireAt: UInt64, _ user: ByteView) -> ByteView {
        timed(namespace, KeySpace.expiry, expireAt, user)
    }

    /// An entry of an index in the order of time: space 3 or 9.
    package func timed(_ namespace: UInt32, _ space: UInt8, _ time: UInt64, _ user: ByteView) -> ByteView {
        prefix(namespace, space)
        base.storeBytes(of: time.bigEndian, toByteOffset: 5, as: UInt64.self)
        (base + 13).copyMemory(from: user.base, byteCount: user.count)
        return ByteView(base: base, count: user.count + 13)
    }

    /// The lowest key of `space` in `namespace`; as an upper bound it ends the space before.
    package func bound(_ namespace: UInt32, _ space: UInt8) -> ByteView {
        prefix(namespace, space)
        return ByteView(base: base, count: 5)
    }

    /// The lowest key of the whole namespace.
    package func namespaceBound(_ namespace: UInt32) -> ByteView {
        base.storeBytes(of: namespace.bigEndian, as: UInt32.self)
        return ByteView(base: base, count: 4)
    }

    package func bookmark(_ namespace: UInt32, _ label: UInt64) -> ByteView {
        prefix(0, KeySpace.bookmarks)
        base.storeBytes(of: namespace.bigEndian, toByteOffset: 5, as: UInt32.self)
        base.storeBytes(of: label.bigEndian, toByteOffset: 9, as: UInt64.self)
        return ByteView(base: base, count: 17)
    }

    /// The lowest bookmark key of `namespace`.
    package func bookmarkBound(_ namespace: UInt32) -> ByteView {
        prefix(0, KeySpace.bookmarks)
        base.storeBytes(of: namespace.bigEndian, toByteOffset: 5, as: UInt32.self)
        return ByteView(base: base, count: 9)
    }

    /// Space 7. `name` is at most `userKeyBytesMax` bytes.
    package func library(_ name: ByteView) -> ByteView {
        prefix(0, KeySpace.libraries)
        (base + 5).copyMemory(from: name.base, byteCount: name.count)
        return ByteView(base: base, count: name.count + 5)
    }

    package func database(_ number: Int) -> ByteView {
        prefix(0, KeySpace.databases)
        base.storeBytes(of: UInt32(number).bigEndian, toByteOffset: 5, as: UInt32.self)
        return ByteView(base: base, count: 9)
    }
}

/// Which of the writers' locks a key belongs to. By the user key alone, so that a key has the same stripe in every
/// database: MOVE and COPY between databases need no more stripes than their key arguments, and SWAPDB changes none.
@usableFromInline
package enum Stripes {
    package static var count: Int { 256 }

    @inlinable
    package static func index(of userKey: ByteView) -> Int { Int(truncatingIfNeeded: userKey.hash64 & 0xFF) }
}
