// A run: fragments of table files of one age whose key ranges do not overlap.
//
// Runs of a bucket are ordered newest first: an entry in an earlier run is newer than any entry of the same key in a
// later one (invariant Age). Their numbers fall in that order.

import ValkBase

final class Run: @unchecked Sendable {  // Immutable after init.
    let id: UInt64
    /// By key, ranges disjoint.
    let fragments: [Fragment]
    /// 0 while the size of a fragment is a guess.
    private let measuredBytes: Int
    /// No entry is newer.
    let sequenceMax: UInt64
    // The fragments' tables and ends in flat memory, for reads without reference counting. Immutable after init.
    private let count: Int
    private let tables: UnsafeMutablePointer<Unmanaged<Table>>
    private let ends: UnsafeMutablePointer<End>
    private let hasLowerBounds: Bool
    private let keyBytes: UnsafeMutableRawPointer

    /// Where a fragment ends, and its lower bound if it has one.
    private struct End {
        var key: ByteView
        /// A fragment is before a wanted key when `key` compared with it is less than this: 1 when `key` itself is not
        /// in the fragment, 0 when it may be.
        var threshold: Int
        var lower: ByteView
        /// No entry of the file is newer.
        var sequenceMax: UInt64
    }

    init(id: UInt64, fragments: [Fragment]) {
        self.id = id
        self.fragments = fragments
        measuredBytes = fragments.allSatisfy(\.isMeasured) ? fragments.reduce(0) { $0 + $1.bytes } : 0
        sequenceMax = fragments.reduce(0) { max($0, $1.file.record.sequenceMax) }
        count = fragments.count
        tables = .allocate(capacity: max(1, count))
        ends = .allocate(capacity: max(1, count))
        hasLowerBounds = fragments.contains { !$0.range.lower.isEmpty }
        let size = fragments.reduce(1) {
            $0 + $1.range.lower.count + ($1.range.upper.isEmpty ? $1.file.record.largest.count : $1.range.upper.count)
        }
        keyBytes = .allocate(byteCount: size, alignment: 8)
        var at = keyBytes
        func keep(_ key: [UInt8]) -> ByteView {
            key.withUnsafeBytes { at.copyMemory(from: $0.baseAddress ?? emptyBytes, byteCount: key.count) }
            defer { at += key.count }
            return ByteView(base: UnsafeRawPointer(at), count: key.count)
        }
        for (i, fragment) in fragments.enumerated() {
            (tables + i).initialize(to: Unmanaged.passUnretained(fragment.file.table))
            let upper = fragment.range.upper
            (ends + i).initialize(
                to: End(
                    key: keep(upper.isEmpty ? fragment.file.record.largest : upper), threshold: upper.isEmpty ? 0 : 1,
                    lower: keep(fragment.range.lower), sequenceMax: fragment.file.record.sequenceMax))
        }
    }

    deinit {
        tables.deallocate()
        ends.deallocate()
        keyBytes.deallocate()
    }

    var bytes: Int { measuredBytes > 0 ? measuredBytes : fragments.reduce(0) { $0 + $1.bytes } }
    var entryCount: UInt64 { fragments.reduce(0) { $0 + $1.entries } }

    var unknownPriors: UInt64 {
        fragments.reduce(0) { $0 + ($1.file.countsResolved ? 0 : $1.file.record.unknownPriors) }
    }

    /// The part inside of `bounds`; nil when there is none.
    func clipped(to bounds: KeyRange) -> Run? {
        let inside = fragments.compactMap { $0.clipped(to: bounds) }
        return inside.isEmpty ? nil : Run(id: id, fragments: inside)
    }

    // MARK: Reading

    /// The fragment that may hold `key`, by binary search over the ends; the number of fragments when there is none.
    /// The key may lie in front of it.
    @inline(__always)
    func fragmentIndex(_ key: ByteView) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) >> 1
            if ends[middle].key.compare(key) < ends[middle].threshold { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// As `fragmentIndex`, and the number of fragments too when the key lies in front of a bound.
    @inline(__always)
    private func holder(_ key: ByteView) -> Int {
        let index = fragmentIndex(key)
        if hasLowerBounds && index < count && ends[index].lower.count > 0 && key.compare(ends[index].lower) < 0 {
            return count
        }
        return index
    }

    /// No version of `key` in this run is newer; 0 when there is none.
    func sequenceMax(at key: ByteView) -> UInt64 {
        let index = fragmentIndex(key)
        return index == count ? 0 : ends[index].sequenceMax
    }

    /// Asks the processor for the filter line of `key`.
    @inline(__always)
    func prefetch(_ key: ByteView, _ hash: UInt64) {
        let index = count == 1 ? 0 : fragmentIndex(key)
        if index < count { tables[index]._withUnsafeGuaranteedRef { $0.prefetch(hash) } }
    }

    /// Whether the filter says so; nil when the table is not loaded and, with `loads`, cannot be. A sample for
    /// estimates, no answer for readers. `loads`: waits for the device.
    func mayHold(_ key: ByteView, _ hash: UInt64, loads: Bool) -> Bool? {
        let index = holder(key)
        if index == count { return false }
        return tables[index]._withUnsafeGuaranteedRef {
            if !$0.isLoaded && $0.prepare(mayBlock: loads) != nil { return nil }
            return $0.mayContain(hash)
        }
    }

    enum Place {
        /// This run does not have the key.
        case nowhere
        /// The table and the block of it that may hold the key.
        case block(Unmanaged<Table>, Int)
        /// The table that may hold the key is not loaded.
        case unknown
    }

    /// Where `key` may be, as far as memory tells.
    @inline(__always)
    func place(_ key: ByteView, _ hash: UInt64) -> Place {
        let index = holder(key)
        if index == count { return .nowhere }
        let table = tables[index]
        return table._withUnsafeGuaranteedRef {
            guard $0.isLoaded else { return .unknown }
            guard $0.mayContain(hash) else { return .nowhere }
            let block = $0.index.lowerBound(key)
            return block == $0.index.count ? .nowhere : .block(table, block)
        }
    }

    /// Looks for the newest version of `key` in this run; see `Table.find`.
    @inline(__always)
    func find(
        _ key: ByteView, _ hash: UInt64, maxSequence: UInt64, _ entry: UnsafeMutablePointer<Entry>,
        _ pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool
    ) -> FindResult {
        let index = holder(key)
        if index == count { return .absent }
        return tables[index]._withUnsafeGuaranteedRef {
            $0.find(key, hash, maxSequence: maxSequence, entry, pins, mayBlock: mayBlock)
        }
    }
}
