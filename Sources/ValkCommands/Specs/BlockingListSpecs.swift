// Facts about the commands of lists that wait: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var blockingListSpecs: [CommandSpec] {
        [
            blpop,
            brpop,
            blmove,
            brpoplpush,
            blmpop,
        ]
    }

    static var blpop: CommandSpec {
        CommandSpec(
            "blpop", arity: -3, flags: [.write, .noscript, .blocking],
            keys: [.at(1, [.rw, .access, .delete], last: -2)],
            categories: [.write, .list, .slow, .blocking], since: "2.0.0", group: "list",
            summary: "Takes the first element of the first list that has any, and waits for one.",
            complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("timeout", .double),
            ],
            history: [("6.0.0", "Fractions of a second.")])
    }

    static var brpop: CommandSpec {
        CommandSpec(
            "brpop", arity: -3, flags: [.write, .noscript, .blocking],
            keys: [.at(1, [.rw, .access, .delete], last: -2)],
            categories: [.write, .list, .slow, .blocking], since: "2.0.0", group: "list",
            summary: "Takes the last element of the first list that has any, and waits for one.",
            complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("timeout", .double),
            ],
            history: [("6.0.0", "Fractions of a second.")])
    }

    static var blmove: CommandSpec {
        CommandSpec(
            "blmove", arity: 6, flags: [.write, .denyoom, .noscript, .blocking],
            keys: [
                .at(1, [.rw, .access, .delete]),
                .at(2, [.rw, .insert]),
            ],
            categories: [.write, .list, .slow, .blocking], since: "6.2.0", group: "list",
            summary: "Moves an element from list to list, and waits for one.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("source", .key, key: 0),
                ArgumentSpec("destination", .key, key: 1),
                ArgumentSpec(
                    "wherefrom", .oneof,
                    of: [
                        ArgumentSpec("left", .pureToken, token: "LEFT"),
                        ArgumentSpec("right", .pureToken, token: "RIGHT"),
                    ]),
                ArgumentSpec(
                    "whereto", .oneof,
                    of: [
                        ArgumentSpec("left", .pureToken, token: "LEFT"),
                        ArgumentSpec("right", .pureToken, token: "RIGHT"),
                    ]),
                ArgumentSpec("timeout", .double),
            ])
    }

    static var brpoplpush: CommandSpec {
        CommandSpec(
            "brpoplpush", arity: 4, flags: [.write, .denyoom, .noscript, .blocking],
            keys: [
                .at(1, [.rw, .access, .delete]),
                .at(2, [.rw, .insert]),
            ],
            categories: [.write, .list, .slow, .blocking], since: "2.2.0", group: "list",
            summary: "Moves the last element of a list to the front of another, and waits for one.",
            complexity: "O(1)",
            arguments: [
                ArgumentSpec("source", .key, key: 0),
                ArgumentSpec("destination", .key, key: 1),
                ArgumentSpec("timeout", .double),
            ],
            history: [("6.0.0", "Fractions of a second.")],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`BLMOVE` with the `RIGHT` and `LEFT` arguments")
    }

    static var blmpop: CommandSpec {
        CommandSpec(
            "blmpop", arity: -5, flags: [.write, .blocking, .movableKeys],
            keys: [
                KeySpec([.rw, .access, .delete], begin: .index(2), find: .keyCount(countIndex: 0, first: 1, step: 1))
            ],
            categories: [.write, .list, .slow, .blocking], since: "7.0.0", group: "list",
            summary: "Takes elements from the first of several lists that has any, and waits for some.",
            complexity: "O(N+M), N keys and M elements taken",
            arguments: [
                ArgumentSpec("timeout", .double),
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec(
                    "where", .oneof,
                    of: [
                        ArgumentSpec("left", .pureToken, token: "LEFT"),
                        ArgumentSpec("right", .pureToken, token: "RIGHT"),
                    ]),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ])
    }
}
