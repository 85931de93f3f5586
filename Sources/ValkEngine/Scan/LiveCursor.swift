// A run without what range deletions hide. Where neither the run nor the file at the cursor has anything that is newer
// than a deletion, its whole range is skipped at once, and blocks and files inside of it are never read.
//
// To leave hidden entries out here, below the merge of all sources, changes no answer: what is older than a deletion
// can hide nothing but entries that are older still.

import ValkBase

final class LiveCursor: EntryCursor {
    private let source: RunCursor
    private let run: Run
    private let ranges: RangeDeletions
    private let newestRange: UInt64

    init(_ source: RunCursor, _ run: Run, _ ranges: RangeDeletions) {
        self.source = source
        self.run = run
        self.ranges = ranges
        newestRange = ranges.newest
        super.init()
    }

    /// The deletion that hides the entry at the source.
    @inline(__always)
    private func hiding(_ entry: UnsafePointer<Entry>) -> DeletedRange? {
        if entry.pointee.sequence >= newestRange { return nil }
        guard let piece = ranges.piece(over: entry.pointee.key), piece.pointee.sequence > entry.pointee.sequence else {
            return nil
        }
        return piece.pointee
    }

    private func settleForward() throws(Interruption) {
        while let entry = source.position, let piece = hiding(entry) {
            if run.sequenceMax < piece.sequence {
                try source.seek(piece.upper)
                continue
            }
            let at = run.fragmentIndex(entry.pointee.key)
            guard at < run.fragments.count, run.fragments[at].file.record.sequenceMax < piece.sequence else {
                try source.next()
                continue
            }
            // The next file may have what is newer.
            let next = at + 1 < run.fragments.count ? run.fragments[at + 1].first : []
            let isNear = !next.isEmpty && next.withView { $0.compare(piece.upper) < 0 }
            if isNear { try source.seek(next) } else { try source.seek(piece.upper) }
        }
        position = source.position
    }

    private func settleBackward() throws(Interruption) {
        while let entry = source.position, let piece = hiding(entry) {
            if run.sequenceMax < piece.sequence {
                try source.seekBefore(piece.lower)
                continue
            }
            let at = run.fragmentIndex(entry.pointee.key)
            guard at < run.fragments.count, run.fragments[at].file.record.sequenceMax < piece.sequence else {
                try source.previous()
                continue
            }
            let first = run.fragments[at].first
            let isNear = first.withView { $0.compare(piece.lower) > 0 }
            if isNear { try source.seekBefore(first) } else { try source.seekBefore(piece.lower) }
        }
        position = source.position
    }

    override func seek(_ key: ByteView) throws(Interruption) {
        position = nil
        var key = key
        while let piece = ranges.piece(over: key), piece.pointee.sequence > run.sequenceMax {
            key = piece.pointee.upper
        }
        try source.seek(key)
        try settleForward()
    }

    override func seekBefore(_ key: ByteView) throws(Interruption) {
        position = nil
        try source.seekBefore(key)
        try settleBackward()
    }

    override func seekToFirst() throws(Interruption) {
        if let first = run.fragments.first?.first { return try first.viewing { k throws(Interruption) in try seek(k) } }
        position = nil
    }

    override func seekToLast() throws(Interruption) {
        position = nil
        try source.seekToLast()
        try settleBackward()
    }

    override func next() throws(Interruption) {
        position = nil
        try source.next()
        try settleForward()
    }

    override func previous() throws(Interruption) {
        position = nil
        try source.previous()
        try settleBackward()
    }
}

extension EntryCursor {
    fileprivate func seek(_ key: [UInt8]) throws(Interruption) {
        try key.viewing { key throws(Interruption) in try seek(key) }
    }

    fileprivate func seekBefore(_ key: [UInt8]) throws(Interruption) {
        try key.viewing { key throws(Interruption) in try seekBefore(key) }
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
