// TLS over real sockets: who gets in, with which versions and ciphers, changes while the server runs, and everything
// that a session does differently from a socket: records that come in pieces, bytes that no event announces, slow
// readers, half-closed connections.

import CValkTLS
import Glibc
import Testing
import ValkBase
import ValkTestSupport

@testable import ValkServer

@Suite struct TLSTests {
    private let certificates: TestCertificates

    init() throws { certificates = try TestCertificates() }

    private func server(_ lines: String...) throws -> FullServer {
        let files = [
            "tls-cert-file \(certificates.path("server"))", "tls-key-file \(certificates.path("serverKey"))",
            "tls-ca-cert-file \(certificates.path("authority"))",
        ]
        return try FullServer(settings: files + lines, tlsPort: 0)
    }

    private func connect(
        _ server: FullServer, as name: String? = "client", protocols: Int32 = 12, ciphers: String? = nil
    ) throws -> TLSClient {
        try TLSClient(
            port: server.server.tlsPort, certificates, as: name, protocols: protocols, ciphers: ciphers)
    }

    /// In TLS 1.3 a refused client hears of it at its first read only.
    private func isServed(
        _ server: FullServer, as name: String? = "client", protocols: Int32 = 12, ciphers: String? = nil
    ) throws -> Bool {
        do {
            let client = try connect(server, as: name, protocols: protocols, ciphers: ciphers)
            return try client.ask("PING", expecting: "+PONG\r\n")
        } catch is TestClient.Failure {
            return false
        }
    }

    // MARK: Who gets in

    @Test func clientsWithCertificatesGetIn() throws {
        let server = try server()
        #expect(try isServed(server))
        #expect(try !isServed(server, as: nil))
        #expect(try !isServed(server, as: "stranger"))
        let admin = try server.connect()
        #expect(try admin.ask("CONFIG", "SET", "tls-auth-clients", "optional") == "+OK")
        #expect(try isServed(server, as: nil))
        #expect(try !isServed(server, as: "stranger"))
        #expect(try admin.ask("CONFIG", "SET", "tls-auth-clients", "no") == "+OK")
        #expect(try isServed(server, as: nil))
        #expect(try isServed(server, as: "stranger"))
    }

    @Test func whoSpeaksPlainlyToThePortIsClosed() throws {
        let server = try server()
        let client = try TestClient(port: server.server.tlsPort)
        try client.send(TestClient.encode("PING"))
        #expect(throws: (any Error).self) { try client.reply() }
        #expect(try isServed(server))
    }

