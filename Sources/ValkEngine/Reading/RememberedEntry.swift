// The one entry that a reader was asked to remember: a small one that its thread needs again and again, as the entry of
// a collection whose elements are read or written one by one. To find it costs as much as to find an element; to know
// it costs a comparison.
//
// What is remembered are copies of key and value, and the moment for which they hold: the visible sequence at which
// they were found. They hold for another moment only if nothing was committed in between, by anybody, but the thread's
// own batch, whose operations are gone through then (`follow`). Where others write, the sequence moves on without that,
// and the entry is looked up as always. What merges and flushes do changes no answer, so views do not matter.
//
// Belongs to one reader and its thread.

import Glibc
import ValkBase

struct RememberedEntry: ~Copyable {
    /// Longer keys and values are not remembered.
    static let keyBytesMax = 128
    static let valueBytesMax = 128
    /// Longer batches are not gone through.
    private static let operationsMax = 8

    /// The visible sequence for which the entry holds; 0: there is none.
    private(set) var sequence: UInt64 = 0
    private(set) var hash: UInt64 = 0
    private var keyCount = 0
    private let memory: UnsafeMutableRawPointer
    let entry: UnsafeMutablePointer<Entry>

    init() {
        memory = .allocate(byteCount: Self.keyBytesMax + Self.valueBytesMax, alignment: 16)
        entry = .allocate(capacity: 1)
        entry.initialize(to: Entry())
    }

    deinit {
        memory.deallocate()
        entry.deallocate()
    }

    private var key: ByteView { ByteView(base: UnsafeRawPointer(memory), count: keyCount) }

    /// Whether the entry is that of `key` at the moment `visible`.
    @inline(__always)
    func holds(_ key: ByteView, at visible: UInt64) -> Bool {
        sequence == visible && visible != 0 && key.count == keyCount && memcmp(key.base, memory, keyCount) == 0
    }

    @inline(__always)
    mutating func forget() { sequence = 0 }

    /// Keeps an entry that was found at the moment `visible`, whose key has `hash`; nothing where it is too large.
    mutating func keep(_ found: UnsafePointer<Entry>, _ key: ByteView, _ hash: UInt64, at visible: UInt64) {
        sequence = 0
        let value = found.pointee.value
        if key.count > Self.keyBytesMax || value.count > Self.valueBytesMax || found.pointee.isSeparated { return }
        memcpy(memory, key.base, key.count)
        keyCount = key.count
        self.hash = hash
        entry.pointee = found.pointee
        entry.pointee.key = self.key
        set(value, tag: found.pointee.tag, expireAt: found.pointee.expireAt)
        sequence = visible
    }

    private mutating func set(_ value: ByteView, tag: UInt8, expireAt: UInt64) {
        let target = memory + Self.keyBytesMax
        memcpy(target, value.base, value.count)
        entry.pointee.value = ByteView(base: UnsafeRawPointer(target), count: value.count)
        entry.pointee.valueLength = value.count
        entry.pointee.tag = tag
        entry.pointee.expireAt = expireAt
    }

    /// The thread has committed `batch`: the entry as it is afterwards, if nobody else has committed anything since it
    /// was found.
    mutating func follow(_ batch: WriteBatch) {
        let before = sequence
        sequence = 0
        let count = batch.count
        if before &+ 1 != batch.firstSequence || count == 0 || count > Self.operationsMax { return }
        for (i, operation) in batch.operations.enumerated() {
            if operation.action == .deleteRange { return }
            if operation.keyLength != keyCount || batch.key(operation) != key { continue }
            guard operation.action == .put, operation.valueLength <= Self.valueBytesMax else { return }
            set(batch.value(operation), tag: operation.tag, expireAt: operation.expireAt)
            entry.pointee.sequence = batch.firstSequence &+ UInt64(i)
        }
        sequence = batch.lastSequence
    }
}
