// What a transaction sends when it is committed: messages of PUBLISH, and events of keys in the form in which they are
// published.

import ValkBase
import ValkData

/// A message for those who listen to a channel.
package struct Publication: Sendable {
    package let channel: [UInt8]
    package let message: [UInt8]
    /// Of a shard channel (SPUBLISH), which patterns do not see.
    package let isSharded: Bool
    /// Which loops have clients that listen, a bit each; nil where nobody has looked yet.
    package var route: UInt128?

    package init(channel: [UInt8], message: [UInt8], isSharded: Bool) {
        self.channel = channel
        self.message = message
        self.isSharded = isSharded
    }
}

extension KeyEventRecord {
    /// Adds the event to `list` in each of the two ways that `kinds` asks for.
    package func publish(_ kinds: KeyEventKinds, to list: inout [Publication]) {
        let name = ByteView(event.name).array
        if kinds.contains(.toKeyspace) {
            list.append(Publication(channel: channel("__keyspace@", key), message: name, isSharded: false))
        }
        if kinds.contains(.toKeyEvent) {
            list.append(Publication(channel: channel("__keyevent@", name), message: key, isSharded: false))
        }
    }

    private func channel(_ begin: String, _ end: [UInt8]) -> [UInt8] { Array("\(begin)\(database)__:".utf8) + end }
}
