// Facts about CLIENT: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var clientSpecs: [CommandSpec] {
        [
            client
        ]
    }

    private static var client: CommandSpec {
        CommandSpec(
            "client", arity: -2,
            categories: [.slow], since: "2.4.0", group: "connection",
            summary: "Groups the commands about connections.", complexity: "Depends on the subcommand",
            subcommands: [
                clientCaching,
                clientGetname,
                clientGetredir,
                clientHelp,
                clientId,
                clientInfo,
                clientKill,
                clientList,
                clientNoEvict,
                clientPause,
                clientReply,
                clientSetname,
                clientTracking,
                clientTrackinginfo,
                clientUnblock,
                clientUnpause,
                clientSetinfo,
                clientNoTouch,
            ])
    }

    private static var clientCaching: CommandSpec {
        CommandSpec(
            "caching", arity: 3, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "6.0.0", group: "connection",
            summary: "Says whether the next command's keys are tracked.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "mode", .oneof,
                    of: [
                        ArgumentSpec("yes", .pureToken, token: "YES"),
                        ArgumentSpec("no", .pureToken, token: "NO"),
                    ])
            ])
    }

    private static var clientGetname: CommandSpec {
        CommandSpec(
            "getname", arity: 2, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "2.6.9", group: "connection",
            summary: "Tells the name of this connection.", complexity: "O(1)")
    }

    private static var clientGetredir: CommandSpec {
        CommandSpec(
            "getredir", arity: 2, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "6.0.0", group: "connection",
            summary: "Tells which connection gets this one's tracking messages.", complexity: "O(1)")
    }

    private static var clientHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "5.0.0", group: "connection",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var clientId: CommandSpec {
        CommandSpec(
            "id", arity: 2, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "5.0.0", group: "connection",
            summary: "Tells the number of this connection.", complexity: "O(1)")
    }

    private static var clientInfo: CommandSpec {
        CommandSpec(
            "info", arity: 2, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "6.2.0", group: "connection",
            summary: "Describes this connection.", complexity: "O(1)",
            tips: ["nondeterministic_output"])
    }

    private static var clientKill: CommandSpec {
        CommandSpec(
            "kill", arity: -3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous, .connection], since: "2.4.0", group: "connection",
            summary: "Ends connections that match the filters.", complexity: "O(N), N connections",
            arguments: [
                ArgumentSpec(
                    "filter", .oneof,
                    of: [
                        ArgumentSpec("ip:port", .string, deprecated: "2.8.12"),
                        ArgumentSpec(
                            "new-format", .oneof, .multiple,
                            of: [
                                ArgumentSpec("client-id", .integer, .optional, token: "ID", since: "2.8.12"),
                                ArgumentSpec(
                                    "normal_master_slave_pubsub", .oneof, .optional,
                                    token: "TYPE", since: "2.8.12",
                                    of: [
                                        ArgumentSpec("normal", .pureToken, token: "NORMAL"),
                                        ArgumentSpec("master", .pureToken, token: "MASTER", since: "3.2.0"),
                                        ArgumentSpec("slave", .pureToken, token: "SLAVE"),
                                        ArgumentSpec("replica", .pureToken, token: "REPLICA", since: "5.0.0"),
                                        ArgumentSpec("pubsub", .pureToken, token: "PUBSUB"),
                                    ]),
                                ArgumentSpec("username", .string, .optional, token: "USER"),
                                ArgumentSpec("ip:port", .string, .optional, token: "ADDR"),
                                ArgumentSpec("ip:port", .string, .optional, token: "LADDR", since: "6.2.0"),
                                ArgumentSpec("yes/no", .string, .optional, token: "SKIPME"),
                            ]),
                    ])
            ],
            history: [
                ("2.8.12", "Filters."),
                ("2.8.12", "The filter ID."),
                ("3.2.0", "TYPE master."),
                ("5.0.0", "TYPE replica."),
                ("6.2.0", "The filter LADDR."),
            ])
    }

    private static var clientList: CommandSpec {
        CommandSpec(
            "list", arity: -2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous, .connection], since: "2.4.0", group: "connection",
            summary: "Describes the connections.", complexity: "O(N), N connections",
            arguments: [
                ArgumentSpec(
                    "normal_master_replica_pubsub", .oneof, .optional, token: "TYPE", since: "5.0.0",
                    of: [
                        ArgumentSpec("normal", .pureToken, token: "NORMAL"),
                        ArgumentSpec("master", .pureToken, token: "MASTER"),
                        ArgumentSpec("replica", .pureToken, token: "REPLICA"),
                        ArgumentSpec("pubsub", .pureToken, token: "PUBSUB"),
                    ]),
                ArgumentSpec(
                    "id", .block, .optional, token: "ID", since: "6.2.0",
                    of: [
                        ArgumentSpec("client-id", .integer, .multiple)
                    ]),
            ],
            history: [
                ("2.8.12", "The field id."),
                ("5.0.0", "The filter TYPE."),
                ("6.0.0", "The field user."),
                ("6.2.0", "argv-mem, tot-mem, laddr, redir; the filter ID."),
                ("7.0.0", "resp, multi-mem, rbs, rbp."),
                ("7.0.3", "ssub."),
            ],
            tips: ["nondeterministic_output"])
    }

    private static var clientNoEvict: CommandSpec {
        CommandSpec(
            "no-evict", arity: 3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous, .connection], since: "7.0.0", group: "connection",
            summary: "Says whether this connection may be dropped to save memory.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "enabled", .oneof,
                    of: [
                        ArgumentSpec("on", .pureToken, token: "ON"),
                        ArgumentSpec("off", .pureToken, token: "OFF"),
                    ])
            ])
    }

    private static var clientPause: CommandSpec {
        CommandSpec(
            "pause", arity: -3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous, .connection], since: "2.9.50", group: "connection",
            summary: "Holds the commands of all connections for a while.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("timeout", .integer),
                ArgumentSpec(
                    "mode", .oneof, .optional, since: "6.2.0",
                    of: [
                        ArgumentSpec("write", .pureToken, token: "WRITE"),
                        ArgumentSpec("all", .pureToken, token: "ALL"),
                    ]),
            ],
            history: [("6.2.0", "Modes ALL and WRITE.")])
    }

    private static var clientReply: CommandSpec {
        CommandSpec(
            "reply", arity: 3, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "3.2.0", group: "connection",
            summary: "Turns the replies of this connection on or off.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "on_off_skip", .oneof,
                    of: [
                        ArgumentSpec("on", .pureToken, token: "ON"),
                        ArgumentSpec("off", .pureToken, token: "OFF"),
                        ArgumentSpec("skip", .pureToken, token: "SKIP"),
                    ])
            ])
    }

    private static var clientSetname: CommandSpec {
        CommandSpec(
            "setname", arity: 3, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "2.6.9", group: "connection",
            summary: "Names this connection.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("connection-name", .string)
            ])
    }

    private static var clientTracking: CommandSpec {
        CommandSpec(
            "tracking", arity: -3, flags: [.noscript, .loading, .stale, .allKeys, .seesWholeWrites],
            categories: [.slow, .connection], since: "6.0.0", group: "connection",
            summary: "Turns tracking of read keys on or off.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "status", .oneof,
                    of: [
                        ArgumentSpec("on", .pureToken, token: "ON"),
                        ArgumentSpec("off", .pureToken, token: "OFF"),
                    ]),
                ArgumentSpec("client-id", .integer, .optional, token: "REDIRECT"),
                ArgumentSpec("prefix", .string, [.optional, .multiple, .multipleToken], token: "PREFIX"),
                ArgumentSpec("bcast", .pureToken, .optional, token: "BCAST"),
                ArgumentSpec("optin", .pureToken, .optional, token: "OPTIN"),
                ArgumentSpec("optout", .pureToken, .optional, token: "OPTOUT"),
                ArgumentSpec("noloop", .pureToken, .optional, token: "NOLOOP"),
            ])
    }

    private static var clientTrackinginfo: CommandSpec {
        CommandSpec(
            "trackinginfo", arity: 2, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "6.2.0", group: "connection",
            summary: "Describes the tracking of this connection.", complexity: "O(1)")
    }

    private static var clientUnblock: CommandSpec {
        CommandSpec(
            "unblock", arity: -3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous, .connection], since: "5.0.0", group: "connection",
            summary: "Wakes a connection that waits in a blocking command.", complexity: "O(log N), N connections",
            arguments: [
                ArgumentSpec("client-id", .integer),
                ArgumentSpec(
                    "timeout_error", .oneof, .optional,
                    of: [
                        ArgumentSpec("timeout", .pureToken, token: "TIMEOUT"),
                        ArgumentSpec("error", .pureToken, token: "ERROR"),
                    ]),
            ])
    }

    private static var clientUnpause: CommandSpec {
        CommandSpec(
            "unpause", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous, .connection], since: "6.2.0", group: "connection",
            summary: "Lets held connections go on.", complexity: "O(N), N held connections")
    }

    /// Since 7.2; clients send it on every connection.
    private static var clientSetinfo: CommandSpec {
        CommandSpec(
            "setinfo", arity: 4, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "7.2.0", group: "connection",
            summary: "Tells the name or the version of the client's library.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "attr", .oneof,
                    of: [
                        ArgumentSpec("libname", .string, token: "LIB-NAME"),
                        ArgumentSpec("libver", .string, token: "LIB-VER"),
                    ])
            ])
    }

    /// Since 7.2.
    private static var clientNoTouch: CommandSpec {
        CommandSpec(
            "no-touch", arity: 3, flags: [.noscript, .loading, .stale],
            categories: [.slow, .connection], since: "7.2.0", group: "connection",
            summary: "Says whether this connection's commands mark keys as used.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "enabled", .oneof,
                    of: [
                        ArgumentSpec("on", .pureToken, token: "ON"),
                        ArgumentSpec("off", .pureToken, token: "OFF"),
                    ])
            ])
    }
}
