// The clients of one loop that listen, by what they listen to. The loop's thread alone.

import ValkBase
import ValkCommands
import ValkData
import ValkRESP

final class LoopSubscriptions {
    private var listeners = [[[UInt8]: [Connection]]](repeating: [:], count: SubscriptionKind.allCases.count)

    func add(_ kind: SubscriptionKind, _ name: [UInt8], _ connection: Connection) {
        listeners[kind.rawValue][name, default: []].append(connection)
    }

    func remove(_ kind: SubscriptionKind, _ name: [UInt8], _ connection: Connection) {
        guard let at = listeners[kind.rawValue][name]?.firstIndex(where: { $0 === connection }) else { return }
        listeners[kind.rawValue][name]?.remove(at: at)
        if listeners[kind.rawValue][name]?.isEmpty == true { listeners[kind.rawValue][name] = nil }
    }

    /// Gives a publication to those who listen to its channel, then to those whose patterns match it.
    func deliver(_ publication: Publication, on loop: EventLoop) {
        let direct = publication.isSharded ? SubscriptionKind.shard : .channel
        if let connections = listeners[direct.rawValue][publication.channel] {
            let word: StaticString = publication.isSharded ? "smessage" : "message"
            send(word, [publication.channel, publication.message], to: connections, on: loop)
        }
        if publication.isSharded || listeners[SubscriptionKind.pattern.rawValue].isEmpty { return }
        publication.channel.withView { channel in
            for (pattern, connections) in listeners[SubscriptionKind.pattern.rawValue]
            where pattern.withView({ GlobPattern($0).matches(channel) }) {
                send(
                    "pmessage", [pattern, publication.channel, publication.message], to: connections, on: loop)
            }
        }
    }

    private func send(_ word: StaticString, _ parts: [[UInt8]], to connections: [Connection], on loop: EventLoop) {
        // Written once for each version of the protocol that somebody speaks.
        var written: [[UInt8]?] = [nil, nil]
        for connection in connections {
            let version = connection.state.pointee.version
            let at = version >= 3 ? 1 : 0
            let bytes = written[at] ?? encode(word, parts, version)
            written[at] = bytes
            bytes.withView { loop.push($0, to: connection) }
        }
    }

    private func encode(_ word: StaticString, _ parts: [[UInt8]], _ version: UInt8) -> [UInt8] {
        var out = ByteBuffer(capacity: 64 + parts.reduce(0) { $0 + $1.count })
        return withUnsafeMutablePointer(to: &out) { out in
            let reply = ReplyWriter(out: out, version: version)
            reply.push(parts.count + 1)
            reply.bulk(word)
            for part in parts { part.withView { reply.bulk($0) } }
            return out.pointee.view.array
        }
    }
}
