// What the session and administration commands share: settings, logs, the server's identity, and how their handlers are
// attached to the specs.
//
// A family is an extension of `Administration` with one method that names its handlers: `handlers.on("client|list",
// …`.) Handlers run where the dispatcher puts them (`HostedCommands.swift`): on the connection's loop, or on a worker
// after they threw `.wouldBlock`. Whatever touches a file or waits asks for a worker first (`needsWorker`).

import Glibc
import Synchronization
import ValkBase
import ValkCommands
import ValkData
import ValkEngine
import ValkRESP

/// Handlers by the full name of their command.
package struct HandlersByName {
    private var handlers: [String: HostedHandler] = [:]

    package init() {}

    package subscript(name: String) -> HostedHandler? { handlers[name] }

    package var names: [String] { Array(handlers.keys) }

    package mutating func on(_ name: String, _ handler: @escaping HostedHandler) {
        precondition(handlers[name] == nil, "two handlers for \(name)")
        handlers[name] = handler
    }
}

package final class Administration: Sendable {
    package let config: ConfigStore
    package let log: ServerLog
    package let slowLog: SlowLog
    /// 40 hexadecimal digits that name this run of the server.
    package let runID = Administration.randomHexadecimal(40)
    /// Milliseconds since 1970.
    package let startedAt = WallTime.microseconds() / 1000
    /// Bytes of the heap when the server was put together.
    let startupHeapBytes = ProcessFacts.heapBytes()
    /// Sixteen hexadecimal digits that name the version.
    let buildID = String(Array(ServerVersion.valk.utf8).withView { $0.hash64 }, radix: 16)
    /// SAVE, BGSAVE and BGREWRITEAOF.
    let saving = SavingState()
    /// The largest heap seen by INFO, bytes.
    let peakHeapBytes = Atomic<Int>(0)
    /// Sampled by the server's cron.
    let rates = RateMeter()
    /// Asks the process to end as SHUTDOWN says; set by the lifecycle before it serves.
    let stopRequest: @Sendable () -> Void

    package init(
        config: ConfigStore, log: ServerLog, slowLog: SlowLog, stopRequest: @escaping @Sendable () -> Void
    ) {
        self.config = config
        self.log = log
        self.slowLog = slowLog
        self.stopRequest = stopRequest
    }

    /// Every handler of this folder by the command's full name ("client|list").
    package func handlers() -> HandlersByName {
        var handlers = HandlersByName()
        addConnectionCommands(&handlers)
        addClientCommands(&handlers)
        addConfigCommands(&handlers)
        addCommandCommands(&handlers)
        addServerCommands(&handlers)
        addSaveCommands(&handlers)
        addDiagnosisCommands(&handlers)
        addDebugCommands(&handlers)
        addSortCommands(&handlers)
        addPubSubCommands(&handlers)
        addScriptCommands(&handlers)
        addFunctionCommands(&handlers)
        handlers.on("migrate", MigrateCommand.run)
        addAccessCommands(&handlers)
        addAbsentCommands(&handlers)
        return handlers
    }

    /// Ten times a second: what rates are made of.
    func sample(_ server: Server, now: UInt64) {
        rates.add(
            RateMeter.Sample(
                time: now, commands: server.total(.commands), bytesIn: server.total(.bytesIn),
                bytesOut: server.total(.bytesOut)))
    }

    /// Gives the handlers to the specs that have none yet and drops the specs that still have none: a command that is
    /// not there is unknown, as a client expects.
    package func attach(
        _ handlers: HandlersByName, to specs: [CommandSpec], into hosted: inout HostedCommands
    ) -> [CommandSpec] {
        var attached: [CommandSpec] = []
        for spec in specs {
            var spec = spec
            var subcommands: [CommandSpec] = []
            for subcommand in spec.subcommands {
                if case .unattached = subcommand.action {
                    guard let handler = handlers["\(spec.name)|\(subcommand.name)"] else { continue }
                    subcommands.append(hosted.add(subcommand, handler))
                } else {
                    subcommands.append(subcommand)
                }
            }
            let isContainer = !spec.subcommands.isEmpty
            spec.subcommands = subcommands
            if let handler = handlers[spec.name] {
                spec = hosted.add(spec, handler)
            } else if isContainer {
                if subcommands.isEmpty { continue }
            } else if case .unattached = spec.action {
                continue
            }
            attached.append(spec)
        }
        return attached
    }

    private static func randomHexadecimal(_ digits: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String((0..<digits).map { _ in "0123456789abcdef".randomElement(using: &generator) ?? "0" })
    }
}

extension CommandContext {
    /// Leaves a loop for a worker: call before the first effect of a handler that waits for a disk or for others.
    func needsWorker() throws(Interruption) {
        if !keys.reader.mayBlock { throw .wouldBlock }
    }

    /// The HELP of a container: what it is, a line or more for each subcommand, HELP itself.
    func writeHelp(_ command: String, _ lines: [String]) {
        reply.array(lines.count + 3)
        writeSimple("\(command) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", reply)
        for line in lines { writeSimple(line, reply) }
        writeSimple("HELP", reply)
        writeSimple("    Print this help.", reply)
    }

    /// The reply to a subcommand that a command without a table of them does not know.
    func failSubcommand(_ command: String) {
        fail(
            "ERR unknown subcommand or wrong number of arguments for '\(args[1].string)'. "
                + "Try \(command.uppercased()) HELP.")
    }
}
