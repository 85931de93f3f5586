// Facts about publish and subscribe: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.

extension CommandSpecs {
    /// Without handlers.
    static var pubSubSpecs: [CommandSpec] {
        [
            listening(
                "subscribe", arity: -2, ArgumentSpec("channel", .string, .multiple),
                summary: "Begins to listen to channels.", complexity: "O(N), N channels"
            ).with(.all),
            listening(
                "unsubscribe", arity: -1, ArgumentSpec("channel", .string, [.optional, .multiple]),
                summary: "Ends listening to some channels, or to all.", complexity: "O(N), N channels"),
            listening(
                "psubscribe", arity: -2,
                ArgumentSpec("pattern", .block, .multiple, of: [ArgumentSpec("pattern", .pattern)]),
                summary: "Begins to listen to all channels whose names match patterns.",
                complexity: "O(N), N patterns"
            ).with(.allPatterns),
            listening(
                "punsubscribe", arity: -1, ArgumentSpec("pattern", .pattern, [.optional, .multiple]),
                summary: "Ends listening by some patterns, or by all.", complexity: "O(N), N patterns"),
            sharded(
                "ssubscribe", arity: -2, ArgumentSpec("shardchannel", .string, .multiple),
                summary: "Begins to listen to shard channels.", complexity: "O(N), N channels"
            ).with(.all),
            sharded(
                "sunsubscribe", arity: -1, ArgumentSpec("shardchannel", .string, [.optional, .multiple]),
                summary: "Ends listening to some shard channels, or to all.", complexity: "O(N), N channels"),
            publish.with(.first),
            spublish.with(.first),
            pubsub,
        ]
    }

    private static func listening(
        _ name: String, arity: Int, _ argument: ArgumentSpec, summary: String, complexity: String
    ) -> CommandSpec {
        CommandSpec(
            name, arity: arity, flags: [.pubsub, .noscript, .loading, .stale],
            categories: [.pubsub, .slow], since: "2.0.0", group: "pubsub",
            summary: summary, complexity: complexity, arguments: [argument])
    }

    private static func sharded(
        _ name: String, arity: Int, _ argument: ArgumentSpec, summary: String, complexity: String
    ) -> CommandSpec {
        var spec = listening(name, arity: arity, argument, summary: summary, complexity: complexity)
        spec.since = "7.0.0"
        spec.keys = [.at(1, [.notKey], last: -1)]
        return spec
    }

    private static var publish: CommandSpec {
        CommandSpec(
            "publish", arity: 3, flags: [.pubsub, .loading, .stale, .fast, .mayReplicate],
            categories: [.pubsub, .fast], since: "2.0.0", group: "pubsub",
            summary: "Sends a message to all who listen to a channel.",
            complexity: "O(N+M), N listeners of the channel and M patterns",
            arguments: [
                ArgumentSpec("channel", .string),
                ArgumentSpec("message", .string),
            ])
    }

    private static var spublish: CommandSpec {
        CommandSpec(
            "spublish", arity: 3, flags: [.pubsub, .loading, .stale, .fast, .mayReplicate],
            keys: [.at(1, [.notKey])],
            categories: [.pubsub, .fast], since: "7.0.0", group: "pubsub",
            summary: "Sends a message to all who listen to a shard channel.", complexity: "O(N), N listeners",
            arguments: [
                ArgumentSpec("shardchannel", .string),
                ArgumentSpec("message", .string),
            ])
    }

    private static var pubsub: CommandSpec {
        CommandSpec(
            "pubsub", arity: -2,
            categories: [.slow], since: "2.8.0", group: "pubsub",
            summary: "Groups the commands that tell who listens.", complexity: "Depends on the subcommand",
            subcommands: [
                about(
                    "channels", arity: -2, since: "2.8.0", ArgumentSpec("pattern", .pattern, .optional),
                    summary: "Lists the channels that somebody listens to.", complexity: "O(N), N channels"),
                about(
                    "numpat", arity: 2, since: "2.8.0", nil,
                    summary: "Counts the patterns that somebody listens by.", complexity: "O(1)"),
                about(
                    "numsub", arity: -2, since: "2.8.0", ArgumentSpec("channel", .string, [.optional, .multiple]),
                    summary: "Counts who listens to channels.", complexity: "O(N), N channels"),
                about(
                    "shardchannels", arity: -2, since: "7.0.0", ArgumentSpec("pattern", .pattern, .optional),
                    summary: "Lists the shard channels that somebody listens to.", complexity: "O(N), N channels"),
                about(
                    "shardnumsub", arity: -2, since: "7.0.0",
                    ArgumentSpec("shardchannel", .string, [.optional, .multiple]),
                    summary: "Counts who listens to shard channels.", complexity: "O(N), N channels"),
                CommandSpec(
                    "help", arity: 2, flags: [.loading, .stale],
                    categories: [.slow], since: "6.2.0", group: "pubsub",
                    summary: "Explains the subcommands.", complexity: "O(1)"),
            ])
    }

    private static func about(
        _ name: String, arity: Int, since: String, _ argument: ArgumentSpec?, summary: String, complexity: String
    ) -> CommandSpec {
        CommandSpec(
            name, arity: arity, flags: [.pubsub, .loading, .stale],
            categories: [.pubsub, .slow], since: since, group: "pubsub",
            summary: summary, complexity: complexity, arguments: argument.map { [$0] } ?? [])
    }
}
