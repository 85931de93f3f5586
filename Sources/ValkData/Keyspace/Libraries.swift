// Libraries of functions as they are stored: texts by name, in the store's own namespace. A change is part of a
// transaction as any other write is; what the libraries mean is known further up.

import ValkBase
import ValkEngine

package enum Libraries {
    /// All of them by name, in order. Waits for the disk.
    package static func all(_ store: Store) throws(Interruption) -> [(name: [UInt8], text: [UInt8])] {
        let reader = StoreReader(store, mayBlock: true)
        let lower = KeyScratch()
        let upper = KeyScratch()
        defer {
            lower.deallocate()
            upper.deallocate()
        }
        reader.begin()
        defer { reader.end() }
        var found: [(name: [UInt8], text: [UInt8])] = []
        let cursor = try reader.cursor(
            lower: lower.bound(0, KeySpace.libraries), upper: upper.bound(0, KeySpace.libraries + 1))
        try cursor.seekToFirst()
        while cursor.isValid {
            let text = try cursor.value().array
            found.append((cursor.key.dropFirst(5).array, text))
            try cursor.next()
        }
        return found
    }
}

extension KeyAccess {
    /// Stores a library. `text` stays valid until the commit.
    package func putLibrary(_ name: ByteView, _ text: ByteView) {
        state.pointee.hasWritten = true
        batch.put(scratch.library(name), tag: 0, expireAt: 0, value: text, prior: .unknown)
    }

    package func removeLibrary(_ name: ByteView) {
        state.pointee.hasWritten = true
        batch.delete(scratch.library(name), prior: .unknown)
    }
}
