// Who the server says it is.

package enum ServerVersion {
    /// Valk's own version.
    package static let valk = "0.1.0"
    /// What HELLO and INFO report as the server's version, because clients choose their features by it.
    package static let redis = "7.0.15"
}
