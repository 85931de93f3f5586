// What the settings say about TLS.

import CValkTLS

package struct TLSSettings: Sendable, Equatable {
    package enum Clients: Sendable { case unasked, asked, certified }

    package var certificate = ""
    package var key = ""
    /// What opens the key; empty for one that is not encrypted.
    package var keyPassword = ""
    /// Who signs the certificates of clients: a file, a directory, or both.
    package var authorities = ""
    package var authorityDirectory = ""
    package var parameters = ""
    /// Words as "TLSv1.2"; empty for the versions that are safe.
    package var protocols = ""
    package var ciphers = ""
    package var ciphersuites = ""
    package var clients = Clients.certified
    package var prefersOwnCiphers = false
    package var keepsSessions = true
    /// Sessions kept at most, and seconds.
    package var sessionsMax = 20480
    package var sessionSeconds = 300

    package init() {}

    /// As CValkTLS has them; nil when a word is no version.
    var versions: Int32? {
        if protocols.isEmpty { return Int32(VALK_TLS_1_2 | VALK_TLS_1_3) }
        var versions: Int32 = 0
        for word in protocols.split(separator: " ") {
            switch word.lowercased() {
            case "tlsv1": versions |= Int32(VALK_TLS_1_0)
            case "tlsv1.1": versions |= Int32(VALK_TLS_1_1)
            case "tlsv1.2": versions |= Int32(VALK_TLS_1_2)
            case "tlsv1.3": versions |= Int32(VALK_TLS_1_3)
            default: return nil
            }
        }
        return versions
    }

    /// What is missing or wrong before any file is looked at; nil for nothing.
    var complaint: String? {
        if certificate.isEmpty { return "No tls-cert-file configured!" }
        if key.isEmpty { return "No tls-key-file configured!" }
        if clients != .unasked && authorities.isEmpty && authorityDirectory.isEmpty {
            return "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is enabled!"
        }
        if versions == nil {
            return "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'."
        }
        return nil
    }
}
