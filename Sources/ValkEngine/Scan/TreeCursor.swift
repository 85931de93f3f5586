// The children of a bucket as one ordered cursor: one child after the other, each a merge of its runs and, below them,
// of its own children.

import ValkBase

extension Bucket {
    /// One cursor for each run, newest first, and one for all children, without what `hiding` hides. `pins` must
    /// outlive them.
    func cursors(
        _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool, hiding: RangeDeletions
    ) -> [EntryCursor] {
        var cursors: [EntryCursor] = runs.map { run in
            let cursor = RunCursor(run, pins, access: access, mayBlock: mayBlock)
            return hiding.isEmpty ? cursor : LiveCursor(cursor, run, hiding)
        }
        if !isLeaf { cursors.append(ChildrenCursor(self, pins, access: access, mayBlock: mayBlock, hiding: hiding)) }
        return cursors
    }
}

final class ChildrenCursor: SequenceCursor {
    private let bucket: Bucket
    private let pins: UnsafeMutablePointer<BlockPins>
    private let access: TableAccess
    private let mayBlock: Bool
    private let hiding: RangeDeletions

    /// `pins` must outlive the cursor.
    init(
        _ bucket: Bucket, _ pins: UnsafeMutablePointer<BlockPins>, access: TableAccess, mayBlock: Bool,
        hiding: RangeDeletions
    ) {
        self.bucket = bucket
        self.pins = pins
        self.access = access
        self.mayBlock = mayBlock
        self.hiding = hiding
        super.init(count: bucket.children.count)
        // Until a child says otherwise; one that opens children of its own does not know yet.
        mayRepeatKeys = true
    }

    override func source(of key: ByteView) -> Int { bucket.slot(key) }

    override func open(_ index: Int) -> (EntryCursor, KeyRange) {
        let sources = bucket.children[index].cursors(pins, access: access, mayBlock: mayBlock, hiding: hiding)
        return (sources.count == 1 ? sources[0] : MergeCursor(sources), .all)
    }
}
