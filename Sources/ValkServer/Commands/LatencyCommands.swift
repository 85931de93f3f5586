// LATENCY: what took long, when, and how the times of commands are spread.

import ValkBase
import ValkCommands
import ValkEngine
import ValkRESP

extension Administration {
    func addLatencyCommands(_ handlers: inout HandlersByName) {
        handlers.on("latency|histogram") { connection, context throws(Interruption) in
            Administration.writeHistograms(connection.server, context)
        }
        handlers.on("latency|latest") { connection, context throws(Interruption) in
            let all = connection.server.latencyMonitor.all
            context.reply.array(all.count)
            for (event, series) in all {
                context.reply.array(4)
                context.reply.bulk(event.rawValue)
                context.reply.integer(series.samples.last?.time ?? 0)
                context.reply.integer(series.samples.last?.milliseconds ?? 0)
                context.reply.integer(series.worst)
            }
        }
        handlers.on("latency|history") { connection, context throws(Interruption) in
            let samples = connection.server.latencyMonitor.series(context.args[2].string)?.samples ?? []
            context.reply.array(samples.count)
            for sample in samples {
                context.reply.array(2)
                context.reply.integer(sample.time)
                context.reply.integer(sample.milliseconds)
            }
        }
        handlers.on("latency|reset") { connection, context throws(Interruption) in
            let names = (2..<max(2, context.args.count)).map { context.args[$0].string }
            context.reply.integer(connection.server.latencyMonitor.reset(names))
        }
        handlers.on("latency|graph") { connection, context throws(Interruption) in
            let event = context.args[2].string
            guard let series = connection.server.latencyMonitor.series(event) else {
                return context.fail("ERR No samples available for event '\(event)'")
            }
            context.reply.verbatim(LatencyReport.graph(event, series, now: Int(WallTime.microseconds() / 1_000_000)))
        }
        handlers.on("latency|doctor") { connection, context throws(Interruption) in
            context.reply.verbatim(LatencyReport.doctor(connection.server.latencyMonitor))
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
}
