// Gives the space of dead values back. What is dead it learns from the edits of flushes and merges alone (see
// SegmentGarbage): it looks no key up and writes nothing into the tree, so it cannot race with those who write.
//
// Threads: `step` may be called from any thread, one at a time (`gate`). Locks, in order: `gate`, the controller's
// `structure`.

import Synchronization
import ValkBase
import ValkDisk

final class GarbageCollector: @unchecked Sendable {  // State behind `gate`.
    let controller: BucketController
    let log: ValueLog
    let disk: any Disk
    let options: StoreOptions
    let gate = Lock()
    let cancelled = Atomic<Bool>(false)

    init(controller: BucketController, log: ValueLog) {
        self.controller = controller
        self.log = log
        disk = controller.disk
        options = controller.options
    }

    /// One round: everything that is due. Blocking. Returns whether anything was done.
    @discardableResult
    func step() throws(StoreError) -> Bool {
        gate.lock()
        defer { gate.unlock() }
        return try settleOwed()
    }
}
