// What one command (or one MULTI, or one program's batch) wants to change, collected before it is applied as a whole.
//
// Operations are kept as plain structs over one byte buffer: keys and small values are copied into it, larger values
// are referenced and must stay valid until `commit` or `clear`. Reused from command to command: steady use allocates
// nothing. One thread at a time.

import ValkBase

/// What the writer knows of a key before it writes. Lets the store keep exact counts without reading.
@usableFromInline
package enum Prior: Sendable {
    /// Nobody looked.
    case unknown
    case absent
    case present(hadExpiry: Bool)

    /// From what `StoreReader.find` answered.
    @inlinable
    package init(_ entry: UnsafePointer<Entry>?) {
        if let entry { self = .present(hadExpiry: entry.pointee.expireAt != 0) } else { self = .absent }
    }

    @inlinable
    package var flags: EntryFlags {
        switch self {
        case .unknown: return .priorUnknown
        case .absent: return []
        case .present(let hadExpiry): return hadExpiry ? [.priorPresent, .priorExpiring] : .priorPresent
        }
    }
}

package final class WriteBatch {
    /// Values up to this size are copied into the batch.
    package static let copiedValueBytesMax = 4096

    enum Action: UInt8 {
        case put
        case delete
        case deleteRange
    }

    struct Operation {
        var action: Action
        var tag: UInt8
        var flags: EntryFlags
        var expireAt: UInt64
        /// Key (or lower bound) in the buffer.
        var keyOffset: Int
        var keyLength: Int
        /// Value (or upper bound) in the buffer, when `external` is nil.
        var valueOffset: Int
        var valueLength: Int
        var external: UnsafeRawPointer?
    }

    // Plain memory: whoever walks over the operations counts no references.
    private var storage: UnsafeMutablePointer<Operation>
    private var capacity = 16
    package private(set) var count = 0
    private var bytes = ByteBuffer(capacity: 4096)
    /// Bytes of keys and values, for limits and log reservation.
    package private(set) var payloadBytes = 0
    /// Set for the largest value; the log reserves by it.
    package private(set) var largestValue = 0

    /// The sequences that the last commit gave to the operations; the next batch of whoever commits begins behind them.
    private(set) var firstSequence: UInt64 = 0
    private(set) var lastSequence: UInt64 = 0

    @inline(__always)
    func noteCommit(_ first: UInt64, _ last: UInt64) {
        firstSequence = first
        lastSequence = last
    }

    package init() { storage = .allocate(capacity: capacity) }

    deinit { storage.deallocate() }

    package var isEmpty: Bool { count == 0 }

    /// In the order in which they were added; valid until the batch changes.
    var operations: UnsafeBufferPointer<Operation> { UnsafeBufferPointer(start: storage, count: count) }

    /// A point to go back to; see `rollback`.
    package struct Mark {
        fileprivate let operations: Int
        fileprivate let bytes: Int
        fileprivate let payload: Int
        fileprivate let largest: Int
        fileprivate let deadRanges: Int
    }

    package func mark() -> Mark {
        Mark(
            operations: count, bytes: bytes.count, payload: payloadBytes, largest: largestValue,
            deadRanges: deadRanges.count)
    }

    /// Forgets everything added after `mark`.
    package func rollback(to mark: Mark) {
        count = mark.operations
        dropIndex()
        bytes.truncate(mark.bytes)
        payloadBytes = mark.payload
        largestValue = mark.largest
        if hasDeadRanges { deadRanges.removeSubrange(mark.deadRanges...) }
    }

    package func clear() {
        count = 0
        if capacity > WriteBatch.operationsKept { shrink() }
        dropIndex()
        if bytes.capacity > 1 << 20 { bytes.release() } else { bytes.removeAll() }
        payloadBytes = 0
        largestValue = 0
        if hasDeadRanges { deadRanges.removeAll() }
    }

    /// Sets `key` (1...65,600 bytes). `tag` is the upper layer's type byte. Bytes of values larger than
    /// `copiedValueBytesMax` must stay valid until the batch is committed or cleared.
    package func put(_ key: ByteView, tag: UInt8, expireAt: UInt64 = 0, value: ByteView, prior: Prior) {
        add(.put, key, value, tag, expireAt, prior.flags)
    }

    package func delete(_ key: ByteView, prior: Prior) {
        add(.delete, key, .empty, 0, 0, prior.flags)
    }

    /// Deletes all keys in `lower ..< upper` that are there when the batch is committed.
    package func deleteRange(_ lower: ByteView, _ upper: ByteView) {
        add(.deleteRange, lower, upper, 0, 0, [])
    }

    private var deadRanges: [(lower: Range<Int>, upper: Range<Int>)] = []
    var hasDeadRanges: Bool { !deadRanges.isEmpty }

    /// Says that everything in `lower ..< upper` that is older than this batch is dead for the layer above, so that
    /// merges look there and ask its filter. A hint: nothing is written, and nothing is decided by it. For ranges with
    /// much in them; a batch of hints alone says nothing.
    package func noteDead(_ lower: ByteView, _ upper: ByteView) {
        let start = bytes.count
        bytes.append(lower)
        bytes.append(upper)
        let middle = start + lower.count
        deadRanges.append((start..<middle, middle..<middle + upper.count))
    }

    func forEachDeadRange(_ body: (ByteView, ByteView) -> Void) {
        let all = bytes.view
        for range in deadRanges { body(all[range.lower], all[range.upper]) }
    }

    private func add(
        _ action: Action, _ key: ByteView, _ value: ByteView, _ tag: UInt8, _ expireAt: UInt64, _ flags: EntryFlags
    ) {
        precondition(!key.isEmpty && key.count <= EntryLimits.keyBytesMax, "key of \(key.count) bytes")
        let keyOffset = bytes.count
        bytes.append(key)
        let copied = value.count <= WriteBatch.copiedValueBytesMax || action == .deleteRange
        let valueOffset = bytes.count
        if copied { bytes.append(value) }
        if count == capacity { grow() }
        (storage + count).initialize(
            to: Operation(
                action: action, tag: tag, flags: flags, expireAt: expireAt, keyOffset: keyOffset, keyLength: key.count,
                valueOffset: valueOffset, valueLength: value.count, external: copied ? nil : value.base))
        count &+= 1
        payloadBytes &+= key.count &+ value.count
        if value.count > largestValue { largestValue = value.count }
    }

    /// Room for more operations than this is given back when the batch is cleared.
    private static let operationsKept = 4096

    @inline(never)
    private func grow() {
        let bigger = UnsafeMutablePointer<Operation>.allocate(capacity: capacity * 2)
        bigger.initialize(from: storage, count: count)
        storage.deallocate()
        storage = bigger
        capacity *= 2
    }

    private func shrink() {
        storage.deallocate()
        capacity = 16
        storage = .allocate(capacity: capacity)
    }

    func key(_ operation: Operation) -> ByteView {
        ByteView(base: UnsafeRawPointer(bytes.base + operation.keyOffset), count: operation.keyLength)
    }

    func value(_ operation: Operation) -> ByteView {
        if let external = operation.external { return ByteView(base: external, count: operation.valueLength) }
        return ByteView(base: UnsafeRawPointer(bytes.base + operation.valueOffset), count: operation.valueLength)
    }

    enum Own {
        case put(Operation)
        case deleted
    }

    /// Batches with more operations than this are indexed when they are first read back.
    private static let scannedMax = 16
    /// Newest operation of each key, by the key's hash; covers the first `indexed` operations.
    private var index: [UInt64: [Int]] = [:]
    private var indexed = 0

    /// What this batch says of `key`, newest first; nil when it says nothing.
    func lookUp(_ wanted: ByteView) -> Own? {
        if operations.count > WriteBatch.scannedMax { return lookUpIndexed(wanted) }
        var i = operations.count - 1
        while i >= 0 {
            if let own = say(i, wanted) { return own }
            i -= 1
        }
        return nil
    }

    /// What operation `i` says of `key`.
    private func say(_ i: Int, _ wanted: ByteView) -> Own? {
        let operation = operations[i]
        switch operation.action {
        case .put: return key(operation) == wanted ? .put(operation) : nil
        case .delete: return key(operation) == wanted ? .deleted : nil
        case .deleteRange:
            return key(operation).compare(wanted) <= 0 && wanted.compare(value(operation)) < 0 ? .deleted : nil
        }
    }

    private func lookUpIndexed(_ wanted: ByteView) -> Own? {
        while indexed < operations.count {
            let operation = operations[indexed]
            if operation.action == .deleteRange {
                ranges = ranges.adding(tombstone(operation, UInt64(indexed + 1)))
            } else {
                index[key(operation).hash64, default: []].append(indexed)
            }
            indexed += 1
        }
        let point = (index[wanted.hash64] ?? []).last { key(operations[$0]) == wanted }
        // Of a range the number of its operation and one more is kept.
        let range = Int(ranges.sequence(over: wanted)) - 1
        let newest = max(point ?? -1, range)
        return newest < 0 ? nil : say(newest, wanted)
    }

    /// Those among the first `indexed` operations; see `rangeDeletions`.
    private var ranges = RangeDeletions.none

    /// The batch's own, with the place of each among the operations, from 1 on, for a sequence.
    var rangeDeletions: RangeDeletions {
        var result = RangeDeletions.none
        for (i, operation) in operations.enumerated() where operation.action == .deleteRange {
            result = result.adding(tombstone(operation, UInt64(i + 1)))
        }
        return result
    }

    /// Those of a view and the batch's own, which are newer than anything in the store.
    func rangeDeletions(over older: RangeDeletions) -> RangeDeletions {
        var result = older
        for operation in operations where operation.action == .deleteRange {
            result = result.adding(tombstone(operation, UInt64.max - 1))
        }
        return result
    }

    private func tombstone(_ operation: Operation, _ sequence: UInt64) -> RangeTombstone {
        RangeTombstone(lower: key(operation).array, upper: value(operation).array, sequence: sequence)
    }

    private func dropIndex() {
        if indexed == 0 { return }
        index.removeAll(keepingCapacity: true)
        ranges = .none
        indexed = 0
    }
}
