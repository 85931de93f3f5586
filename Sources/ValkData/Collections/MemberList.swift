// Members gathered before something is done with them: a walk over a collection must have ended before the collection
// (or anything else in the transaction) is changed.

import ValkBase

package struct MemberList: ~Copyable {
    private var bytes = ByteBuffer()
    package private(set) var count = 0

    package init() {}

    package mutating func append(_ member: ByteView) {
        bytes.appendFixed(UInt32(member.count))
        bytes.append(member)
        count += 1
    }

    /// Shows each member in turn; the views are valid as long as the list is not changed.
    package borrowing func forEach<E: Error>(_ body: (ByteView) throws(E) -> Void) throws(E) {
        let all = bytes.view
        var at = 0
        while at < all.count {
            let length = Int(UInt32(littleEndian: all.base.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            try body(all[at + 4..<at + 4 + length])
            at += 4 + length
        }
    }
}
