// Everything a running command may touch: its arguments, where its reply goes, its keys (reader, batch, keyspace), and
// the effects that the dispatcher collects afterwards.
//
// One per loop and per worker, used by one thread at a time; reused from command to command, so that nothing is
// allocated. Plain state lives behind pointers: reads and writes of it cost no exclusivity check and no retain.
//
// Life of a transaction (one command, or one EXEC), as the dispatcher drives it:
//   1. take the stripes (writers), then `start(now:)`: the reader sees the newest moment, effects are zero;
//   2. `prepare(args:reply:database:)` and the handler; EXEC repeats this for each queued command over one batch;
//   3a. something threw: truncate the reply, `abandon()`, and run all of it again elsewhere or answer the fault;
//   3b. nothing threw: if `keys.batch` is not empty commit it *before* the stripes are let go, then `finished()`;
//       the reply leaves as `effects` and the commit's position say;
//   4. if `keys.hasNoted`: `keys.removeNoted` (expired keys that were met), holding no stripe.
// `finished()` is called for readers too: it ends the reader's pins. `effects` stay readable until the next `start`.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

/// What a transaction did beside its reply.
package struct CommandEffects {
    /// Changes of the data set, as Redis counts them (`rdb_changes_since_last_save`).
    package var dirty: Int = 0
    package var keyspaceHits: Int = 0
    package var keyspaceMisses: Int = 0
    /// Error replies written, and the code of the last one.
    package var errorReplies: Int = 0
    package var errorCode: ErrorCode = .err
    /// Where commits made on the way end in the log (SCAN's bookmarks); zero when there were none. A reply should leave
    /// only after this is written, as replies of writes do.
    package var position = LogPosition.zero
    /// How far the log must be acknowledged before anybody may be told what was read; zero when it is.
    package var dependency = LogPosition.zero

    package init() {}
}

@usableFromInline
package struct CommandState {
    @usableFromInline package var args: ArgumentList
    @usableFromInline package var reply: ReplyWriter
    package var errorReplies: Int
    package var errorCode: ErrorCode
    /// Largest string a command may build (`proto-max-bulk-len`).
    package var stringBytesMax: Int
    /// Longest sparse HyperLogLog (`hll-sparse-max-bytes`).
    package var hyperLogLogSparseMax: Int
    package var encodings = EncodingLimits()
    package var waiting = WaitState()
    /// `rdbcompression`.
    package var compressesDumps = true
    /// Kinds of events of keys that somebody asked for.
    @usableFromInline package var eventKinds: KeyEventKinds = []
    /// Whether the caller may read keys that the command does not name. Set for those commands that ask.
    package var mayReadEveryKey = true
    /// A script calls the command.
    package var runsForScript = false
}

/// Something that a command changes and that is not stored.
package protocol CommitAction: AnyObject {
    func committed()
}

