// Faults with their story, for the calls that are not in the data path: opening, flushing, merging, verifying.

import ValkDisk

package struct StoreError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// Bytes that were promised are wrong: checksum, size, order.
        case corruption
        /// Written by a newer build.
        case newerFormat
        /// Another process has the directory; its id, 0 when unknown.
        case inUse(Int32)
        case noSpace
        /// The operating system refused.
        case disk
        /// An option or argument that cannot work.
        case invalid
    }
    package let kind: Kind
    /// The file concerned, empty where there is none.
    package let path: String
    /// Byte offset in the file, -1 where there is none.
    package let offset: Int
    package let message: String

    package init(_ kind: Kind, _ message: String, path: String = "", offset: Int = -1) {
        self.kind = kind
        self.path = path
        self.offset = offset
        self.message = message
    }

    package init(_ error: DiskError) {
        switch error.kind {
        case .noSpace: kind = .noSpace
        case .locked(let pid): kind = .inUse(pid)
        default: kind = .disk
        }
        path = error.path
        offset = error.offset
        message = error.description
    }

    package var description: String {
        var text = message
        if !path.isEmpty && !message.contains(path) { text += " in \(path)" }
        if offset >= 0 && !message.contains("offset") { text += " at offset \(offset)" }
        return text
    }
}
