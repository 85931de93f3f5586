// DEBUG: test hooks. Whether clients may use it is the setting enable-debug-command, checked by the dispatcher.
//
// Only subcommands with a meaning here are known. Some are honest no-ops: what they steer in Redis does not exist, so
// the state they ask for is the state there is (PAUSE-CRON, QUICKLIST-PACKED-THRESHOLD …).

import CValk
import Glibc
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

extension Administration {
    func addDebugCommands(_ handlers: inout HandlersByName) {
        handlers.on("debug") { [self] connection, context throws(Interruption) in
            let args = context.args
            switch (args[1].string.lowercased(), args.count) {
            case ("help", 2): context.writeHelp("DEBUG", debugHelp)
            case ("sleep", 3):
                sleep(seconds: strtod(args[2].string, nil), connection, context)
                context.reply.ok()
            case ("jmap", 2): context.reply.ok()
            case ("populate", 3...5): try populate(connection, context)
            case ("object", 3...): try describe(args[2], context)
            case ("digest", 2): try digestAll(context)
            case ("digest-value", 2...): try digestValues(context)
            case ("reload", 2...), ("loadaof", 2): try reload(connection, context)
            case ("set-active-expire", 3):
                connection.server.settings.activeExpire.store(atoi(args[2].string) != 0, ordering: .relaxed)
                context.reply.ok()
            case ("set-disable-deny-scripts", 3):
                connection.server.settings.scriptsMayAll.store(atoi(args[2].string) != 0, ordering: .relaxed)
                context.reply.ok()
            case ("stringmatch-len", 4):
                let text = [UInt8](repeating: UInt8(ascii: "a"), count: Int(clamping: Decimal.parse(args[2]) ?? 0))
                _ = text.withView { GlobPattern(args[3]).matches($0) }
                context.reply.ok()
            case ("log", 3):
                log.warning("DEBUG LOG: \(args[2].string)")
                context.reply.ok()
            case ("segfault", 2): valk_crash()
            case ("error", 3): context.fail(args[2].string)
            case ("protocol", 3): writeSample(args[2], context)
            case ("config-rewrite-force-all", 2): try rewriteAll(context)
            case ("pause-cron", 3), ("dict-resizing", 3), ("quicklist-packed-threshold", 3),
                ("replybuffer", 4), ("change-repl-id", 2), ("set-skip-checksum-validation", 3):
                context.reply.ok()
            default: context.failSubcommand("debug")
            }
        }
    }

    /// Holds up this client only, and no thread: its reply waits for a timer. It counts as having run for so long.
    private func sleep(seconds: Double, _ connection: Connection, _ context: CommandContext) {
        guard seconds > 0, seconds.isFinite else { return }
        let nanoseconds = UInt64(min(seconds, 86_400) * 1e9)
        connection.sleep(nanoseconds: nanoseconds)
        context.executor.backdate(nanoseconds: nanoseconds)
    }

    private func describe(_ key: ByteView, _ context: CommandContext) throws(Interruption) {
        guard let entry = try context.keys.find(key) else { return context.fail(ErrorText.noSuchKey) }
        let length = entry.pointee.valueLength
        let encoding = try ObjectCommands.word(context, entry)
        // Redis shows an address, which stays while a value is changed in place: here it names the key.
        var address: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in 0..<key.count { address = (address ^ UInt64(key[index])) &* 0x100_0000_01b3 }
        let idle = context.keys.idleSeconds(key) ?? 0
        let lastUse = Int(context.now / 1000) - idle
        context.reply.simple(
            text: "Value at:0x\(String(address, radix: 16)) refcount:1 encoding:\(encoding) "
                + "serializedlength:\(length) lru:\(lastUse & 0xFF_FFFF) lru_seconds_idle:\(idle)")
    }

