// A place in an ordered run of entries: a sorted table in memory, a table file, or a merge of several.
//
// Subclasses yield every version, in entry order (key ascending, sequence descending). `entry` holds views that are
// valid until the cursor moves. One thread at a time. Any call may throw `.wouldBlock` when the cursor must not wait;
// the cursor is then in no defined place and has to be positioned again.
//
// Where the entry lies is a stored property that every move sets: merges look at it several times a move, and a look
// is a load and not a call.

import ValkBase

package class EntryCursor {
    /// The entry at the cursor, nil when the cursor is nowhere. Set by the subclass; valid until the cursor moves.
    package final var position: UnsafePointer<Entry>?

    /// The cursor may show more than one version of a key that it is at.
    package final var mayRepeatKeys = false

    init() {}

    package final var isValid: Bool { position != nil }

    /// The entry at the cursor; only while `isValid`.
    package final var entry: Entry {
        guard let position else { preconditionFailure("entry of a cursor that is nowhere") }
        return position.pointee
    }

    /// From here on only versions of at most `sequence` are seen in tables in memory; what lies below them is older.
    /// The cursor has to be positioned anew.
    func show(upTo sequence: UInt64) {}

    /// Writes to `pointers`, which has room for `room`, where values in the log lie that the cursor will likely show
    /// next, walking forward, and returns how many. Tells only what is in memory, of each value once; a guess, good for
    /// reading ahead.
    func upcoming(_ pointers: UnsafeMutablePointer<ValuePointer>, _ room: Int) -> Int { 0 }

    /// To the first entry at or after `key` (its newest version).
    package func seek(_ key: ByteView) throws(Interruption) { preconditionFailure("abstract") }
    /// To the last entry before `key` (that key's oldest version).
    package func seekBefore(_ key: ByteView) throws(Interruption) { preconditionFailure("abstract") }
    package func seekToFirst() throws(Interruption) { preconditionFailure("abstract") }
    package func seekToLast() throws(Interruption) { preconditionFailure("abstract") }
    package func next() throws(Interruption) { preconditionFailure("abstract") }
    package func previous() throws(Interruption) { preconditionFailure("abstract") }
}
