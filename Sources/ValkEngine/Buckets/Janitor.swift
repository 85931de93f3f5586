// Removes files and retires log segments on a thread of its own. Whoever lets go of a view last may be a loop in the
// middle of its turn; unlinking a large file takes milliseconds, so it only leaves a note here.

import ValkBase
import ValkDisk

final class Janitor: @unchecked Sendable {  // State behind `lock`.
    private let disk: any Disk
    private let lock = Lock()
    private let work = Condition()
    private let idle = Condition()
    private var files: [String] = []
    private var segments: [UInt32] = []
    private var retire: (@Sendable (UInt32) -> Void)?
    private var isWorking = false
    private var isClosing = false
    private var thread: PThread?

    /// `usesThread` false: work is done in `drain` only (tests that need a fixed order of disk operations).
    init(disk: any Disk, usesThread: Bool) {
        self.disk = disk
        if usesThread { thread = PThread(name: "valk-janitor") { [self] in run() } }
    }

    /// From now on dead segments go to `retire`.
    func start(retire: @escaping @Sendable (UInt32) -> Void) {
        lock.withLock { self.retire = retire }
        work.signal()
    }

    func remove(_ path: String) {
        lock.withLock { files.append(path) }
        work.signal()
    }

    func release(_ segment: UInt32) {
        lock.withLock { segments.append(segment) }
        work.signal()
    }

    var isOnOwnThread: Bool { thread?.isCurrent ?? false }

    /// Does everything that was noted before the call. Blocking.
    func drain() {
        if thread == nil {
            lock.lock()
            step()
            lock.unlock()
            return
        }
        lock.lock()
        while isWorking || !files.isEmpty || (!segments.isEmpty && retire != nil) { idle.wait(lock) }
        lock.unlock()
    }

    func close() {
        drain()
        lock.withLock { isClosing = true }
        work.signal()
        thread?.join()
        thread = nil
    }

    /// With the lock held; gives it up while it works.
    private func step() {
        let files = self.files
        let segments = retire == nil ? [] : self.segments
        self.files = []
        if retire != nil { self.segments = [] }
        let retire = self.retire
        isWorking = true
        lock.unlock()
        for path in files {
            // A file that cannot be removed is found and removed as an orphan at the next start.
            do { try disk.remove(path) } catch { continue }
        }
        for segment in segments { retire?(segment) }
        lock.lock()
        isWorking = false
        idle.broadcast()
    }

    private func run() {
        lock.lock()
        while true {
            if !files.isEmpty || (!segments.isEmpty && retire != nil) {
                step()
                continue
            }
            if isClosing { break }
            work.wait(lock)
        }
        lock.unlock()
    }
}
