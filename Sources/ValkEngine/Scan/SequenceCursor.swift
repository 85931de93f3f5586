// One source after the other as one ordered cursor: the fragments of a run, the children of a bucket. Sources are
// numbered in key order and their keys do not overlap; a source is opened when the cursor reaches it, and let go when
// the cursor leaves it.
//
// A source may hold keys that are not part of the sequence (a table file of which a run has a part only): `open` says
// within which bounds the source counts. Subclasses say where a key is and open sources; all of the walking is here.

import ValkBase

class SequenceCursor: EntryCursor {
    /// How many sources there are.
    private let count: Int
    /// Number of the source that is open; the cursor is past an end when it is none of them.
    private var at = -1
    private var cursor: EntryCursor?
    /// The same without reference counting, for the moves.
    private var current: Unmanaged<EntryCursor>?
    /// Bounds of the source that is open.
    private var bounds = KeyRange.all
    private var hasLower = false
    private var hasUpper = false

    init(count: Int) {
        self.count = count
        super.init()
    }

    /// The source that may hold `key`: the first that has keys at or after it. `count` when there is none.
    func source(of key: ByteView) -> Int { preconditionFailure("abstract") }

    /// A cursor over a source, at no place yet, and the bounds within which it counts.
    func open(_ index: Int) -> (EntryCursor, KeyRange) { preconditionFailure("abstract") }

    override func upcoming(_ pointers: UnsafeMutablePointer<ValuePointer>, _ room: Int) -> Int {
        current?.borrow { $0.upcoming(pointers, room) } ?? 0
    }

    private final func enter(_ index: Int) -> EntryCursor? {
        if index == at, let cursor { return cursor }
        at = index
        guard index >= 0 && index < count else {
            cursor = nil
            current = nil
            return nil
        }
        let (opened, bounds) = open(index)
        self.bounds = bounds
        hasLower = !bounds.lower.isEmpty
        hasUpper = !bounds.upper.isEmpty
        cursor = opened
        current = .passUnretained(opened)
        mayRepeatKeys = opened.mayRepeatKeys
        return opened
    }

    private final func seekToStart(_ cursor: EntryCursor) throws(Interruption) {
        if !hasLower { return try cursor.seekToFirst() }
        try bounds.lower.viewing { key throws(Interruption) in try cursor.seek(key) }
    }

    private final func seekToEnd(_ cursor: EntryCursor) throws(Interruption) {
        if !hasUpper { return try cursor.seekToLast() }
        try bounds.upper.viewing { key throws(Interruption) in try cursor.seekBefore(key) }
    }

    /// The entry at the source's cursor, nil when it is outside of the bounds.
    private final func bounded(_ position: UnsafePointer<Entry>?) -> UnsafePointer<Entry>? {
        guard let position else { return nil }
        if hasUpper && bounds.upper.withView({ $0.compare(position.pointee.key) <= 0 }) { return nil }
        if hasLower && bounds.lower.withView({ $0.compare(position.pointee.key) > 0 }) { return nil }
        return position
    }

    private final func settleForward() throws(Interruption) {
        position = bounded(cursor?.position)
        while position == nil, cursor != nil {
            guard let next = enter(at + 1) else { return }
            try seekToStart(next)
            position = bounded(next.position)
        }
    }

    private final func settleBackward() throws(Interruption) {
        position = bounded(cursor?.position)
        while position == nil, cursor != nil {
            guard let previous = enter(at - 1) else { return }
            try seekToEnd(previous)
            position = bounded(previous.position)
        }
    }

    final override func seek(_ key: ByteView) throws(Interruption) {
        position = nil
        if let cursor = enter(source(of: key)) {
            if hasLower && bounds.lower.withView({ $0.compare(key) > 0 }) {
                try seekToStart(cursor)
            } else {
                try cursor.seek(key)
            }
        }
        try settleForward()
    }

    final override func seekBefore(_ key: ByteView) throws(Interruption) {
        position = nil
        if let cursor = enter(min(source(of: key), count - 1)) {
            if hasUpper && bounds.upper.withView({ $0.compare(key) < 0 }) {
                try seekToEnd(cursor)
            } else {
                try cursor.seekBefore(key)
            }
        }
        try settleBackward()
    }

    final override func seekToFirst() throws(Interruption) {
        position = nil
        if let cursor = enter(0) { try seekToStart(cursor) }
        try settleForward()
    }

    final override func seekToLast() throws(Interruption) {
        position = nil
        if let cursor = enter(count - 1) { try seekToEnd(cursor) }
        try settleBackward()
    }

    final override func next() throws(Interruption) {
        guard let current else { preconditionFailure("next() of a cursor that is nowhere") }
        position = nil
        position = try current.borrow { cursor throws(Interruption) in
            try cursor.next()
            return cursor.position
        }
        if position == nil || hasUpper { try settleForward() }
    }

    final override func previous() throws(Interruption) {
        guard let current else { preconditionFailure("previous() of a cursor that is nowhere") }
        position = nil
        position = try current.borrow { cursor throws(Interruption) in
            try cursor.previous()
            return cursor.position
        }
        if position == nil || hasLower { try settleBackward() }
    }
}

extension Array where Element == UInt8 {
    /// As `withView`, with the error's type.
    fileprivate func viewing(_ body: (ByteView) throws(Interruption) -> Void) throws(Interruption) {
        let fault = withUnsafeBytes { raw -> Interruption? in
            do throws(Interruption) { try body(ByteView(raw)) } catch { return error }
            return nil
        }
        if let fault { throw fault }
    }
}
