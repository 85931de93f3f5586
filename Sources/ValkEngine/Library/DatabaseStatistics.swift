// Figures about an open database, for people and monitors. Taken one after the other while the database works, so they
// fit each other only roughly.

public struct DatabaseStatistics: Sendable {
    /// Bytes of table files.
    public var tableFileBytes = 0
    public var tableFiles = 0
    /// Sorted runs; a read looks into each, newest first, until it finds its key.
    public var runs = 0
    /// Segments of the log, and what was written to it since the database was opened.
    public var logSegments = 0
    public var logBytesWritten = 0
    public var logSyncs = 0
    /// Bytes of the tables in memory: the one that takes writes and those that wait to be written out.
    public var memoryTableBytes = 0
    public var memoryTables = 0
    /// Blocks found in the cache and not found there.
    public var cacheHits: UInt64 = 0
    public var cacheMisses: UInt64 = 0
    public var cacheBytes = 0
    /// Tables written out and merges done since the database was opened.
    public var flushes: UInt64 = 0
    public var merges: UInt64 = 0
    /// Of the file system; 0 when it does not say.
    public var diskFreeBytes: UInt64 = 0
    /// What opening found: new, or tables and replayed records; in words.
    public var recovery = ""
}

extension Database {
    public func statistics() throws(DatabaseError) -> DatabaseStatistics {
        try enter()
        defer { gate.leave() }
        let now = store.statistics
        var result = DatabaseStatistics()
        result.tableFileBytes = now.tableFileBytes
        result.tableFiles = now.tableFiles
        result.runs = now.runs
        result.logSegments = now.logSegments
        result.logBytesWritten = now.log.bytesWritten
        result.logSyncs = now.log.syncs
        result.memoryTableBytes = now.activeTableBytes + now.sealedTableBytes
        result.memoryTables = now.sealedTables + 1
        result.cacheHits = now.cache.hits
        result.cacheMisses = now.cache.misses
        result.cacheBytes = now.cache.usedBytes
        result.flushes = now.background.flushes
        result.merges = now.background.merges
        result.diskFreeBytes = now.diskFreeBytes
        result.recovery = store.recoveryReport.text
        return result
    }
}
