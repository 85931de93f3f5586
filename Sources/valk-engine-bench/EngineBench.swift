// Valk's side of `scripts/bench engine`: the library in one process, with the same phases, keys, values and threads as
// scripts/bench-parts/rocks.cpp, and one line of JSON for each phase. The log is on and synced once a second.
//
// Threads: the phases' threads share the settings and the database; the main thread measures.

import ArgumentParser
import Glibc
import Synchronization
import ValkBase
import ValkEngine

@main
struct EngineBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "valk-engine-bench", abstract: "Loads and reads a database through the library; see scripts/bench."
    )

    @Option(help: "Directory of the database.")
    var dir: String
    @Option(help: "Of fill, hit, miss, seek, overwrite, in the order given.")
    var phases = "fill,hit,miss,seek,overwrite"
    @Option var keys: Int = 1_000_000
    @Option(help: "Reads of a phase; as many as keys without it.")
    var reads: Int?
    @Option var seeks: Int?
    @Option(help: "How often overwrite goes over the keys.")
    var passes: Int = 1
    @Option(help: "Bytes of a value.")
    var value: Int = 100
    @Option(help: "Memory budget in bytes.")
    var memory: Int = 512 << 20
    @Option var threads: Int = 1

    func validate() throws {
        guard keys > 0, passes > 0, threads > 0, value >= 8, reads ?? 1 > 0, seeks ?? 1 > 0 else {
            throw ValidationError("counts begin at 1, values at 8 bytes")
        }
    }

    func run() throws {
        var options = StoreOptions(path: dir)
        options.memoryBytes = memory
        let work = Work(try Database(options), valueBytes: value)
        let keys = UInt64(keys)
        let reads = UInt64(reads ?? self.keys)
        for name in phases.split(separator: ",") {
            switch name {
            case "fill": phase("fill", keys, writes: true) { work.put($0, pass: 0) }
            case "overwrite":
                phase("overwrite", keys * UInt64(passes), writes: true) { i in
                    work.put(Work.mix(i &+ 77) % keys, pass: 1 + i / keys)
                }
            case "hit":
                phase("warm", reads, writes: false) { work.get(Work.mix($0 ^ 0x117) % keys) }
                phase("hit", reads, writes: false) { work.get(Work.mix($0 ^ 0x117) % keys) }
            case "miss": phase("miss", reads, writes: false) { work.get(keys + Work.mix($0) % keys) }
            case "seek":
                phase("seek", UInt64(seeks ?? max(1, self.keys / 20)), writes: false) { i in
                    work.seek(Work.mix(i ^ 0x5EE) % keys)
                }
            default: throw ValidationError("no phase is called \(name)")
            }
        }
        try work.database.close()
    }

    /// Runs `operations` calls of `body` on the threads and prints what they cost. The work that they left for the
    /// background counts as theirs.
    private func phase(
        _ name: String, _ operations: UInt64, writes: Bool, _ body: @escaping @Sendable (UInt64) -> UInt64
    ) {
        let progress = Progress()
        let io = Usage.io()
        let cpu = Usage.cpu()
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
        let slowest = progress.watch(threads)
        for thread in running { thread.join() }
        let seconds = Double(Monotonic.nanoseconds() - begin) / 1e9
        if writes { Usage.waitUntilIdle() }
        let drained = Double(Monotonic.nanoseconds() - begin) / 1e9 - seconds
        let after = Usage.io()
        let used = Usage.cpu() - cpu
        print(
            "{\"phase\":\"\(name)\",\"operations\":\(operations),\"seconds\":\(seconds),"
                + "\"slowest\":\(slowest ?? Double(operations) / seconds),\"cpu\":\(used),"
                + "\"found\":\(progress.found.load(ordering: .relaxed)),\"written\":\(after.written - io.written),"
                + "\"passed\":\(after.passed - io.passed),\"allocated\":\(Usage.allocated(dir)),\"drain\":\(drained)}")
        fflush(nil)
    }
}

/// How far the threads of a phase are.
private final class Progress: Sendable {
    let done = Atomic<UInt64>(0)
    let found = Atomic<UInt64>(0)
    let ended = Atomic<Int>(0)

    /// Waits for the end; the rate of the slowest whole second, nil when there was none.
    func watch(_ threads: Int) -> Double? {
        var slowest: Double?
        var second = Monotonic.nanoseconds()
        var last: UInt64 = 0
        while ended.load(ordering: .acquiring) < threads {
            usleep(20_000)
            let now = Monotonic.nanoseconds()
            if now - second < 1_000_000_000 || ended.load(ordering: .acquiring) == threads { continue }
            let count = done.load(ordering: .relaxed)
            let rate = Double(count - last) * 1e9 / Double(now - second)
            slowest = min(slowest ?? rate, rate)
            last = count
            second = now
        }
        return slowest
    }
}
