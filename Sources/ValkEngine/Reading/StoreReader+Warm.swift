// Look-ahead for pipelines: before the commands of a pipeline run one by one, the memory that their look-ups will touch
// is asked for all at once. Hints only; wrong or missing ones cost time, never correctness.

import ValkBase

extension StoreReader {
    /// Keys of one call at most.
    package static var warmKeysMax: Int { 16 }

    /// Asks for what `find` (and a write) of `count` keys will touch: nodes and records of the tables in memory, and
    /// the filters of table files for keys that are not there. May be called at any time on the reader's thread.
    package func warm(_ keys: UnsafePointer<ByteView>, _ count: Int) {
        precondition(count <= StoreReader.warmKeysMax, "\(count) keys to warm")
        let view = self.view
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 3 * StoreReader.warmKeysMax) { words in
            guard let slots = words.baseAddress else { return }
            let depths = UnsafeMutableRawPointer(slots + StoreReader.warmKeysMax)
                .assumingMemoryBound(to: Int.self)
            let found = slots + 2 * StoreReader.warmKeysMax
            for i in 0..<count { found[i] = 0 }
            for t in 0..<view.memoryCount {
                view.memory[t]._withUnsafeGuaranteedRef { $0.warm(keys, count, slots, depths) }
                for i in 0..<count { found[i] |= slots[i] }
            }
            if view.runCount > 0 { warmRuns(view, keys, count, found) }
        }
    }

    private func warmRuns(
        _ view: View, _ keys: UnsafePointer<ByteView>, _ count: Int, _ found: UnsafePointer<UInt64>
    ) {
        for i in 0..<count where found[i] == 0 {
            let hash = keys[i].hash64
            for r in 0..<view.runCount { view.runs[r]._withUnsafeGuaranteedRef { $0.prefetch(keys[i], hash) } }
        }
    }
}
