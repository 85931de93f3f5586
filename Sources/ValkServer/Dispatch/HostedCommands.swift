// Commands that need the server itself: sessions, settings, INFO, transactions.
//
// They are specs like all others, with `.hosted(id)` as their action; the id is an index into this registry. A family
// registers its handlers when the server is put together and gives its specs to the command table:
//
//     hosted.add(spec("ping", …)) { connection, context throws(Interruption) in … }
//
// A hosted handler runs on the connection's loop, under the same rules as a data handler: it may be abandoned at a
// throw of `.wouldBlock` and is then run again on a worker (`context.reader.mayBlock` is true there), while the
// connection executes nothing else. So: first do what may throw, then change the session. On a worker a handler must
// not touch the connection's socket or buffers; everything in `Session/Session.swift` is allowed.

import ValkCommands
import ValkEngine

extension CommandContext {
    /// Who runs the command.
    var executor: Executor {
        guard let driver else { preconditionFailure("a context that no executor drives") }
        // SAFETY: only executors make contexts in the server, and each is its context's driver.
        return unsafeDowncast(driver, to: Executor.self)
    }
}

package typealias HostedHandler = @Sendable (Connection, CommandContext) throws(Interruption) -> Void

package struct HostedCommands {
    /// A struct around the function: an array of bare functions wraps one anew on the heap at each load.
    package struct Entry: Sendable {
        let run: HostedHandler
    }

    package private(set) var handlers: [Entry] = []

    package init() {}

    /// Registers a handler and returns the action to put into its spec.
    package mutating func add(_ handler: @escaping HostedHandler) -> Action {
        handlers.append(Entry(run: handler))
        return .hosted(handlers.count - 1)
    }

    /// Registers a handler and returns `spec` with it attached.
    package mutating func add(_ spec: CommandSpec, _ handler: @escaping HostedHandler) -> CommandSpec {
        var spec = spec
        spec.action = add(handler)
        return spec
    }
}
