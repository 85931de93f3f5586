// A key at random without an index of positions: walk down the tree of common prefixes.
//
// Among the keys with a common prefix, the byte that follows it is drawn uniformly between the first key's and the
// last key's; the next key at or after that byte gives the new, longer prefix; and so on until one key is left. Every
// key can be drawn; keys that share their prefixes with fewer others are drawn more often. About two seeks a level.

import ValkBase
import ValkEngine

package enum RandomKey {
    /// Draws one of the selected database's keys, live ones only; writes it into `key`. False when there is none.
    package static func draw(
        _ keys: KeyAccess, _ generator: inout SeededRandom, into key: inout ByteBuffer
    ) throws(Interruption) -> Bool {
        let cursor = try keys.cursor(from: .empty, to: nil)
        for _ in 0..<100 {
            guard try place(cursor, &generator) else { return false }
            if !keys.isExpired(cursor.entry) {
                take(cursor, &key)
                return true
            }
        }
        // Nearly everything has expired: any live key will do.
        try cursor.seekToFirst()
        while cursor.isValid {
            if !keys.isExpired(cursor.entry) {
                take(cursor, &key)
                return true
            }
            try cursor.next()
        }
        return false
    }

    private static func take(_ cursor: StoreCursor, _ key: inout ByteBuffer) {
        key.removeAll()
        key.append(KeyEncoding.userKey(cursor.key))
    }

    /// Leaves the cursor on a random key of its range; false when there are none.
    package static func place(
        _ cursor: StoreCursor, _ generator: inout SeededRandom
    ) throws(Interruption) -> Bool {
        var first = ByteBuffer()
        var last = ByteBuffer()
        var bound = ByteBuffer()
        try cursor.seekToFirst()
        guard cursor.isValid else { return false }
        first.append(cursor.key)
        try cursor.seekToLast()
        guard cursor.isValid else { return false }
        last.append(cursor.key)
        while first.view != last.view {
            let shared = first.view.commonPrefix(with: last.view)
            var low = 0
            let endsHere = first.count == shared
            if endsHere {
                // The first key is the prefix itself: it counts as the byte before the second key's.
                try cursor.seek(first.view)
                try cursor.next()
                guard cursor.isValid else { return false }
                low = Int(cursor.key[shared]) - 1
            } else {
                low = Int(first.view[shared])
            }
            let high = Int(last.view[shared])
            let drawn = low + generator.below(high - low + 1)
            if endsHere && drawn == low {
                try cursor.seek(first.view)
                return cursor.isValid
            }
            bound.removeAll()
            bound.append(first.view[0..<shared])
            bound.append(UInt8(drawn))
            try cursor.seek(bound.view)
            guard cursor.isValid else { return false }
            // All keys that share one byte more with the key found.
            first.removeAll()
            first.append(cursor.key)
            bound.removeAll()
            bound.append(first.view[0..<shared + 1])
            if KeyRange.makeSuccessor(&bound) { try cursor.seekBefore(bound.view) } else { try cursor.seekToLast() }
            guard cursor.isValid else { return false }
            last.removeAll()
            last.append(cursor.key)
        }
        try cursor.seek(first.view)
        return cursor.isValid
    }

}
