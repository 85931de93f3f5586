// Facts about the string commands: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var stringSpecs: [CommandSpec] {
        [
            get,
            set,
            setnx,
            setex,
            psetex,
            getset,
            getdel,
            getex,
            mget,
            mset,
            msetnx,
            append,
            strlen,
            getrange,
            setrange,
            substr,
        ]
    }

    private static var get: CommandSpec {
        CommandSpec(
            "get", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .string, .fast], since: "1.0.0", group: "string",
            summary: "Reads the string at a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var set: CommandSpec {
        CommandSpec(
            "set", arity: -3, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .access, .update, .variableFlags], notes: "Reads the key only with GET.")],
            categories: [.write, .string, .slow], since: "1.0.0", group: "string",
            summary: "Sets a key to a string, with conditions and an expiry if wanted.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("value", .string),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "2.6.12",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                    ]),
                ArgumentSpec("get", .pureToken, .optional, token: "GET", since: "6.2.0"),
                ArgumentSpec(
                    "expiration", .oneof, .optional,
                    of: [
                        ArgumentSpec("seconds", .integer, token: "EX", since: "2.6.12"),
                        ArgumentSpec("milliseconds", .integer, token: "PX", since: "2.6.12"),
                        ArgumentSpec("unix-time-seconds", .unixTime, token: "EXAT", since: "6.2.0"),
                        ArgumentSpec("unix-time-milliseconds", .unixTime, token: "PXAT", since: "6.2.0"),
                        ArgumentSpec("keepttl", .pureToken, token: "KEEPTTL", since: "6.0.0"),
                    ]),
            ],
            history: [
                ("2.6.12", "EX, PX, NX, XX."),
                ("6.0.0", "KEEPTTL."),
                ("6.2.0", "GET, EXAT, PXAT."),
                ("7.0.0", "NX and GET together."),
            ])
    }

    private static var setnx: CommandSpec {
        CommandSpec(
            "setnx", arity: 3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.ow, .insert])],
            categories: [.write, .string, .fast], since: "1.0.0", group: "string",
            summary: "Sets a key to a string unless the key is there already.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("value", .string),
            ])
    }

    private static var setex: CommandSpec {
        CommandSpec(
            "setex", arity: 4, flags: [.write, .denyoom],
            keys: [.at(1, [.ow, .update])],
            categories: [.write, .string, .slow], since: "2.0.0", group: "string",
            summary: "Sets a key to a string that expires after some seconds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("seconds", .integer),
                ArgumentSpec("value", .string),
            ])
    }

    private static var psetex: CommandSpec {
        CommandSpec(
            "psetex", arity: 4, flags: [.write, .denyoom],
            keys: [.at(1, [.ow, .update])],
            categories: [.write, .string, .slow], since: "2.6.0", group: "string",
            summary: "Sets a key to a string that expires after some milliseconds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("milliseconds", .integer),
                ArgumentSpec("value", .string),
            ])
    }

    private static var getset: CommandSpec {
        CommandSpec(
            "getset", arity: 3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .string, .fast], since: "1.0.0", group: "string",
            summary: "Sets a key to a string and answers what it held before.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("value", .string),
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`SET` with the `!GET` argument")
    }

    private static var getdel: CommandSpec {
        CommandSpec(
            "getdel", arity: 2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .string, .fast], since: "6.2.0", group: "string",
            summary: "Reads the string at a key and deletes the key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var getex: CommandSpec {
        CommandSpec(
            "getex", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .update], notes: "Writes the key only when its expiry changes.")],
            categories: [.write, .string, .fast], since: "6.2.0", group: "string",
            summary: "Reads the string at a key and changes its expiry if wanted.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "expiration", .oneof, .optional,
                    of: [
                        ArgumentSpec("seconds", .integer, token: "EX"),
                        ArgumentSpec("milliseconds", .integer, token: "PX"),
                        ArgumentSpec("unix-time-seconds", .unixTime, token: "EXAT"),
                        ArgumentSpec("unix-time-milliseconds", .unixTime, token: "PXAT"),
                        ArgumentSpec("persist", .pureToken, token: "PERSIST"),
                    ]),
            ])
    }

    private static var mget: CommandSpec {
        CommandSpec(
            "mget", arity: -2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access], last: -1)],
            categories: [.read, .string, .fast], since: "1.0.0", group: "string",
            summary: "Reads the strings at several keys.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["request_policy:multi_shard"])
    }

    private static var mset: CommandSpec {
        CommandSpec(
            "mset", arity: -3, flags: [.write, .denyoom],
            keys: [.at(1, [.ow, .update], last: -1, step: 2)],
            categories: [.write, .string, .slow], since: "1.0.1", group: "string",
            summary: "Sets several keys in one step.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec(
                    "key_value", .block, .multiple,
                    of: [
                        ArgumentSpec("key", .key, key: 0),
                        ArgumentSpec("value", .string),
                    ])
            ],
            tips: ["request_policy:multi_shard", "response_policy:all_succeeded"])
    }

    private static var msetnx: CommandSpec {
        CommandSpec(
            "msetnx", arity: -3, flags: [.write, .denyoom],
            keys: [.at(1, [.ow, .insert], last: -1, step: 2)],
            categories: [.write, .string, .slow], since: "1.0.1", group: "string",
            summary: "Sets several keys in one step, unless one of them is there already.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec(
                    "key_value", .block, .multiple,
                    of: [
                        ArgumentSpec("key", .key, key: 0),
                        ArgumentSpec("value", .string),
                    ])
            ],
            tips: ["request_policy:multi_shard", "response_policy:agg_min"])
    }

    private static var append: CommandSpec {
        CommandSpec(
            "append", arity: 3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .string, .fast], since: "2.0.0", group: "string",
            summary: "Adds bytes to the end of the string at a key.",
            complexity: "O(N), N bytes of the resulting string",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("value", .string),
            ])
    }

    private static var strlen: CommandSpec {
        CommandSpec(
            "strlen", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .string, .fast], since: "2.2.0", group: "string",
            summary: "Tells the length of the string at a key in bytes.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var getrange: CommandSpec {
        CommandSpec(
            "getrange", arity: 4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .string, .slow], since: "2.4.0", group: "string",
            summary: "Reads a part of the string at a key.", complexity: "O(N), N bytes of the part",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .integer),
                ArgumentSpec("end", .integer),
            ])
    }

    private static var setrange: CommandSpec {
        CommandSpec(
            "setrange", arity: 4, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .string, .slow], since: "2.2.0", group: "string",
            summary: "Overwrites a part of the string at a key, from an offset on.",
            complexity: "O(N), N bytes of the resulting string",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("offset", .integer),
                ArgumentSpec("value", .string),
            ])
    }

    private static var substr: CommandSpec {
        CommandSpec(
            "substr", arity: 4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .string, .slow], since: "1.0.0", group: "string",
            summary: "Reads a part of the string at a key (the older name of GETRANGE).",
            complexity: "O(N), N bytes of the part",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .integer),
                ArgumentSpec("end", .integer),
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "2.0.0",
            replacedBy: "`GETRANGE`")
    }
}
