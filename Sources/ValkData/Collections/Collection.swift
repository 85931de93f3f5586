// One hash, list, set, sorted set or stream, open in a transaction: what its entry says, and its elements while they
// are few.
//
// The entry of a collection stands where a string would stand, under the user's key:
//
//   tag     type | how Redis would hold it | form          (ValueTag)
//   value   [id u64 LE][count u64 LE][extra u64 LE, as many as the type has]   then, in the packed form, the elements
//
// Two forms. *Packed*: everything lies in the entry, as long as that is at most `packedBytesMax` bytes; id is 0.
// *Spread*: each element is an entry of its own under the collection's id, which was never used before and never is
// again. A collection is packed until it outgrows that, and stays spread from then on until it is gone or is written
// anew (`emptied`). Which of the two it is shows nowhere outside of this folder.
//
// Delete and replace are writes of the entry alone: elements under an id that no entry mentions are dead, and merges
// leave them out (CollectionFilter).

import ValkBase
import ValkEngine

/// Bits of a collection's tag above its type.
package enum CollectionTag {
    /// Redis would hold it in its large form ("hashtable", "skiplist"), whatever its size is now.
    package static var large: UInt8 { 0x10 }
    /// The elements are entries of their own.
    static var spread: UInt8 { 0x80 }
}

package struct Collection {
    /// Largest value of an entry that holds its elements: small enough to lie in the tables beside its key.
    static var packedBytesMax: Int { 960 }

    package let type: ValueType
    package let namespace: UInt32
    /// As stored, forms included.
    package var tag: UInt8
    /// Elements: fields, members, …
    package var count: Int
    /// Numbers that a type keeps: of a list the position of its first element, of a hash a time not after the earliest
    /// one of a field (FieldTimes), of a sorted set the bounds of its scores and its RankIndex, of a stream what
    /// StreamState says.
    package var extra: SIMD8<UInt64>
    var id: UInt64
    var packed: PackedElements
    /// What is at the key; `entry` only says whether there is anything.
    var was: KeyState
    /// Of a hash: the time under which the index of fields' times has it; 0 when it is not in there.
    var indexedAt: UInt64 = 0
    /// Something was written that the entry itself does not show.
    var hasChangedElements = false

    package var isSpread: Bool { tag & CollectionTag.spread != 0 }

    /// Whether the key held it when it was opened.
    package var isThere: Bool { was.entry != nil }

    /// When the key expires; 0: never.
    package var expireAt: UInt64

    // MARK: The entry's value

    static func extraCount(_ type: ValueType) -> Int {
        switch type {
        case .list, .hash: return 1
        case .sortedSet: return 3
        case .stream: return 8
        case .string, .set: return 0
        }
    }

    static func headerBytes(_ type: ValueType) -> Int { 16 + 8 * extraCount(type) }

    /// Of nothing, to be filled. `tag` is the type's.
    init(_ type: ValueType, _ namespace: UInt32, _ was: KeyState) {
        self.type = type
        self.namespace = namespace
        self.was = was
        tag = type.rawValue
        expireAt = 0
        count = 0
        extra = SIMD8()
        id = 0
        packed = PackedElements(.empty, headerBytes: Self.headerBytes(type))
    }

    /// The same collection without its elements, to be filled anew: in the packed form, or under an id of its own,
    /// where nothing lies that was deleted.
    package func emptied() -> Collection {
        var fresh = Collection(type, namespace, was)
        fresh.tag = tag & ~CollectionTag.spread
        fresh.expireAt = expireAt
        return fresh
    }

    /// From an entry's value; nil when it is none.
    init?(_ type: ValueType, _ namespace: UInt32, _ was: KeyState, tag: UInt8, value: ByteView) {
        let header = Self.headerBytes(type)
        guard value.count >= header else { return nil }
        self.type = type
        self.namespace = namespace
        self.was = was
        self.tag = tag
        expireAt = was.expireAt
        id = UInt64(littleEndian: value.base.loadUnaligned(as: UInt64.self))
        count = Int(
            truncatingIfNeeded: UInt64(littleEndian: value.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        extra = SIMD8()
        for i in 0..<Self.extraCount(type) {
            extra[i] = UInt64(littleEndian: value.base.loadUnaligned(fromByteOffset: 16 + 8 * i, as: UInt64.self))
        }
        if type == .hash { indexedAt = extra[0] }
        packed = PackedElements(value.dropFirst(header), headerBytes: header)
    }

    /// Writes the header to memory with room for `headerBytes`.
    func writeHeader(to memory: UnsafeMutableRawPointer) -> ByteView {
        memory.storeBytes(of: id.littleEndian, as: UInt64.self)
        memory.storeBytes(of: UInt64(count).littleEndian, toByteOffset: 8, as: UInt64.self)
        let more = Self.extraCount(type)
        for i in 0..<more { memory.storeBytes(of: extra[i].littleEndian, toByteOffset: 16 + 8 * i, as: UInt64.self) }
        return ByteView(base: memory, count: 16 + 8 * more)
    }

    /// The id in an entry's value; 0 when its elements are not spread.
    static func spreadID(tag: UInt8, value: ByteView) -> UInt64 {
        if tag & CollectionTag.spread == 0 || tag & 0x0F <= 1 || value.count < 16 { return 0 }
        return UInt64(littleEndian: value.base.loadUnaligned(as: UInt64.self))
    }
}
