// Facts about the commands about expiry: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var expirySpecs: [CommandSpec] {
        [
            expire,
            pexpire,
            expireat,
            pexpireat,
            ttl,
            pttl,
            expiretime,
            pexpiretime,
            persist,
        ]
    }

    private static var expire: CommandSpec {
        CommandSpec(
            "expire", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.keyspace, .write, .fast], since: "1.0.0", group: "generic",
            summary: "Lets a key expire after some seconds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("seconds", .integer),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "7.0.0",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                        ArgumentSpec("gt", .pureToken, token: "GT"),
                        ArgumentSpec("lt", .pureToken, token: "LT"),
                    ]),
            ],
            history: [("7.0.0", "NX, XX, GT, LT.")])
    }

    private static var pexpire: CommandSpec {
        CommandSpec(
            "pexpire", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.keyspace, .write, .fast], since: "2.6.0", group: "generic",
            summary: "Lets a key expire after some milliseconds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("milliseconds", .integer),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "7.0.0",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                        ArgumentSpec("gt", .pureToken, token: "GT"),
                        ArgumentSpec("lt", .pureToken, token: "LT"),
                    ]),
            ],
            history: [("7.0.0", "NX, XX, GT, LT.")])
    }

    private static var expireat: CommandSpec {
        CommandSpec(
            "expireat", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.keyspace, .write, .fast], since: "1.2.0", group: "generic",
            summary: "Lets a key expire at a Unix time in seconds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("unix-time-seconds", .unixTime),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "7.0.0",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                        ArgumentSpec("gt", .pureToken, token: "GT"),
                        ArgumentSpec("lt", .pureToken, token: "LT"),
                    ]),
            ],
            history: [("7.0.0", "NX, XX, GT, LT.")])
    }

    private static var pexpireat: CommandSpec {
        CommandSpec(
            "pexpireat", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.keyspace, .write, .fast], since: "2.6.0", group: "generic",
            summary: "Lets a key expire at a Unix time in milliseconds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("unix-time-milliseconds", .unixTime),
                ArgumentSpec(
                    "condition", .oneof, .optional, since: "7.0.0",
                    of: [
                        ArgumentSpec("nx", .pureToken, token: "NX"),
                        ArgumentSpec("xx", .pureToken, token: "XX"),
                        ArgumentSpec("gt", .pureToken, token: "GT"),
                        ArgumentSpec("lt", .pureToken, token: "LT"),
                    ]),
            ],
            history: [("7.0.0", "NX, XX, GT, LT.")])
    }

    private static var ttl: CommandSpec {
        CommandSpec(
            "ttl", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.keyspace, .read, .fast], since: "1.0.0", group: "generic",
            summary: "Tells how many seconds a key has left.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            history: [("2.8.0", "-2 for missing keys.")],
            tips: ["nondeterministic_output"])
    }

    private static var pttl: CommandSpec {
        CommandSpec(
            "pttl", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.keyspace, .read, .fast], since: "2.6.0", group: "generic",
            summary: "Tells how many milliseconds a key has left.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            history: [("2.8.0", "-2 for missing keys.")],
            tips: ["nondeterministic_output"])
    }

    private static var expiretime: CommandSpec {
        CommandSpec(
            "expiretime", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.keyspace, .read, .fast], since: "7.0.0", group: "generic",
            summary: "Tells the Unix time in seconds at which a key expires.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var pexpiretime: CommandSpec {
        CommandSpec(
            "pexpiretime", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.keyspace, .read, .fast], since: "7.0.0", group: "generic",
            summary: "Tells the Unix time in milliseconds at which a key expires.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var persist: CommandSpec {
        CommandSpec(
            "persist", arity: 2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.keyspace, .write, .fast], since: "2.2.0", group: "generic",
            summary: "Takes a key's expiry away.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }
}
