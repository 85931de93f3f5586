// A blocking TLS client over OpenSSL, in the manner of TestClient.

import COpenSSL
import CValkTLS
import Glibc
import ValkBase

@testable import ValkServer

final class TLSClient {
    let plain: TestClient
    private let context: OpaquePointer
    private let session: OpaquePointer
    private var received: [UInt8] = []

    /// Shakes hands; throws what OpenSSL says when that fails. `version`: TLS1_2_VERSION or TLS1_3_VERSION, 0 for any.
    init(
        port: Int, _ certificates: TestCertificates, as name: String? = nil, trusting authority: String = "authority",
        protocols: Int32 = 12, ciphers: String? = nil
    ) throws {
        plain = try TestClient(port: port)
        // The server's own kind of session raises no signal when the peer has gone.
        guard let context = SSL_CTX_new(TLS_client_method()), let session = valk_tls_session(context, plain.descriptor)
        else { throw TestClient.Failure(message: "no memory for TLS") }
        SSL_set_connect_state(session)
        self.context = context
        self.session = session
        var good = SSL_CTX_load_verify_file(context, certificates.path(authority)) == 1
        SSL_set_verify(session, SSL_VERIFY_PEER, nil)
        if let name {
            good = good && SSL_use_certificate_file(session, certificates.path(name), SSL_FILETYPE_PEM) == 1
            good = good && SSL_use_PrivateKey_file(session, certificates.path(name + "Key"), SSL_FILETYPE_PEM) == 1
        }
        // Bits 29 and 27 forbid TLS 1.3 and 1.2.
        if protocols & Int32(VALK_TLS_1_3) == 0 { SSL_set_options(session, 1 << 29) }
        if protocols & Int32(VALK_TLS_1_2) == 0 { SSL_set_options(session, 1 << 27) }
        if let ciphers { good = good && SSL_set_cipher_list(session, ciphers) == 1 }
        guard good else { throw Self.failure("settings") }
        guard SSL_connect(session) == 1 else { throw Self.failure("handshake") }
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
    }

    private static func failure(_ what: String) -> TestClient.Failure {
        TestClient.Failure(message: "\(what): \(TLSSocket.takeError())")
    }

    var cipher: String { String(cString: SSL_CIPHER_get_name(SSL_get_current_cipher(session))) }
    var version: String { String(cString: SSL_get_version(session)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let n = bytes[sent...].withUnsafeBytes { SSL_write(session, $0.baseAddress, Int32($0.count)) }
            guard n > 0 else { throw Self.failure("send") }
            sent += Int(n)
        }
    }

    /// The next `count` bytes, fewer at the end of the connection.
    func take(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let n = SSL_read(session, &chunk, Int32(chunk.count))
            if n <= 0 {
                endedInOrder = SSL_get_error(session, n) == SSL_ERROR_ZERO_RETURN
                _ = TLSSocket.takeError()
                defer { received = [] }
                return received
            }
            received += chunk[..<Int(n)]
        }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }

    /// The server has said that it ends the session.
    private(set) var endedInOrder = false

    /// Sends a command and expects these bytes.
    func ask(_ words: String..., expecting reply: String) throws -> Bool {
        try send(TestClient.encode(words.map { Array($0.utf8) }))
        return try take(reply.utf8.count) == Array(reply.utf8)
    }

    /// Tells the server that nothing more will come; answers can still be read.
    func shutdownWriting() { SSL_shutdown(session) }
}
