// System calls on sockets, one thin leaf each: errno is read before anything else can change it.

import CLibevent
import Glibc
import ValkBase

enum Socket {
    /// Nothing can be read or written just now.
    static let again = -2
    static let failed = -1

    /// Bytes read, 0 at the end of input, `again` or `failed`.
    @inline(never)
    static func read(_ descriptor: Int32, _ to: UnsafeMutableRawPointer, _ count: Int) -> Int {
        while true {
            let n = Glibc.read(descriptor, to, count)
            if n >= 0 { return n }
            let code = errno
            if code == EINTR { continue }
            return code == EAGAIN ? again : failed
        }
    }

    /// Bytes taken, `again` or `failed`. Never raises SIGPIPE.
    @inline(never)
    static func write(_ descriptor: Int32, _ from: UnsafeRawPointer, _ count: Int) -> Int {
        while true {
            let n = send(descriptor, from, count, Int32(MSG_NOSIGNAL))
            if n >= 0 { return n }
            let code = errno
            if code == EINTR { continue }
            return code == EAGAIN ? again : failed
        }
    }

    static func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    static func setOption(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        // A refused option costs speed or comfort, never correctness.
        _ = setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// TCP_NODELAY, and keep-alive probes after `keepAlive` seconds of silence (0: none).
    static func tune(_ descriptor: Int32, keepAlive: Int) {
        let tcp = Int32(IPPROTO_TCP)
        setOption(descriptor, tcp, TCP_NODELAY, 1)
        if keepAlive > 0 {
            setOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            setOption(descriptor, tcp, TCP_KEEPIDLE, Int32(clamping: keepAlive))
            // Three probes within the same time again, as Redis spaces them.
            setOption(descriptor, tcp, TCP_KEEPINTVL, Int32(clamping: max(1, keepAlive / 3)))
            setOption(descriptor, tcp, TCP_KEEPCNT, 3)
        }
    }

    /// "127.0.0.1:6379" or "[::1]:6379", and whether it is a loopback address.
    static func describe(_ storage: inout sockaddr_storage) -> (text: String, port: Int, isLoopback: Bool) {
        withUnsafeMutablePointer(to: &storage) { pointer in
            let raw = UnsafeMutableRawPointer(pointer)
            if storage_family(raw) == AF_INET {
                let v4 = raw.assumingMemoryBound(to: sockaddr_in.self)
                var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
                inet_ntop(AF_INET, &v4.pointee.sin_addr, &text, socklen_t(INET_ADDRSTRLEN))
                let port = Int(UInt16(bigEndian: v4.pointee.sin_port))
                let first = UInt32(bigEndian: v4.pointee.sin_addr.s_addr) >> 24
                return ("\(string(text)):\(port)", port, first == 127)
            }
            if storage_family(raw) == AF_INET6 {
                let v6 = raw.assumingMemoryBound(to: sockaddr_in6.self)
                var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
                inet_ntop(AF_INET6, &v6.pointee.sin6_addr, &text, socklen_t(INET6_ADDRSTRLEN))
                let port = Int(UInt16(bigEndian: v6.pointee.sin6_port))
                let address = string(text)
                return ("[\(address)]:\(port)", port, address == "::1" || address.hasPrefix("::ffff:127."))
            }
            return ("", 0, true)
        }
    }

    private static func storage_family(_ raw: UnsafeMutableRawPointer) -> Int32 {
        Int32(raw.assumingMemoryBound(to: sockaddr.self).pointee.sa_family)
    }

    private static func string(_ text: [CChar]) -> String {
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Who is at the other end of an accepted socket.
struct SocketPeer: Sendable {
    let id: UInt64
    let address: String
    let localAddress: String
    let isUnix: Bool
    let isLoopback: Bool
    var speaksTLS = false

    var flags: ConnectionFlags {
        var flags: ConnectionFlags = []
        if isUnix { flags.insert(.unixSocket) }
        if isLoopback { flags.insert(.loopback) }
        return flags
    }
}
