// Reads everything that lies on the disk once in a while, slowly, so that damage is found while there are backups
// without it. Checks what a read would check: each table's footer, index, filter and blocks, each frame of the full
// segments.
//
// At most `bytesPerSecond` are read, and as slowly as will do for a round in `periodSeconds`. What the system has in
// its page cache is not read from the device. A round takes a list of what there is; each file is held by a view only
// while it is read, so that a round keeps nothing alive. What is damaged is told once in a round; reads of it fail as
// ever.
//
// Threads: one of its own; figures and settings from any.

import Synchronization
import ValkBase
import ValkDisk

/// What the scrubber has done since the start.
package struct ScrubFigures: Sendable {
    package var rounds = 0
    /// Milliseconds since 1970, 0 before the end of the first round.
    package var lastEnd: UInt64 = 0
    package var lastBytes = 0
    package var lastErrors = 0
    /// Of the round under way.
    package var bytes = 0
    package var totalErrors = 0
    package var lastDamage = ""
}

final class Scrubber: @unchecked Sendable {  // State behind `lock` or atomic; the rest is constant.
    private let disk: any Disk
    private let controller: BucketController
    private let log: ValueLog
    private let report: @Sendable (StoreError) -> Void
    private let lock = Lock()
    private let wake = Condition()
    private var state = ScrubFigures()
    private var isEnding = false
    private var thread: PThread?
    /// 0: never.
    private let periodSeconds: Atomic<Int>
    private let bytesPerSecond: Atomic<Int>
    private var errors = 0

    /// A small store is read at this rate.
    private static let slowest = 256 << 10

    init(
        disk: any Disk, controller: BucketController, log: ValueLog, periodSeconds: Int, bytesPerSecond: Int,
        report: @escaping @Sendable (StoreError) -> Void
    ) {
        self.disk = ReadOnlyDisk(disk)
        self.controller = controller
        self.log = log
        self.report = report
        self.periodSeconds = Atomic(periodSeconds)
        self.bytesPerSecond = Atomic(bytesPerSecond)
    }

    var figures: ScrubFigures { lock.withLock { state } }

    func set(periodSeconds: Int? = nil, bytesPerSecond: Int? = nil) {
        if let periodSeconds { self.periodSeconds.store(periodSeconds, ordering: .relaxed) }
        if let bytesPerSecond { self.bytesPerSecond.store(bytesPerSecond, ordering: .relaxed) }
        lock.withLock { wake.broadcast() }
    }

    // MARK: Life

    func start() { thread = PThread(name: "valk-scrub", nice: 10) { [self] in run() } }

    func stop() {
        lock.withLock {
            isEnding = true
            wake.broadcast()
        }
        thread?.join()
        thread = nil
    }

    var isOnOwnThread: Bool { thread?.isCurrent ?? false }

    /// The first round begins a period after the start, or after the change of the period.
    private func run() {
        var last = Monotonic.nanoseconds()
        while true {
            lock.lock()
            while !isEnding {
                let period = periodSeconds.load(ordering: .relaxed)
                let now = Monotonic.nanoseconds()
                let due = last + UInt64(period) * 1_000_000_000
                if period > 0 && now >= due { break }
                // Woken when the settings change.
                _ = wake.wait(lock, until: period > 0 ? due : now + 3_600_000_000_000)
            }
            let ends = isEnding
            lock.unlock()
            if ends { return }
            last = Monotonic.nanoseconds()
            round(paced: true)
        }
    }

    // MARK: A round

    /// Reads everything once. Blocking; `paced` false for tests.
    func round(paced: Bool) {
        let tables = controller.structure.withLock { controller.state.tables.keys.sorted() }
        let segments = log.segments.filter { $0 < log.durable.segment }
        var total = controller.structure.withLock { controller.state.tables.values.reduce(0) { $0 + Int($1.bytes) } }
        total += segments.count * log.options.segmentBytes
        let period = max(1, periodSeconds.load(ordering: .relaxed))
        let pace = Pace(paced ? max(Scrubber.slowest, total / period) : Int.max)
        errors = 0
        lock.withLock { state.bytes = 0 }
        for id in tables { if !scrub(table: id, pace) { return } }
        for number in segments { if !scrub(segment: number, pace) { return } }
        lock.withLock {
            state.rounds += 1
            state.lastEnd = SystemClock().milliseconds()
            state.lastBytes = state.bytes
            state.lastErrors = errors
        }
    }

