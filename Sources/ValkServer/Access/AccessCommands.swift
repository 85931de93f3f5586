// ACL and its subcommands.
//
// What changes users also closes the connections that must not go on: those of users who are gone, and those that
// listen to channels which their user may not use any more. With several loops that means to wait for the others, so
// such a command moves to a worker first; so it does within EXEC, where a loop's attempt may be undone.

import Glibc
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addAccessCommands(_ handlers: inout HandlersByName) {
        handlers.on("acl|whoami") { connection, context throws(Interruption) in
            connection.user.name.withView { context.reply.bulk($0) }
        }
        handlers.on("acl|users") { connection, context throws(Interruption) in
            let users = connection.server.users.all()
            context.reply.array(users.count)
            for entry in users { entry.user.name.withView { context.reply.bulk($0) } }
        }
        handlers.on("acl|list") { connection, context throws(Interruption) in
            let lines = connection.server.users.lines()
            context.reply.array(lines.count)
            for line in lines { line.withView { context.reply.bulk($0) } }
        }
        handlers.on("acl|getuser", Self.describeUser)
        handlers.on("acl|cat", Self.listCategory)
        handlers.on("acl|setuser", Self.setUser)
        handlers.on("acl|deluser", Self.deleteUsers)
        handlers.on("acl|dryrun", Self.dryRun)
        handlers.on("acl|log", Self.showLog)
        handlers.on("acl|genpass", Self.makePassword)
        addUserFileCommands(&handlers)
        handlers.on("acl|help") { _, context throws(Interruption) in context.writeHelp("ACL", accessHelp) }
    }

    // MARK: Asking

    private static let describeUser: HostedHandler = { connection, context throws(Interruption) in
        let users = connection.server.users
        guard let user = users.user(context.args[2]) else { return context.reply.null() }
        let rights = users.rights(of: user)
        let reply = context.reply
        reply.map(6)
        reply.bulk("flags" as StaticString)
        reply.set(rights.flags.count)
        for flag in rights.flags { reply.bulk(flag) }
        reply.bulk("passwords" as StaticString)
        reply.array(rights.passwords.count)
        for password in rights.passwords { password.withView { reply.bulk($0) } }
        describe(rights.selectors[0], users.catalog, reply)
        reply.bulk("selectors" as StaticString)
        reply.array(rights.selectors.count - 1)
        for selector in rights.selectors.dropFirst() {
            reply.map(3)
            describe(selector, users.catalog, reply)
        }
    }

    private static func describe(_ selector: AccessSelector, _ catalog: AccessCatalog, _ reply: ReplyWriter) {
        reply.bulk("commands" as StaticString)
        reply.bulk(selector.commands.rules(catalog))
        reply.bulk("keys" as StaticString)
        Array(selector.keyWords.joined(separator: [0x20])).withView { reply.bulk($0) }
        reply.bulk("channels" as StaticString)
        Array(selector.channelWords.joined(separator: [0x20])).withView { reply.bulk($0) }
    }

    private static let listCategory: HostedHandler = { connection, context throws(Interruption) in
        let args = context.args
        if args.count > 3 { return context.failSubcommand("acl") }
        guard args.count == 3 else {
            context.reply.array(CommandCategories.names.count)
            for name in CommandCategories.names { context.reply.bulk(name) }
            return
        }
        guard let category = CommandCategories.named(args[2].string.lowercased()) else {
            return context.fail("ERR Unknown category '\(args[2][0..<min(128, args[2].count)].string)'")
        }
        let catalog = connection.server.users.catalog
        let members = catalog.members(of: category)
        context.reply.array(members.count)
        for id in members { context.reply.bulk(catalog.commands[id].name) }
    }

    private static let dryRun: HostedHandler = { connection, context throws(Interruption) in
        let server = connection.server
        let args = context.args
        guard let user = server.users.user(args[2]) else {
            return context.fail("ERR User '\(args[2].string)' not found")
        }
        let command = args.dropFirst(3)
        let index = context.executor.find(command)
        guard index >= 0 else { return context.fail("ERR Command '\(args[3].string)' not found") }
        let name = server.users.catalog.name(ofIndex: index)
        guard server.table.entries[index].accepts(argumentCount: command.count) else {
            return context.failArity(name)
        }
        let (before, object, after): (String, [UInt8], String)
        switch server.users.rights(of: user).denial(server.users.catalog.facts(ofIndex: index), command) {
        case nil: return context.reply.ok()
        case .command: (before, object, after) = ("run the '", Array(name.utf8), "' command")
        case .key(let position): (before, object, after) = ("access the '", beforeNUL(command[position]), "' key")
        case .channel(let position):
            (before, object, after) = ("access the '", beforeNUL(command[position]), "' channel")
        }
        let text = Array("This user has no permissions to \(before)".utf8) + object + Array(after.utf8)
        text.withView { context.reply.bulk($0) }
    }

    private static let showLog: HostedHandler = { connection, context throws(Interruption) in
        let log = connection.server.users.log
        let args = context.args
        if args.count > 3 { return context.failSubcommand("acl") }
        var count = 10
        if args.count == 3 {
            if args[2].equalsIgnoringCase("reset") {
                log.reset()
                return context.reply.ok()
            }
            guard let number = Decimal.parse(args[2]) else { return context.fail(ErrorText.notInteger) }
            count = max(0, Int(clamping: number))
        }
        let entries = log.newest(count)
        let now = connection.server.clock.milliseconds()
        let reply = context.reply
        reply.array(entries.count)
        for entry in entries {
            reply.map(7)
            reply.bulk("count" as StaticString)
            reply.integer(entry.count)
            reply.bulk("reason" as StaticString)
            reply.bulk(entry.reason.rawValue)
            reply.bulk("context" as StaticString)
            reply.bulk(entry.context.rawValue)
            reply.bulk("object" as StaticString)
            entry.object.withView { reply.bulk($0) }
            reply.bulk("username" as StaticString)
            entry.user.withView { reply.bulk($0) }
            reply.bulk("age-seconds" as StaticString)
            reply.double(Double(now - min(now, entry.time)) / 1000)
            reply.bulk("client-info" as StaticString)
            reply.bulk(entry.client)
        }
    }

    private static let makePassword: HostedHandler = { _, context throws(Interruption) in
        let args = context.args
        if args.count > 3 { return context.failSubcommand("acl") }
        var bits: Int64 = 256
        if args.count == 3 {
            guard let number = Decimal.parse(args[2]) else { return context.fail(ErrorText.notInteger) }
            bits = number
        }
        guard bits > 0, bits <= 4096 else {
            return context.fail(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to "
                    + "4096")
        }
        guard let digits = PasswordDigest.randomDigits(Int(bits + 3) / 4) else {
            return context.fail("ERR the system has no random numbers to give")
        }
        digits.withView { context.reply.bulk($0) }
    }

    /// Names are shown up to a NUL, as in Redis.
    private static func beforeNUL(_ name: ByteView) -> [UInt8] { Array(name.buffer.prefix { $0 != 0 }) }

    // MARK: Changing

    private static let setUser: HostedHandler = { connection, context throws(Interruption) in
        try connection.mayCloseOthers(context)
        let args = context.args
        let users = connection.server.users
        let name = args[2].array
        if holdsSpaces(name) {
            return context.fail("ERR Usernames can't contain spaces or null characters")
        }
        do throws(AccessComplaint) {
            let change = try users.change(name, (3..<max(3, args.count)).map { args[$0].array })
            if let before = change.before { connection.closeListeners(of: change.user, before: before) }
            context.reply.ok()
        } catch {
            let text = error.bytes.map { $0 == 0x0D || $0 == 0x0A ? 0x20 : $0 }
            context.fail(bytes: Array("ERR ".utf8) + text)
        }
    }

    private static let deleteUsers: HostedHandler = { connection, context throws(Interruption) in
        try connection.mayCloseOthers(context)
        let names = (2..<context.args.count).map { context.args[$0].array }
        if names.contains(UserRegistry.defaultName) {
            return context.fail("ERR The 'default' user cannot be removed")
        }
        let gone = names.compactMap { connection.server.users.remove($0) }
        connection.closeAll(of: gone)
        context.reply.integer(gone.count)
    }

    // MARK: Files

    private func addUserFileCommands(_ handlers: inout HandlersByName) {
        let noFile =
            "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL "
            + "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
            + "order to store users in the Redis configuration."
        handlers.on("acl|load") { [config, log] connection, context throws(Interruption) in
            let path = config.text("aclfile")
            if path.isEmpty { return context.fail(noFile) }
            try context.needsWorker()
            let users = connection.server.users
            do throws(AccessComplaint) {
                connection.closeAll(of: users.replaceAll(try UserFile(path: path).read(users.grammar)))
                context.reply.ok()
            } catch {
                log.warning("ACL LOAD: \(String(decoding: error.bytes, as: UTF8.self))")
                context.fail(bytes: Array("ERR ".utf8) + error.bytes)
            }
        }
        handlers.on("acl|save") { [config, log] connection, context throws(Interruption) in
            let path = config.text("aclfile")
            if path.isEmpty { return context.fail(noFile) }
            try context.needsWorker()
            switch UserFile(path: path).write(connection.server.users.lines()) {
            case .success: context.reply.ok()
            case .failure(let failure):
                log.warning("ACL SAVE: writing \(path): \(failure.reason)")
                context.fail(
                    "ERR There was an error trying to save the ACLs. Please check the server logs for more information")
            }
        }
    }
}

