// What range deletions mean for parts of table files, as far as it can be told without reading them.

import ValkBase

extension RangeList {
    /// Calls `body` for each piece that has keys in common with `fragment`, in order, until it answers false.
    func forEachPiece(in fragment: Fragment, _ body: (DeletedRange) -> Bool) {
        if count == 0 { return }
        fragment.first.withView { first in
            var at = index(first)
            while at < count {
                let piece = items[at]
                if piece.lower.compare(first) > 0 && piece.lower.isBehind(fragment) { return }
                if !body(piece) { return }
                at += 1
            }
        }
    }

    /// Whether nothing in the fragment outlives the deletions that cover it.
    func coversAll(of fragment: Fragment) -> Bool {
        let record = fragment.file.record
        if record.sequenceMin >= newest || record.sequenceMax >= newest { return false }
        var isCovered = false
        var isFirst = true
        var reached = ByteView.empty
        forEachPiece(in: fragment) { piece in
            let begins = isFirst ? fragment.first.withView { piece.lower.compare($0) <= 0 } : piece.lower == reached
            guard begins, piece.sequence > record.sequenceMax else { return false }
            isFirst = false
            reached = piece.upper
            isCovered = piece.upper.isBehind(fragment)
            return !isCovered
        }
        return isCovered
    }

    /// Whether a deletion with this sequence may hide something in the file.
    static func mayHide(_ sequence: UInt64, in record: TableRecordItem) -> Bool {
        sequence > record.sequenceMin && sequence > record.rangesAppliedTo
    }

    /// Of the deletions those that may have something to hide in the tree.
    func sequencesThatHide(in root: Bucket) -> Set<UInt64> {
        var found = Set<UInt64>()
        if count == 0 { return found }
        root.forEach { bucket in
            for run in bucket.runs {
                for fragment in run.fragments where RangeList.mayHide(newest, in: fragment.file.record) {
                    forEachPiece(in: fragment) { piece in
                        if RangeList.mayHide(piece.sequence, in: fragment.file.record) { found.insert(piece.sequence) }
                        return true
                    }
                }
            }
        }
        return found
    }
}

extension ByteView {
    /// Whether all keys of the fragment are before this one.
    fileprivate func isBehind(_ fragment: Fragment) -> Bool {
        let upper = fragment.range.upper
        return upper.isEmpty
            ? fragment.file.record.largest.withView { $0.compare(self) < 0 } : upper.withView { $0.compare(self) <= 0 }
    }
}
