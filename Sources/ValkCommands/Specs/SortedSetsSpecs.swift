// Facts about the commands of several sorted sets, and those that wait: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var sortedSetsSpecs: [CommandSpec] {
        [
            zunion,
            zunionstore,
            zinter,
            zinterstore,
            zintercard,
            zdiff,
            zdiffstore,
            zmpop,
            bzpopmin,
            bzpopmax,
            bzmpop,
        ]
    }

    /// What becomes of scores of the same member.
    private static var aggregate: ArgumentSpec {
        ArgumentSpec(
            "aggregate", .oneof, .optional, token: "AGGREGATE",
            of: [
                ArgumentSpec("sum", .pureToken, token: "SUM"),
                ArgumentSpec("min", .pureToken, token: "MIN"),
                ArgumentSpec("max", .pureToken, token: "MAX"),
            ])
    }

    /// Which end members are taken from.
    private static var extreme: ArgumentSpec {
        ArgumentSpec(
            "where", .oneof,
            of: [
                ArgumentSpec("min", .pureToken, token: "MIN"),
                ArgumentSpec("max", .pureToken, token: "MAX"),
            ])
    }

    static var zunion: CommandSpec {
        CommandSpec(
            "zunion", arity: -3, flags: [.readonly, .movableKeys],
            keys: [KeySpec([.ro, .access], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))],
            categories: [.read, .sortedset, .slow], since: "6.2.0", group: "sorted-set",
            summary: "Lists the members that any of the sorted sets has, scores put together.",
            complexity: "O(N + M log M), N members of all sets and M of the outcome",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("weight", .integer, [.optional, .multiple], token: "WEIGHTS"),
                aggregate,
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
            ])
    }

    static var zunionstore: CommandSpec {
        CommandSpec(
            "zunionstore", arity: -4, flags: [.write, .denyoom, .movableKeys],
            keys: [
                .at(1, [.ow, .update]),
                KeySpec([.ro, .access], begin: .index(2), find: .keyCount(countIndex: 0, first: 1, step: 1)),
            ],
            categories: [.write, .sortedset, .slow], since: "2.0.0", group: "sorted-set",
            summary: "Stores the members that any of the sorted sets has, scores put together.",
            complexity: "O(N + M log M), N members of all sets and M of the outcome",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 1),
                ArgumentSpec("weight", .integer, [.optional, .multiple], token: "WEIGHTS"),
                aggregate,
            ])
    }

    static var zinter: CommandSpec {
        CommandSpec(
            "zinter", arity: -3, flags: [.readonly, .movableKeys],
            keys: [KeySpec([.ro, .access], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))],
            categories: [.read, .sortedset, .slow], since: "6.2.0", group: "sorted-set",
            summary: "Lists the members that all of the sorted sets have, scores put together.",
            complexity: "O(N*K + M log M), N members of the smallest of K sets, M of the outcome",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("weight", .integer, [.optional, .multiple], token: "WEIGHTS"),
                aggregate,
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
            ])
    }

    static var zinterstore: CommandSpec {
        CommandSpec(
            "zinterstore", arity: -4, flags: [.write, .denyoom, .movableKeys],
            keys: [
                .at(1, [.ow, .update]),
                KeySpec([.ro, .access], begin: .index(2), find: .keyCount(countIndex: 0, first: 1, step: 1)),
            ],
            categories: [.write, .sortedset, .slow], since: "2.0.0", group: "sorted-set",
            summary: "Stores the members that all of the sorted sets have, scores put together.",
            complexity: "O(N*K + M log M), N members of the smallest of K sets, M of the outcome",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 1),
                ArgumentSpec("weight", .integer, [.optional, .multiple], token: "WEIGHTS"),
                aggregate,
            ])
    }

    static var zintercard: CommandSpec {
        CommandSpec(
            "zintercard", arity: -3, flags: [.readonly, .movableKeys],
            keys: [KeySpec([.ro, .access], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))],
            categories: [.read, .sortedset, .slow], since: "7.0.0", group: "sorted-set",
            summary: "Counts the members that all of the sorted sets have.",
            complexity: "O(N*K), N members of the smallest of K sets",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("limit", .integer, .optional, token: "LIMIT"),
            ])
    }

    static var zdiff: CommandSpec {
        CommandSpec(
            "zdiff", arity: -3, flags: [.readonly, .movableKeys],
            keys: [KeySpec([.ro, .access], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))],
            categories: [.read, .sortedset, .slow], since: "6.2.0", group: "sorted-set",
            summary: "Lists the members that only the first of the sorted sets has.",
            complexity: "O(L + M log M), L members of all sets and M of the outcome",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("withscores", .pureToken, .optional, token: "WITHSCORES"),
            ])
    }

    static var zdiffstore: CommandSpec {
        CommandSpec(
            "zdiffstore", arity: -4, flags: [.write, .denyoom, .movableKeys],
            keys: [
                .at(1, [.ow, .update]),
                KeySpec([.ro, .access], begin: .index(2), find: .keyCount(countIndex: 0, first: 1, step: 1)),
            ],
            categories: [.write, .sortedset, .slow], since: "6.2.0", group: "sorted-set",
            summary: "Stores the members that only the first of the sorted sets has.",
            complexity: "O(L + M log M), L members of all sets and M of the outcome",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 1),
            ])
    }

    static var zmpop: CommandSpec {
        CommandSpec(
            "zmpop", arity: -4, flags: [.write, .movableKeys],
            keys: [
                KeySpec([.rw, .access, .delete], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))
            ],
            categories: [.write, .sortedset, .slow], since: "7.0.0", group: "sorted-set",
            summary: "Takes members from the first of several sorted sets that has any.",
            complexity: "O(K + M log N), K keys, M taken of N members",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                extreme,
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ])
    }

    static var bzpopmin: CommandSpec {
        CommandSpec(
            "bzpopmin", arity: -3, flags: [.write, .noscript, .blocking, .fast],
            keys: [.at(1, [.rw, .access, .delete], last: -2)],
            categories: [.write, .sortedset, .fast, .blocking], since: "5.0.0", group: "sorted-set",
            summary: "Takes the member with the lowest score, and waits for one.", complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("timeout", .double),
            ],
            history: [("6.0.0", "Fractions of a second.")])
    }

    static var bzpopmax: CommandSpec {
        CommandSpec(
            "bzpopmax", arity: -3, flags: [.write, .noscript, .blocking, .fast],
            keys: [.at(1, [.rw, .access, .delete], last: -2)],
            categories: [.write, .sortedset, .fast, .blocking], since: "5.0.0", group: "sorted-set",
            summary: "Takes the member with the highest score, and waits for one.", complexity: "O(log N), N members",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("timeout", .double),
            ],
            history: [("6.0.0", "Fractions of a second.")])
    }

    static var bzmpop: CommandSpec {
        CommandSpec(
            "bzmpop", arity: -5, flags: [.write, .blocking, .movableKeys],
            keys: [
                KeySpec([.rw, .access, .delete], begin: .index(2), find: .keyCount(countIndex: 0, first: 1, step: 1))
            ],
            categories: [.write, .sortedset, .slow, .blocking], since: "7.0.0", group: "sorted-set",
            summary: "Takes members from the first of several sorted sets that has any, and waits for some.",
            complexity: "O(K + M log N), K keys, M taken of N members",
            arguments: [
                ArgumentSpec("timeout", .double),
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                extreme,
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ])
    }
}
