// A server inside the test process, on a free port, with the data commands that the tests need and a few that exist for
// them: HOLD waits on a worker until the test lets it go, BLOB answers so many bytes.

import Glibc
import Logging
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkDisk
import ValkEngine
import ValkRESP
import ValkTestSupport

@testable import ValkServer

final class TestServer {
    let server: Server
    let settings = LiveSettings()
    let clock: any WallClock
    let valve = Valve()
    private let folder = TemporaryFolder()
    let store: Store

    init(
        loops: Int = 1, clock: any WallClock = SystemClock(), policy: SyncPolicy = .everySecond,
        disk: any Disk = PosixDisk(), _ change: (inout ServerOptions, LiveSettings) -> Void = { _, _ in }
    ) throws {
        self.clock = clock
        var options = ServerOptions()
        options.port = 0
        options.loopCount = loops
        change(&options, settings)
        var storeOptions = StoreOptions(path: folder.path)
        storeOptions.countsNamespaces = true
        storeOptions.syncPolicy = policy
        storeOptions.memoryBytes = 64 << 20
        storeOptions.tableBytes = 8 << 20
        storeOptions.segmentBytes = 8 << 20
        store = try Store.open(storeOptions, disk: disk)
        var hosted = HostedCommands()
        let commands = TestServer.commands(&hosted, valve)
        server = Server(
            options: options, settings: settings, store: store, keyspace: try Keyspace(store, databaseCount: 16),
            commands: commands, hosted: hosted, clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try server.start()
    }

    deinit {
        valve.open()
        server.stop(drainSeconds: 1)
        do { try store.close() } catch { print("close: \(error)") }
    }

    func connect() throws -> TestClient { try TestClient(port: server.port) }

    /// Something a command on a worker can be kept waiting at.
    final class Valve: @unchecked Sendable {
        private let lock = Lock()
        private let changed = Condition()
        private var isOpen = false
        private var waiting = 0

        func open() {
            lock.withLock { isOpen = true }
            changed.broadcast()
        }

        func close() { lock.withLock { isOpen = false } }

        func pass() {
            lock.lock()
            waiting += 1
            changed.broadcast()
            while !isOpen { changed.wait(lock) }
            waiting -= 1
            lock.unlock()
        }

        func awaitWaiters(_ n: Int) {
            lock.lock()
            while waiting < n { changed.wait(lock) }
            lock.unlock()
        }
    }

    private static func spec(
        _ name: String, _ arity: Int, _ flags: CommandFlags, key: Int = 0, last: Int = 0, step: Int = 1
    ) -> CommandSpec {
        CommandSpec(
            name, arity: arity, flags: flags, keys: key > 0 ? [.at(key, [.rw], last: last, step: step)] : [],
            categories: [], since: "1.0.0", group: "test", summary: "")
    }

    private static func commands(_ hosted: inout HostedCommands, _ valve: Valve) -> [CommandSpec] {
        [
            spec("get", 2, [.readonly, .fast], key: 1).runs(StringCommands.get),
            spec("set", -3, [.write], key: 1).runs(StringCommands.set),
            spec("mset", -3, [.write], key: 1, last: -1, step: 2).runs(StringCommands.mset),
            spec("del", -2, [.write], key: 1, last: -1).runs(GenericCommands.del),
            spec("incr", 2, [.write, .fast], key: 1).runs(NumberCommands.incr),
            spec("append", 3, [.write, .fast], key: 1).runs(StringCommands.append),
            spec("pexpire", -3, [.write, .fast], key: 1).runs(ExpiryCommands.pexpire),
            spec("dbsize", 1, [.readonly, .fast, .lengthy]).runs(GenericCommands.dbsize),
            spec("flushall", -1, [.write]).runs(GenericCommands.flushall),
            spec("zadd", -4, [.write, .fast], key: 1).runs(SortedSetCommands.zadd),
            spec("zcard", 2, [.readonly, .fast], key: 1).runs(SortedSetCommands.zcard),
            spec("bzpopmin", -3, [.write, .blocking, .fast], key: 1, last: -2).runs(SortedSetWaiting.bzpopmin),
            spec("swapdb", 3, [.write, .allKeys]).runs(GenericCommands.swapdb),
            spec("rename", 3, [.write], key: 1, last: 1).runs(GenericCommands.rename),
            hosted.add(spec("ping", -1, [.fast])) { _, c throws(Interruption) in c.reply.simple("PONG") },
            hosted.add(spec("quit", -1, [.noAuth])) { connection, c throws(Interruption) in
                connection.closeAfterReply()
                c.reply.ok()
            },
            hosted.add(spec("auth", 2, [.noAuth])) { connection, c throws(Interruption) in
                guard let user = connection.server.users.admit(ByteView("default"), password: c.args[1]) else {
                    return c.fail("WRONGPASS no")
                }
                connection.logIn(as: user)
                c.reply.ok()
            },
            hosted.add(spec("select", 2, [.fast])) { connection, c throws(Interruption) in
                connection.database = Int(Decimal.parse(c.args[1]) ?? 0)
                c.reply.ok()
            },
            hosted.add(spec("monitor", 1, [.admin])) { connection, c throws(Interruption) in
                connection.startMonitoring()
                c.reply.ok()
            },
            hosted.add(spec("reply", 2, [])) { connection, c throws(Interruption) in
                if c.args[1].equalsIgnoringCase("off") {
                    connection.replyMode = .off
                } else if c.args[1].equalsIgnoringCase("skip") {
                    connection.replyMode = .skipNext
                } else {
                    connection.replyMode = .on
                    c.reply.ok()
                }
            },
            // Waits on a worker while the valve is shut, then answers its argument.
            hosted.add(spec("hold", 2, [])) { _, c throws(Interruption) in
                if !c.keys.reader.mayBlock { throw .wouldBlock }
                valve.pass()
                c.reply.bulk(c.args[1])
            },
            // The same, as a writer of its key.
            hosted.add(spec("holdkey", 2, [.write], key: 1)) { _, c throws(Interruption) in
                if !c.keys.reader.mayBlock { throw .wouldBlock }
                valve.pass()
                c.reply.ok()
            },
            hosted.add(spec("eval", -3, [.noscript, .movableKeys, .runsScripts])) {
                connection, c throws(Interruption) in
                try c.executor.scripts.eval(connection, byDigest: false, readOnly: false)
            },
            // Reads its key on a worker, after it has been let go.
            hosted.add(spec("holdget", 2, [.readonly], key: 1)) { _, c throws(Interruption) in
                if !c.keys.reader.mayBlock { throw .wouldBlock }
                valve.pass()
                try StringCommands.get(c)
            },
            // From here on the client speaks RESP3 and is tracked.
            hosted.add(spec("track", 1, [.allKeys, .seesWholeWrites])) { connection, c throws(Interruption) in
                connection.protocolVersion = 3
                connection.startTracking([], redirect: 0, prefixes: [])
                c.reply.ok()
            },
            hosted.add(spec("fault", 2, [])) { _, c throws(Interruption) in
                switch c.args[1].string {
                case "damaged": throw .damaged
                case "nospace": throw .noSpace
                default: throw .writesStopped
                }
            },
            hosted.add(spec("blob", 2, [])) { _, c throws(Interruption) in
                let n = Int(Decimal.parse(c.args[1]) ?? 0)
                c.reply.bulkHeader(n)
                for _ in 0..<n { c.reply.out.pointee.append(UInt8(ascii: "b")) }
                c.reply.crlf()
            },
        ]
    }
}

/// A blocking client socket. Reads give up after ten seconds, so that a bug fails a test instead of hanging it.
final class TestClient {
    let descriptor: Int32
    /// Kept alive as long as the client: its server.
    var owner: AnyObject?
    private var received: [UInt8] = []
    private var at = 0

