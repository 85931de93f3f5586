// What a connection needs on every request, as a plain struct behind a pointer: no reference counting, no exclusivity
// checks. Owned by the connection's loop; while a command of the connection runs on a worker, the worker owns the
// session fields (database, version, flags) and the loop leaves them alone.

import ValkBase
import ValkRESP

/// Why a connection is not executing commands just now.
enum ConnectionPhase: UInt8 {
    /// Reads and executes.
    case open
    /// A command is on a worker; its arguments lie in the input buffer, which stays as it is.
    case deferred
    /// A command waits for data; what comes behind it is kept.
    case waiting
    /// A command waits for CLIENT UNPAUSE; it is dispatched again then.
    case paused
    /// Too much unread output: what comes is kept, and executed when it has drained.
    case outputBlocked
    /// What it wrote has its price in time (`WritePace`, `DataLimit`): until then nothing is read and executed; replies
    /// leave.
    case paced
    /// The last reply has its time (DEBUG SLEEP): until then nothing is executed and nothing leaves.
    case sleeping
    /// Nothing more is executed; the socket closes when the output has left.
    case closing
    /// The socket is gone.
    case closed
}

/// The loop's own marks. Apart from the session's flags, because a worker may be changing those.
struct LoopFlags: OptionSet {
    let rawValue: UInt16
    /// In the loop's list of connections with output of this turn.
    static let touched = LoopFlags(rawValue: 1 << 0)
    /// In the loop's list of connections whose replies wait for the log.
    static let held = LoopFlags(rawValue: 1 << 1)
    /// In the loop's list of connections to go on with.
    static let resuming = LoopFlags(rawValue: 1 << 2)
    static let readArmed = LoopFlags(rawValue: 1 << 3)
    static let writeArmed = LoopFlags(rawValue: 1 << 4)
    /// The TLS session holds bytes (or its end) that the socket will not announce.
    static let tlsHasMore = LoopFlags(rawValue: 1 << 5)
    /// A read of the session waits for the socket to take something; a write waits for something to come.
    static let tlsReadsWhenWritable = LoopFlags(rawValue: 1 << 6)
    static let tlsWritesWhenReadable = LoopFlags(rawValue: 1 << 7)
    /// The session is broken.
    static let tlsFailed = LoopFlags(rawValue: 1 << 8)
    /// The peer sends nothing more; what it has sent is still to be executed.
    static let inputEnded = LoopFlags(rawValue: 1 << 9)
    /// In the middle of a reply that comes in pieces.
    static let streams = LoopFlags(rawValue: 1 << 10)
    /// The next piece is asked for when the client has read on.
    static let awaitsReader = LoopFlags(rawValue: 1 << 11)
}

/// What the session is and wants.
struct ConnectionFlags: OptionSet {
    let rawValue: UInt32
    /// Logged in, or nobody had to when the client came.
    static let authenticated = ConnectionFlags(rawValue: 1 << 0)
    static let multi = ConnectionFlags(rawValue: 1 << 1)
    /// A command could not be queued: EXEC aborts.
    static let transactionBroken = ConnectionFlags(rawValue: 1 << 2)
    static let watching = ConnectionFlags(rawValue: 1 << 3)
    static let monitor = ConnectionFlags(rawValue: 1 << 4)
    static let noEvict = ConnectionFlags(rawValue: 1 << 5)
    static let noTouch = ConnectionFlags(rawValue: 1 << 6)
    static let replyOff = ConnectionFlags(rawValue: 1 << 7)
    /// The next command's reply is dropped (set by CLIENT REPLY SKIP, becomes `replySkip` after that command).
    static let replySkipNext = ConnectionFlags(rawValue: 1 << 8)
    static let replySkip = ConnectionFlags(rawValue: 1 << 9)
    static let closeAfterReply = ConnectionFlags(rawValue: 1 << 10)
    static let unixSocket = ConnectionFlags(rawValue: 1 << 11)
    static let loopback = ConnectionFlags(rawValue: 1 << 12)
    /// The connection runs EXEC: queued commands do not queue again.
    static let executing = ConnectionFlags(rawValue: 1 << 13)

