// Facts about the commands that bring values to other servers and back: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var transferSpecs: [CommandSpec] { [dump, restore] }

    /// Run by the server: without handlers.
    static var migrationSpecs: [CommandSpec] { [migrate] }

    private static var migrate: CommandSpec {
        CommandSpec(
            "migrate", arity: -6, flags: [.write, .movableKeys, .allKeys, .namesKeysAnywhere, .lengthy],
            keys: [
                .at(3, [.rw, .access, .delete]),
                KeySpec(
                    [.rw, .access, .delete, .incomplete], begin: .keyword("KEYS", startFrom: -2),
                    find: .range(last: -1, step: 1, limit: 0)),
            ],
            categories: [.keyspace, .write, .slow, .dangerous], since: "2.6.0", group: "generic",
            summary: "Brings keys to another server and removes them here.",
            complexity: "O(N) where N is the length of all values, and the way there and back",
            arguments: [
                ArgumentSpec("host", .string),
                ArgumentSpec("port", .integer),
                ArgumentSpec(
                    "key_or_empty_string", .oneof,
                    of: [ArgumentSpec("key", .key, key: 0), ArgumentSpec("empty_string", .pureToken, token: "")]),
                ArgumentSpec("destination-db", .integer),
                ArgumentSpec("timeout", .integer),
                ArgumentSpec("copy", .pureToken, .optional, token: "COPY", since: "3.0.0"),
                ArgumentSpec("replace", .pureToken, .optional, token: "REPLACE", since: "3.0.0"),
                ArgumentSpec(
                    "authentication", .oneof, .optional,
                    of: [
                        ArgumentSpec("password", .string, .optional, token: "AUTH", since: "4.0.7"),
                        ArgumentSpec(
                            "username_password", .block, .optional, token: "AUTH2", since: "6.0.0",
                            of: [ArgumentSpec("username", .string), ArgumentSpec("password", .string)]),
                    ]),
                ArgumentSpec("key", .key, [.optional, .multiple], token: "KEYS", key: 1, since: "3.0.6"),
            ],
            history: [
                ("3.0.0", "COPY and REPLACE."), ("3.0.6", "KEYS."), ("4.0.7", "AUTH."), ("6.0.0", "AUTH2."),
            ],
            tips: ["nondeterministic_output"])
    }

    private static var dump: CommandSpec {
        CommandSpec(
            "dump", arity: 2, flags: [.readonly], keys: [.at(1, [.ro, .access])],
            categories: [.keyspace, .read, .slow], since: "2.6.0", group: "generic",
            summary: "Returns a value as bytes that RESTORE takes.", complexity: "O(N) where N is the value's length",
            arguments: [ArgumentSpec("key", .key, key: 0)], tips: ["nondeterministic_output"])
    }

    private static var restore: CommandSpec {
        CommandSpec(
            "restore", arity: -4, flags: [.write, .denyoom], keys: [.at(1, [.ow, .update])],
            categories: [.keyspace, .write, .slow, .dangerous], since: "2.6.0", group: "generic",
            summary: "Makes a key of bytes that DUMP returned.", complexity: "O(N) where N is the value's length",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("ttl", .integer),
                ArgumentSpec("serialized-value", .string),
                ArgumentSpec("replace", .pureToken, .optional, token: "REPLACE", since: "3.0.0"),
                ArgumentSpec("absttl", .pureToken, .optional, token: "ABSTTL", since: "5.0.0"),
                ArgumentSpec("seconds", .integer, .optional, token: "IDLETIME", since: "5.0.0"),
                ArgumentSpec("frequency", .integer, .optional, token: "FREQ", since: "5.0.0"),
            ],
            history: [("3.0.0", "REPLACE."), ("5.0.0", "ABSTTL."), ("5.0.0", "IDLETIME and FREQ.")])
    }
}
