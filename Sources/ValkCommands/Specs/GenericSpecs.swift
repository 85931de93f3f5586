// Facts about the commands about keys: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var genericSpecs: [CommandSpec] {
        [
            del,
            unlink,
            exists,
            type,
            touch,
            rename,
            renamenx,
            copy,
            move,
            swapdb,
            dbsize,
            flushdb,
            flushall,
            object,
            memory,
        ]
    }

    private static var del: CommandSpec {
        CommandSpec(
            "del", arity: -2, flags: [.write],
            keys: [.at(1, [.rm, .delete], last: -1)],
            categories: [.keyspace, .write, .slow], since: "1.0.0", group: "generic",
            summary: "Deletes keys.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["request_policy:multi_shard", "response_policy:agg_sum"])
    }

    private static var unlink: CommandSpec {
        CommandSpec(
            "unlink", arity: -2, flags: [.write, .fast],
            keys: [.at(1, [.rm, .delete], last: -1)],
            categories: [.keyspace, .write, .fast], since: "4.0.0", group: "generic",
            summary: "Deletes keys; space is given back in the background, as it always is here.",
            complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["request_policy:multi_shard", "response_policy:agg_sum"])
    }

    private static var exists: CommandSpec {
        CommandSpec(
            "exists", arity: -2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro], last: -1)],
            categories: [.keyspace, .read, .fast], since: "1.0.0", group: "generic",
            summary: "Counts how many of the given keys are there.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            history: [("3.0.3", "Several keys.")],
            tips: ["request_policy:multi_shard", "response_policy:agg_sum"])
    }

    private static var type: CommandSpec {
        CommandSpec(
            "type", arity: 2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro])],
            categories: [.keyspace, .read, .fast], since: "1.0.0", group: "generic",
            summary: "Tells which type of value a key holds.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ])
    }

    private static var touch: CommandSpec {
        CommandSpec(
            "touch", arity: -2, flags: [.readonly, .fast],
            keys: [.at(1, [.ro], last: -1)],
            categories: [.keyspace, .read, .fast], since: "3.2.1", group: "generic",
            summary: "Counts how many of the given keys are there and marks them as used.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("key", .key, .multiple, key: 0)
            ],
            tips: ["request_policy:multi_shard", "response_policy:agg_sum"])
    }

    private static var rename: CommandSpec {
        CommandSpec(
            "rename", arity: 3, flags: [.write],
            keys: [.at(1, [.rw, .access, .delete]), .at(2, [.ow, .update])],
            categories: [.keyspace, .write, .slow], since: "1.0.0", group: "generic",
            summary: "Gives a key another name, replacing what has that name.",
            complexity: "O(N), N bytes of the value",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("newkey", .key, key: 1),
            ])
    }

    private static var renamenx: CommandSpec {
        CommandSpec(
            "renamenx", arity: 3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .delete]), .at(2, [.ow, .insert])],
            categories: [.keyspace, .write, .fast], since: "1.0.0", group: "generic",
            summary: "Gives a key another name unless that is taken.", complexity: "O(N), N bytes of the value",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("newkey", .key, key: 1),
            ],
            history: [("3.2.0", "Equal names are no error.")])
    }

    private static var copy: CommandSpec {
        CommandSpec(
            "copy", arity: -3, flags: [.write, .denyoom],
            keys: [.at(1, [.ro, .access]), .at(2, [.ow, .update])],
            categories: [.keyspace, .write, .slow], since: "6.2.0", group: "generic",
            summary: "Copies a key's value to another key.", complexity: "O(N), N bytes of the value",
            arguments: [
                ArgumentSpec("source", .key, key: 0),
                ArgumentSpec("destination", .key, key: 1),
                ArgumentSpec("destination-db", .integer, .optional, token: "DB"),
                ArgumentSpec("replace", .pureToken, .optional, token: "REPLACE"),
            ])
    }

    private static var move: CommandSpec {
        CommandSpec(
            "move", arity: 3, flags: [.write, .fast],
            keys: [.at(1, [.rw, .access, .update])],
            categories: [.keyspace, .write, .fast], since: "1.0.0", group: "generic",
            summary: "Moves a key to another database.", complexity: "O(N), N bytes of the value",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("db", .integer),
            ])
    }

    private static var swapdb: CommandSpec {
        CommandSpec(
            "swapdb", arity: 3, flags: [.write, .fast, .allKeys],
            categories: [.keyspace, .write, .fast, .dangerous], since: "4.0.0", group: "server",
            summary: "Exchanges two databases.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("index1", .integer),
                ArgumentSpec("index2", .integer),
            ])
    }

    private static var dbsize: CommandSpec {
        CommandSpec(
            "dbsize", arity: 1, flags: [.readonly, .fast, .lengthy],
            categories: [.keyspace, .read, .fast], since: "1.0.0", group: "server",
            summary: "Counts the keys of the selected database.",
            complexity: "O(1), or O(N) once after N writes that did not look at their keys",
            tips: ["request_policy:all_shards", "response_policy:agg_sum"])
    }

    private static var flushdb: CommandSpec {
        CommandSpec(
            "flushdb", arity: -1, flags: [.write, .allKeys],
            categories: [.keyspace, .write, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Removes all keys of the selected database.",
            complexity: "O(1); space is given back in the background",
            arguments: [
                ArgumentSpec(
                    "async", .oneof, .optional,
                    of: [
                        ArgumentSpec("async", .pureToken, token: "ASYNC", since: "4.0.0"),
                        ArgumentSpec("sync", .pureToken, token: "SYNC", since: "6.2.0"),
                    ])
            ],
            history: [("4.0.0", "ASYNC."), ("6.2.0", "SYNC.")],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var flushall: CommandSpec {
        CommandSpec(
            "flushall", arity: -1, flags: [.write, .allKeys],
            categories: [.keyspace, .write, .slow, .dangerous], since: "1.0.0", group: "server",
            summary: "Removes all keys of all databases.",
            complexity: "O(N), N databases; space is given back in the background",
            arguments: [
                ArgumentSpec(
                    "async", .oneof, .optional,
                    of: [
                        ArgumentSpec("async", .pureToken, token: "ASYNC", since: "4.0.0"),
                        ArgumentSpec("sync", .pureToken, token: "SYNC", since: "6.2.0"),
                    ])
            ],
            history: [("4.0.0", "ASYNC."), ("6.2.0", "SYNC.")],
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var object: CommandSpec {
        CommandSpec(
            "object", arity: -2,
            categories: [.slow], since: "2.2.3", group: "generic",
            summary: "Groups the commands that tell how values are held.", complexity: "Depends on the subcommand",
            subcommands: [objectEncoding, objectFreq, objectHelp, objectIdletime, objectRefcount])
    }

    private static var objectEncoding: CommandSpec {
        CommandSpec(
            "encoding", arity: 3, flags: [.readonly],
            keys: [.at(2, [.ro])],
            categories: [.keyspace, .read, .slow], since: "2.2.3", group: "generic",
            summary: "Tells how Redis would hold the value of a key.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output"])
    }

    private static var objectFreq: CommandSpec {
        CommandSpec(
            "freq", arity: 3, flags: [.readonly],
            keys: [.at(2, [.ro])],
            categories: [.keyspace, .read, .slow], since: "4.0.0", group: "generic",
            summary: "Tells how often a key is used; needs an LFU policy.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output"])
    }

    private static var objectHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.keyspace, .slow], since: "6.2.0", group: "generic",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var objectIdletime: CommandSpec {
        CommandSpec(
            "idletime", arity: 3, flags: [.readonly],
            keys: [.at(2, [.ro])],
            categories: [.keyspace, .read, .slow], since: "2.2.3", group: "generic",
            summary: "Tells for how many seconds a key has not been used.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output"])
    }

    private static var objectRefcount: CommandSpec {
        CommandSpec(
            "refcount", arity: 3, flags: [.readonly],
            keys: [.at(2, [.ro])],
            categories: [.keyspace, .read, .slow], since: "2.2.3", group: "generic",
            summary: "Tells how many references a value has.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0)
            ],
            tips: ["nondeterministic_output"])
    }

    private static var memory: CommandSpec {
        CommandSpec(
            "memory", arity: -2,
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Groups the commands about memory.", complexity: "Depends on the subcommand",
            subcommands: [memoryDoctor, memoryHelp, memoryMallocStats, memoryPurge, memoryStats, memoryUsage])
    }

    private static var memoryDoctor: CommandSpec {
        CommandSpec(
            "doctor", arity: 2,
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Looks for memory problems and reports in words.", complexity: "O(1)",
            tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
    }

    private static var memoryHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var memoryMallocStats: CommandSpec {
        CommandSpec(
            "malloc-stats", arity: 2,
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Shows what the allocator says of itself.", complexity: "Depends on the allocator",
            tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
    }

    private static var memoryPurge: CommandSpec {
        CommandSpec(
            "purge", arity: 2,
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Asks the allocator to give free memory back.", complexity: "Depends on the allocator",
            tips: ["request_policy:all_shards", "response_policy:all_succeeded"])
    }

    private static var memoryStats: CommandSpec {
        CommandSpec(
            "stats", arity: 2,
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Shows what memory is used for.", complexity: "O(1)",
            tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
    }

    private static var memoryUsage: CommandSpec {
        CommandSpec(
            "usage", arity: -3, flags: [.readonly],
            keys: [.at(2, [.ro])],
            categories: [.read, .slow], since: "4.0.0", group: "server",
            summary: "Estimates the bytes that a key and its value take.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("count", .integer, .optional, token: "SAMPLES"),
            ])
    }
}