    /// The command that ran wants its reply to be held back.
    static let sleeps = ConnectionFlags(rawValue: 1 << 14)
    /// Listens to a channel or pattern.
    static let subscribed = ConnectionFlags(rawValue: 1 << 15)
    /// What it reads is remembered (CLIENT TRACKING).
    static let tracking = ConnectionFlags(rawValue: 1 << 16)
    /// Something waits for the end of the running command (`Connection.held`).
    static let holdsPushes = ConnectionFlags(rawValue: 1 << 17)
    /// Has, or once had, a transaction, subscriptions or tracking, which take memory.
    static let holdsMore = ConnectionFlags(rawValue: 1 << 18)
    /// A command has written since the loop last saw to the writers' pace.
    static let wrote = ConnectionFlags(rawValue: 1 << 19)
    /// Gets data that answer no command.
    static let isPushedTo: ConnectionFlags = [.monitor, .subscribed]

    /// After a command: the connection does not simply go on.
    static let breaksOff: ConnectionFlags = [.closeAfterReply, .sleeps, .holdsPushes]
    /// Any of these sends a command through the careful checks.
    static let needsCare: ConnectionFlags = [
        .multi, .replyOff, .replySkipNext, .replySkip, .closeAfterReply, .subscribed, .tracking,
    ]
}

/// Output up to `offset` (counted from the connection's first reply byte ever) may leave once the log is safe up to
/// `position`. Position 0 is no mark.
struct HeldMark {
    var offset: UInt64 = 0
    var position: UInt64 = 0
}

struct ConnectionState: ~Copyable {
    var descriptor: Int32
    /// The TLS session; nil on plain sockets and after the close. The loop's.
    var tls: OpaquePointer?
    /// Session: owned by the worker while the phase is `.deferred`.
    var flags: ConnectionFlags
    var loopFlags: LoopFlags = []
    var phase = ConnectionPhase.open
    /// RESP version, 2 or 3.
    var version: UInt8 = 2
    var database: Int32 = 0
    /// The version of all rights at which this client's user could do everything; 0 while that is not known.
    var unrestrictedVersion: UInt64 = 0
    /// Index of the command run last, -1 for none.
    var lastCommand: Int32 = -1
    /// Index of the command that is deferred or paused.
    var waitingCommand: Int32 = -1

    var parser = RequestParser()
    /// Bytes received and not yet executed, when they could not stay in the loop's read buffer.
    var input = ByteBuffer()
    /// When `input` was last read into because something big was on its way.
    var bigInputAt: UInt64 = 0
    /// Replies; nil while there are none.
    var output: UnsafeMutablePointer<ByteBuffer>?
    /// Bytes of `output` that the socket has taken.
    var outputSent = 0
    /// The last replies were more than a small buffer holds, and the next ones may be, too.
    var repliesAreLarge = false
    /// Bytes the socket has taken in the connection's whole life.
    var totalSent: UInt64 = 0
    var totalReceived: UInt64 = 0
    /// The part of it that came before this turn, or before the last one in which the client did something.
    var paidReceived: UInt64 = 0
    /// Replies that wait for the log: the first mark, and everything later under the last one.
    var heldFirst = HeldMark()
    var heldLast = HeldMark()
    /// While there is a mark: output before this offset may leave.
    var releasedOffset: UInt64 = 0
    /// Where this turn's output begins.
    var turnOffset: UInt64 = 0
    /// Log position up to which this turn's writes of the connection reach; 0 for none.
    var turnPosition: UInt64 = 0

    /// What the loop has counted of the client's memory, and the part of it that the session's things had.
    var countedBytes = 0
    var sessionBytes = 0
    /// As `countedBytes`, 0 for a client that is spared. Other threads read it.
    var evictableBytes: UInt64 = 0

    /// Monotonic nanoseconds.
    var createdAt: UInt64
    var lastActivity: UInt64
    /// When the output first exceeded the soft limit, 0 when it does not.
    var softLimitSince: UInt64 = 0

    init(descriptor: Int32, flags: ConnectionFlags, now: UInt64) {
        self.descriptor = descriptor
        self.flags = flags
        createdAt = now
        lastActivity = now
    }

    deinit {
        if let output {
            output.deinitialize(count: 1)
            output.deallocate()
        }
    }

    /// Offset of the next reply byte, counted from the connection's first.
    var endOffset: UInt64 { totalSent + UInt64(pendingOutput) }

    /// Bytes of input that have not been executed; the command under way is one of them.
    var pendingInput: Int {
        input.count - min(input.count, parser.isMidCommand ? parser.commandStart : parser.position)
    }

    /// Bytes of replies that the socket has not taken.
    var pendingOutput: Int {
        guard let output else { return 0 }
        return output.pointee.count - outputSent
    }
}
