// MULTI, DISCARD, WATCH, UNWATCH, and EXEC's place in the table (the executor runs it itself).

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

enum TransactionCommands {
    static func register(_ hosted: inout HostedCommands) -> [CommandSpec] {
        [
            hosted.add(
                CommandSpec(
                    "multi", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
                    categories: [.fast, .transaction], since: "1.2.0", group: "transactions",
                    summary: "Begins a transaction: the commands that follow are queued until EXEC.",
                    complexity: "O(1)")
            ) { connection, context throws(Interruption) in
                if connection.inTransaction { return context.fail("ERR MULTI calls can not be nested") }
                connection.set(.multi, true)
                context.reply.ok()
            },
            hosted.add(
                CommandSpec(
                    "exec", arity: 1, flags: [.noscript, .loading, .stale, .skipSlowlog],
                    categories: [.slow, .transaction], since: "1.2.0", group: "transactions",
                    summary: "Runs the queued commands as one, unless a watched key has changed.",
                    complexity: "Depends on commands in the transaction")
            ) { _, _ throws(Interruption) in
                preconditionFailure("EXEC is run by the executor")
            },
            hosted.add(
                CommandSpec(
                    "discard", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
                    categories: [.fast, .transaction], since: "2.0.0", group: "transactions",
                    summary: "Forgets the queued commands and the watched keys.",
                    complexity: "O(N), when N is the number of queued commands")
            ) { connection, context throws(Interruption) in
                guard connection.inTransaction else { return context.fail("ERR DISCARD without MULTI") }
                connection.discardTransaction()
                context.reply.ok()
            },
            hosted.add(
                CommandSpec(
                    "watch", arity: -2, flags: [.noscript, .loading, .stale, .fast, .allowBusy, .seesWholeWrites],
                    keys: [.at(1, [.ro], last: -1)], categories: [.fast, .transaction], since: "2.2.0",
                    group: "transactions", summary: "Makes the next EXEC depend on these keys staying as they are.",
                    complexity: "O(1) for every key.",
                    arguments: [ArgumentSpec("key", .key, [.multiple], key: 0)])
            ) { connection, context throws(Interruption) in
                if connection.inTransaction { return context.fail("ERR WATCH inside MULTI is not allowed") }
                try watch(connection, context)
            },
            hosted.add(
                CommandSpec(
                    "unwatch", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
                    categories: [.fast, .transaction], since: "2.2.0", group: "transactions",
                    summary: "Forgets the watched keys.", complexity: "O(1)")
            ) { connection, context throws(Interruption) in
                connection.transaction?.unwatchAll()
                connection.set(.watching, false)
                context.reply.ok()
            },
        ]
    }

    /// Looks all keys up before it remembers any: an attempt that cannot finish leaves nothing behind.
    private static func watch(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        let transaction = connection.transaction ?? Transaction(connection.server.watches)
        let database = connection.database
        for attempt in 0..<2 {
            for i in 1..<context.args.count where !transaction.isWatching(database, context.args[i]) {
                let expireAt = try context.keys.find(context.args[i])?.pointee.expireAt ?? 0
                if attempt == 1 { transaction.watch(database, context.args[i], expireAt: expireAt) }
            }
        }
        connection.transaction = transaction
        connection.set(.watching, true)
        context.reply.ok()
    }

    /// Commands that MULTI does not queue.
    static let unqueued = ["multi", "exec", "discard", "watch", "quit", "reset"]
}
