// Samples of what was slow: what is kept, and how it is shown.

import Testing
import ValkBase

@testable import ValkServer

@Suite struct LatencyMonitorTests {
    @Test func aSecondHasOneSampleItsWorst() {
        let monitor = LatencyMonitor()
        for (time, milliseconds) in [(100, 20), (100, 50), (100, 30), (101, 10)] {
            monitor.add(.command, milliseconds: milliseconds, time: time)
        }
        let series = monitor.series("command")
        #expect(
            series?.samples == [
                LatencySample(time: 100, milliseconds: 50), LatencySample(time: 101, milliseconds: 10),
            ])
        #expect(series?.worst == 50)
        #expect(monitor.series("fast-command") == nil)
        #expect(monitor.series("nosuch") == nil)
    }

    @Test func soManySamplesAreKeptAndTheWorstStays() {
        let monitor = LatencyMonitor()
        for time in 0..<400 { monitor.add(.expireCycle, milliseconds: time == 0 ? 900 : 10, time: time) }
        let series = monitor.series("expire-cycle")
        #expect(series?.samples.count == 160)
        #expect(series?.samples.first?.time == 240)
        #expect(series?.worst == 900)
    }

    @Test func thresholdAndReset() {
        let monitor = LatencyMonitor()
        monitor.note(.command, nanoseconds: 5_000_000_000)
        #expect(monitor.all.isEmpty)
        monitor.threshold = 100
        monitor.note(.command, nanoseconds: 99_999_999)
        #expect(monitor.all.isEmpty)
        monitor.note(.command, nanoseconds: 100_000_000)
        monitor.note(.fastCommand, nanoseconds: 200_000_000)
        monitor.note(.evictionCycle, nanoseconds: 200_000_000)
        #expect(monitor.all.map(\.event) == [.command, .evictionCycle, .fastCommand])
        #expect(monitor.reset(["command", "nosuch"]) == 1)
        #expect(monitor.reset([]) == 2)
        #expect(monitor.all.isEmpty)
    }

    @Test func theGraphShowsHeightsAndAges() {
        let monitor = LatencyMonitor()
        for (time, milliseconds) in [(10, 60), (995, 30), (999, 30)] {
            monitor.add(.command, milliseconds: milliseconds, time: time)
        }
        guard let series = monitor.series("command") else { return #expect(Bool(false)) }
        #expect(
            LatencyReport.graph("command", series, now: 1000)
                == "command - high 60 ms, low 30 ms (all time high 60 ms)\n" + String(repeating: "-", count: 80)
                + "\n#  \n|  \n|  \n|__\n   \n151\n6ss\nm  \n")
    }

    @Test func theDoctorSpeaksOfWhatThereIs() {
        let monitor = LatencyMonitor()
        #expect(LatencyReport.doctor(monitor).contains("latency-monitor-threshold is 0"))
        monitor.threshold = 10
        #expect(LatencyReport.doctor(monitor).contains("Nothing took 10 ms"))
        monitor.add(.command, milliseconds: 60, time: 100)
        monitor.add(.command, milliseconds: 30, time: 109)
        let text = LatencyReport.doctor(monitor)
        #expect(text.contains("command: 2 seconds with something slow within 10 s, on average 45 ms"))
        #expect(text.contains("at worst 60 ms"))
        #expect(!text.contains("expire-cycle"))
    }

    @Test func aSlowCommandIsNoted() throws {
        let server = try FullServer("enable-debug-command yes")
        let client = try server.connect()
        _ = try client.ask("DEBUG", "SLEEP", "0.01")
        #expect(try client.ask("LATENCY", "LATEST") == "*[]")
        #expect(try client.ask("CONFIG", "SET", "latency-monitor-threshold", "5") == "+OK")
        _ = try client.ask("DEBUG", "SLEEP", "0.01")
        #expect(try client.ask("LATENCY", "LATEST").hasPrefix("*[*[$command,:"))
        #expect(try client.ask("LATENCY", "HISTORY", "command").hasPrefix("*[*[:"))
        #expect(try client.ask("LATENCY", "GRAPH", "command").hasPrefix("$command - high "))
        #expect(try client.ask("LATENCY", "RESET", "command") == ":1")
        #expect(try client.ask("LATENCY", "LATEST") == "*[]")
    }
}
