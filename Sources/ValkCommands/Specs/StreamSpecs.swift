// Facts about the commands of streams: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var streamSpecs: [CommandSpec] {
        [
            xadd,
            xtrim,
            xdel,
            xlen,
            xrange,
            xrevrange,
            xread,
            xsetid,
            xinfo,
        ]
    }

    /// What is trimmed.
    private static var trim: ArgumentSpec {
        ArgumentSpec(
            "trim", .block, .optional,
            of: [
                ArgumentSpec(
                    "strategy", .oneof,
                    of: [
                        ArgumentSpec("maxlen", .pureToken, token: "MAXLEN"),
                        ArgumentSpec("minid", .pureToken, token: "MINID", since: "6.2.0"),
                    ]),
                ArgumentSpec(
                    "operator", .oneof, .optional,
                    of: [
                        ArgumentSpec("equal", .pureToken, token: "="),
                        ArgumentSpec("approximately", .pureToken, token: "~"),
                    ]),
                ArgumentSpec("threshold", .string),
                ArgumentSpec("count", .integer, .optional, token: "LIMIT", since: "6.2.0"),
            ])
    }

    static var xadd: CommandSpec {
        CommandSpec(
            "xadd", arity: -5, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .update], notes: "An update, since it may trim.")],
            categories: [.write, .stream, .fast], since: "5.0.0", group: "stream",
            summary: "Adds an entry to a stream.", complexity: "O(1), and O(N) for N entries trimmed",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("nomkstream", .pureToken, .optional, token: "NOMKSTREAM", since: "6.2.0"),
                trim,
                ArgumentSpec(
                    "id_or_auto", .oneof,
                    of: [
                        ArgumentSpec("auto_id", .pureToken, token: "*"),
                        ArgumentSpec("id", .string),
                    ]),
                ArgumentSpec(
                    "field_value", .block, .multiple,
                    of: [
                        ArgumentSpec("field", .string),
                        ArgumentSpec("value", .string),
                    ]),
            ],
            history: [
                ("6.2.0", "NOMKSTREAM, MINID, LIMIT."),
                ("7.0.0", "Ids of the form ms-*."),
            ],
            tips: ["nondeterministic_output"])
    }

    static var xtrim: CommandSpec {
        CommandSpec(
            "xtrim", arity: -4, flags: [.write],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Removes the oldest entries of a stream.", complexity: "O(N), N entries removed",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "trim", .block,
                    of: [
                        ArgumentSpec(
                            "strategy", .oneof,
                            of: [
                                ArgumentSpec("maxlen", .pureToken, token: "MAXLEN"),
                                ArgumentSpec("minid", .pureToken, token: "MINID", since: "6.2.0"),
                            ]),
                        ArgumentSpec(
                            "operator", .oneof, .optional,
                            of: [
                                ArgumentSpec("equal", .pureToken, token: "="),
                                ArgumentSpec("approximately", .pureToken, token: "~"),
                            ]),
                        ArgumentSpec("threshold", .string),
                        ArgumentSpec("count", .integer, .optional, token: "LIMIT", since: "6.2.0"),
                    ]),
            ],
            history: [("6.2.0", "MINID, LIMIT.")],
            tips: ["nondeterministic_output"])
    }

    static var xdel: CommandSpec {
        CommandSpec(
            "xdel", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .stream, .fast], since: "5.0.0", group: "stream",
            summary: "Removes entries from a stream.", complexity: "O(N), N ids",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("id", .string, .multiple),
            ])
    }

    static var xlen: CommandSpec {
        CommandSpec(
            "xlen", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .stream, .fast], since: "5.0.0", group: "stream",
            summary: "Counts the entries of a stream.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    static var xrange: CommandSpec {
        CommandSpec(
            "xrange", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Reads the entries of a stream between two ids.", complexity: "O(N), N entries of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .string),
                ArgumentSpec("end", .string),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ],
            history: [("6.2.0", "Bounds that leave themselves out.")])
    }

    static var xrevrange: CommandSpec {
        CommandSpec(
            "xrevrange", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Reads the entries of a stream between two ids, the newest first.",
            complexity: "O(N), N entries of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("end", .string),
                ArgumentSpec("start", .string),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ],
            history: [("6.2.0", "Bounds that leave themselves out.")])
    }

    static var xread: CommandSpec {
        CommandSpec(
            "xread", arity: -4, flags: [.readonly, .blocking, .movableKeys, .seesWholeWrites],
            keys: [
                KeySpec(
                    [.ro, .access], begin: .keyword("STREAMS", startFrom: 1), find: .range(last: -1, step: 1, limit: 2))
            ],
            categories: [.read, .stream, .slow, .blocking], since: "5.0.0", group: "stream",
            summary: "Reads what came into streams after given ids, and waits for it if wanted.",
            complexity: "O(N), N entries of the reply",
            arguments: [
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
                ArgumentSpec("milliseconds", .integer, .optional, token: "BLOCK"),
                ArgumentSpec(
                    "streams", .block, token: "STREAMS",
                    of: [
                        ArgumentSpec("key", .key, .multiple, key: 0),
                        ArgumentSpec("id", .string, .multiple),
                    ]),
            ])
    }

    static var xsetid: CommandSpec {
        CommandSpec(
            "xsetid", arity: -3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .stream, .fast], since: "5.0.0", group: "stream",
            summary: "Sets the last id of a stream.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("last-id", .string),
                ArgumentSpec("entries_added", .integer, .optional, token: "ENTRIESADDED", since: "7.0.0"),
                ArgumentSpec("max_deleted_entry_id", .string, .optional, token: "MAXDELETEDID", since: "7.0.0"),
            ],
            history: [("7.0.0", "ENTRIESADDED, MAXDELETEDID.")])
    }

    static var xinfo: CommandSpec {
        CommandSpec(
            "xinfo", arity: -2,
            categories: [.slow], since: "5.0.0", group: "stream",
            summary: "Groups the commands that describe streams.", complexity: "Depends on the subcommand",
            subcommands: [
                xinfoHelp,
                xinfoStream,
                xinfoConsumers,
                xinfoGroups,
            ])
    }

    private static var xinfoHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.stream, .slow], since: "5.0.0", group: "stream",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var xinfoStream: CommandSpec {
        CommandSpec(
            "stream", arity: -3, flags: [.readonly],
            keys: [.at(2, [.ro, .access])],
            categories: [.read, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Describes a stream.", complexity: "O(1), and O(N) with FULL for N entries shown",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "full", .block, .optional, token: "FULL",
                    of: [
                        ArgumentSpec("count", .integer, .optional, token: "COUNT")
                    ]),
            ],
            history: [
                ("6.0.0", "FULL."),
                ("7.0.0", "The greatest deleted id, what was added and read, the first id, the lag."),
            ])
    }

    private static var xinfoConsumers: CommandSpec {
        CommandSpec(
            "consumers", arity: 4, flags: [.readonly],
            keys: [.at(2, [.ro, .access])],
            categories: [.read, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Lists the consumers of a group.", complexity: "O(N), N consumers",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("groupname", .string),
            ],
            tips: ["nondeterministic_output"])
    }

    private static var xinfoGroups: CommandSpec {
        CommandSpec(
            "groups", arity: 3, flags: [.readonly],
            keys: [.at(2, [.ro, .access])],
            categories: [.read, .stream, .slow], since: "5.0.0", group: "stream",
            summary: "Lists the consumer groups of a stream.", complexity: "O(N), N groups",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            history: [("7.0.0", "What was read, and the lag.")])
    }
}
