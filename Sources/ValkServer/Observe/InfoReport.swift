// INFO: the server's state as text, section by section, with the field names that Redis' tools read and Valk's own.
//
// A field is there when it can be told truthfully: what does not exist here (forks, replicas) is told as the 0
// that it is; what would be invented is left out. Building the text allocates; it runs when somebody asks.

import CValk
import Glibc
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkScripting

/// Lines of "name:value" under headings.
struct InfoText {
    private(set) var text = ""

    mutating func section(_ title: String) {
        if !text.isEmpty { text += "\r\n" }
        text += "# \(title)\r\n"
    }

    mutating func field(_ name: String, _ value: some CustomStringConvertible) { text += "\(name):\(value)\r\n" }

    /// A size, and the same for people.
    mutating func size(_ name: String, _ bytes: Int) {
        field(name, bytes)
        field(name + "_human", ProcessFacts.humanBytes(bytes))
    }

    mutating func flag(_ name: String, _ value: Bool) { field(name, value ? 1 : 0) }
}

struct InfoReport {
    /// In the order of the report. `isDefault` says whether plain INFO shows it.
    private static let sections: [(name: String, isDefault: Bool)] = [
        ("server", true), ("clients", true), ("memory", true), ("persistence", true), ("storage", true),
        ("log", true), ("compaction", true), ("stats", true), ("replication", true), ("cpu", true),
        ("modules", true), ("commandstats", false), ("errorstats", true), ("latencystats", false), ("cluster", true),
        ("keyspace", true),
    ]

    let administration: Administration
    let server: Server
    let totals: ServerTotals
    var out = InfoText()

    init(_ administration: Administration, _ server: Server) {
        self.administration = administration
        self.server = server
        totals = server.totals()
    }

    /// The sections that the arguments name: none for the default ones; "all", "everything", "default" and unknown
    /// names as in Redis.
    static func chosen(_ names: [String]) -> Set<String> {
        if names.isEmpty { return Set(sections.filter(\.isDefault).map(\.name)) }
        var chosen = Set<String>()
        for name in names {
            switch name.lowercased() {
            case "all", "everything": chosen.formUnion(sections.map(\.name))
            case "default": chosen.formUnion(sections.filter(\.isDefault).map(\.name))
            case let other: chosen.insert(other)
            }
        }
        return chosen
    }

    mutating func write(_ chosen: Set<String>, _ context: CommandContext) throws(Interruption) {
        for section in InfoReport.sections where chosen.contains(section.name) {
            switch section.name {
            case "server": writeServer()
            case "clients": writeClients()
            case "memory": writeMemory()
            case "persistence": writePersistence()
            case "storage": writeStorage()
            case "log": writeLog()
            case "compaction": writeCompaction()
            case "stats": writeStats()
            case "replication": writeReplication()
            case "cpu": writeCPU()
            case "modules": out.section("Modules")
            case "commandstats": writeCommandStats()
            case "errorstats": writeErrorStats()
            case "latencystats": writeLatencyStats()
            case "cluster":
                out.section("Cluster")
                out.field("cluster_enabled", 0)
            default: try writeKeyspace(context)
            }
        }
    }

    private mutating func writeServer() {
        let microseconds = WallTime.microseconds()
        let uptime = Int(microseconds / 1000 - min(microseconds / 1000, administration.startedAt)) / 1000
        let config = administration.config
        out.section("Server")
        out.field("redis_version", ServerVersion.redis)
        // As Redis has them where it was not built from a repository.
        out.field("redis_git_sha1", "00000000")
        out.field("redis_git_dirty", 0)
        out.field("redis_build_id", administration.buildID)
        out.field("server_name", "valk")
        out.field("valk_version", ServerVersion.valk)
        out.field("redis_mode", "standalone")
        out.field("os", ProcessFacts.systemName())
        out.field("arch_bits", Int.bitWidth)
        out.field("multiplexing_api", "libevent")
        out.field("monotonic_clock", "POSIX clock_gettime")
        out.field("process_id", getpid())
        out.field("process_supervised", "no")
        out.field("run_id", administration.runID)
        out.field("tcp_port", server.port != 0 ? server.port : server.tlsPort)
        out.field("server_time_usec", microseconds)
        out.field("uptime_in_seconds", uptime)
        out.field("uptime_in_days", uptime / 86400)
        out.field("hz", config.integer("hz"))
        out.field("configured_hz", config.integer("hz"))
        out.field("lru_clock", microseconds / 1_000_000 & 0xFF_FFFF)
        out.field("executable", ProcessFacts.executablePath())
        out.field("config_file", config.file ?? "")
        out.field("io_threads_active", server.loops.count > 1 ? 1 : 0)
        out.field("event_loops", server.loops.count)
        out.field("threads", ProcessFacts.threadCount())
    }

