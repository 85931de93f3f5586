// What SCAN's cursors mean: an order-preserving map from labels (the 64-bit numbers that clients hold) to keys.
//
// A bookmark (label, key) says: everything up to and including `key` has been covered. When SCAN stops after key K it
// returns the label of a bookmark at K, made on the spot if there is none, with a label between its neighbours'. SCAN
// with cursor c goes on after the key of the *greatest bookmark with label <= c*. Nothing is kept per client: at most
// 65,536 bookmarks (and 16 MiB of keys) exist per store, the least recently used are dropped.
//
// Why no key is ever missed. Let (L, K) be any pair that was ever returned for a namespace, and (l, k) any bookmark
// that exists now. Invariant:
//
//   (I)  l <= L  implies  k <= K.
//
// With (I), a call with cursor L starts after some s <= K. If everything up to K had been covered when L was returned,
// then everything up to the K' where this call stops is covered now: what is <= s was before, what is in (s, K'] is
// returned by this call. By induction a full iteration, ending with cursor 0 at the end of the keys, covers each key
// that was there throughout, at least once. Dropped cursors only cost repetition.
//
// Why (I) holds. Each bookmark b keeps a *floor* >= its label: no label above b.floor and below the next bookmark's
// label has ever been returned.
//   insert (l, k) between p and q (p.key < k < q.key): l is taken with p.floor < l < q.label. For a returned (L, K)
//     with L >= l: L cannot lie in (p.floor, q.label), so L >= q.label, hence by (I) q.key <= K, hence k < K. For the
//     new pair itself, labels order as keys. The new floors: p keeps its own (labels in (p, l) were <= p.floor),
//     b.floor = l.
//   drop b, p before it: one bookmark fewer to satisfy (I); p.floor = max(p.floor, b.floor) covers b's label and gap.
//   keys of the store change: (I) does not speak of them.
//
// Why iterations end. A call with cursor c returns only labels > c: new ones are taken above max(p.floor, c), and a
// bookmark whose label is not above c is passed by. If no label fits in a gap, the call simply goes on to the next
// bookmark (or the end).
//
// Restarts. Bookmarks and floors are entries of namespace 0, committed here under the lock and not synced. After a
// crash the last of them may be missing while clients hold their labels, so at each start every floor is lifted to the
// middle of its gap (2^48, 65,536 labels, past the last bookmark): labels are handed out from the low end of a gap in
// steps of 1/65,536 of it, so reaching the middle within what a crash can lose takes 32,768 bookmarks in one gap. Label
// space that runs out shows as longer answers, never as missing keys.
//
// Threads: everything under one short lock; the calls are one per SCAN.

import Glibc
import ValkBase
import ValkEngine

