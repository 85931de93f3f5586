// Facts about the commands of consumer groups: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var streamGroupSpecs: [CommandSpec] {
        [
            xgroup,
            xreadgroup,
            xack,
            xclaim,
            xautoclaim,
            xpending,
        ]
    }

    static var xgroup: CommandSpec {
        CommandSpec(
            "xgroup", arity: -2,
            categories: [.slow], since: "5.0.0", group: "stream",
            summary: "Groups the commands that change consumer groups.", complexity: "Depends on the subcommand",
            subcommands: [
                xgroupCreate,
                xgroupDelconsumer,
                xgroupCreateconsumer,
                xgroupDestroy,
                xgroupHelp,
                xgroupSetid,
            ])
    }

    private static var xgroupCreate: CommandSpec {
        CommandSpec(
            "create", arity: -5, flags: [.write, .denyoom],
            keys: [.at(2, [.rw, .insert])],
            categories: [.write, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Makes a consumer group.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("groupname", .string),
                ArgumentSpec(
                    "id", .oneof,
                    of: [
                        ArgumentSpec("id", .string),
                        ArgumentSpec("new_id", .pureToken, token: "$"),
                    ]),
                ArgumentSpec("mkstream", .pureToken, .optional, token: "MKSTREAM"),
                ArgumentSpec("entries_read", .integer, .optional, token: "ENTRIESREAD"),
            ],
            history: [("7.0.0", "ENTRIESREAD.")])
    }

    private static var xgroupDelconsumer: CommandSpec {
        CommandSpec(
            "delconsumer", arity: 5, flags: [.write],
            keys: [.at(2, [.rw, .delete])],
            categories: [.write, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Deletes a consumer of a group.", complexity: "O(N), N pending entries of the consumer",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("groupname", .string),
                ArgumentSpec("consumername", .string),
            ])
    }

    private static var xgroupCreateconsumer: CommandSpec {
        CommandSpec(
            "createconsumer", arity: 5, flags: [.write, .denyoom],
            keys: [.at(2, [.rw, .insert])],
            categories: [.write, .stream, .slow], since: "6.2.0", group: "stream",
            summary: "Makes a consumer of a group.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("groupname", .string),
                ArgumentSpec("consumername", .string),
            ])
    }

    private static var xgroupDestroy: CommandSpec {
        CommandSpec(
            "destroy", arity: 4, flags: [.write],
            keys: [.at(2, [.rw, .delete])],
            categories: [.write, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Deletes a consumer group.", complexity: "O(N), N pending entries of the group",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("groupname", .string),
            ])
    }

    private static var xgroupHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.stream, .slow], since: "5.0.0", group: "stream",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var xgroupSetid: CommandSpec {
        CommandSpec(
            "setid", arity: -5, flags: [.write],
            keys: [.at(2, [.rw, .update])],
            categories: [.write, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Sets which entry a group got last.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("groupname", .string),
                ArgumentSpec(
                    "id", .oneof,
                    of: [
                        ArgumentSpec("id", .string),
                        ArgumentSpec("new_id", .pureToken, token: "$"),
                    ]),
                ArgumentSpec("entries_read", .integer, .optional, token: "ENTRIESREAD"),
            ],
            history: [("7.0.0", "ENTRIESREAD.")])
    }

    static var xreadgroup: CommandSpec {
        CommandSpec(
            "xreadgroup", arity: -7, flags: [.write, .blocking, .movableKeys],
            keys: [
                KeySpec(
                    [.ro, .access], begin: .keyword("STREAMS", startFrom: 4), find: .range(last: -1, step: 1, limit: 2))
            ],
            categories: [.write, .stream, .slow, .blocking], since: "5.0.0", group: "stream",
            summary: "Reads entries as a consumer of a group, and waits for some if wanted.",
            complexity: "O(N), N entries of the reply",
            arguments: [
                ArgumentSpec(
                    "group_consumer", .block, token: "GROUP",
                    of: [
                        ArgumentSpec("group", .string),
                        ArgumentSpec("consumer", .string),
                    ]),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
                ArgumentSpec("milliseconds", .integer, .optional, token: "BLOCK"),
                ArgumentSpec("noack", .pureToken, .optional, token: "NOACK"),
                ArgumentSpec(
                    "streams", .block, token: "STREAMS",
                    of: [
                        ArgumentSpec("key", .key, .multiple, key: 0),
                        ArgumentSpec("id", .string, .multiple),
                    ]),
            ])
    }

    static var xack: CommandSpec {
        CommandSpec(
            "xack", arity: -4, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .stream, .fast], since: "5.0.0", group: "stream",
            summary: "Takes entries from those that a group still waits for.", complexity: "O(N), N ids",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("group", .string),
                ArgumentSpec("id", .string, .multiple),
            ])
    }

    static var xclaim: CommandSpec {
        CommandSpec(
            "xclaim", arity: -6, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .stream, .fast], since: "5.0.0", group: "stream",
            summary: "Hands pending entries of a group over to a consumer.",
            complexity: "O(N log P), N ids and P pending entries",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("group", .string),
                ArgumentSpec("consumer", .string),
                ArgumentSpec("min-idle-time", .string),
                ArgumentSpec("id", .string, .multiple),
                ArgumentSpec("ms", .integer, .optional, token: "IDLE"),
                ArgumentSpec("unix-time-milliseconds", .unixTime, .optional, token: "TIME"),
                ArgumentSpec("count", .integer, .optional, token: "RETRYCOUNT"),
                ArgumentSpec("force", .pureToken, .optional, token: "FORCE"),
                ArgumentSpec("justid", .pureToken, .optional, token: "JUSTID"),
                ArgumentSpec("id", .string, .optional, token: "LASTID"),
            ],
            tips: ["nondeterministic_output"])
    }

    static var xautoclaim: CommandSpec {
        CommandSpec(
            "xautoclaim", arity: -6, flags: [.write, .fast],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .stream, .fast], since: "6.2.0", group: "stream",
            summary: "Hands the pending entries that rest for long over to a consumer.",
            complexity: "O(N), N being COUNT",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("group", .string),
                ArgumentSpec("consumer", .string),
                ArgumentSpec("min-idle-time", .string),
                ArgumentSpec("start", .string),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
                ArgumentSpec("justid", .pureToken, .optional, token: "JUSTID"),
            ],
            history: [("7.0.0", "The reply names deleted entries.")],
            tips: ["nondeterministic_output"])
    }

    static var xpending: CommandSpec {
        CommandSpec(
            "xpending", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Tells which entries of a group are not acknowledged yet.",
            complexity: "O(N), N entries of the reply or looked at",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("group", .string),
                ArgumentSpec(
                    "filters", .block, .optional,
                    of: [
                        ArgumentSpec("min-idle-time", .integer, .optional, token: "IDLE", since: "6.2.0"),
                        ArgumentSpec("start", .string),
                        ArgumentSpec("end", .string),
                        ArgumentSpec("count", .integer),
                        ArgumentSpec("consumer", .string, .optional),
                    ]),
            ],
            history: [("6.2.0", "IDLE, bounds that leave themselves out.")],
            tips: ["nondeterministic_output"])
    }
}