    private mutating func writeClients() {
        out.section("Clients")
        out.field("connected_clients", server.registry.count)
        out.field("cluster_connections", 0)
        out.field("maxclients", administration.config.integer("maxclients"))
        let maxima = server.clientMemory.recentMaxima
        out.field("client_recent_max_input_buffer", maxima.input)
        out.field("client_recent_max_output_buffer", maxima.output)
        out.field("blocked_clients", server.registry.pausedCount + server.waitingClients.count)
        out.field("tracking_clients", server.tracking.clientCount)
        out.field("clients_in_timeout_table", 0)
        if let milliseconds = server.pausedMilliseconds { out.field("paused_timeout_milliseconds", milliseconds) }
    }

    private mutating func writeMemory() {
        let heap = administration.noteHeap()
        let peak = administration.peakHeapBytes.load(ordering: .relaxed)
        let resident = ProcessFacts.residentBytes()
        let config = administration.config
        out.section("Memory")
        out.size("used_memory", heap)
        out.size("used_memory_rss", resident)
        out.size("used_memory_rss_peak", ProcessFacts.residentBytesPeak())
        out.size("used_memory_peak", peak)
        out.field("used_memory_peak_perc", ProcessFacts.twoDecimals(Double(heap) * 100 / Double(max(1, peak))) + "%")
        out.size("memory_budget", config.integer("memory"))
        out.field("used_memory_startup", administration.startupHeapBytes)
        // All of it: the data are on the disk.
        out.field("used_memory_overhead", heap)
        writeAllocator(heap, resident)
        out.size("total_system_memory", ProcessFacts.totalMemoryBytes())
        let lua = server.luaMemoryBytes
        let scripts = server.scripts.size
        let libraries = server.libraries.current
        out.field("used_memory_vm_eval", lua.scripts)
        out.size("used_memory_lua", lua.scripts)
        out.field("used_memory_scripts_eval", scripts.bytes)
        out.field("number_of_cached_scripts", scripts.count)
        out.field("number_of_functions", libraries.functionCount)
        out.field("number_of_libraries", libraries.libraries.count)
        out.field("used_memory_vm_functions", lua.functions)
        out.size("used_memory_vm_total", lua.scripts + lua.functions)
        out.field("used_memory_functions", libraries.bytes)
        out.size("used_memory_scripts", scripts.bytes + libraries.bytes)
        // What `maxmemory` is held against, which is on the disk.
        out.field("used_memory_dataset", server.dataLimit.usedBytes)
        out.size("maxmemory", config.integer("maxmemory"))
        out.field("maxmemory_policy", config.text("maxmemory-policy"))
        out.field("mem_fragmentation_ratio", ProcessFacts.twoDecimals(Double(resident) / Double(max(1, heap))))
        out.field("mem_fragmentation_bytes", resident - heap)
        // Stored data counts, memory does not.
        out.field("mem_not_counted_for_evict", heap)
        out.field("mem_replication_backlog", 0)
        out.field("mem_total_replication_buffers", 0)
        out.field("mem_cluster_links", 0)
        out.field("mem_clients_slaves", 0)
        out.field("mem_clients_normal", server.clientMemory.bytes)
        out.field("mem_aof_buffer", 0)
        out.field("mem_allocator", "libc")
        out.field("active_defrag_running", 0)
        out.field("lazyfree_pending_objects", 0)
        out.field("lazyfreed_objects", 0)
    }

    private mutating func writeAllocator(_ heap: Int, _ resident: Int) {
        func ratio(_ a: Int, _ b: Int) -> String { ProcessFacts.twoDecimals(Double(a) / Double(max(1, b))) }
        let active = ProcessFacts.heapActiveBytes()
        out.field("allocator_allocated", heap)
        out.field("allocator_active", active)
        out.field("allocator_resident", resident)
        out.field("allocator_frag_ratio", ratio(active, heap))
        out.field("allocator_frag_bytes", active - heap)
        out.field("allocator_rss_ratio", ratio(resident, active))
        out.field("allocator_rss_bytes", resident - active)
        // The allocator's resident memory is not told apart from the rest of the process.
        out.field("rss_overhead_ratio", "1.00")
        out.field("rss_overhead_bytes", 0)
    }

    /// Of processes that save or defragment; there are none.
    private mutating func writeAbsentChildren() {
        for name in ["current_cow_peak", "current_cow_size", "current_cow_size_age"] { out.field(name, 0) }
        out.field("current_fork_perc", "0.00")
        for name in ["current_save_keys_processed", "current_save_keys_total"] { out.field(name, 0) }
    }

