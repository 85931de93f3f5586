// After a start, opens the tables that nobody has asked for yet, so that the first look-ups need not: from the root
// down, since the tables above are asked by more look-ups than those below. Slowly, leaving most of the device's time
// to others, and only as long as indexes and filters leave half of the cache's budget to blocks. One thread, which ends
// by itself when it has been through.

import ValkBase

final class TableOpener: @unchecked Sendable {  // State behind `lock`; `thread` is touched by start and stop.
    /// Does not keep a file that a merge has replaced.
    private struct Candidate {
        weak var file: TableFile?
    }

    private let cache: BlockCache
    private let report: @Sendable (StoreError) -> Void
    private var candidates: [Candidate] = []
    private let lock = Lock()
    private let wake = Condition()
    private var isEnding = false
    private var thread: PThread?
    /// Waits so many times as long as the last table took.
    private static let restFactor: UInt64 = 4

    /// `report` hears of tables that cannot be opened.
    init(_ root: Bucket, _ cache: BlockCache, report: @escaping @Sendable (StoreError) -> Void) {
        self.cache = cache
        self.report = report
        var files: [(height: Int, file: TableFile)] = []
        var seen = Set<UInt64>()
        root.forEach { bucket in
            for fragment in bucket.runs.flatMap(\.fragments) where seen.insert(fragment.file.id).inserted {
                files.append((bucket.height, fragment.file))
            }
        }
        candidates = files.sorted { ($0.height, $1.file.id) > ($1.height, $0.file.id) }.map { Candidate(file: $0.file) }
    }

    func start() { if !candidates.isEmpty { thread = PThread(name: "valk-open") { [self] in run() } } }

    func stop() {
        lock.withLock {
            isEnding = true
            wake.broadcast()
        }
        thread?.join()
        thread = nil
    }

    var isOnOwnThread: Bool { thread?.isCurrent ?? false }

    private func run() {
        for candidate in candidates {
            let begin = Monotonic.nanoseconds()
            if !open(candidate) { return }
            let now = Monotonic.nanoseconds()
            lock.lock()
            while !isEnding && wake.wait(lock, until: now + (now - begin) * Self.restFactor) {}
            let ends = isEnding
            lock.unlock()
            if ends { return }
        }
    }

    /// Opens one table if there is still a use and room for it. False: the rest is left to those who need it.
    func open(_ number: Int) -> Bool { open(candidates[number]) }

    private func open(_ candidate: Candidate) -> Bool {
        guard let file = candidate.file, !file.table.isLoaded else { return true }
        let used = cache.statistics
        if used.tableBytes >= used.budgetBytes / 2 { return false }
        do throws(StoreError) { try file.table.load() } catch { report(error) }
        return true
    }

    var count: Int { candidates.count }
}
