// Facts about the commands of lists: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var listSpecs: [CommandSpec] {
        [
            lpush,
            rpush,
            lpushx,
            rpushx,
            lpop,
            rpop,
            llen,
            lindex,
            lset,
            linsert,
            lrange,
            ltrim,
            lrem,
            lpos,
            lmove,
            rpoplpush,
            lmpop,
        ]
    }

    /// Which end an element is taken from.
    private static var from: ArgumentSpec {
        ArgumentSpec(
            "wherefrom", .oneof,
            of: [
                ArgumentSpec("left", .pureToken, token: "LEFT"),
                ArgumentSpec("right", .pureToken, token: "RIGHT"),
            ])
    }

    /// Which end it is put to.
    private static var to: ArgumentSpec {
        ArgumentSpec(
            "whereto", .oneof,
            of: [
                ArgumentSpec("left", .pureToken, token: "LEFT"),
                ArgumentSpec("right", .pureToken, token: "RIGHT"),
            ])
    }

    /// Which end elements are taken from.
    private static var end: ArgumentSpec {
        ArgumentSpec(
            "where", .oneof,
            of: [
                ArgumentSpec("left", .pureToken, token: "LEFT"),
                ArgumentSpec("right", .pureToken, token: "RIGHT"),
            ])
    }

    static var lpush: CommandSpec {
        CommandSpec(
            "lpush", arity: -3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .list, .fast], since: "1.0.0", group: "list",
            summary: "Puts elements in front of a list.", complexity: "O(N), N elements",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("element", .string, .multiple),
            ],
            history: [("2.4.0", "Several elements.")])
    }

    static var rpush: CommandSpec {
        CommandSpec(
            "rpush", arity: -3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .list, .fast], since: "1.0.0", group: "list",
            summary: "Puts elements at the end of a list.", complexity: "O(N), N elements",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("element", .string, .multiple),
            ],
            history: [("2.4.0", "Several elements.")])
    }

    static var lpushx: CommandSpec {
        CommandSpec(
            "lpushx", arity: -3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .list, .fast], since: "2.2.0", group: "list",
            summary: "Puts elements in front of a list that exists.", complexity: "O(N), N elements",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("element", .string, .multiple),
            ],
            history: [("4.0.0", "Several elements.")])
    }

    static var rpushx: CommandSpec {
        CommandSpec(
            "rpushx", arity: -3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .list, .fast], since: "2.2.0", group: "list",
            summary: "Puts elements at the end of a list that exists.", complexity: "O(N), N elements",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("element", .string, .multiple),
            ],
            history: [("4.0.0", "Several elements.")])
    }

    static var lpop: CommandSpec {
        CommandSpec(
            "lpop", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .list, .fast], since: "1.0.0", group: "list",
            summary: "Takes elements from the front of a list.", complexity: "O(N), N elements taken",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional, since: "6.2.0"),
            ],
            history: [("6.2.0", "The count.")])
    }

    static var rpop: CommandSpec {
        CommandSpec(
            "rpop", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .list, .fast], since: "1.0.0", group: "list",
            summary: "Takes elements from the end of a list.", complexity: "O(N), N elements taken",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional, since: "6.2.0"),
            ],
            history: [("6.2.0", "The count.")])
    }

    static var llen: CommandSpec {
        CommandSpec(
            "llen", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .list, .fast], since: "1.0.0", group: "list",
            summary: "Counts the elements of a list.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    static var lindex: CommandSpec {
        CommandSpec(
            "lindex", arity: 3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .list, .slow], since: "1.0.0", group: "list",
            summary: "Reads the element of a list at a position.",
            complexity: "O(N), N elements up to it from the nearer end",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("index", .integer),
            ])
    }

    static var lset: CommandSpec {
        CommandSpec(
            "lset", arity: 4, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .update])],
            categories: [.write, .list, .slow], since: "1.0.0", group: "list",
            summary: "Replaces the element of a list at a position.",
            complexity: "O(N), N elements up to it from the nearer end",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("index", .integer),
                ArgumentSpec("element", .string),
            ])
    }

    static var linsert: CommandSpec {
        CommandSpec(
            "linsert", arity: 5, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .list, .slow], since: "2.2.0", group: "list",
            summary: "Puts an element before or after another one of a list.",
            complexity: "O(N), N elements of the list",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec(
                    "where", .oneof,
                    of: [
                        ArgumentSpec("before", .pureToken, token: "BEFORE"),
                        ArgumentSpec("after", .pureToken, token: "AFTER"),
                    ]),
                ArgumentSpec("pivot", .string),
                ArgumentSpec("element", .string),
            ])
    }

    static var lrange: CommandSpec {
        CommandSpec(
            "lrange", arity: 4, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .list, .slow], since: "1.0.0", group: "list",
            summary: "Reads the elements of a list between two positions.",
            complexity: "O(S+N), S elements before the range and N of it",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .integer),
                ArgumentSpec("stop", .integer),
            ])
    }

    static var ltrim: CommandSpec {
        CommandSpec(
            "ltrim", arity: 4, flags: [.write],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .list, .slow], since: "1.0.0", group: "list",
            summary: "Keeps of a list what lies between two positions.", complexity: "O(N), N elements removed",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("start", .integer),
                ArgumentSpec("stop", .integer),
            ])
    }

    static var lrem: CommandSpec {
        CommandSpec(
            "lrem", arity: 4, flags: [.write],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .list, .slow], since: "1.0.0", group: "list",
            summary: "Removes the elements of a list that equal a value.", complexity: "O(N), N elements of the list",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer),
                ArgumentSpec("element", .string),
            ])
    }

    static var lpos: CommandSpec {
        CommandSpec(
            "lpos", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .list, .slow], since: "6.0.6", group: "list",
            summary: "Finds the positions of a value in a list.", complexity: "O(N), N elements of the list",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("element", .string),
                ArgumentSpec("rank", .integer, .optional, token: "RANK"),
                ArgumentSpec("num-matches", .integer, .optional, token: "COUNT"),
                ArgumentSpec("len", .integer, .optional, token: "MAXLEN"),
            ])
    }

    static var lmove: CommandSpec {
        CommandSpec(
            "lmove", arity: 5, flags: [.write, .denyoom],
            keys: [
                .at(1, [.rw, .access, .delete]),
                .at(2, [.rw, .insert]),
            ],
            categories: [.write, .list, .slow], since: "6.2.0", group: "list",
            summary: "Moves an element from one end of a list to an end of another.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("source", .key, key: 0),
                ArgumentSpec("destination", .key, key: 1),
                from,
                to,
            ])
    }

    static var rpoplpush: CommandSpec {
        CommandSpec(
            "rpoplpush", arity: 3, flags: [.write, .denyoom],
            keys: [
                .at(1, [.rw, .access, .delete]),
                .at(2, [.rw, .insert]),
            ],
            categories: [.write, .list, .slow], since: "1.2.0", group: "list",
            summary: "Moves the last element of a list to the front of another.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("source", .key, key: 0),
                ArgumentSpec("destination", .key, key: 1),
            ],
            docFlags: ["deprecated"],
            deprecatedSince: "6.2.0",
            replacedBy: "`LMOVE` with the `RIGHT` and `LEFT` arguments")
    }

    static var lmpop: CommandSpec {
        CommandSpec(
            "lmpop", arity: -4, flags: [.write, .movableKeys],
            keys: [
                KeySpec([.rw, .access, .delete], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))
            ],
            categories: [.write, .list, .slow], since: "7.0.0", group: "list",
            summary: "Takes elements from the first of several lists that has any.",
            complexity: "O(N+M), N keys and M elements taken",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                end,
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ])
    }
}
