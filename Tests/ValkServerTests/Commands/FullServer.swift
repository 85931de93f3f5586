// A whole server inside the test process: every command, settings from lines as in a file, on a free port.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkEngine
import ValkTestSupport

@testable import ValkServer

struct StartFailure: Error {
    let text: String
}

final class FullServer {
    let config = ConfigStore()
    private var assembly: ServerAssembly
    var server: Server { assembly.server }
    let stops = StopCounter()
    private let folder = TemporaryFolder()
    private var store: Store

    final class StopCounter: @unchecked Sendable {
        private let lock = Lock()
        private var n = 0
        var count: Int { lock.withLock { n } }
        func add() { lock.withLock { n += 1 } }
    }

    convenience init(_ lines: String...) throws { try self.init(settings: lines) }

    /// `file` is where CONFIG REWRITE writes; with `tlsPort` it listens there, too (0: on a free port).
    init(settings lines: [String], file: String? = nil, tlsPort: Int? = nil) throws {
        if let file { config.remember(file: file) }
        let common = ["bind 127.0.0.1", "memory 64mb", "table-memory 8mb", "segment-size 8mb", "io-threads 1"]
        try config.load(lines: (common + lines).map { Array($0.utf8) }, origin: "a test")
        (store, assembly) = try Self.open(config, folder.path, stops, tlsPort: tlsPort)
    }

    private static func open(
        _ config: ConfigStore, _ path: String, _ stops: StopCounter, tlsPort: Int? = nil
    ) throws -> (Store, ServerAssembly) {
        let wiring = SettingsWiring(config)
        let store = try Store.open(wiring.storeOptions(path: path), disk: PosixDisk())
        var options = wiring.serverOptions()
        options.port = 0
        options.tlsPort = tlsPort
        let assembly = try ServerAssembly(
            config, ServerLog(path: "/dev/null", level: .warning), store, options: options,
            stopRequest: { stops.add() })
        if let problem = assembly.loadUsers() ?? assembly.prepareTLS() { throw StartFailure(text: problem) }
        try assembly.server.start()
        return (store, assembly)
    }

    /// Ends the server and begins another one with the same data; clients have to come again.
    func restart() throws {
        assembly.stop(drainSeconds: 1)
        try store.close()
        (store, assembly) = try Self.open(config, folder.path, stops)
    }

    deinit {
        assembly.stop(drainSeconds: 1)
        do { try store.close() } catch { print("close: \(error)") }
    }

    /// The server lives at least as long as the client.
    func connect() throws -> TestClient {
        let client = try TestClient(port: server.port)
        client.owner = self
        return client
    }
}
