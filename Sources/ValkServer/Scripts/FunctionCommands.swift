// FCALL, and FUNCTION: libraries of functions, which are stored as any key is (`LibraryChange`).
//
// What changes libraries holds every stripe, as it names no keys: so changes come one after the other.

import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP
import ValkScripting

extension Administration {
    func addFunctionCommands(_ handlers: inout HandlersByName) {
        for (name, readOnly) in [("fcall", false), ("fcall_ro", true)] {
            handlers.on(name) { connection, context throws(Interruption) in
                try context.executor.scripts.fcall(connection, readOnly: readOnly)
            }
        }
        handlers.on("function|load") { connection, context throws(Interruption) in
            try Self.load(connection, context)
        }
        handlers.on("function|delete") { connection, context throws(Interruption) in
            let registry = connection.server.libraries
            var set = LibraryChange.current(context, registry)
            let name = context.args[2].array
            guard set.libraries[name] != nil else { return context.fail("ERR Library not found") }
            set.remove(name)
            LibraryChange.make(context, registry, set)
            context.reply.ok()
        }
        handlers.on("function|flush") { connection, context throws(Interruption) in
            if context.args.count > 3 { return context.failSubcommand("function") }
            guard context.isFlush("ERR FUNCTION FLUSH only supports SYNC|ASYNC option") else { return }
            let registry = connection.server.libraries
            var set = LibraryChange.current(context, registry)
            set.removeAll()
            LibraryChange.make(context, registry, set)
            context.reply.ok()
        }
        handlers.on("function|list") { connection, context throws(Interruption) in Self.list(connection, context) }
        handlers.on("function|stats") { connection, context throws(Interruption) in Self.stats(connection, context) }
        handlers.on("function|dump") { connection, context throws(Interruption) in
            let set = LibraryChange.current(context, connection.server.libraries)
            LibraryPayload.make(set, context).withView { context.reply.bulk($0) }
        }
        handlers.on("function|restore") { connection, context throws(Interruption) in
            try Self.restore(connection, context)
        }
        handlers.on("function|help") { _, context throws(Interruption) in
            context.writeHelp("FUNCTION", Self.functionHelp)
        }
    }

    private static let functionHelp = [
        "DELETE <library name>", "    Delete a library.",
        "DUMP", "    Return all libraries as one payload for FUNCTION RESTORE.",
        "FLUSH [ASYNC|SYNC]", "    Delete all libraries.",
        "KILL", "    End the function that runs.",
        "LIST [LIBRARYNAME pattern] [WITHCODE]", "    Describe the libraries.",
        "LOAD [REPLACE] <function code>", "    Make a library of a text.",
        "RESTORE <payload> [FLUSH|APPEND|REPLACE]",
        "    Bring the libraries of a payload back: instead of all others, beside them (the default), or in place of",
        "    those with the same names.",
        "STATS", "    Describe the function that runs and the engines.",
    ]

    // MARK: LOAD and RESTORE

    private static func load(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        let args = context.args
        var replaces = false
        for i in 2..<args.count - 1 {
            guard args[i].equalsIgnoringCase("replace") else {
                return context.fail(bytes: Array("ERR Unknown option given: ".utf8) + args[i].array)
            }
            replaces = true
        }
        let text = args[args.count - 1].array
        let registry = connection.server.libraries
        var set = LibraryChange.current(context, registry)
        guard let library = try add(text, to: &set, replaces: replaces, quote: "'", context) else { return }
        LibraryChange.make(context, registry, set)
        library.name.withView { context.reply.bulk($0) }
    }

    /// Loads a library into `set`. Nil after an error reply; `quote` stands around the name of one that is there.
    private static func add(
        _ text: [UInt8], to set: inout LibrarySet, replaces: Bool, quote: String, _ context: CommandContext
    ) throws(Interruption) -> Library? {
        do throws(Complaint) {
            let header = try text.withView { view in Result { () throws(Complaint) in try LibraryText(view) } }.get()
            if header.name.count > KeyEncoding.userKeyBytesMax {
                throw Complaint("the name of the library is too long")
            }
            if !replaces && set.libraries[header.name] != nil {
                let name = String(decoding: header.name, as: UTF8.self)
                throw Complaint("Library \(quote)\(name)\(quote) already exists")
            }
        } catch {
            context.fail(bytes: Array("ERR ".utf8) + error.bytes)
            return nil
        }
        guard let library = try context.executor.scripts.load(text) else { return nil }
        do throws(Complaint) {
            try set.insert(library)
        } catch {
            context.fail(bytes: Array("ERR ".utf8) + error.bytes)
            return nil
        }
        return library
    }

