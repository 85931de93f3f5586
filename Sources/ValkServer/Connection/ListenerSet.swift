// The listening sockets of the server: opened together at the start, closed together at the end, and replaced while it
// serves when `bind` or `port` change. Connections that are there already stay.
//
// Threads: opened and closed by whoever starts and stops the server, replaced on a worker; a lock guards the list. The
// sockets' events belong to loop 0.

import ValkBase

final class ListenerSet: @unchecked Sendable {  // `lock` guards the lists.
    private let lock = Lock()
    private var addresses: [String] = []
    /// The ports that were asked for, also where they could not be had again.
    private var ports: (tcp: Int?, tls: Int?) = (nil, nil)
    private var tcp: [Listener] = []
    private var tls: [Listener] = []
    private var unix: Listener?

    /// The TCP port in use, 0 when there is none.
    var port: Int { lock.withLock { tcp.first?.port ?? 0 } }
    /// The same, for TLS.
    var tlsPort: Int { lock.withLock { tls.first?.port ?? 0 } }

    var all: [Listener] { lock.withLock { tcp + tls + (unix.map { [$0] } ?? []) } }

    /// Opens everything, or nothing.
    func open(_ server: Server) throws(ListenError) {
        let options = server.options
        let opened = try ListenerSet.openTCP(server, options.addresses, options.port, speaksTLS: false)
        let openedTLS = try ListenerSet.openTCP(server, options.addresses, options.tlsPort, speaksTLS: true)
        var socket: Listener?
        if let path = options.unixSocketPath {
            socket = try Listener.unix(server, path: path, mode: options.unixSocketMode, backlog: options.backlog)
        }
        lock.withLock {
            addresses = options.addresses
            ports = (opened.first?.port ?? options.port, openedTLS.first?.port ?? options.tlsPort)
            tcp = opened
            tls = openedTLS
            unix = socket
        }
    }

    /// Listens on another port (nil: none), or goes on as before and throws. Both can be open for a moment, so that
    /// nothing is lost when the new port cannot be had. Not on a loop.
    func replace(_ server: Server, port: Int?, speaksTLS: Bool) throws(ListenError) {
        let (old, addresses) = lock.withLock { (speaksTLS ? tls : tcp, self.addresses) }
        if old.first?.port == port { return }
        let opened = try ListenerSet.openTCP(server, addresses, port, speaksTLS: speaksTLS)
        exchange(server, old, for: opened)
        let port = opened.first?.port ?? port
        lock.withLock {
            if speaksTLS { (tls, ports.tls) = (opened, port) } else { (tcp, ports.tcp) = (opened, port) }
        }
    }

    /// Listens on other addresses, or goes on as before and throws. Not on a loop.
    func replace(_ server: Server, addresses: [String]) throws(ListenError) {
        let (old, before, ports) = lock.withLock { (tcp + tls, self.addresses, self.ports) }
        server.onLoop(0) { _ in for listener in old { listener.stop() } }
        for listener in old { listener.close() }
        do throws(ListenError) {
            try take(server, addresses, ports)
        } catch {
            lock.withLock {
                tcp = []
                tls = []
            }
            // The addresses were ours a moment ago. If they are gone all the same, the Unix socket is what is left.
            try take(server, before, ports)
            throw error
        }
    }

    private func take(
        _ server: Server, _ addresses: [String], _ ports: (tcp: Int?, tls: Int?)
    ) throws(ListenError) {
        let opened = try ListenerSet.openTCP(server, addresses, ports.tcp, speaksTLS: false)
        let openedTLS = try ListenerSet.openTCP(server, addresses, ports.tls, speaksTLS: true)
        exchange(server, [], for: opened + openedTLS)
        lock.withLock {
            self.addresses = addresses
            tcp = opened
            tls = openedTLS
        }
    }

    private func exchange(_ server: Server, _ old: [Listener], for opened: [Listener]) {
        server.onLoop(0) { loop in
            for listener in opened { listener.start(on: loop) }
            for listener in old { listener.stop() }
        }
    }

    /// Forgets all; their sockets close with them.
    func removeAll() {
        lock.withLock {
            tcp = []
            tls = []
            unix = nil
        }
    }

    private static func openTCP(
        _ server: Server, _ addresses: [String], _ port: Int?, speaksTLS: Bool
    ) throws(ListenError) -> [Listener] {
        var opened: [Listener] = []
        var port = port
        for address in addresses {
            guard let wanted = port else { break }
            let isOptional = address.hasPrefix("-")
            let listener = try Listener.tcp(
                server, address: isOptional ? String(address.dropFirst()) : address, port: wanted,
                backlog: server.options.backlog, isOptional: isOptional, speaksTLS: speaksTLS)
            guard let listener else { continue }
            // With port 0 all addresses share the port that the first one got.
            port = listener.port
            opened.append(listener)
        }
        if port != nil && !addresses.isEmpty && opened.isEmpty {
            throw ListenError(description: "none of the addresses to listen on is available")
        }
        return opened
    }
}

extension Server {
    /// Changes where TCP clients are taken. Connections that are there stay. Not on a loop.
    package func listen(on addresses: [String]) throws(ListenError) {
        try listeners.replace(self, addresses: addresses)
    }

    /// Changes the port for plain clients, or for those that speak TLS; nil is none. Not on a loop.
    package func listen(port: Int?, speaksTLS: Bool = false) throws(ListenError) {
        try listeners.replace(self, port: port, speaksTLS: speaksTLS)
    }
}
