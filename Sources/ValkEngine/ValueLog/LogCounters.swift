// Counts that several threads add to. Relaxed: they are for people.

import Synchronization

final class LogCounters: Sendable {
    enum Name {
        case framesWritten, bytesWritten, handOvers, segmentsCreated, segmentsRecycled, segmentsRemoved
    }
    private let framesWritten = Atomic<Int>(0)
    private let bytesWritten = Atomic<Int>(0)
    private let handOvers = Atomic<Int>(0)
    private let segmentsCreated = Atomic<Int>(0)
    private let segmentsRecycled = Atomic<Int>(0)
    private let segmentsRemoved = Atomic<Int>(0)
    private let syncs = Atomic<Int>(0)
    private let syncNanoseconds = Atomic<Int>(0)
    private let syncNanosecondsMax = Atomic<Int>(0)

    func add(_ name: Name, _ n: Int) {
        switch name {
        case .framesWritten: framesWritten.wrappingAdd(n, ordering: .relaxed)
        case .bytesWritten: bytesWritten.wrappingAdd(n, ordering: .relaxed)
        case .handOvers: handOvers.wrappingAdd(n, ordering: .relaxed)
        case .segmentsCreated: segmentsCreated.wrappingAdd(n, ordering: .relaxed)
        case .segmentsRecycled: segmentsRecycled.wrappingAdd(n, ordering: .relaxed)
        case .segmentsRemoved: segmentsRemoved.wrappingAdd(n, ordering: .relaxed)
        }
    }

    func synced(_ nanoseconds: UInt64) {
        let took = Int(clamping: nanoseconds)
        syncs.wrappingAdd(1, ordering: .relaxed)
        syncNanoseconds.wrappingAdd(took, ordering: .relaxed)
        _ = syncNanosecondsMax.max(took, ordering: .relaxed)
    }

    var snapshot: LogStatistics {
        LogStatistics(
            framesWritten: framesWritten.load(ordering: .relaxed), bytesWritten: bytesWritten.load(ordering: .relaxed),
            syncs: syncs.load(ordering: .relaxed), syncNanosecondsTotal: syncNanoseconds.load(ordering: .relaxed),
            syncNanosecondsMax: syncNanosecondsMax.load(ordering: .relaxed),
            handOvers: handOvers.load(ordering: .relaxed), segmentsCreated: segmentsCreated.load(ordering: .relaxed),
            segmentsRecycled: segmentsRecycled.load(ordering: .relaxed),
            segmentsRemoved: segmentsRemoved.load(ordering: .relaxed))
    }
}
