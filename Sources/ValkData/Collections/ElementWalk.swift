// A walk over the elements of a collection in the order of their keys, in both directions, whichever form it has.
//
// It sees the collection as it was when the walk was made: nothing may be changed in it meanwhile. What it shows is
// valid until it moves. On a loop a walk that goes on for long throws `.wouldBlock`, and a worker does it again.

import ValkBase
import ValkEngine

package struct ElementWalk: ~Copyable {
    // Both without reference counting: `keys` outlives every walk, and the cursor is given back at the end.
    private unowned(unsafe) let keys: KeyAccess
    private let cursor: Unmanaged<StoreCursor>?
    private let packed: PackedElements
    /// Offsets of the packed elements within the bounds.
    private var offsets: UnsafeMutablePointer<Int32>?
    private var count = 0
    private var at = -1
    private var looked = 0

    /// Elements with keys in `lower ..< upper`, each in a scratch of its own.
    package init(
        _ keys: KeyAccess, _ collection: borrowing Collection, from lower: ElementKey, to upper: ElementKey
    ) throws(Interruption) {
        self.keys = keys
        packed = collection.packed
        if collection.isSpread {
            cursor = try keys.reader.takeCursor(
                lower: lower.encoded(collection.namespace, collection.id),
                upper: upper.encoded(collection.namespace, collection.id))
            return
        }
        cursor = nil
        if packed.count == 0 { return }
        // An element takes three bytes at least.
        let room = keys.allocate((packed.count / 3 + 1) * 4).bindMemory(
            to: Int32.self, capacity: packed.count / 3 + 1)
        offsets = room
        var offset = 0
        while offset < packed.count {
            let place = packed.place(at: offset)
            if place.key.compare(upper.bytes) >= 0 { break }
            if place.key.compare(lower.bytes) >= 0 {
                room[count] = Int32(offset)
                count += 1
            }
            offset = place.end
        }
    }

    deinit { if let cursor { keys.reader.giveBack(cursor) } }

    /// All elements of one kind.
    package init(_ keys: KeyAccess, _ collection: borrowing Collection, _ kind: UInt8) throws(Interruption) {
        try self.init(
            keys, collection, from: keys.elementBound().bound(kind), to: keys.elementBound().bound(kind + 1))
    }

    /// From here on the walk ends when it has passed so many deleted elements; `hasRunOut` tells.
    package func setDeadBudget(_ count: Int) { cursor?._withUnsafeGuaranteedRef { $0.deadBudget = count } }

    package var hasRunOut: Bool { cursor?._withUnsafeGuaranteedRef { $0.deadBudget <= 0 } ?? false }

    package var isValid: Bool {
        if let cursor { return cursor._withUnsafeGuaranteedRef { $0.isValid } }
        return at >= 0 && at < count
    }

    private var place: PackedElements.Place {
        guard let offsets else { preconditionFailure("a walk that is nowhere") }
        return packed.place(at: Int(offsets[at]))
    }

    /// The element's key, its kind first.
    package var key: ByteView {
        if let cursor { return cursor._withUnsafeGuaranteedRef { $0.key.dropFirst(ElementKey.prefixBytes) } }
        return place.key
    }

    /// Of a member: its own bytes.
    package var member: ByteView { key.memberOfElement }

    /// Of an element in the order of scores: the score and the member.
    package var scored: (score: Double, member: ByteView) { key.scoredMemberOfElement }

    /// The store's key of the element; of a spread collection.
    var storedKey: ByteView {
        guard let cursor else { preconditionFailure("packed elements have no keys of their own") }
        return cursor._withUnsafeGuaranteedRef { $0.key }
    }

    package var expireAt: UInt64 {
        if let cursor { return cursor._withUnsafeGuaranteedRef { $0.entry.pointee.expireAt } }
        return place.element.expireAt
    }

    /// Whether the element's own time has passed.
    package var isExpired: Bool {
        let expireAt = self.expireAt
        return expireAt != 0 && expireAt <= keys.state.pointee.now
    }

    package func value() throws(Interruption) -> ByteView {
        if let cursor { return try cursor.borrow { cursor throws(Interruption) in try cursor.value() } }
        return place.element.value
    }

    /// Without reading it.
    package var valueLength: Int {
        if let cursor { return cursor._withUnsafeGuaranteedRef { $0.entry.pointee.valueLength } }
        return place.element.value.count
    }

    // MARK: Moves

    private mutating func count(_ n: Int = 1) throws(Interruption) {
        looked += n
        if looked > KeyScan.loopKeysMax && !keys.reader.mayBlock { throw .wouldBlock }
    }

    package mutating func seekToFirst() throws(Interruption) {
        at = 0
        if let cursor { try cursor.borrow { cursor throws(Interruption) in try cursor.seekToFirst() } }
    }

    package mutating func seekToLast() throws(Interruption) {
        at = count - 1
        if let cursor { try cursor.borrow { cursor throws(Interruption) in try cursor.seekToLast() } }
    }

    package mutating func next() throws(Interruption) {
        try count()
        at += 1
        if let cursor { try cursor.borrow { cursor throws(Interruption) in try cursor.next() } }
    }

    package mutating func previous() throws(Interruption) {
        try count()
        at -= 1
        if let cursor { try cursor.borrow { cursor throws(Interruption) in try cursor.previous() } }
    }

    /// To the first element that is not before `key`.
    package mutating func seek(_ key: ElementKey, in collection: borrowing Collection) throws(Interruption) {
        if let cursor {
            let key = key.encoded(collection.namespace, collection.id)
            return try cursor.borrow { cursor throws(Interruption) in try cursor.seek(key) }
        }
        at = 0
        while at < count && place.key.compare(key.bytes) < 0 { at += 1 }
    }

    /// To the last element before `key`.
    package mutating func seekBefore(_ key: ElementKey, in collection: borrowing Collection) throws(Interruption) {
        if let cursor {
            let key = key.encoded(collection.namespace, collection.id)
            return try cursor.borrow { cursor throws(Interruption) in try cursor.seekBefore(key) }
        }
        at = count - 1
        while at >= 0 && place.key.compare(key.bytes) >= 0 { at -= 1 }
    }
}
