// Numbers for spread collections, each given out once in a store's life: [run, 24 bits][count within the run, 40 bits].
//
// A run is the time from one start to the next. Its number is claimed when the first collection of the run needs one,
// by a commit of its own ([0] space 8, the first run that was never claimed): the log keeps what is committed in order,
// so no collection with such a number is ever there without the claim. No sync is needed for that.

import Synchronization
import ValkBase
import ValkEngine

final class CollectionIDs: @unchecked Sendable {  // The claim is behind the lock, the counter atomic.
    private static let countBits: UInt64 = 40

    private let store: Store
    private let lock = Lock()
    private let next = Atomic<UInt64>(0)
    private let run: UInt64

    /// `run` is what space 8 has, or 1.
    init(_ store: Store, run: UInt64) {
        self.store = store
        self.run = run
    }

    /// A number that nobody has had.
    func take(mayBlock: Bool) throws(Interruption) -> UInt64 {
        if next.load(ordering: .acquiring) == 0 { try claim(mayBlock) }
        return next.wrappingAdd(1, ordering: .relaxed).oldValue
    }

    private func claim(_ mayBlock: Bool) throws(Interruption) {
        lock.lock()
        defer { lock.unlock() }
        if next.load(ordering: .acquiring) != 0 { return }
        let batch = WriteBatch()
        let scratch = KeyScratch()
        defer { scratch.deallocate() }
        withUnsafeBytes(of: (run + 1).bigEndian) {
            batch.put(scratch.bound(0, KeySpace.collectionRuns), tag: 0, value: ByteView($0), prior: .unknown)
        }
        _ = try store.commit(batch, mayBlock: mayBlock)
        next.store(run << Self.countBits | 1, ordering: .releasing)
    }
}
