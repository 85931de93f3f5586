// CONFIG GET and SET over the schema: names, patterns, exact errors, all or nothing.

import Testing
import ValkBase

@testable import ValkServer

@Suite struct ConfigStoreTests {
    /// What CONFIG GET * lists on Redis 7.0.
    static let redisNames = """
        acl-pubsub-default aclfile acllog-max-len active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes
        active-defrag-max-scan-fields active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activedefrag activerehashing
        always-show-logo aof-disable-auto-gc aof-load-truncated aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble
        aof_rewrite_cpulist appenddirname appendfilename appendfsync appendonly auto-aof-rewrite-min-size
        auto-aof-rewrite-percentage bgsave_cpulist bind bind-source-addr bio_cpulist busy-reply-threshold
        client-output-buffer-limit client-query-buffer-limit cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down cluster-allow-replica-migration cluster-announce-bus-port
        cluster-announce-hostname cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-config-file cluster-enabled
        cluster-link-sendbuf-limit cluster-migration-barrier cluster-node-timeout cluster-port cluster-preferred-endpoint-type cluster-replica-no-failover
        cluster-replica-validity-factor cluster-require-full-coverage cluster-slave-no-failover cluster-slave-validity-factor crash-log-enabled crash-memcheck-enabled
        daemonize databases dbfilename dir disable-thp dynamic-hz
        enable-debug-command enable-module-command enable-protected-configs hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries
        hash-max-ziplist-value hll-sparse-max-bytes hz ignore-warnings io-threads io-threads-do-reads
        jemalloc-bg-thread latency-monitor-threshold latency-tracking latency-tracking-info-percentiles lazyfree-lazy-eviction lazyfree-lazy-expire
        lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth
        list-max-listpack-size list-max-ziplist-size logfile loglevel lua-time-limit masterauth
        masteruser maxclients maxmemory maxmemory-clients maxmemory-eviction-tenacity maxmemory-policy
        maxmemory-samples min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite
        notify-keyspace-events oom-score-adj oom-score-adj-values pidfile port proc-title-template
        propagation-error-behavior protected-mode proto-max-bulk-len rdb-del-sync-files rdb-save-incremental-fsync rdbchecksum
        rdbcompression repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync
        repl-diskless-sync-delay repl-diskless-sync-max-replicas repl-ping-replica-period repl-ping-slave-period repl-timeout replica-announce-ip
        replica-announce-port replica-announced replica-ignore-disk-write-errors replica-ignore-maxmemory replica-lazy-flush replica-priority
        replica-read-only replica-serve-stale-data replicaof requirepass sanitize-dump-payload save
        server_cpulist set-max-intset-entries set-proc-title shutdown-on-sigint shutdown-on-sigterm shutdown-timeout
        slave-announce-ip slave-announce-port slave-ignore-maxmemory slave-lazy-flush slave-priority slave-read-only
        slave-serve-stale-data slaveof slowlog-log-slower-than slowlog-max-len socket-mark-id stop-writes-on-bgsave-error
        stream-node-max-bytes stream-node-max-entries supervised syslog-enabled syslog-facility syslog-ident
        tcp-backlog tcp-keepalive timeout tls-auth-clients tls-ca-cert-dir tls-ca-cert-file
        tls-cert-file tls-ciphers tls-ciphersuites tls-client-cert-file tls-client-key-file tls-client-key-file-pass
        tls-cluster tls-dh-params-file tls-key-file tls-key-file-pass tls-port tls-prefer-server-ciphers
        tls-protocols tls-replication tls-session-cache-size tls-session-cache-timeout tls-session-caching tracking-table-max-keys
        unixsocket unixsocketperm zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries zset-max-ziplist-value
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    private func get(_ store: ConfigStore, _ patterns: String...) -> [String: String] {
        var found: [String: String] = [:]
        var texts = patterns.map { Array($0.utf8) }
        texts.append([])
        var views: [ByteView] = []
        let memory = ByteBuffer.joined(texts, &views)
        for pair in store.matching(views) { found[pair.name] = String(decoding: pair.value, as: UTF8.self) }
        _ = memory.count
        return found
    }

    private func set(_ store: ConfigStore, _ pairs: (String, String)..., isLocal: Bool = true) -> String {
        do throws(ConfigSetError) {
            try store.set(pairs.map { (Array($0.0.utf8), Array($0.1.utf8)) }, isLocal: isLocal)
            return "OK"
        } catch {
            return error.text
        }
    }

    private func failed(_ name: String, _ text: String) -> String {
        "CONFIG SET failed (possibly related to argument '\(name)') - \(text)"
    }

    @Test func knowsEveryDirectiveOfRedis() {
        let store = ConfigStore()
        #expect(ConfigStoreTests.redisNames.count > 190)
        for name in ConfigStoreTests.redisNames { #expect(store.index(of: name) != nil, "\(name) is missing") }
    }

    @Test func everyDefaultReadsBackToItself() throws {
        let store = ConfigStore()
        for (index, directive) in store.directives.enumerated() {
            let value = store.value(index)
            let again = try directive.parse([value.bytes], previous: value)
            #expect(again == value, "\(directive.name)")
        }
    }

    @Test func answersPatternsAndAliasesOnce() {
        let store = ConfigStore()
        #expect(get(store, "timeout") == ["timeout": "0"])
        // An exact name is answered as it was asked.
        #expect(get(store, "TIMEOUT", "time*", "timeout") == ["TIMEOUT": "0"])
        #expect(get(store, "slave-read-only") == ["slave-read-only": "yes"])
        #expect(
            get(store, "*max-?istpack-entries", "zset-max-ziplist-e*").keys.sorted()
                == ["hash-max-listpack-entries", "zset-max-listpack-entries", "zset-max-ziplist-entries"])
        #expect(get(store, "nosuch*").isEmpty)
        #expect(get(store, "rdb-key-save-delay") == ["rdb-key-save-delay": "0"])
        #expect(get(store, "rdb-key-*").isEmpty)
        #expect(get(store, "*").count > 195)
    }

    @Test func setsWhatTheRedisSuiteSetsAndReadsItBack() {
        let store = ConfigStore()
        let cases = [
            ("stream-node-max-entries", "17", "17"), ("zset-max-ziplist-value", "14", "14"),
            ("zset-max-ziplist-entries", "1", "1"), ("proto-max-bulk-len", "10000000000", "10000000000"),
            ("lua-time-limit", "10", "10"), ("hash-max-listpack-value", "64", "64"),
            ("client-query-buffer-limit", "1mb", "1048576"), ("min-replicas-to-write", "2", "2"),
            ("tracking-table-max-keys", "0", "0"), ("replica-serve-stale-data", "no", "no"),
            ("set-max-intset-entries", "0", "0"), ("list-max-ziplist-size", "-5", "-5"),
            ("list-compress-depth", "2", "2"), ("hll-sparse-max-bytes", "30", "30"),
            ("rdb-key-save-delay", "2147483647", "2147483647"), ("repl-ping-replica-period", "1", "1"),
            ("repl-diskless-sync-delay", "0", "0"), ("aof-use-rdb-preamble", "no", "no"),
            ("appendfsync", "always", "always"), ("maxmemory-clients", "5%", "5%"), ("loglevel", "DEBUG", "debug"),
            ("appendonly", "no", "no"), ("save", "3600 1 300 100", "3600 1 300 100"), ("save", "", ""),
            ("maxmemory", "100mb", "104857600"), ("maxmemory-policy", "allkeys-lfu", "allkeys-lfu"),
            ("notify-keyspace-events", "KEA", "AKE"), ("notify-keyspace-events", "nmEKg", "gnKEm"),
            ("notify-keyspace-events", "mEKnA", "AKEm"), ("slowlog-log-slower-than", "-1", "-1"),
            ("slowlog-max-len", "10", "10"), ("latency-tracking-info-percentiles", "50 99", "50 99"),
            ("shutdown-on-sigterm", "nosave", "nosave"), ("requirepass", "x", "x"), ("requirepass", "", ""),
            ("oom-score-adj-values", "1 2 3", "1 2 3"),
            (
                "client-output-buffer-limit", "pubsub 1kb 0 0 replica 2mb 1mb 60",
                "normal 0 0 0 slave 2097152 1048576 60 pubsub 1024 0 0"
            ),
        ]
        for (name, value, expected) in cases {
            #expect(set(store, (name, value)) == "OK", "\(name)")
            #expect(get(store, name) == [name: expected])
        }
    }

    @Test(arguments: [
        ("databases", "1", "can't set immutable config"),
        ("dbfilename", "x", "can't set protected config"),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("maxmemory-clients", "5x", "argument must be a memory or percent value"),
        ("maxmemory-clients", "200%", "percentage argument must be less or equal to 100"),
        ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
        ("loglevel", "foo", "argument(s) must be one of the following: debug, verbose, notice, warning"),
        ("timeout", "1.5", "argument couldn't be parsed into an integer"),
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("proto-max-bulk-len", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("save", "1", "Invalid save parameters"),
        ("notify-keyspace-events", "q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ("client-output-buffer-limit", "normal", "Wrong number of arguments in buffer limit configuration."),
        (
            "latency-tracking-info-percentiles", "101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
        ),
        ("oom-score-adj-values", "1", "wrong number of arguments"),
    ])
    func refusesBadValuesWithRedisWords(_ name: String, _ value: String, _ text: String) {
        #expect(set(ConfigStore(), (name, value)) == failed(name, text))
    }

    @Test func setIsAllOrNothing() {
        let store = ConfigStore()
        #expect(
            set(store, ("timeout", "7"), ("nosuch", "1"))
                == "Unknown option or number of arguments for CONFIG SET - 'nosuch'")
        #expect(set(store, ("timeout", "7"), ("maxclients", "x")).hasPrefix("CONFIG SET failed"))
        #expect(set(store, ("timeout", "7"), ("timeout", "8")) == failed("timeout", "duplicate parameter"))
        #expect(set(store, ("timeout", "x"), ("nosuch", "1")).hasPrefix("Unknown option"))
        #expect(set(store, ("databases", "4"), ("nosuch", "1")) == failed("databases", "can't set immutable config"))
        #expect(store.integer("timeout") == 0)
    }

    /// The last value stays, also when it is the one that was there before.
    @Test func bothNamesOfASettingMayBeGivenAtOnce() {
        let store = ConfigStore()
        #expect(set(store, ("hash-max-ziplist-value", "7"), ("hash-max-listpack-value", "8")) == "OK")
        #expect(store.integer("hash-max-listpack-value") == 8)
        #expect(set(store, ("hash-max-ziplist-value", "9"), ("hash-max-listpack-value", "8")) == "OK")
        #expect(store.integer("hash-max-listpack-value") == 8)
    }

    @Test func fixedSettingsTakeOnlyTheValueInForce() {
        let store = ConfigStore()
        #expect(set(store, ("segment-size", "64mb")) == "OK")
        #expect(set(store, ("segment-size", "32mb")) == failed("segment-size", "can't set immutable config"))
        #expect(store.integer("segment-size") == 64 << 20)
    }

    @Test func aRefusalByAPartPutsEverythingBack() {
        let store = ConfigStore()
        let seen = Recorder()
        store.onChange("timeout") { (value) throws(ConfigValueError) in seen.add("timeout \(value.number)") }
        store.onChange("maxclients") { (value) throws(ConfigValueError) in
            seen.add("maxclients \(value.number)")
            if value.number > 100_000 { throw ConfigValueError("too many") }
        }
        #expect(set(store, ("timeout", "7"), ("maxclients", "200000")) == failed("maxclients", "too many"))
        #expect(store.integer("timeout") == 0)
        #expect(store.integer("maxclients") == 10000)
        #expect(seen.all == ["timeout 7", "maxclients 200000", "maxclients 10000", "timeout 0"])
        #expect(set(store, ("timeout", "7"), ("maxclients", "20")) == "OK")
        #expect(store.integer("maxclients") == 20)
    }

    @Test func protectedSettingsOpenForLocalClientsOnly() throws {
        let store = ConfigStore()
        try store.load(lines: [Array("enable-protected-configs local".utf8)], origin: "a test")
        #expect(set(store, ("dbfilename", "x"), isLocal: false) == failed("dbfilename", "can't set protected config"))
        #expect(set(store, ("dbfilename", "x"), isLocal: true) == "OK")
    }
}

private final class Recorder: @unchecked Sendable {  // Used by one test thread.
    var all: [String] = []
    func add(_ text: String) { all.append(text) }
}

extension ByteBuffer {
    /// One buffer with all `texts` and a view of each; the last text is a sentinel and gets no view.
    static func joined(_ texts: [[UInt8]], _ views: inout [ByteView]) -> ByteBuffer {
        var buffer = ByteBuffer(capacity: 4096)
        for text in texts { buffer.append(text) }
        var at = 0
        for text in texts.dropLast() {
            views.append(buffer.view[at..<at + text.count])
            at += text.count
        }
        return buffer
    }
}
