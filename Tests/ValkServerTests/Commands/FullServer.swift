// A whole server inside the test process: every command, settings from lines as in a file, on a free port.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkEngine
import ValkTestSupport

@testable import ValkServer

final class FullServer {
    let config = ConfigStore()
    private let assembly: ServerAssembly
    var server: Server { assembly.server }
    let stops = StopCounter()
    private let folder = TemporaryFolder()
    private let store: Store

    final class StopCounter: @unchecked Sendable {
        private let lock = Lock()
        private var n = 0
        var count: Int { lock.withLock { n } }
        func add() { lock.withLock { n += 1 } }
    }

    init(_ lines: String...) throws {
        let common = ["bind 127.0.0.1", "memory 64mb", "table-memory 8mb", "segment-size 8mb", "io-threads 1"]
        try config.load(lines: (common + lines).map { Array($0.utf8) }, origin: "a test")
        let wiring = SettingsWiring(config)
        store = try Store.open(wiring.storeOptions(path: folder.path), disk: PosixDisk())
        let stops = stops
        var options = wiring.serverOptions()
        options.port = 0
        assembly = try ServerAssembly(
            config, ServerLog(path: "/dev/null", level: .warning), store, options: options,
            stopRequest: { stops.add() })
        try assembly.server.start()
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
