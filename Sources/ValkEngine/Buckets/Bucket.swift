// A node of the trie: the runs it houses. Today there is one bucket, the root, and it covers all keys; children come in
// with the trie, below the same interface.
//
// A run is a set of table files of one age whose key ranges do not overlap. Runs are ordered newest first: an entry in
// an earlier run is newer than any entry of the same key in a later one (invariant Age).

import ValkBase

final class Run: @unchecked Sendable {  // Immutable after init.
    let id: UInt64
    /// By key, ranges disjoint.
    let files: [TableFile]
    let bytes: Int
    let entryCount: UInt64
    // The files' tables and largest keys in flat memory, for reads without reference counting. Immutable after init.
    private let fileCount: Int
    private let tables: UnsafeMutablePointer<Unmanaged<Table>>
    private let largest: UnsafeMutablePointer<ByteView>
    private let keyBytes: UnsafeMutableRawPointer

    init(id: UInt64, files: [TableFile]) {
        self.id = id
        self.files = files
        bytes = files.reduce(0) { $0 + Int($1.record.bytes) }
        entryCount = files.reduce(0) { $0 + $1.record.entries }
        let first = files.map(\.record.sequenceMin).min() ?? 0
        sequences = first...max(first, files.map(\.record.sequenceMax).max() ?? 0)
        fileCount = files.count
        tables = .allocate(capacity: max(1, files.count))
        largest = .allocate(capacity: max(1, files.count))
        keyBytes = .allocate(byteCount: files.reduce(1) { $0 + $1.record.largest.count }, alignment: 8)
        var at = keyBytes
        for (i, file) in files.enumerated() {
            (tables + i).initialize(to: Unmanaged.passUnretained(file.table))
            let key = file.record.largest
            key.withUnsafeBytes { at.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(at), byteCount: key.count) }
            (largest + i).initialize(to: ByteView(base: UnsafeRawPointer(at), count: key.count))
            at += key.count
        }
    }

    deinit {
        tables.deallocate()
        largest.deallocate()
        keyBytes.deallocate()
    }

    /// Runs of a bucket have disjoint sequence ranges.
    let sequences: ClosedRange<UInt64>

    func covers(_ sequence: UInt64) -> Bool { sequences.contains(sequence) }

    var unknownPriors: UInt64 { files.reduce(0) { $0 + ($1.countsResolved ? 0 : $1.record.unknownPriors) } }

    /// The file that may hold `key`, by binary search over the largest keys; `files.count` when there is none.
    @inline(__always)
    func fileIndex(_ key: ByteView) -> Int {
        var low = 0
        var high = fileCount
        while low < high {
            let middle = (low &+ high) >> 1
            if largest[middle].compare(key) < 0 { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Asks the processor for the filter line of `key`.
    @inline(__always)
    func prefetch(_ key: ByteView, _ hash: UInt64) {
        let index = fileCount == 1 ? 0 : fileIndex(key)
        if index < fileCount { tables[index]._withUnsafeGuaranteedRef { $0.prefetch(hash) } }
    }

    /// The table and the block of it that may hold `key`; nil when this run does not have the key.
    @inline(__always)
    func place(_ key: ByteView, _ hash: UInt64) -> (table: Unmanaged<Table>, block: Int)? {
        let index = fileIndex(key)
        if index == fileCount { return nil }
        let table = tables[index]
        return table._withUnsafeGuaranteedRef {
            guard $0.mayContain(hash) else { return nil }
            let block = $0.index.lowerBound(key)
            return block == $0.index.count ? nil : (table, block)
        }
    }

    /// Looks for the newest version of `key` in this run; see `Table.find`.
    @inline(__always)
    func find(
        _ key: ByteView, _ hash: UInt64, maxSequence: UInt64, _ entry: UnsafeMutablePointer<Entry>,
        _ pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool
    ) -> FindResult {
        let index = fileIndex(key)
        if index == fileCount { return .absent }
        return tables[index]._withUnsafeGuaranteedRef {
            $0.find(key, hash, maxSequence: maxSequence, entry, pins, mayBlock: mayBlock)
        }
    }
}

final class Bucket: Sendable {
    let id: UInt64
    /// Newest first.
    let runs: [Run]

    static let rootId: UInt64 = 0

    init(id: UInt64, runs: [Run]) {
        self.id = id
        self.runs = runs
    }

    var bytes: Int { runs.reduce(0) { $0 + $1.bytes } }
}
