// Facts about SORT: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var sortSpecs: [CommandSpec] {
        [
            sort,
            sortRO,
        ]
    }

    static var sort: CommandSpec {
        CommandSpec(
            "sort", arity: -2, flags: [.write, .denyoom, .movableKeys],
            keys: [
                .at(1, [.ro, .access]),
                KeySpec(
                    [.ro, .access], begin: .unknown, find: .unknown,
                    notes: "The keys of BY and GET, which come from what is sorted."),
                KeySpec(
                    [.ow, .update], begin: .unknown, find: .unknown,
                    notes: "The key of STORE, which may stand anywhere."),
            ],
            categories: [.write, .set, .sortedset, .list, .slow, .dangerous], since: "1.0.0", group: "generic",
            summary: "Sorts what is in a list, a set or a sorted set.",
            complexity: "O(N + M log M), N elements and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("pattern", .pattern, .optional, token: "BY", key: 1),
                ArgumentSpec(
                    "offset_count", .block, .optional, token: "LIMIT",
                    of: [
                        ArgumentSpec("offset", .integer),
                        ArgumentSpec("count", .integer),
                    ]),
                ArgumentSpec("pattern", .pattern, [.optional, .multiple, .multipleToken], token: "GET", key: 1),
                ArgumentSpec(
                    "order", .oneof, .optional,
                    of: [
                        ArgumentSpec("asc", .pureToken, token: "ASC"),
                        ArgumentSpec("desc", .pureToken, token: "DESC"),
                    ]),
                ArgumentSpec("sorting", .pureToken, .optional, token: "ALPHA"),
                ArgumentSpec("destination", .key, .optional, token: "STORE", key: 2),
            ])
    }

    static var sortRO: CommandSpec {
        CommandSpec(
            "sort_ro", arity: -2, flags: [.readonly, .movableKeys],
            keys: [
                .at(1, [.ro, .access]),
                KeySpec(
                    [.ro, .access], begin: .unknown, find: .unknown,
                    notes: "The keys of BY and GET, which come from what is sorted."),
            ],
            categories: [.read, .set, .sortedset, .list, .slow, .dangerous], since: "7.0.0", group: "generic",
            summary: "Sorts what is in a list, a set or a sorted set, without storing it.",
            complexity: "O(N + M log M), N elements and M of the reply",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("pattern", .pattern, .optional, token: "BY", key: 1),
                ArgumentSpec(
                    "offset_count", .block, .optional, token: "LIMIT",
                    of: [
                        ArgumentSpec("offset", .integer),
                        ArgumentSpec("count", .integer),
                    ]),
                ArgumentSpec("pattern", .pattern, [.optional, .multiple, .multipleToken], token: "GET", key: 1),
                ArgumentSpec(
                    "order", .oneof, .optional,
                    of: [
                        ArgumentSpec("asc", .pureToken, token: "ASC"),
                        ArgumentSpec("desc", .pureToken, token: "DESC"),
                    ]),
                ArgumentSpec("sorting", .pureToken, .optional, token: "ALPHA"),
            ])
    }
}
