// Whether the client's user may run a command, and what is said and noted when not. Asked when a command is dispatched
// or queued, again when EXEC runs it, and for each command of a script. Words are Redis's.

import ValkBase
import ValkCommands
import ValkRESP

extension Executor {
    /// Why the client may not run the command, nil when it may.
    @inline(__always)
    func denial(_ connection: Connection, _ index: Int, _ arguments: ArgumentList) -> AccessDenial? {
        if connection.state.pointee.unrestrictedVersion == gate.accessVersion { return nil }
        return askRights(connection, index, arguments)
    }

    @inline(never)
    private func askRights(_ connection: Connection, _ index: Int, _ arguments: ArgumentList) -> AccessDenial? {
        guard let rights = connection.restrictions() else { return nil }
        return rights.denial(server.users.catalog.facts(ofIndex: index), arguments)
    }

    /// The error of a command that is not run.
    func refusal(_ denial: AccessDenial, _ index: Int) -> String {
        switch denial {
        case .command:
            "NOPERM this user has no permissions to run the '\(server.users.catalog.name(ofIndex: index))' command"
        case .key: "NOPERM this user has no permissions to access one of the keys used as arguments"
        case .channel: "NOPERM this user has no permissions to access one of the channels used as arguments"
        }
    }

    /// The error of a queued command that was allowed when it was queued.
    func lateRefusal(_ denial: AccessDenial) -> String {
        let reason =
            switch denial {
            case .command: "no permission to execute the command or subcommand"
            case .key: "no permission to touch the specified keys"
            case .channel: "no permission to access one of the channels used as arguments"
            }
        return "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
            + "This command is no longer allowed for the following reason: \(reason)"
    }

    // MARK: ACL LOG

    func noteDenial(
        _ denial: AccessDenial, _ connection: Connection, _ index: Int, _ arguments: ArgumentList,
        _ context: AccessLog.Context
    ) {
        server.users.log.add(refusalEntry(denial, connection, index, arguments, context))
    }

    /// Notes it when the transaction is through: what is undone and runs again was refused once.
    func noteDenialLater(
        _ denial: AccessDenial, _ connection: Connection, _ index: Int, _ arguments: ArgumentList,
        _ context: AccessLog.Context
    ) {
        refusals.append(refusalEntry(denial, connection, index, arguments, context))
    }

    func noteRefusals() {
        for entry in refusals { server.users.log.add(entry) }
        refusals.removeAll()
    }

    private func refusalEntry(
        _ denial: AccessDenial, _ connection: Connection, _ index: Int, _ arguments: ArgumentList,
        _ context: AccessLog.Context
    ) -> AccessLog.Entry {
        let (reason, object): (AccessLog.Reason, [UInt8]) =
            switch denial {
            case .command: (.command, Array(server.users.catalog.name(ofIndex: index).utf8))
            case .key(let position): (.key, arguments[position].array)
            case .channel(let position): (.channel, arguments[position].array)
            }
        return server.refusalEntry(connection, reason, context, object, user: connection.user.name)
    }
}

extension Server {
    func refusalEntry(
        _ connection: Connection, _ reason: AccessLog.Reason, _ context: AccessLog.Context, _ object: [UInt8],
        user: [UInt8]
    ) -> AccessLog.Entry {
        var line = ClientLine.text(client(connection), table)
        line.removeLast()
        return AccessLog.Entry(
            reason: reason, context: context, object: object, user: user, time: clock.milliseconds(), client: line)
    }
}
