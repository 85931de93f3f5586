// CLIENT: who is connected, names, closing others, pausing, what replies a client wants.
//
// Facts about connections belong to their loops. LIST and KILL look at all clients, which with several loops means to
// wait for the others, so they may go on on a worker (`Server.clients`).

import Glibc
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addClientCommands(_ handlers: inout HandlersByName) {
        handlers.on("client|id") { connection, context throws(Interruption) in
            context.reply.integer(Int64(connection.id))
        }
        handlers.on("client|getname") { connection, context throws(Interruption) in
            if connection.name.isEmpty { return context.reply.null() }
            connection.name.withView { context.reply.bulk($0) }
        }
        handlers.on("client|setname") { connection, context throws(Interruption) in
            guard ClientNames.isValid(context.args[2]) else { return context.fail(ClientNames.complaint) }
            connection.name = context.args[2].array
            context.reply.ok()
        }
        handlers.on("client|setinfo") { connection, context throws(Interruption) in
            let option = context.args[2]
            let value = context.args[3]
            let isName = option.equalsIgnoringCase("lib-name")
            guard isName || option.equalsIgnoringCase("lib-ver") else {
                return context.fail("ERR Unrecognized option '\(option.string)'")
            }
            guard ClientNames.isValid(value) else {
                let what = isName ? "lib-name" : "lib-ver"
                return context.fail("ERR \(what) cannot contain spaces, newlines or special characters.")
            }
            if isName { connection.libraryName = value.array } else { connection.libraryVersion = value.array }
            context.reply.ok()
        }
        handlers.on("client|list", clientList)
        handlers.on("client|info") { connection, context throws(Interruption) in
            let info = Administration.busy(connection.server.client(connection), connection)
            context.reply.verbatim(ClientLine.text(info, connection.server.table))
        }
        handlers.on("client|kill", clientKill)
        addClientModes(&handlers)
        addClientTracking(&handlers)
        handlers.on("client|help") { _, context throws(Interruption) in
            context.writeHelp("CLIENT", clientHelp)
        }
    }

    private func addClientModes(_ handlers: inout HandlersByName) {
        handlers.on("client|no-evict") { connection, context throws(Interruption) in
            guard let on = context.args[2].asOnOff else { return context.failSyntax() }
            connection.noEvict = on
            context.reply.ok()
        }
        handlers.on("client|no-touch") { connection, context throws(Interruption) in
            guard let on = context.args[2].asOnOff else { return context.failSyntax() }
            connection.noTouch = on
            context.reply.ok()
        }
        handlers.on("client|reply") { connection, context throws(Interruption) in
            if context.args[2].equalsIgnoringCase("on") {
                connection.replyMode = .on
                context.reply.ok()
            } else if context.args[2].equalsIgnoringCase("off") {
                connection.replyMode = .off
            } else if context.args[2].equalsIgnoringCase("skip") {
                if connection.replyMode != .off { connection.replyMode = .skipNext }
            } else {
                context.failSyntax()
            }
        }
        handlers.on("client|pause") { connection, context throws(Interruption) in
            let args = context.args
            var writesOnly = false
            if args.count == 4 {
                if args[3].equalsIgnoringCase("write") {
                    writesOnly = true
                } else if !args[3].equalsIgnoringCase("all") {
                    return context.fail("ERR CLIENT PAUSE mode must be WRITE or ALL")
                }
            } else if args.count != 3 {
                return context.failSyntax()
            }
            guard let milliseconds = Decimal.parse(args[2]) else {
                return context.fail("ERR timeout is not an integer or out of range")
            }
            if milliseconds < 0 { return context.fail("ERR timeout is negative") }
            connection.server.pauseClients(milliseconds: UInt64(milliseconds), all: !writesOnly)
            context.reply.ok()
        }
        handlers.on("client|unpause") { connection, context throws(Interruption) in
            connection.server.unpauseClients()
            context.reply.ok()
        }
        handlers.on("client|unblock") { connection, context throws(Interruption) in
            let args = context.args
            if args.count > 4 { return context.failSubcommand("client") }
            if args.count == 4, !args[3].equalsIgnoringCase("timeout"), !args[3].equalsIgnoringCase("error") {
                return context.fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
            }
            guard let id = Decimal.parse(args[2]) else { return context.fail(ErrorText.notInteger) }
            let withError = args.count == 4 && args[3].equalsIgnoringCase("error")
            let waited = connection.server.waitingClients.unblock(UInt64(bitPattern: id), withError: withError)
            context.reply.integer(waited ? 1 : 0)
        }
    }

    private var clientList: HostedHandler {
        { connection, context throws(Interruption) in
            let args = context.args
            var ids: Set<UInt64>?
            var type: ClientType?
            if args.count == 4, args[2].equalsIgnoringCase("type") {
                type = ClientType(args[3])
                if type == nil { return context.fail("ERR Unknown client type '\(args[3].string)'") }
            } else if args.count > 3, args[2].equalsIgnoringCase("id") {
                var chosen = Set<UInt64>()
                for index in 3..<args.count {
                    guard let id = Decimal.parse(args[index]) else { return context.fail("ERR Invalid client ID") }
                    chosen.insert(UInt64(bitPattern: id))
                }
                ids = chosen
            } else if args.count != 2 {
                return context.failSyntax()
            }
            var text = ""
            for info in try connection.server.clients(context) where type?.matches(info) ?? true {
                if let ids, !ids.contains(info.id) { continue }
                let shown = info.id == connection.id ? Administration.busy(info, connection) : info
                text += ClientLine.text(shown, connection.server.table)
            }
            context.reply.verbatim(text)
        }
    }

    /// The client that asks is running this very command: its bytes are input that is not done with.
    private static func busy(_ info: ClientInfo, _ connection: Connection) -> ClientInfo {
        var info = info
        let bytes = connection.state.pointee.parser.commandBytes
        if info.inputBytes < bytes {
            info.inputFreeBytes = max(0, info.inputFreeBytes - (bytes - info.inputBytes))
            info.inputBytes = bytes
        }
        return info
    }

    private var clientKill: HostedHandler {
        { connection, context throws(Interruption) in
            let args = context.args
            var filter = ClientFilter()
            let isOldForm = args.count == 3
            if isOldForm {
                filter.address = args[2].string
                filter.skipsSelf = false
            } else {
                guard filter.read(args, context, connection.server.users) else { return }
            }
            var closed = 0
            for info in try connection.server.clients(context) where filter.matches(info, own: connection.id) {
                if info.id == connection.id {
                    connection.closeAfterReply()
                    closed += 1
                } else if connection.server.kill(info.id) {
                    closed += 1
                }
                if isOldForm { break }
            }
            if isOldForm {
                if closed == 0 { context.fail("ERR No such client") } else { context.reply.ok() }
            } else {
                context.reply.integer(closed)
            }
        }
    }
}