    @Test func clientsSeeWhoTheServerIs() throws {
        let server = try server("tls-auth-clients no")
        #expect(throws: TestClient.Failure.self) {
            try TLSClient(port: server.server.tlsPort, certificates, trusting: "stranger")
        }
    }

    @Test func versionsAndCiphersAreThoseOfTheSettings() throws {
        let server = try server("tls-protocols TLSv1.2", "tls-ciphers ECDHE-ECDSA-AES128-GCM-SHA256")
        let client = try connect(server)
        #expect(client.version == "TLSv1.2")
        #expect(client.cipher == "ECDHE-ECDSA-AES128-GCM-SHA256")
        #expect(try !isServed(server, protocols: Int32(VALK_TLS_1_3)))
        #expect(try !isServed(server, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384"))
        let admin = try server.connect()
        #expect(
            try admin.ask(
                "CONFIG", "SET", "tls-protocols", "TLSv1.3", "tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")
                == "+OK")
        #expect(try connect(server).cipher == "TLS_CHACHA20_POLY1305_SHA256")
        #expect(try !isServed(server, protocols: Int32(VALK_TLS_1_2)))
    }

    @Test func theServersOrderOfCiphersMayWin() throws {
        let two = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
        let server = try server("tls-protocols TLSv1.2", "tls-ciphers \(two.0):\(two.1)")
        #expect(try connect(server, ciphers: "\(two.1):\(two.0)").cipher == two.1)
        let admin = try server.connect()
        #expect(try admin.ask("CONFIG", "SET", "tls-prefer-server-ciphers", "yes") == "+OK")
        #expect(try connect(server, ciphers: "\(two.1):\(two.0)").cipher == two.0)
    }

    // MARK: Changes

    @Test func whatCannotBeUsedChangesNothing() throws {
        let server = try server()
        let admin = try server.connect()
        let locked = certificates.path("lockedKey")
        func refusal(_ name: String) -> String {
            "-ERR CONFIG SET failed (possibly related to argument '\(name)') - Unable to update TLS configuration. "
                + "Check server logs."
        }
        #expect(try admin.ask("CONFIG", "SET", "tls-key-file", locked) == refusal("tls-key-file"))
        #expect(
            try admin.ask("CONFIG", "GET", "tls-key-file")
                == "*[$tls-key-file,$\(certificates.path("serverKey"))]")
        #expect(try admin.ask("CONFIG", "SET", "tls-protocols", "SSLv3") == refusal("tls-protocols"))
        #expect(try admin.ask("CONFIG", "SET", "tls-ciphers", "nonsense") == refusal("tls-ciphers"))
        #expect(try admin.ask("CONFIG", "SET", "tls-cert-file", "/nonexistent") == refusal("tls-cert-file"))
        #expect(try isServed(server))
        #expect(try admin.ask("CONFIG", "SET", "tls-key-file", locked, "tls-key-file-pass", "sesame") == "+OK")
        #expect(try isServed(server))
    }

    /// A certificate under the same name is read again; connections that are there go on.
    @Test func settingTheSameNameReadsAgain() throws {
        let server = try server("tls-auth-clients no")
        let admin = try server.connect()
        let before = try connect(server, as: nil)
        for (from, to) in [("stranger", "server"), ("strangerKey", "serverKey")] {
            guard case .success(let bytes) = TextFile.read(certificates.path(from)) else { return }
            guard case .success = TextFile.replace(certificates.path(to), with: bytes) else { return }
        }
        #expect(try before.ask("PING", expecting: "+PONG\r\n"))
        #expect(try isServed(server, as: nil))
        #expect(try admin.ask("CONFIG", "SET", "tls-cert-file", certificates.path("server")) == "+OK")
        #expect(try !isServed(server, as: nil))
        let trusting = try TLSClient(port: server.server.tlsPort, certificates, trusting: "stranger")
        #expect(try trusting.ask("PING", expecting: "+PONG\r\n"))
        #expect(try before.ask("PING", expecting: "+PONG\r\n"))
    }

    @Test func portsComeAndGo() throws {
        let server = try FullServer(
            "tls-cert-file \(certificates.path("server"))", "tls-key-file \(certificates.path("serverKey"))")
        let admin = try server.connect()
        #expect(server.server.tlsPort == 0)
        // Without authorities clients cannot be asked for certificates.
        #expect(try admin.ask("CONFIG", "SET", "tls-port", "17399").contains("Unable to update TLS configuration"))
        #expect(server.server.tlsPort == 0)
        let free = try TestClient.freePort()
        #expect(try admin.ask("CONFIG", "SET", "tls-auth-clients", "no", "tls-port", "\(free)") == "+OK")
        let client = try connect(server, as: nil)
        #expect(try client.ask("PING", expecting: "+PONG\r\n"))
        #expect(try admin.ask("CONFIG", "SET", "tls-port", "0") == "+OK")
        #expect(throws: TestClient.Failure.self) { try connect(server, as: nil) }
        #expect(try client.ask("PING", expecting: "+PONG\r\n"))
    }

    @Test func missingFilesStopTheStart() throws {
        #expect(throws: StartFailure.self) { try FullServer(settings: [], tlsPort: 0) }
        #expect(throws: StartFailure.self) {
            try FullServer(settings: ["tls-cert-file /nonexistent", "tls-key-file /nonexistent"], tlsPort: 0)
        }
    }

    // MARK: Traffic

    @Test(arguments: [1, 3]) func bigValuesGoThereAndBack(loops: Int) throws {
        let server = try server("io-threads \(loops)")
        let client = try connect(server)
        for count in [0, 1, 16_383, 16_384, 16_385, 65_536, 1 << 20, 5_000_000] {
            let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
            try client.send(TestClient.encode([Array("SET".utf8), Array("k".utf8), value]))
            #expect(try client.take(5) == Array("+OK\r\n".utf8))
            try client.send(TestClient.encode("GET", "k"))
            let head = Array("$\(count)\r\n".utf8)
            #expect(try client.take(head.count) == head)
            #expect(try client.take(count) == value)
            #expect(try client.take(2) == [13, 10])
        }
    }

    /// Requests cut anywhere, in records of any size: nothing is lost between the session's buffers and the parser's.
    @Test func pipelinesInRandomPieces() throws {
        let seed = TestSeed("pipelinesInRandomPieces")
        var random = seed.random
        let server = try server()
        let client = try connect(server)
        for round in 0..<30 {
            var requests: [UInt8] = []
            var replies = ""
            for i in 0..<random.below(400) {
                let value = String(repeating: "v", count: random.oneIn(20) ? random.below(40_000) : random.below(50))
                requests += TestClient.encode("SET", "k\(i)", value) + TestClient.encode("GET", "k\(i)")
                replies += "+OK\r\n$\(value.utf8.count)\r\n\(value)\r\n"
            }
            var at = 0
            while at < requests.count {
                let piece = min(requests.count - at, 1 + random.below(random.oneIn(3) ? 60_000 : 300))
                try client.send(Array(requests[at..<at + piece]))
                at += piece
            }
            #expect(try client.take(replies.utf8.count) == Array(replies.utf8), "round \(round)")
        }
    }

    /// More than a session hands out at once, behind a command that leaves for a worker: what it holds is not lost.
    @Test func requestsBehindADeferredCommandAreServed() throws {
        let server = try server("enable-debug-command yes")
        let client = try connect(server)
        var requests = TestClient.encode("CONFIG", "SET", "maxmemory", "0")
        var replies = "+OK\r\n"
        for i in 0..<200 {
            requests += TestClient.encode("CONFIG", "SET", "hz", "10") + TestClient.encode("ECHO", "\(i)")
            replies += "+OK\r\n$\(String(i).utf8.count)\r\n\(i)\r\n"
        }
        try client.send(requests)
        #expect(try client.take(replies.utf8.count) == Array(replies.utf8))
    }

    /// A client that does not read holds nobody up, and gets everything in the end.
    @Test func slowReadersGetAllOfIt() throws {
        let server = try server()
        let slow = try connect(server)
        let value = String(repeating: "x", count: 100_000)
        #expect(try slow.ask("SET", "k", value, expecting: "+OK\r\n"))
        for _ in 0..<200 { try slow.send(TestClient.encode("GET", "k")) }
        let other = try connect(server)
        for _ in 0..<50 { #expect(try other.ask("PING", expecting: "+PONG\r\n")) }
        let reply = Array("$100000\r\n\(value)\r\n".utf8)
        for _ in 0..<200 { #expect(try slow.take(reply.count) == reply) }
    }

    @Test func whoEndsHisSideGetsHisAnswers() throws {
        let server = try server()
        let client = try connect(server)
        #expect(try client.ask("SET", "k", String(repeating: "x", count: 300_000), expecting: "+OK\r\n"))
        for _ in 0..<20 { try client.send(TestClient.encode("GET", "k")) }
        client.shutdownWriting()
        let answers = try client.take(Int.max)
        #expect(answers.count == 20 * (300_000 + "$300000\r\n\r\n".utf8.count))
        #expect(client.endedInOrder)
    }

    @Test func quittingEndsTheSessionInOrder() throws {
        let server = try server()
        let client = try connect(server)
        #expect(try client.ask("QUIT", expecting: "+OK\r\n"))
        #expect(try client.take(1) == [])
        #expect(client.endedInOrder)
    }

    @Test func messagesArePushed() throws {
        let server = try server()
        let listener = try connect(server)
        let head = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        #expect(try listener.ask("SUBSCRIBE", "c", expecting: head))
        let plain = try server.connect()
        for i in 0..<100 {
            #expect(try plain.ask("PUBLISH", "c", "\(i)") == ":1")
            let message = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$\(String(i).utf8.count)\r\n\(i)\r\n"
            #expect(try listener.take(message.utf8.count) == Array(message.utf8))
        }
    }

    /// Half a handshake, noise, and connections that break off in the middle: nobody else notices.
    @Test func brokenHandshakesHurtNobody() throws {
        let seed = TestSeed("brokenHandshakes")
        var random = seed.random
        let server = try server()
        let good = try connect(server)
        for _ in 0..<200 {
            let client = try TestClient(port: server.server.tlsPort)
            var noise: [UInt8] =
                random.oneIn(2) ? [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03] : []
            for _ in 0..<random.below(600) { noise.append(UInt8(random.below(256))) }
            do { try client.send(noise) } catch is TestClient.Failure { continue }
        }
        #expect(try good.ask("PING", expecting: "+PONG\r\n"))
        #expect(try isServed(server))
    }
}