    /// What is in memory goes to the disk; reading it again from there is what the store does anyway.
    private func reload(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        for index in 2..<max(2, context.args.count) {
            let option = context.args[index]
            guard
                option.equalsIgnoringCase("merge") || option.equalsIgnoringCase("noflush")
                    || option.equalsIgnoringCase("nosave")
            else {
                return context.fail("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
            }
        }
        try context.needsWorker()
        do throws(StoreError) {
            try connection.server.store.flushTables()
            try connection.server.store.sync()
            context.reply.ok()
        } catch {
            context.fail("ERR Error trying to load the RDB dump: \(error)")
        }
    }

    private func rewriteAll(_ context: CommandContext) throws(Interruption) {
        try context.needsWorker()
        do throws(ConfigSetError) {
            try config.rewrite(everything: true)
            context.reply.ok()
        } catch {
            context.fail("ERR CONFIG-REWRITE-FORCE-ALL failed: \(error.text)")
        }
    }

    /// A reply of each type, for the tests of client libraries.
    private func writeSample(_ type: ByteView, _ context: CommandContext) {
        let reply = context.reply
        switch type.string.lowercased() {
        case "string": reply.bulk("Hello World" as StaticString)
        case "integer": reply.integer(12345)
        case "double": reply.double(3.141)
        case "null": reply.null()
        case "array":
            reply.array(3)
            for number in 0..<3 { reply.integer(number) }
        case "set":
            reply.set(3)
            for number in 0..<3 { reply.integer(number) }
        case "map":
            reply.map(3)
            for number in 0..<3 {
                reply.integer(number)
                reply.boolean(number == 1)
            }
        case "attrib":
            if reply.version >= 3 {
                reply.header(UInt8(ascii: "|"), 1)
                reply.bulk("key-popularity" as StaticString)
                reply.array(2)
                reply.bulk("key:123" as StaticString)
                reply.integer(90)
            }
            reply.bulk("Some real reply following the attribute" as StaticString)
        case "push":
            if reply.version < 3 { return context.fail("ERR RESP2 is not supported by this command") }
            reply.push(2)
            reply.bulk("server-cpu-usage" as StaticString)
            reply.integer(42)
            reply.bulk("Some real reply following the push reply" as StaticString)
        case "verbatim": reply.verbatim("This is a verbatim\nstring")
        case "true": reply.boolean(true)
        case "false": reply.boolean(false)
        case "bignum":
            let digits: StaticString = "1234567999999999999999999999999999999"
            if reply.version >= 3 {
                reply.out.pointee.append(UInt8(ascii: "("))
                reply.out.pointee.append(digits)
                reply.crlf()
            } else {
                reply.bulk(digits)
            }
        default:
            context.fail(
                "ERR Wrong protocol type name. Please use one of the following: "
                    + "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
        }
    }
}

extension ReplyWriter {
    /// A simple string out of text made at run time; it must not hold line ends.
    func simple(text: String) { writeSimple(text, self) }
}

private let debugHelp = [
    "CONFIG-REWRITE-FORCE-ALL", "    Like CONFIG REWRITE, with every setting written.",
    "DIGEST", "    Tell one hash of everything that is stored, the one that Redis tells.",
    "DIGEST-VALUE <key> [<key> ...]", "    Tell one of each value.",
    "ERROR <string>", "    Reply with an error.",
    "JMAP", "    Accepted; there is no Java here.",
    "LOADAOF", "    Write what is in memory to the disk.",
    "LOG <message>", "    Write a line into the server's log.",
    "OBJECT <key>", "    Describe how a key is stored.",
    "PROTOCOL <type>", "    Reply with a sample: string, integer, double, bignum, null, array, set, map, attrib,",
    "    push, verbatim, true, false.",
    "RELOAD [option ...]", "    Write what is in memory to the disk.",
    "SEGFAULT", "    Crash, with a report in the server's log.",
    "SET-ACTIVE-EXPIRE <0|1>", "    Stop or start removing expired keys in the background.",
    "SLEEP <seconds>", "    Let this client wait. Decimals allowed.",
    "STRINGMATCH-LEN <length> <pattern>", "    Match a pattern against so many letters.",
]