@usableFromInline
package final class CommandContext {
    @usableFromInline let state: UnsafeMutablePointer<CommandState>
    package let keys: KeyAccess
    /// Reused by SCAN, KEYS and RANDOMKEY.
    var scan = ScanBuffers()
    var generator: SeededRandom
    /// Made by the first DUMP.
    package private(set) lazy var compressor = LZFCompressor()
    /// See `replaceWhileWaiting`.
    var waitReplacements: [(index: Int, bytes: [UInt8])] = []
    /// The same of a command that runs again.
    var recalled: [(index: Int, bytes: [UInt8])] = []
    /// Who drives this context and keeps it; set once.
    package unowned(unsafe) var driver: AnyObject?
    /// A reply may be given as a stream: this is a command by itself, on a thread that may wait.
    package var mayStream = false
    /// What follows the reply that the command has written.
    var replyStream: ReplyStream?
    /// Each with how many events of keys came before it.
    private var publications: [(publication: Publication, events: Int)] = []
    /// Where replies go before the first `prepare`.
    private let placeholder: UnsafeMutablePointer<ByteBuffer>
    private let noArguments: UnsafeMutablePointer<ByteView>

    /// `keys` belongs to this context alone. `seed` is for RANDOMKEY.
    package init(keys: KeyAccess, seed: UInt64 = Monotonic.nanoseconds()) {
        self.keys = keys
        generator = SeededRandom(seed: seed)
        placeholder = .allocate(capacity: 1)
        placeholder.initialize(to: ByteBuffer())
        noArguments = .allocate(capacity: 1)
        noArguments.initialize(to: .empty)
        state = .allocate(capacity: 1)
        state.initialize(
            to: CommandState(
                args: ArgumentList(views: noArguments, count: 0), reply: ReplyWriter(out: placeholder),
                errorReplies: 0, errorCode: .err, stringBytesMax: 512 << 20,
                hyperLogLogSparseMax: 3000))
    }

    deinit {
        state.deallocate()
        placeholder.deinitialize(count: 1)
        placeholder.deallocate()
        noArguments.deallocate()
    }

    // MARK: Life of a transaction

    /// Begins a transaction. `now` is in milliseconds since 1970 and stays for all of it.
    package func start(now: UInt64) {
        state.pointee.errorReplies = 0
        keys.start(now: now)
    }

    /// Sets the next command of the transaction. `database` is the session's and in range.
    package func prepare(args: ArgumentList, reply: ReplyWriter, database: Int) {
        state.pointee.args = args
        state.pointee.reply = reply
        keys.select(database)
    }

    /// The transaction threw: nothing of it has happened.
    package func abandon() {
        if hasPublications {
            publications.removeAll()
            commitAction = nil
        }
        replyStream = nil
        keys.abandon()
    }

    /// What follows the reply, if anything does. The context forgets it.
    package func takeReplyStream() -> ReplyStream? {
        defer { replyStream = nil }
        return replyStream
    }

    /// The transaction's batch is committed, or it had none.
    package func finished() { keys.finished() }

    package var effects: CommandEffects {
        var effects = CommandEffects()
        let access = keys.state.pointee
        effects.dirty = access.dirty
        effects.keyspaceHits = access.hits
        effects.keyspaceMisses = access.misses
        effects.position = access.position
        effects.dependency = keys.reader.dependency
        effects.errorReplies = state.pointee.errorReplies
        effects.errorCode = state.pointee.errorCode
        return effects
    }

    // MARK: Publications

    /// Is sent when the transaction is committed.
    package func publish(_ publication: Publication) {
        publications.append((publication, keys.eventCount))
        keys.state.pointee.hasOutgoing = true
    }

    /// An event of a key of the selected database, or of `database`: sent when the transaction is committed, if
    /// somebody asked for its kind.
    @inline(__always)  // One test where nobody asked for any.
    func notify(_ event: @autoclosure () -> KeyEvent, _ key: ByteView, in database: Int? = nil) {
        if state.pointee.eventKinds.isEmpty { return }
        keys.notify(event(), key, in: database)
    }

    /// What a blind write must know of a key: nothing, unless an event depends on it.
    @inline(__always)
    func prior(_ key: ByteView) throws(Interruption) -> KeyState {
        if state.pointee.eventKinds.isDisjoint(with: [.new, .expired]) { return .unknown }
        return try keys.look(key)
    }

    package var hasPublications: Bool { keys.state.pointee.hasOutgoing }

    /// What the transaction has published, and what happened to keys, in order; for the dispatcher, after the commit.
    package func takePublications() -> [Publication] {
        var all: [Publication] = []
        var sent = publications.startIndex
        for (i, record) in keys.takeEvents().enumerated() {
            while sent < publications.endIndex && publications[sent].events <= i {
                all.append(publications[sent].publication)
                sent += 1
            }
            record.publish(eventKinds, to: &all)
        }
        all.append(contentsOf: publications[sent...].map(\.publication))
        publications.removeAll()
        return all
    }

    // MARK: Changes outside of the keys

    /// Is done once the transaction is committed, while its stripes are held; nil while there is none.
    package private(set) var commitAction: (any CommitAction)?

    package func whenCommitted(_ action: any CommitAction) {
        commitAction = action
        keys.state.pointee.hasOutgoing = true
    }

    /// For the dispatcher, after the commit.
    package func takeCommitAction() -> (any CommitAction)? {
        defer { commitAction = nil }
        return commitAction
    }

    // MARK: The running command

    /// Arguments, the command's name first (for a subcommand the container's name, then its own).
    @inlinable
    package var args: ArgumentList { state.pointee.args }

    @inlinable
    package var reply: ReplyWriter { state.pointee.reply }

    package var now: UInt64 { keys.state.pointee.now }

    package var reader: StoreReader { keys.reader }
    package var batch: WriteBatch { keys.batch }
    package var keyspace: Keyspace { keys.keyspace }

    /// The session's database. MULTI may change it between two commands.
    package var database: Int { keys.state.pointee.database }

    package var stringBytesMax: Int {
        get { state.pointee.stringBytesMax }
        set { state.pointee.stringBytesMax = newValue }
    }

    package var hyperLogLogSparseMax: Int {
        get { state.pointee.hyperLogLogSparseMax }
        set { state.pointee.hyperLogLogSparseMax = newValue }
    }

    package var encodings: EncodingLimits {
        get { state.pointee.encodings }
        set { state.pointee.encodings = newValue }
    }

    package var mayReadEveryKey: Bool {
        get { state.pointee.mayReadEveryKey }
        set { state.pointee.mayReadEveryKey = newValue }
    }

    package var runsForScript: Bool {
        get { state.pointee.runsForScript }
        set { state.pointee.runsForScript = newValue }
    }

    package var compressesDumps: Bool {
        get { state.pointee.compressesDumps }
        set { state.pointee.compressesDumps = newValue }
    }

    /// Kinds of events of keys that are collected.
    package var eventKinds: KeyEventKinds {
        get { state.pointee.eventKinds }
        set {
            state.pointee.eventKinds = newValue
            keys.state.pointee.eventKinds = newValue
        }
    }

    // MARK: Errors

    /// Replies with an error; `text` is what follows '-', its code first.
    @inline(never)
    package func fail(_ text: StaticString) {
        reply.error(text)
        count(ErrorCode(of: ByteView(text)))
    }

    @inline(never)
    package func fail(_ text: String) {
        reply.error(text)
        var text = text
        text.withUTF8 { count(ErrorCode(of: ByteView(UnsafeRawBufferPointer($0)))) }
    }

    @inline(never)
    package func failSyntax() { fail(ErrorText.syntax) }

    /// As Redis words it, with the command's (or "container|sub") name.
    @inline(never)
    package func failArity(_ fullName: String) { fail("ERR wrong number of arguments for '\(fullName)' command") }

    @inline(never)
    package func failExpireTime(_ command: String) { fail("ERR invalid expire time in '\(command)' command") }

    /// The error replies so far and the code of the last one, which are forgotten.
    package func takeErrors() -> (count: Int, code: ErrorCode) {
        defer { state.pointee.errorReplies = 0 }
        return (state.pointee.errorReplies, state.pointee.errorCode)
    }

    /// Gives back what `takeErrors` has taken.
    package func putBack(_ errors: (count: Int, code: ErrorCode)) {
        state.pointee.errorReplies = errors.count
        state.pointee.errorCode = errors.code
    }

    package func fail(bytes: [UInt8]) {
        bytes.withView {
            reply.error(bytes: $0)
            count(ErrorCode(of: $0))
        }
    }

    /// Counts an error reply that was written by other means.
    package func count(_ code: ErrorCode) {
        state.pointee.errorReplies += 1
        state.pointee.errorCode = code
    }
}
