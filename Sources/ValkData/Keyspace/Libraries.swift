// Libraries of functions as they are stored: texts by name, in the store's own namespace. A change is part of a
// transaction as any other write is; what the libraries mean is known further up.

import ValkBase
import ValkEngine

package enum Libraries {
    /// All of them by name, in order. Waits for the disk.
    package static func all(_ store: Store) throws(Interruption) -> [(name: [UInt8], text: [UInt8])] {
        var found: [(name: [UInt8], text: [UInt8])] = []
        try StoreReader(store, mayBlock: true).visitOwn(KeySpace.libraries) { (key, text) throws(Interruption) in
            found.append((key.dropFirst(5).array, text.array))
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