    struct Failure: Error { let message: String }

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status != 0 { throw Failure(message: "connect: errno \(errno)") }
        try prepare()
    }

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if status != 0 { throw Failure(message: "connect: errno \(errno)") }
        try prepare()
    }

    /// A port of 127.0.0.1 that was free just now.
    static func freePort() throws -> Int {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(probe) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(probe, $0, size) | getsockname(probe, $0, &size)
            }
        }
        if status != 0 { throw Failure(message: "no free port: errno \(errno)") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private func prepare() throws {
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { Glibc.close(descriptor) }

    func send(_ bytes: [UInt8]) throws {
        if Self.send(bytes, on: descriptor) < bytes.count { throw Failure(message: "send: errno \(errno)") }
    }

    /// Bytes taken: all of them, unless it failed. On any thread.
    static func send(_ bytes: [UInt8], on descriptor: Int32) -> Int {
        var sent = 0
        while sent < bytes.count {
            let n = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if n <= 0 { return sent }
            sent += n
        }
        return sent
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    static func encode(_ arguments: [[UInt8]]) -> [UInt8] {
        var out = Array("*\(arguments.count)\r\n".utf8)
        for a in arguments { out += Array("$\(a.count)\r\n".utf8) + a + [13, 10] }
        return out
    }

    static func encode(_ words: String...) -> [UInt8] { encode(words.map { Array($0.utf8) }) }

    /// Sends a command and returns its reply as text (see `reply`).
    func ask(_ words: String...) throws -> String {
        try send(Self.encode(words.map { Array($0.utf8) }))
        return try reply()
    }

    func ask(_ words: [String]) throws -> String {
        try send(Self.encode(words.map { Array($0.utf8) }))
        return try reply()
    }

    func shutdownWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next reply: "+OK", "-ERR …", ":1", "$value", "$nil", "*[…,…]", "*nil"; pushes as ">[…]".
    func reply() throws -> String {
        let line = try self.line()
        let rest = String(line.dropFirst())
        switch line.first {
        case "$":
            guard let n = Int(rest) else { throw Failure(message: line) }
            if n < 0 { return "$nil" }
            let bytes = try take(n + 2)
            return "$" + String(decoding: bytes.dropLast(2), as: UTF8.self)
        case "*", ">":
            guard let n = Int(rest) else { throw Failure(message: line) }
            if n < 0 { return "*nil" }
            var parts: [String] = []
            for _ in 0..<n { parts.append(try reply()) }
            return "\(line.prefix(1))[" + parts.joined(separator: ",") + "]"
        default: return line
        }
    }

    /// Whether the server has closed the connection (and nothing unread is left).
    func isClosed() -> Bool {
        if at < received.count { return false }
        var byte: UInt8 = 0
        let n = recv(descriptor, &byte, 1, 0)
        if n == 1 { received.append(byte) }
        return n == 0 || (n < 0 && errno == ECONNRESET)
    }

    /// Whether there is nothing to be read at this moment.
    var hasNothing: Bool {
        var byte: UInt8 = 0
        return at == received.count && recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0
            && errno == EAGAIN
    }

    func line() throws -> String {
        while true {
            if let end = received[at...].firstIndex(of: 13), end + 1 < received.count {
                let text = String(decoding: received[at..<end], as: UTF8.self)
                at = end + 2
                return text
            }
            try fill()
        }
    }

    func take(_ n: Int) throws -> [UInt8] {
        while received.count - at < n { try fill() }
        defer { at += n }
        return Array(received[at..<at + n])
    }

    /// Reads past `n` bytes (at least 1) when nothing was read ahead; returns the last of them.
    func skip(_ n: Int) throws -> UInt8 {
        guard at == received.count else { throw Failure(message: "something was read ahead") }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var left = n
        while true {
            let got = recv(descriptor, &buffer, min(left, buffer.count), 0)
            if got <= 0 { throw Failure(message: "recv: \(got), errno \(errno), \(left) of \(n) bytes left") }
            left -= got
            if left == 0 { return buffer[got - 1] }
        }
    }

    private func fill() throws {
        if at > 0 {
            received.removeFirst(at)
            at = 0
        }
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let n = recv(descriptor, &chunk, chunk.count, 0)
        if n <= 0 { throw Failure(message: n == 0 ? "closed by the server" : "recv: errno \(errno)") }
        received += chunk[0..<n]
    }
}
