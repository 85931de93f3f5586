// Listening sockets: TCP addresses and a Unix socket. Accepting happens on loop 0, which hands each new socket to the
// loop with the fewest connections. Refusals (too many clients, protected mode) are answered before a connection is
// made.

import CLibevent
import CValk
import Glibc
import Logging
import Synchronization
import ValkBase

/// Why the server cannot listen. For people.
package struct ListenError: Error, CustomStringConvertible, Sendable {
    package let description: String
}

final class Listener: @unchecked Sendable {  // Made before the loops start, then loop 0 alone.
    private(set) var descriptor: Int32
    /// As in `bind`, without the leading '-'; the path of a Unix socket.
    let address: String
    /// The port in use (also when 0 was asked for); 0 for Unix sockets.
    let port: Int
    let path: String?
    let speaksTLS: Bool
    unowned(unsafe) let server: Server
    private var event: OpaquePointer?

    /// Connections taken at once, so that a storm of new ones does not starve the old ones.
    private static let acceptsPerTurn = 1000

    private init(_ server: Server, descriptor: Int32, address: String, port: Int, path: String?, speaksTLS: Bool) {
        self.speaksTLS = speaksTLS
        self.server = server
        self.address = address
        self.descriptor = descriptor
        self.port = port
        self.path = path
    }

    deinit {
        if let event { event_free(event) }
        close()
        if let path { unlink(path) }
    }

    /// Closes the socket, so that its address is free; after `stop`.
    func close() {
        if descriptor >= 0 { Socket.close(descriptor) }
        descriptor = -1
    }

    // MARK: Binding

    /// Listens on `address` ("127.0.0.1", "::1", "*" for all IPv4, "::*" for all IPv6). Returns nil when the address
    /// family is not there and `isOptional`.
    static func tcp(
        _ server: Server, address: String, port: Int, backlog: Int, isOptional: Bool, speaksTLS: Bool
    ) throws(ListenError) -> Listener? {
        var hints = addrinfo()
        hints.ai_family = address == "*" ? AF_INET : address == "::*" ? AF_INET6 : AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let isAny = address == "*" || address == "::*"
        let status = getaddrinfo(isAny ? nil : address, String(port), &hints, &found)
        guard status == 0, let info = found else {
            if isOptional { return nil }
            throw ListenError(
                description: "cannot listen on \(address):\(port): \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(
            info.pointee.ai_family,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
                | Int32(SOCK_NONBLOCK.rawValue), Int32(IPPROTO_TCP))
        if descriptor < 0 {
            let code = errno
            if isOptional { return nil }
            throw refusal("\(address):\(port)", code)
        }
        Socket.setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if info.pointee.ai_family == AF_INET6 { Socket.setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        var code = -valk_bind(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen)
        if code == 0 && listen(descriptor, Int32(clamping: backlog)) != 0 { code = errno }
        if code != 0 {
            Socket.close(descriptor)
            if isOptional && (code == EADDRNOTAVAIL || code == EAFNOSUPPORT) { return nil }
            throw refusal("\(address):\(port)", code)
        }
        var storage = sockaddr_storage()
        _ = valk_socket_address(descriptor, false, &storage)
        return Listener(
            server, descriptor: descriptor, address: address, port: Socket.describe(&storage).port, path: nil,
            speaksTLS: speaksTLS)
    }

    /// Listens on a Unix socket at `path`; a file that is there already is replaced. `mode` 0 keeps what the umask
    /// gives.
    static func unix(_ server: Server, path: String, mode: Int, backlog: Int) throws(ListenError) -> Listener {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room else {
            throw ListenError(description: "cannot listen on \(path): the path is longer than \(room - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        unlink(path)
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        if descriptor < 0 { throw refusal(path, errno) }
        var code = -valk_bind(descriptor, &address, UInt32(MemoryLayout<sockaddr_un>.size))
        if code == 0 && listen(descriptor, Int32(clamping: backlog)) != 0 { code = errno }
        if code != 0 {
            Socket.close(descriptor)
            throw refusal(path, code)
        }
        if mode != 0 { chmod(path, mode_t(mode)) }
        return Listener(server, descriptor: descriptor, address: path, port: 0, path: path, speaksTLS: false)
    }

    private static func refusal(_ place: String, _ code: Int32) -> ListenError {
        if code == EADDRINUSE {
            return ListenError(description: "cannot listen on \(place): the address is in use by another server")
        }
        return ListenError(description: "cannot listen on \(place): \(String(cString: strerror(code)))")
    }

    // MARK: Accepting, on loop 0

    func start(on loop: EventLoop) {
        event = event_new(
            loop.base, descriptor, Int16(EV_READ | EV_PERSIST),
            { _, _, context in
                guard let context else { return }
                Unmanaged<Listener>.fromOpaque(context).takeUnretainedValue().acceptAll()
            }, Unmanaged.passUnretained(self).toOpaque())
        event_add(event, nil)
    }

    /// On loop 0.
    func stop() {
        if let event { event_free(event) }
        event = nil
    }

    private func acceptAll() {
        for _ in 0..<Self.acceptsPerTurn {
            var storage = sockaddr_storage()
            let accepted = valk_accept(descriptor, &storage)
            if accepted < 0 {
                if accepted == -EINTR || accepted == -ECONNABORTED { continue }
                if accepted != -EAGAIN {
                    server.logger.warning("cannot accept a connection: \(String(cString: strerror(-accepted)))")
                }
                return
            }
            welcome(accepted, &storage)
        }
    }

    private func welcome(_ accepted: Int32, _ storage: inout sockaddr_storage) {
        let counters = server.loops[0].executor.counters
        let settings = server.settings
        if server.registry.count >= settings.clientsMax.load(ordering: .relaxed) {
            counters.add(.connectionsRefused)
            return turnAway(accepted, "-ERR max number of clients reached\r\n")
        }
        let peer: SocketPeer
        if let path {
            peer = SocketPeer(
                id: server.registry.takeID(), address: "\(path):0", localAddress: "\(path):0", isUnix: true,
                isLoopback: false)
        } else {
            let remote = Socket.describe(&storage)
            var own = sockaddr_storage()
            // A socket whose own address is not to be had is served all the same.
            _ = valk_socket_address(accepted, false, &own)
            if !remote.isLoopback && settings.protectedMode.load(ordering: .relaxed)
                && server.users.isWithoutPassword
            {
                counters.add(.connectionsRefused)
                return turnAway(accepted, Self.protectedModeText)
            }
            Socket.tune(accepted, keepAlive: settings.keepAliveSeconds.load(ordering: .relaxed))
            peer = SocketPeer(
                id: server.registry.takeID(), address: remote.text, localAddress: Socket.describe(&own).text,
                isUnix: false, isLoopback: remote.isLoopback, speaksTLS: speaksTLS)
        }
        counters.add(.connectionsAccepted)
        server.place(accepted, peer)
    }

    private func turnAway(_ accepted: Int32, _ text: StaticString) {
        // If the socket does not take these few bytes at once, the peer sees only the close; so does one that would
        // have to shake hands before it could read them.
        if !speaksTLS { _ = Socket.write(accepted, UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount) }
        Socket.close(accepted)
    }

    /// Redis' words to the letter: there are tools that look for them.
    private static let protectedModeText: StaticString = """
        -DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the \
        default user. In this mode connections are only accepted from the loopback interface. If you want to connect \
        from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode \
        sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the \
        same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do \
        so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode \
        by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting \
        the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' \
        option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above \
        things in order for the server to start accepting connections from the outside.\r\n
        """
}
