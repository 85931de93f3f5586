// Every directive the server knows, as data: first those it acts on, then (in ConfigSchemaRedis.swift) the rest of
// redis.conf 7.0, so that an existing file starts. Operations.md documents the first group; a test keeps them equal.

import Glibc

package enum ConfigSchema {
    private static let anyPort: ClosedRange<Int64> = 0...65535
    private static let upToInt: ClosedRange<Int64> = 0...Int64(Int32.max)
    private static let upToLong: ClosedRange<Int64> = 0...Int64.max
    private static let sizeMin: Int64 = 1 << 20

    /// Event loops by default: half the cores, at least 1, at most 4.
    package static var defaultLoopCount: Int { min(4, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)) }

    /// The directives in the order in which CONFIG GET lists them. Built anew at each call: keep the result.
    package static func all() -> [ConfigDirective] {
        network + tls + clients + storage + limits + process + observing + kept + redisSnapshots + redisReplication
            + redisCluster
            + redisTransport + redisData + redisProcess
    }

    private static var network: [ConfigDirective] {
        [
            ConfigDirective(
                "port", .integer(anyPort), "6379", unit: "TCP port",
                help: "Port to listen on; 0 listens on no port."),
            ConfigDirective(
                "bind", .words, "* -::*",
                help: "Addresses to listen on; one with a leading - may be missing. * is all IPv4, ::* is all IPv6."),
            ConfigDirective(
                "unixsocket", .text, "", .atStart, help: "Path of a Unix socket to listen on as well; empty for none."),
            ConfigDirective(
                "unixsocketperm", .octal(0...0o777), "0", .atStart,
                help: "Permissions of the Unix socket; 0 leaves what the umask gives."),
            ConfigDirective(
                "tcp-backlog", .integer(upToInt), "511", .atStart, unit: "connections",
                help: "Connections that may wait to be accepted."),
            ConfigDirective(
                "tcp-keepalive", .integer(upToInt), "300", unit: "seconds",
                help: "Probe silent peers after this long; 0 never."),
            ConfigDirective(
                "timeout", .integer(upToInt), "0", unit: "seconds",
                help: "Close a client that has been idle for this long; 0 never."),
            ConfigDirective(
                "protected-mode", .bool, "yes",
                help: "Without a password, refuse clients that are not on this machine."),
            ConfigDirective(
                "io-threads", .integer(1...128), String(defaultLoopCount), .atStart, unit: "threads",
                help: "Event loops; connections are spread over them. The default is half the cores, from 1 to 4."),
        ]
    }

    private static var tls: [ConfigDirective] {
        [
            ConfigDirective(
                "tls-port", .integer(anyPort), "0", unit: "TCP port",
                help: "Port for clients that speak TLS; 0 listens on no port."),
            ConfigDirective(
                "tls-cert-file", .text, "",
                help: "The server's certificate, with those it depends on behind it (PEM). Setting it reads it again."),
            ConfigDirective("tls-key-file", .text, "", help: "The certificate's private key (PEM)."),
            ConfigDirective(
                "tls-key-file-pass", .text, "", help: "What opens the private key; empty for one that is open.",
                isSecret: true),
            ConfigDirective(
                "tls-ca-cert-file", .text, "", help: "Who may sign the certificates of clients: one file (PEM)."),
            ConfigDirective(
                "tls-ca-cert-dir", .text, "",
                help: "The same: a directory with a file for each, named as `openssl rehash` does."),
            ConfigDirective(
                "tls-auth-clients", .choice(["no", "yes", "optional"]), "yes",
                help: "Whether clients must have a certificate; optional: it must be good if there is one."),
            ConfigDirective(
                "tls-protocols", .text, "",
                help: "Versions allowed, out of TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; empty for the last two."),
            ConfigDirective("tls-ciphers", .text, "", help: "Ciphers up to TLSv1.2, as OpenSSL writes them."),
            ConfigDirective("tls-ciphersuites", .text, "", help: "Ciphers of TLSv1.3, as OpenSSL writes them."),
            ConfigDirective(
                "tls-prefer-server-ciphers", .bool, "no", help: "The server's order of ciphers wins over the client's."),
            ConfigDirective(
                "tls-session-caching", .bool, "yes", help: "Sessions may be taken up again without a full handshake."),
            ConfigDirective(
                "tls-session-cache-size", .integer(upToInt), "20480", unit: "sessions",
                help: "Sessions kept at most; 0 has no bound."),
            ConfigDirective(
                "tls-session-cache-timeout", .integer(upToInt), "300", unit: "seconds",
                help: "How long a session may be taken up again."),
            ConfigDirective(
                "tls-dh-params-file", .text, "",
                help: "Parameters for Diffie-Hellman (PEM); empty for OpenSSL's own."),
        ]
    }

    private static var clients: [ConfigDirective] {
        [
            ConfigDirective(
                "requirepass", .text, "", help: "Password that clients must give with AUTH; empty for none.",
                isSecret: true),
            ConfigDirective(
                "aclfile", .text, "", .atStart,
                help: "File with users and their rules, a line each; empty for those of `user` lines."),
            ConfigDirective(
                "acl-pubsub-default", .choice(["allchannels", "resetchannels"]), "resetchannels",
                help: "Channels that a new user or selector may use before any rule: all or none."),
            ConfigDirective(
                "acllog-max-len", .integer(upToLong), "128", unit: "entries",
                help: "Refused commands that ACL LOG remembers."),
            ConfigDirective(
                "maxclients", .integer(1...Int64(UInt32.max)), "10000", unit: "connections",
                help: "Connections at most; further ones get an error and are closed."),
            ConfigDirective(
                "databases", .integer(1...Int64(Int32.max)), "16", .atStart, unit: "databases",
                help: "Numbered databases that SELECT may choose."),
            ConfigDirective(
                "proto-max-bulk-len", .memory(sizeMin...Int64.max), "512mb", unit: "bytes",
                help: "Longest single argument that is accepted."),
            ConfigDirective(
                "hll-sparse-max-bytes", .memory(0...Int64.max), "3000", unit: "bytes",
                help: "A HyperLogLog that would be longer than this in its sparse form takes the dense one."),
            ConfigDirective(
                "hash-max-listpack-entries", .integer(upToLong), "512", aliases: ["hash-max-ziplist-entries"],
                unit: "fields", help: "For OBJECT ENCODING, hashes with more are a \"hashtable\"."),
            ConfigDirective(
                "hash-max-listpack-value", .memory(0...upToLong.upperBound), "64", aliases: ["hash-max-ziplist-value"],
                unit: "bytes", help: "The same for hashes with a longer field or value."),
            ConfigDirective(
                "set-max-intset-entries", .integer(upToLong), "512", unit: "members",
                help: "For OBJECT ENCODING, sets of numbers with more are a \"hashtable\"."),
            ConfigDirective(
                "zset-max-listpack-entries", .integer(upToLong), "128", aliases: ["zset-max-ziplist-entries"],
                unit: "members", help: "For OBJECT ENCODING, sorted sets with more are a \"skiplist\"."),
            ConfigDirective(
                "zset-max-listpack-value", .memory(0...upToLong.upperBound), "64", aliases: ["zset-max-ziplist-value"],
                unit: "bytes", help: "The same for sorted sets with a longer member."),
            ConfigDirective(
                "stream-node-max-entries", .integer(upToLong), "100", unit: "entries",
                help: "XADD and XTRIM with ~ remove as many entries as nodes of this size hold; 0: all or none."),
            ConfigDirective(
                "busy-reply-threshold", .integer(upToLong), "5000", aliases: ["lua-time-limit"], unit: "milliseconds",
                help: "A script that runs for longer makes other clients get -BUSY; 0 never."),
            ConfigDirective(
                "lua-enable-deprecated-api", .bool, "no", .atStart,
                help: "Whether scripts have newproxy, getfenv and setfenv of Lua.", isHidden: true),
            ConfigDirective(
                "client-query-buffer-limit", .memory(sizeMin...Int64.max), "1gb", unit: "bytes",
                help: "Most input that is kept for one client; who sends more is closed."),
            ConfigDirective(
                "client-output-buffer-limit", .outputLimits,
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", unit: "bytes, bytes, seconds",
                help: "Replies kept for a client that does not read: closed at the hard limit, or above the soft one "
                    + "for so many seconds; 0 sets no limit."),
            ConfigDirective(
                "maxmemory-clients", .memoryOrPercent, "0", unit: "bytes",
                help: "Memory that clients may take all together, also as a part of maxmemory (5%); beyond it the "
                    + "largest are closed. 0 sets no limit."),
            ConfigDirective(
                "tracking-table-max-keys", .integer(upToLong), "1000000", unit: "keys",
                help: "Keys that are remembered for CLIENT TRACKING at most, whose clients are then told; 0 sets no "
                    + "limit."),
            ConfigDirective(
                "enable-protected-configs", .choice(["no", "yes", "local"]), "no", .atStart,
                help: "Whether clients may change protected settings: no, yes, or those on this machine."),
            ConfigDirective(
                "enable-debug-command", .choice(["no", "yes", "local"]), "no", .atStart,
                help: "Whether clients may use DEBUG: no, yes, or those on this machine."),
            ConfigDirective(
                "enable-module-command", .choice(["no", "yes", "local"]), "no", .atStart,
                help: "Whether clients may use MODULE: no, yes, or those on this machine (there are no modules)."),
        ]
    }

    private static var storage: [ConfigDirective] {
        [
            ConfigDirective("dir", .text, ".", .protected, help: "Directory of the data; fixed once the server runs."),
            ConfigDirective(
                "appendfsync", .choice(["everysec", "always", "no"]), "everysec",
                help: "When the log is forced to the disk: before each reply, each second, or as the system likes."),
            ConfigDirective(
                "memory", .memory(16 << 20...Int64(1) << 50), "512mb", .fixed, unit: "bytes",
                help: "Budget for all in-memory tables and block caches together."),
            ConfigDirective(
                "table-memory", .memory(sizeMin...Int64(1) << 32), "32mb", .fixed, unit: "bytes",
                help: "Size at which the table that takes new writes is sealed and flushed."),
            ConfigDirective(
                "value-separation-threshold", .memory(64...1 << 24), "1kb", unit: "bytes",
                help: "Values of this size and above stay in the log; smaller ones move into the sorted files."),
            ConfigDirective(
                "segment-size", .memory(sizeMin...1 << 30), "64mb", .fixed, unit: "bytes",
                help: "Size of one file of the value log."),
            ConfigDirective(
                "space-target", .real(1.1...2.0), "1.3", unit: "ratio",
                help: "Bytes on disk that are aimed at, of log and tables together, as a multiple of the live bytes."),
            ConfigDirective(
                "backups-kept", .integer(0...1000), "1", unit: "backups",
                help: "Newest backups of SAVE and BGSAVE that are kept; with 0 they make none, and only sync and flush."
            ),
            ConfigDirective(
                "scrub-period", .integer(0...31_536_000), "604800", unit: "seconds",
                help: "Read and check everything on the disk once in this time, slowly; 0 never."),
            ConfigDirective(
                "scrub-rate", .memory(64 << 10...1 << 30), "8mb", unit: "bytes a second",
                help: "The most that the check reads."),
            ConfigDirective(
                "background-threads", .integer(0...64), "0", .fixed, unit: "threads",
                help: "Threads that merge; with 0 one less than there are processors, and at least one."),
            ConfigDirective(
                "background-rate", .memory(0...1 << 40), "0", unit: "bytes a second",
                help: "The most that merges and the garbage collector read and write; 0 is no limit."),
            ConfigDirective(
                "reader-threads", .integer(1...128), "4", .fixed, unit: "threads",
                help: "Threads that read what is not in memory."),
        ]
    }

    private static var limits: [ConfigDirective] {
        [
            ConfigDirective(
                "maxmemory", .memory(upToLong), "0", unit: "bytes",
                help: "Live data on the disk at most; beyond it keys are evicted or writes refused, as "
                    + "maxmemory-policy says. 0 sets no limit. Memory has its own: memory."),
            ConfigDirective(
                "maxmemory-policy",
                .choice([
                    "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu",
                    "allkeys-random", "noeviction",
                ]), "noeviction",
                help: "Which keys give way: all, or those with an expiry time; the longest unused, the seldomest used, "
                    + "any, or the next to expire. With noeviction writes are refused."),
            ConfigDirective(
                "maxmemory-samples", .integer(1...Int64(Int32.max)), "5", unit: "keys",
                help: "How thoroughly the keys to evict are chosen: of three times as many one goes."),
            ConfigDirective(
                "lfu-log-factor", .integer(upToInt), "10",
                help: "The higher, the more uses it takes for a frequency to grow."),
            ConfigDirective(
                "lfu-decay-time", .integer(upToInt), "1", unit: "minutes",
                help: "A frequency falls by one in this time without uses; 0 never."),
        ]
    }

    private static var process: [ConfigDirective] {
        [
            ConfigDirective("daemonize", .bool, "no", .atStart, help: "Leave the terminal and run in the background."),
            ConfigDirective(
                "pidfile", .text, "", .atStart,
                help: "File that holds the process id while the server runs; empty for none (/var/run/valk.pid when "
                    + "daemonized)."),
            ConfigDirective(
                "logfile", .text, "", .atStart, help: "File to append the server's log to; empty for standard output."),
            ConfigDirective(
                "loglevel", .choice(["debug", "verbose", "notice", "warning"]), "notice",
                help: "The least important events that are logged."),
            ConfigDirective(
                "crash-log-enabled", .bool, "yes", help: "A crash writes a report with a stack trace into the log."),
            ConfigDirective(
                "oom-score-adj", .choice(["no", "yes", "relative", "absolute"]), "no",
                help: "Whether the kernel's score of this process for when memory runs out is adjusted: by "
                    + "oom-score-adj-values on top of what it was (yes, relative), or to just that."),
            ConfigDirective(
                "oom-score-adj-values", .threeIntegers, "0 200 800",
                help: "The adjustment is the first; Redis has the others for replicas and child processes."),
            ConfigDirective(
                "always-show-logo", .bool, "no", .atStart, help: "Kept for Redis' files; the banner is always short."),
            ConfigDirective(
                "shutdown-on-sigint", .choices(["default", "save", "nosave", "now", "force"]), "default",
                help: "What SIGINT does; every form syncs the log and stops."),
            ConfigDirective(
                "shutdown-on-sigterm", .choices(["default", "save", "nosave", "now", "force"]), "default",
                help: "What SIGTERM does; every form syncs the log and stops."),
        ]
    }

    private static var observing: [ConfigDirective] {
        [
            ConfigDirective(
                "slowlog-log-slower-than", .integer(-1...Int64.max), "10000", unit: "microseconds",
                help: "Commands that take longer are kept in the slow log; 0 keeps all, -1 none."),
            ConfigDirective(
                "slowlog-max-len", .integer(upToLong), "128", unit: "entries", help: "Length of the slow log."),
            ConfigDirective(
                "latency-monitor-threshold", .integer(upToLong), "0", unit: "milliseconds",
                help: "What takes at least so long is kept for LATENCY LATEST and its like; 0 keeps nothing."),
            ConfigDirective(
                "latency-tracking", .bool, "yes", help: "Keep the latencies that INFO latencystats shows."),
            ConfigDirective(
                "latency-tracking-info-percentiles", .percentiles, "50 99 99.9", unit: "percent",
                help: "Percentiles that INFO latencystats shows."),
            ConfigDirective(
                "notify-keyspace-events", .keyspaceEvents, "",
                help: "Events of keys that are published: their kinds, and K (by key) or E (by event) or both."),
        ]
    }

    /// Settings of Redis that have another meaning here.
    private static var kept: [ConfigDirective] {
        [
            ConfigDirective(
                "save", .savePoints, "", unit: "seconds, changes",
                help: "Kept for Redis' files; nothing waits for it, because every write goes to the log."),
            ConfigDirective(
                "rdbcompression", .bool, "yes", help: "Compress what DUMP returns, where that saves four bytes or more."
            ),
            ConfigDirective(
                "appendonly", .bool, "yes",
                help: "Kept for Redis' files; the log is always on, whatever is said here."),
        ]
    }
}
