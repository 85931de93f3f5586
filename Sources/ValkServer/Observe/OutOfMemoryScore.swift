// `oom-score-adj`: how readily the kernel ends this process when the machine runs out of memory. The server writes its
// adjustment only while the setting asks for one; when it is taken back, what was there before is there again.

import Glibc
import ValkBase

final class OutOfMemoryScore: @unchecked Sendable {  // Under the lock.
    /// As in the setting: `yes` is `relative`.
    enum Mode: Int { case no, yes, relative, absolute }

    private static let path = "/proc/self/oom_score_adj"
    private static let range = -1000...1000

    private let lock = Lock()
    /// What was there before the server changed it; nil while it has not.
    private var original: Int?

    /// Returns why it could not be done, nil when it was.
    func apply(_ mode: Mode, _ value: Int) -> String? {
        lock.withLock {
            if mode == .no {
                guard let before = original else { return nil }
                original = nil
                return write(before)
            }
            guard let before = original ?? read() else { return "it cannot be read" }
            original = before
            let wanted = mode == .absolute ? value : before + value
            return write(min(max(wanted, Self.range.lowerBound), Self.range.upperBound))
        }
    }

    private func read() -> Int? {
        guard case .success(let bytes) = TextFile.read(Self.path) else { return nil }
        return Int(String(decoding: bytes, as: UTF8.self).trimmed)
    }

    private func write(_ value: Int) -> String? {
        let fd = open(Self.path, O_WRONLY | O_CLOEXEC)
        guard fd >= 0 else { return String(cString: strerror(errno)) }
        defer { close(fd) }
        return TextFile.write(fd, Array("\(value)".utf8)) ? nil : "it was refused"
    }
}

extension String {
    /// Without line ends and spaces behind it.
    fileprivate var trimmed: String { String(prefix { !$0.isWhitespace }) }
}
