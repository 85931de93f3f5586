// Samples of the latency monitor for people: LATENCY GRAPH draws them, LATENCY DOCTOR says what they come to.

import ValkBase

package enum LatencyReport {
    private static let columns = 80
    private static let rows = 4
    /// From low to high within a row.
    private static let marks: [Character] = ["_", "o", "#"]

    /// The samples of an event in columns of marks, oldest first, with their age below, top to bottom. `now`: seconds.
    package static func graph(_ event: String, _ series: LatencyMonitor.Series, now: Int) -> String {
        let values = series.samples.map(\.milliseconds)
        let high = values.max() ?? 0
        let low = values.min() ?? 0
        var text = "\(event) - high \(high) ms, low \(low) ms (all time high \(series.worst) ms)\n"
        text += String(repeating: "-", count: columns) + "\n"
        var first = 0
        while first < values.count {
            if first > 0 { text += "\n" }
            let part = series.samples[first..<min(first + columns, values.count)]
            text += strip(part, low: low, high: high, now: now)
            first += columns
        }
        return text
    }

    private static func strip(_ samples: ArraySlice<LatencySample>, low: Int, high: Int, now: Int) -> String {
        let steps = marks.count * rows
        let range = max(1, high - low)
        let levels = samples.map { min(steps - 1, ($0.milliseconds - low) * steps / range) }
        var text = ""
        for row in 0..<rows {
            let floor = (rows - row - 1) * marks.count
            for level in levels {
                let height = level - floor
                text.append(height < 0 ? " " : height < marks.count ? marks[height] : "|")
            }
            text += "\n"
        }
        // A line apart from the graph, then the ages.
        text += String(repeating: " ", count: levels.count) + "\n"
        let ages = samples.map { Array(age(now - $0.time)) }
        for line in 0..<(ages.map(\.count).max() ?? 0) {
            text += String(ages.map { line < $0.count ? $0[line] : " " }) + "\n"
        }
        return text
    }

    private static func age(_ seconds: Int) -> String {
        switch seconds {
        case ..<60: "\(max(0, seconds))s"
        case ..<3600: "\(seconds / 60)m"
        case ..<86_400: "\(seconds / 3600)h"
        default: "\(seconds / 86_400)d"
        }
    }

    // MARK: In words

    package static func doctor(_ monitor: LatencyMonitor) -> String {
        let all = monitor.all
        if monitor.threshold == 0 && all.isEmpty {
            return "Nothing is watched: latency-monitor-threshold is 0. CONFIG SET latency-monitor-threshold "
                + "<milliseconds> has everything noted that takes at least so long. INFO latencystats and LATENCY "
                + "HISTOGRAM tell how long commands take in any case.\n"
        }
        if all.isEmpty {
            return "Nothing took \(monitor.threshold) ms (latency-monitor-threshold) or longer since the start or the "
                + "last LATENCY RESET.\n"
        }
        var text = ""
        for (event, series) in all { text += line(event, series) }
        for (event, _) in all { text += advice(event) }
        return text
    }

    private static func line(_ event: LatencyEvent, _ series: LatencyMonitor.Series) -> String {
        let values = series.samples.map(\.milliseconds)
        let count = max(1, values.count)
        let mean = values.reduce(0, +) / count
        let deviation = values.reduce(0) { $0 + abs($1 - mean) } / count
        let first = series.samples.first?.time ?? 0
        let span = (series.samples.last?.time ?? first) - first
        return
            "\(event.rawValue): \(values.count) seconds with something slow within \(span + 1) s, on average \(mean) "
            + "ms (mean deviation \(deviation) ms), at worst \(series.worst) ms.\n"
    }

    private static func advice(_ event: LatencyEvent) -> String {
        switch event {
        case .command:
            "- command: SLOWLOG GET names the slow ones. One that reads much from the disk runs on a worker and holds up "
                + "its own client only.\n"
        case .fastCommand:
            "- fast-command: such a command is seldom slow by itself. Look for reads from the disk (INFO storage: cache "
                + "hits), a processor that others use, and the log's device (INFO log).\n"
        case .expireCycle:
            "- expire-cycle: expired keys are removed in the background; no client waits for it.\n"
        case .evictionCycle:
            "- eviction-cycle: keys are evicted in the background. Clients that store more wait for it where the limit "
                + "is exceeded by much (INFO stats: current_eviction_exceeded_time).\n"
        }
    }
}
