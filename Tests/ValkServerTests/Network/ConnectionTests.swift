// The server over real sockets: pipelines, big arguments, slow readers, limits, closing.

import Glibc
import Synchronization
import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

@Suite struct ConnectionTests {
    @Test func answersAPipelineInOrder() throws {
        let server = try TestServer()
        let client = try server.connect()
        var text: [UInt8] = []
        for i in 0..<5000 {
            text += TestClient.encode("SET", "k\(i)", "v\(i)")
            text += TestClient.encode("GET", "k\(i)")
        }
        try client.send(text)
        for i in 0..<5000 {
            #expect(try client.reply() == "+OK")
            #expect(try client.reply() == "$v\(i)")
        }
        withExtendedLifetime(server) {}
    }

    @Test func takesRequestsByteByByte() throws {
        let server = try TestServer()
        let client = try server.connect()
        for byte in TestClient.encode("SET", "key", "value") + TestClient.encode("GET", "key") {
            try client.send([byte])
        }
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "$value")
        withExtendedLifetime(server) {}
    }

    @Test func takesInlineCommands() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send("\r\n  set  key \"a b\"\nGET key\r\n")
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "$a b")
        withExtendedLifetime(server) {}
    }

    @Test(arguments: [100_000, 1_048_577, 5_000_000])
    func storesBigArguments(_ size: Int) throws {
        let server = try TestServer()
        let client = try server.connect()
        let value = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) % 94 + 33 }
        // Two in a row with commands around them, so that what follows a big argument is not lost.
        for _ in 0..<2 {
            try client.send(
                TestClient.encode("SET", "a", "1")
                    + TestClient.encode([Array("SET".utf8), Array("big".utf8), value]) + TestClient.encode("GET", "a"))
            #expect(try client.reply() == "+OK")
            #expect(try client.reply() == "+OK")
            #expect(try client.reply() == "$1")
            try client.send(TestClient.encode("GET", "big"))
            #expect(try client.reply() == "$" + String(decoding: value, as: UTF8.self))
        }
        withExtendedLifetime(server) {}
    }

    @Test func refusesWhatIsNotTheProtocolAndCloses() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(
            TestClient.encode("PING") + Array("*3\r\n$3\r\nSET\r\nfooz\r\n".utf8) + TestClient.encode("PING"))
        #expect(try client.reply() == "+PONG")
        #expect(try client.reply() == "-ERR Protocol error: expected '$', got 'f'")
        #expect(client.isClosed())
        withExtendedLifetime(server) {}
    }

    @Test func namesUnknownCommandsAndWrongArity() throws {
        let server = try TestServer()
        let client = try server.connect()
        #expect(
            try client.ask("nosuch", "a", "b") == "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' ")
        #expect(try client.ask("GET") == "-ERR wrong number of arguments for 'get' command")
        #expect(server.server.totals().errors.reduce(0, +) == 2)
    }

    @Test func quitAnswersThenCloses() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(TestClient.encode("PING") + TestClient.encode("QUIT") + TestClient.encode("PING"))
        #expect(try client.reply() == "+PONG")
        #expect(try client.reply() == "+OK")
        #expect(client.isClosed())
        withExtendedLifetime(server) {}
    }

    @Test func answersAClientThatHasClosedItsHalf() throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(TestClient.encode("SET", "k", "v") + TestClient.encode("GET", "k"))
        client.shutdownWriting()
        #expect(try client.reply() == "+OK")
        #expect(try client.reply() == "$v")
        #expect(client.isClosed())
        withExtendedLifetime(server) {}
    }

    @Test func stopsExecutingForAClientThatDoesNotRead() throws {
        let server = try TestServer()
        let client = try server.connect()
        // 200 answers of 1 MiB; the socket takes a few, the pause limit holds one or two, the rest is not executed.
        for _ in 0..<200 { try client.send(TestClient.encode("BLOB", "1048576")) }
        let other = try server.connect()
        #expect(try other.ask("PING") == "+PONG")
        let pending = server.server.onLoop(0) { $0.clientInfos().map(\.outputBytes).reduce(0, +) }
        #expect(pending <= 3 << 20)
        for _ in 0..<200 { #expect(try client.reply().utf8.count == 1_048_577) }
        #expect(try client.ask("PING") == "+PONG")
    }

    /// As clients do that send a whole pipeline before they read: the server must take all of it, and answer all of it
    /// also when the client's half is closed by then.
    @Test(arguments: [false, true])
    func takesRequestsWhileRepliesAreUnread(_ closesItsHalf: Bool) throws {
        let server = try TestServer()
        let client = try server.connect()
        try client.send(Self.blobs)
        let count = 600_000
        var requests: [UInt8] = []
        for _ in 0..<count { requests.append(contentsOf: Self.count) }
        try client.send(requests)
        if closesItsHalf { client.shutdownWriting() }
        let other = try server.connect()
        #expect(try other.ask("PING") == "+PONG")
        let held = server.server.onLoop(0) { $0.clientInfos().map { $0.inputBytes + $0.inputFreeBytes }.max() ?? 0 }
        #expect(held < 4 * requests.count)
        #expect(try client.skip(Self.blobsReplyBytes) == 10)
        #expect(try client.skip(count * 4 - 4) == 10)
        #expect(try client.reply() == ":0")
        if closesItsHalf {
            #expect(client.isClosed())
        } else {
            #expect(try client.ask("PING") == "+PONG")
            #expect(server.server.onLoop(0) { $0.clientInfos().map(\.inputBytes) } == [0, 0])
        }
    }

    /// More replies than sockets take, and what follows them.
    private static let blobs = [[UInt8]](repeating: TestClient.encode("BLOB", "1048576"), count: 12).flatMap { $0 }
    private static let blobsReplyBytes = 12 * 1_048_588
    private static let count = TestClient.encode("DBSIZE")

    /// Beyond `client-query-buffer-limit` nothing more is taken in, and nobody is closed for it.
    @Test func keepsAnInputLimitWhileRepliesAreUnread() throws {
        let server = try TestServer { _, settings in settings.queryBufferBytesMax.store(1 << 20, ordering: .relaxed) }
        let client = try server.connect()
        try client.send(Self.blobs)
        let sent = Atomic<Int>(0)
        let chunk = [[UInt8]](repeating: Self.count, count: 1000).flatMap { $0 }
        let descriptor = client.descriptor
        let sender = PThread(name: "sender", stackBytes: 1 << 20) {
            for _ in 0..<600 where TestClient.send(chunk, on: descriptor) == chunk.count {
                sent.add(1, ordering: .relaxed)
            }
        }
        #expect(try client.skip(Self.blobsReplyBytes) == 10)
        #expect(try client.skip(600_000 * 4) == 10)
        sender.join()
        #expect(sent.load(ordering: .relaxed) == 600)
        #expect(server.server.totals()[.queryBufferLimitClosed] == 0)
    }

    /// A client that reads nothing is idle, also with replies before it.
    @Test func closesAnIdleClientThatDoesNotRead() throws {
        let server = try TestServer { _, settings in settings.idleTimeoutSeconds.store(1, ordering: .relaxed) }
        let client = try server.connect()
        try client.send(Self.blobs)
        while server.server.totals()[.idleClosed] == 0 { sched_yield() }
        withExtendedLifetime(client) {}
    }

    @Test func closesAClientBeyondTheHardOutputLimit() throws {
        let server = try TestServer { _, settings in
            settings.normalOutputHardBytes.store(4 << 20, ordering: .relaxed)
        }
        let client = try server.connect()
        try client.send(TestClient.encode("BLOB", "33554432"))
        #expect(throws: TestClient.Failure.self) { try client.reply() }
        #expect(server.server.totals()[.outputLimitClosed] == 1)
    }

    /// A socket that would take all of it changes nothing.
    @Test func sendsNothingBeyondTheHardOutputLimit() throws {
        let server = try TestServer { _, settings in
            settings.normalOutputHardBytes.store(100_000, ordering: .relaxed)
        }
        let client = try server.connect()
        try client.send(TestClient.encode("BLOB", "99000"))
        #expect(try client.reply().utf8.count == 99_001)
        try client.send(TestClient.encode("BLOB", "100001"))
        #expect(client.isClosed())
        #expect(server.server.totals()[.outputLimitClosed] == 1)
    }

    @Test func closesAClientBeyondTheInputLimit() throws {
        let server = try TestServer { _, settings in settings.queryBufferBytesMax.store(1 << 20, ordering: .relaxed) }
        let client = try server.connect()
        try? client.send(Array("*2\r\n$3\r\nGET\r\n$3000000\r\n".utf8) + [UInt8](repeating: 1, count: 3_000_000))
        #expect(throws: TestClient.Failure.self) { try client.reply() }
        #expect(server.server.totals()[.queryBufferLimitClosed] == 1)
    }

    @Test func refusesClientsBeyondTheMaximum() throws {
        let server = try TestServer { _, settings in settings.clientsMax.store(2, ordering: .relaxed) }
        let first = try server.connect()
        let second = try server.connect()
        #expect(try first.ask("PING") == "+PONG")
        #expect(try second.ask("PING") == "+PONG")
        let third = try server.connect()
        #expect(try third.reply() == "-ERR max number of clients reached")
        #expect(third.isClosed())
        #expect(server.server.totals()[.connectionsRefused] == 1)
    }

    @Test func closesIdleClients() throws {
        let server = try TestServer { _, settings in settings.idleTimeoutSeconds.store(1, ordering: .relaxed) }
        let client = try server.connect()
        #expect(try client.ask("PING") == "+PONG")
        // Waits in recv until the server closes.
        #expect(client.isClosed())
        #expect(server.server.totals()[.idleClosed] == 1)
    }

    @Test func listensOnAUnixSocket() throws {
        let folder = TemporaryFolder()
        let path = folder.file("valk.sock")
        let server = try TestServer { options, _ in
            options.unixSocketPath = path
            options.unixSocketMode = 0o700
        }
        let client = try TestClient(path: path)
        #expect(try client.ask("PING") == "+PONG")
        var facts = stat()
        #expect(stat(path, &facts) == 0 && facts.st_mode & 0o777 == 0o700)
        withExtendedLifetime(server) {}
    }

    @Test func saysThatAPortIsTaken() throws {
        let server = try TestServer()
        #expect(throws: ListenError.self) { _ = try TestServer { options, _ in options.port = server.server.port } }
    }

    @Test func spreadsConnectionsOverLoops() throws {
        let server = try TestServer(loops: 3)
        let clients = try (0..<9).map { _ in try server.connect() }
        for client in clients { #expect(try client.ask("PING") == "+PONG") }
        let counts = (0..<3).map { i in server.server.onLoop(i) { $0.clientInfos().count } }
        #expect(counts == [3, 3, 3])
        for (i, client) in clients.enumerated() { #expect(try client.ask("SET", "k\(i)", "\(i)") == "+OK") }
        for (i, client) in clients.enumerated() { #expect(try client.ask("GET", "k\(8 - i)") == "$\(8 - i)") }
    }

    @Test func strangersMustAuthenticate() throws {
        let server = try TestServer()
        server.server.users.setDefaultPassword(Array("sesame".utf8))
        let client = try server.connect()
        #expect(try client.ask("GET", "k") == "-NOAUTH Authentication required.")
        try client.send("*11\r\n")
        #expect(try client.reply() == "-ERR Protocol error: unauthenticated multibulk length")
        #expect(client.isClosed())
        let friend = try server.connect()
        #expect(try friend.ask("AUTH", "sesame") == "+OK")
        #expect(try friend.ask("GET", "k") == "$nil")
    }

    @Test func idleConnectionsHoldNoBuffers() throws {
        let server = try TestServer()
        let clients = try (0..<20).map { _ in try server.connect() }
        for client in clients { #expect(try client.ask("SET", "k", "v") == "+OK") }
        let held = server.server.onLoop(0) { loop in
            loop.connections.map { $0.state.pointee.input.capacity + ($0.state.pointee.output == nil ? 0 : 1) }
        }
        #expect(held == [Int](repeating: 0, count: 20))
        #expect(MemoryLayout<ConnectionState>.size < 1024)
    }

    @Test func randomPipelinesInRandomPiecesOverSeveralLoops() throws {
        let seed = TestSeed("randomPipelinesInRandomPieces")
        var random = seed.random
        let server = try TestServer(loops: 2)
        let clients = try (0..<4).map { _ in try server.connect() }
        var model = [[String: String]](repeating: [:], count: 4)
        for _ in 0..<60 {
            let who = Int.random(in: 0..<4, using: &random)
            var text: [UInt8] = []
            var expected: [String] = []
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                // Keys of the clients do not mix.
                let key = "c\(who)-\(Int.random(in: 0..<8, using: &random))"
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    let value = String(repeating: "x", count: Int.random(in: 0...20_000, using: &random))
                    text += TestClient.encode("SET", key, value)
                    model[who][key] = value
                    expected.append("+OK")
                case 1:
                    text += TestClient.encode("DEL", key)
                    expected.append(model[who].removeValue(forKey: key) == nil ? ":0" : ":1")
                case 2:
                    text += TestClient.encode("APPEND", key, "yz")
                    let value = (model[who][key] ?? "") + "yz"
                    model[who][key] = value
                    expected.append(":\(value.utf8.count)")
                default:
                    text += TestClient.encode("GET", key)
                    expected.append(model[who][key].map { "$" + $0 } ?? "$nil")
                }
            }
            var at = 0
            while at < text.count {
                let end = min(text.count, at + Int.random(in: 1...30_000, using: &random))
                try clients[who].send(Array(text[at..<end]))
                at = end
            }
            for e in expected { #expect(try clients[who].reply() == e) }
        }
        withExtendedLifetime(server) {}
    }
}