private enum ClientType {
    case normal, replica, primary, pubsub

    init?(_ text: ByteView) {
        if text.equalsIgnoringCase("normal") {
            self = .normal
        } else if text.equalsIgnoringCase("slave") || text.equalsIgnoringCase("replica") {
            self = .replica
        } else if text.equalsIgnoringCase("master") || text.equalsIgnoringCase("primary") {
            self = .primary
        } else if text.equalsIgnoringCase("pubsub") {
            self = .pubsub
        } else {
            return nil
        }
    }

    func matches(_ info: ClientInfo) -> Bool {
        switch self {
        case .normal: !info.listens
        case .pubsub: info.listens
        case .replica, .primary: false
        }
    }
}

/// The conditions of CLIENT KILL; a client must meet all of them.
private struct ClientFilter {
    var id: UInt64?
    var address: String?
    var localAddress: String?
    var maxAgeSeconds: Int?
    var user: [UInt8]?
    var type: ClientType?
    var skipsSelf = true

    /// Reads the options from the third argument on; replies and returns false when they are wrong.
    mutating func read(_ args: ArgumentList, _ context: CommandContext, _ users: UserRegistry) -> Bool {
        guard args.count % 2 == 0 else {
            context.failSyntax()
            return false
        }
        for at in stride(from: 2, to: args.count, by: 2) {
            let value = args[at + 1]
            if args[at].equalsIgnoringCase("id") {
                guard let number = Decimal.parse(value), number > 0 else {
                    context.fail("ERR client-id should be greater than 0")
                    return false
                }
                id = UInt64(number)
            } else if args[at].equalsIgnoringCase("type") {
                guard let type = ClientType(value) else {
                    context.fail("ERR Unknown client type '\(value.string)'")
                    return false
                }
                self.type = type
            } else if args[at].equalsIgnoringCase("addr") {
                address = value.string
            } else if args[at].equalsIgnoringCase("laddr") {
                localAddress = value.string
            } else if args[at].equalsIgnoringCase("maxage"), let seconds = Decimal.parse(value), seconds > 0 {
                maxAgeSeconds = Int(seconds)
            } else if args[at].equalsIgnoringCase("user") {
                guard users.user(value) != nil else {
                    context.fail("ERR No such user '\(value.string)'")
                    return false
                }
                user = value.array
            } else if args[at].equalsIgnoringCase("skipme"), let yes = value.asYesNo {
                skipsSelf = yes
            } else {
                context.failSyntax()
                return false
            }
        }
        return true
    }

