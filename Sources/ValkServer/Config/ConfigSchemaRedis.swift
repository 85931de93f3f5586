// The rest of redis.conf 7.0: directives that have no effect here, each with the reason, its form and Redis' default,
// so that files start, CONFIG SET checks values as Redis does and CONFIG GET answers what was set. A few would promise
// what the server cannot do (authentication rules, being a replica); those are refused unless they say "no".

extension ConfigSchema {
    private static let upToInt: ClosedRange<Int64> = 0...Int64(Int32.max)
    private static let upToLong: ClosedRange<Int64> = 0...Int64.max
    private static let fromOne: ClosedRange<Int64> = 1...Int64(Int32.max)
    private static let anyInt: ClosedRange<Int64> = Int64(Int32.min)...Int64(Int32.max)
    private static let anyPort: ClosedRange<Int64> = 0...65535

    static var redisSnapshots: [ConfigDirective] {
        [
            bool("rdbchecksum", "yes", .atStart, .snapshots),
            bool("rdb-del-sync-files", "no", .live, .snapshots),
            bool("rdb-save-incremental-fsync", "yes", .live, .snapshots),
            bool("stop-writes-on-bgsave-error", "yes", .live, .snapshots),
            ConfigDirective("dbfilename", .text, "dump.rdb", .protected, .ignored(.snapshots)),
            ConfigDirective(
                "sanitize-dump-payload", .choice(["no", "yes", "clients"]), "no", .live, .ignored(.snapshots)),
            int("rdb-key-save-delay", anyInt, "0", .debugging, isHidden: true),
            int("key-load-delay", anyInt, "0", .debugging, isHidden: true),
            bool("aof-rewrite-incremental-fsync", "yes", .live, .appendFile),
            bool("no-appendfsync-on-rewrite", "no", .live, .appendFile),
            bool("aof-load-truncated", "yes", .live, .appendFile),
            bool("aof-use-rdb-preamble", "yes", .live, .appendFile),
            bool("aof-timestamp-enabled", "no", .live, .appendFile),
            bool("aof-disable-auto-gc", "no", .live, .appendFile),
            ConfigDirective("appendfilename", .text, "appendonly.aof", .atStart, .ignored(.appendFile)),
            ConfigDirective("appenddirname", .text, "appendonlydir", .atStart, .ignored(.appendFile)),
            int("auto-aof-rewrite-percentage", upToInt, "100", .appendFile),
            memory("auto-aof-rewrite-min-size", upToLong, "64mb", .appendFile),
        ]
    }

    static var redisReplication: [ConfigDirective] {
        [
            ConfigDirective(
                "replicaof", .hostAndPort, "", .atStart, .refused("Valk cannot be a replica yet"),
                aliases: ["slaveof"]),
            ConfigDirective("masterauth", .text, "", .live, .ignored(.replication), isSecret: true),
            ConfigDirective("masteruser", .text, "", .live, .ignored(.replication), isSecret: true),
            bool("replica-serve-stale-data", "yes", .live, .replication, ["slave-serve-stale-data"]),
            bool("replica-read-only", "yes", .live, .replication, ["slave-read-only"]),
            bool("replica-ignore-maxmemory", "yes", .live, .replication, ["slave-ignore-maxmemory"]),
            bool("replica-lazy-flush", "no", .live, .replication, ["slave-lazy-flush"]),
            bool("replica-announced", "yes", .live, .replication),
            bool("replica-ignore-disk-write-errors", "no", .live, .replication),
            ConfigDirective(
                "replica-announce-ip", .text, "", .live, .ignored(.replication), aliases: ["slave-announce-ip"]),
            int("replica-announce-port", anyPort, "0", .replication, ["slave-announce-port"]),
            int("replica-priority", upToInt, "100", .replication, ["slave-priority"]),
            bool("repl-disable-tcp-nodelay", "no", .live, .replication),
            bool("repl-diskless-sync", "yes", .live, .replication),
            int("repl-diskless-sync-delay", upToInt, "5", .replication),
            int("repl-diskless-sync-max-replicas", upToInt, "0", .replication),
            choice("repl-diskless-load", ["disabled", "on-empty-db", "swapdb"], "disabled", .replication),
            int("repl-ping-replica-period", fromOne, "10", .replication, ["repl-ping-slave-period"]),
            int("repl-timeout", fromOne, "60", .replication),
            int("repl-backlog-ttl", upToLong, "3600", .replication),
            memory("repl-backlog-size", 1...Int64.max, "1mb", .replication),
            int("min-replicas-to-write", upToInt, "0", .replication, ["min-slaves-to-write"]),
            int("min-replicas-max-lag", upToInt, "10", .replication, ["min-slaves-max-lag"]),
            choice("propagation-error-behavior", ["ignore", "panic", "panic-on-replicas"], "ignore", .replication),
        ]
    }

