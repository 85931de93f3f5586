// Figures about the store for people: taken when asked, consistent in themselves only roughly. Bytes unless named
// otherwise; counts are since the store was opened.

import ValkBase
import ValkDisk

package struct StoreStatistics: Sendable {
    package var log = LogStatistics()
    /// Log segments in use, the current one included.
    package var logSegments = 0
    /// Runs of table files that a look-up may have to ask, at most; and the files that all runs are made of.
    package var runs = 0
    package var tableFiles = 0
    package var tableFileBytes = 0
    /// Of the tree: levels of buckets, buckets, and those among them that have no children.
    package var treeHeight = 0
    package var buckets = 0
    package var leaves = 0
    /// The table that takes new writes.
    package var activeTableBytes = 0
    package var activeTableEntries = 0
    /// Tables in memory that wait for their flush.
    package var sealedTables = 0
    package var sealedTableBytes = 0
    /// Pieces of the key space that range deletions cover and that may still have something to hide.
    package var rangeTombstones = 0
    package var cache = BlockCacheStatistics()
    package var background = BackgroundCounters()
    package var scrub = ScrubFigures()
    /// Read and written by flushes, merges and the garbage collector.
    package var backgroundBytesTaken: UInt64 = 0
    /// Jobs on the tree that run now.
    package var jobs: [JobLine] = []
    /// The last that ended, oldest first.
    package var endedJobs: [JobLine] = []
    package var failingJobs: [JobFailureLine] = []
    /// How writers are held up.
    package var pace = WritePaceFigures()
    /// Of the file system, 0 when it cannot tell.
    package var diskFreeBytes: UInt64 = 0
    package var diskTotalBytes: UInt64 = 0
}

extension Store {
    /// What the space governor saw in its last round (once a second), and what the garbage collector did. What range
    /// deletions and the layer above made garbage is as of now.
    package var spaceStatistics: (space: SpaceFigures, work: GarbageCounters) {
        var space = collector.lastFigures.withLock { $0 }
        let dead = controller.deadNow()
        space.deadTableBytes = dead.tableBytes
        let hiddenOtherwise = space.hiddenBytes - space.deadValueBytes
        space.deadValueBytes = min(dead.valueBytes, space.referencedBytes)
        space.hiddenBytes = min(hiddenOtherwise + space.deadValueBytes, space.referencedBytes)
        return (space, collector.counters.withLock { $0 })
    }

    package var statistics: StoreStatistics {
        let (view, _) = currentView()
        var result = StoreStatistics()
        result.log = log.statistics
        result.logSegments = log.segments.count
        result.runs = view.root.deepestRuns
        result.treeHeight = view.root.height + 1
        var files: [UInt64: Int] = [:]
        view.root.forEach { bucket in
            result.buckets += 1
            if bucket.isLeaf { result.leaves += 1 }
            bucket.forEachFragment { _, file in files[file.id] = Int(file.record.bytes) }
        }
        result.tableFiles = files.count
        result.tableFileBytes = files.values.reduce(0, +)
        logManager.commitLock.withLock {
            result.activeTableBytes = view.active.sorted.usedBytes
            result.activeTableEntries = view.active.sorted.entryCount
        }
        result.sealedTables = view.sealed.count
        result.sealedTableBytes = view.sealed.reduce(0) { $0 + $1.sorted.usedBytes }
        result.rangeTombstones = view.rangeDeletions.count
        result.cache = cache.statistics
        result.background = controller.counters
        result.scrub = scrubber.figures
        result.jobs = controller.running
        (result.endedJobs, result.failingJobs) = controller.ended
        result.pace = logManager.pace.figures
        result.backgroundBytesTaken = controller.budget.taken
        do throws(DiskError) {
            let space = try disk.space(options.path)
            result.diskFreeBytes = space.free
            result.diskTotalBytes = space.total
        } catch {
            // A file system that cannot tell: the zeros say so.
            result.diskFreeBytes = 0
        }
        return result
    }
}

extension Bucket {
    /// Runs on the way to the leaf with the most of them.
    var deepestRuns: Int { runs.count + (children.map(\.deepestRuns).max() ?? 0) }
}
