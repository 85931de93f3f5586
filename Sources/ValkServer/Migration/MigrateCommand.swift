// MIGRATE: brings keys to another server, which may be a Redis or a Valk, and removes those that have arrived.
//
// It runs on a worker and holds the stripes of its keys all the while, so that nobody changes what is on its way. AUTH
// and SELECT come first, and the keys only after their replies: no key lands in another database than the one asked
// for. Each key goes as RESTORE with its payload and what is left of its time; one that the other side has acknowledged
// is removed (unless COPY), the others stay. After a crash in between a key may be on both sides, never on none.
//
// No connection is kept for the next time.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

enum MigrateCommand {
    private struct Options {
        var copies = false
        var replaces = false
        var user: ByteView?
        var password: ByteView?
        var keys: Range<Int> = 3..<4
        var database: Int64 = 0
        var milliseconds = 1000

        /// Nil after an error reply.
        static func parse(_ context: CommandContext) -> Options? {
            let args = context.args
            var options = Options()
            var i = 6
            words: while i < args.count {
                let left = args.count - i - 1
                if args[i].equalsIgnoringCase("copy") {
                    options.copies = true
                } else if args[i].equalsIgnoringCase("replace") {
                    options.replaces = true
                } else if args[i].equalsIgnoringCase("auth") && left >= 1 {
                    options.password = args[i + 1]
                    i += 1
                } else if args[i].equalsIgnoringCase("auth2") && left >= 2 {
                    options.user = args[i + 1]
                    options.password = args[i + 2]
                    i += 2
                } else if args[i].equalsIgnoringCase("keys") {
                    if !args[3].isEmpty {
                        context.fail(
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string")
                        return nil
                    }
                    options.keys = i + 1..<args.count
                    break words
                } else {
                    context.failSyntax()
                    return nil
                }
                i += 1
            }
            guard let timeout = Decimal.parse(args[5]), let database = Decimal.parse(args[4]) else {
                context.fail(ErrorText.notInteger)
                return nil
            }
            options.database = database
            if timeout > 0 { options.milliseconds = Int(clamping: timeout) }
            return options
        }
    }

    static func run(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        try context.needsWorker()
        guard let options = Options.parse(context) else { return }
        var request = ByteBuffer(capacity: 16 << 10)
        var keys: [ByteView] = []
        for i in options.keys {
            guard let isThere = try writeKey(context, context.args[i], options, to: &request) else { return }
            if isThere { keys.append(context.args[i]) }
        }
        if keys.isEmpty { return context.reply.simple("NOKEY") }
        guard
            var target = TargetServer.open(
                host: context.args[1].string, port: context.args[2].string, milliseconds: options.milliseconds)
        else { return context.fail("IOERR error or timeout connecting to the client") }
        guard open(&target, options, context) else { return }
        guard target.send(request.view) else { return failWriting(context) }
        try take(&target, keys, options, context)
    }

    /// AUTH and SELECT; false after an error reply.
    private static func open(_ target: inout TargetServer, _ options: Options, _ context: CommandContext) -> Bool {
        var request = ByteBuffer(capacity: 256)
        if let password = options.password {
            append("AUTH", options.user.map { [$0, password] } ?? [password], to: &request)
        }
        Array("\(options.database)".utf8).withView { append("SELECT", [$0], to: &request) }
        guard target.send(request.view) else {
            failWriting(context)
            return false
        }
        for _ in 0..<(options.password == nil ? 1 : 2) {
            guard let line = target.line() else {
                failReading(context)
                return false
            }
            if isError(line) {
                fail(context, with: line)
                return false
            }
        }
        return true
    }

    private static func isError(_ line: [UInt8]) -> Bool { line.first == UInt8(ascii: "-") }

    private static func fail(_ context: CommandContext, with line: [UInt8]) {
        let text = String(decoding: line.dropFirst(), as: UTF8.self)
        context.fail("ERR Target instance replied with error: \(text)")
    }

    /// Adds a key to the request; false when it is not there, nil after an error reply.
    private static func writeKey(
        _ context: CommandContext, _ key: ByteView, _ options: Options, to request: inout ByteBuffer
    ) throws(Interruption) -> Bool? {
        guard let entry = try context.keys.read(key) else { return false }
        let expireAt = entry.pointee.expireAt
        let time = expireAt == 0 ? 0 : max(1, Int64(clamping: expireAt) - Int64(context.now))
        let outcome = try TransferCommands.payload(context, entry) { payload in
            Array("\(time)".utf8).withView { time in
                append("RESTORE", [key, time, payload] + (options.replaces ? [ByteView("REPLACE")] : []), to: &request)
            }
        }
        switch outcome {
        case .written: return true
        case .nothing: return false
        case .unknownType:
            context.fail(TransferCommands.unknownType)
            return nil
        }
    }

    private static func append(_ command: StaticString, _ parts: [ByteView], to request: inout ByteBuffer) {
        request.append("*\(parts.count + 1)\r\n")
        for part in [ByteView(command)] + parts {
            request.append("$\(part.count)\r\n")
            request.append(part)
            request.append("\r\n" as StaticString)
        }
    }

    /// Reads the replies and removes what has arrived.
    private static func take(
        _ target: inout TargetServer, _ keys: [ByteView], _ options: Options, _ context: CommandContext
    ) throws(Interruption) {
        var complaint: [UInt8]?
        for key in keys {
            guard let line = target.line() else {
                if complaint == nil { return failReading(context) }
                break
            }
            if isError(line) {
                complaint = complaint ?? line
            } else if !options.copies {
                // Looked up again: it may be named twice.
                let was = try context.keys.look(key)
                if was.entry == nil { continue }
                context.keys.remove(key, was: was)
                context.keys.notify(.del, key)
                context.keys.changed()
            }
        }
        if let complaint { fail(context, with: complaint) } else { context.reply.ok() }
    }

    private static func failWriting(_ context: CommandContext) {
        context.fail("IOERR error or timeout writing to target instance")
    }

    private static func failReading(_ context: CommandContext) {
        context.fail("IOERR error or timeout reading to target instance")
    }
}
