// Reading what is kept in the store's own namespace (0): libraries, SCAN's bookmarks. At starts; it waits for the disk.

import ValkBase
import ValkEngine

extension StoreReader {
    /// Shows each entry of `space`, in order; the views are valid inside of the call. The key is whole, with its five
    /// bytes in front. Not between a `begin` and its `end` of this reader.
    func visitOwn(
        _ space: UInt8, _ body: (_ key: ByteView, _ value: ByteView) throws(Interruption) -> Void
    ) throws(Interruption) {
        let lower = KeyScratch()
        let upper = KeyScratch()
        defer {
            lower.deallocate()
            upper.deallocate()
        }
        begin()
        defer { end() }
        let cursor = try cursor(lower: lower.bound(0, space), upper: upper.bound(0, space + 1))
        try cursor.seekToFirst()
        while cursor.isValid {
            let value = try cursor.value()
            try body(cursor.key, value)
            try cursor.next()
        }
    }
}
