// Reading and writing a TLS session in the words of `Socket`, for the loop that owns the connection.
//
// Two things are different from a plain socket. A session may hold bytes that it has taken from the socket already,
// which nothing will announce: `.tlsHasMore` says so, and whoever lets the connection go on reads again. And a read may
// have to write first, or a write to read (hands are shaken on the way): then the other event is waited for.

import CLibevent
import CValkTLS
import Logging
import ValkBase

enum TLSSocket {
    /// The reason of the last failure on this thread, for people; empty for none.
    static func takeError() -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let text = buffer.baseAddress else { return "" }
            valk_tls_take_error(text, 256)
            return String(cString: text)
        }
    }
}

extension EventLoop {
    /// Rounds of reading what a session holds before others have their turn.
    private static let roundsMax = 8

    /// As `Socket.read`.
    @inline(never)
    func readTLS(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ session: OpaquePointer,
        _ to: UnsafeMutableRawPointer, _ room: Int
    ) -> Int {
        var more = false
        s.pointee.loopFlags.remove(.tlsHasMore)
        let n = valk_tls_read(session, to, room, &more)
        if more { s.pointee.loopFlags.insert(.tlsHasMore) }
        switch n {
        case 1...: return n
        case Int(VALK_TLS_WANTS_READ): return Socket.again
        case Int(VALK_TLS_WANTS_WRITE):
            s.pointee.loopFlags.insert(.tlsReadsWhenWritable)
            armWrite(connection)
            return Socket.again
        case Int(VALK_TLS_FAILED):
            noteTLSFailure(connection, s)
            return Socket.failed
        default: return 0
        }
    }

    /// As `Socket.write`.
    @inline(never)
    func writeTLS(
        _ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>, _ session: OpaquePointer,
        _ from: UnsafeRawPointer, _ count: Int
    ) -> Int {
        let n = valk_tls_write(session, from, count)
        switch n {
        case 1...: return n
        case Int(VALK_TLS_WANTS_WRITE): return Socket.again
        case Int(VALK_TLS_WANTS_READ):
            s.pointee.loopFlags.insert(.tlsWritesWhenReadable)
            return Socket.again
        default:
            noteTLSFailure(connection, s)
            return Socket.failed
        }
    }

    private func noteTLSFailure(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        s.pointee.loopFlags.insert(.tlsFailed)
        let reason = TLSSocket.takeError()
        server.logger.debug("TLS error from \(connection.address): \(reason.isEmpty ? "the peer has gone" : reason)")
    }

    /// Reads on what the session holds; what is left after some rounds waits for the next turn.
    @inline(never)
    func drainTLS(_ connection: Connection) {
        let s = connection.state
        var rounds = 0
        while s.pointee.loopFlags.contains(.tlsHasMore) && s.pointee.phase == .open {
            if rounds == Self.roundsMax { return resumeLater(connection) }
            rounds += 1
            readOnce(connection, s)
        }
    }

    /// Ends the session of a connection that is closed.
    func closeTLS(_ s: UnsafeMutablePointer<ConnectionState>) {
        guard let session = s.pointee.tls else { return }
        s.pointee.tls = nil
        valk_tls_close(session, !s.pointee.loopFlags.contains(.tlsFailed))
    }
}
