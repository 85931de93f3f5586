// Invalidations where they arrive: on the loop of the tracked client, and of the client that it redirects them to.
//
// A client whose command is running (on a worker, or on this loop just now) gets what comes meanwhile behind the reply:
// its state is not the loop's to look at, and an invalidation in front of the reply would be of no use to it. Such work
// waits in `Connection.held`.

import ValkBase
import ValkRESP

/// Keys that have changed.
struct Invalidation: Sendable {
    /// Each with the id of the client that changed it, 0 for none. Nil: all keys there are.
    let keys: [(key: [UInt8], writer: UInt64)]?
    let isBroadcast: Bool
}

extension EventLoop {
    /// Runs `body` with everything for `connection` held back until its running command is done.
    func during(_ connection: Connection, _ body: (EventLoop) -> Void) {
        running = connection
        body(self)
        running = nil
        if !connection.held.isEmpty { connection.set(.holdsPushes, true) }
    }

    /// False when `action` was put off.
    private func isFree(_ connection: Connection, orHold action: @escaping @Sendable (EventLoop) -> Void) -> Bool {
        if connection.state.pointee.phase != .deferred && running !== connection { return true }
        connection.held.append(action)
        return false
    }

    /// The command is done: what was held back leaves.
    func releaseHeldPushes(_ connection: Connection) {
        let held = connection.held
        connection.held = []
        for action in held { action(self) }
    }

    func invalidate(_ connection: Connection, _ invalidation: Invalidation) {
        guard isFree(connection, orHold: { $0.invalidate(connection, invalidation) }),
            connection.state.pointee.phase != .closed, let tracking = connection.tracking
        else { return }
        // It may have changed its mode since it read the key.
        if invalidation.keys != nil && tracking.mode.contains(.broadcast) != invalidation.isBroadcast { return }
        let skipsOwn = tracking.mode.contains(.noLoop)
        let keys = invalidation.keys?.filter { !skipsOwn || $0.writer != connection.id }.map(\.key)
        if keys?.isEmpty == true { return }
        if tracking.redirect == 0 { return sendInvalidation(keys, to: connection, isRedirected: false) }
        guard let target = server.registry.connection(tracking.redirect) else {
            tracking.mode.insert(.brokenRedirect)
            if connection.state.pointee.version >= 3 { pushBrokenRedirect(tracking.redirect, to: connection) }
            return
        }
        if target.loop === self { return sendInvalidation(keys, to: target, isRedirected: true) }
        target.loop.mailbox.post(.run { $0.sendInvalidation(keys, to: target, isRedirected: true) })
    }

    private func sendInvalidation(_ keys: [[UInt8]]?, to connection: Connection, isRedirected: Bool) {
        guard
            isFree(connection, orHold: { $0.sendInvalidation(keys, to: connection, isRedirected: isRedirected) })
        else { return }
        let version = connection.state.pointee.version
        // A client of RESP2 gets messages only, on the channel that it listens to for this.
        if version < 3 && !(isRedirected && connection.state.pointee.flags.contains(.subscribed)) { return }
        push(to: connection) { reply in
            if version >= 3 {
                reply.push(2)
                reply.bulk("invalidate" as StaticString)
            } else {
                reply.array(3)
                reply.bulk("message" as StaticString)
                reply.bulk("__redis__:invalidate" as StaticString)
            }
            guard let keys else { return reply.null() }
            reply.array(keys.count)
            for key in keys { key.withView { reply.bulk($0) } }
        }
    }

    private func pushBrokenRedirect(_ id: UInt64, to connection: Connection) {
        push(to: connection) { reply in
            reply.push(2)
            reply.bulk("tracking-redir-broken" as StaticString)
            reply.integer(Int64(id))
        }
    }

    private func push(to connection: Connection, _ write: (ReplyWriter) -> Void) {
        var out = ByteBuffer(capacity: 128)
        withUnsafeMutablePointer(to: &out) { out in
            write(ReplyWriter(out: out, version: connection.state.pointee.version))
            push(out.pointee.view, to: connection)
        }
    }
}
