// Facts about the commands that bring values to other servers and back: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var transferSpecs: [CommandSpec] { [dump, restore] }

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
