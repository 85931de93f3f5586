// A run as one ordered cursor: its fragments one after the other, each inside of its bounds. Files are opened for
// reading when the cursor reaches them.

import ValkBase

final class RunCursor: EntryCursor {
    private let run: Run
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    /// Set to whether the unknown priors of the file at the cursor have been counted; may be nil.
    private let resolved: UnsafeMutablePointer<Bool>?
    private var at = -1
    private var cursor: TableCursor?
    /// The same without reference counting, for the moves.
    private var current: Unmanaged<TableCursor>?
    /// Bounds of the fragment at the cursor.
    private var lower: [UInt8] = []
    private var upper: [UInt8] = []
    private var hasLower = false
    private var hasUpper = false

    /// `pins` and `resolved` must outlive the cursor.
    init(
        _ run: Run, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool,
        resolved: UnsafeMutablePointer<Bool>? = nil
    ) {
        self.run = run
        self.pins = pins
        self.access = access
        self.mayBlock = mayBlock
        self.resolved = resolved
        super.init()
    }

    private func open(_ index: Int) -> TableCursor? {
        guard index >= 0 && index < run.fragments.count else {
            at = index
            cursor = nil
            current = nil
            return nil
        }
        if index != at || cursor == nil {
            at = index
            let fragment = run.fragments[index]
            lower = fragment.range.lower
            upper = fragment.range.upper
            hasLower = !lower.isEmpty
            hasUpper = !upper.isEmpty
            resolved?.pointee = fragment.file.countsResolved
            let opened = TableCursor(fragment.file.table, pins, access: access, mayBlock: mayBlock)
            cursor = opened
            current = .passUnretained(opened)
        }
        return cursor
    }

    private func seekInto(_ key: ByteView, _ cursor: TableCursor) throws(Interruption) {
        let start = lower.withView { $0.compare(key) > 0 }
        if start { return try seekToStart(cursor) }
        try cursor.seek(key)
    }

    private func seekBack(_ key: ByteView, _ cursor: TableCursor) throws(Interruption) {
        let isBehind = hasUpper && upper.withView { $0.compare(key) < 0 }
        if isBehind { return try seekToEnd(cursor) }
        try cursor.seekBefore(key)
    }

    private func seekToStart(_ cursor: TableCursor) throws(Interruption) {
        if !hasLower { return try cursor.seekToFirst() }
        try lower.viewing { key throws(Interruption) in try cursor.seek(key) }
    }

    private func seekToEnd(_ cursor: TableCursor) throws(Interruption) {
        if !hasUpper { return try cursor.seekToLast() }
        try upper.viewing { key throws(Interruption) in try cursor.seekBefore(key) }
    }

    /// The entry at the table's cursor, nil when it is outside of the bounds.
    private func bounded(_ position: UnsafePointer<Entry>?) -> UnsafePointer<Entry>? {
        guard let position else { return nil }
        if hasUpper && upper.withView({ $0.compare(position.pointee.key) <= 0 }) { return nil }
        if hasLower && lower.withView({ $0.compare(position.pointee.key) > 0 }) { return nil }
        return position
    }

    private func settleForward() throws(Interruption) {
        position = bounded(cursor?.position)
        while position == nil, cursor != nil {
            guard let next = open(at + 1) else { return }
            try seekToStart(next)
            position = bounded(next.position)
        }
    }

    private func settleBackward() throws(Interruption) {
        position = bounded(cursor?.position)
        while position == nil, cursor != nil {
            guard let previous = open(at - 1) else { return }
            try seekToEnd(previous)
            position = bounded(previous.position)
        }
    }

    override func seek(_ key: ByteView) throws(Interruption) {
        position = nil
        if let cursor = open(run.fragmentIndex(key)) { try seekInto(key, cursor) }
        try settleForward()
    }

    override func seekBefore(_ key: ByteView) throws(Interruption) {
        position = nil
        if let cursor = open(min(run.fragmentIndex(key), run.fragments.count - 1)) { try seekBack(key, cursor) }
        try settleBackward()
    }

    override func seekToFirst() throws(Interruption) {
        position = nil
        if let cursor = open(0) { try seekToStart(cursor) }
        try settleForward()
    }

    override func seekToLast() throws(Interruption) {
        position = nil
        if let cursor = open(run.fragments.count - 1) { try seekToEnd(cursor) }
        try settleBackward()
    }

    override func next() throws(Interruption) {
        guard let current else { preconditionFailure("next() of a cursor that is nowhere") }
        position = nil
        position = try current.borrow { cursor throws(Interruption) in
            try cursor.next()
            return cursor.position
        }
        if position == nil || hasUpper { try settleForward() }
    }

    override func previous() throws(Interruption) {
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
