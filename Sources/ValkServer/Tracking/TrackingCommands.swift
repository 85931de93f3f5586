// CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO. Errors and their order are those of Redis 7.0.15.

import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addClientTracking(_ handlers: inout HandlersByName) {
        handlers.on("client|tracking", Self.tracking)
        handlers.on("client|caching", Self.caching)
        handlers.on("client|getredir") { connection, context throws(Interruption) in
            guard let tracking = connection.tracking else { return context.reply.integer(-1) }
            context.reply.integer(Int64(tracking.redirect))
        }
        handlers.on("client|trackinginfo") { connection, context throws(Interruption) in
            let words = TrackingOptions.words(connection.tracking)
            context.reply.map(3)
            context.reply.bulk("flags" as StaticString)
            context.reply.set(words.count)
            for word in words { context.reply.bulk(word) }
            context.reply.bulk("redirect" as StaticString)
            context.reply.integer(connection.tracking.map { Int64($0.redirect) } ?? -1)
            context.reply.bulk("prefixes" as StaticString)
            let prefixes = (connection.tracking?.prefixes ?? []).sorted { $0.lexicographicallyPrecedes($1) }
            context.reply.array(prefixes.count)
            for prefix in prefixes { prefix.withView { context.reply.bulk($0) } }
        }
    }

    private static func tracking(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        // Within a transaction it is done where it is done once.
        if connection.isExecuting { try context.needsWorker() }
        guard let options = TrackingOptions.parse(connection, context) else { return }
        if context.args[2].equalsIgnoringCase("off") {
            connection.stopTracking()
        } else if context.args[2].equalsIgnoringCase("on") {
            if let complaint = options.complaint(about: connection.tracking) { return context.fail(complaint) }
            connection.startTracking(options.mode, redirect: options.redirect, prefixes: options.prefixes)
        } else {
            return context.failSyntax()
        }
        context.reply.ok()
    }

    private static func caching(_ connection: Connection, _ context: CommandContext) throws(Interruption) {
        guard let tracking = connection.tracking else {
            return context.fail(
                "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT "
                    + "mode enabled")
        }
        if context.args[2].equalsIgnoringCase("yes") {
            guard tracking.mode.contains(.optIn) else {
                return context.fail("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
            }
        } else if context.args[2].equalsIgnoringCase("no") {
            guard tracking.mode.contains(.optOut) else {
                return context.fail("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
            }
        } else {
            return context.failSyntax()
        }
        // What it means within a transaction has been seen when that began.
        if !connection.isExecuting { tracking.mode.insert(.caching) }
        context.reply.ok()
    }
}

private struct TrackingOptions {
    var mode: ClientTracking.Mode = []
    var redirect: UInt64 = 0
    var prefixes: [[UInt8]] = []

    /// Nil after an error reply.
    static func parse(_ connection: Connection, _ context: CommandContext) -> TrackingOptions? {
        let args = context.args
        var options = TrackingOptions()
        var i = 3
        while i < args.count {
            let hasNext = i + 1 < args.count
            if args[i].equalsIgnoringCase("redirect") && hasNext {
                i += 1
                if options.redirect != 0 {
                    context.fail("ERR A client can only redirect to a single other client")
                    return nil
                }
                guard let id = Decimal.parse(args[i]) else {
                    context.fail(ErrorText.notInteger)
                    return nil
                }
                guard id > 0, connection.server.registry.connection(UInt64(id)) != nil else {
                    context.fail("ERR The client ID you want redirect to does not exist")
                    return nil
                }
                options.redirect = UInt64(id)
            } else if args[i].equalsIgnoringCase("bcast") {
                options.mode.insert(.broadcast)
            } else if args[i].equalsIgnoringCase("optin") {
                options.mode.insert(.optIn)
            } else if args[i].equalsIgnoringCase("optout") {
                options.mode.insert(.optOut)
            } else if args[i].equalsIgnoringCase("noloop") {
                options.mode.insert(.noLoop)
            } else if args[i].equalsIgnoringCase("prefix") && hasNext {
                i += 1
                options.prefixes.append(args[i].array)
            } else {
                context.failSyntax()
                return nil
            }
            i += 1
        }
        return options
    }

    /// What is wrong with these options, for themselves or after what is in force.
    func complaint(about old: ClientTracking?) -> String? {
        if !mode.contains(.broadcast) && !prefixes.isEmpty {
            return "ERR PREFIX option requires BCAST mode to be enabled"
        }
        if let old, old.mode.contains(.broadcast) != mode.contains(.broadcast) {
            return
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
                + "re-enabling it with a different mode."
        }
        if mode.contains(.broadcast) && !mode.isDisjoint(with: [.optIn, .optOut]) {
            return "ERR OPTIN and OPTOUT are not compatible with BCAST"
        }
        if mode.contains([.optIn, .optOut]) { return "ERR You can't specify both OPTIN mode and OPTOUT mode" }
        if let old,
            mode.contains(.optIn) && old.mode.contains(.optOut) || mode.contains(.optOut) && old.mode.contains(.optIn)
        {
            return
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
                + "re-enabling it with a different mode."
        }
        return collision(with: old?.prefixes ?? [])
    }

    private func collision(with old: Set<[UInt8]>) -> String? {
        func overlap(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.starts(with: b) || b.starts(with: a) }
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        for (i, prefix) in prefixes.enumerated() {
            for other in old.sorted(by: { $0.lexicographicallyPrecedes($1) }) where overlap(prefix, other) {
                return
                    "ERR Prefix '\(text(prefix))' overlaps with an existing prefix '\(text(other))'. Prefixes for a "
                    + "single client must not overlap."
            }
            for other in prefixes[(i + 1)...] where overlap(prefix, other) {
                return
                    "ERR Prefix '\(text(prefix))' overlaps with another provided prefix '\(text(other))'. Prefixes for "
                    + "a single client must not overlap."
            }
        }
        return nil
    }

    /// As TRACKINGINFO names it.
    static func words(_ tracking: ClientTracking?) -> [StaticString] {
        guard let mode = tracking?.mode else { return ["off"] }
        var words: [StaticString] = ["on"]
        if mode.contains(.broadcast) { words.append("bcast") }
        if mode.contains(.optIn) { words.append("optin") }
        if mode.contains([.optIn, .caching]) { words.append("caching-yes") }
        if mode.contains(.optOut) { words.append("optout") }
        if mode.contains([.optOut, .caching]) { words.append("caching-no") }
        if mode.contains(.noLoop) { words.append("noloop") }
        if mode.contains(.brokenRedirect) { words.append("broken_redirect") }
        return words
    }
}
