// Facts about the HyperLogLog commands: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var hyperLogLogSpecs: [CommandSpec] { [pfadd, pfcount, pfmerge, pfdebug, pfselftest] }

    private static var pfadd: CommandSpec {
        CommandSpec(
            "pfadd", arity: -2, flags: [.write, .denyoom, .fast],
            keys: [.at(1, [.rw, .insert])],
            categories: [.write, .hyperloglog, .fast], since: "2.8.9", group: "hyperloglog",
            summary: "Adds elements to what a HyperLogLog counts.", complexity: "O(1) for each element",
            arguments: [
                ArgumentSpec("key", .key, key: 0),
                ArgumentSpec("element", .string, [.optional, .multiple]),
            ])
    }

    private static var pfcount: CommandSpec {
        CommandSpec(
            "pfcount", arity: -2, flags: [.readonly, .seesWholeWrites, .mayReplicate],
            keys: [
                .at(
                    1, [.rw, .access], last: -1,
                    notes: "RW because it may change the internal representation of the key, and propagate to replicas")
            ],
            categories: [.read, .hyperloglog, .slow], since: "2.8.9", group: "hyperloglog",
            summary: "Estimates how many different elements one or several HyperLogLogs have counted.",
            complexity: "O(1) for one key, O(N) for several",
            arguments: [ArgumentSpec("key", .key, .multiple, key: 0)])
    }

    private static var pfmerge: CommandSpec {
        CommandSpec(
            "pfmerge", arity: -2, flags: [.write, .denyoom],
            keys: [.at(1, [.rw, .access, .insert]), .at(2, [.ro, .access], last: -1)],
            categories: [.write, .hyperloglog, .slow], since: "2.8.9", group: "hyperloglog",
            summary: "Makes one HyperLogLog of several.", complexity: "O(N)",
            arguments: [
                ArgumentSpec("destkey", .key, key: 0),
                ArgumentSpec("sourcekey", .key, .multiple, key: 1),
            ])
    }

    private static var pfdebug: CommandSpec {
        CommandSpec(
            "pfdebug", arity: 3, flags: [.write, .denyoom, .admin],
            keys: [.at(2, [.rw, .access])],
            categories: [.write, .hyperloglog, .admin, .slow, .dangerous], since: "2.8.9", group: "hyperloglog",
            summary: "Shows the inside of a HyperLogLog.", complexity: "N/A",
            arguments: [
                ArgumentSpec("subcommand", .string),
                ArgumentSpec("key", .key, key: 0),
            ],
            docFlags: ["syscmd"])
    }

    private static var pfselftest: CommandSpec {
        CommandSpec(
            "pfselftest", arity: 1, flags: [.admin],
            categories: [.hyperloglog, .admin, .slow, .dangerous], since: "2.8.9", group: "hyperloglog",
            summary: "Tests the HyperLogLog code of a server; here it has nothing to do.", complexity: "N/A",
            docFlags: ["syscmd"])
    }
}