    static var redisCluster: [ConfigDirective] {
        [
            ConfigDirective("cluster-enabled", .bool, "no", .atStart, .refused("Valk has no cluster mode yet")),
            ConfigDirective("cluster-config-file", .text, "nodes.conf", .atStart, .ignored(.cluster)),
            int("cluster-node-timeout", upToLong, "15000", .cluster),
            int("cluster-migration-barrier", upToInt, "1", .cluster),
            int("cluster-replica-validity-factor", upToInt, "10", .cluster, ["cluster-slave-validity-factor"]),
            int("cluster-announce-port", anyPort, "0", .cluster),
            int("cluster-announce-bus-port", anyPort, "0", .cluster),
            int("cluster-announce-tls-port", anyPort, "0", .cluster),
            ConfigDirective("cluster-port", .integer(anyPort), "0", .atStart, .ignored(.cluster)),
            memory("cluster-link-sendbuf-limit", upToLong, "0", .cluster),
            ConfigDirective("cluster-announce-ip", .text, "", .live, .ignored(.cluster)),
            ConfigDirective("cluster-announce-hostname", .text, "", .live, .ignored(.cluster)),
            choice("cluster-preferred-endpoint-type", ["ip", "hostname", "unknown-endpoint"], "ip", .cluster),
            bool("cluster-require-full-coverage", "yes", .live, .cluster),
            bool("cluster-replica-no-failover", "no", .live, .cluster, ["cluster-slave-no-failover"]),
            bool("cluster-allow-reads-when-down", "no", .live, .cluster),
            bool("cluster-allow-pubsubshard-when-down", "yes", .live, .cluster),
            bool("cluster-allow-replica-migration", "yes", .live, .cluster),
        ]
    }

    static var redisTransport: [ConfigDirective] {
        let files = ["tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass"]
        return [
            bool("tls-cluster", "no", .live, .cluster),
            bool("tls-replication", "no", .live, .replication),
        ]
            + files.map {
                ConfigDirective($0, .text, "", .live, .ignored(.replication), isSecret: $0.hasSuffix("-pass"))
            }
    }

    static var redisData: [ConfigDirective] {
        [
            int("list-max-listpack-size", anyInt, "-2", .encodings, ["list-max-ziplist-size"]),
            int("list-compress-depth", upToInt, "0", .encodings),
            memory("stream-node-max-bytes", upToLong, "4096", .encodings),
            int("maxmemory-eviction-tenacity", 0...100, "10", .eviction),
            bool("lazyfree-lazy-eviction", "no", .live, .allocator),
            bool("lazyfree-lazy-expire", "no", .live, .allocator),
            bool("lazyfree-lazy-server-del", "no", .live, .allocator),
            bool("lazyfree-lazy-user-del", "no", .live, .allocator),
            bool("lazyfree-lazy-user-flush", "no", .live, .allocator),
            bool("activerehashing", "yes", .live, .allocator),
            bool("activedefrag", "no", .live, .allocator),
            int("active-defrag-cycle-min", 1...99, "1", .allocator),
            int("active-defrag-cycle-max", 1...99, "25", .allocator),
            int("active-defrag-threshold-lower", 0...1000, "10", .allocator),
            int("active-defrag-threshold-upper", 0...1000, "100", .allocator),
            int("active-defrag-max-scan-fields", 1...Int64.max, "1000", .allocator),
            memory("active-defrag-ignore-bytes", 1...Int64.max, "100mb", .allocator),
            bool("jemalloc-bg-thread", "yes", .live, .allocator),
        ]
    }