// MARK: Connections that must not go on

extension Connection {
    /// Call before the first effect of a command that closes other connections.
    fileprivate func mayCloseOthers(_ context: CommandContext) throws(Interruption) {
        if server.loops.count > 1 || isExecuting { try context.needsWorker() }
    }

    /// Closes the connections of users who are gone: this one after its reply.
    fileprivate func closeAll(of users: [AccessUser]) {
        if users.isEmpty { return }
        closeOthers { connection in users.contains { $0 === connection.user } }
        if users.contains(where: { $0 === user }) { closeAfterReply() }
    }

    /// Closes the connections of `user` that listen to what the user may not listen to any more.
    fileprivate func closeListeners(of user: AccessUser, before: AccessRights) {
        let now = server.users.rights(of: user)
        if now.selectors.contains(where: { $0.allChannels }) { return }
        let allowed = now.selectors.flatMap(\.channels)
        let wasWider = before.selectors.contains { $0.allChannels || !$0.channels.allSatisfy(allowed.contains) }
        guard wasWider else { return }
        let isExcessive: @Sendable (Connection) -> Bool = { connection in
            guard connection.user === user else { return false }
            // A worker has its lists: it gets no benefit of the doubt.
            if connection.state.pointee.phase == .deferred {
                return connection.state.pointee.flags.contains(.subscribed)
            }
            return connection.listensBeyond(allowed)
        }
        closeOthers(isExcessive)
        if self.user === user && listensBeyond(allowed) { closeAfterReply() }
    }

