// Who watches which key (WATCH), so that whoever changes a key can tell them.
//
// A watch is entered while its client holds the key's stripe; a writer looks here after its commit, while it still
// holds the stripes of the keys it wrote. So a writer either came before the watch, and the watcher sees what it wrote,
// or it sees the watch and marks it. The hand-over of the stripe also makes `isEmpty` and the marks visible: with
// nobody watching, a write costs one plain load.
//
// What counts as a change is what a batch writes to the key itself, and a whole database that is emptied or swapped
// while the key is in it before or afterwards. Removing a key whose time has come is none: the watcher remembers that
// time (`Transaction`). Writers of an element of a collection write the collection's entry too, or note the key.

import CValk
import Synchronization
import ValkBase
import ValkData
import ValkEngine

/// Whether a key that one client watches has changed. Set under a stripe of the key, read under all its stripes.
final class WatchMark: Sendable {
    private let touched = Atomic<Bool>(false)

    var isTouched: Bool { touched.load(ordering: .relaxed) }
    func touch() { touched.store(true, ordering: .relaxed) }
    func reset() { touched.store(false, ordering: .relaxed) }
}

final class WatchRegistry: @unchecked Sendable {  // `watches` is under the lock, `total` is an atomic word.
    private struct Watch {
        let database: Int
        let key: [UInt8]
        let mark: WatchMark
    }

    private let total: UnsafeMutablePointer<UInt64>
    private let lock = Lock()
    /// By stripe.
    private var watches = [[Watch]](repeating: [], count: Stripes.count)

    init() {
        total = .allocate(capacity: 1)
        total.initialize(to: 0)
    }

    deinit { total.deallocate() }

    /// Nobody watches a key of the stripes that the caller holds. Others may be watched by the time this returns.
    @inline(__always)  // One load after every commit.
    var isEmpty: Bool { valk_load_relaxed_u64(total) == 0 }

    /// With the key's stripe held.
    func add(_ database: Int, _ key: [UInt8], _ mark: WatchMark) {
        let stripe = key.withView { Stripes.index(of: $0) }
        lock.withLock {
            watches[stripe].append(Watch(database: database, key: key, mark: mark))
            valk_store_relaxed_u64(total, valk_load_relaxed_u64(total) + 1)
        }
    }

    /// Any thread, any time.
    func remove(_ key: [UInt8], _ mark: WatchMark) {
        let stripe = key.withView { Stripes.index(of: $0) }
        lock.withLock {
            let before = watches[stripe].count
            watches[stripe].removeAll { $0.mark === mark && $0.key == key }
            let removed = UInt64(before - watches[stripe].count)
            valk_store_relaxed_u64(total, valk_load_relaxed_u64(total) - removed)
        }
    }

    // MARK: Writers

    /// Marks the watchers of every key that the batch of `keys` writes. After the commit, before `finished`, with the
    /// stripes held.
    func touch(writtenBy keys: KeyAccess) {
        lock.withLock {
            keys.forEachWrittenKey { namespace, user in
                for watch in watches[Stripes.index(of: user)]
                where keys.hasLived(watch.database, in: namespace) && watch.key.withView({ $0 == user }) {
                    watch.mark.touch()
                }
            }
        }
    }

    /// The marks of the keys that a swap or flush in `keys` takes away or brings. Before the commit, with every stripe
    /// held; may have to wait for the disk.
    func marks(movedBy keys: KeyAccess) throws(Interruption) -> [WatchMark] {
        if !keys.hasMoved { return [] }
        let all = lock.withLock { watches.flatMap { $0 } }
        var marks: [WatchMark] = []
        for watch in all where try keys.moveConcerns(watch.key, watch.database) { marks.append(watch.mark) }
        return marks
    }
}
