// Gives the space of dead values back. What is dead it learns from the edits of flushes and merges alone (see
// SegmentGarbage): it looks no key up and writes nothing into the tree, so it cannot race with those who write.
//
// The rungs, cheapest first: a segment that nothing refers to goes by itself (SegmentRegistry); holes are punched where
// dead bytes lie side by side (GarbageCollector+Punch); what is left is rewritten under the same number without its
// dead records (GarbageCollector+Rewrite). Every segment before the one that holds the checkpoint is a candidate, and
// of the dead records those that no view shows any more.
//
// Threads: `step` may be called from any thread, one at a time (`gate`). Locks, in order: `gate`, the controller's
// `structure`.

import Synchronization
import ValkBase
import ValkDisk

final class GarbageCollector: @unchecked Sendable {  // State behind `gate`, but for `counters`.
    let controller: BucketController
    let log: ValueLog
    let disk: any Disk
    let options: StoreOptions
    /// Shared with whoever else works in the background.
    let budget: IOBudget
    /// Of the time that punching takes: microseconds.
    let punchBudget: IOBudget
    let gate = Lock()
    let cancelled = Atomic<Bool>(false)
    let counters = Guarded(GarbageCounters())
    /// As of the last round, for people.
    let lastFigures = Guarded(SpaceFigures())
    /// `space-target` in thousandths.
    let targetThousandths: Atomic<Int>
    private let bell = Bell()
    private var thread: PThread?

    /// Files of older generations, and the first view whose readers do not need them.
    var replaced: [(path: String, shownFrom: UInt64)] = []
    /// Holes that were made since the start.
    var holes: [UInt32: HolePlan] = [:]
    /// Dead bytes when a segment was last looked at for holes.
    var judged: [UInt32: UInt64] = [:]
    /// Segments that do not let themselves be punched.
    var unpunchable: Set<UInt32> = []
    /// False: the file system has said that it cannot.
    var mayPunch = true
    /// Segments whose rewrite found damage.
    var unreadable: Set<UInt32> = []
    var lacksSpace = false
    /// Tables that were dropped whole and that the disk refuses to read: how often in a row.
    var owedTries: [UInt64: Int] = [:]
    /// Highest generation of a segment that an edit without success may have named.
    var tried: [UInt32: UInt32] = [:]
    var figures = SpaceFigures()
    var debt = SpaceDebt()
    /// Bytes that the file system holds for sealed segments, as last asked.
    var sizes: [UInt32: Int] = [:]

    init(controller: BucketController, log: ValueLog, budget: IOBudget) {
        self.controller = controller
        self.log = log
        self.budget = budget
        disk = controller.disk
        options = controller.options
        punchBudget = IOBudget(bytesPerSecond: controller.options.punchMillisecondsPerSecond * 1000)
        targetThousandths = Atomic(Int(controller.options.spaceTarget * 1000))
    }

    // MARK: Life

    func start() {
        // Whoever serves clients goes first.
        thread = PThread(name: "valk-gc", nice: 10) { [self] in run() }
    }

    func stop() {
        cancelled.store(true, ordering: .relaxed)
        budget.cancel()
        punchBudget.cancel()
        bell.ring()
        thread?.join()
        thread = nil
    }

    var isOnOwnThread: Bool { thread?.isCurrent ?? false }

    private func run() {
        while true {
            let token = bell.token
            if cancelled.load(ordering: .relaxed) { return }
            var pause: UInt64 = 1000
            do {
                let didWork = try step()
                pause = gate.withLock { debt.pause(didWork) }
            } catch {
                if cancelled.load(ordering: .relaxed) { return }
                controller.logManager.report(.log(.note(error)))
            }
            bell.wait(after: token, milliseconds: pause)
        }
    }

    /// One round: everything that is due. Blocking. Returns whether anything was done.
    @discardableResult
    func step() throws(StoreError) -> Bool {
        gate.lock()
        defer { gate.unlock() }
        removeReplaced()
        var didWork = try settleOwed()
        didWork = try forgetGone() || didWork
        return try govern() || didWork
    }

    /// The segment has another file, or none.
    func forgetHoles(_ segment: UInt32) {
        holes[segment] = nil
        judged[segment] = nil
        unpunchable.remove(segment)
    }

    /// Tells the manifest of segments that are gone. With `gate` held.
    private func forgetGone() throws(StoreError) -> Bool {
        try controller.structure.withLock { () throws(StoreError) in
            let checkpoint = controller.state.checkpoint.position.segment
            let gone = controller.state.garbage.keys.filter { $0 < checkpoint && !log.files.contains($0) }
            // Its number stays known as long as a file of it may be left.
            if gone.isEmpty { return false }
            try controller.note(gone.sorted().map { .garbage(.forget($0)) })
            for segment in gone {
                sizes[segment] = nil
                unreadable.remove(segment)
                tried[segment] = nil
                forgetHoles(segment)
            }
            return true
        }
    }
}

/// What the collector did since the start.
package struct GarbageCounters: Sendable, Equatable {
    package var segmentsRewritten: UInt64 = 0
    package var rewritesFailed: UInt64 = 0
    /// Bytes of the files that rewrites made.
    package var bytesMoved: UInt64 = 0
    package var segmentsPunched: UInt64 = 0
    package var holes: UInt64 = 0
    package var bytesPunched: UInt64 = 0
    package var punchesFailed: UInt64 = 0
    /// The file system has said that it cannot.
    package var punchingIsUnsupported = false
}

/// A value that several threads read and change.
final class Guarded<Value: Sendable>: @unchecked Sendable {  // `value` behind `lock`.
    private let lock = Lock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<R>(_ body: (inout Value) -> R) -> R { lock.withLock { body(&value) } }
}
