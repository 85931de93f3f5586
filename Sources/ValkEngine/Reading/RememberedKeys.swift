// The keys at one end of a range of keys that begin alike, as a walk has found them: what the first or last members of
// a sorted set are is asked again and again, and to walk there costs much more than to know it, most of all where
// members have changed their places and what they left behind has to be passed.
//
// Holds for a moment, as RememberedEntry does: as long as nothing is committed but by this thread, whose batches are
// entered (`follow`). The list begins with the outermost key; it may end before the range does, and then knows nothing
// of keys behind its last one.
//
// Belongs to one reader and its thread.

import Glibc
import ValkBase

package struct RememberedKeys: ~Copyable {
    /// Keys at most.
    package static let countMax = 256
    private static let prefixBytesMax = 32
    private static let bytesMax = 64 << 10
    private static let operationsMax = 8

    /// A key without the prefix.
    private struct Item {
        var offset: Int
        var length: Int
    }

    /// The visible sequence for which the list holds; 0: there is none.
    private(set) var sequence: UInt64 = 0
    private let isFromEnd: Bool
    private var isWhole = false
    package private(set) var count = 0
    private let items: UnsafeMutablePointer<Item>
    private let prefixMemory: UnsafeMutableRawPointer
    private var prefixCount = 0
    private var bytes = ByteBuffer()

    /// `isFromEnd`: the last keys of a range, the last one first.
    init(isFromEnd: Bool) {
        self.isFromEnd = isFromEnd
        items = .allocate(capacity: Self.countMax + 1)
        prefixMemory = .allocate(byteCount: Self.prefixBytesMax, alignment: 8)
    }

    deinit {
        items.deallocate()
        prefixMemory.deallocate()
    }

    private var prefix: ByteView { ByteView(base: UnsafeRawPointer(prefixMemory), count: prefixCount) }

    /// The key `index` of the list, without the prefix; valid until the list changes.
    @inline(__always)
    package func tail(_ index: Int) -> ByteView {
        ByteView(base: UnsafeRawPointer(bytes.base + items[index].offset), count: items[index].length)
    }

    @inline(__always)
    func holds(_ prefix: ByteView, at visible: UInt64) -> Bool {
        sequence == visible && visible != 0 && prefix == self.prefix
    }

    // MARK: Filling

    /// Begins a list of keys with `prefix`; it holds for nothing before `end`.
    mutating func begin(_ prefix: ByteView) {
        sequence = 0
        count = 0
        bytes.removeAll()
        prefixCount = min(prefix.count, Self.prefixBytesMax)
        memcpy(prefixMemory, prefix.base, prefixCount)
    }

    /// The next key, made of two parts; what is too much is left out, and what comes after it.
    mutating func add(_ first: ByteView, _ second: ByteView) {
        if count == Self.countMax { return }
        items[count] = Item(offset: bytes.count, length: first.count + second.count)
        bytes.append(first)
        bytes.append(second)
        count += 1
    }

    /// The list holds for the moment `visible`. `isWhole`: all keys were added.
    mutating func end(isWhole: Bool, at visible: UInt64) {
        self.isWhole = isWhole && count < Self.countMax
        sequence = bytes.count > Self.bytesMax ? 0 : visible
    }

    // MARK: Changes

    /// The thread has committed `batch`.
    mutating func follow(_ batch: WriteBatch) {
        let before = sequence
        sequence = 0
        let operations = batch.count
        if before &+ 1 != batch.firstSequence || operations == 0 || operations > Self.operationsMax { return }
        for operation in batch.operations {
            if operation.action == .deleteRange { return }
            let key = batch.key(operation)
            if !key.starts(with: prefix) { continue }
            let tail = key.dropFirst(prefixCount)
            if operation.action == .put { insert(tail) } else { remove(tail) }
        }
        if bytes.count <= Self.bytesMax { sequence = batch.lastSequence }
    }

    /// The first item that is not in front of `tail`.
    private func place(_ tail: ByteView) -> (index: Int, isEqual: Bool) {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            let order = self.tail(middle).compare(tail)
            if order == 0 { return (middle, true) }
            if (order < 0) != isFromEnd { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    private mutating func insert(_ tail: ByteView) {
        let place = place(tail)
        if place.isEqual || place.index == count && !isWhole { return }
        (items + place.index + 1).update(from: items + place.index, count: count - place.index)
        items[place.index] = Item(offset: bytes.count, length: tail.count)
        bytes.append(tail)
        count += 1
        if count > Self.countMax {
            count = Self.countMax
            isWhole = false
        }
    }

    private mutating func remove(_ tail: ByteView) {
        let place = place(tail)
        if !place.isEqual { return }
        (items + place.index).update(from: items + place.index + 1, count: count - place.index - 1)
        count -= 1
    }
}