    private func listensBeyond(_ allowed: [[UInt8]]) -> Bool {
        SubscriptionKind.allCases.contains { kind in
            subscribed(kind).contains { name in
                !name.withView { AccessSelector.allows(channel: $0, isPattern: kind == .pattern, allowed) }
            }
        }
    }

    /// Closes all connections but this one that `isMeant` says; waits until that is done.
    private func closeOthers(_ isMeant: @escaping @Sendable (Connection) -> Bool) {
        for loop in server.loops {
            if loop.isCurrent {
                loop.closeAll(but: self, isMeant)
            } else {
                server.onLoop(loop.index) { [self] in $0.closeAll(but: self, isMeant) }
            }
        }
    }
}

extension EventLoop {
    fileprivate func closeAll(but spared: Connection, _ isMeant: (Connection) -> Bool) {
        for connection in connections where connection !== spared && connection.state.pointee.phase != .closed {
            if isMeant(connection) { close(connection) }
        }
    }
}

private let accessHelp = [
    "CAT [<category>]", "    List categories, or the commands of one.",
    "DELUSER <username> [<username> ...]", "    Remove users and close their connections.",
    "DRYRUN <username> <command> [<arg> ...]", "    Tell whether a user may run a command, without running it.",
    "GETUSER <username>", "    Describe a user.",
    "GENPASS [<bits>]", "    Make a password of 256, or so many, random bits.",
    "LIST", "    Describe all users, a line each as in files.",
    "LOAD", "    Read the users from their file again.",
    "LOG [<count> | RESET]", "    Show what was refused, or forget it.",
    "SAVE", "    Write the users into their file.",
    "SETUSER <username> <attribute> [<attribute> ...]", "    Make a user or change their rules.",
    "USERS", "    List the names of the users.",
    "WHOAMI", "    Return this connection's user.",
]
