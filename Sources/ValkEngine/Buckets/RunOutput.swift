// The files of a run that a job writes, in key order: a new one is begun when the last has reached its size.
//
// Files do not span namespaces, so that dropping a namespace drops whole files, nor the cuts that the job asks for: the
// pivots of the bucket that takes them in. A job that gives up removes what was
// written. One thread; the job's.

import ValkBase
import ValkDisk

struct RunOutput: ~Copyable {
    private let manager: BucketManager
    private let warms: Bool
    private let splitsNamespaces: Bool
    private let fileBytesMax: Int
    /// A file ends before the first key that is not before one of these, in order; `cutsLeft` are still to come.
    private var cutsLeft: ArraySlice<[UInt8]>
    private var nextCut = ByteBuffer()
    private var hasCut = false
    private var writer: TableWriter?
    /// The same without reference counting, for every entry.
    private var target: Unmanaged<TableWriter>?
    private var fileId: UInt64 = 0
    private var written: [NewFile] = []
    private var entries = 0
    private var lastNamespace: UInt32 = 0

    /// Of the filters of its files.
    private let filterBits: Int

    /// `place`: where the run is going to be.
    init(_ manager: BucketManager, cuts: [[UInt8]], warms: Bool, place: RunPlace) {
        filterBits = place.filterBits(manager.options.filterBitsPerKey)
        self.manager = manager
        cutsLeft = cuts[...]
        self.warms = warms
        splitsNamespaces = manager.options.countsNamespaces
        fileBytesMax = manager.options.tableFileBytes
        takeCut()
    }

    private mutating func takeCut() {
        nextCut.removeAll()
        hasCut = !cutsLeft.isEmpty
        if let cut = cutsLeft.popFirst() { nextCut.append(cut) }
    }

    /// Whether `key` lies behind a cut that the last one did not.
    @inline(__always)
    private mutating func passesCut(_ key: ByteView) -> Bool {
        var passes = false
        while hasCut && key.compare(nextCut.view) >= 0 {
            takeCut()
            passes = true
        }
        return passes
    }

    mutating func add(_ entry: Entry) throws(StoreError) {
        let namespace =
            splitsNamespaces && entry.key.count >= 4 ? entry.key.base.bigEndian(0, UInt32.self) : 0
        let isFull = target?._withUnsafeGuaranteedRef { $0.estimatedFileBytes >= fileBytesMax } ?? true
        if passesCut(entry.key) || isFull || namespace != lastNamespace { try beginFile() }
        lastNamespace = namespace
        guard let target else { preconditionFailure("no file to write to") }
        try target.borrow { writer throws(StoreError) in try writer.add(entry) }
        entries &+= 1
    }

    private mutating func beginFile() throws(StoreError) {
        if writer != nil {
            try closeFile()
            if manager.isCancelled() { throw StoreError(.invalid, "the store is closing") }
        }
        fileId = manager.numbers.nextFileId()
        let next = try TableWriter(
            disk: manager.disk, path: BucketManager.path(manager.directory, fileId), fileId: fileId,
            options: TableOptions(manager.options, filterBits: filterBits), cache: warms ? manager.cache : nil)
        writer = next
        target = .passUnretained(next)
    }

    private mutating func closeFile() throws(StoreError) {
        guard let writer else { return }
        let finished = try writer.finish()
        written.append(NewFile(record: TableRecordItem(finished), finished: finished))
        self.writer = nil
        target = nil
    }

    /// `rangesAppliedTo`: nothing of what was written is hidden by a range deletion up to this sequence.
    mutating func finish(_ result: inout JobResult, rangesAppliedTo: UInt64) throws(StoreError) {
        try closeFile()
        for i in written.indices {
            written[i].record.rangesAppliedTo = rangesAppliedTo
            written[i].record.hides = result.hides.share(written[i].record.entries, of: UInt64(entries))
        }
        result.files = written
        result.entriesWritten = entries
        result.bytesWritten = written.reduce(0) { $0 + $1.finished.fileBytes }
    }

    /// Removes what was written.
    mutating func abandon() {
        if let writer {
            writer.abandon()
            remove(BucketManager.path(manager.directory, fileId))
        }
        writer = nil
        target = nil
        for file in written { remove(file.finished.path) }
        written = []
    }

    private func remove(_ path: String) {
        // What cannot be removed now is an orphan that the next start removes.
        do { try manager.disk.remove(path) } catch { return }
    }
}

extension TableRecordItem {
    init(_ finished: FinishedTable) {
        let properties = finished.properties
        self.init(
            fileId: finished.fileId, bytes: UInt64(finished.fileBytes), entries: properties.entryCount,
            tombstones: properties.tombstoneCount, unknownPriors: properties.unknownPriorCount,
            sequenceMin: properties.sequenceMin, sequenceMax: properties.sequenceMax,
            expireAtMin: properties.expireAtMin, expireAtMax: properties.expireAtMax,
            smallest: properties.smallestKey, largest: properties.largestKey,
            segments: properties.segments.map {
                SegmentShare(segment: $0.segment, bytes: $0.bytes, count: $0.count)
            }, namedPriors: properties.namedPriorCount)
    }
}

/// Where in the tree a run is, which decides how good its filters are. A look-up asks the filters of all runs on its
/// way, and what counts is the sum of their errors: runs of inner buckets are many and have few entries, so good
/// filters cost little there; the oldest run of a leaf has most of all entries, and only keys that are nowhere else ask
/// it in vain.
enum RunPlace {
    case inner
    /// In a leaf, with older ones below it.
    case leaf
    /// The oldest of a leaf.
    case base

    /// `bits`: what the options ask for; 0 is no filter anywhere.
    func filterBits(_ bits: Int) -> Int {
        if bits == 0 { return 0 }
        switch self {
        case .inner: return min(bits + 4, 32)
        case .leaf: return bits
        case .base: return max(bits - 2, 1)
        }
    }
}

extension TableOptions {
    init(_ options: StoreOptions, filterBits: Int) {
        self.init()
        blockBytes = options.blockBytes
        filterBitsPerKey = filterBits
    }
}
