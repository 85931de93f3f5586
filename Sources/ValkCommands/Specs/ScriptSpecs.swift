// Facts about the commands of scripting: EVAL and its relatives, SCRIPT, FUNCTION, FCALL. Arity, flags, keys,
// categories and arguments are those of Redis 7.0.15. The server runs them.

extension CommandSpecs {
    /// Without handlers.
    static var scriptSpecs: [CommandSpec] {
        [
            running("eval", "script", "Runs a Lua script.", since: "2.6.0", isReadOnly: false, hasNotes: true),
            running("evalsha", "sha1", "Runs a known Lua script.", since: "2.6.0", isReadOnly: false, hasNotes: false),
            running(
                "eval_ro", "script", "Runs a Lua script that may not write.", since: "7.0.0", isReadOnly: true,
                hasNotes: true),
            running(
                "evalsha_ro", "sha1", "Runs a known Lua script that may not write.", since: "7.0.0", isReadOnly: true,
                hasNotes: false),
            running(
                "fcall", "function", "Calls a function of a library.", since: "7.0.0", isReadOnly: false, hasNotes: true
            ),
            running(
                "fcall_ro", "function", "Calls a function of a library that may not write.", since: "7.0.0",
                isReadOnly: true, hasNotes: true),
            script,
            function,
        ]
    }

