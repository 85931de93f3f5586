// The slow log: the last commands that took longer than a setting allows, newest first, cut to what a person reads.
//
// The dispatcher calls `record` for a slow command only, so a lock costs nothing that matters. At most 32 arguments are
// kept, each with at most 128 bytes; what was cut is said in words, as Redis does. Arguments that hold secrets are kept
// as "(redacted)". Memory is bounded by `lengthMax` times about 4 KiB.

import Synchronization
import ValkBase
import ValkRESP

package final class SlowLog: Sendable {
    package struct Entry: Sendable {
        package let id: Int
        /// Seconds since 1970.
        package let time: Int
        package let microseconds: Int
        package let arguments: [[UInt8]]
        package let address: String
        package let clientName: [UInt8]
    }

    private static let argumentsMax = 32
    private static let argumentBytesMax = 128

    private let lock = Lock()
    // SAFETY: the three below are read and written under `lock` only.
    private nonisolated(unsafe) var entries: [Entry] = []
    private nonisolated(unsafe) var nextID = 0
    private nonisolated(unsafe) var lengthMaxNow: Int

    package init(lengthMax: Int = 128) { lengthMaxNow = lengthMax }

    /// The setting slowlog-max-len.
    package var lengthMax: Int {
        get { lock.withLock { lengthMaxNow } }
        set {
            lock.withLock {
                lengthMaxNow = newValue
                if entries.count > newValue { entries.removeFirst(entries.count - newValue) }
            }
        }
    }

    package var count: Int { lock.withLock { entries.count } }

    package func reset() { lock.withLock { entries.removeAll() } }

    /// Keeps a command that took `microseconds`; `now` is milliseconds since 1970, `name` as for `SecretArguments`.
    package func record(
        _ arguments: ArgumentList, as name: String? = nil, microseconds: Int, now: UInt64, address: String,
        clientName: [UInt8]
    ) {
        let kept = SlowLog.shortened(arguments, as: name)
        lock.withLock {
            let entry = Entry(
                id: nextID, time: Int(now / 1000), microseconds: microseconds, arguments: kept, address: address,
                clientName: clientName)
            nextID += 1
            guard lengthMaxNow > 0 else { return }
            // The newest is last, so that the oldest leaves at the front; amortised by letting some slack build up.
            entries.append(entry)
            if entries.count > lengthMaxNow { entries.removeFirst(entries.count - lengthMaxNow) }
        }
    }

    /// At most `limit` entries, newest first; negative: all.
    package func newest(_ limit: Int) -> [Entry] {
        lock.withLock { Array(entries.suffix(limit < 0 ? entries.count : limit).reversed()) }
    }

    static func shortened(_ arguments: ArgumentList, as name: String? = nil) -> [[UInt8]] {
        let secret = SecretArguments(arguments, as: name)
        let kept = min(arguments.count, argumentsMax)
        var out: [[UInt8]] = []
        out.reserveCapacity(kept)
        for index in 0..<kept {
            if index == argumentsMax - 1 && arguments.count > argumentsMax {
                out.append(Array("... (\(arguments.count - argumentsMax + 1) more arguments)".utf8))
            } else if secret.hides(index) {
                out.append(Array("(redacted)".utf8))
            } else if arguments[index].count > argumentBytesMax {
                let rest = arguments[index].count - argumentBytesMax
                out.append(
                    arguments[index][0..<argumentBytesMax].array + Array("... (\(rest) more bytes)".utf8))
            } else {
                out.append(arguments[index].array)
            }
        }
        return out
    }
}

/// Which arguments of a command must not be shown to others: passwords in AUTH, HELLO, ACL SETUSER and CONFIG SET.
package struct SecretArguments {
    private var hidden: Set<Int> = []

    /// `name` is the one that the command was made with ("config|set"), which it may not be called by; nil: it is.
    package init(_ arguments: ArgumentList, as name: String? = nil) {
        guard arguments.count > 1 else { return }
        switch name ?? SecretArguments.name(arguments) {
        case "auth": hidden = Set(1..<arguments.count)
        case "hello":
            for index in 2..<max(2, arguments.count) where arguments[index].equalsIgnoringCase("auth") {
                hidden.formUnion([index + 1, index + 2])
            }
        case "migrate":
            for index in 6..<max(6, arguments.count) {
                if arguments[index].equalsIgnoringCase("keys") { break }
                if arguments[index].equalsIgnoringCase("auth") { hidden.insert(index + 1) }
                if arguments[index].equalsIgnoringCase("auth2") { hidden.formUnion([index + 1, index + 2]) }
            }
        case "acl|setuser": hidden = Set(2..<max(2, arguments.count))
        case "config|set":
            for index in stride(from: 2, to: arguments.count - 1, by: 2)
            where SecretArguments.isSecret(arguments[index]) {
                hidden.insert(index + 1)
            }
        default: break
        }
    }

    /// What the command is called, if it is one with secrets.
    private static func name(_ arguments: ArgumentList) -> String {
        let first = arguments[0]
        if first.equalsIgnoringCase("acl") && arguments[1].equalsIgnoringCase("setuser") { return "acl|setuser" }
        if first.equalsIgnoringCase("config") && arguments[1].equalsIgnoringCase("set") { return "config|set" }
        if first.equalsIgnoringCase("auth") { return "auth" }
        if first.equalsIgnoringCase("hello") { return "hello" }
        return first.equalsIgnoringCase("migrate") ? "migrate" : ""
    }

    package func hides(_ index: Int) -> Bool { hidden.contains(index) }

    private static func isSecret(_ name: ByteView) -> Bool {
        name.equalsIgnoringCase("requirepass") || name.equalsIgnoringCase("masterauth")
            || name.equalsIgnoringCase("masteruser") || name.equalsIgnoringCase("tls-key-file-pass")
            || name.equalsIgnoringCase("tls-client-key-file-pass")
    }
}
