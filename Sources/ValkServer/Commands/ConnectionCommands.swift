// PING ECHO AUTH HELLO SELECT QUIT RESET: what a client says about its connection.

import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

private let wrongPassword: StaticString = "WRONGPASS invalid username-password pair or user is disabled."

extension Administration {
    func addConnectionCommands(_ handlers: inout HandlersByName) {
        handlers.on("ping") { connection, context throws(Interruption) in
            // What a RESP2 client that listens reads must look like a message.
            if connection.state.pointee.flags.contains(.subscribed) && context.reply.version == 2 {
                guard context.args.count <= 2 else { return context.failArity("ping") }
                context.reply.array(2)
                context.reply.bulk("pong" as StaticString)
                return context.reply.bulk(context.args.count == 2 ? context.args[1] : .empty)
            }
            switch context.args.count {
            case 1: context.reply.simple("PONG")
            case 2: context.reply.bulk(context.args[1])
            default: context.failArity("ping")
            }
        }
        handlers.on("echo") { _, context throws(Interruption) in context.reply.bulk(context.args[1]) }
        handlers.on("quit") { connection, context throws(Interruption) in
            context.reply.ok()
            connection.closeAfterReply()
        }
        handlers.on("reset") { connection, context throws(Interruption) in
            connection.resetSession()
            context.reply.simple("RESET")
        }
        handlers.on("select") { [config] connection, context throws(Interruption) in
            guard let number = Decimal.parse(context.args[1]) else { return context.fail(ErrorText.notInteger) }
            guard number >= Int64(Int32.min), number <= Int64(Int32.max) else {
                return context.fail("ERR value is out of range, value must between -2147483648 and 2147483647")
            }
            guard number >= 0, number < Int64(config.integer("databases")) else {
                return context.fail(ErrorText.databaseOutOfRange)
            }
            connection.database = Int(number)
            context.reply.ok()
        }
        handlers.on("auth") { connection, context throws(Interruption) in
            let args = context.args
            guard args.count <= 3 else { return context.failSyntax() }
            if args.count == 2 && connection.server.users.isWithoutPassword {
                return context.fail(
                    "ERR AUTH <password> called without any password configured for the default user. "
                        + "Are you sure your configuration is correct?")
            }
            let user = args.count == 2 ? ByteView("default") : args[1]
            guard Administration.logIn(connection, user, args[args.count - 1], args[0]) else {
                return context.fail(wrongPassword)
            }
            context.reply.ok()
        }
        handlers.on("hello", hello)
    }

    /// Logs a client in; false, and an entry in ACL LOG, when name and password do not fit. `command` is what the
    /// client sent.
    private static func logIn(
        _ connection: Connection, _ name: ByteView, _ password: ByteView, _ command: ByteView
    ) -> Bool {
        let server = connection.server
        if let user = server.users.admit(name, password: password) {
            connection.logIn(as: user)
            return true
        }
        let context: AccessLog.Context = connection.inTransaction ? .multi : .toplevel
        server.users.log.add(server.refusalEntry(connection, .auth, context, command.array, user: name.array))
        return false
    }

    private var hello: HostedHandler {
        { connection, context throws(Interruption) in
            let args = context.args
            var version: UInt8 = 0
            if args.count > 1 {
                guard let asked = Decimal.parse(args[1]) else {
                    return context.fail("ERR Protocol version is not an integer or out of range")
                }
                guard asked == 2 || asked == 3 else { return context.fail("NOPROTO unsupported protocol version") }
                version = UInt8(asked)
            }
            var at = 2
            while at < args.count {
                let rest = args.count - at - 1
                if args[at].equalsIgnoringCase("auth") && rest >= 2 {
                    guard Administration.logIn(connection, args[at + 1], args[at + 2], args[0]) else {
                        return context.fail(wrongPassword)
                    }
                    at += 3
                } else if args[at].equalsIgnoringCase("setname") && rest >= 1 {
                    guard ClientNames.isValid(args[at + 1]) else { return context.fail(ClientNames.complaint) }
                    connection.name = args[at + 1].array
                    at += 2
                } else {
                    return context.fail("ERR Syntax error in HELLO option '\(args[at].string)'")
                }
            }
            guard connection.isAuthenticated else {
                return context.fail(
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                        + "HELLO AUTH <user> <pass> option can be used to authenticate the client and "
                        + "select the RESP protocol version at the same time")
            }
            var reply = context.reply
            if version != 0 {
                connection.protocolVersion = version
                reply.version = version
            }
            reply.map(7)
            reply.bulk("server" as StaticString)
            reply.bulk("redis" as StaticString)
            reply.bulk("version" as StaticString)
            reply.bulk(ServerVersion.redis)
            reply.bulk("proto" as StaticString)
            reply.integer(Int(connection.protocolVersion))
            reply.bulk("id" as StaticString)
            reply.integer(Int64(connection.id))
            reply.bulk("mode" as StaticString)
            reply.bulk("standalone" as StaticString)
            reply.bulk("role" as StaticString)
            reply.bulk("master" as StaticString)
            reply.bulk("modules" as StaticString)
            reply.array(0)
        }
    }
}

/// What a client may call itself: printable characters without spaces.
enum ClientNames {
    static let complaint: StaticString = "ERR Client names cannot contain spaces, newlines or special characters."

    static func isValid(_ name: ByteView) -> Bool {
        for index in 0..<name.count where name[index] < UInt8(ascii: "!") || name[index] > UInt8(ascii: "~") {
            return false
        }
        return true
    }
}
