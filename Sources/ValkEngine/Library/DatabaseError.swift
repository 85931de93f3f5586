// What can go wrong for programs that use the library, with the story for people, and what they are told unasked.

/// Thrown by everything in `Database`.
public struct DatabaseError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// An argument or option that cannot work; nothing was done.
        case invalid
        /// Stored bytes are not what was written. When reading: these keys cannot be had, others can.
        case damaged
        /// The directory was written by a newer version of the library.
        case newerFormat
        /// A server, or another `Database` here or in another process, has the directory.
        case inUse
        /// The device is full. Reads go on, and so do removals as long as the last reserve lasts.
        case noSpace
        /// The operating system refused.
        case disk
        /// A write or sync of the log failed, now or earlier: nothing more is written until the database is opened
        /// again. What the failed write wanted may or may not be there then.
        case writesStopped
        /// `close` was called.
        case closed
    }
    public let kind: Kind
    /// The file concerned, empty where there is none.
    public let path: String
    /// Byte offset in the file, -1 where there is none.
    public let offset: Int
    public let message: String

    public var description: String {
        var text = message
        if !path.isEmpty && !message.contains(path) { text += " in \(path)" }
        if offset >= 0 && !message.contains("offset") { text += " at offset \(offset)" }
        return text
    }

    init(_ kind: Kind, _ message: String, path: String = "", offset: Int = -1) {
        self.kind = kind
        self.path = path
        self.offset = offset
        self.message = message
    }

    init(_ error: StoreError, as kind: Kind? = nil) {
        self.init(kind ?? Kind(error.kind), error.message, path: error.path, offset: error.offset)
    }
}

extension DatabaseError.Kind {
    init(_ kind: StoreError.Kind) {
        switch kind {
        case .corruption: self = .damaged
        case .newerFormat: self = .newerFormat
        case .inUse: self = .inUse
        case .noSpace: self = .noSpace
        case .disk: self = .disk
        case .invalid: self = .invalid
        }
    }
}

/// What a database tells without being asked. See `Database.init(_:onEvent:)`.
public enum DatabaseEvent: Sendable {
    /// Writes are refused from now on.
    case writesStopped(DatabaseError)
    /// The device is full: removals only.
    case spaceRunsOut
    case spaceIsBack
    /// A read met damaged bytes, or could not read.
    case readFailed(DatabaseError)
    /// Background work failed and will be tried again.
    case willRetry(DatabaseError)
    /// Something without consequence for the data failed, such as the removal of a file that nobody needs.
    case note(DatabaseError)
}

extension DatabaseEvent {
    init(_ event: StoreEvent) {
        switch event {
        case .log(.stopped(let error)), .writesStopped(let error):
            self = .writesStopped(DatabaseError(error, as: .writesStopped))
        case .log(.damaged(let error)), .log(.readFailed(let error)): self = .readFailed(DatabaseError(error))
        case .log(.spaceRunsOut), .spaceRunsOut: self = .spaceRunsOut
        case .log(.spaceIsBack), .spaceIsBack: self = .spaceIsBack
        case .log(.note(let error)): self = .note(DatabaseError(error))
        case .mergeFailed(let error), .flushFailed(let error): self = .willRetry(DatabaseError(error))
        }
    }
}
