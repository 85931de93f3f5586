// Facts about the administration commands: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var serverSpecs: [CommandSpec] {
        [
            info,
            config,
            command,
            time,
            shutdown,
            slowlog,
            lastsave,
            save,
            bgsave,
            bgrewriteaof,
            debug,
            monitor,
            lolwut,
            role,
            wait,
        ]
    }

    private static var info: CommandSpec {
        CommandSpec(
            "info", arity: -1, flags: [.loading, .stale, .lengthy],
            categories: [.slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Reports the state and the counters of the server.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("section", .string, [.optional, .multiple])
            ],
            history: [("7.0.0", "Several sections.")],
            tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
    }

    private static var config: CommandSpec {
        CommandSpec(
            "config", arity: -2,
            categories: [.slow], since: "2.0.0", group: "server",
            summary: "Groups the commands about settings.", complexity: "Depends on the subcommand",
            subcommands: [configGet, configHelp, configResetstat, configRewrite, configSet])
    }

    private static var configGet: CommandSpec {
        CommandSpec(
            "get", arity: -3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.0.0", group: "server",
            summary: "Reads the settings that match the patterns.", complexity: "O(N), N settings",
            arguments: [
                ArgumentSpec(
                    "parameter", .block, .multiple,
                    of: [
                        ArgumentSpec("parameter", .string)
                    ])
            ],
            history: [("7.0.0", "Several patterns.")])
    }

    private static var configHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "5.0.0", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var configResetstat: CommandSpec {
        CommandSpec(
            "resetstat", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.0.0", group: "server",
            summary: "Sets the counters of INFO to zero.", complexity: "O(1)")
    }

    private static var configRewrite: CommandSpec {
        CommandSpec(
            "rewrite", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.8.0", group: "server",
            summary: "Writes the settings in force into the configuration file.", complexity: "O(1)")
    }

    private static var configSet: CommandSpec {
        CommandSpec(
            "set", arity: -4, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.0.0", group: "server",
            summary: "Changes settings while the server runs, all of them or none.", complexity: "O(N), N settings",
            arguments: [
                ArgumentSpec(
                    "parameter_value", .block, .multiple,
                    of: [
                        ArgumentSpec("parameter", .string),
                        ArgumentSpec("value", .string),
                    ])
            ],
            history: [("7.0.0", "Several settings.")],
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"])
    }

    private static var command: CommandSpec {
        CommandSpec(
            "command", arity: -1, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "2.8.13", group: "server",
            summary: "Describes all commands; groups the commands about commands.", complexity: "O(N), N commands",
            tips: ["nondeterministic_output_order"],
            subcommands: [
                commandCount,
                commandDocs,
                commandGetkeys,
                commandGetkeysandflags,
                commandHelp,
                commandInfo,
                commandList,
            ])
    }

    private static var commandCount: CommandSpec {
        CommandSpec(
            "count", arity: 2, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "2.8.13", group: "server",
            summary: "Counts the commands.", complexity: "O(1)")
    }

    private static var commandDocs: CommandSpec {
        CommandSpec(
            "docs", arity: -2, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "7.0.0", group: "server",
            summary: "Documents commands: what they do, since when, with which arguments.",
            complexity: "O(N), N commands",
            arguments: [
                ArgumentSpec("command-name", .string, [.optional, .multiple])
            ],
            tips: ["nondeterministic_output_order"])
    }

    private static var commandGetkeys: CommandSpec {
        CommandSpec(
            "getkeys", arity: -4, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "2.8.13", group: "server",
            summary: "Finds the keys in a whole command.", complexity: "O(N), N arguments")
    }

    private static var commandGetkeysandflags: CommandSpec {
        CommandSpec(
            "getkeysandflags", arity: -4, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "7.0.0", group: "server",
            summary: "Finds the keys in a whole command and what is done with them.", complexity: "O(N), N arguments")
    }

    private static var commandHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "5.0.0", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var commandInfo: CommandSpec {
        CommandSpec(
            "info", arity: -2, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "2.8.13", group: "server",
            summary: "Describes commands: arity, flags, keys, categories.", complexity: "O(N), N commands",
            arguments: [
                ArgumentSpec("command-name", .string, [.optional, .multiple])
            ],
            history: [("7.0.0", "No names mean all.")],
            tips: ["nondeterministic_output_order"])
    }

    private static var commandList: CommandSpec {
        CommandSpec(
            "list", arity: -2, flags: [.loading, .stale],
            categories: [.slow, .connection], since: "7.0.0", group: "server",
            summary: "Lists the names of the commands.", complexity: "O(N), N commands",
            arguments: [
                ArgumentSpec(
                    "filterby", .oneof, .optional, token: "FILTERBY",
                    of: [
                        ArgumentSpec("module-name", .string, token: "MODULE"),
                        ArgumentSpec("category", .string, token: "ACLCAT"),
                        ArgumentSpec("pattern", .pattern, token: "PATTERN"),
                    ])
            ],
            tips: ["nondeterministic_output_order"])
    }

    private static var time: CommandSpec {
        CommandSpec(
            "time", arity: 1, flags: [.loading, .stale, .fast],
            categories: [.fast], since: "2.6.0", group: "server",
            summary: "Tells the server's time in seconds and microseconds.", complexity: "O(1)",
            tips: ["nondeterministic_output"])
    }

    private static var shutdown: CommandSpec {
        CommandSpec(
            "shutdown", arity: -1, flags: [.admin, .noscript, .loading, .stale, .noMulti, .allowBusy],
            categories: [.admin, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Makes everything durable and ends the server.", complexity: "O(N), N bytes not yet synced",
            arguments: [
                ArgumentSpec(
                    "nosave_save", .oneof, .optional,
                    of: [
                        ArgumentSpec("nosave", .pureToken, token: "NOSAVE"),
                        ArgumentSpec("save", .pureToken, token: "SAVE"),
                    ]),
                ArgumentSpec("now", .pureToken, .optional, token: "NOW", since: "7.0.0"),
                ArgumentSpec("force", .pureToken, .optional, token: "FORCE", since: "7.0.0"),
                ArgumentSpec("abort", .pureToken, .optional, token: "ABORT", since: "7.0.0"),
            ],
            history: [("7.0.0", "NOW, FORCE, ABORT.")])
    }

    private static var slowlog: CommandSpec {
        CommandSpec(
            "slowlog", arity: -2,
            categories: [.slow], since: "2.2.12", group: "server",
            summary: "Groups the commands about the log of slow commands.", complexity: "Depends on the subcommand",
            subcommands: [slowlogGet, slowlogHelp, slowlogLen, slowlogReset])
    }

    private static var slowlogGet: CommandSpec {
        CommandSpec(
            "get", arity: -2, flags: [.admin, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.2.12", group: "server",
            summary: "Reads entries of the slow log, newest first.", complexity: "O(N), N entries",
            arguments: [
                ArgumentSpec("count", .integer, .optional)
            ],
            history: [("4.0.0", "Address and name of the client.")],
            tips: ["request_policy:all_nodes", "nondeterministic_output"])
    }

    private static var slowlogHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "6.2.0", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var slowlogLen: CommandSpec {
        CommandSpec(
            "len", arity: 2, flags: [.admin, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.2.12", group: "server",
            summary: "Counts the entries of the slow log.", complexity: "O(1)",
            tips: ["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
    }

    private static var slowlogReset: CommandSpec {
        CommandSpec(
            "reset", arity: 2, flags: [.admin, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.2.12", group: "server",
            summary: "Empties the slow log.", complexity: "O(N), N entries",
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"])
    }

    private static var lastsave: CommandSpec {
        CommandSpec(
            "lastsave", arity: 1, flags: [.loading, .stale, .fast],
            categories: [.admin, .fast, .dangerous], since: "1.0.0", group: "server",
            summary: "Tells the Unix time of the last successful save.", complexity: "O(1)",
            tips: ["nondeterministic_output"])
    }

    private static var save: CommandSpec {
        CommandSpec(
            "save", arity: 1, flags: [.admin, .noscript, .noAsyncLoading, .noMulti, .lengthy],
            categories: [.admin, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Makes everything durable and waits for it.", complexity: "O(N), N bytes not yet synced")
    }

    private static var bgsave: CommandSpec {
        CommandSpec(
            "bgsave", arity: -1, flags: [.admin, .noscript, .noAsyncLoading],
            categories: [.admin, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Makes everything durable in the background.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("schedule", .pureToken, .optional, token: "SCHEDULE", since: "3.2.2")
            ],
            history: [("3.2.2", "SCHEDULE.")])
    }

    private static var bgrewriteaof: CommandSpec {
        CommandSpec(
            "bgrewriteaof", arity: 1, flags: [.admin, .noscript, .noAsyncLoading],
            categories: [.admin, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Compacts what is stored in the background.", complexity: "O(1)")
    }

    private static var debug: CommandSpec {
        CommandSpec(
            "debug", arity: -2, flags: [.admin, .noscript, .loading, .stale, .protected, .lengthy],
            categories: [.admin, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Groups the commands for tests and fault finding.", complexity: "Depends on the subcommand",
            docFlags: ["syscmd"])
    }

    private static var monitor: CommandSpec {
        CommandSpec(
            "monitor", arity: 1, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Shows every command that the server runs, as it runs.", complexity: "")
    }

    private static var lolwut: CommandSpec {
        CommandSpec(
            "lolwut", arity: -1, flags: [.readonly, .fast],
            categories: [.read, .fast], since: "5.0.0", group: "server",
            summary: "Draws something and tells the version.", complexity: "",
            arguments: [
                ArgumentSpec("version", .integer, .optional, token: "VERSION")
            ])
    }

    private static var role: CommandSpec {
        CommandSpec(
            "role", arity: 1, flags: [.noscript, .loading, .stale, .fast],
            categories: [.admin, .fast, .dangerous], since: "2.8.12", group: "server",
            summary: "Tells the server's part in replication.", complexity: "O(1)")
    }

    private static var wait: CommandSpec {
        CommandSpec(
            "wait", arity: 3, flags: [.noscript],
            categories: [.slow, .connection], since: "3.0.0", group: "generic",
            summary: "Waits until replicas have this connection's writes.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("numreplicas", .integer),
                ArgumentSpec("timeout", .integer),
            ],
            tips: ["request_policy:all_shards", "response_policy:agg_min"])
    }
}
