// A connection to another server that MIGRATE brings keys to: whole requests out, lines of replies in, each step within
// a time. Workers only: it waits.

import CLibevent
import Glibc
import ValkBase

struct TargetServer: ~Copyable {
    private let descriptor: Int32
    private let milliseconds: Int32
    private var received: [UInt8] = []
    private var at = 0

    /// Replies longer than this are none.
    private static let lineBytesMax = 64 << 10

    private init(descriptor: Int32, milliseconds: Int32) {
        self.descriptor = descriptor
        self.milliseconds = milliseconds
    }

    /// Nil when there is no connection within the time.
    static func open(host: String, port: String, milliseconds: Int) -> TargetServer? {
        let milliseconds = Int32(clamping: milliseconds)
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        var next = found
        while let address = next {
            if let descriptor = connect(address.pointee, milliseconds) {
                return TargetServer(descriptor: descriptor, milliseconds: milliseconds)
            }
            next = address.pointee.ai_next
        }
        return nil
    }

    deinit { Socket.close(descriptor) }

    private static func connect(_ address: addrinfo, _ milliseconds: Int32) -> Int32? {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.ai_family, kind, 0)
        if descriptor < 0 { return nil }
        var isOpen = Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0
        if !isOpen && errno == EINPROGRESS && wait(descriptor, for: POLLOUT, milliseconds) {
            var fault: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &fault, &length)
            isOpen = fault == 0
        }
        if isOpen {
            Socket.tune(descriptor, keepAlive: 0)
            return descriptor
        }
        Socket.close(descriptor)
        return nil
    }

    private static func wait(_ descriptor: Int32, for events: Int32, _ milliseconds: Int32) -> Bool {
        let deadline = Monotonic.nanoseconds() + UInt64(milliseconds) * 1_000_000
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let now = Monotonic.nanoseconds()
            let left = now < deadline ? Int32((deadline - now + 999_999) / 1_000_000) : 0
            let n = poll(&entry, 1, left)
            if n > 0 { return true }
            if n == 0 || errno != EINTR { return false }
        }
    }

    /// False when the other side does not take all of it in time.
    func send(_ bytes: ByteView) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let n = Socket.write(descriptor, bytes.base + sent, bytes.count - sent)
            if n >= 0 {
                sent += n
            } else if n != Socket.again || !Self.wait(descriptor, for: POLLOUT, milliseconds) {
                return false
            }
        }
        return true
    }

    /// The next line without its end; nil when none comes in time.
    mutating func line() -> [UInt8]? {
        while true {
            if let end = received[at...].firstIndex(of: 0x0A) {
                var line = received[at..<end]
                at = end + 1
                if line.last == 0x0D { line.removeLast() }
                return Array(line)
            }
            received.removeFirst(at)
            at = 0
            if received.count > Self.lineBytesMax || !Self.wait(descriptor, for: POLLIN, milliseconds) { return nil }
            var chunk = [UInt8](repeating: 0, count: 4096)
            let n = chunk.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { Socket.read(descriptor, $0, buffer.count) } ?? 0
            }
            if n == 0 || n == Socket.failed { return nil }
            if n > 0 { received += chunk[..<n] }
        }
    }
}
