// The server put together from settings, log and an open store: every command, every hook, every live setting.

import Logging
import ValkBase
import ValkCommands
import ValkData
import ValkEngine

package struct ServerAssembly {
    package let server: Server
    private let administration: Administration

    /// Makes a server that is ready for `start`. `stopRequest` is what SHUTDOWN calls. The store stays the caller's,
    /// who closes it after `stop`. `options` are those of the settings unless given.
    package init(
        _ config: ConfigStore, _ log: ServerLog, _ store: Store, options: ServerOptions? = nil,
        stopRequest: @escaping @Sendable () -> Void
    ) throws(Interruption) {
        let slowLog = SlowLog()
        let settings = LiveSettings()
        let wiring = SettingsWiring(config)
        wiring.wire(settings, store, log, slowLog)
        let keyspace = try Keyspace(store, databaseCount: config.integer("databases"))
        let administration = Administration(config: config, log: log, slowLog: slowLog, stopRequest: stopRequest)
        administration.noteBackups(store)
        var hosted = HostedCommands()
        let commands = administration.attach(administration.handlers(), to: CommandSpecs.all, into: &hosted)
        let server = Server(
            options: options ?? wiring.serverOptions(), settings: settings, store: store, keyspace: keyspace,
            commands: commands, renames: config.renamedCommands, hosted: hosted,
            logger: log.logger("valk"))
        LibraryLoader.load(try Libraries.all(store), server, log)
        wiring.wireUsers(server)
        wiring.wireListening(server)
        wiring.wireTLS(server)
        wiring.wireLimits(server)
        wiring.wireClientMemory(server)
        wiring.wireLatencies(server)
        server.slowCommandSink = { connection, index, arguments, nanoseconds in
            slowLog.record(
                arguments, as: connection.server.table.declaredNames[index], microseconds: Int(nanoseconds / 1000),
                now: WallTime.microseconds() / 1000,
                address: connection.address, clientName: connection.name)
        }
        server.scriptLog = { level, text in
            log.write(ServerLog.Level(rawValue: level) ?? .notice) { String(decoding: text, as: UTF8.self) }
        }
        server.cronHook = { [unowned server] now in
            administration.sample(server, now: now)
            administration.startScheduledSaving(server)
        }
        self.server = server
        self.administration = administration
    }

    /// Makes what TLS needs, where there is a port for it. Before the server starts. Returns why it must not start, nil
    /// when all is well.
    package func prepareTLS() -> String? {
        guard server.options.tlsPort != nil else { return nil }
        do throws(TLSFailure) {
            try server.tls.configure(SettingsWiring(administration.config).tlsSettings())
            return nil
        } catch {
            return "Failed to configure TLS: \(error.text)"
        }
    }

    /// Makes the users of the settings: those of `user` lines, or those of the file that `aclfile` names. Once, before
    /// the server starts. Returns why it must not start, nil when all is well.
    package func loadUsers() -> String? {
        let config = administration.config
        let users = server.users
        let path = config.text("aclfile")
        let declared = config.users
        config.onRewrite { [unowned server] in
            // Where users have a file of their own, the settings are silent about them.
            if !config.text("aclfile").isEmpty { return [] }
            return server.users.isStandard ? [] : server.users.lines()
        }
        if !path.isEmpty && !declared.isEmpty {
            return "users are declared in the settings and there is an aclfile, too: they belong into one of the two"
        }
        var loaded: [[UInt8]: AccessRights] = [:]
        do throws(AccessComplaint) {
            if !path.isEmpty {
                loaded = try UserFile(path: path).read(users.grammar)
            } else {
                for user in declared { loaded[user.name] = try rights(of: user) }
            }
        } catch {
            return "the users cannot be loaded: " + String(decoding: error.bytes, as: UTF8.self)
        }
        for (name, rights) in loaded where !rights.isOn {
            administration.log.notice(
                "The user '\(String(decoding: name, as: UTF8.self))' is disabled: there is no 'on' among its rules")
        }
        if !path.isEmpty || !declared.isEmpty { _ = users.replaceAll(loaded) }
        return nil
    }

    private func rights(of user: DeclaredUser) throws(AccessComplaint) -> AccessRights {
        let place = "\(user.line.origin), line \(user.line.number), user '".utf8
        let named = Array(place) + user.name + Array("': ".utf8)
        let grammar = server.users.grammar
        if holdsSpaces(user.name) { throw AccessComplaint(named + Array("a name cannot contain spaces".utf8)) }
        guard case .success(let rules) = AccessRights.joined(user.words) else {
            throw AccessComplaint(named + Array("Unmatched parenthesis in selector definition".utf8))
        }
        var rights = AccessRights(grammar)
        // "default" is there already and begins anew.
        if user.name == UserRegistry.defaultName { rights.sanitizing = .yes }
        for rule in rules {
            do throws(AccessRuleError) {
                try rights.apply(rule, grammar)
            } catch {
                // Anything but a command's name may be a secret.
                let shown = error == .unknownCommand ? rule + Array(": ".utf8) : []
                throw AccessComplaint(named + shown + Array(error.text.utf8))
            }
        }
        return rights
    }

    /// Ends the server and what works in the background for it; nothing uses the store afterwards.
    package func stop(drainSeconds: Int = 2) {
        server.stop(drainSeconds: drainSeconds)
        administration.finishSaving()
    }
}
