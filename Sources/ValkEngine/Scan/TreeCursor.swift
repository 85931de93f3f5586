// The children of a bucket as one ordered cursor: one child after the other, each a merge of its runs and, below them,
// of its own children. A child is opened when the cursor reaches it.

import ValkBase

extension Bucket {
    /// One cursor for each run, newest first, and one for all children. `pins` must outlive them.
    func cursors(_ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool) -> [EntryCursor] {
        var cursors: [EntryCursor] = runs.map { RunCursor($0, pins, access: access, mayBlock: mayBlock) }
        if !isLeaf { cursors.append(ChildrenCursor(self, pins, access: access, mayBlock: mayBlock)) }
        return cursors
    }
}

final class ChildrenCursor: EntryCursor {
    private let bucket: Bucket
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    private var at = -1
    private var cursor: EntryCursor?
    /// The same without reference counting, for the moves.
    private var current: Unmanaged<EntryCursor>?

    init(_ bucket: Bucket, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool) {
        self.bucket = bucket
        self.pins = pins
        self.access = access
        self.mayBlock = mayBlock
        super.init()
    }

    private func open(_ index: Int) -> EntryCursor? {
        guard index >= 0 && index < bucket.children.count else {
            at = index
            cursor = nil
            current = nil
            return nil
        }
        if index != at || cursor == nil {
            at = index
            let sources = bucket.children[index].cursors(pins, access: access, mayBlock: mayBlock)
            let opened = sources.count == 1 ? sources[0] : MergeCursor(sources)
            cursor = opened
            current = .passUnretained(opened)
        }
        return cursor
    }

    private func settleForward() throws(Interruption) {
        while let cursor, !cursor.isValid {
            guard let next = open(at + 1) else { break }
            try next.seekToFirst()
        }
        position = cursor?.position
    }

    private func settleBackward() throws(Interruption) {
        while let cursor, !cursor.isValid {
            guard let previous = open(at - 1) else { break }
            try previous.seekToLast()
        }
        position = cursor?.position
    }

    override func seek(_ key: ByteView) throws(Interruption) {
        position = nil
        try open(bucket.slot(key))?.seek(key)
        try settleForward()
    }

    override func seekBefore(_ key: ByteView) throws(Interruption) {
        position = nil
        try open(bucket.slot(key))?.seekBefore(key)
        try settleBackward()
    }

    override func seekToFirst() throws(Interruption) {
        position = nil
        try open(0)?.seekToFirst()
        try settleForward()
    }

    override func seekToLast() throws(Interruption) {
        position = nil
        try open(bucket.children.count - 1)?.seekToLast()
        try settleBackward()
    }

    override func next() throws(Interruption) {
        guard let current else { preconditionFailure("next() of a cursor that is nowhere") }
        position = nil
        position = try current.borrow { cursor throws(Interruption) in
            try cursor.next()
            return cursor.position
        }
        if position == nil { try settleForward() }
    }

    override func previous() throws(Interruption) {
        guard let current else { preconditionFailure("previous() of a cursor that is nowhere") }
        position = nil
        position = try current.borrow { cursor throws(Interruption) in
            try cursor.previous()
            return cursor.position
        }
        if position == nil { try settleBackward() }
    }
}
