// Facts about the commands of sorted sets that work on ranges: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var sortedSetRangeSpecs: [CommandSpec] {
        [
            zcount,
            zlexcount,
            zrange,
            zrangestore,
            zrevrange,
            zrangebyscore,
            zrevrangebyscore,
            zrangebylex,
            zrevrangebylex,
            zremrangebyrank,
            zremrangebyscore,
            zremrangebylex,
        ]
    }

    /// What of the range is wanted.
    private static var limit: ArgumentSpec {
        ArgumentSpec(
            "offset_count", .block, .optional, token: "LIMIT",
            of: [
                ArgumentSpec("offset", .integer),
                ArgumentSpec("count", .integer),
            ])
    }

    /// What the bounds are, unless positions.
    private static var order: ArgumentSpec {
        ArgumentSpec(
            "sortby", .oneof, .optional, since: "6.2.0",
            of: [
                ArgumentSpec("byscore", .pureToken, token: "BYSCORE"),
                ArgumentSpec("bylex", .pureToken, token: "BYLEX"),
            ])
    }

    static var zcount: CommandSpec {
        CommandSpec(
            "zcount", arity: 4, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .fast], since: "2.0.0", group: "sorted-set",
            summary: "Counts the members whose scores lie between two bounds.", complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("min", .double),
                ArgumentSpec("max", .double),
            ])
    }

    static var zlexcount: CommandSpec {
        CommandSpec(
            "zlexcount", arity: 4, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .fast], since: "2.8.9", group: "sorted-set",
            summary: "Counts the members between two names.", complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("min", .string),
                ArgumentSpec("max", .string),
            ])
    }

    static var zrange: CommandSpec {
        CommandSpec(
            "zrange", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "1.2.0", group: "sorted-set",
            summary: "Reads members by position, score or name.",
            complexity: "O(log N + M), N members and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .string),
                ArgumentSpec("stop", .string),
                order,
                ArgumentSpec("rev", .pureToken, .optional, token: "REV", since: "6.2.0"),
                ArgumentSpec(
                    "offset_count", .block, .optional, token: "LIMIT", since: "6.2.0",
                    of: [
                        ArgumentSpec("offset", .integer),
                        ArgumentSpec("count", .integer),
                    ]),
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
            ],
            history: [("6.2.0", "REV, BYSCORE, BYLEX, LIMIT.")])
    }

    static var zrangestore: CommandSpec {
        CommandSpec(
            "zrangestore", arity: -5, flags: [.write, .denyoom],
            keys: [
                .at(1, [.ow, .update]),
                .at(2, [.ro, .access]),
            ],
            categories: [.write, .sortedset, .slow], since: "6.2.0", group: "sorted-set",
            summary: "Stores members chosen by position, score or name.",
            complexity: "O(log N + M), N members and M stored",
            arguments: [
                ArgumentSpec("dst", .key, key: 0),
                ArgumentSpec("src", .key, key: 1),
                ArgumentSpec("min", .string),
                ArgumentSpec("max", .string),
                ArgumentSpec(
                    "sortby", .oneof, .optional,
                    of: [
                        ArgumentSpec("byscore", .pureToken, token: "BYSCORE"),
                        ArgumentSpec("bylex", .pureToken, token: "BYLEX"),
                    ]),
                ArgumentSpec("rev", .pureToken, .optional, token: "REV"),
                limit,
            ])
    }

    static var zrevrange: CommandSpec {
        CommandSpec(
            "zrevrange", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "1.2.0", group: "sorted-set",
            summary: "Reads members by position, the highest score first.",
            complexity: "O(log N + M), N members and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .integer),
                ArgumentSpec("stop", .integer),
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`ZRANGE` with the `REV` argument")
    }

    static var zrangebyscore: CommandSpec {
        CommandSpec(
            "zrangebyscore", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "1.0.5", group: "sorted-set",
            summary: "Reads the members whose scores lie between two bounds.",
            complexity: "O(log N + M), N members and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("min", .double),
                ArgumentSpec("max", .double),
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES", since: "2.0.0"),
                limit,
            ],
            history: [("2.0.0", "WITHSCORES.")],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`ZRANGE` with the `BYSCORE` argument")
    }

    static var zrevrangebyscore: CommandSpec {
        CommandSpec(
            "zrevrangebyscore", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "2.2.0", group: "sorted-set",
            summary: "Reads the members whose scores lie between two bounds, the highest first.",
            complexity: "O(log N + M), N members and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("max", .double),
                ArgumentSpec("min", .double),
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
                limit,
            ],
            history: [("2.1.6", "Bounds that leave themselves out.")],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`ZRANGE` with the `REV` and `BYSCORE` arguments")
    }

    static var zrangebylex: CommandSpec {
        CommandSpec(
            "zrangebylex", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "2.8.9", group: "sorted-set",
            summary: "Reads the members between two names.", complexity: "O(log N + M), N members and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("min", .string),
                ArgumentSpec("max", .string),
                limit,
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`ZRANGE` with the `BYLEX` argument")
    }

    static var zrevrangebylex: CommandSpec {
        CommandSpec(
            "zrevrangebylex", arity: -4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "2.8.9", group: "sorted-set",
            summary: "Reads the members between two names, the last one first.",
            complexity: "O(log N + M), N members and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("max", .string),
                ArgumentSpec("min", .string),
                limit,
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`ZRANGE` with the `REV` and `BYLEX` arguments")
    }

    static var zremrangebyrank: CommandSpec {
        CommandSpec(
            "zremrangebyrank", arity: 4, flags: [.write],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .sortedset, .slow], since: "2.0.0", group: "sorted-set",
            summary: "Removes members by position.", complexity: "O(log N + M), N members and M removed",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .integer),
                ArgumentSpec("stop", .integer),
            ])
    }

    static var zremrangebyscore: CommandSpec {
        CommandSpec(
            "zremrangebyscore", arity: 4, flags: [.write],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .sortedset, .slow], since: "1.2.0", group: "sorted-set",
            summary: "Removes the members whose scores lie between two bounds.",
            complexity: "O(log N + M), N members and M removed",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("min", .double),
                ArgumentSpec("max", .double),
            ])
    }

    static var zremrangebylex: CommandSpec {
        CommandSpec(
            "zremrangebylex", arity: 4, flags: [.write],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .sortedset, .slow], since: "2.8.9", group: "sorted-set",
            summary: "Removes the members between two names.", complexity: "O(log N + M), N members and M removed",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("min", .string),
                ArgumentSpec("max", .string),
            ])
    }
}