    func matches(_ info: ClientInfo, own: UInt64) -> Bool {
        if skipsSelf && info.id == own { return false }
        if let id, info.id != id { return false }
        if let address, info.address != address { return false }
        if let localAddress, info.localAddress != localAddress { return false }
        if let user, info.user != user { return false }
        if let maxAgeSeconds, info.ageSeconds < maxAgeSeconds { return false }
        if let type, !type.matches(info) { return false }
        return true
    }
}

/// One line of CLIENT LIST.
enum ClientLine {
    static func text(_ info: ClientInfo, _ table: CommandTable) -> String {
        var flags = ""
        if info.isMonitor { flags += "O" }
        if info.listens { flags += "P" }
        if info.queuedCommands >= 0 { flags += "x" }
        if info.isBlocked { flags += "b" }
        if info.isTracked { flags += "t" }
        if info.hasBrokenRedirect { flags += "R" }
        if info.isBroadcastTo { flags += "B" }
        if info.isClosing { flags += "c" }
        if info.isUnixSocket { flags += "U" }
        if info.noEvict { flags += "e" }
        if info.noTouch { flags += "T" }
        if flags.isEmpty { flags = "N" }
        let command = info.lastCommand >= 0 ? table.fullNames[info.lastCommand] : "NULL"
        let events = (info.isReading ? "r" : "") + (info.isWriting ? "w" : "")
        var line = "id=\(info.id) addr=\(info.address) laddr=\(info.localAddress) fd=\(info.descriptor)"
        line += " name=\(string(info.name)) age=\(info.ageSeconds) idle=\(info.idleSeconds) flags=\(flags)"
        line += " db=\(info.database) sub=\(info.subscriptions.channels) psub=\(info.subscriptions.patterns)"
        line += " ssub=\(info.subscriptions.shards) multi=\(info.queuedCommands)"
        line += " qbuf=\(info.inputBytes) qbuf-free=\(info.inputFreeBytes) argv-mem=\(info.argumentBytes)"
        line += " multi-mem=\(info.queuedBytes) rbs=\(info.outputCapacityBytes) rbp=\(info.outputCapacityBytes)"
        let replies = ReplySizes(pending: info.outputBytes)
        line += " obl=\(replies.ownBytes) oll=\(replies.listCount) omem=\(replies.listBytes)"
        line += " tot-mem=\(info.totalMemoryBytes) events=\(events)"
        let redirect = info.isTracked ? Int64(info.redirect) : -1
        line += " cmd=\(command) user=\(string(info.user)) redir=\(redirect) resp=\(info.protocolVersion)"
        line += " lib-name=\(string(info.libraryName)) lib-ver=\(string(info.libraryVersion))\n"
        return line
    }

    private static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

extension ByteView {
    fileprivate var asOnOff: Bool? {
        if equalsIgnoringCase("on") { return true }
        return equalsIgnoringCase("off") ? false : nil
    }

    fileprivate var asYesNo: Bool? {
        if equalsIgnoringCase("yes") { return true }
        return equalsIgnoringCase("no") ? false : nil
    }
}

private let clientHelp = [
    "GETNAME", "    Return the name of this connection.",
    "GETREDIR", "    Return the client that gets this connection's tracking messages.",
    "CACHING (YES|NO)", "    Track, or do not track, what the next command reads (OPTIN and OPTOUT).",
    "ID", "    Return the id of this connection.",
    "INFO", "    Describe this connection.",
    "KILL <ip:port>", "    Close the connection from this address.",
    "KILL <option> <value> [<option> <value> [...]]", "    Close every connection that meets all options:",
    "    * ADDR (<ip:port>|<unixsocket>:0)", "      from this address",
    "    * LADDR (<ip:port>|<unixsocket>:0)", "      to this local address",
    "    * ID <client-id>", "      with this id",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)", "      of this type",
    "    * USER <username>", "      of this user",
    "    * MAXAGE <seconds>", "      at least this old",
    "    * SKIPME (YES|NO)", "      whether to spare this connection (default: yes)",
    "LIST [TYPE <type> | ID <id> [<id> ...]]", "    Describe connections, a line each.",
    "NO-EVICT (ON|OFF)", "    Spare this connection when clients take too much memory.",
    "NO-TOUCH (ON|OFF)", "    Do not count this connection's reads as use of the keys.",
    "PAUSE <timeout> [WRITE|ALL]", "    Let all commands, or those that write, wait for so many milliseconds.",
    "REPLY (ON|OFF|SKIP)", "    Choose whether this connection gets replies.",
    "SETINFO (LIB-NAME|LIB-VER) <value>", "    Tell which client library this is.",
    "SETNAME <name>", "    Name this connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]", "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Tell this connection of keys that change after it has read them.",
    "TRACKINGINFO", "    Report how this connection's keys are tracked.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]", "    Wake a client that waits in a command.",
    "UNPAUSE", "    End a pause.",
]
