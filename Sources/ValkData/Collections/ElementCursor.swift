// A walk over the elements of a spread collection that outlives its command: for replies that are too large to be held
// as a whole.
//
// It shows the collection of the moment at which it was made, for as long as it lives, and keeps the tables and files
// of that moment alive. It belongs to nobody's reader: whoever holds it may use it, one thread at a time. Reads may
// wait for the device.

import ValkBase
import ValkEngine

package final class ElementCursor: @unchecked Sendable {  // Handed on from thread to thread, see above.
    private let cursor: StoreCursor
    private let isBackward: Bool

    /// Elements with keys in `lower ..< upper`, each in a scratch of its own, from the first on, or from the last back.
    /// For threads that may wait.
    package init(
        _ keys: KeyAccess, _ collection: borrowing Collection, from lower: ElementKey, to upper: ElementKey,
        isBackward: Bool = false
    ) throws(Interruption) {
        if !collection.isSpread { preconditionFailure("an element cursor over a packed collection") }
        cursor = try keys.reader.cursor(
            lower: lower.encoded(collection.namespace, collection.id),
            upper: upper.encoded(collection.namespace, collection.id))
        self.isBackward = isBackward
        try isBackward ? cursor.seekToLast() : cursor.seekToFirst()
    }

    /// All elements of one kind.
    package convenience init(
        _ keys: KeyAccess, _ collection: borrowing Collection, _ kind: UInt8, isBackward: Bool = false
    ) throws(Interruption) {
        try self.init(
            keys, collection, from: keys.elementBound().bound(kind), to: keys.elementBound().bound(kind + 1),
            isBackward: isBackward)
    }

    /// To the element at which `walk` stands, over the same collection at the same moment.
    package func move(to walk: borrowing ElementWalk) throws(Interruption) {
        guard isBackward else { return try cursor.seek(walk.storedKey) }
        var behind = ByteBuffer()
        behind.append(walk.storedKey)
        behind.append(0)
        try cursor.seekBefore(behind.view)
    }

    package var isValid: Bool { cursor.isValid }

    /// The element's key, its kind first; valid until the cursor moves, as everything that follows.
    package var key: ByteView { cursor.key.dropFirst(ElementKey.prefixBytes) }
    package var member: ByteView { key.memberOfElement }
    package var scored: (score: Double, member: ByteView) { key.scoredMemberOfElement }
    package func value() throws(Interruption) -> ByteView { try cursor.value() }

    /// Whether the element's own time has passed at `now`, milliseconds since 1970.
    package func isExpired(at now: UInt64) -> Bool {
        let expireAt = cursor.entry.pointee.expireAt
        return expireAt != 0 && expireAt <= now
    }

    package func advance() throws(Interruption) { try isBackward ? cursor.previous() : cursor.next() }
}
