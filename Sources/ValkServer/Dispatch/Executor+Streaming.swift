// Replies that come in pieces (`ReplyStream`): a worker writes a piece, the loop sends it, and when the client has
// taken most of it a worker writes the next. Memory for such a reply is bounded by about two pieces, whatever its
// size.
//
// From the first piece to the last the connection's phase is `.deferred`: it executes nothing else, and what others
// push to it waits in `Connection.held`. `LoopFlags.streams` is set all that time; `awaitsReader` while the stream is
// at rest because the client has not read on, and only then may the loop touch it.
//
// A stream keeps the moment that it shows alive, on the disk too, so a client that reads nothing for a minute is
// closed.

import CValk
import Logging
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Executor {
    /// The next piece of the connection's reply, in `deferredReply`. On a worker.
    func streamOn(_ connection: Connection, _ stream: ReplyStream) {
        let s = connection.state
        let out = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        out.initialize(to: ByteBuffer(capacity: ReplyStream.pieceBytes + BufferPool.bufferBytes))
        do throws(Interruption) {
            let hasMore = try stream.write(to: ReplyWriter(out: out, version: s.pointee.version))
            if !hasMore { connection.replyStream = nil }
        } catch {
            // Half a reply cannot be taken back: the client sees the connection end in the middle of it.
            server.logger.error(
                """
                closing client \(connection.id) (\(connection.address)) in the middle of a reply: \
                the data cannot be read (\(error))
                """)
            connection.replyStream = nil
            s.pointee.flags.insert(.closeAfterReply)
        }
        connection.deferredReply = out
        counters.add(.replyPieces)
    }
}

extension EventLoop {
    /// A client that takes nothing of a reply for so long is closed, nanoseconds.
    private static let stalledNanoseconds: UInt64 = 60_000_000_000

    /// A worker has written a piece, and there is more: that is asked for when this has been read.
    func keepStreaming(_ s: UnsafeMutablePointer<ConnectionState>) {
        s.pointee.loopFlags.insert([.streams, .awaitsReader])
    }

    /// The client has read: asks for more where little is left. In a turn.
    @inline(never)
    func streamOn(_ connection: Connection, _ s: UnsafeMutablePointer<ConnectionState>) {
        if s.pointee.pendingOutput > ReplyStream.pieceBytes || s.pointee.phase != .deferred { return }
        s.pointee.loopFlags.remove(.awaitsReader)
        deferred.append(connection)
    }

    /// Closes a client that has left a stream unread for too long. True: it was.
    func closeStalled(_ connection: Connection, idle: UInt64) -> Bool {
        guard connection.state.pointee.loopFlags.contains(.awaitsReader), idle > Self.stalledNanoseconds else {
            return false
        }
        server.logger.warning("closing client \(connection.id) (\(connection.address)): it leaves its reply unread")
        close(connection)
        return true
    }
}
