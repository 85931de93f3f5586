// ACL LOG: what was refused, newest first. What was refused again within a minute, for the same reason to the same
// user, is one entry with a count, if it is among the last ten. At most `lengthMax` entries.

import ValkBase

final class AccessLog: Sendable {
    enum Reason: String, Sendable { case command, key, channel, auth }
    enum Context: String, Sendable { case toplevel, multi, lua }

    struct Entry: Sendable {
        var count = 1
        var reason: Reason
        var context: Context
        /// The command's, key's or channel's name.
        var object: [UInt8]
        var user: [UInt8]
        /// Milliseconds since 1970, of the last time.
        var time: UInt64
        /// The client as CLIENT LIST shows it, of the last time.
        var client: String
    }

    private static let sameWithinMilliseconds: UInt64 = 60_000
    private static let comparedMax = 10

    private let lock = Lock()
    // SAFETY: read and written under `lock` only. Newest first.
    private nonisolated(unsafe) var entries: [Entry] = []
    private nonisolated(unsafe) var lengthMaxNow = 128

    /// `acllog-max-len`. A lower one acts with the next entry.
    var lengthMax: Int {
        get { lock.withLock { lengthMaxNow } }
        set { lock.withLock { lengthMaxNow = newValue } }
    }

    func add(_ entry: Entry) {
        lock.withLock {
            let same = entries.prefix(Self.comparedMax).firstIndex {
                $0.reason == entry.reason && $0.context == entry.context && $0.object == entry.object
                    && $0.user == entry.user
                    && max($0.time, entry.time) - min($0.time, entry.time) <= Self.sameWithinMilliseconds
            }
            var entry = entry
            if let same { entry.count = entries.remove(at: same).count + 1 }
            entries.insert(entry, at: 0)
            if entries.count > lengthMaxNow { entries.removeLast(entries.count - lengthMaxNow) }
        }
    }

    func newest(_ count: Int) -> [Entry] { lock.withLock { Array(entries.prefix(count)) } }

    func reset() { lock.withLock { entries = [] } }
}
