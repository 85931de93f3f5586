// The clients of one loop that listen, by what they listen to. The loop's thread alone.
//
// What is sent is written once for each version of the protocol that somebody speaks, into buffers that stay, and
// copied to each client from there. The lists count no references: a client leaves them while the loop, or the message
// that ends its last command, still holds it (`EventLoop.close`, `complete`).

import ValkBase
import ValkCommands
import ValkData
import ValkRESP

final class LoopSubscriptions {
    private typealias Listener = Unmanaged<Connection>

    private var listeners = [[[UInt8]: [Listener]]](repeating: [:], count: SubscriptionKind.allCases.count)
    /// A message as RESP2 and RESP3 have it.
    private let written: UnsafeMutablePointer<ByteBuffer>
    /// Longer messages leave no room behind.
    private static let keptBytesMax = 64 << 10

    init() {
        written = .allocate(capacity: 2)
        for i in 0..<2 { (written + i).initialize(to: ByteBuffer()) }
    }

    deinit {
        written.deinitialize(count: 2)
        written.deallocate()
    }

    func add(_ kind: SubscriptionKind, _ name: [UInt8], _ connection: Connection) {
        listeners[kind.rawValue][name, default: []].append(.passUnretained(connection))
    }

    func remove(_ kind: SubscriptionKind, _ name: [UInt8], _ connection: Connection) {
        let listener = Listener.passUnretained(connection).toOpaque()
        guard let at = listeners[kind.rawValue][name]?.firstIndex(where: { $0.toOpaque() == listener }) else { return }
        listeners[kind.rawValue][name]?.remove(at: at)
        if listeners[kind.rawValue][name]?.isEmpty == true { listeners[kind.rawValue][name] = nil }
    }

    /// Gives a publication to those who listen to its channel, then to those whose patterns match it.
    func deliver(_ publication: Publication, on loop: EventLoop) {
        let direct = publication.isSharded ? SubscriptionKind.shard : .channel
        if let listeners = listeners[direct.rawValue][publication.channel] {
            let word: StaticString = publication.isSharded ? "smessage" : "message"
            send(word, nil, publication, to: listeners, on: loop)
        }
        if publication.isSharded || listeners[SubscriptionKind.pattern.rawValue].isEmpty { return }
        publication.channel.withView { channel in
            for (pattern, listeners) in listeners[SubscriptionKind.pattern.rawValue]
            where pattern.withView({ GlobPattern($0).matches(channel) }) {
                send("pmessage", pattern, publication, to: listeners, on: loop)
            }
        }
    }

    private func send(
        _ word: StaticString, _ pattern: [UInt8]?, _ publication: Publication, to listeners: [Listener],
        on loop: EventLoop
    ) {
        for i in 0..<2 { written[i].removeAll() }
        for listener in listeners {
            listener._withUnsafeGuaranteedRef { connection in
                let version = connection.state.pointee.version
                let out = written + (version >= 3 ? 1 : 0)
                if out.pointee.isEmpty { write(word, pattern, publication, ReplyWriter(out: out, version: version)) }
                loop.push(out.pointee.view, to: connection)
            }
        }
        for i in 0..<2 where written[i].capacity > Self.keptBytesMax { written[i].release() }
    }

    private func write(_ word: StaticString, _ pattern: [UInt8]?, _ publication: Publication, _ reply: ReplyWriter) {
        reply.push(pattern == nil ? 3 : 4)
        reply.bulk(word)
        if let pattern { pattern.withView { reply.bulk($0) } }
        publication.channel.withView { reply.bulk($0) }
        publication.message.withView { reply.bulk($0) }
    }
}
