// The context that new TLS connections begin with, made from settings and replaced when they change or when
// certificates are to be read again. Connections that are there keep the one that they began with.
//
// A context that cannot be made leaves the old one in force. Any thread; a lock guards the pointer, and OpenSSL counts
// who uses a context.

import COpenSSL
import CValkTLS
import ValkBase

/// Why a context cannot be made, for the log.
package struct TLSFailure: Error, Sendable {
    package let text: String
}

package final class TLSContexts: Sendable {
    private let lock = Lock()
    // SAFETY: read and written under `lock` only.
    private nonisolated(unsafe) var current: OpaquePointer?

    init() {}

    deinit { SSL_CTX_free(current) }

    package var isConfigured: Bool { lock.withLock { current != nil } }

    /// Makes the context of `settings` the one for new connections, or throws and changes nothing.
    package func configure(_ settings: TLSSettings) throws(TLSFailure) {
        let made = try TLSContexts.context(settings)
        let old = lock.withLock {
            defer { current = made }
            return current
        }
        SSL_CTX_free(old)
    }

    /// A session for an accepted socket; nil without a context or memory.
    func session(_ descriptor: Int32) -> OpaquePointer? {
        lock.withLock { current.flatMap { valk_tls_session($0, descriptor) } }
    }

    // MARK: Making

    private static func context(_ settings: TLSSettings) throws(TLSFailure) -> OpaquePointer {
        if let complaint = settings.complaint { throw TLSFailure(text: complaint) }
        guard let context = valk_tls_context(settings.versions ?? 0) else {
            throw failure("Failed to make a TLS context")
        }
        do throws(TLSFailure) {
            try load(settings, context)
            return context
        } catch {
            SSL_CTX_free(context)
            throw error
        }
    }

    private static func load(_ settings: TLSSettings, _ context: OpaquePointer) throws(TLSFailure) {
        guard SSL_CTX_use_certificate_chain_file(context, settings.certificate) == 1 else {
            throw failure("Failed to load certificate: \(settings.certificate)")
        }
        // The password is looked at while the key is read, and not afterwards.
        let hasKey = settings.keyPassword.withCString { password in
            valk_tls_set_password(context, settings.keyPassword.isEmpty ? nil : password)
            defer { valk_tls_set_password(context, nil) }
            return SSL_CTX_use_PrivateKey_file(context, settings.key, SSL_FILETYPE_PEM) == 1
        }
        guard hasKey else { throw failure("Failed to load private key: \(settings.key)") }
        if !settings.authorities.isEmpty,
            SSL_CTX_load_verify_file(context, settings.authorities) != 1
        {
            throw failure("Failed to configure CA certificate(s) file: \(settings.authorities)")
        }
        if !settings.authorityDirectory.isEmpty,
            SSL_CTX_load_verify_dir(context, settings.authorityDirectory) != 1
        {
            throw failure("Failed to configure CA certificate(s) directory: \(settings.authorityDirectory)")
        }
        guard valk_tls_set_parameters(context, settings.parameters.isEmpty ? nil : settings.parameters) else {
            throw failure("Failed to load DH params file: \(settings.parameters)")
        }
        if !settings.ciphers.isEmpty, SSL_CTX_set_cipher_list(context, settings.ciphers) != 1 {
            throw failure("Failed to configure ciphers: \(settings.ciphers)")
        }
        if !settings.ciphersuites.isEmpty, SSL_CTX_set_ciphersuites(context, settings.ciphersuites) != 1 {
            throw failure("Failed to configure ciphersuites: \(settings.ciphersuites)")
        }
        if settings.prefersOwnCiphers { valk_tls_prefer_own_ciphers(context) }
        if settings.clients != .unasked { valk_tls_ask_clients(context, settings.clients == .certified) }
        if settings.keepsSessions {
            valk_tls_cache_sessions(context, Int32(settings.sessionsMax), Int32(settings.sessionSeconds))
        } else {
            valk_tls_cache_no_sessions(context)
        }
    }

    private static func failure(_ text: String) -> TLSFailure {
        let reason = TLSSocket.takeError()
        return TLSFailure(text: reason.isEmpty ? text : "\(text): \(reason)")
    }
}