    static var redisProcess: [ConfigDirective] {
        let facilities = [
            "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
        ]
        return [
            int("hz", upToInt, "10", .timers),
            bool("dynamic-hz", "yes", .live, .timers),
            int("active-expire-effort", 1...10, "1", .timers),
            int("shutdown-timeout", upToInt, "10", .replication),
            int("watchdog-period", upToInt, "0", .debugging, isHidden: true),
            bool("use-exit-on-panic", "no", .live, .debugging, isHidden: true),
            bool("syslog-enabled", "no", .atStart, .process),
            ConfigDirective("syslog-ident", .text, "redis", .atStart, .ignored(.process)),
            choice("syslog-facility", facilities, "local0", .process, .atStart),
            bool("crash-memcheck-enabled", "yes", .live, .process),
            bool("disable-thp", "yes", .atStart, .process),
            bool("set-proc-title", "yes", .atStart, .process),
            ConfigDirective(
                "proc-title-template", .text, "{title} {listen-addr} {server-mode}", .live, .ignored(.process)),
            choice("supervised", ["upstart", "systemd", "auto", "no"], "no", .process, .atStart),
            ConfigDirective("server_cpulist", .text, "", .atStart, .ignored(.process)),
            ConfigDirective("bio_cpulist", .text, "", .atStart, .ignored(.process)),
            ConfigDirective("aof_rewrite_cpulist", .text, "", .atStart, .ignored(.process)),
            ConfigDirective("bgsave_cpulist", .text, "", .atStart, .ignored(.process)),
            ConfigDirective("ignore-warnings", .text, "", .live, .ignored(.process)),
            ConfigDirective("bind-source-addr", .text, "", .live, .ignored(.replication)),
            ConfigDirective("socket-mark-id", .integer(upToLong), "0", .atStart, .ignored(.process)),
            bool("io-threads-do-reads", "no", .atStart, .process),
        ]
    }

    /// Names that a file may hold although CONFIG knows no such setting; read and forgotten.
    static let forgottenNames = ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"]

    private static func bool(
        _ name: String, _ initial: String, _ mutability: ConfigMutability, _ reason: IgnoredReason,
        _ aliases: [String] = [], isHidden: Bool = false
    ) -> ConfigDirective {
        ConfigDirective(name, .bool, initial, mutability, .ignored(reason), aliases: aliases, isHidden: isHidden)
    }

    private static func int(
        _ name: String, _ range: ClosedRange<Int64>, _ initial: String, _ reason: IgnoredReason,
        _ aliases: [String] = [], unit: String = "", isHidden: Bool = false
    ) -> ConfigDirective {
        ConfigDirective(
            name, .integer(range), initial, .live, .ignored(reason), aliases: aliases, unit: unit, isHidden: isHidden)
    }

    private static func memory(
        _ name: String, _ range: ClosedRange<Int64>, _ initial: String, _ reason: IgnoredReason,
        _ aliases: [String] = []
    ) -> ConfigDirective {
        ConfigDirective(name, .memory(range), initial, .live, .ignored(reason), aliases: aliases, unit: "bytes")
    }

    private static func choice(
        _ name: String, _ names: [String], _ initial: String, _ reason: IgnoredReason,
        _ mutability: ConfigMutability = .live
    ) -> ConfigDirective {
        ConfigDirective(name, .choice(names), initial, mutability, .ignored(reason))
    }
}
