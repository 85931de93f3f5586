// One phase of the benchmark: a number of operations on some threads, what they cost, and what they left on the disk.
//
// Threads: the phase's threads do the operations; the caller measures, tells of the progress on standard error, and
// while reads are to be cold keeps the files out of the page cache.

import Glibc
import Synchronization
import ValkBase

struct Phase {
    enum Kind {
        case writes
        case reads
        /// The page cache is emptied of the files again and again.
        case coldReads
        /// Waits afterwards until the files fit one and a half of `live`.
        case deletes(live: UInt64)
    }

    let dir: String
    let threads: Int
    /// Bytes of all keys and values.
    let live: UInt64
    /// Seconds.
    let interval, patience: Int

    /// Runs `operations` calls of `body` on the threads and prints what they cost. The work that they left for the
    /// background counts as theirs.
    func run(_ name: String, _ operations: UInt64, _ kind: Kind, _ body: @escaping @Sendable (UInt64) -> UInt64) {
        if case .coldReads = kind { Files.dropCaches(dir, syncing: true) }
        let watch = Watch(name: name, operations: operations, phase: self, kind: kind)
        let progress = watch.progress
        let before = Usage.now(of: dir)
        let begin = Monotonic.nanoseconds()
        let count = UInt64(threads)
        let running = (0..<count).map { first in
            PThread(name: "bench") {
                var found: UInt64 = 0
                var i = first
                while i < operations {
                    found &+= body(i)
                    if i & 255 < count { progress.done.add(256 / count, ordering: .relaxed) }
                    i += count
                }
                progress.found.add(found, ordering: .relaxed)
                progress.ended.add(1, ordering: .releasing)
            }
        }
        watch.untilTheEnd(threads)
        for thread in running { thread.join() }
        let seconds = Double(Monotonic.nanoseconds() - begin) / 1e9
        let readsEnd = Usage.now(of: dir)
        var settled = -1.0
        switch kind {
        case .writes: Usage.waitUntilIdle()
        case .deletes(let live):
            settled = watch.untilSettled(live)
            Usage.waitUntilIdle()
        default: break
        }
        let used = Usage.now(of: dir)
        let drained = Double(Monotonic.nanoseconds() - begin) / 1e9 - seconds
        let rate = Double(operations) / seconds
        print(
            "{\"phase\":\"\(name)\",\"threads\":\(threads),\"operations\":\(operations),\"seconds\":\(seconds),"
                + "\"slowest\":\(watch.slowest ?? rate),\"cpu\":\(used.cpu - before.cpu),"
                + "\"found\":\(progress.found.load(ordering: .relaxed)),\"written\":\(used.written - before.written),"
                + "\"passed\":\(used.passed - before.passed),\"read\":\(readsEnd.read - before.read),"
                + "\"device_reads\":\(readsEnd.deviceReads - before.deviceReads),"
                + "\"device_read_bytes\":\(readsEnd.deviceReadBytes - before.deviceReadBytes),"
                + "\"allocated\":\(Files.allocated(dir)),\"peak\":\(watch.peak),\"settled\":\(settled),"
                + "\"samples\":[\(watch.samples.joined(separator: ","))],\"drain\":\(drained)}")
        fflush(nil)
    }
}

/// How far the threads of a phase are.
final class Progress: Sendable {
    let done = Atomic<UInt64>(0)
    let found = Atomic<UInt64>(0)
    let ended = Atomic<Int>(0)
}

/// The measuring side of a phase. The thread that measures only.
final class Watch {
    let progress = Progress()
    /// Operations of the slowest whole second; nil when there was none.
    private(set) var slowest: Double?
    /// `[seconds, operations, allocated bytes]` each, as JSON.
    private(set) var samples: [String] = []
    /// Most allocated bytes that were seen.
    private(set) var peak = 0
    private let name: String
    private let operations: UInt64
    private let phase: Phase
    private let kind: Phase.Kind
    private let begin = Monotonic.nanoseconds()

    private static let second: UInt64 = 1_000_000_000

    init(name: String, operations: UInt64, phase: Phase, kind: Phase.Kind) {
        self.name = name
        self.operations = operations
        self.phase = phase
        self.kind = kind
    }

    private var writes: Bool {
        if case .writes = kind { return true }
        if case .deletes = kind { return true }
        return false
    }

    func untilTheEnd(_ threads: Int) {
        var second = begin
        var last: UInt64 = 0
        var nextSample = begin + UInt64(phase.interval) * Watch.second
        var nextWord = begin + 10 * Watch.second
        var nextDrop = begin
        while progress.ended.load(ordering: .acquiring) < threads {
            usleep(20_000)
            let now = Monotonic.nanoseconds()
            if progress.ended.load(ordering: .acquiring) == threads { break }
            if case .coldReads = kind, now >= nextDrop {
                Files.dropCaches(phase.dir, syncing: false)
                nextDrop = now + Watch.second / 10
            }
            if writes, now >= nextSample {
                sample()
                nextSample += UInt64(phase.interval) * Watch.second
            }
            if now - second < Watch.second { continue }
            let count = progress.done.load(ordering: .relaxed)
            let rate = Double(count - last) * 1e9 / Double(now - second)
            slowest = min(slowest ?? rate, rate)
            last = count
            second = now
            if now >= nextWord {
                tell("\(count * 100 / operations) %, \(Int(rate))/s")
                nextWord += 10 * Watch.second
            }
        }
        if writes { sample() }
    }

    /// Seconds until the files fit one and a half of `live` bytes; -1 when they never do.
    func untilSettled(_ live: UInt64) -> Double {
        let end = Monotonic.nanoseconds()
        var nextWord = end
        while true {
            let now = Monotonic.nanoseconds()
            let bytes = Files.allocated(phase.dir)
            peak = max(peak, bytes)
            if UInt64(bytes) * 2 <= live * 3 { return Double(now - end) / 1e9 }
            if now - end > UInt64(phase.patience) * Watch.second { return -1 }
            if now >= nextWord {
                tell("\(bytes >> 20) MiB for \(live >> 20) MiB that live")
                nextWord += 10 * Watch.second
            }
            usleep(500_000)
        }
    }

    private func sample() {
        let bytes = Files.allocated(phase.dir)
        peak = max(peak, bytes)
        let seconds = Double(Monotonic.nanoseconds() - begin) / 1e9
        samples.append("[\(seconds),\(progress.done.load(ordering: .relaxed)),\(bytes)]")
    }

    private func tell(_ what: String) {
        let seconds = (Monotonic.nanoseconds() - begin) / Watch.second
        let space = writes ? ", \(Files.allocated(phase.dir) * 100 / Int(phase.live)) % of all pairs on the disk" : ""
        var line = "    valk \(name), \(seconds) s: \(what)\(space)\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}
