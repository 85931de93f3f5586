// Facts about the commands of hashes: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var hashSpecs: [CommandSpec] {
        [
            hset,
            hsetnx,
            hget,
            hmget,
            hmset,
            hdel,
            hexists,
            hlen,
            hstrlen,
            hgetall,
            hkeys,
            hvals,
            hincrby,
            hincrbyfloat,
            hrandfield,
            hscan,
        ]
    }

    static var hset: CommandSpec {
        CommandSpec(
            "hset", arity: -4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Sets fields of a hash to values.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "field_value", .block, .multiple,
                    of: [
                        ArgumentSpec("field", .string),
                        ArgumentSpec("value", .string),
                    ]),
            ],
            history: [("4.0.0", "Several fields.")])
    }

    static var hsetnx: CommandSpec {
        CommandSpec(
            "hsetnx", arity: 4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Sets a field of a hash unless it is there already.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string),
                ArgumentSpec("value", .string),
            ])
    }

    static var hget: CommandSpec {
        CommandSpec(
            "hget", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Reads a field of a hash.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string),
            ])
    }

    static var hmget: CommandSpec {
        CommandSpec(
            "hmget", arity: -3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Reads several fields of a hash.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string, .multiple),
            ])
    }

    static var hmset: CommandSpec {
        CommandSpec(
            "hmset", arity: -4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Sets several fields of a hash (the older form of HSET).", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "field_value", .block, .multiple,
                    of: [
                        ArgumentSpec("field", .string),
                        ArgumentSpec("value", .string),
                    ]),
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "4.0.0",
            replacedBy: "`HSET` with multiple field-value pairs")
    }

    static var hdel: CommandSpec {
        CommandSpec(
            "hdel", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Deletes fields of a hash.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string, .multiple),
            ],
            history: [("2.4.0", "Several fields.")])
    }

    static var hexists: CommandSpec {
        CommandSpec(
            "hexists", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Tells whether a hash has a field.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string),
            ])
    }

    static var hlen: CommandSpec {
        CommandSpec(
            "hlen", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Counts the fields of a hash.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    static var hstrlen: CommandSpec {
        CommandSpec(
            "hstrlen", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .hash, .fast], since: "3.2.0", group: "hash",
            summary: "Tells the length of a field's value in bytes.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string),
            ])
    }

    static var hgetall: CommandSpec {
        CommandSpec(
            "hgetall", arity: 2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .slow], since: "2.0.0", group: "hash",
            summary: "Lists the fields of a hash with their values.", complexity: "O(N), N fields of the hash",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var hkeys: CommandSpec {
        CommandSpec(
            "hkeys", arity: 2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .slow], since: "2.0.0", group: "hash",
            summary: "Lists the fields of a hash.", complexity: "O(N), N fields of the hash",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var hvals: CommandSpec {
        CommandSpec(
            "hvals", arity: 2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .slow], since: "2.0.0", group: "hash",
            summary: "Lists the values of a hash.", complexity: "O(N), N fields of the hash",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var hincrby: CommandSpec {
        CommandSpec(
            "hincrby", arity: 4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .hash, .fast], since: "2.0.0", group: "hash",
            summary: "Adds an integer to a field of a hash.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string),
                ArgumentSpec("increment", .integer),
            ])
    }

    static var hincrbyfloat: CommandSpec {
        CommandSpec(
            "hincrbyfloat", arity: 4, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .hash, .fast], since: "2.6.0", group: "hash",
            summary: "Adds a floating-point number to a field of a hash.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("field", .string),
                ArgumentSpec("increment", .double),
            ])
    }

    static var hrandfield: CommandSpec {
        CommandSpec(
            "hrandfield", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .slow], since: "6.2.0", group: "hash",
            summary: "Answers fields of a hash drawn at random.", complexity: "O(N), N fields drawn",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "options", .block, .optional,
                    of: [
                        ArgumentSpec("count", .integer),
                        ArgumentSpec("withvalues", .pureToken, .optional, token: "WITHVALUES"),
                    ]),
            ],
            tips: ["nondeterministic_output"])
    }

    static var hscan: CommandSpec {
        CommandSpec(
            "hscan", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .slow], since: "2.8.0", group: "hash",
            summary: "Walks through the fields of a hash step by step.",
            complexity: "O(N), N being COUNT; a whole walk looks at each field once",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("cursor", .integer),
                ArgumentSpec("pattern", .pattern, .optional, token: "MATCH"),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ],
            tips: ["nondeterministic_output"])
    }
}
