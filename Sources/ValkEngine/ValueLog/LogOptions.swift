// What can be chosen for the value log, what it tells the outside, and what it counts.

import ValkBase

package struct LogOptions: Sendable {
    /// Size of a segment, 64 KiB ... 1 GiB; the server allows 1 MiB and more. Default 64 MiB.
    package var segmentBytes = 64 << 20
    /// `appendfsync`; `setPolicy` changes it later.
    package var policy = SyncPolicy.everySecond
    package var syncIntervalMilliseconds = 1000
    /// Most bytes added but not yet written; `reserve` makes writers wait above it.
    package var pendingBytesMax = 64 << 20
    /// Dead segments kept for reuse.
    package var spareSegmentsMax = 4
    /// What stays free in the last segment for deletes when the device is full.
    package var urgentBytes = 1 << 20
    /// False: no threads; every piece of background work happens inside the call that needs it. For tests that must see
    /// the same disk operations in the same order each time, and for tools.
    package var usesThreads = true
    /// Writes the blocks of new segments once before use (always done under `.always`; recycled ones have been).
    package var prewritesSegments = false

    /// Opens for `readValue` alone: changes nothing on the disk; every write is refused as `.writesStopped`.
    package var isReadOnly = false

    package init() {}
}

/// What the log reports. Called on the thread where it happened, with no lock of the log held; must not call back into
/// the log's blocking functions.
package enum LogEvent: Sendable {
    /// A write or sync failed: nothing more is written until a restart.
    case stopped(StoreError)
    /// A read found bytes that are not what was written.
    case damaged(StoreError)
    case readFailed(StoreError)
    /// No new segment could be made for lack of space.
    case spaceRunsOut(StoreError)
    case spaceIsBack
    /// Something that is no fault of the data failed (removing a dead file, for instance).
    case note(StoreError)
}

/// Counts since the log was opened.
package struct LogStatistics: Sendable, Equatable {
    package var framesWritten = 0
    package var bytesWritten = 0
    package var syncs = 0
    package var syncNanosecondsTotal = 0
    package var syncNanosecondsMax = 0
    /// Frames that loops handed to the log thread.
    package var handOvers = 0
    package var segmentsCreated = 0
    package var segmentsRecycled = 0
    package var segmentsRemoved = 0
}

extension SyncPolicy {
    /// For atomics.
    var code: UInt8 {
        switch self {
        case .always: 0
        case .everySecond: 1
        case .no: 2
        }
    }

    init(code: UInt8) {
        switch code {
        case 1: self = .everySecond
        case 2: self = .no
        default: self = .always
        }
    }
}
