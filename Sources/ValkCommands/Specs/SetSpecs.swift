// Facts about the commands of sets: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var setSpecs: [CommandSpec] {
        [
            sadd,
            srem,
            scard,
            sismember,
            smismember,
            smembers,
            smove,
            spop,
            srandmember,
            sinter,
            sintercard,
            sinterstore,
            sunion,
            sunionstore,
            sdiff,
            sdiffstore,
            sscan,
        ]
    }

    static var sadd: CommandSpec {
        CommandSpec(
            "sadd", arity: -3, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .set, .fast], since: "1.0.0", group: "set",
            summary: "Adds members to a set.", complexity: "O(N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ],
            history: [("2.4.0", "Several members.")])
    }

    static var srem: CommandSpec {
        CommandSpec(
            "srem", arity: -3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .delete])],
            categories: [.write, .set, .fast], since: "1.0.0", group: "set",
            summary: "Removes members from a set.", complexity: "O(N), N members",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ],
            history: [("2.4.0", "Several members.")])
    }

    static var scard: CommandSpec {
        CommandSpec(
            "scard", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .set, .fast], since: "1.0.0", group: "set",
            summary: "Counts the members of a set.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    static var sismember: CommandSpec {
        CommandSpec(
            "sismember", arity: 3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.read, .set, .fast], since: "1.0.0", group: "set",
            summary: "Tells whether a set has a member.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string),
            ])
    }

    static var smismember: CommandSpec {
        CommandSpec(
            "smismember", arity: -3, flags: [.readonly, .fast],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .set, .fast], since: "6.2.0", group: "set",
            summary: "Tells of several members whether a set has them.", complexity: "O(N), N members asked about",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("member", .string, .multiple),
            ])
    }

    static var smembers: CommandSpec {
        CommandSpec(
            "smembers", arity: 2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .set, .slow], since: "1.0.0", group: "set",
            summary: "Lists the members of a set.", complexity: "O(N), N members of the set",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var smove: CommandSpec {
        CommandSpec(
            "smove", arity: 4, flags: [.write, .fast],
            keys: [
                .at(1, [.rw, .access, .delete]),
                .at(2, [.rw, .insert]),
            ],
            categories: [.write, .set, .fast], since: "1.0.0", group: "set",
            summary: "Moves a member from one set to another.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("source", .key, key: 0),
                ArgumentSpec("destination", .key, key: 1),
                ArgumentSpec("member", .string),
            ])
    }

    static var spop: CommandSpec {
        CommandSpec(
            "spop", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete])],
            categories: [.write, .set, .fast], since: "1.0.0", group: "set",
            summary: "Takes members drawn at random from a set.", complexity: "O(N), N members taken",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional, since: "3.2.0"),
            ],
            history: [("3.2.0", "The count.")],
            tips: ["nondeterministic_output"])
    }

    static var srandmember: CommandSpec {
        CommandSpec(
            "srandmember", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .set, .slow], since: "1.0.0", group: "set",
            summary: "Answers members of a set drawn at random.", complexity: "O(N), N members drawn",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional, since: "2.6.0"),
            ],
            history: [("2.6.0", "The count.")],
            tips: ["nondeterministic_output"])
    }

    static var sinter: CommandSpec {
        CommandSpec(
            "sinter", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access], last: -1)],
            categories: [.read, .set, .slow], since: "1.0.0", group: "set",
            summary: "Lists the members that all of the sets have.",
            complexity: "O(N*M), N members of the smallest set and M sets",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var sintercard: CommandSpec {
        CommandSpec(
            "sintercard", arity: -3, flags: [.readonly, .movableKeys],
            keys: [KeySpec([.ro, .access], begin: .index(1), find: .keyCount(countIndex: 0, first: 1, step: 1))],
            categories: [.read, .set, .slow], since: "7.0.0", group: "set",
            summary: "Counts the members that all of the sets have.",
            complexity: "O(N*M), N members of the smallest set and M sets",
            arguments: [
                ArgumentSpec("numkeys", .integer),
                ArgumentSpec("key", .key, .multiple, key: 0),
                ArgumentSpec("limit", .integer, .optional, token: "LIMIT"),
            ])
    }

    static var sinterstore: CommandSpec {
        CommandSpec(
            "sinterstore", arity: -3, flags: [.write, .denyoom],
            keys: [
                .at(1, [.rw, .update]),
                .at(2, [.ro, .access], last: -1),
            ],
            categories: [.write, .set, .slow], since: "1.0.0", group: "set",
            summary: "Stores the members that all of the sets have.",
            complexity: "O(N*M), N members of the smallest set and M sets",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("key", .key, .multiple, key: 1),
            ])
    }

    static var sunion: CommandSpec {
        CommandSpec(
            "sunion", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access], last: -1)],
            categories: [.read, .set, .slow], since: "1.0.0", group: "set",
            summary: "Lists the members that any of the sets has.", complexity: "O(N), N members of all sets",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var sunionstore: CommandSpec {
        CommandSpec(
            "sunionstore", arity: -3, flags: [.write, .denyoom],
            keys: [
                .at(1, [.ow, .update]),
                .at(2, [.ro, .access], last: -1),
            ],
            categories: [.write, .set, .slow], since: "1.0.0", group: "set",
            summary: "Stores the members that any of the sets has.", complexity: "O(N), N members of all sets",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("key", .key, .multiple, key: 1),
            ])
    }

    static var sdiff: CommandSpec {
        CommandSpec(
            "sdiff", arity: -2, flags: [.readonly],
            keys: [.at(1, [.ro, .access], last: -1)],
            categories: [.read, .set, .slow], since: "1.0.0", group: "set",
            summary: "Lists the members that only the first of the sets has.",
            complexity: "O(N), N members of all sets",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["nondeterministic_output_order"])
    }

    static var sdiffstore: CommandSpec {
        CommandSpec(
            "sdiffstore", arity: -3, flags: [.write, .denyoom],
            keys: [
                .at(1, [.ow, .update]),
                .at(2, [.ro, .access], last: -1),
            ],
            categories: [.write, .set, .slow], since: "1.0.0", group: "set",
            summary: "Stores the members that only the first of the sets has.",
            complexity: "O(N), N members of all sets",
            arguments: [
                ArgumentSpec("destination", .key, key: 0),
                ArgumentSpec("key", .key, .multiple, key: 1),
            ])
    }

    static var sscan: CommandSpec {
        CommandSpec(
            "sscan", arity: -3, flags: [.readonly],
            keys: [.at(1, [.ro, .access])],
            categories: [.read, .set, .slow], since: "2.8.0", group: "set",
            summary: "Walks through the members of a set step by step.",
            complexity: "O(N), N being COUNT; a whole walk looks at each member once",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("cursor", .integer),
                ArgumentSpec("pattern", .pattern, .optional, token: "MATCH"),
                ArgumentSpec("count", .integer, .optional, token: "COUNT"),
            ],
            tips: ["nondeterministic_output"])
    }
}
