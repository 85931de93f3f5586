// Facts about commands of parts that are (still) absent: users, clusters: what COMMAND INFO and COMMAND DOCS
// answer. Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var absentSpecs: [CommandSpec] {
        [
            latency,
            module,
            cluster,
            readonly,
            readwrite,
            asking,
        ]
    }

    private static var latency: CommandSpec {
        CommandSpec(
            "latency", arity: -2,
            categories: [.slow], since: "2.8.13", group: "server",
            summary: "Groups the commands about delays.", complexity: "Depends on the subcommand",
            subcommands: [
                latencyDoctor, latencyGraph, latencyHelp, latencyHistogram, latencyHistory, latencyLatest,
                latencyReset,
            ])
    }

    private static var latencyDoctor: CommandSpec {
        CommandSpec(
            "doctor", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.8.13", group: "server",
            summary: "Reports on delays in words.", complexity: "O(1)",
            tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
    }

    private static var latencyGraph: CommandSpec {
        CommandSpec(
            "graph", arity: 3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.8.13", group: "server",
            summary: "Draws the delays of an event.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("event", .string)
            ],
            tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
    }

    private static var latencyHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "2.8.13", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var latencyHistogram: CommandSpec {
        CommandSpec(
            "histogram", arity: -2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "7.0.0", group: "server",
            summary: "Counts calls of commands by the time they took.", complexity: "O(N), N commands",
            arguments: [
                ArgumentSpec("command", .string, [.optional, .multiple])
            ],
            tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
    }

    private static var latencyHistory: CommandSpec {
        CommandSpec(
            "history", arity: 3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.8.13", group: "server",
            summary: "Lists the measured delays of an event.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("event", .string)
            ],
            tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
    }

    private static var latencyLatest: CommandSpec {
        CommandSpec(
            "latest", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.8.13", group: "server",
            summary: "Lists the newest delay of each event.", complexity: "O(1)",
            tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
    }

    private static var latencyReset: CommandSpec {
        CommandSpec(
            "reset", arity: -2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "2.8.13", group: "server",
            summary: "Forgets the delays of events.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("event", .string, [.optional, .multiple])
            ],
            tips: ["request_policy:all_nodes", "response_policy:all_succeeded"])
    }

    private static var module: CommandSpec {
        CommandSpec(
            "module", arity: -2,
            categories: [.slow], since: "4.0.0", group: "server",
            summary: "Groups the commands about modules.", complexity: "Depends on the subcommand",
            subcommands: [moduleHelp, moduleList])
    }

    private static var moduleHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "5.0.0", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var moduleList: CommandSpec {
        CommandSpec(
            "list", arity: 2, flags: [.admin, .noscript],
            categories: [.admin, .slow, .dangerous], since: "4.0.0", group: "server",
            summary: "Lists the loaded modules.", complexity: "O(N), N modules",
            tips: ["nondeterministic_output_order"])
    }

    private static var cluster: CommandSpec {
        CommandSpec(
            "cluster", arity: -2,
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Groups the commands about clusters.", complexity: "Depends on the subcommand",
            subcommands: [
                clusterCountkeysinslot,
                clusterGetkeysinslot,
                clusterHelp,
                clusterInfo,
                clusterKeyslot,
                clusterLinks,
                clusterMeet,
                clusterMyid,
                clusterNodes,
                clusterReplicas,
                clusterReset,
                clusterShards,
                clusterSlaves,
                clusterSlots,
            ])
    }

    private static var clusterCountkeysinslot: CommandSpec {
        CommandSpec(
            "countkeysinslot", arity: 3, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Counts the keys of a slot.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("slot", .integer)
            ])
    }

    private static var clusterGetkeysinslot: CommandSpec {
        CommandSpec(
            "getkeysinslot", arity: 4, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Lists keys of a slot.", complexity: "O(N), N keys",
            arguments: [
                ArgumentSpec("slot", .integer),
                ArgumentSpec("count", .integer),
            ],
            tips: ["nondeterministic_output"])
    }

    private static var clusterHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "5.0.0", group: "cluster",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var clusterInfo: CommandSpec {
        CommandSpec(
            "info", arity: 2, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Describes the cluster's state.", complexity: "O(1)",
            tips: ["nondeterministic_output"])
    }

    private static var clusterKeyslot: CommandSpec {
        CommandSpec(
            "keyslot", arity: 3, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Tells the slot of a key.", complexity: "O(N), N bytes of the key",
            arguments: [
                ArgumentSpec("key", .string)
            ])
    }

    private static var clusterLinks: CommandSpec {
        CommandSpec(
            "links", arity: 2, flags: [.stale],
            categories: [.slow], since: "7.0.0", group: "cluster",
            summary: "Lists the links between nodes.", complexity: "O(N), N nodes",
            tips: ["nondeterministic_output"])
    }

    private static var clusterMeet: CommandSpec {
        CommandSpec(
            "meet", arity: -4, flags: [.admin, .stale, .noAsyncLoading],
            categories: [.admin, .slow, .dangerous], since: "3.0.0", group: "cluster",
            summary: "Introduces another node.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("ip", .string),
                ArgumentSpec("port", .integer),
                ArgumentSpec("cluster_bus_port", .integer, .optional, since: "4.0.0"),
            ],
            history: [("4.0.0", "The bus port.")])
    }

    private static var clusterMyid: CommandSpec {
        CommandSpec(
            "myid", arity: 2, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Tells the name of this node.", complexity: "O(1)")
    }

    private static var clusterNodes: CommandSpec {
        CommandSpec(
            "nodes", arity: 2, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Lists the nodes in their text form.", complexity: "O(N), N nodes",
            tips: ["nondeterministic_output"])
    }

    private static var clusterReplicas: CommandSpec {
        CommandSpec(
            "replicas", arity: 3, flags: [.admin, .stale],
            categories: [.admin, .slow, .dangerous], since: "5.0.0", group: "cluster",
            summary: "Lists the replicas of a node.", complexity: "O(N), N replicas",
            arguments: [
                ArgumentSpec("node-id", .string)
            ],
            tips: ["nondeterministic_output"])
    }

    private static var clusterReset: CommandSpec {
        CommandSpec(
            "reset", arity: -2, flags: [.admin, .noscript, .stale],
            categories: [.admin, .slow, .dangerous], since: "3.0.0", group: "cluster",
            summary: "Takes the node out of its cluster.", complexity: "O(N), N nodes",
            arguments: [
                ArgumentSpec(
                    "hard_soft", .oneof, .optional,
                    of: [
                        ArgumentSpec("hard", .pureToken, token: "HARD"),
                        ArgumentSpec("soft", .pureToken, token: "SOFT"),
                    ])
            ])
    }

    private static var clusterShards: CommandSpec {
        CommandSpec(
            "shards", arity: 2, flags: [.stale],
            categories: [.slow], since: "7.0.0", group: "cluster",
            summary: "Tells which shards have which slots.", complexity: "O(N), N nodes",
            tips: ["nondeterministic_output"])
    }

    private static var clusterSlaves: CommandSpec {
        CommandSpec(
            "slaves", arity: 3, flags: [.admin, .stale],
            categories: [.admin, .slow, .dangerous], since: "3.0.0", group: "cluster",
            summary: "Lists the replicas of a node.", complexity: "O(N), N replicas",
            arguments: [
                ArgumentSpec("node-id", .string)
            ],
            tips: ["nondeterministic_output"],
            docFlags: ["deprecated"],
            deprecatedSince: "5.0.0",
            replacedBy: "`CLUSTER REPLICAS`")
    }

    private static var clusterSlots: CommandSpec {
        CommandSpec(
            "slots", arity: 2, flags: [.stale],
            categories: [.slow], since: "3.0.0", group: "cluster",
            summary: "Tells which nodes have which slots.", complexity: "O(N), N nodes",
            history: [("4.0.0", "Node names."), ("7.0.0", "More of the network.")],
            tips: ["nondeterministic_output"],
            docFlags: ["deprecated"],
            deprecatedSince: "7.0.0",
            replacedBy: "`CLUSTER SHARDS`")
    }

    private static var readonly: CommandSpec {
        CommandSpec(
            "readonly", arity: 1, flags: [.loading, .stale, .fast],
            categories: [.fast, .connection], since: "3.0.0", group: "cluster",
            summary: "Allows reads on a replica of a cluster.", complexity: "O(1)")
    }

    private static var readwrite: CommandSpec {
        CommandSpec(
            "readwrite", arity: 1, flags: [.loading, .stale, .fast],
            categories: [.fast, .connection], since: "3.0.0", group: "cluster",
            summary: "Ends READONLY.", complexity: "O(1)")
    }

    private static var asking: CommandSpec {
        CommandSpec(
            "asking", arity: 1, flags: [.fast],
            categories: [.fast, .connection], since: "3.0.0", group: "cluster",
            summary: "Announces a command that follows a redirection.", complexity: "O(1)")
    }
}
