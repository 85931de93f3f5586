// Facts about the commands of single sorted sets, those of ranges apart: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var sortedSetSpecs: [CommandSpec] {
        [
            zadd,
            zincrby,
            zrem,
            zcard,
            zscore,
            zmscore,
            zrank,
            zrevrank,
            zpopmin,
            zpopmax,
            zrandmember,
            zscan,
        ]
    }

    static var zadd: CommandSpec {
        CommandSpec(
            "zadd", arity: -4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .sortedset, .fast], since: "1.2.0", group: "sorted-set",
            summary: "Adds members to a sorted set, or gives them new scores.",
            complexity: "O(M log N), M members into N",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "3.0.2",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                    ]),
                ArgumentSpec(
                    "comparison", .oneof, .optional, since: "6.2.0",
                    of: [
                        ArgumentSpec("gt", .pureToken, token: "GT"),
                        ArgumentSpec("lt", .pureToken, token: "LT"),
                    ]),
                ArgumentSpec("change", .pureToken, .optional, token: "CH", since: "3.0.2"),
                ArgumentSpec("increment", .pureToken, .optional, token: "INCR", since: "3.0.2"),
                ArgumentSpec(
                    "score_member", .block, .multiple,
                    of: [
                        ArgumentSpec("score", .double),
                        ArgumentSpec("member", .string),
                    ]),
            ],
            history: [
                ("2.4.0", "Several members."),
                ("3.0.2", "XX, NX, CH, INCR."),
                ("6.2.0", "GT, LT."),
            ])
    }

    static var zincrby: CommandSpec {
        CommandSpec(
            "zincrby", arity: 4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .sortedset, .fast], since: "1.2.0", group: "sorted-set",
            summary: "Adds a number to a member's score.", complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("increment", .integer),
                ArgumentSpec("member", .string),
            ])
    }

    static var zrem: CommandSpec {
        CommandSpec(
            "zrem", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .sortedset, .fast], since: "1.2.0", group: "sorted-set",
            summary: "Removes members from a sorted set.", complexity: "O(M log N), M members of N",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ],
            history: [("2.4.0", "Several members.")])
    }

    static var zcard: CommandSpec {
        CommandSpec(
            "zcard", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .sortedset, .fast], since: "1.2.0", group: "sorted-set",
            summary: "Counts the members of a sorted set.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    static var zscore: CommandSpec {
        CommandSpec(
            "zscore", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .fast], since: "1.2.0", group: "sorted-set",
            summary: "Tells the score of a member.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string),
            ])
    }

    static var zmscore: CommandSpec {
        CommandSpec(
            "zmscore", arity: -3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .fast], since: "6.2.0", group: "sorted-set",
            summary: "Tells the scores of several members.", complexity: "O(N), N members asked about",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ])
    }

    static var zrank: CommandSpec {
        CommandSpec(
            "zrank", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .fast], since: "2.0.0", group: "sorted-set",
            summary: "Tells the position of a member, the lowest score being first.",
            complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string),
            ])
    }

    static var zrevrank: CommandSpec {
        CommandSpec(
            "zrevrank", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .fast], since: "2.0.0", group: "sorted-set",
            summary: "Tells the position of a member, the highest score being first.",
            complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string),
            ])
    }

    static var zpopmin: CommandSpec {
        CommandSpec(
            "zpopmin", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .sortedset, .fast], since: "5.0.0", group: "sorted-set",
            summary: "Takes the members with the lowest scores.", complexity: "O(M log N), M taken of N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional),
            ])
    }

    static var zpopmax: CommandSpec {
        CommandSpec(
            "zpopmax", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .sortedset, .fast], since: "5.0.0", group: "sorted-set",
            summary: "Takes the members with the highest scores.", complexity: "O(M log N), M taken of N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional),
            ])
    }

    static var zrandmember: CommandSpec {
        CommandSpec(
            "zrandmember", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "6.2.0", group: "sorted-set",
            summary: "Answers members of a sorted set drawn at random.", complexity: "O(N), N members drawn",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "options", .block, .optional,
                    of: [
                        ArgumentSpec("count", .integer),
                        ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
                    ]),
            ],
            tips: ["nondeterministic_output"])
    }

    static var zscan: CommandSpec {
        CommandSpec(
            "zscan", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .sortedset, .slow], since: "2.8.0", group: "sorted-set",
            summary: "Walks through the members of a sorted set step by step.",
            complexity: "O(N), N being COUNT; a whole walk looks at each member once",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("cursor", .integer),
                ArgumentSpec("pattern", .pattern, .optional, token: "MATCH"),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ],
            tips: ["nondeterministic_output"])
    }
}
