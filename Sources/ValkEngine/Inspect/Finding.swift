// What inspection has to say: findings with file and offset, and counts of what was looked at.

import ValkBase

/// One thing that inspection met.
package struct Finding: Sendable, CustomStringConvertible {
    package enum Severity: String, Sendable {
        /// Something that was promised is not there, or is not what was written.
        case error
        /// Worth knowing, and no loss: what a crash may leave behind, and what the next start cleans up.
        case note
    }
    package let severity: Severity
    package let path: String
    /// Byte offset in the file, -1 where there is none.
    package let offset: Int
    package let message: String

    package var description: String {
        let place = offset >= 0 ? "\(path) at offset \(offset)" : path
        return "\(severity.rawValue): \(place): \(message)"
    }
}

/// What a verification looked at and found.
package struct VerificationReport: Sendable {
    /// The first `findingsMax` of them, in the order in which they were met.
    package private(set) var findings: [Finding] = []
    package private(set) var errorCount = 0
    package private(set) var noteCount = 0
    package var tables = 0
    package var blocks = 0
    package var entries: UInt64 = 0
    package var segments = 0
    package var frames = 0
    package var records = 0
    /// Records behind the checkpoint, which a start would replay.
    package var tailRecords = 0
    /// Pointers of table entries that were followed to their value.
    package var pointers = 0
    package var bytesRead = 0

    /// A damaged table can have a fault in every block; a person reads the first few.
    package static let findingsMax = 1000

    package var isSound: Bool { errorCount == 0 }

    mutating func add(_ finding: Finding) {
        if finding.severity == .error { errorCount += 1 } else { noteCount += 1 }
        if findings.count < VerificationReport.findingsMax { findings.append(finding) }
    }

    mutating func error(_ message: String, _ path: String, _ offset: Int = -1) {
        add(Finding(severity: .error, path: path, offset: offset, message: message))
    }

    mutating func error(_ error: StoreError, in path: String) {
        add(
            Finding(
                severity: .error, path: error.path.isEmpty ? path : error.path, offset: error.offset,
                message: error.message))
    }

    mutating func note(_ message: String, _ path: String, _ offset: Int = -1) {
        add(Finding(severity: .note, path: path, offset: offset, message: message))
    }
}

/// How far long work has come.
package struct InspectionProgress: Sendable {
    package var doneBytes: Int
    package var totalBytes: Int
    /// The file that is being read.
    package var path: String
}
