// The listening sockets of the server: opened together at the start, closed together at the end, and replaced while it
// serves when `bind` or `port` change. Connections that are there already stay.
//
// Threads: opened and closed by whoever starts and stops the server, replaced on a worker; a lock guards the list. The
// sockets' events belong to loop 0.

import ValkBase

final class ListenerSet: @unchecked Sendable {  // `lock` guards the lists.
    private let lock = Lock()
    private var tcp: [Listener] = []
    private var unix: Listener?

    /// The TCP port in use, 0 when there is none.
    var port: Int { lock.withLock { tcp.first?.port ?? 0 } }

    var all: [Listener] { lock.withLock { tcp + (unix.map { [$0] } ?? []) } }

    /// Opens everything, or nothing.
    func open(_ server: Server) throws(ListenError) {
        let options = server.options
        let opened = try ListenerSet.openTCP(server, options.addresses, options.port)
        var socket: Listener?
        if let path = options.unixSocketPath {
            socket = try Listener.unix(server, path: path, mode: options.unixSocketMode, backlog: options.backlog)
        }
        lock.withLock {
            tcp = opened
            unix = socket
        }
    }

    /// Listens on other addresses or another port, or goes on as before and throws. Not on a loop.
    func replace(_ server: Server, addresses: [String], port: Int?) throws(ListenError) {
        let old = lock.withLock { tcp }
        let oldPort = old.first?.port
        if let port, port != oldPort {
            // Both can be open for a moment, so that nothing is lost when the new port cannot be had.
            let opened = try ListenerSet.openTCP(server, addresses, port)
            server.onLoop(0) { loop in
                for listener in opened { listener.start(on: loop) }
                for listener in old { listener.stop() }
            }
            lock.withLock { tcp = opened }
            return
        }
        server.onLoop(0) { _ in for listener in old { listener.stop() } }
        for listener in old { listener.close() }
        do throws(ListenError) {
            let opened = try ListenerSet.openTCP(server, addresses, port)
            server.onLoop(0) { loop in for listener in opened { listener.start(on: loop) } }
            lock.withLock { tcp = opened }
        } catch {
            lock.withLock { tcp = [] }
            // The addresses were ours a moment ago. If they are gone all the same, the Unix socket is what is left.
            let before = try ListenerSet.openTCP(server, old.map(\.address), oldPort)
            server.onLoop(0) { loop in for listener in before { listener.start(on: loop) } }
            lock.withLock { tcp = before }
            throw error
        }
    }

    /// Forgets all; their sockets close with them.
    func removeAll() {
        lock.withLock {
            tcp = []
            unix = nil
        }
    }

    private static func openTCP(
        _ server: Server, _ addresses: [String], _ port: Int?
    ) throws(ListenError) -> [Listener] {
        var opened: [Listener] = []
        var port = port
        for address in addresses {
            guard let wanted = port else { break }
            let isOptional = address.hasPrefix("-")
            let listener = try Listener.tcp(
                server, address: isOptional ? String(address.dropFirst()) : address, port: wanted,
                backlog: server.options.backlog, isOptional: isOptional)
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
    /// Changes where TCP clients are taken; nil is no port. Connections that are there stay. Not on a loop.
    package func listen(on addresses: [String], port: Int?) throws(ListenError) {
        try listeners.replace(self, addresses: addresses, port: port)
    }
}
