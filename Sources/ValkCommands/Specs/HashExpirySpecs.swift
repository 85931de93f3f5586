// Facts about the expiry of fields of hashes: what COMMAND INFO and COMMAND DOCS answer.
// The commands came with Redis 7.4 and 8.0, after the version whose behaviour is offered otherwise; the facts are those
// of their published pages.

extension CommandSpecs {
    /// Without handlers.
    static var hashExpirySpecs: [CommandSpec] {
        [
            hexpire,
            hpexpire,
            hexpireat,
            hpexpireat,
            httl,
            hpttl,
            hexpiretime,
            hpexpiretime,
            hpersist,
            hgetex,
            hsetex,
            hgetdel,
        ]
    }

    /// FIELDS, how many, and which.
    private static var fields: ArgumentSpec {
        ArgumentSpec(
            "fields", .block, token: "FIELDS",
            of: [
                ArgumentSpec("numfields", .integer),
                ArgumentSpec("field", .string, .multiple),
            ])
    }

    /// When an expiry is set, judged by the one that the field has.
    private static var condition: ArgumentSpec {
        ArgumentSpec(
            "condition", .oneof, .optional,
            of: [
                ArgumentSpec("nx", .pureToken, token: "NX"),
                ArgumentSpec("xx", .pureToken, token: "XX"),
                ArgumentSpec("gt", .pureToken, token: "GT"),
                ArgumentSpec("lt", .pureToken, token: "LT"),
            ])
    }

    /// When the fields expire, or that they keep or lose their expiry.
    private static func expiration(_ other: String) -> ArgumentSpec {
        ArgumentSpec(
            "expiration", .oneof, .optional,
            of: [
                ArgumentSpec("seconds", .integer, token: "EX"),
                ArgumentSpec("milliseconds", .integer, token: "PX"),
                ArgumentSpec("unix-time-seconds", .unixTime, token: "EXAT"),
                ArgumentSpec("unix-time-milliseconds", .unixTime, token: "PXAT"),
                ArgumentSpec(other.lowercased(), .pureToken, token: other),
            ])
    }

    static var hexpire: CommandSpec {
        CommandSpec(
            "hexpire", arity: -6, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Lets fields of a hash expire after some seconds.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("seconds", .integer),
                condition,
                fields,
            ])
    }

    static var hpexpire: CommandSpec {
        CommandSpec(
            "hpexpire", arity: -6, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Lets fields of a hash expire after some milliseconds.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("milliseconds", .integer),
                condition,
                fields,
            ])
    }

    static var hexpireat: CommandSpec {
        CommandSpec(
            "hexpireat", arity: -6, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Lets fields of a hash expire at a Unix time in seconds.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("unix-time-seconds", .unixTime),
                condition,
                fields,
            ])
    }

    static var hpexpireat: CommandSpec {
        CommandSpec(
            "hpexpireat", arity: -6, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Lets fields of a hash expire at a Unix time in milliseconds.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("unix-time-milliseconds", .unixTime),
                condition,
                fields,
            ])
    }

    static var httl: CommandSpec {
        CommandSpec(
            "httl", arity: -5, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Tells how many seconds fields of a hash have left.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                fields,
            ],
            tips: ["nondeterministic_output"])
    }

    static var hpttl: CommandSpec {
        CommandSpec(
            "hpttl", arity: -5, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Tells how many milliseconds fields of a hash have left.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                fields,
            ],
            tips: ["nondeterministic_output"])
    }

    static var hexpiretime: CommandSpec {
        CommandSpec(
            "hexpiretime", arity: -5, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Tells the Unix times in seconds at which fields of a hash expire.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                fields,
            ])
    }

    static var hpexpiretime: CommandSpec {
        CommandSpec(
            "hpexpiretime", arity: -5, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Tells the Unix times in milliseconds at which fields of a hash expire.",
            complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                fields,
            ])
    }

    static var hpersist: CommandSpec {
        CommandSpec(
            "hpersist", arity: -5, flags: [.write, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "7.4.0", group: "hash",
            summary: "Takes the expiry of fields of a hash away.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                fields,
            ])
    }

    static var hgetex: CommandSpec {
        CommandSpec(
            "hgetex", arity: -5, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .update], notes: "Writes the key only when an expiry changes.")],
            categories: [.write, .hash, .fast], since: "8.0.0", group: "hash",
            summary: "Reads fields of a hash and changes their expiry if wanted.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                expiration("PERSIST"),
                fields,
            ])
    }

    static var hsetex: CommandSpec {
        CommandSpec(
            "hsetex", arity: -6, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .hash, .fast], since: "8.0.0", group: "hash",
            summary: "Sets fields of a hash to values, with a condition and an expiry if wanted.",
            complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "condition", .oneof, .optional,
                    of: [
                        ArgumentSpec("fnx", .pureToken, token: "FNX"),
                        ArgumentSpec("fxx", .pureToken, token: "FXX"),
                    ]),
                expiration("KEEPTTL"),
                ArgumentSpec(
                    "fields", .block, token: "FIELDS",
                    of: [
                        ArgumentSpec("numfields", .integer),
                        ArgumentSpec(
                            "data", .block, .multiple,
                            of: [ArgumentSpec("field", .string), ArgumentSpec("value", .string)]),
                    ]),
            ])
    }

    static var hgetdel: CommandSpec {
        CommandSpec(
            "hgetdel", arity: -5, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .hash, .fast], since: "8.0.0", group: "hash",
            summary: "Reads fields of a hash and deletes them.", complexity: "O(N), N fields",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                fields,
            ])
    }
}
