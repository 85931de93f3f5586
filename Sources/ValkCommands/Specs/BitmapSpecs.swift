// Facts about the bitmap commands: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var bitmapSpecs: [CommandSpec] { [setbit, getbit, bitcount, bitpos, bitop, bitfield, bitfieldRO] }

    private static var setbit: CommandSpec {
        CommandSpec(
            "setbit", arity: 4, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.write, .bitmap, .slow], since: "2.2.0", group: "bitmap",
            summary: "Sets or clears one bit of a string and answers what it was.",
            complexity: "O(N) with the length of the string, which is written anew",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("offset", .integer),
                ArgumentSpec("value", .integer),
            ])
    }

    private static var getbit: CommandSpec {
        CommandSpec(
            "getbit", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .bitmap, .fast], since: "2.2.0", group: "bitmap",
            summary: "Reads one bit of a string.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("offset", .integer),
            ])
    }

    /// BYTE or BIT.
    private static var unit: ArgumentSpec {
        ArgumentSpec(
            "index_unit", .oneof, .optional, since: "7.0.0",
            of: [
                ArgumentSpec("byte", .pureToken, token: "BYTE"),
                ArgumentSpec("bit", .pureToken, token: "BIT"),
            ])
    }

    private static var bitcount: CommandSpec {
        CommandSpec(
            "bitcount", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .bitmap, .slow], since: "2.6.0", group: "bitmap",
            summary: "Counts the bits of a string that are set.", complexity: "O(N)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "index", .block, .optional,
                    of: [ArgumentSpec("start", .integer), ArgumentSpec("end", .integer), unit]),
            ],
            history: [("7.0.0", "BYTE, BIT.")])
    }

    private static var bitpos: CommandSpec {
        CommandSpec(
            "bitpos", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .bitmap, .slow], since: "2.8.7", group: "bitmap",
            summary: "Finds the first bit of a string that is set, or that is not.", complexity: "O(N)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("bit", .integer),
                ArgumentSpec(
                    "index", .block, .optional,
                    of: [
                        ArgumentSpec("start", .integer),
                        ArgumentSpec(
                            "end_index", .block, .optional, of: [ArgumentSpec("end", .integer), unit]),
                    ]),
            ],
            history: [("7.0.0", "BYTE, BIT.")])
    }

    private static var bitop: CommandSpec {
        CommandSpec(
            "bitop", arity: -4, flags: [.write, .denyoom],
            keys: [.at(2, [.ow, .update]), .at(3, [.ro, .access], last: -1)],
            categories: [.write, .bitmap, .slow], since: "2.6.0", group: "bitmap",
            summary: "Combines strings bit by bit and stores the outcome.", complexity: "O(N)",
            arguments: [
                ArgumentSpec("operation", .string),
                ArgumentSpec("destkey", .key, key: 0),
                ArgumentSpec("key", .key, .multiple, key: 1),
            ])
    }

    private static func field(_ name: String, token: String, _ third: String? = nil) -> ArgumentSpec {
        ArgumentSpec(
            name, .block, token: token,
            of: [ArgumentSpec("encoding", .string), ArgumentSpec("offset", .integer)]
                + (third.map { [ArgumentSpec($0, .integer)] } ?? []))
    }

    private static var bitfield: CommandSpec {
        CommandSpec(
            "bitfield", arity: -2, flags: [.write, .denyoom],
            keys: [
                .at(
                    1, [.rw, .access, .update, .variableFlags],
                    notes: "This command allows both access and modification of the key")
            ],
            categories: [.write, .bitmap, .slow], since: "3.2.0", group: "bitmap",
            summary: "Reads, sets and increments integers of any width in a string.",
            complexity: "O(1) for each operation",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "operation", .oneof, [.optional, .multiple],
                    of: [
                        field("encoding_offset", token: "GET"),
                        ArgumentSpec(
                            "write", .block,
                            of: [
                                ArgumentSpec(
                                    "wrap_sat_fail", .oneof, .optional, token: "OVERFLOW",
                                    of: [
                                        ArgumentSpec("wrap", .pureToken, token: "WRAP"),
                                        ArgumentSpec("sat", .pureToken, token: "SAT"),
                                        ArgumentSpec("fail", .pureToken, token: "FAIL"),
                                    ]),
                                ArgumentSpec(
                                    "write_operation", .oneof,
                                    of: [
                                        field("encoding_offset_value", token: "SET", "value"),
                                        field("encoding_offset_increment", token: "INCRBY", "increment"),
                                    ]),
                            ]),
                    ]),
            ])
    }

    private static var bitfieldRO: CommandSpec {
        CommandSpec(
            "bitfield_ro", arity: -2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .bitmap, .fast], since: "6.0.0", group: "bitmap",
            summary: "Reads integers of any width in a string.", complexity: "O(1) for each operation",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "encoding_offset", .block, [.optional, .multiple, .multipleToken], token: "GET",
                    of: [ArgumentSpec("encoding", .string), ArgumentSpec("offset", .integer)]),
            ])
    }
}
