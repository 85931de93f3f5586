// Rates over the last second and a half, for INFO's instantaneous_* fields: totals sampled ten times a second.
//
// The cron of loop 0 writes, INFO reads on any thread; a lock taken ten times a second guards the samples.

import ValkBase

package final class RateMeter: Sendable {
    package struct Sample: Sendable {
        /// Monotonic nanoseconds.
        var time: UInt64 = 0
        var commands: UInt64 = 0
        var bytesIn: UInt64 = 0
        var bytesOut: UInt64 = 0

        package init(time: UInt64, commands: UInt64, bytesIn: UInt64, bytesOut: UInt64) {
            self.time = time
            self.commands = commands
            self.bytesIn = bytesIn
            self.bytesOut = bytesOut
        }
    }

    /// Per second.
    package struct Rates: Sendable, Equatable {
        package var commands: Double = 0
        package var bytesIn: Double = 0
        package var bytesOut: Double = 0
    }

    private static let samplesMax = 16
    private let lock = Lock()
    // SAFETY: read and written under `lock` only.
    private nonisolated(unsafe) var samples: [Sample] = []

    package init() {}

    /// Totals that went back (CONFIG RESETSTAT) begin a new series.
    package func add(_ sample: Sample) {
        lock.withLock {
            if let last = samples.last, sample.commands < last.commands { samples.removeAll() }
            if samples.count == RateMeter.samplesMax { samples.removeFirst() }
            samples.append(sample)
        }
    }

    package var rates: Rates {
        lock.withLock {
            guard let first = samples.first, let last = samples.last, last.time > first.time else { return Rates() }
            let seconds = Double(last.time - first.time) / 1e9
            return Rates(
                commands: Double(last.commands - first.commands) / seconds,
                bytesIn: Double(last.bytesIn &- first.bytesIn) / seconds,
                bytesOut: Double(last.bytesOut &- first.bytesOut) / seconds)
        }
    }
}
