// The work of a job: writing a sealed table as a new run (flush), merging a range of runs into one.
//
// A job reads immutable inputs, writes new table files, and returns what changed; it shows nothing to readers and
// removes nothing. The Bucket Controller publishes. Jobs run on background threads and may wait for the disk. A job
// that fails leaves nothing behind but files that nobody names; it removes those itself.

import ValkBase
import ValkDisk

/// A table file that a job wrote.
struct NewFile {
    var record: TableRecordItem
    /// What the layer above said is dead up to this sequence was looked at when the file was made.
    var filteredTo: UInt64 = 0
    /// What the writer left in the cache.
    let finished: FinishedTable
}

/// What a job made.
struct JobResult {
    /// The new files, by key; empty when nothing was left.
    var files: [NewFile] = []
    /// What was learned of blind writes on the way.
    var deltas = CountDeltas()
    /// Versions that were dropped and have their values in the log.
    var discards = DiscardList()
    /// What older versions the entries that were written hide.
    var hides = HiddenCount()
    /// Of a flush: what filters said of its keys.
    var overlap = OverlapSample()
    /// Of a flush: all values in the log that it met.
    var values = ValueTotals()
    var bytesRead = 0
    var bytesWritten = 0
    var entriesRead = 0
    var entriesWritten = 0
    /// Entries that the filter did not let pass as they are, and looks of it that failed.
    var entriesFiltered = 0
    var filterFailures = 0
}

/// An entry with its bytes.
private struct EntryCopy: ~Copyable {
    var entry = Entry()
    private var key = ByteBuffer(capacity: 256)
    private var value = ByteBuffer(capacity: 4096)

    mutating func take(_ other: UnsafePointer<Entry>) {
        key.removeAll()
        key.append(other.pointee.key)
        value.removeAll()
        value.append(other.pointee.value)
        entry = other.pointee
        entry.key = key.view
        entry.value = value.view
    }

    func discard(_ discards: inout DiscardList) {
        withUnsafePointer(to: entry) { discards.add($0) }
    }
}

/// Numbers for new files; handed out by the controller.
protocol FileNumbers: AnyObject {
    func nextFileId() -> UInt64
}

struct BucketManager {
    let disk: any Disk
    let directory: String
    let options: StoreOptions
    let cache: BlockCache
    let numbers: any FileNumbers
    /// What is read and written is taken from here.
    let budget: IOBudget
    let priority: IOPriority
    /// Set when the store is closing: long jobs give up at the next file border.
    let isCancelled: @Sendable () -> Bool

    static func name(_ id: UInt64) -> String { hexadecimal(id, digits: 16) + ".vsst" }

    static func path(_ directory: String, _ id: UInt64) -> String { directory + "/tables/" + name(id) }

    /// Bytes of entries after which a merge takes from the budget.
    private static let takenBytes = 256 << 10

    // MARK: Jobs

    /// Writes a sealed table as one run. Keeps the newest version of each key: views keep older ones in memory.
    /// Files end where children of `root` begin, whose runs are asked how much of the table is new to them. `overlap`:
    /// how much of it was not, before; nil when nobody knows.
    func flush(
        _ table: MemoryTable, over root: Bucket, overlap: Double?
    ) throws(StoreError) -> JobResult {
        var result = JobResult()
        result.entriesRead = table.sorted.entryCount
        let place: RunPlace = root.isLeaf ? .leaf : .inner
        var output = RunOutput(self, cuts: root.pivots, warms: true, place: place)
        var putsUntilSample = OverlapSample.interval
        // Deletions that came later are not yet known to be durable.
        let ranges = table.rangesWhenSealed.list
        defer { withExtendedLifetime((ranges, root)) {} }
        var walk = RangeWalk(ranges)
        var priors = PriorSearch(root, logBytes: table.logBytes, overlap: overlap, cache: cache)
        let cursor = SortedTableCursor(table.sorted, maxSequence: UInt64.max)
        do {
            cursor.seekToFirst()
            while let position = cursor.position {
                // Inside one table the priors of all but the oldest version are known and counted.
                let isOpen =
                    options.countsNamespaces && CountedKey.namespace(position.pointee.key) != nil
                    && cursor.record.oldestIsOpen
                let isHidden = walk.hides(position)
                if !isHidden {
                    var entry = position.pointee
                    entry.setPriorUnknown(isOpen)
                    entry.setPriorNamed(priors.isNamed(entry, &walk, &result.discards))
                    try output.add(entry)
                    if entry.kind == .put { putsUntilSample &-= 1 }
                    if putsUntilSample == 0 {
                        putsUntilSample = OverlapSample.interval
                        result.overlap.ask(entry.key, RunPath(.passUnretained(root)))
                        priors.learn(result.overlap)
                    }
                }
                cursor.countValues(newestIsDropped: isHidden, &result)
                cursor.next()
            }
            result.hides = priors.hidden(estimate: result.overlap)
            try output.finish(&result, rangesAppliedTo: ranges.newest)
        } catch {
            output.abandon()
            throw error
        }
        budget.take(result.bytesWritten, priority)
        return result
    }

