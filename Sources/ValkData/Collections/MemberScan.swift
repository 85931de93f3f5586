// HSCAN, SSCAN and ZSCAN without memory: the cursor is the hash at which the next call goes on.
//
// Members stand in the order of a hash that never changes, so whoever is there from the beginning of an iteration to
// its end is met. A call goes on past its number until the hash changes, so that no two calls share one hash.

import ValkBase
import ValkEngine

package struct MemberScan {
    /// 0: from the beginning.
    package let cursor: UInt64
    /// Members to look at, at least 1; nil: all that there are.
    package let count: Int?

    package init(cursor: UInt64, count: Int?) {
        self.cursor = cursor
        self.count = count
    }

    /// Calls `body` with the walk on each member in turn. Returns the cursor for the next call, 0 at the end.
    package func run(
        _ keys: KeyAccess, _ collection: borrowing Collection,
        _ body: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) -> UInt64 {
        if cursor > UInt64(UInt32.max) { return 0 }
        let lower = keys.elementBound().member(UInt32(cursor), .empty)
        let upper = keys.elementBound().bound(ElementKind.member + 1)
        var walk = try ElementWalk(keys, collection, from: lower, to: upper)
        try walk.seekToFirst()
        var looked = 0
        var last: UInt32 = 0
        while walk.isValid {
            let hash = walk.hash
            if let count, looked >= count, hash != last { return UInt64(hash) }
            try body(walk)
            looked += 1
            last = hash
            try walk.next()
        }
        return 0
    }
}

extension ElementWalk {
    /// Of a member.
    package var hash: UInt32 { UInt32(bigEndian: key.base.loadUnaligned(fromByteOffset: 1, as: UInt32.self)) }
}
