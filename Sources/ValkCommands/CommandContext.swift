// Everything a running command may touch: its arguments, where its reply goes, the reader and the batch, the keyspace,
// and the effects that the dispatcher collects afterwards.
//
// One per loop and per worker, used by one thread at a time; reused from command to command, so that nothing is
// allocated. Plain state lives behind a pointer: reads and writes of it cost no exclusivity check and no retain.
//
// Life of a command, as the dispatcher drives it:
//   1. `begin(args:reply:database:now:)`, `reader.begin()`;
//   2. the handler;
//   3a. it threw: truncate the reply, `abandon()` (clears batch and effects), run again elsewhere or answer the fault;
//   3b. it returned: commit the batch; then `finished()` (publishes what became true, frees scratch); take `effects`.
// In EXEC, 1 and 2 repeat for each queued command over one growing batch, and 3 happens once.

import ValkBase
import ValkRESP

/// What a command did beside its reply. Zeroed by `CommandContext.begin(…)` of a new transaction.
package struct CommandEffects {
    /// Changes of the data set, as Redis counts them (`rdb_changes_since_last_save`).
    package var dirty: Int = 0
    package var keyspaceHits: Int = 0
    package var keyspaceMisses: Int = 0
    /// Error replies written, and the code of the last one.
    package var errorReplies: Int = 0
    package var errorCode: ErrorCode = .err

    @inlinable
    package init() {}
}

package struct CommandState {
    package var args: ArgumentList
    package var reply: ReplyWriter
    /// Milliseconds since 1970; one value for a whole command or EXEC.
    package var now: UInt64
    /// The session's selected database.
    package var database: Int
    package var effects: CommandEffects
    /// Largest string a command may build (`proto-max-bulk-len`).
    package var stringBytesMax: Int
}

package final class CommandContext {
    @usableFromInline let state: UnsafeMutablePointer<CommandState>

    package init() {
        state = .allocate(capacity: 1)
        let none = UnsafeMutablePointer<ByteBuffer>.allocate(capacity: 1)
        none.initialize(to: ByteBuffer())
        placeholder = none
        state.initialize(
            to: CommandState(
                args: ArgumentList(views: emptyArguments, count: 0), reply: ReplyWriter(out: none), now: 0,
                database: 0, effects: CommandEffects(), stringBytesMax: 512 << 20))
    }

    /// Where replies go before the first `begin`.
    private let placeholder: UnsafeMutablePointer<ByteBuffer>

    deinit {
        state.deallocate()
        placeholder.deinitialize(count: 1)
        placeholder.deallocate()
    }

    // MARK: The running command

    /// Arguments, the command's name first (for a subcommand the container's name, then its own).
    @inlinable
    package var args: ArgumentList {
        get { state.pointee.args }
        set { state.pointee.args = newValue }
    }

    @inlinable
    package var reply: ReplyWriter {
        get { state.pointee.reply }
        set { state.pointee.reply = newValue }
    }

    @inlinable
    package var now: UInt64 {
        get { state.pointee.now }
        set { state.pointee.now = newValue }
    }

    @inlinable
    package var effects: CommandEffects {
        get { state.pointee.effects }
        set { state.pointee.effects = newValue }
    }

    @inlinable
    package var database: Int { state.pointee.database }

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

    private func count(_ code: ErrorCode) {
        state.pointee.effects.errorReplies += 1
        state.pointee.effects.errorCode = code
    }
}

/// What an argument list without arguments points at.
private nonisolated(unsafe) let emptyArguments: UnsafePointer<ByteView> = {
    let view = UnsafeMutablePointer<ByteView>.allocate(capacity: 1)
    view.initialize(to: .empty)
    return UnsafePointer(view)
}()
