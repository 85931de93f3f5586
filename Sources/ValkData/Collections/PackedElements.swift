// The elements of a small collection, side by side in the collection's own entry: an ordered map in at most about a
// kilobyte, searched from its beginning.
//
//   element   [key length varint][value length * 2 + has expiry, varint][expiry u64 LE, if any][key][value]
//
// in the order of the keys (see ElementKey). The bytes are those of the store until the first change, which copies them
// into the transaction's arena, with room in front for the entry's header.

import Glibc
import ValkBase

/// What is kept under an element's key.
package struct Element {
    /// Valid until the collection is changed, or the transaction ends.
    package let value: ByteView
    /// Milliseconds since 1970; 0: never.
    package let expireAt: UInt64

    package init(value: ByteView, expireAt: UInt64 = 0) {
        self.value = value
        self.expireAt = expireAt
    }
}

struct PackedElements {
    /// Room of a copy that may be changed.
    private static let slackBytes = 512

    private var base: UnsafeRawPointer
    private(set) var count: Int
    private var capacity: Int
    /// In the arena; nil while the bytes are the store's.
    private var own: UnsafeMutableRawPointer?
    /// Bytes in front of an own copy.
    private let headerBytes: Int

    init(_ bytes: ByteView, headerBytes: Int) {
        base = bytes.base
        count = bytes.count
        capacity = 0
        own = nil
        self.headerBytes = headerBytes
    }

    var bytes: ByteView { ByteView(base: base, count: count) }

    /// One element as it lies here, and the offset of the next one.
    struct Place {
        let key: ByteView
        let element: Element
        let offset: Int
        let end: Int
    }

    func place(at offset: Int) -> Place {
        var at = base + offset
        let keyBytes = Int(Varint.readTrusted(&at))
        let word = Varint.readTrusted(&at)
        var expireAt: UInt64 = 0
        if word & 1 != 0 {
            expireAt = UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
            at += 8
        }
        let valueBytes = Int(word >> 1)
        let key = ByteView(base: at, count: keyBytes)
        let value = ByteView(base: at + keyBytes, count: valueBytes)
        return Place(
            key: key, element: Element(value: value, expireAt: expireAt), offset: offset,
            end: at + keyBytes + valueBytes - base)
    }

    /// The first element whose key is not less than `key`; nil when there is none.
    func lowerBound(_ key: ByteView) -> (place: Place, isEqual: Bool)? {
        var offset = 0
        while offset < count {
            let place = place(at: offset)
            let order = place.key.compare(key)
            if order >= 0 { return (place, order == 0) }
            offset = place.end
        }
        return nil
    }

    func find(_ key: ByteView) -> Element? {
        guard let found = lowerBound(key), found.isEqual else { return nil }
        return found.place.element
    }

    // MARK: Changes

    /// Bytes that an element takes here.
    static func size(_ key: ByteView, _ element: Element) -> Int {
        let word = UInt64(element.value.count) << 1
        return Varint.size(UInt64(key.count)) + Varint.size(word) + (element.expireAt == 0 ? 0 : 8) + key.count
            + element.value.count
    }

    /// Sets an element; key and value may not lie in these bytes.
    mutating func put(_ key: ByteView, _ element: Element, _ keys: KeyAccess) {
        var from = count
        var to = count
        if let found = lowerBound(key) {
            from = found.place.offset
            to = found.isEqual ? found.place.end : from
        }
        let size = Self.size(key, element)
        var at = open(from..<to, size, keys)
        at += Varint.write(UInt64(key.count), to: at)
        at += Varint.write(UInt64(element.value.count) << 1 | (element.expireAt == 0 ? 0 : 1), to: at)
        if element.expireAt != 0 {
            at.storeBytes(of: element.expireAt.littleEndian, as: UInt64.self)
            at += 8
        }
        at.copyMemory(from: key.base, byteCount: key.count)
        (at + key.count).copyMemory(from: element.value.base, byteCount: element.value.count)
    }

    /// Takes an element out. False when it is not there.
    mutating func remove(_ key: ByteView, _ keys: KeyAccess) -> Bool {
        guard let found = lowerBound(key), found.isEqual else { return false }
        _ = open(found.place.offset..<found.place.end, 0, keys)
        return true
    }

    /// Replaces a range by `size` bytes that the caller fills.
    private mutating func open(_ range: Range<Int>, _ size: Int, _ keys: KeyAccess) -> UnsafeMutableRawPointer {
        let rest = count - range.upperBound
        let total = range.lowerBound + size + rest
        if let own, total <= capacity {
            let start = own + headerBytes
            memmove(start + range.lowerBound + size, start + range.upperBound, rest)
            count = total
            return start + range.lowerBound
        }
        capacity = total + Self.slackBytes
        let fresh = keys.allocate(headerBytes + capacity)
        let start = fresh + headerBytes
        memcpy(start, base, range.lowerBound)
        memcpy(start + range.lowerBound + size, base + range.upperBound, rest)
        own = fresh
        base = UnsafeRawPointer(start)
        count = total
        return start + range.lowerBound
    }

    /// The whole as an entry's value, with `header` in front.
    mutating func entry(_ header: ByteView, _ keys: KeyAccess) -> ByteView {
        assert(header.count == headerBytes, "\(header.count) bytes of header")
        if own == nil { _ = open(count..<count, 0, keys) }
        guard let own else { preconditionFailure("no copy to write") }
        own.copyMemory(from: header.base, byteCount: headerBytes)
        return ByteView(base: own, count: headerBytes + count)
    }
}
