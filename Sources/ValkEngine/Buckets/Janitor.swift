// Removes files, retires log segments and frees old views on a thread of its own. Whoever lets go of a view last may be
// a loop in the middle of its turn, and what goes with a view takes a millisecond (memory, blocks of the cache) or many
// (the unlinking of a large file), so it only leaves a note here.
//
// Locks: `lock` is held to take and leave notes, never while anything is done or released. Freeing a view leaves new
// notes.

import ValkBase
import ValkDisk

final class Janitor: @unchecked Sendable {  // State behind `lock`.
    private struct Notes {
        var files: [String] = []
        var segments: [UInt32] = []
        /// Each with a reference of its own, so that no other goes after it.
        var views: [Unmanaged<View>] = []

        var isEmpty: Bool { files.isEmpty && segments.isEmpty && views.isEmpty }
    }

    private let disk: any Disk
    private let usesThread: Bool
    private let lock = Lock()
    private let work = Bell()
    private let idle = Bell()
    private var notes = Notes()
    /// Segments that died before `start`.
    private var earlySegments: [UInt32] = []
    private var retire: (@Sendable (UInt32) -> Void)?
    private var isWorking = false
    private var isClosing = false
    /// Nothing is done any more.
    private var hasEnded = false
    private var thread: PThread?

    /// `usesThread` false: work is done in `drain` only (tests that need a fixed order of disk operations), and views
    /// are freed where they are let go.
    init(disk: any Disk, usesThread: Bool) {
        self.disk = disk
        self.usesThread = usesThread
        if usesThread { thread = PThread(name: "valk-janitor") { [self] in run() } }
    }

    /// From now on dead segments go to `retire`.
    func start(retire: @escaping @Sendable (UInt32) -> Void) {
        lock.withLock {
            self.retire = retire
            notes.segments += earlySegments
            earlySegments = []
        }
        work.ring()
    }

    func remove(_ path: String) {
        lock.withLock { if !hasEnded { notes.files.append(path) } }
        work.ring()
    }

    func release(_ segment: UInt32) {
        lock.withLock {
            if hasEnded { return }
            if retire == nil { earlySegments.append(segment) } else { notes.segments.append(segment) }
        }
        work.ring()
    }

    /// Takes the reference out of `view` and lets go of it soon.
    func discard(_ view: inout View?) {
        guard let taken = view.map(Unmanaged.passRetained) else { return }
        view = nil
        let isTaken = lock.withLock { () -> Bool in
            if !usesThread || hasEnded { return false }
            notes.views.append(taken)
            return true
        }
        if isTaken { work.ring() } else { taken.release() }
    }

    var isOnOwnThread: Bool { thread?.isCurrent ?? false }

    /// Does everything that was noted before the call. Blocking.
    func drain() {
        guard usesThread else {
            while step() {}
            return
        }
        while true {
            let token = idle.token
            if lock.withLock({ !isWorking && notes.isEmpty }) { return }
            idle.wait(after: token, milliseconds: 1000)
        }
    }

    func close() {
        drain()
        lock.withLock {
            isClosing = true
            if !usesThread { hasEnded = true }
        }
        work.ring()
        thread?.join()
        thread = nil
    }

    private func run() {
        while true {
            let token = work.token
            if step() { continue }
            let ends = lock.withLock {
                if isClosing && notes.isEmpty { hasEnded = true }
                return hasEnded
            }
            if ends { return }
            work.wait(after: token, milliseconds: 60_000)
        }
    }

    /// Does what is noted. False when there was nothing.
    private func step() -> Bool {
        var taken = Notes()
        lock.lock()
        swap(&taken, &notes)
        isWorking = !taken.isEmpty
        let retire = self.retire
        lock.unlock()
        if taken.isEmpty { return false }
        for path in taken.files {
            // A file that cannot be removed is found and removed as an orphan at the next start.
            do { try disk.remove(path) } catch { continue }
        }
        for segment in taken.segments { retire?(segment) }
        for view in taken.views { view.release() }
        lock.withLock { isWorking = false }
        idle.ring()
        return true
    }
}
