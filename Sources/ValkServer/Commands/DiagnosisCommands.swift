// SLOWLOG, LATENCY and MEMORY: what went slowly and where memory is.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addDiagnosisCommands(_ handlers: inout HandlersByName) {
        addSlowLog(&handlers)
        addLatency(&handlers)
        addMemory(&handlers)
    }

    private func addSlowLog(_ handlers: inout HandlersByName) {
        handlers.on("slowlog|get") { [slowLog] _, context throws(Interruption) in
            var limit = 10
            if context.args.count == 3 {
                guard let given = Decimal.parse(context.args[2]), given >= -1, given <= Int64(Int32.max) else {
                    return context.fail("ERR count should be greater than or equal to -1")
                }
                limit = Int(given)
            } else if context.args.count > 3 {
                return context.failSubcommand("slowlog")
            }
            let entries = slowLog.newest(limit)
            context.reply.array(entries.count)
            for entry in entries {
                context.reply.array(6)
                context.reply.integer(entry.id)
                context.reply.integer(entry.time)
                context.reply.integer(entry.microseconds)
                context.reply.array(entry.arguments.count)
                for argument in entry.arguments { argument.withView { context.reply.bulk($0) } }
                context.reply.bulk(entry.address)
                entry.clientName.withView { context.reply.bulk($0) }
            }
        }
        handlers.on("slowlog|len") { [slowLog] _, context throws(Interruption) in
            context.reply.integer(slowLog.count)
        }
        handlers.on("slowlog|reset") { [slowLog] _, context throws(Interruption) in
            slowLog.reset()
            context.reply.ok()
        }
        handlers.on("slowlog|help") { _, context throws(Interruption) in
            context.writeHelp(
                "SLOWLOG",
                [
                    "GET [<count>]", "    Return the newest entries (default: 10, -1 means all). An entry has:",
                    "    id, time, duration in microseconds, arguments, client address, client name",
                    "LEN", "    Return the number of entries.",
                    "RESET", "    Forget all entries.",
                ])
        }
    }

    /// No samples are kept: there are no events to report. How long commands took is counted.
    private func addLatency(_ handlers: inout HandlersByName) {
        handlers.on("latency|histogram") { connection, context throws(Interruption) in
            Administration.writeHistograms(connection.server, context)
        }
        handlers.on("latency|latest") { _, context throws(Interruption) in context.reply.array(0) }
        handlers.on("latency|history") { _, context throws(Interruption) in context.reply.array(0) }
        handlers.on("latency|reset") { _, context throws(Interruption) in context.reply.integer(0) }
        handlers.on("latency|graph") { _, context throws(Interruption) in
            context.fail("ERR No samples available for event '\(context.args[2].string)'")
        }
        handlers.on("latency|doctor") { _, context throws(Interruption) in
            context.reply.verbatim(
                "Valk keeps no latency samples. SLOWLOG GET shows slow commands, INFO latencystats and LATENCY "
                    + "HISTOGRAM how the times of each command are spread.\n")
        }
        handlers.on("latency|help") { _, context throws(Interruption) in
            context.writeHelp(
                "LATENCY",
                [
                    "DOCTOR", "    Say in words what is slow.",
                    "GRAPH <event>", "    Draw the samples of an event.",
                    "HISTOGRAM [<command> ...]", "    Return how many calls of each command ended within which time.",
                    "HISTORY <event>", "    Return the samples of an event.",
                    "LATEST", "    Return the latest sample of each event.",
                    "RESET [<event> ...]", "    Forget samples.",
                ])
        }
    }

    /// For each command that the arguments name and its subcommands, or for all, as far as they have been called: the
    /// calls, and how many of them ended within so many microseconds.
    private static func writeHistograms(_ server: Server, _ context: CommandContext) {
        let table = server.table
        let latencies = server.latencies()
        var chosen = latencies.keys.sorted()
        if context.args.count > 2 {
            let given = (2..<context.args.count).map { context.args[$0].string.lowercased() }
            chosen = given.flatMap { name in
                chosen.filter { table.fullNames[$0] == name || table.fullNames[$0].hasPrefix(name + "|") }
            }
        }
        context.reply.map(chosen.count)
        for command in chosen {
            guard let histogram = latencies[command] else { continue }
            let steps = histogram.doublings()
            context.reply.bulk(table.fullNames[command])
            context.reply.map(2)
            context.reply.bulk("calls" as StaticString)
            context.reply.integer(Int64(histogram.total))
            context.reply.bulk("histogram_usec" as StaticString)
            context.reply.map(steps.count)
            for step in steps {
                context.reply.integer(Int64(step.microseconds))
                context.reply.integer(Int64(step.calls))
            }
        }
    }

    private func addMemory(_ handlers: inout HandlersByName) {
        handlers.on("memory|doctor") { [config] _, context throws(Interruption) in
            let resident = ProcessFacts.residentBytes()
            let budget = config.integer("memory")
            var text = "Resident memory is \(ProcessFacts.humanBytes(resident)); tables and caches may take "
            text += "\(ProcessFacts.humanBytes(budget)) (setting: memory). "
            text +=
                resident > budget * 3 / 2 + (64 << 20)
                ? "That is more than the budget explains: look at client buffers (CLIENT LIST: qbuf, obl).\n"
                : "Nothing unusual.\n"
            context.reply.verbatim(text)
        }
        handlers.on("memory|purge") { _, context throws(Interruption) in
            try context.needsWorker()
            valk_release_free_memory()
            context.reply.ok()
        }
        handlers.on("memory|malloc-stats") { _, context throws(Interruption) in
            context.reply.verbatim("heap bytes in use: \(ProcessFacts.heapBytes())\n")
        }
        handlers.on("memory|stats", memoryStatistics)
        handlers.on("memory|help") { _, context throws(Interruption) in
            context.writeHelp(
                "MEMORY",
                [
                    "DOCTOR", "    Say in words whether memory use is as it should be.",
                    "MALLOC-STATS", "    Return the allocator's figures.",
                    "PURGE", "    Give free heap memory back to the system.",
                    "STATS", "    Return where memory is.",
                    "USAGE <key> [SAMPLES <count>]", "    Return the bytes that a key and its value take.",
                ])
        }
    }

    private var memoryStatistics: HostedHandler {
        { [self] connection, context throws(Interruption) in
            try context.needsWorker()
            let heap = noteHeap()
            let resident = ProcessFacts.residentBytes()
            let clients = try connection.server.clients(context)
            let fields: [(String, Int)] = [
                ("peak.allocated", peakHeapBytes.load(ordering: .relaxed)),
                ("total.allocated", heap),
                ("replication.backlog", 0),
                ("clients.slaves", 0),
                ("clients.normal", clients.reduce(0) { $0 + $1.totalMemoryBytes }),
                ("aof.buffer", 0),
                ("lua.caches", 0),
                ("allocator.allocated", heap),
                ("allocator.resident", resident),
            ]
            context.reply.map(fields.count + 1)
            for (name, value) in fields {
                context.reply.bulk(name)
                context.reply.integer(value)
            }
            context.reply.bulk("fragmentation" as StaticString)
            context.reply.double(heap > 0 ? Double(resident) / Double(heap) : 0)
        }
    }

    /// Bytes in use on the heap; remembers the largest.
    func noteHeap() -> Int {
        let heap = ProcessFacts.heapBytes()
        var peak = peakHeapBytes.load(ordering: .relaxed)
        while heap > peak {
            let (done, now) = peakHeapBytes.compareExchange(expected: peak, desired: heap, ordering: .relaxed)
            if done { break }
            peak = now
        }
        return heap
    }
}
