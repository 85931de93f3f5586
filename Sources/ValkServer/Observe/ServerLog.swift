// The server's log: one line an event, with time, process id and level, to a file or to standard output.
//
//     2026-11-22T17:52:19.694Z 18434 notice Ready to accept connections
//
// Nothing is logged per command. Times are UTC. A line is one write, so lines of several threads do not mix. A log file
// is opened for each line: it may be moved away at any time (logrotate) and the next line starts a new one. Where a
// line cannot be written there is nobody left to tell; it is dropped and counted.
//
// swift-log is the face that the rest of the server sees; this file is its only back end. Redis' four levels map to
// debug, info ("verbose"), notice and warning; swift-log's trace is debug here, error and critical are warning.

import CValk
import Glibc
import Logging
import Synchronization
import ValkBase

package final class ServerLog: Sendable {
    /// Redis' levels in the order of the setting `loglevel`.
    package enum Level: Int, Sendable, Comparable {
        case debug, verbose, notice, warning

        package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }

        var word: String {
            switch self {
            case .debug: "debug"
            case .verbose: "verbose"
            case .notice: "notice"
            case .warning: "warning"
            }
        }

        init(_ level: Logger.Level) {
            switch level {
            case .trace, .debug: self = .debug
            case .info: self = .verbose
            case .notice: self = .notice
            case .warning, .error, .critical: self = .warning
            }
        }

        var loggerLevel: Logger.Level {
            switch self {
            case .debug: .debug
            case .verbose: .info
            case .notice: .notice
            case .warning: .warning
            }
        }
    }

    private let lock = Lock()
    private let path: String
    private let threshold: Atomic<Int>
    private let dropped = Atomic<Int>(0)

    /// `path` empty: standard output. A relative path is taken from the present directory.
    package init(path: String, level: Level) {
        self.path = path.isEmpty ? "" : TextFile.absolutePath(path)
        threshold = Atomic(level.rawValue)
    }

    package var level: Level {
        get { Level(rawValue: threshold.load(ordering: .relaxed)) ?? .notice }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// Where it writes, as an absolute path; empty for standard output.
    var filePath: String { path }

    /// Lines that could not be written.
    package var droppedLines: Int { dropped.load(ordering: .relaxed) }

    /// A logger that writes here, for parts that know only swift-log.
    package func logger(_ label: String) -> Logger { Logger(label: label) { _ in ServerLogHandler(log: self) } }

    /// Why the file cannot be written, or nil when it can; asked once at the start.
    package func problem() -> String? {
        if path.isEmpty { return nil }
        let fd = openFile()
        if fd < 0 { return String(cString: strerror(errno)) }
        close(fd)
        return nil
    }

    package func debug(_ text: @autoclosure () -> String) { write(.debug, text) }
    package func verbose(_ text: @autoclosure () -> String) { write(.verbose, text) }
    package func notice(_ text: @autoclosure () -> String) { write(.notice, text) }
    package func warning(_ text: @autoclosure () -> String) { write(.warning, text) }

    func write(_ level: Level, _ text: () -> String) {
        guard level >= self.level else { return }
        let line = ServerLog.line(level, text(), pid: getpid(), microseconds: WallTime.microseconds())
        lock.withLock {
            let fd = path.isEmpty ? 1 : openFile()
            if fd < 0 || !TextFile.write(fd, Array(line.utf8)) { dropped.wrappingAdd(1, ordering: .relaxed) }
            if !path.isEmpty && fd >= 0 { close(fd) }
        }
    }

    private func openFile() -> Int32 { open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644) }

    /// One line; line ends inside `text` are shown as \n, so that an event stays a line.
    static func line(_ level: Level, _ text: String, pid: Int32, microseconds: UInt64) -> String {
        var line = "\(WallTime.text(microseconds)) \(pid) \(level.word) "
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: line += "\\n"
            case 0x0D: line += "\\r"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line + "\n"
    }
}

/// The back end of swift-log.
struct ServerLogHandler: LogHandler {
    let log: ServerLog
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(log: ServerLog) { self.log = log }

    /// The level lives in the log, so that CONFIG SET loglevel reaches every logger.
    var logLevel: Logger.Level {
        get { log.level.loggerLevel }
        set { log.level = ServerLog.Level(newValue) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        var text = event.message.description
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { text += " \(key)=\(value)" }
        log.write(ServerLog.Level(event.level)) { text }
    }
}

package enum WallTime {
    /// Since 1970.
    package static func microseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }

    /// "2026-11-22T17:52:19.694Z".
    package static func text(_ microseconds: UInt64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(parts.tm_year + 1900)-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let time = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(time).\(padded(Int(microseconds / 1000 % 1000), 3))Z"
    }
}
