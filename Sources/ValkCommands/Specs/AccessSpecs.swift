// Facts about users and their rights: what COMMAND INFO and COMMAND DOCS answer.
// Arity, flags, keys, categories and arguments are those of Redis 7.0.15.
//
// What changes users takes all stripes: so nothing that stands beside it in an EXEC can make that run again, when the
// change has been made already.

extension CommandSpecs {
    static var acl: CommandSpec {
        CommandSpec(
            "acl", arity: -2,
            categories: [.slow], since: "6.0.0", group: "server",
            summary: "Groups the commands about users and their rights.", complexity: "Depends on the subcommand",
            subcommands: [
                aclCat, aclDeluser, aclDryrun, aclGenpass, aclGetuser, aclHelp, aclList, aclLoad, aclLog, aclSave,
                aclSetuser, aclUsers, aclWhoami,
            ])
    }

    private static var aclCat: CommandSpec {
        CommandSpec(
            "cat", arity: -2, flags: [.noscript, .loading, .stale],
            categories: [.slow], since: "6.0.0", group: "server",
            summary: "Lists the categories, or the commands of one.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("categoryname", .string, .optional)
            ])
    }

    private static var aclGetuser: CommandSpec {
        CommandSpec(
            "getuser", arity: 3, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Shows the rules of a user.", complexity: "O(N), N rules",
            arguments: [
                ArgumentSpec("username", .string)
            ],
            history: [("6.2.0", "Channel patterns."), ("7.0.0", "Selectors.")])
    }

    private static var aclHelp: CommandSpec {
        CommandSpec(
            "help", arity: 2, flags: [.loading, .stale],
            categories: [.slow], since: "6.0.0", group: "server",
            summary: "Explains the subcommands.", complexity: "O(1)")
    }

    private static var aclList: CommandSpec {
        CommandSpec(
            "list", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Lists the users with their rules.", complexity: "O(N), N users")
    }

    private static var aclUsers: CommandSpec {
        CommandSpec(
            "users", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Lists the names of the users.", complexity: "O(N), N users")
    }

    private static var aclWhoami: CommandSpec {
        CommandSpec(
            "whoami", arity: 2, flags: [.noscript, .loading, .stale],
            categories: [.slow], since: "6.0.0", group: "server",
            summary: "Tells the user of this connection.", complexity: "O(1)")
    }

    private static var aclDeluser: CommandSpec {
        CommandSpec(
            "deluser", arity: -3, flags: [.admin, .noscript, .loading, .stale, .allKeys, .seesWholeWrites],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Removes users and closes their connections.", complexity: "O(N), N users",
            arguments: [
                ArgumentSpec("username", .string, .multiple)
            ])
    }

    private static var aclDryrun: CommandSpec {
        CommandSpec(
            "dryrun", arity: -4, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "7.0.0", group: "server",
            summary: "Tells whether a user may run a command.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("username", .string),
                ArgumentSpec("command", .string),
                ArgumentSpec("arg", .string, [.optional, .multiple]),
            ])
    }

    private static var aclGenpass: CommandSpec {
        CommandSpec(
            "genpass", arity: -2, flags: [.noscript, .loading, .stale],
            categories: [.slow], since: "6.0.0", group: "server",
            summary: "Makes a password that nobody can guess.", complexity: "O(1)",
            arguments: [
                ArgumentSpec("bits", .integer, .optional)
            ])
    }

    private static var aclLoad: CommandSpec {
        CommandSpec(
            "load", arity: 2, flags: [.admin, .noscript, .loading, .stale, .allKeys, .seesWholeWrites],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Reads the users from their file again.", complexity: "O(N), N users")
    }

    private static var aclLog: CommandSpec {
        CommandSpec(
            "log", arity: -2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Shows what was refused, or forgets it.", complexity: "O(N), N entries shown",
            arguments: [
                ArgumentSpec(
                    "operation", .oneof, .optional,
                    of: [
                        ArgumentSpec("count", .integer),
                        ArgumentSpec("reset", .pureToken, token: "RESET"),
                    ])
            ])
    }

    private static var aclSave: CommandSpec {
        CommandSpec(
            "save", arity: 2, flags: [.admin, .noscript, .loading, .stale],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Writes the users into their file.", complexity: "O(N), N users")
    }

    private static var aclSetuser: CommandSpec {
        CommandSpec(
            "setuser", arity: -3, flags: [.admin, .noscript, .loading, .stale, .allKeys, .seesWholeWrites],
            categories: [.admin, .slow, .dangerous], since: "6.0.0", group: "server",
            summary: "Makes a user or changes their rules.", complexity: "O(N), N rules",
            arguments: [
                ArgumentSpec("username", .string),
                ArgumentSpec("rule", .string, [.optional, .multiple]),
            ],
            history: [("6.2.0", "Channel patterns."), ("7.0.0", "Selectors and rights to keys.")])
    }
}