    /// False: it is the end.
    private func scrub(table id: UInt64, _ pace: Pace) -> Bool {
        // The view keeps the file while it is read.
        let view = controller.structure.withLock { () -> View? in
            controller.state.tables[id] == nil ? nil : controller.logManager.currentView().0
        }
        guard let view else { return true }
        defer { withExtendedLifetime(view) {} }
        let path = BucketManager.path(controller.directory, id)
        do throws(StoreError) {
            let table = try Table.open(
                disk: disk, path: path, fileId: id, cache: BlockCache(budgetBytes: 1 << 20))
            for block in 0..<table.blockCount {
                if let problem = table.problem(block) {
                    found(
                        StoreError(
                            .corruption, "data block \(block) \(problem)", path: path,
                            offset: table.index.blocks[block].offset))
                }
                if !took(Int(table.index.blocks[block].stored), pace) { return false }
            }
        } catch {
            found(error)
        }
        return true
    }

    private func scrub(segment number: UInt32, _ pace: Pace) -> Bool {
        let generation = log.files.generation(number)
        let known = controller.structure.withLock { controller.state.garbage[number]?.known }
        if generation > 0 || known != nil { return scrubRecords(number, generation, known, pace) }
        var fault: StoreError?
        do throws(StoreError) {
            let reader = try SegmentReader(
                disk: disk, directory: log.directory, segment: number, generation: generation, storeId: log.storeId)
            if let problem = try reader.headerFault(storeId: log.storeId) {
                fault = StoreError(.corruption, problem, path: reader.path, offset: 0)
            }
            var at = LogFormat.segmentHeaderBytes
            walk: while fault == nil {
                switch try reader.frame(at: at) {
                case .frame(let header, _):
                    at += Int(header.frameBytes)
                    if !took(Int(header.frameBytes), pace) { return false }
                case .broken(_, let inside, let reason):
                    fault = StoreError(.corruption, "\(reason)", path: reader.path, offset: at + inside)
                case .nothing:
                    if try reader.nextHeader(from: at) != nil {
                        fault = StoreError(
                            .corruption, "no frame is here, but later ones", path: reader.path, offset: at)
                    }
                    break walk
                }
            }
        } catch {
            fault = error
        }
        if let fault, isStill(number, generation, nil) { found(fault) }
        return true
    }

    /// A segment without frames: one that was rewritten, or has holes.
    private func scrubRecords(_ number: UInt32, _ generation: UInt32, _ known: [UInt8]?, _ pace: Pace) -> Bool {
        var goesOn = true
        do throws(StoreError) {
            let records = SegmentRecords(
                disk: disk, directory: log.directory, storeId: log.storeId, segment: number, generation: generation,
                known: known.flatMap { DiscardChunk.decode($0) }?.sorted())
            try records.visit { (_, record) throws(StoreError) in
                goesOn = took(record.count, pace)
                if !goesOn { throw StoreError(.invalid, "the store is closing") }
            }
        } catch {
            if goesOn && isStill(number, generation, known) { found(error) }
        }
        return goesOn
    }

    /// A segment that has gone meanwhile may have had another life already, and holes may have been made in it.
    private func isStill(_ number: UInt32, _ generation: UInt32, _ known: [UInt8]?) -> Bool {
        log.segments.contains(number) && log.files.generation(number) == generation
            && controller.structure.withLock { controller.state.garbage[number]?.known == known }
    }

    private func found(_ error: StoreError) {
        errors += 1
        lock.withLock {
            state.totalErrors += 1
            state.lastDamage = "\(error)"
        }
        report(error)
    }

    /// Counts bytes and waits until they were allowed. False: it is the end.
    private func took(_ bytes: Int, _ pace: Pace) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        state.bytes += bytes
        let due = pace.take(bytes, most: bytesPerSecond.load(ordering: .relaxed))
        while !isEnding, let due, Monotonic.nanoseconds() < due { _ = wake.wait(lock, until: due) }
        return !isEnding
    }
}

/// When the next bytes may be read.
private final class Pace {
    private let rate: Int
    private var next = Monotonic.nanoseconds()

    init(_ bytesPerSecond: Int) { rate = bytesPerSecond }

    /// Nil: at once.
    func take(_ bytes: Int, most: Int) -> UInt64? {
        if rate == Int.max { return nil }
        let cost = UInt64(bytes) * 1_000_000_000 / UInt64(max(1, min(rate, most)))
        let now = Monotonic.nanoseconds()
        next = max(next, now > 1_000_000_000 ? now - 1_000_000_000 : 0) + cost
        // Small debts gather, so that it does not wake for each block.
        return next > now + 50_000_000 ? next : nil
    }
}
