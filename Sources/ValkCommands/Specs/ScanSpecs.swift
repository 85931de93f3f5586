// Facts about the walks through the keys: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var scanSpecs: [CommandSpec] {
        [
            keys,
            scan,
            randomkey,
            vrange,
        ]
    }

    private static var keys: CommandSpec {
        CommandSpec(
            "keys", arity: 2, flags: [.readonly],
            categories: [.keyspace, .read, .slow, .dangerous], since: "1.0.0", group: "generic",
            summary: "Lists the keys that match a pattern.",
            complexity: "O(N), N keys from the pattern's literal beginning on",
            arguments: [
                ArgumentSpec("pattern", .pattern)
            ],
            tips: ["request_policy:all_shards", "nondeterministic_output_order"])
    }

    private static var scan: CommandSpec {
        CommandSpec(
            "scan", arity: -2, flags: [.readonly],
            categories: [.keyspace, .read, .slow], since: "2.8.0", group: "generic",
            summary: "Walks through the keys step by step.",
            complexity: "O(N), N being COUNT; a whole walk looks at each key once",
            arguments: [
                ArgumentSpec("cursor", .integer),
                ArgumentSpec("pattern", .pattern, .optional, token: "MATCH"),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
                ArgumentSpec("type", .string, .optional, token: "TYPE", since: "6.0.0"),
            ],
            history: [("6.0.0", "TYPE.")],
            tips: ["nondeterministic_output", "request_policy:special"])
    }

    private static var randomkey: CommandSpec {
        CommandSpec(
            "randomkey", arity: 1, flags: [.readonly],
            categories: [.keyspace, .read, .slow], since: "1.0.0", group: "generic",
            summary: "Answers a key drawn at random.", complexity: "O(log N), N keys of the database",
            tips: ["request_policy:all_shards", "nondeterministic_output"])
    }

    /// Valk's own.
    private static var vrange: CommandSpec {
        var spec = CommandSpec(
            "vrange", arity: -3, flags: [.readonly], categories: [.keyspace, .read, .slow, .dangerous],
            since: "7.0.15", group: "generic",
            summary: "Lists the keys between two bounds in byte order, with their values if wanted.",
            complexity: "O(log K + N), K keys of the database and N keys of the reply",
            arguments: [
                ArgumentSpec("start", .string),
                ArgumentSpec("end", .string),
                ArgumentSpec("count", .integer, .optional, token: "LIMIT"),
                ArgumentSpec("rev", .pureToken, .optional, token: "REV"),
                ArgumentSpec("withvalues", .pureToken, .optional, token: "WITHVALUES"),
            ],
            tips: ["nondeterministic_output"])
        spec.readsAnyKey = true
        return spec
    }
}
