// What jobs did, for people: those that run and the last few dozen that ended.

import ValkBase

/// A job, for people.
package struct JobLine: Sendable {
    package var id: UInt64
    package var kind: String
    package var reason: String
    package var bytesRead: Int
    package var bytesWritten: Int
    /// So far, or to its end.
    package var milliseconds: UInt64
    /// "running", "done", "failed", or "stepped aside": it left the rest for later, for a more urgent one.
    package var outcome: String
}

/// A place where jobs fail, for people.
package struct JobFailureLine: Sendable {
    package var kind: String
    package var error: String
    /// In a row.
    package var tries: Int
    package var retryMilliseconds: UInt64
}

/// The last jobs that ended, oldest first. Behind the controller's `structure`.
struct JobHistory {
    private(set) var lines: [JobLine] = []
    static let linesMax = 32

    mutating func add(_ line: JobLine) {
        if lines.count == JobHistory.linesMax { lines.removeFirst() }
        lines.append(line)
    }
}
