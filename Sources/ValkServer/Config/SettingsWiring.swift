// From settings to the parts that act on them: once at the start, and again at each CONFIG SET.
//
// Every live directive with a meaning is wired here and nowhere else; `LiveSettings` holds what loops look at, the
// store and the logs have setters of their own.

import CValk
import Logging
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

package struct SettingsWiring: Sendable {
    package let config: ConfigStore

    package init(_ config: ConfigStore) { self.config = config }

    // MARK: What is fixed at the start

    package func storeOptions(path: String) -> StoreOptions {
        var options = StoreOptions(path: path)
        options.syncPolicy = SettingsWiring.policy(config.value("appendfsync"))
        options.memoryBytes = config.integer("memory")
        options.tableBytes = min(config.integer("table-memory"), config.integer("memory") / 4)
        options.valueSeparationThreshold = config.integer("value-separation-threshold")
        options.segmentBytes = config.integer("segment-size")
        options.backgroundThreads = config.integer("background-threads")
        options.backgroundBytesPerSecond = config.integer("background-rate")
        options.scrubPeriodSeconds = config.integer("scrub-period")
        options.scrubBytesPerSecond = config.integer("scrub-rate")
        options.spaceTarget = config.real("space-target")
        options.countsNamespaces = true
        options.mergeFilter = CollectionFilter()
        return options
    }

    package func serverOptions() -> ServerOptions {
        var options = ServerOptions()
        options.addresses = config.words("bind")
        let port = config.integer("port")
        options.port = port == 0 ? nil : port
        let tlsPort = config.integer("tls-port")
        options.tlsPort = tlsPort == 0 ? nil : tlsPort
        let path = config.text("unixsocket")
        options.unixSocketPath = path.isEmpty ? nil : TextFile.absolutePath(path)
        options.unixSocketMode = config.integer("unixsocketperm")
        options.backlog = config.integer("tcp-backlog")
        options.loopCount = config.integer("io-threads")
        options.workerCount = config.integer("reader-threads")
        options.luaDeprecatedAPI = config.flag("lua-enable-deprecated-api")
        return options
    }

    private static func policy(_ value: ConfigValue) -> SyncPolicy {
        switch value.text {
        case "always": .always
        case "no": .no
        default: .everySecond
        }
    }

    // MARK: What may change

    /// Hands every live directive its value, now and at each change.
    package func wire(_ settings: LiveSettings, _ store: Store, _ log: ServerLog, _ slowLog: SlowLog) {
        follow("hll-sparse-max-bytes") { settings.hyperLogLogSparseMax.store(Int($0.number), ordering: .relaxed) }
        let encodings = settings.encodings
        follow("hash-max-listpack-entries") { value in encodings.change { $0.hashEntries = Int(value.number) } }
        follow("hash-max-listpack-value") { value in encodings.change { $0.hashValueBytes = Int(value.number) } }
        follow("set-max-intset-entries") { value in encodings.change { $0.intsetEntries = Int(value.number) } }
        follow("zset-max-listpack-entries") { value in encodings.change { $0.sortedSetEntries = Int(value.number) } }
        follow("zset-max-listpack-value") { value in encodings.change { $0.sortedSetValueBytes = Int(value.number) } }
        follow("stream-node-max-entries") { value in encodings.change { $0.streamNodeEntries = Int(value.number) } }
        follow("tracking-table-max-keys") { settings.trackedKeysMax.store(Int($0.number), ordering: .relaxed) }
        follow("rdbcompression") { settings.compressesDumps.store($0.number != 0, ordering: .relaxed) }
        follow("busy-reply-threshold") { settings.busyReplyMilliseconds.store(Int($0.number), ordering: .relaxed) }
        follow("notify-keyspace-events") {
            settings.keyEventKinds.store(KeyEventKinds.asked($0.number).rawValue, ordering: .relaxed)
        }
        follow("proto-max-bulk-len") { settings.bulkBytesMax.store(Int($0.number), ordering: .relaxed) }
        follow("client-query-buffer-limit") { settings.queryBufferBytesMax.store(Int($0.number), ordering: .relaxed) }
        settings.clientsMax.store(config.integer("maxclients"), ordering: .relaxed)
        config.onChange("maxclients") { value throws(ConfigValueError) in
            let possible = FileLimit.raise(forClients: Int(value.number))
            if possible < Int(value.number) {
                throw ConfigValueError(
                    "The operating system is not able to handle the specified number of clients, try with \(possible)")
            }
            settings.clientsMax.store(possible, ordering: .relaxed)
        }
        follow("timeout") { settings.idleTimeoutSeconds.store(Int($0.number), ordering: .relaxed) }
        follow("tcp-keepalive") { settings.keepAliveSeconds.store(Int($0.number), ordering: .relaxed) }
        follow("protected-mode") { settings.protectedMode.store($0.number != 0, ordering: .relaxed) }
        follow("slowlog-log-slower-than") {
            settings.slowlogThresholdMicroseconds.store(Int($0.number), ordering: .relaxed)
        }
        follow("latency-tracking") { settings.latencyTracking.store($0.number != 0, ordering: .relaxed) }
        follow("slowlog-max-len") { slowLog.lengthMax = Int($0.number) }
        follow("appendfsync") { store.setSyncPolicy(SettingsWiring.policy($0)) }
        follow("value-separation-threshold") { store.setValueSeparationThreshold(Int($0.number)) }
        follow("background-rate") { store.setBackgroundRate(Int($0.number)) }
        follow("scrub-period") { store.setScrub(periodSeconds: Int($0.number)) }
        follow("scrub-rate") { store.setScrub(bytesPerSecond: Int($0.number)) }
        config.onChange("space-target") { [config] _ throws(ConfigValueError) in
            store.setSpaceTarget(config.real("space-target"))
        }
        follow("loglevel") { log.level = ServerLog.Level(rawValue: Int($0.number)) ?? .notice }
        follow("client-output-buffer-limit") { value in
            let limits = SettingsWiring.outputLimits(value)
            settings.normalOutputHardBytes.store(limits[0], ordering: .relaxed)
            settings.normalOutputSoftBytes.store(limits[1], ordering: .relaxed)
            settings.normalOutputSoftSeconds.store(limits[2], ordering: .relaxed)
            settings.pushedOutputHardBytes.store(limits[6], ordering: .relaxed)
            settings.pushedOutputSoftBytes.store(limits[7], ordering: .relaxed)
            settings.pushedOutputSoftSeconds.store(limits[8], ordering: .relaxed)
        }
        settings.debugCommand.store(config.integer("enable-debug-command"), ordering: .relaxed)
    }

    /// Hands the settings about users to those who keep them.
    package func wireUsers(_ server: Server) {
        let users = server.users
        follow("acl-pubsub-default") {
            users.newUsersHaveChannels.store($0.text == "allchannels", ordering: .relaxed)
        }
        follow("acllog-max-len") { users.log.lengthMax = Int($0.number) }
        if !config.bytes("requirepass").isEmpty { users.setDefaultPassword(config.bytes("requirepass")) }
        config.onChange("requirepass") { value throws(ConfigValueError) in users.setDefaultPassword(value.bytes) }
    }

    /// Lets `bind` and `port` move the server while it serves, and a lower bound on tracked keys act at once.
    package func wireListening(_ server: Server) {
        config.onChange("tracking-table-max-keys") { [unowned server] value throws(ConfigValueError) in
            server.settings.trackedKeysMax.store(Int(value.number), ordering: .relaxed)
            server.tracking.keepBound(on: nil)
        }
        config.onChange("port") { [unowned server] value throws(ConfigValueError) in
            do throws(ListenError) {
                try server.listen(port: value.number == 0 ? nil : Int(value.number))
            } catch {
                server.logger.warning("CONFIG SET port: \(error)")
                throw ConfigValueError("Unable to listen on this port. Check server logs.")
            }
        }
        config.onChange("bind") { [unowned server] value throws(ConfigValueError) in
            do throws(ListenError) {
                try server.listen(on: value.words)
            } catch {
                server.logger.warning("CONFIG SET bind: \(error)")
                throw ConfigValueError("Failed to bind to specified addresses.")
            }
        }
    }

    // MARK: TLS

    /// Names of the settings that a TLS context is made of.
    static let tlsNames = [
        "tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-dh-params-file", "tls-ca-cert-file",
        "tls-ca-cert-dir", "tls-auth-clients", "tls-protocols", "tls-ciphers", "tls-ciphersuites",
        "tls-prefer-server-ciphers", "tls-session-caching", "tls-session-cache-size", "tls-session-cache-timeout",
    ]

    package func tlsSettings() -> TLSSettings {
        var settings = TLSSettings()
        settings.certificate = config.text("tls-cert-file")
        settings.key = config.text("tls-key-file")
        settings.keyPassword = config.text("tls-key-file-pass")
        settings.authorities = config.text("tls-ca-cert-file")
        settings.authorityDirectory = config.text("tls-ca-cert-dir")
        settings.parameters = config.text("tls-dh-params-file")
        settings.protocols = config.text("tls-protocols")
        settings.ciphers = config.text("tls-ciphers")
        settings.ciphersuites = config.text("tls-ciphersuites")
        switch config.text("tls-auth-clients") {
        case "no": settings.clients = .unasked
        case "optional": settings.clients = .asked
        default: settings.clients = .certified
        }
        settings.prefersOwnCiphers = config.flag("tls-prefer-server-ciphers")
        settings.keepsSessions = config.flag("tls-session-caching")
        settings.sessionsMax = config.integer("tls-session-cache-size")
        settings.sessionSeconds = config.integer("tls-session-cache-timeout")
        return settings
    }

    /// Makes a new TLS context when one of its settings is given, also with the value it has (certificates are read
    /// again), and lets `tls-port` move the server.
    package func wireTLS(_ server: Server) {
        config.onChange(ofAny: Self.tlsNames) { [self, unowned server] () throws(ConfigValueError) in
            if server.tlsPort != 0 { try renewTLS(server) }
        }
        config.onChange("tls-port") { [self, unowned server] value throws(ConfigValueError) in
            let port = value.number == 0 ? nil : Int(value.number)
            if port != nil { try renewTLS(server) }
            do throws(ListenError) {
                try server.listen(port: port, speaksTLS: true)
            } catch {
                server.logger.warning("CONFIG SET tls-port: \(error)")
                throw ConfigValueError("Unable to listen on this port. Check server logs.")
            }
        }
    }

    private func renewTLS(_ server: Server) throws(ConfigValueError) {
        do throws(TLSFailure) {
            try server.tls.configure(tlsSettings())
        } catch {
            server.logger.warning("\(error.text)")
            throw ConfigValueError("Unable to update TLS configuration. Check server logs.")
        }
    }

    /// What is noted as slow.
    package func wireLatencies(_ server: Server) {
        let monitor = server.latencyMonitor
        follow("latency-monitor-threshold") { monitor.threshold = Int($0.number) }
    }

    /// The limit on stored data, and how uses of keys are counted for it.
    package func wireLimits(_ server: Server) {
        let names = ["maxmemory", "maxmemory-policy", "maxmemory-samples", "lfu-log-factor", "lfu-decay-time"]
        config.onChange(ofAny: names) { [self, unowned server] () throws(ConfigValueError) in
            applyLimits(server)
            server.dataLimit.settingsChanged()
        }
        applyLimits(server)
    }

    private func applyLimits(_ server: Server) {
        let limit = server.dataLimit
        limit.policy = EvictionPolicy(rawValue: config.integer("maxmemory-policy")) ?? .noEviction
        limit.samples.store(config.integer("maxmemory-samples"), ordering: .relaxed)
        limit.limit = config.integer("maxmemory")
        server.keyspace.accesses.count(
            frequency: limit.policy.countsFrequency,
            FrequencyRule(
                logFactor: config.integer("lfu-log-factor"), decayMinutes: config.integer("lfu-decay-time")))
    }

    /// What the process asks of the system.
    package func wireProcess(_ log: ServerLog) {
        follow("crash-log-enabled") { valk_report_crashes($0.number != 0, log.filePath, ServerVersion.valk) }
        let score = OutOfMemoryScore()
        let names = ["oom-score-adj", "oom-score-adj-values"]
        config.onChange(ofAny: names) { [self] () throws(ConfigValueError) in
            if let problem = applyScore(score) {
                log.warning("oom-score-adj: \(problem)")
                throw ConfigValueError("Failed to apply new oom_score_adj configuration, check server logs.")
            }
        }
        if let problem = applyScore(score) { log.warning("oom-score-adj: \(problem)") }
    }

    private func applyScore(_ score: OutOfMemoryScore) -> String? {
        let mode = OutOfMemoryScore.Mode(rawValue: config.integer("oom-score-adj")) ?? .no
        return score.apply(mode, config.words("oom-score-adj-values").first.flatMap { Int($0) } ?? 0)
    }

    /// The limit on the memory of clients, which may be a part of `maxmemory`.
    package func wireClientMemory(_ server: Server) {
        let names = ["maxmemory-clients", "maxmemory"]
        config.onChange(ofAny: names) { [self, unowned server] () throws(ConfigValueError) in
            applyClientMemory(server)
        }
        applyClientMemory(server)
    }

    private func applyClientMemory(_ server: Server) {
        let value = config.integer("maxmemory-clients")
        // A part is given as negative percent.
        let (hundredths, rest) = config.integer("maxmemory").quotientAndRemainder(dividingBy: 100)
        server.clientMemory.limit = value >= 0 ? value : hundredths * -value + rest * -value / 100
    }

    /// normal, slave, pubsub: hard, soft, seconds each.
    private static func outputLimits(_ value: ConfigValue) -> [Int] {
        let numbers = value.words.enumerated().filter { $0.offset % 4 != 0 }.map { Int($0.element) ?? 0 }
        return numbers.count == 9 ? numbers : [Int](repeating: 0, count: 9)
    }

    private func follow(_ name: String, _ apply: @escaping @Sendable (ConfigValue) -> Void) {
        apply(config.value(name))
        config.onChange(name) { value throws(ConfigValueError) in apply(value) }
    }
}
