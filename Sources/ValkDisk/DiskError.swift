// What the disk can refuse. Carries enough for a person to act on: what was done, to which file, where, errno.

package struct DiskError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        case notFound
        case exists
        case noSpace
        case unsupported
        case closed
        /// Somebody else holds the lock; their process id, 0 when unknown.
        case locked(Int32)
        /// Anything else, with errno in `code`.
        case system
    }
    package let kind: Kind
    /// The operation in a word: "open", "write", "sync", …
    package let operation: String
    package let path: String
    /// Byte offset of the transfer, -1 where there is none.
    package let offset: Int
    /// errno, 0 where there is none.
    package let code: Int32
    /// True for faults that a test injected.
    package let injected: Bool

    package init(
        _ kind: Kind, _ operation: String, _ path: String, offset: Int = -1, code: Int32 = 0, injected: Bool = false
    ) {
        self.kind = kind
        self.operation = operation
        self.path = path
        self.offset = offset
        self.code = code
        self.injected = injected
    }

    package var description: String {
        let place = offset >= 0 ? " at offset \(offset)" : ""
        let reason: String
        switch kind {
        case .notFound: reason = "no such file"
        case .exists: reason = "file exists"
        case .noSpace: reason = "no space left on device"
        case .unsupported: reason = "not supported by this file system"
        case .closed: reason = "file is closed"
        case .locked(let pid): reason = pid == 0 ? "in use by another process" : "in use by process \(pid)"
        case .system: reason = "errno \(code)"
        }
        return "\(operation) \(path)\(place): \(reason)"
    }
}