    private mutating func writePersistence() {
        let saving = administration.saving.figures
        out.section("Persistence")
        out.field("loading", 0)
        out.field("async_loading", 0)
        writeAbsentChildren()
        out.field("rdb_changes_since_last_save", max(0, Int(totals[.dirty]) - saving.changesAtSave))
        out.flag("rdb_bgsave_in_progress", saving.backup.runs)
        out.field("rdb_last_save_time", saving.lastSave)
        out.field("rdb_last_bgsave_status", saving.backup.lastFailed ? "err" : "ok")
        out.field("rdb_last_bgsave_time_sec", saving.backup.lastSeconds)
        out.field("rdb_current_bgsave_time_sec", saving.backup.currentSeconds)
        out.field("rdb_saves", saving.backup.count)
        out.field("backups", saving.backups)
        out.field("last_backup", saving.lastBackup)
        for name in ["rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded"] {
            out.field(name, 0)
        }
        out.field("aof_enabled", 1)
        out.flag("aof_rewrite_in_progress", saving.rewrite.runs)
        out.flag("aof_rewrite_scheduled", saving.rewrite.isScheduled)
        out.field("aof_last_rewrite_time_sec", saving.rewrite.lastSeconds)
        out.field("aof_current_rewrite_time_sec", saving.rewrite.currentSeconds)
        out.field("aof_last_bgrewrite_status", saving.rewrite.lastFailed ? "err" : "ok")
        out.field("aof_rewrites", saving.rewrite.count)
        out.field("aof_last_cow_size", 0)
        out.field("module_fork_in_progress", 0)
        out.field("module_fork_last_cow_size", 0)
        out.field("aof_last_write_status", administration.writesStopped(server) ? "err" : "ok")
    }

    private mutating func writeStats() {
        let rates = administration.rates.rates
        out.section("Stats")
        out.field("total_connections_received", totals[.connectionsAccepted])
        out.field("total_commands_processed", totals[.commands])
        out.field("instantaneous_ops_per_sec", Int(rates.commands.rounded()))
        out.field("total_net_input_bytes", totals[.bytesIn])
        out.field("total_net_output_bytes", totals[.bytesOut])
        out.field("total_net_repl_input_bytes", 0)
        out.field("total_net_repl_output_bytes", 0)
        out.field("instantaneous_input_kbps", ProcessFacts.twoDecimals(rates.bytesIn / 1024))
        out.field("instantaneous_output_kbps", ProcessFacts.twoDecimals(rates.bytesOut / 1024))
        out.field("instantaneous_input_repl_kbps", "0.00")
        out.field("instantaneous_output_repl_kbps", "0.00")
        out.field("rejected_connections", totals[.connectionsRefused])
        out.field("sync_full", 0)
        out.field("sync_partial_ok", 0)
        out.field("sync_partial_err", 0)
        out.field("expired_keys", totals[.expiredKeys])
        // Of keys that have expired and are still stored; while some are left it is not known how many.
        if server.expiryIsThrough.load(ordering: .relaxed) { out.field("expired_stale_perc", "0.00") }
        out.field("expired_time_cap_reached_count", totals[.expiryRunsCut])
        out.field("expire_cycle_cpu_milliseconds", totals[.expiryMicroseconds] / 1000)
        let exceeded = server.dataLimit.exceededMilliseconds
        out.field("evicted_keys", totals[.evictedKeys])
        out.field("evicted_clients", totals[.evictedClients])
        out.field("total_eviction_exceeded_time", exceeded.total)
        out.field("current_eviction_exceeded_time", exceeded.current)
        out.field("keyspace_hits", totals[.keyspaceHits])
        out.field("keyspace_misses", totals[.keyspaceMisses])
        out.field("pubsub_channels", server.pubSub.count(.channel))
        out.field("pubsub_patterns", server.pubSub.count(.pattern))
        out.field("pubsubshard_channels", server.pubSub.count(.shard))
        out.field("latest_fork_usec", 0)
        out.field("total_forks", 0)
        out.field("migrate_cached_sockets", 0)
        out.field("slave_expires_tracked_keys", 0)
        for name in ["hits", "misses", "key_hits", "key_misses"] { out.field("active_defrag_\(name)", 0) }
        out.field("total_active_defrag_time", 0)
        out.field("current_active_defrag_time", 0)
        out.field("tracking_total_keys", server.tracking.table.keyCount)
        out.field("tracking_total_items", server.tracking.table.itemCount)
        out.field("tracking_total_prefixes", server.tracking.prefixCount)
        out.field("unexpected_error_replies", 0)
        out.field("dump_payload_sanitizations", 0)
        // Loops read and write for themselves.
        out.field("io_threaded_reads_processed", 0)
        out.field("io_threaded_writes_processed", 0)
        // Clients borrow a buffer while they have replies.
        out.field("reply_buffer_shrinks", 0)
        out.field("reply_buffer_expands", 0)
        out.field("total_error_replies", totals[.errorReplies])
        out.field("total_reads_processed", totals[.reads])
        out.field("total_writes_processed", totals[.writes])
        out.field("loop_turns", totals[.turns])
        out.field("deferred_commands", totals[.deferredCommands])
        out.field("reply_pieces", totals[.replyPieces])
        out.field("held_replies", totals[.heldReplies])
        out.field("slow_commands", totals[.slowCommands])
        out.field("closed_idle_clients", totals[.idleClosed])
        out.field("closed_output_limit_clients", totals[.outputLimitClosed])
        out.field("closed_query_limit_clients", totals[.queryBufferLimitClosed])
        out.field("log_lines_dropped", administration.log.droppedLines)
    }

