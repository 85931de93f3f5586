// MONITOR: every client that asked gets a line for each command that runs. While nobody asked, the dispatcher pays one
// relaxed load a command (`ServerGate`).

import ValkBase
import ValkRESP

package final class MonitorFeed: Sendable {
    private let lock = Lock()
    private let gate: ServerGate
    // SAFETY: under `lock` only.
    private nonisolated(unsafe) var monitors: [Connection] = []

    init(gate: ServerGate) { self.gate = gate }

    func add(_ connection: Connection) {
        lock.withLock {
            monitors.append(connection)
            gate.raise(.monitors)
        }
    }

    func remove(_ connection: Connection) {
        lock.withLock {
            monitors.removeAll { $0 === connection }
            if monitors.isEmpty { gate.lower(.monitors) }
        }
    }

    /// Sends the line of one command: wall-clock `microseconds`, the database and client it ran for, `name` as for
    /// `SecretArguments`.
    func feed(_ source: Connection, _ arguments: ArgumentList, as name: String, microseconds: UInt64) {
        send([
            Self.line(
                database: source.database, Self.label(source), arguments, as: name, microseconds: microseconds)
        ])
    }

    /// Sends lines in this order.
    func send(_ lines: [[UInt8]]) {
        let targets = lock.withLock { monitors }
        for target in targets {
            target.loop.mailbox.post(.run { loop in for line in lines { line.withView { loop.push($0, to: target) } } })
        }
    }

    static func label(_ source: Connection) -> String {
        source.isUnixSocket ? "unix:" + source.address.dropLast(2) : source.address
    }

    /// The line of a command; `source` is who called it.
    static func line(
        database: Int, _ source: String, _ arguments: ArgumentList, as name: String? = nil, microseconds: UInt64
    ) -> [UInt8] {
        var line = ByteBuffer(capacity: 256)
        let fraction = String(microseconds % 1_000_000)
        let secrets = SecretArguments(arguments, as: name)
        line.append("+\(microseconds / 1_000_000).")
        line.append(String(repeating: "0", count: 6 - fraction.utf8.count) + fraction)
        line.append(" [\(database) \(source)]")
        for i in 0..<arguments.count {
            line.append(UInt8(ascii: " "))
            if secrets.hides(i) {
                line.append("\"(redacted)\"" as StaticString)
            } else {
                appendQuoted(arguments[i], to: &line)
            }
        }
        line.append("\r\n" as StaticString)
        return line.view.array
    }

    /// In double quotes, with everything that does not print escaped.
    static func appendQuoted(_ bytes: ByteView, to line: inout ByteBuffer) {
        let hex: StaticString = "0123456789abcdef"
        line.append(UInt8(ascii: "\""))
        for i in 0..<bytes.count {
            let c = bytes[i]
            switch c {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""):
                line.append(UInt8(ascii: "\\"))
                line.append(c)
            case 0x0A: line.append("\\n" as StaticString)
            case 0x0D: line.append("\\r" as StaticString)
            case 0x09: line.append("\\t" as StaticString)
            case 0x07: line.append("\\a" as StaticString)
            case 0x08: line.append("\\b" as StaticString)
            case 0x20...0x7E: line.append(c)
            default:
                line.append("\\x" as StaticString)
                line.append(hex.utf8Start[Int(c >> 4)])
                line.append(hex.utf8Start[Int(c & 15)])
            }
        }
        line.append(UInt8(ascii: "\""))
    }
}

extension Connection {
    /// On the loop, when the socket closes.
    func stopMonitoringOnClose() {
        if state.pointee.flags.contains(.monitor) { server.monitors.remove(self) }
    }
}
