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
            commands: commands, hosted: hosted, logger: log.logger("valk"))
        LibraryLoader.load(try Libraries.all(store), server, log)
        wiring.wireListening(server)
        server.slowCommandSink = { connection, _, arguments, nanoseconds in
            slowLog.record(
                arguments, microseconds: Int(nanoseconds / 1000), now: WallTime.microseconds() / 1000,
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

    /// Ends the server and what works in the background for it; nothing uses the store afterwards.
    package func stop(drainSeconds: Int = 2) {
        server.stop(drainSeconds: drainSeconds)
        administration.finishSaving()
    }
}