    /// EVAL, FCALL and their relatives: what runs, the number of keys, the keys, then whatever the script likes.
    private static func running(
        _ name: String, _ what: String, _ summary: String, since: String, isReadOnly: Bool, hasNotes: Bool
    ) -> CommandSpec {
        let notes =
            "We cannot tell how the keys will be used so we assume the worst, "
            + (isReadOnly ? "RO and ACCESS" : "RW and UPDATE")
        var flags: CommandFlags = [.noscript, .stale, .skipMonitor, .noMandatoryKeys, .movableKeys, .runsScripts]
        if isReadOnly { flags.insert(.readonly) }
        return CommandSpec(
            name, arity: -3, flags: flags,
            keys: [
                KeySpec(
                    isReadOnly ? [.ro, .access] : [.rw, .access, .update], begin: .index(2),
                    find: .keyCount(countIndex: 0, first: 1, step: 1), notes: hasNotes ? notes : nil)
            ],
            categories: [.slow, .scripting], since: since, group: "scripting", summary: summary,
            complexity: "Depends on the \(what == "function" ? "function" : "script") that is executed.",
            arguments: [
                ArgumentSpec(what, .string),
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, [.optional, .multiple], key: 0),
                ArgumentSpec("arg", .string, [.optional, .multiple]),
            ])
    }

    private static var script: CommandSpec {
        CommandSpec(
            "script", arity: -2,
            categories: [.slow], since: "2.6.0", group: "scripting",
            summary: "Groups the commands about Lua scripts.", complexity: "Depends on the subcommand",
            subcommands: [scriptDebug, scriptExists, scriptFlush, scriptHelp, scriptKill, scriptLoad])
    }

    private static var scriptDebug: CommandSpec {
        CommandSpec(
            "debug", arity: 3, flags: [.noscript],
            categories: [.slow, .scripting], since: "3.2.0", group: "scripting",
            summary: "Sets how scripts are debugged.", complexity: "O(1)",
            arguments: [
                ArgumentSpec(
                    "mode", .oneof,
                    of: [
                        ArgumentSpec("yes", .pureToken, token: "YES"),
                        ArgumentSpec("sync", .pureToken, token: "SYNC"),
                        ArgumentSpec("no", .pureToken, token: "NO"),
                    ])
            ])
    }

    private static var scriptExists: CommandSpec {
        CommandSpec(
            "exists", arity: -3, flags: [.noscript],
            categories: [.slow, .scripting], since: "2.6.0", group: "scripting",
            summary: "Tells which scripts are known, by their digests.", complexity: "O(N), N digests",
            arguments: [
                ArgumentSpec("sha1", .string, .multiple)
            ],
            tips: ["request_policy:all_shards", "response_policy:agg_logical_and"])
    }

    private static var scriptFlush: CommandSpec {
        CommandSpec(
            "flush", arity: -2, flags: [.noscript],
            categories: [.slow, .scripting], since: "2.6.0", group: "scripting",
            summary: "Forgets all scripts.", complexity: "O(N), N scripts",
            arguments: [
                ArgumentSpec(
                    "async", .oneof, .optional, since: "6.2.0",
                    of: [
                        ArgumentSpec("async", .pureToken, token: "ASYNC"),
                        ArgumentSpec("sync", .pureToken, token: "SYNC"),
                    ])
            ],
            history: [("6.2.0", "ASYNC and SYNC.")],
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"])
    }

    private static var scriptHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow, .scripting], since: "5.0.0", group: "scripting",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var scriptKill: CommandSpec {
        CommandSpec(
            "kill", arity: 2, flags: [.noscript, .allowBusy],
            categories: [.slow, .scripting], since: "2.6.0", group: "scripting",
            summary: "Stops the script that runs.", complexity: "O(1)",
            tips: ["request_policy:all_shards", "response_policy:one_succeeded"])
    }

    private static var scriptLoad: CommandSpec {
        CommandSpec(
            "load", arity: 3, flags: [.noscript, .stale],
            categories: [.slow, .scripting], since: "2.6.0", group: "scripting",
            summary: "Keeps a script and answers its digest.", complexity: "O(N), N bytes of the script",
            arguments: [
                ArgumentSpec("script", .string)
            ],
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"])
    }

    private static var function: CommandSpec {
        CommandSpec(
            "function", arity: -2,
            categories: [.slow], since: "7.0.0", group: "scripting",
            summary: "Groups the commands about function libraries.", complexity: "Depends on the subcommand",
            subcommands: [
                functionDelete, functionDump, functionFlush, functionHelp, functionKill, functionList, functionLoad,
                functionRestore, functionStats,
            ])
    }

    private static var functionFlush: CommandSpec {
        CommandSpec(
            "flush", arity: -2, flags: [.write, .noscript],
            categories: [.write, .slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Deletes all libraries.", complexity: "O(N), N functions",
            arguments: [
                ArgumentSpec(
                    "async", .oneof, .optional,
                    of: [
                        ArgumentSpec("async", .pureToken, token: "ASYNC"),
                        ArgumentSpec("sync", .pureToken, token: "SYNC"),
                    ])
            ],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var functionHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var functionKill: CommandSpec {
        CommandSpec(
            "kill", arity: 2, flags: [.noscript, .allowBusy],
            categories: [.slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Stops the function that runs.", complexity: "O(1)",
            tips: ["request_policy:all_shards", "response_policy:one_succeeded"])
    }

    private static var functionList: CommandSpec {
        CommandSpec(
            "list", arity: -2, flags: [.noscript],
            categories: [.slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Lists the libraries.", complexity: "O(N), N functions",
            arguments: [
                ArgumentSpec("library-name-pattern", .string, .optional, token: "LIBRARYNAME"),
                ArgumentSpec("withcode", .pureToken, .optional, token: "WITHCODE"),
            ],
            tips: ["nondeterministic_output_order"])
    }

    private static var functionStats: CommandSpec {
        CommandSpec(
            "stats", arity: 2, flags: [.noscript, .allowBusy],
            categories: [.slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Tells which function runs and which engines there are.", complexity: "O(1)",
            tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
    }

    private static var functionDelete: CommandSpec {
        CommandSpec(
            "delete", arity: 3, flags: [.write, .noscript],
            categories: [.write, .slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Deletes a library.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("library-name", .string)
            ],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var functionDump: CommandSpec {
        CommandSpec(
            "dump", arity: 2, flags: [.noscript],
            categories: [.slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Answers all libraries as one payload.", complexity: "O(N), N functions")
    }

    private static var functionLoad: CommandSpec {
        CommandSpec(
            "load", arity: -3, flags: [.write, .denyoom, .noscript],
            categories: [.write, .slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Makes a library of a text.", complexity: "O(1) beside compiling",
            arguments: [
                ArgumentSpec("replace", .pureToken, .optional, token: "REPLACE"),
                ArgumentSpec("function-code", .string),
            ],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var functionRestore: CommandSpec {
        CommandSpec(
            "restore", arity: -3, flags: [.write, .denyoom, .noscript],
            categories: [.write, .slow, .scripting], since: "7.0.0", group: "scripting",
            summary: "Brings back the libraries of a payload.", complexity: "O(N), N functions of the payload",
            arguments: [
                ArgumentSpec("serialized-value", .string),
                ArgumentSpec(
                    "policy", .oneof, .optional,
                    of: [
                        ArgumentSpec("flush", .pureToken, token: "FLUSH"),
                        ArgumentSpec("append", .pureToken, token: "APPEND"),
                        ArgumentSpec("replace", .pureToken, token: "REPLACE"),
                    ]),
            ],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }
}
