// The life of the process: arguments, settings, log, store, server, waiting for the end, and back in reverse order.
//
// Nothing serves before everything is there, and whatever fails on the way says why on the log and on standard error,
// undoes what was done and gives a status other than 0. Runs on the main thread.

import CValk
import Glibc
import Logging
import Synchronization
import ValkBase
import ValkDisk
import ValkEngine

package enum ExitStatus {
    package static let success: Int32 = 0
    package static let failure: Int32 = 1
}

package struct ServerLifecycle {
    /// Runs the server until it is asked to end and returns the process's status. `arguments` without the program's
    /// name.
    package static func run(_ arguments: [String], program: String) -> Int32 {
        valk_tune_heap()
        let given = ServerArguments(arguments)
        switch given.request {
        case .version:
            say(1, "Valk server v=\(ServerVersion.valk) redis=\(ServerVersion.redis) bits=\(Int.bitWidth)\n")
            return ExitStatus.success
        case .help:
            say(1, ServerArguments.usage(program: program) + "\n")
            return ExitStatus.success
        case .run: break
        }
        let config = ConfigStore()
        do throws(ConfigFileError) {
            try config.load(given)
        } catch {
            say(2, error.message + "\n")
            return ExitStatus.failure
        }
        if let problem = config.misplacedFile {
            say(2, "\n*** FATAL CONFIG ERROR (Valk \(ServerVersion.valk)) ***\n\(problem)\n")
            return ExitStatus.failure
        }
        return ServerLifecycle(config).run()
    }

    private let config: ConfigStore
    private let log: ServerLog

    private init(_ config: ConfigStore) {
        self.config = config
        let level = ServerLog.Level(rawValue: config.integer("loglevel")) ?? .notice
        log = ServerLog(path: config.text("logfile"), level: level)
    }

    private func run() -> Int32 {
        if let problem = log.problem() {
            say(2, "Can't open the log file '\(config.text("logfile"))': \(problem)\n")
            return ExitStatus.failure
        }
        // Threads do not survive a fork: this comes before the first of them.
        if config.flag("daemonize") && daemon(1, 0) != 0 {
            return fail("cannot go to the background: \(String(cString: strerror(errno)))")
        }
        Signals.prepare()
        SettingsWiring(config).wireProcess(log)
        announce()
        raiseFileLimit()

        let store: Store
        do throws(StoreError) {
            let options = SettingsWiring(config).storeOptions(path: TextFile.currentDirectory())
            store = try Store.open(options, disk: PosixDisk(), report: StoreEventLog.receiver(log))
        } catch {
            return fail("cannot open the data in \(TextFile.currentDirectory()): \(error)")
        }
        log.notice("Recovery: \(store.recoveryReport.text)")
        let status = serve(store)
        do throws(StoreError) {
            try store.close()
        } catch {
            return fail("the store could not be closed cleanly: \(error)")
        }
        log.notice("Valk is now ready to exit, bye bye...")
        return status
    }

    // MARK: Serving

    private func serve(_ store: Store) -> Int32 {
        let assembly: ServerAssembly
        do throws(Interruption) {
            assembly = try ServerAssembly(config, log, store, stopRequest: Signals.requestEnd)
        } catch {
            return fail("the keyspace cannot be read: \(error)")
        }
        let server = assembly.server
        if let problem = assembly.loadUsers() ?? assembly.prepareTLS() { return fail(problem) }
        let pidfile: String?
        do throws(ListenError) {
            try server.bind()
            // Who gets an answer finds the pid file.
            pidfile = writePidFile()
            try server.start()
        } catch {
            return fail("\(error)")
        }
        for address in listeningAddresses(server) { log.notice("Ready to accept connections on \(address)") }
        let received = Signals.waitForEnd()
        log.notice(
            "Received \(received == SIGINT ? "SIGINT" : "SIGTERM or SHUTDOWN"), stopping: no new connections, "
                + "finishing what runs, syncing the log")
        Signals.allowImpatience()
        assembly.stop()
        if let pidfile { unlink(pidfile) }
        return ExitStatus.success
    }

    // MARK: Start and end

    private func announce() {
        log.notice("Valk \(ServerVersion.valk) is starting (as Redis \(ServerVersion.redis)), PID: \(getpid())")
        let source = config.file.map { "settings from \($0)" } ?? "default settings (no file given)"
        log.notice("Data in \(TextFile.currentDirectory()), appendfsync \(config.text("appendfsync")), \(source)")
        if let warning = config.ignoredWarning { log.warning(warning) }
    }

    private func listeningAddresses(_ server: Server) -> [String] {
        var all: [String] = []
        for (port, kind) in [(server.port, ""), (server.tlsPort, " (TLS)")] where port != 0 {
            for address in config.words("bind") {
                let plain = address.hasPrefix("-") ? String(address.dropFirst()) : address
                all.append((plain.contains(":") ? "[\(plain)]:\(port)" : "\(plain):\(port)") + kind)
            }
        }
        let path = config.text("unixsocket")
        if !path.isEmpty { all.append("the Unix socket \(TextFile.absolutePath(path))") }
        return all.isEmpty ? ["nothing: neither port nor tls-port nor unixsocket is set"] : all
    }

    /// With too low a limit of open files fewer clients are taken.
    private func raiseFileLimit() {
        let clients = config.integer("maxclients")
        let possible = FileLimit.raise(forClients: clients)
        if possible < clients {
            log.warning("maxclients is \(possible) instead of \(clients): the system does not allow more open files")
            config.lower("maxclients", to: possible)
        }
    }

    /// Returns the path of the file written, nil for none.
    private func writePidFile() -> String? {
        var path = config.text("pidfile")
        if path.isEmpty && config.flag("daemonize") { path = "/var/run/valk.pid" }
        if path.isEmpty { return nil }
        path = TextFile.absolutePath(path)
        if case .failure(let failure) = TextFile.replace(path, with: Array("\(getpid())\n".utf8)) {
            log.warning("cannot write the pid file \(path): \(failure.reason)")
            return nil
        }
        return path
    }

    private func fail(_ text: String) -> Int32 {
        log.warning("\(text); the server ends")
        // Who starts it by hand and logs to a file sees it too.
        if !config.text("logfile").isEmpty && !config.flag("daemonize") { say(2, "valk-server: \(text)\n") }
        return ExitStatus.failure
    }
}

/// Text to standard output (1) or standard error (2).
private func say(_ descriptor: Int32, _ text: String) { _ = TextFile.write(descriptor, Array(text.utf8)) }
