// A run as one ordered cursor: its files one after the other. Files are opened for reading when the cursor reaches
// them.

import ValkBase

final class RunCursor: EntryCursor {
    private let run: Run
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    private var at = -1
    private var cursor: EntryCursor?

    /// `pins` must outlive the cursor.
    init(_ run: Run, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool) {
        self.run = run
        self.pins = pins
        self.access = access
        self.mayBlock = mayBlock
        super.init()
    }

    override var isValid: Bool { cursor?.isValid ?? false }

    override var entryPointer: UnsafePointer<Entry> {
        guard let cursor else { preconditionFailure("entry of a cursor that is nowhere") }
        return cursor.entryPointer
    }

    private func open(_ index: Int) -> EntryCursor? {
        guard index >= 0 && index < run.files.count else {
            at = index
            cursor = nil
            return nil
        }
        if index != at || cursor == nil {
            at = index
            cursor = TableCursor(run.files[index].table, pins, access: access, mayBlock: mayBlock)
        }
        return cursor
    }

    private func settleForward() throws(Interruption) {
        while let cursor, !cursor.isValid {
            guard let next = open(at + 1) else { return }
            try next.seekToFirst()
        }
    }

    private func settleBackward() throws(Interruption) {
        while let cursor, !cursor.isValid {
            guard let previous = open(at - 1) else { return }
            try previous.seekToLast()
        }
    }

    override func seek(_ key: ByteView) throws(Interruption) {
        guard let file = open(run.fileIndex(key)) else { return }
        try file.seek(key)
        try settleForward()
    }

    override func seekBefore(_ key: ByteView) throws(Interruption) {
        let index = min(run.fileIndex(key), run.files.count - 1)
        guard let file = open(index) else { return }
        try file.seekBefore(key)
        try settleBackward()
    }

    override func seekToFirst() throws(Interruption) {
        try open(0)?.seekToFirst()
        try settleForward()
    }

    override func seekToLast() throws(Interruption) {
        try open(run.files.count - 1)?.seekToLast()
        try settleBackward()
    }

    override func next() throws(Interruption) {
        try cursor?.next()
        try settleForward()
    }

    override func previous() throws(Interruption) {
        try cursor?.previous()
        try settleBackward()
    }
}
