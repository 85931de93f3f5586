// INFO's sections about the store: what lies on the disk and in memory, the value log, flushes and merges.

import ValkEngine

extension InfoReport {
    mutating func writeStorage() {
        let figures = server.store.statistics
        let recovery = server.store.recoveryReport
        out.section("Storage")
        out.field("data_directory", server.store.options.path)
        switch server.store.writeState {
        case .open: out.field("write_state", "open")
        case .deletesOnly: out.field("write_state", "deletes-only: the device is full")
        case .stopped(let reason): out.field("write_state", "stopped: \(reason)")
        }
        out.field("table_files", figures.tableFiles)
        out.field("table_file_runs", figures.runs)
        out.field("table_file_bytes", figures.tableFileBytes)
        out.field("disk_free_bytes", figures.diskFreeBytes)
        out.field("disk_total_bytes", figures.diskTotalBytes)
        out.field("memory_table_bytes", figures.activeTableBytes)
        out.field("memory_table_entries", figures.activeTableEntries)
        out.field("sealed_tables", figures.sealedTables)
        out.field("sealed_table_bytes", figures.sealedTableBytes)
        out.field("range_tombstones", figures.rangeTombstones)
        out.field("block_cache_used_bytes", figures.cache.usedBytes)
        out.field("block_cache_budget_bytes", figures.cache.budgetBytes)
        out.field("block_cache_hits", figures.cache.hits)
        out.field("block_cache_misses", figures.cache.misses)
        out.field("block_cache_evictions", figures.cache.evictions)
        out.field("scrub_rounds", figures.scrub.rounds)
        out.field("scrub_bytes", figures.scrub.bytes)
        out.field("scrub_last_end", figures.scrub.lastEnd / 1000)
        out.field("scrub_last_bytes", figures.scrub.lastBytes)
        out.field("scrub_last_errors", figures.scrub.lastErrors)
        out.field("scrub_errors", figures.scrub.totalErrors)
        out.field("scrub_last_damage", figures.scrub.lastDamage)
        out.field("recovery", recovery.text)
    }

    /// What the space governor sees and what the garbage collector did.
    private mutating func writeSpace() {
        let (space, work) = server.store.spaceStatistics
        out.field("space_target", String(space.target))
        out.field("space_amplification_estimate", ProcessFacts.twoDecimals(space.amplification))
        out.field("overwritten_share_estimate", ProcessFacts.twoDecimals(space.overlap))
        out.field("tables_bytes", space.tableBytes)
        out.field("tables_hidden_bytes_estimate", space.hiddenTableBytes)
        out.field("log_ahead_bytes", space.aheadBytes)
        out.field("log_reserved_bytes", space.reservedBytes)
        out.field("log_live_bytes", space.liveBytes)
        out.field("log_hidden_bytes_estimate", space.hiddenBytes)
        out.field("log_exposed_bytes", space.exposedBytes)
        out.field("log_pinned_bytes", space.pinnedBytes)
        out.field("log_allocated_bytes", space.allocatedBytes)
        out.field("oldest_view_behind", server.store.oldestViewBehind)
        out.field("space_debt_bytes", space.debtBytes)
        out.field("gc_segments_rewritten", work.segmentsRewritten)
        out.field("gc_rewrites_failed", work.rewritesFailed)
        out.field("gc_bytes_moved", work.bytesMoved)
        out.field("gc_segments_punched", work.segmentsPunched)
        out.field("gc_holes", work.holes)
        out.field("gc_bytes_punched", work.bytesPunched)
        out.field("gc_punches_failed", work.punchesFailed)
        out.field("gc_punching", work.punchingIsUnsupported ? "unsupported" : "ok")
    }

    mutating func writeLog() {
        let config = administration.config
        let figures = server.store.statistics
        let log = figures.log
        out.section("Log")
        out.field("log_sync_policy", config.text("appendfsync"))
        out.field("log_segments", figures.logSegments)
        out.field("log_segment_bytes", server.store.options.segmentBytes)
        out.field("log_frames_written", log.framesWritten)
        out.field("log_bytes_written", log.bytesWritten)
        out.field("log_hand_overs", log.handOvers)
        out.field("log_syncs", log.syncs)
        out.field("log_sync_usec_mean", log.syncs == 0 ? 0 : log.syncNanosecondsTotal / log.syncs / 1000)
        out.field("log_sync_usec_max", log.syncNanosecondsMax / 1000)
        out.field("log_segments_created", log.segmentsCreated)
        out.field("log_segments_recycled", log.segmentsRecycled)
        out.field("log_segments_removed", log.segmentsRemoved)
        writeSpace()
    }

    mutating func writeCompaction() {
        let figures = server.store.statistics
        let work = figures.background
        out.section("Compaction")
        out.field("background_threads", server.store.options.mergeThreads)
        out.field("tree_height", figures.treeHeight)
        out.field("tree_buckets", figures.buckets)
        out.field("tree_leaves", figures.leaves)
        out.field("write_debt_percent", Int(figures.pace.debt * 100))
        out.field("write_rate_limit", figures.pace.bytesPerSecond)
        out.field("write_delay_usec", figures.pace.delayMicroseconds)
        out.field("write_delays", figures.pace.delays)
        out.field("background_bytes", figures.backgroundBytesTaken)
        out.field("flushes", work.flushes)
        out.field("flush_usec", work.flushNanoseconds / 1000)
        out.field("flush_bytes_written", work.flushBytesWritten)
        out.field("merges", work.merges)
        out.field("merge_usec", work.mergeNanoseconds / 1000)
        out.field("merge_bytes_read", work.mergeBytesRead)
        out.field("merge_bytes_written", work.mergeBytesWritten)
        out.field("merge_entries_dropped", work.entriesDropped)
        for (kind, count) in work.jobs.sorted(by: { $0.key < $1.key }) { out.field("jobs_\(kind)", count) }
        out.field("jobs_failed", work.jobsFailed)
        out.field("jobs_failing", figures.failingJobs.count)
        for (i, place) in figures.failingJobs.enumerated() {
            out.field(
                "failing_job_\(i)",
                "kind=\(place.kind),tries=\(place.tries),retry_msec=\(place.retryMilliseconds),error=\(place.error)")
        }
        for job in figures.jobs { out.field("job_\(job.id)", line(job)) }
        for job in figures.endedJobs.reversed() {
            out.field("ended_job_\(job.id)", "\(line(job)),outcome=\(job.outcome)")
        }
    }
}

extension InfoReport {
    private func line(_ job: JobLine) -> String {
        "kind=\(job.kind),reason=\(job.reason),bytes_read=\(job.bytesRead),bytes_written=\(job.bytesWritten),"
            + "msec=\(job.milliseconds)"
    }
}

extension Administration {
    /// The log refuses writes after a failure.
    func writesStopped(_ server: Server) -> Bool {
        if case .stopped = server.store.writeState { return true }
        return false
    }
}
