// What LATENCY HISTORY, LATEST, GRAPH and DOCTOR tell: what took longer than `latency-monitor-threshold`, by kind of
// event, at most one sample a second and `samplesMax` of each kind.
//
// Threads ask whether something was slow enough with one load; only then a lock is taken. What runs in the background
// (removing expired keys, evictions) holds nobody up and is told all the same, as where the time goes.

import Synchronization
import ValkBase

/// What can be slow, by the names that Redis gives.
package enum LatencyEvent: String, CaseIterable, Sendable {
    case command
    case fastCommand = "fast-command"
    case expireCycle = "expire-cycle"
    case evictionCycle = "eviction-cycle"
}

package struct LatencySample: Equatable, Sendable {
    /// Seconds since 1970.
    package let time: Int
    package let milliseconds: Int

    package init(time: Int, milliseconds: Int) {
        self.time = time
        self.milliseconds = milliseconds
    }
}

package final class LatencyMonitor: Sendable {
    package struct Series: Sendable {
        /// Oldest first.
        package fileprivate(set) var samples: [LatencySample] = []
        package fileprivate(set) var worst = 0
    }

    package static let samplesMax = 160

    private let thresholdMilliseconds = Atomic<Int>(0)
    private let lock = Lock()
    // SAFETY: read and written under `lock` only.
    private nonisolated(unsafe) var series: [LatencyEvent: Series] = [:]

    package init() {}

    /// `latency-monitor-threshold`, 0 for off.
    package var threshold: Int {
        get { thresholdMilliseconds.load(ordering: .relaxed) }
        set { thresholdMilliseconds.store(newValue, ordering: .relaxed) }
    }

    /// Something took so long. `now` is milliseconds since 1970.
    @inline(__always)
    package func note(_ event: @autoclosure () -> LatencyEvent, nanoseconds: UInt64) {
        let threshold = self.threshold
        if threshold > 0 && nanoseconds >= UInt64(threshold) &* 1_000_000 {
            add(event(), milliseconds: Int(nanoseconds / 1_000_000), time: Int(WallTime.microseconds() / 1_000_000))
        }
    }

    /// `time`: seconds since 1970.
    @inline(never)
    package func add(_ event: LatencyEvent, milliseconds: Int, time: Int) {
        lock.withLock {
            var found = series[event] ?? Series()
            found.worst = max(found.worst, milliseconds)
            var sample = LatencySample(time: time, milliseconds: milliseconds)
            if let last = found.samples.last, last.time == time {
                sample = LatencySample(time: time, milliseconds: max(last.milliseconds, milliseconds))
                found.samples.removeLast()
            }
            found.samples.append(sample)
            if found.samples.count > LatencyMonitor.samplesMax { found.samples.removeFirst() }
            series[event] = found
        }
    }

    /// Those that have samples, in the order of their names.
    package var all: [(event: LatencyEvent, series: Series)] {
        lock.withLock { series.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0.key, $0.value) } }
    }

    package func series(_ name: String) -> Series? {
        LatencyEvent(rawValue: name).flatMap { event in lock.withLock { series[event] } }
    }

    /// Forgets the samples of these kinds, or of all without names; returns how many kinds had any.
    package func reset(_ names: [String]) -> Int {
        lock.withLock {
            let gone = names.isEmpty ? Array(series.keys) : names.compactMap { LatencyEvent(rawValue: $0) }
            return gone.reduce(0) { series.removeValue(forKey: $1) == nil ? $0 : $0 + 1 }
        }
    }
}
