// A run as one ordered cursor: its fragments one after the other, each inside of its bounds.

import ValkBase

/// What the flags of a file's entries are worth.
struct EntryOrigin {
    /// The unknown priors have been counted.
    var countsResolved = false
    /// Some priors have been named dead; where none was, the flag may be an old file's and mean nothing.
    var hasNamedPriors = false

    init() {}

    init(_ file: TableFile) {
        countsResolved = file.countsResolved
        hasNamedPriors = file.record.namedPriors > 0
    }

    /// Whether what lies below the entry has been named dead already.
    @inline(__always)
    func namesPrior(_ entry: UnsafePointer<Entry>) -> Bool {
        hasNamedPriors && entry.pointee.flags.contains(.priorNamed)
    }
}

final class RunCursor: SequenceCursor {
    private let run: Run
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    /// Set to what the file at the cursor is; may be nil.
    private let origin: UnsafeMutablePointer<EntryOrigin>?

    /// `pins` and `origin` must outlive the cursor.
    init(
        _ run: Run, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool,
        origin: UnsafeMutablePointer<EntryOrigin>? = nil
    ) {
        self.run = run
        self.pins = pins
        self.access = access
        self.mayBlock = mayBlock
        self.origin = origin
        super.init(count: run.fragments.count)
    }

    override func source(of key: ByteView) -> Int { run.fragmentIndex(key) }

    override func open(_ index: Int) -> (EntryCursor, KeyRange) {
        let fragment = run.fragments[index]
        origin?.pointee = EntryOrigin(fragment.file)
        return (TableCursor(fragment.file.table, pins, access: access, mayBlock: mayBlock), fragment.range)
    }
}
