// The keys of a collection's elements: what stands behind the collection's own prefix. KeyEncoding.md has the same byte
// by byte.
//
//   member    [1][hash u32 BE][bytes]       hash fields, members of sets, members of sorted sets
//   score     [2][score u64 BE][bytes]      members of sorted sets in the order of their scores
//   time      [2][time u64 BE][bytes]       fields of hashes with an expiry, in the order of those
//   position  [3][position u64 BE]          elements of lists
//   4 and up                                 streams (see there)
//
// Members stand in the order of a hash of them: a walk meets them in an order that is the same for every collection, a
// 32-bit cursor says how far HSCAN and its like have come without anything being remembered, and a random number finds
// a random member. The hash is stored; it never changes.

import ValkBase

package enum ElementKind {
    package static var member: UInt8 { 1 }
    package static var score: UInt8 { 2 }
    static var time: UInt8 { 2 }
    package static var position: UInt8 { 3 }
}

/// The key of one element, or a bound of a range of them, without the collection's prefix. The bytes lie in an
/// `ElementScratch`, with room for the prefix in front, and are valid until its next use.
package struct ElementKey {
    /// [namespace u32][space u8][id u64]
    static var prefixBytes: Int { 13 }
    /// In front of a member: its kind and its hash.
    static var memberPrefixBytes: Int { 5 }

    private let start: UnsafeMutableRawPointer
    package let count: Int

    /// `start` has `prefixBytes` bytes of room in front.
    init(start: UnsafeMutableRawPointer, count: Int) {
        self.start = start
        self.count = count
    }

    var bytes: ByteView { ByteView(base: start, count: count) }

    /// Room that `writeMember` needs beside the member.
    package static var memberRoom: Int { prefixBytes + memberPrefixBytes }

    /// Writes the store's key of a member to memory with room for it.
    package static func writeMember(
        _ namespace: UInt32, _ id: UInt64, _ member: ByteView, to memory: UnsafeMutableRawPointer
    ) -> ByteView {
        ElementScratch(base: memory).member(member).encoded(namespace, id)
    }

    /// The store's key of the element.
    func encoded(_ namespace: UInt32, _ id: UInt64) -> ByteView {
        let base = start - Self.prefixBytes
        base.storeBytes(of: namespace.bigEndian, as: UInt32.self)
        base.storeBytes(of: KeySpace.elements, toByteOffset: 4, as: UInt8.self)
        base.storeBytes(of: id.bigEndian, toByteOffset: 5, as: UInt64.self)
        return ByteView(base: base, count: count &+ Self.prefixBytes)
    }
}

/// Parts of an element's key, its kind first.
extension ByteView {
    var memberOfElement: ByteView { dropFirst(ElementKey.memberPrefixBytes) }

    var scoredMemberOfElement: (score: Double, member: ByteView) {
        (ScoreCoding.decode(UInt64(bigEndian: base.loadUnaligned(fromByteOffset: 1, as: UInt64.self))), dropFirst(9))
    }
}

/// What a member's place among the others is.
package func memberHash(_ member: ByteView) -> UInt32 { UInt32(truncatingIfNeeded: member.hash64 >> 32) }

/// Scores as numbers that order as scores do. Both zeros are the same score.
package enum ScoreCoding {
    package static func encode(_ score: Double) -> UInt64 {
        let bits = (score == 0 ? 0.0 : score).bitPattern
        return bits >> 63 == 1 ? ~bits : bits | 1 << 63
    }

    package static func decode(_ bits: UInt64) -> Double {
        Double(bitPattern: bits >> 63 == 1 ? bits & ~(1 << 63) : ~bits)
    }
}

/// Memory for one element's key: what it writes last is valid. Whoever made the memory owns it.
package struct ElementScratch {
    /// Kind and hash or score.
    static var headBytes: Int { 9 }
    /// Room for any element's key and one byte more.
    static var bytesMax: Int { ElementKey.prefixBytes + headBytes + KeyEncoding.userKeyBytesMax + 2 }

    private let start: UnsafeMutableRawPointer

    /// `base` has room for the key with `prefixBytes` more.
    init(base: UnsafeMutableRawPointer) { start = base + ElementKey.prefixBytes }

    /// `bytes` is at most `KeyEncoding.userKeyBytesMax` long.
    package func member(_ bytes: ByteView) -> ElementKey { member(memberHash(bytes), bytes) }

    package func member(_ hash: UInt32, _ bytes: ByteView) -> ElementKey {
        start.storeBytes(of: ElementKind.member, as: UInt8.self)
        start.storeBytes(of: hash.bigEndian, toByteOffset: 1, as: UInt32.self)
        (start + 5).copyMemory(from: bytes.base, byteCount: bytes.count)
        return ElementKey(start: start, count: bytes.count &+ 5)
    }

    /// A member of a sorted set under its score as `ScoreCoding` writes it, or a field of a hash under its time.
    package func score(_ score: UInt64, _ bytes: ByteView) -> ElementKey {
        start.storeBytes(of: ElementKind.score, as: UInt8.self)
        start.storeBytes(of: score.bigEndian, toByteOffset: 1, as: UInt64.self)
        (start + 9).copyMemory(from: bytes.base, byteCount: bytes.count)
        return ElementKey(start: start, count: bytes.count &+ 9)
    }

    /// The same with one byte more, as a bound behind the member itself.
    package func score(_ score: UInt64, _ bytes: ByteView, _ more: UInt8) -> ElementKey {
        let key = self.score(score, bytes)
        start.storeBytes(of: more, toByteOffset: key.count, as: UInt8.self)
        return ElementKey(start: start, count: key.count + 1)
    }

    package func position(_ position: UInt64) -> ElementKey {
        start.storeBytes(of: ElementKind.position, as: UInt8.self)
        start.storeBytes(of: position.bigEndian, toByteOffset: 1, as: UInt64.self)
        return ElementKey(start: start, count: 9)
    }

    /// The lowest key of a kind; as an upper bound it ends the kind before.
    package func bound(_ kind: UInt8) -> ElementKey {
        start.storeBytes(of: kind, as: UInt8.self)
        return ElementKey(start: start, count: 1)
    }

    /// Any kind, with bytes that order as they are.
    package func plain(_ kind: UInt8, _ bytes: ByteView) -> ElementKey {
        start.storeBytes(of: kind, as: UInt8.self)
        (start + 1).copyMemory(from: bytes.base, byteCount: bytes.count)
        return ElementKey(start: start, count: bytes.count &+ 1)
    }

    /// The bytes of a key from elsewhere.
    func copy(_ bytes: ByteView) -> ElementKey {
        start.copyMemory(from: bytes.base, byteCount: bytes.count)
        return ElementKey(start: start, count: bytes.count)
    }

    /// The entry that says whose elements follow it.
    func owner(_ namespace: UInt32, _ id: UInt64) -> ByteView {
        ElementKey(start: start, count: 0).encoded(namespace, id)
    }
}
