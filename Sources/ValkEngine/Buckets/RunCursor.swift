// A run as one ordered cursor: its files one after the other. Files are opened for reading when the cursor reaches
// them.

import ValkBase

final class RunCursor: EntryCursor {
    private let run: Run
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    private var at = -1
    private var cursor: TableCursor?
    /// The same without reference counting, for the moves.
    private var current: Unmanaged<TableCursor>?

    /// `pins` must outlive the cursor.
    init(_ run: Run, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool) {
        self.run = run
        self.pins = pins
        self.access = access
        self.mayBlock = mayBlock
        super.init()
    }

    private func open(_ index: Int) -> TableCursor? {
        guard index >= 0 && index < run.files.count else {
            at = index
            cursor = nil
            current = nil
            return nil
        }
        if index != at || cursor == nil {
            at = index
            let opened = TableCursor(run.files[index].table, pins, access: access, mayBlock: mayBlock)
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
        try open(run.fileIndex(key))?.seek(key)
        try settleForward()
    }

    override func seekBefore(_ key: ByteView) throws(Interruption) {
        position = nil
        try open(min(run.fileIndex(key), run.files.count - 1))?.seekBefore(key)
        try settleBackward()
    }

    override func seekToFirst() throws(Interruption) {
        position = nil
        try open(0)?.seekToFirst()
        try settleForward()
    }

    override func seekToLast() throws(Interruption) {
        position = nil
        try open(run.files.count - 1)?.seekToLast()
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
