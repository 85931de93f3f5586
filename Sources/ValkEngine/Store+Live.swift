// How many bytes the store would take if it held nothing dead: what a limit on stored data is held against.
//
// Of the tree, table files and the values that they point at, less what is hidden there (an estimate, as the space
// governor has it). Of the tables in memory, what is live in them, less what they hide in the tree: one entry of
// average size for each delete and overwrite, and of the puts that nobody has looked for, the share that the filters
// said of others. So a delete counts at once and not with the merge that finds it, and what is wrong about an estimate
// is put right by that merge. Dead space of the log, its part ahead of the tables and spare files are not in it.

import ValkBase

/// Of the tree, as of one view.
struct TreeLiveWeight {
    var generation: UInt64?
    var bytes = 0.0
    var entries = 0.0
    /// The share of what is written that hides something in the tree.
    var overlap = 0.0

    /// Of a delete in a table, about.
    static let bytesOfDelete = 24.0
}

extension Store {
    /// See above; an estimate, never negative. Any thread; microseconds where the tree has changed since the last call,
    /// otherwise much less. Only for stores that count namespaces.
    package func liveBytes() -> Int {
        liveLock.withLock {
            let (view, generation) = currentView()
            if treeLive.generation != generation { treeLive = weighTree(view, generation) }
            let memory = logManager.commitLock.withLock {
                ([view.active] + view.sealed).reduce(into: MemoryWeight()) { $0 += $1.weights.sum }
            }
            let entries = treeLive.entries + Double(memory.puts)
            if entries < 1 { return 0 }
            let average = (treeLive.bytes + Double(memory.bytes)) / entries
            let hidden = (Double(memory.hides) + treeLive.overlap * Double(memory.unknown)) * average
            return Int(max(0, treeLive.bytes + Double(memory.bytes) - hidden))
        }
    }

    private func weighTree(_ view: View, _ generation: UInt64) -> TreeLiveWeight {
        let (younger, bottom) = view.root.weigh()
        var all = younger
        all += bottom
        var live = TreeLiveWeight(generation: generation)
        if all.entries < 1 { return live }
        live.overlap = controller.structure.withLock { controller.overlap.ratio }
        let puts = max(0, all.entries - all.deletes)
        // The bottom's own deletes hide nothing any more.
        let left = max(0, puts - younger.hiding)
        // Without their own bytes, deletes would make puts look small.
        let deleteBytes = all.deletes * min(TreeLiveWeight.bytesOfDelete, all.tableBytes / all.entries)
        let bytes = all.tableBytes - deleteBytes + all.valueBytes
        let dead = controller.deadNow()
        let kept = max(0, 1 - Double(dead.tableBytes + dead.valueBytes) / max(1, all.tableBytes + all.valueBytes))
        live.entries = left * kept
        live.bytes = bytes * left / max(1, puts) * kept
        return live
    }
}