    /// Merges neighbouring runs (newest first) into one, whose files end at `cuts`. `isBottom`: nothing older exists in
    /// their range, so deletes have done their work. `ranges`: all range deletions that are durable and not done.
    func merge(
        _ runs: [Run], cuts: [[UInt8]], isBottom: Bool, ranges: RangeList,
        filter given: FilterSeat = FilterSeat(nil, nil)
    ) throws(StoreError) -> JobResult {
        var result = JobResult()
        result.bytesRead = runs.reduce(0) { $0 + $1.bytes }
        var filter = given
        var walk = RangeWalk(ranges)
        defer { withExtendedLifetime((ranges, given)) {} }
        var output = RunOutput(
            self, cuts: cuts, warms: false, place: isBottom ? .base : cuts.isEmpty ? .leaf : .inner)
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let origin = UnsafeMutablePointer<EntryOrigin>.allocate(capacity: max(1, runs.count))
        origin.initialize(repeating: EntryOrigin(), count: max(1, runs.count))
        defer { origin.deallocate() }
        let merged = MergeCursor(
            runs.enumerated().map { i, run in
                RunCursor(run, pins, access: .merge, mayBlock: true, origin: origin + i)
            })
        defer { merged.clear() }
        var copy = EntryCopy()
        var moved = 0
        var met = HiddenCount()
        do {
            try reading(runs) { () throws(Interruption) in try merged.seekToFirst() }
            while let position = merged.position {
                moved &+= position.pointee.key.count &+ position.pointee.value.count
                if moved > BucketManager.takenBytes {
                    // Read and written.
                    budget.take(2 &* moved, priority)
                    moved = 0
                }
                var chain = VersionChain()
                var isHidden = take(position, origin + merged.source, &walk, &chain, &result)
                // Of the version at hand.
                var isNamed = origin[merged.source].namesPrior(position)
                if !merged.meetsOthers {
                    // The usual case, a key with one version: it goes from block to block.
                    let isOpen = chain.finish(isBottom: isBottom || isHidden, deltas: &result.deltas)
                    if !isHidden && (position.pointee.kind == .put || !isBottom) {
                        var entry = position.pointee
                        entry.setPriorUnknown(isOpen)
                        entry.setPriorNamed(isNamed)
                        if filter.wants(entry.key) {
                            try add(entry, isBottom, &filter, &output, &result)
                        } else {
                            try output.add(entry)
                        }
                    } else {
                        result.discards.add(position)
                    }
                    try reading(runs) { () throws(Interruption) in try merged.next() }
                    continue
                }
                // The newest version is copied: the cursor moves on before it is written.
                copy.take(position)
                let newestIsHidden = isHidden
                try reading(runs) { () throws(Interruption) in try merged.next() }
                while let older = merged.position, older.pointee.key == copy.entry.key {
                    isHidden = isHidden || walk.hides(older)
                    met.all &+= 1
                    if isNamed { met.named &+= 1 } else { result.discards.add(older) }
                    isNamed = origin[merged.source].namesPrior(older)
                    if isHidden {
                        result.entriesRead += 1
                    } else {
                        _ = take(older, origin + merged.source, &walk, &chain, &result)
                    }
                    try reading(runs) { () throws(Interruption) in try merged.next() }
                }
                let isOpen = chain.finish(isBottom: isBottom || isHidden, deltas: &result.deltas)
                if newestIsHidden || (copy.entry.kind == .delete && isBottom) {
                    copy.discard(&result.discards)
                    continue
                }
                copy.entry.setPriorUnknown(isOpen)
                copy.entry.setPriorNamed(isNamed)
                if filter.wants(copy.entry.key) {
                    try add(copy.entry, isBottom, &filter, &output, &result)
                } else {
                    try output.add(copy.entry)
                }
            }
            if !isBottom { result.hides = runs.reduce(into: HiddenCount()) { $0 += $1.hides } - met }
            result.entriesFiltered = filter.verdicts
            result.filterFailures = filter.failures
            try output.finish(&result, rangesAppliedTo: ranges.newest)
        } catch {
            output.abandon()
            throw error
        }
        return result
    }

    /// Writes a version as the filter says.
    private func add(
        _ given: Entry, _ isBottom: Bool, _ filter: inout FilterSeat, _ output: inout RunOutput,
        _ result: inout JobResult
    ) throws(StoreError) {
        var entry = given
        let verdict = filter.judge(&entry)
        if verdict == .keep { return try output.add(given) }
        result.discards.add(&entry)
        // That its prior is named dead must not be forgotten while that one is in the tree.
        let named = given.flags.intersection(.priorNamed)
        if isBottom || (verdict == .drop && named.isEmpty) { return }
        try output.add(Entry(key: given.key, sequence: given.sequence, kind: .delete, flags: named))
    }

    /// Accounts for one version that a merge met. Returns whether a range deletion hides it.
    @inline(__always)
    private func take(
        _ version: UnsafePointer<Entry>, _ origin: UnsafePointer<EntryOrigin>, _ walk: inout RangeWalk,
        _ chain: inout VersionChain, _ result: inout JobResult
    ) -> Bool {
        result.entriesRead += 1
        if walk.hides(version) { return true }
        if options.countsNamespaces {
            chain.take(version.pointee, isResolved: origin.pointee.countsResolved, deltas: &result.deltas)
        }
        return false
    }

    private func reading(_ runs: [Run], _ body: () throws(Interruption) -> Void) throws(StoreError) {
        do { try body() } catch {
            // The table knows where.
            for run in runs {
                for fragment in run.fragments {
                    if let fault = fragment.file.table.takeFault() { throw fault }
                }
            }
            throw StoreError(
                error == .damaged ? .corruption : .disk, "a table could not be read during a merge (\(error))")
        }
    }
}