    private static func restore(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        let args = context.args
        if args.count > 4 { return context.failSubcommand("function") }
        var flushes = false
        var replaces = false
        if args.count == 4 {
            if args[3].equalsIgnoringCase("flush") {
                flushes = true
            } else if args[3].equalsIgnoringCase("replace") {
                replaces = true
            } else if !args[3].equalsIgnoringCase("append") {
                return context.fail("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
            }
        }
        guard DumpPayload.isIntact(args[2]) else {
            return context.fail("ERR DUMP payload version or checksum are wrong")
        }
        let registry = connection.server.libraries
        var set = LibraryChange.current(context, registry)
        if flushes { set.removeAll() }
        let texts: [[UInt8]]
        do throws(Complaint) {
            texts = try LibraryPayload.texts(args[2])
        } catch {
            return context.fail(bytes: Array("ERR ".utf8) + error.bytes)
        }
        for text in texts {
            if try add(text, to: &set, replaces: replaces, quote: "", context) == nil { return }
        }
        LibraryChange.make(context, registry, set)
        context.reply.ok()
    }

    // MARK: Looking

    private static func list(_ connection: Connection, _ context: CommandContext) {
        let args = context.args
        var withCode = false
        var pattern: ByteView?
        var at = 2
        while at < args.count {
            if !withCode && args[at].equalsIgnoringCase("withcode") {
                withCode = true
            } else if pattern == nil && args[at].equalsIgnoringCase("libraryname") {
                guard at + 1 < args.count else { return context.fail("ERR library name argument was not given") }
                pattern = args[at + 1]
                at += 1
            } else {
                return context.fail(bytes: Array("ERR Unknown argument ".utf8) + args[at].array)
            }
            at += 1
        }
        let set = LibraryChange.current(context, connection.server.libraries)
        let lowered = pattern.map { $0.array.lowered }
        let found = set.libraries.values.filter { library in
            guard let lowered else { return true }
            return lowered.withView { pattern in
                library.name.lowered.withView { GlobPattern(pattern).matches($0) }
            }
        }.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        context.reply.array(found.count)
        for library in found { describe(library, withCode, context.reply) }
    }

    private static func describe(_ library: Library, _ withCode: Bool, _ reply: ReplyWriter) {
        reply.map(withCode ? 4 : 3)
        reply.bulk("library_name" as StaticString)
        library.name.withView { reply.bulk($0) }
        reply.bulk("engine" as StaticString)
        reply.bulk("LUA" as StaticString)
        reply.bulk("functions" as StaticString)
        reply.array(library.functions.count)
        for function in library.functions {
            reply.map(3)
            reply.bulk("name" as StaticString)
            function.name.withView { reply.bulk($0) }
            reply.bulk("description" as StaticString)
            if let description = function.description { description.withView { reply.bulk($0) } } else { reply.null() }
            reply.bulk("flags" as StaticString)
            let flags = ScriptFlags.names.filter { function.flags.contains($0.0) }
            reply.set(flags.count)
            for (_, name) in flags { reply.simple(name) }
        }
        if withCode {
            reply.bulk("library_code" as StaticString)
            library.text.withView { reply.bulk($0) }
        }
    }

    private static func stats(_ connection: Connection, _ context: CommandContext) {
        let running = connection.server.runningScripts.oldest
        if let running, !running.isFunction { return context.fail(Executor.busyText(.busyScript)) }
        let reply = context.reply
        reply.map(2)
        reply.bulk("running_script" as StaticString)
        if let running {
            reply.map(3)
            reply.bulk("name" as StaticString)
            running.name.withView { reply.bulk($0) }
            reply.bulk("command" as StaticString)
            reply.array(running.arguments.count)
            for argument in running.arguments { argument.withView { reply.bulk($0) } }
            reply.bulk("duration_ms" as StaticString)
            reply.integer(Int((Monotonic.nanoseconds() - running.since) / 1_000_000))
        } else {
            reply.null()
        }
        let set = LibraryChange.current(context, connection.server.libraries)
        reply.bulk("engines" as StaticString)
        reply.map(1)
        reply.bulk("LUA" as StaticString)
        reply.map(2)
        reply.bulk("libraries_count" as StaticString)
        reply.integer(set.libraries.count)
        reply.bulk("functions_count" as StaticString)
        reply.integer(set.functionCount)
    }
}
