// Facts about strings as numbers, and LCS: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var numberSpecs: [CommandSpec] {
        [
            incr,
            decr,
            incrby,
            decrby,
            incrbyfloat,
            lcs,
        ]
    }

    private static var incr: CommandSpec {
        CommandSpec(
            "incr", arity: 2, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .string, .fast], since: "1.0.0", group: "string",
            summary: "Adds one to the integer at a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var decr: CommandSpec {
        CommandSpec(
            "decr", arity: 2, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .string, .fast], since: "1.0.0", group: "string",
            summary: "Takes one from the integer at a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var incrby: CommandSpec {
        CommandSpec(
            "incrby", arity: 3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .string, .fast], since: "1.0.0", group: "string",
            summary: "Adds an integer to the integer at a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("increment", .integer),
            ])
    }

    private static var decrby: CommandSpec {
        CommandSpec(
            "decrby", arity: 3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .string, .fast], since: "1.0.0", group: "string",
            summary: "Takes an integer from the integer at a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("decrement", .integer),
            ])
    }

    private static var incrbyfloat: CommandSpec {
        CommandSpec(
            "incrbyfloat", arity: 3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .string, .fast], since: "2.6.0", group: "string",
            summary: "Adds a decimal number to the number at a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("increment", .double),
            ])
    }

    private static var lcs: CommandSpec {
        CommandSpec(
            "lcs", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access], last: 1)],
            categories: [.read, .string, .slow], since: "7.0.0", group: "string",
            summary: "Finds a longest common subsequence of two strings.",
            complexity: "O(N*M), N and M bytes of the two strings",
            arguments: [
                ArgumentSpec("key1", .key, key: 0),
                ArgumentSpec("key2", .key, key: 0),
                ArgumentSpec("len", .pureToken, .optional, token: "LEN"),
                ArgumentSpec("idx", .pureToken, .optional, token: "IDX"),
                ArgumentSpec("len", .integer, .optional, token: "MINMATCHLEN"),
                ArgumentSpec("withmatchlen", .pureToken, .optional, token: "WITHMATCHLEN"),
            ])
    }
}
