// Valk's side of `scripts/bench engine`: the library in one process, with the same phases, keys, values and threads as
// scripts/bench-parts/rocks.cpp, and one line of JSON for each phase. The log is on and not synced. A phase works on
// what the directory holds, so every phase can be a process of its own.
//
// Threads: the phases' threads share the settings and the database; the main thread measures.

import ArgumentParser
import Glibc
import ValkEngine

@main
struct EngineBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "valk-engine-bench", abstract: "Loads and reads a database through the library; see scripts/bench."
    )

    @Option(help: "Directory of the database.")
    var dir: String
    @Option(help: "Of fill, hit, miss, seek, coldhit, coldmiss, overwrite, delete, in the order given.")
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
    @Option(help: "Seconds between looks at the allocated bytes while writing.")
    var interval: Int = 60
    @Option(help: "Seconds that the space of deleted keys may take to be given back.")
    var patience: Int = 300

    func validate() throws {
        guard keys > 0, passes > 0, threads > 0, value >= 8, reads ?? 1 > 0, seeks ?? 1 > 0, interval > 0 else {
            throw ValidationError("counts begin at 1, values at 8 bytes")
        }
    }

    func run() throws {
        var options = StoreOptions(path: dir)
        options.memoryBytes = memory
        options.syncPolicy = .no
        let work = Work(try Database(options), valueBytes: value)
        let keys = UInt64(keys)
        let reads = UInt64(reads ?? self.keys)
        let pair = UInt64(value + Work.keyBytes)
        let phase = Phase(dir: dir, threads: threads, live: keys * pair, interval: interval, patience: patience)
        let hit: @Sendable (UInt64) -> UInt64 = { work.get(Work.mix($0 ^ 0x117) % keys) }
        let miss: @Sendable (UInt64) -> UInt64 = { work.get(keys + Work.mix($0) % keys) }
        for name in phases.split(separator: ",") {
            switch name {
            case "fill": phase.run("fill", keys, .writes) { work.put($0, pass: 0) }
            case "overwrite":
                phase.run("overwrite", keys * UInt64(passes), .writes) { i in
                    work.put(Work.mix(i &+ 77) % keys, pass: 1 + i / keys)
                }
            case "hit":
                phase.run("warm", reads, .reads, hit)
                phase.run("hit", reads, .reads, hit)
            case "miss":
                phase.run("warm", reads, .reads, miss)
                phase.run("miss", reads, .reads, miss)
            case "seek":
                let seeks = UInt64(seeks ?? max(1, self.keys / 20))
                let seek: @Sendable (UInt64) -> UInt64 = { work.seek(Work.mix($0 ^ 0x5EE) % keys) }
                phase.run("warm", seeks, .reads, seek)
                phase.run("seek", seeks, .reads, seek)
            case "coldhit":
                phase.run("warm", reads, .coldReads, hit)
                phase.run("coldhit", reads, .coldReads) { hit($0 &+ 1 << 32) }
            case "coldmiss":
                phase.run("warm", reads, .coldReads, miss)
                phase.run("coldmiss", reads, .coldReads) { miss($0 &+ 1 << 32) }
            case "delete":
                // Nine of ten keys; the tenth stays.
                let deletes = (keys - (keys + 9) / 10)
                let left = keys - deletes
                phase.run("delete", deletes, .deletes(live: left * pair)) { work.remove($0 + $0 / 9 + 1) }
            default: throw ValidationError("no phase is called \(name)")
            }
        }
        try work.database.close()
    }
}
