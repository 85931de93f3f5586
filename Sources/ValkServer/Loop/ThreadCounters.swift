// Counters of one loop or worker: plain words that one thread adds to and any thread may read. No locked instruction on
// the way; INFO sums over the threads. A reset remembers the sums of that moment and subtracts them later.

import CValk
import ValkBase
import ValkCommands

/// Sums over a thread's life.
package enum ServerCounter: Int, CaseIterable, Sendable {
    case commands, connectionsAccepted, connectionsRefused, bytesIn, bytesOut, reads, writes
    case keyspaceHits, keyspaceMisses, dirty, expiredKeys, errorReplies, deferredCommands, replyPieces, slowCommands
    case evictedKeys, evictedClients, expiryFaults, expiryRunsCut, expiryMicroseconds
    case queryBufferLimitClosed, outputLimitClosed, idleClosed, heldReplies, turns
}

/// What is counted for each command of the table.
package struct CommandCounts: Sendable {
    package var calls: UInt64 = 0
    package var nanoseconds: UInt64 = 0
    /// Refused before they ran (arity, transaction, permission).
    package var rejected: UInt64 = 0
    /// Ran and answered an error.
    package var failed: UInt64 = 0
}

final class ThreadCounters: @unchecked Sendable {  // One writer; readers see each word whole.
    private let words: UnsafeMutablePointer<UInt64>
    private let errorBase: Int
    private let commandBase: Int
    let wordCount: Int
    private let commandCount: Int
    /// By command: where its row of latencies is, 0 until its first call.
    private let latencyRows: UnsafeMutablePointer<UInt64>

    init(commandCount: Int) {
        errorBase = ServerCounter.allCases.count
        commandBase = errorBase + ErrorCode.allCases.count
        self.commandCount = commandCount
        wordCount = commandBase + commandCount * 4
        words = .allocate(capacity: wordCount)
        words.initialize(repeating: 0, count: wordCount)
        latencyRows = .allocate(capacity: max(1, commandCount))
        latencyRows.initialize(repeating: 0, count: max(1, commandCount))
    }

    deinit {
        words.deallocate()
        for command in 0..<commandCount { latencyRow(command)?.deallocate() }
        latencyRows.deallocate()
    }

    @inline(__always)  // A load, an add and a store on the request path.
    private func add(at index: Int, _ n: UInt64) {
        valk_store_relaxed_u64(words + index, valk_load_relaxed_u64(words + index) &+ n)
    }

    @inline(__always)
    func add(_ counter: ServerCounter, _ n: Int = 1) { add(at: counter.rawValue, UInt64(truncatingIfNeeded: n)) }

    @inline(__always)
    func addCall(_ command: Int, nanoseconds: UInt64) {
        let base = commandBase &+ command &* 4
        add(at: base, 1)
        add(at: base &+ 1, nanoseconds)
    }

    @inline(__always)
    func addLatency(_ command: Int, nanoseconds: UInt64) {
        let row = latencyRow(command) ?? makeLatencyRow(command)
        let count = row + LatencyScale.bucket(nanoseconds)
        valk_store_relaxed_u64(count, valk_load_relaxed_u64(count) &+ 1)
    }

    @inline(__always)
    private func latencyRow(_ command: Int) -> UnsafeMutablePointer<UInt64>? {
        UnsafeMutablePointer(bitPattern: UInt(valk_load_acquire_u64(latencyRows + command)))
    }

    /// Rows come with the first call: most commands are never called.
    @inline(never)
    private func makeLatencyRow(_ command: Int) -> UnsafeMutablePointer<UInt64> {
        let row = UnsafeMutablePointer<UInt64>.allocate(capacity: LatencyScale.bucketCount)
        row.initialize(repeating: 0, count: LatencyScale.bucketCount)
        valk_store_release_u64(latencyRows + command, UInt64(UInt(bitPattern: row)))
        return row
    }

    /// Adds the times of each command that has run here.
    func addLatencies(to sums: inout [Int: LatencyHistogram]) {
        for command in 0..<commandCount {
            if let row = latencyRow(command) { sums[command, default: LatencyHistogram()].add(row) }
        }
    }

    func addRejected(_ command: Int) { add(at: commandBase + command * 4 + 2, 1) }
    func addFailed(_ command: Int) { add(at: commandBase + command * 4 + 3, 1) }

    func addError(_ code: ErrorCode, _ n: Int = 1) {
        add(at: errorBase + Int(code.rawValue), UInt64(n))
        add(.errorReplies, n)
    }

    func value(_ counter: ServerCounter) -> UInt64 { valk_load_relaxed_u64(words + counter.rawValue) }

    /// All words, for sums and resets.
    func snapshot() -> [UInt64] { (0..<wordCount).map { valk_load_relaxed_u64(words + $0) } }

    /// Where the words of a snapshot lie.
    static func totals(_ words: [UInt64], commandCount: Int) -> ServerTotals {
        let errors = ServerCounter.allCases.count
        let commands = errors + ErrorCode.allCases.count
        var totals = ServerTotals()
        for counter in ServerCounter.allCases { totals.counters[counter.rawValue] = words[counter.rawValue] }
        for code in ErrorCode.allCases { totals.errors[Int(code.rawValue)] = words[errors + Int(code.rawValue)] }
        totals.commands = (0..<commandCount).map {
            let base = commands + $0 * 4
            return CommandCounts(
                calls: words[base], nanoseconds: words[base + 1], rejected: words[base + 2], failed: words[base + 3])
        }
        return totals
    }
}

/// Sums over all threads since the last reset.
package struct ServerTotals: Sendable {
    package var counters = [UInt64](repeating: 0, count: ServerCounter.allCases.count)
    /// By `ErrorCode.rawValue`.
    package var errors = [UInt64](repeating: 0, count: ErrorCode.allCases.count)
    /// By command index.
    package var commands: [CommandCounts] = []

    package subscript(_ counter: ServerCounter) -> UInt64 { counters[counter.rawValue] }
}
