// What the store tells whoever runs it. Typed events; the edge turns them into log lines. Called on the thread where it
// happened; receivers are quick and do not call the store back.

package enum StoreEvent: Sendable {
    case log(LogEvent)
    /// A flush or merge failed and will be tried again.
    case mergeFailed(StoreError)
    case flushFailed(StoreError)
    /// Writes are refused from now on, until a restart.
    case writesStopped(StoreError)
    /// The device is full: only reads and deletes are served.
    case spaceRunsOut
    case spaceIsBack
}

/// Whether the store takes writes.
package enum WriteState: Sendable {
    case open
    /// The device is full; deletes are taken.
    case deletesOnly
    case stopped(StoreError)
}

/// What a start found and did.
package struct RecoveryReport: Sendable {
    package var isNew = false
    package var tables = 0
    package var replayedRecords = 0
    package var replayedBytes = 0
    package var tornTail: String?
    package var manifestTornBytes = 0
    package var orphansRemoved = 0
    /// Table files that the manifest names and that are not there: what was in them answers with errors.
    package var missingTables = 0
    package var milliseconds: Double = 0

    package var text: String {
        if isNew { return "new store" }
        var text = "\(tables) tables, \(replayedRecords) records (\(replayedBytes) bytes) replayed from the log"
        if let tornTail { text += ", torn tail: \(tornTail)" }
        if manifestTornBytes > 0 { text += ", \(manifestTornBytes) bytes of an unfinished manifest edit ignored" }
        if orphansRemoved > 0 { text += ", \(orphansRemoved) orphan files removed" }
        if missingTables > 0 { text += ", \(missingTables) table files missing" }
        return text + ", in \(Int(milliseconds.rounded())) ms"
    }
}
