// SLOWLOG and MEMORY: what went slowly and where memory is.

import CValk
import Synchronization
import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP
import ValkScripting

extension Administration {
    func addDiagnosisCommands(_ handlers: inout HandlersByName) {
        addSlowLog(&handlers)
        addLatencyCommands(&handlers)
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
            let server = connection.server
            let peak = peakHeapBytes.load(ordering: .relaxed)
            let active = ProcessFacts.heapActiveBytes()
            var keys = 0
            for database in 0..<config.integer("databases") {
                keys += Int(try counts(server, database, context).keys)
            }
            let stored = server.dataLimit.usedBytes
            func ratio(_ a: Int, _ b: Int) -> Double { b > 0 ? Double(a) / Double(b) : 0 }
            let fields: [(String, MemoryFigure)] = [
                ("peak.allocated", .bytes(peak)),
                ("total.allocated", .bytes(heap)),
                ("startup.allocated", .bytes(startupHeapBytes)),
                ("replication.backlog", .bytes(0)),
                ("clients.slaves", .bytes(0)),
                ("clients.normal", .bytes(clients.reduce(0) { $0 + $1.totalMemoryBytes })),
                ("cluster.links", .bytes(0)),
                ("aof.buffer", .bytes(0)),
                ("lua.caches", .bytes(server.scripts.size.bytes)),
                ("functions.caches", .bytes(server.libraries.current.bytes)),
                // All of it: the data are on the disk.
                ("overhead.total", .bytes(heap)),
                ("keys.count", .bytes(keys)),
                ("keys.bytes-per-key", .bytes(keys > 0 ? stored / keys : 0)),
                ("dataset.bytes", .bytes(stored)),
                ("peak.percentage", .ratio(ratio(heap, peak) * 100)),
                ("allocator.allocated", .bytes(heap)),
                ("allocator.active", .bytes(active)),
                ("allocator.resident", .bytes(resident)),
                ("allocator-fragmentation.ratio", .ratio(ratio(active, heap))),
                ("allocator-fragmentation.bytes", .bytes(active - heap)),
                ("allocator-rss.ratio", .ratio(ratio(resident, active))),
                ("allocator-rss.bytes", .bytes(resident - active)),
                ("fragmentation", .ratio(ratio(resident, heap))),
                ("fragmentation.bytes", .bytes(resident - heap)),
            ]
            context.reply.map(fields.count)
            for (name, value) in fields {
                context.reply.bulk(name)
                switch value {
                case .bytes(let bytes): context.reply.integer(bytes)
                case .ratio(let ratio): context.reply.double(ratio)
                }
            }
        }
    }

    private enum MemoryFigure {
        case bytes(Int)
        case ratio(Double)
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