    private mutating func writeReplication() {
        out.section("Replication")
        out.field("role", "master")
        out.field("connected_slaves", 0)
        out.field("master_failover_state", "no-failover")
        out.field("master_replid", administration.runID)
        out.field("master_replid2", String(repeating: "0", count: 40))
        out.field("master_repl_offset", 0)
        out.field("second_repl_offset", -1)
        out.field("repl_backlog_active", 0)
        out.field("repl_backlog_size", administration.config.integer("repl-backlog-size"))
        out.field("repl_backlog_first_byte_offset", 0)
        out.field("repl_backlog_histlen", 0)
    }

    private mutating func writeCPU() {
        let own = ProcessFacts.cpuSeconds(children: false)
        let children = ProcessFacts.cpuSeconds(children: true)
        out.section("CPU")
        out.field("used_cpu_sys", own.system)
        out.field("used_cpu_user", own.user)
        out.field("used_cpu_sys_children", children.system)
        out.field("used_cpu_user_children", children.user)
        // Redis has one thread that runs commands; here those are the event loops.
        let system = server.loops.reduce(0) { $0 + $1.systemTime.load(ordering: .relaxed) }
        let user = server.loops.reduce(0) { $0 + $1.userTime.load(ordering: .relaxed) }
        out.field("used_cpu_sys_main_thread", ProcessFacts.seconds(system))
        out.field("used_cpu_user_main_thread", ProcessFacts.seconds(user))
    }

    private mutating func writeCommandStats() {
        out.section("Commandstats")
        for (index, counts) in totals.commands.enumerated() {
            if counts.calls == 0 && counts.rejected == 0 && counts.failed == 0 { continue }
            let microseconds = counts.nanoseconds / 1000
            let mean = counts.calls == 0 ? 0 : Double(counts.nanoseconds) / 1000 / Double(counts.calls)
            out.field(
                "cmdstat_" + server.table.fullNames[index],
                "calls=\(counts.calls),usec=\(microseconds),usec_per_call=\(ProcessFacts.twoDecimals(mean)),"
                    + "rejected_calls=\(counts.rejected),failed_calls=\(counts.failed)")
        }
    }

    private mutating func writeLatencyStats() {
        out.section("Latencystats")
        let config = administration.config
        guard config.flag("latency-tracking") else { return }
        let percents = config.words("latency-tracking-info-percentiles").compactMap(Double.init)
        for (command, histogram) in server.latencies().sorted(by: { $0.key < $1.key }) {
            let parts = percents.map { percent in
                "p\(ProcessFacts.shortest(percent))=\(ProcessFacts.microseconds(histogram.percentile(percent)))"
            }
            out.field("latency_percentiles_usec_" + server.table.fullNames[command], parts.joined(separator: ","))
        }
    }

    private mutating func writeErrorStats() {
        out.section("Errorstats")
        for code in ErrorCode.allCases {
            let count = totals.errors[Int(code.rawValue)]
            if count > 0 { out.field("errorstat_\(code.text)", "count=\(count)") }
        }
    }

    private mutating func writeKeyspace(_ context: CommandContext) throws(Interruption) {
        out.section("Keyspace")
        for database in 0..<administration.config.integer("databases") {
            let counts = try administration.counts(server, database, context)
            if counts.keys > 0 { out.field("db\(database)", "keys=\(counts.keys),expires=\(counts.expires),avg_ttl=0") }
        }
    }
}

extension Administration {
    /// Exact counts of a database; looks at blind writes first, for which it may have to go to a worker.
    func counts(_ server: Server, _ database: Int, _ context: CommandContext) throws(Interruption) -> NamespaceCounts {
        let counts = server.keyspace.counts(database)
        if counts.unknown == 0 { return counts }
        try context.needsWorker()
        return try server.keyspace.exactCounts(database)
    }
}
