// A run as one ordered cursor: its fragments one after the other, each inside of its bounds.

import ValkBase

final class RunCursor: SequenceCursor {
    private let run: Run
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    /// Set to whether the unknown priors of the file at the cursor have been counted; may be nil.
    private let resolved: UnsafeMutablePointer<Bool>?

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
        super.init(count: run.fragments.count)
    }

    override func source(of key: ByteView) -> Int { run.fragmentIndex(key) }

    override func open(_ index: Int) -> (EntryCursor, KeyRange) {
        let fragment = run.fragments[index]
        resolved?.pointee = fragment.file.countsResolved
        return (TableCursor(fragment.file.table, pins, access: access, mayBlock: mayBlock), fragment.range)
    }
}