package final class ScanBookmarks: @unchecked Sendable {  // All state is behind the lock.
    package static let countMax = 65_536
    package static let keyBytesMax = 16 << 20
    /// Changes that may wait for the log before they are given up.
    static let waitingMax = 16_384
    /// Labels between neighbours at the right end.
    static let labelStride: UInt64 = 1 << 32
    /// How far the right end's floor is lifted at a start.
    static let restartStride: UInt64 = 1 << 48

    struct Bookmark {
        var label: UInt64
        /// Highest label that may have been returned below the next bookmark's.
        var floor: UInt64
        var lastUse: UInt64
        /// Owned; the start (label 0) has none and stands before all keys.
        var key: UnsafeMutableRawPointer
        var keyBytes: Int
        /// Whether `floor` is what the store has.
        var isStored: Bool

        var view: ByteView { ByteView(base: key, count: keyBytes) }
    }

    /// Ordered by label and by key at once; [0] is the start.
    private final class Shelf {
        var marks: [Bookmark]
        init(_ start: Bookmark) { marks = [start] }

        deinit { for mark in marks { free(mark.key) } }
    }

    /// What to do at the place where a call wants to stop.
    package enum Stop {
        /// Return this cursor.
        case here(UInt64)
        /// No label fits: go on to the key in `keyAfter` (inclusive), then return this cursor.
        case after(UInt64)
        /// No label fits and no bookmark follows: go on to the end.
        case atEnd
    }

    private let store: Store
    private let lock = Lock()
    private var shelves: [UInt32: Shelf] = [:]
    private var count = 0
    private var keyBytes = 0
    private var clock: UInt64 = 0
    private let countMax: Int
    private let batch = WriteBatch()
    private let scratch = KeyScratch()
    private var value = ByteBuffer()
    private var heldValues: [UnsafeMutableRawPointer] = []

    init(_ store: Store, countMax: Int = ScanBookmarks.countMax) {
        self.store = store
        self.countMax = countMax
    }

    /// Loads what the store has; waits for the disk. Call before there are users.
    package convenience init(
        _ store: Store, _ reader: StoreReader, countMax: Int = ScanBookmarks.countMax
    ) throws(Interruption) {
        self.init(store, countMax: countMax)
        try reader.visitOwn(KeySpace.bookmarks) { (key, stored) throws(Interruption) in
            guard key.count == 17, stored.count >= 8 else { throw .damaged }
            load(
                namespace: key.base.bigEndian(5, UInt32.self), label: key.base.bigEndian(9, UInt64.self),
                floor: stored.base.bigEndian(0, UInt64.self), key: stored.dropFirst(8))
        }
        for shelf in shelves.values { Self.liftFloors(shelf) }
    }

    deinit { scratch.deallocate() }

    // MARK: SCAN

    /// Writes the key after which `cursor` goes on into `key`; false when it is the very beginning.
    package func resume(_ namespace: UInt32, _ cursor: UInt64, into key: inout ByteBuffer) -> Bool {
        key.removeAll()
        if cursor == 0 { return false }
        lock.lock()
        defer { lock.unlock() }
        guard let shelf = shelves[namespace] else { return false }
        let i = Self.index(shelf, label: cursor)
        clock += 1
        shelf.marks[i].lastUse = clock
        if i == 0 { return false }
        key.append(shelf.marks[i].view)
        return true
    }

    /// A call that was given `cursor` wants to stop after `key`. `position` is lifted to where the commit of a new
    /// bookmark ends; `keyAfter` is filled for `.after`.
    package func stop(
        _ namespace: UInt32, after key: ByteView, given cursor: UInt64, position: inout LogPosition,
        keyAfter: inout ByteBuffer
    ) -> Stop {
        lock.lock()
        defer { lock.unlock() }
        let shelf: Shelf
        if let known = shelves[namespace] {
            shelf = known
        } else {
            shelf = Shelf(Self.start(floor: 0))
            shelves[namespace] = shelf
        }
        clock += 1
        let i = Self.index(shelf, key: key)
        if i > 0 && shelf.marks[i].label > cursor && shelf.marks[i].view == key {
            shelf.marks[i].lastUse = clock
            return .here(shelf.marks[i].label)
        }
        let isLast = i + 1 == shelf.marks.count
        let limit = isLast ? UInt64.max : shelf.marks[i + 1].label
        let low = max(shelf.marks[i].floor, cursor)
        if low < limit - 1 {
            let gap = limit - low
            let step = isLast && gap > Self.labelStride ? Self.labelStride : max(1, gap >> 16)
            insert(shelf, namespace, at: i + 1, label: low + step, key, &position)
            return .here(low + step)
        }
        var next = i + 1
        while next < shelf.marks.count && shelf.marks[next].label <= cursor { next += 1 }
        if next == shelf.marks.count { return .atEnd }
        keyAfter.removeAll()
        keyAfter.append(shelf.marks[next].view)
        shelf.marks[next].lastUse = clock
        return .after(shelf.marks[next].label)
    }

    // MARK: Whole namespaces

    package func has(namespace: UInt32) -> Bool { lock.withLock { shelves[namespace] != nil } }

    /// The namespace is gone, and its stored bookmarks with it.
    package func drop(namespace: UInt32) {
        lock.withLock {
            guard let shelf = shelves.removeValue(forKey: namespace) else { return }
            for mark in shelf.marks.dropFirst() {
                count -= 1
                keyBytes -= mark.keyBytes
            }
        }
    }

    /// Bookmarks of one namespace as (label, key), without the start; for tests and inspection.
    package func list(namespace: UInt32) -> [(label: UInt64, key: [UInt8])] {
        lock.withLock { (shelves[namespace]?.marks ?? []).dropFirst().map { ($0.label, $0.view.array) } }
    }

    // MARK: Places

    /// The last bookmark with a label of at most `label`.
    private static func index(_ shelf: Shelf, label: UInt64) -> Int {
        var low = 0
        var high = shelf.marks.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if shelf.marks[middle].label <= label { low = middle } else { high = middle }
        }
        return low
    }

    /// The last bookmark at or before `key`; 0 is the start.
    private static func index(_ shelf: Shelf, key: ByteView) -> Int {
        var low = 0
        var high = shelf.marks.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if shelf.marks[middle].view.compare(key) <= 0 { low = middle } else { high = middle }
        }
        return low
    }

    private static func start(floor: UInt64) -> Bookmark {
        Bookmark(label: 0, floor: floor, lastUse: 0, key: copy(.empty), keyBytes: 0, isStored: floor == 0)
    }

    private static func copy(_ key: ByteView) -> UnsafeMutableRawPointer {
        guard let memory = malloc(max(1, key.count)) else { fatalError("out of memory for a bookmark") }
        memcpy(memory, key.base, key.count)
        return memory
    }

    // MARK: Changes

    private func insert(
        _ shelf: Shelf, _ namespace: UInt32, at i: Int, label: UInt64, _ key: ByteView, _ position: inout LogPosition
    ) {
        shelf.marks.insert(
            Bookmark(
                label: label, floor: label, lastUse: clock, key: Self.copy(key), keyBytes: key.count, isStored: false),
            at: i)
        count += 1
        keyBytes += key.count
        store(shelf, namespace, i)
        store(shelf, namespace, i - 1)
        while count > countMax || keyBytes > Self.keyBytesMax { dropLeastUsed() }
        do throws(Interruption) {
            position = max(position, try self.store.commit(batch))
        } catch .wouldBlock {
            // The log needs a moment: what is in the batch goes with the next bookmark.
            if batch.count < Self.waitingMax { return }
        } catch {
            // No room, or writes have stopped: bookmarks still serve until the next restart.
        }
        batch.clear()
        for held in heldValues { free(held) }
        heldValues.removeAll(keepingCapacity: true)
    }

    private func store(_ shelf: Shelf, _ namespace: UInt32, _ i: Int) {
        if shelf.marks[i].isStored { return }
        shelf.marks[i].isStored = true
        value.removeAll()
        let floor = shelf.marks[i].floor
        value.appendFixed(floor.byteSwapped)
        value.append(shelf.marks[i].view)
        var view = value.view
        if view.count > WriteBatch.copiedValueBytesMax {
            // The batch refers to values of this size until the commit.
            let held = Self.copy(view)
            heldValues.append(held)
            view = ByteView(base: held, count: view.count)
        }
        batch.put(scratch.bookmark(namespace, shelf.marks[i].label), tag: 0, value: view, prior: .unknown)
    }

    /// Drops about one in 32 bookmarks, those that were used longest ago. The limit comes from a sample.
    private func dropLeastUsed() {
        var sample: [UInt64] = []
        let every = max(1, count / 512)
        for shelf in shelves.values {
            for i in stride(from: 1, to: shelf.marks.count, by: every) { sample.append(shelf.marks[i].lastUse) }
        }
        sample.sort()
        // The newest bookmark (lastUse == clock) always stays.
        let limit = min(sample.isEmpty ? clock : sample[sample.count / 32], clock - 1)
        for (namespace, shelf) in shelves { drop(shelf, namespace, upTo: limit) }
    }

    private func drop(_ shelf: Shelf, _ namespace: UInt32, upTo limit: UInt64) {
        var kept = 0
        for i in 1..<max(1, shelf.marks.count) {
            let mark = shelf.marks[i]
            if mark.lastUse > limit {
                kept += 1
                shelf.marks[kept] = mark
                continue
            }
            batch.delete(scratch.bookmark(namespace, mark.label), prior: .unknown)
            if mark.floor > shelf.marks[kept].floor {
                shelf.marks[kept].floor = mark.floor
                shelf.marks[kept].isStored = false
            }
            count -= 1
            keyBytes -= mark.keyBytes
            free(mark.key)
        }
        shelf.marks.removeLast(shelf.marks.count - kept - 1)
        for i in 0...kept where !shelf.marks[i].isStored { store(shelf, namespace, i) }
    }

    // MARK: Loading

    /// In ascending order of label within a namespace.
    private func load(namespace: UInt32, label: UInt64, floor: UInt64, key: ByteView) {
        let shelf: Shelf
        if let known = shelves[namespace] {
            shelf = known
        } else {
            shelf = Shelf(Self.start(floor: label == 0 ? floor : 0))
            shelves[namespace] = shelf
        }
        if label == 0 { return }
        shelf.marks.append(
            Bookmark(
                label: label, floor: max(floor, label), lastUse: 0, key: Self.copy(key), keyBytes: key.count,
                isStored: true))
        count += 1
        keyBytes += key.count
    }

    private static func liftFloors(_ shelf: Shelf) {
        for i in 0..<shelf.marks.count {
            let floor = shelf.marks[i].floor
            let isLast = i + 1 == shelf.marks.count
            let gap = (isLast ? UInt64.max : shelf.marks[i + 1].label) - floor
            let lift = isLast ? min(restartStride, gap / 2) : gap / 2
            shelf.marks[i].floor = floor + lift
            if lift > 0 { shelf.marks[i].isStored = false }
        }
    }
}
