// One call of SCAN: from a cursor over about COUNT keys to the next cursor.
//
// The walk goes in key order from the cursor's bookmark. A pattern with a literal beginning is a range: the walk starts
// there and ends after it. COUNT bounds the keys that are looked at, matching or not. ScanBookmarks has the proof that
// a whole iteration misses nothing.

import ValkBase
import ValkEngine

package struct KeyScan {
    package var cursor: UInt64
    /// Keys to look at, at least 1.
    package var count: Int = 10
    package var pattern: GlobPattern?
    /// Only keys of this type; `.some(nil)` matches none.
    package var type: ValueType??

    package init(cursor: UInt64) { self.cursor = cursor }

    /// Walks further than this are handed to a worker.
    package static let loopKeysMax = 4096

    /// Calls `emit` with each matching user key (valid during the call) and returns the next cursor, 0 at the end.
    package func run(
        _ keys: KeyAccess, _ buffers: inout ScanBuffers, emit: (ByteView) -> Void
    ) throws(Interruption) -> UInt64 {
        let bookmarks = keys.keyspace.bookmarks
        let namespace = keys.state.pointee.namespace
        let hasResume = bookmarks.resume(namespace, cursor, into: &buffers.last)
        let walk = try KeyRange.cursor(keys, pattern, &buffers)
        if hasResume {
            let position = keys.encoded(buffers.last.view)
            try walk.seek(position)
            if walk.isValid && KeyEncoding.userKey(walk.key) == buffers.last.view { try walk.next() }
        } else {
            try walk.seekToFirst()
        }
        var looked = 0
        var limit = count
        /// Set when no label fitted: the cursor to return after the key in `buffers.after`.
        var later: UInt64?
        while walk.isValid {
            let key = KeyEncoding.userKey(walk.key)
            if let later, key.compare(buffers.after.view) > 0 { return later }
            if looked >= limit && later == nil {
                var position = keys.state.pointee.position
                let stop = bookmarks.stop(
                    namespace, after: buffers.last.view, given: cursor, position: &position, keyAfter: &buffers.after)
                keys.state.pointee.position = position
                switch stop {
                case .here(let label): return label
                case .after(let label):
                    later = label
                    if key.compare(buffers.after.view) > 0 { return label }
                case .atEnd: limit = Int.max
                }
            }
            looked += 1
            if looked > Self.loopKeysMax && !keys.reader.mayBlock { throw .wouldBlock }
            buffers.last.removeAll()
            buffers.last.append(key)
            let entry = walk.entry
            if keys.isExpired(entry) {
                keys.note(namespace, key)
            } else if accepts(entry.pointee.tag) && pattern?.matches(key) != false {
                emit(key)
            }
            try walk.next()
        }
        return 0
    }

    private func accepts(_ tag: UInt8) -> Bool {
        guard let type else { return true }
        guard let wanted = type else { return false }
        return ValueType(tag: tag) == wanted
    }
}

/// Reused memory of scans; one per context.
package struct ScanBuffers: ~Copyable {
    var last = ByteBuffer()
    var after = ByteBuffer()
    var lower = ByteBuffer()
    var upper = ByteBuffer()

    package init() {}
}

package enum KeyRange {
    /// A cursor over the keys of the selected database that can match `pattern`.
    package static func cursor(
        _ keys: KeyAccess, _ pattern: GlobPattern?, _ buffers: inout ScanBuffers
    ) throws(Interruption) -> StoreCursor {
        guard let pattern, !pattern.matchesAll else { return try keys.cursor(from: .empty, to: nil) }
        buffers.lower.removeAll()
        let prefix = pattern.literalPrefix(into: buffers.lower.reserve(pattern.count))
        buffers.lower.advance(prefix.count)
        if prefix.count == 0 && !prefix.isWhole { return try keys.cursor(from: .empty, to: nil) }
        buffers.upper.removeAll()
        buffers.upper.append(buffers.lower.view)
        if prefix.isWhole {
            buffers.upper.append(UInt8(0))
        } else if !makeSuccessor(&buffers.upper) {
            return try keys.cursor(from: buffers.lower.view, to: nil)
        }
        return try keys.cursor(from: buffers.lower.view, to: buffers.upper.view)
    }

    /// The least bytes above everything that begins with `bytes`; false when there are none.
    static func makeSuccessor(_ bytes: inout ByteBuffer) -> Bool {
        var n = bytes.count
        while n > 0 && bytes.view[n - 1] == 0xFF { n -= 1 }
        if n == 0 { return false }
        bytes.truncate(n)
        let last = bytes.view[n - 1]
        bytes.truncate(n - 1)
        bytes.append(last + 1)
        return true
    }
}
