// Facts about sessions and transactions: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var connectionSpecs: [CommandSpec] {
        [
            ping,
            echo,
            hello,
            auth,
            select,
            quit,
            reset,
            multi,
            exec,
            discard,
            watch,
            unwatch,
        ]
    }

    private static var ping: CommandSpec {
        CommandSpec(
            "ping", arity: -1, flags: [.fast],
            categories: [.fast, .connection], since: "1.0.0", group: "connection",
            summary: "Answers PONG, or the given message.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("message", .string, .optional)
            ],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var echo: CommandSpec {
        CommandSpec(
            "echo", arity: 2, flags: [.loading, .stale, .fast],
            categories: [.fast, .connection], since: "1.0.0", group: "connection",
            summary: "Answers the given message.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("message", .string)
            ])
    }

    private static var hello: CommandSpec {
        CommandSpec(
            "hello", arity: -1, flags: [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            categories: [.fast, .connection], since: "6.0.0", group: "connection",
            summary: "Agrees on a protocol version; logs in and names the connection if wanted.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "arguments", .block, .optional,
                    of: [
                        ArgumentSpec("protover", .integer),
                        ArgumentSpec(
                            "username_password", .block, .optional, token: "AUTH",
                            of: [
                                ArgumentSpec("username", .string),
                                ArgumentSpec("password", .string),
                            ]),
                        ArgumentSpec("clientname", .string, .optional, token: "SETNAME"),
                    ])
            ],
            history: [("6.2.0", "The version may be left out.")])
    }

    private static var auth: CommandSpec {
        CommandSpec(
            "auth", arity: -2, flags: [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            categories: [.fast, .connection], since: "1.0.0", group: "connection",
            summary: "Logs in with a password.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("username", .string, .optional, since: "6.0.0"),
                ArgumentSpec("password", .string),
            ],
            history: [("6.0.0", "User names.")])
    }

    private static var select: CommandSpec {
        CommandSpec(
            "select", arity: 2, flags: [.loading, .stale, .fast],
            categories: [.fast, .connection], since: "1.0.0", group: "connection",
            summary: "Chooses the database of this connection.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("index", .integer)
            ])
    }

    private static var quit: CommandSpec {
        CommandSpec(
            "quit", arity: -1, flags: [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            categories: [.fast, .connection], since: "1.0.0", group: "connection",
            summary: "Ends the connection.", complexity: "O(1)")
    }

    private static var reset: CommandSpec {
        CommandSpec(
            "reset", arity: 1, flags: [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            categories: [.fast, .connection], since: "6.2.0", group: "connection",
            summary: "Brings the connection back to how it began.", complexity: "O(1)")
    }

    private static var multi: CommandSpec {
        CommandSpec(
            "multi", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
            categories: [.fast, .transaction], since: "1.2.0", group: "transactions",
            summary: "Begins a transaction: the commands that follow are queued.", complexity: "O(1)")
    }

    private static var exec: CommandSpec {
        CommandSpec(
            "exec", arity: 1, flags: [.noscript, .loading, .stale, .skipSlowlog],
            categories: [.slow, .transaction], since: "1.2.0", group: "transactions",
            summary: "Runs the queued commands as one step.", complexity: "Depends on the queued commands")
    }

    private static var discard: CommandSpec {
        CommandSpec(
            "discard", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
            categories: [.fast, .transaction], since: "2.0.0", group: "transactions",
            summary: "Forgets the queued commands.", complexity: "O(N), N queued commands")
    }

    private static var watch: CommandSpec {
        CommandSpec(
            "watch", arity: -2, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
            keys: [.at(1, [.ro], last: -1)],
            categories: [.fast, .transaction], since: "2.2.0", group: "transactions",
            summary: "Lets EXEC fail if one of the keys changes before it.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ])
    }

    private static var unwatch: CommandSpec {
        CommandSpec(
            "unwatch", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy],
            categories: [.fast, .transaction], since: "2.2.0", group: "transactions",
            summary: "Forgets the watched keys.", complexity: "O(1)")
    }
}
