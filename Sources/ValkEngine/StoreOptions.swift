// What a store can be told. Bytes unless the name says otherwise. Options marked live may be changed while it serves.

import Glibc
import ValkBase

/// When an acknowledged write must be on the device. Redis's own words and promises.
public enum SyncPolicy: Sendable, Equatable {
    /// Before the acknowledgement (group commit).
    case always
    /// At most a second later. The default.
    case everySecond
    /// When the operating system likes.
    case no
}

public struct StoreOptions: Sendable {
    /// The directory; created when missing (its parent must exist).
    public var path: String
    public var syncPolicy: SyncPolicy = .everySecond
    /// One budget for sorted tables in memory, block cache, and open tables' filters and indexes. 16 MiB and more.
    public var memoryBytes: Int = 512 << 20
    /// A sorted table is sealed and flushed at this size. 64 KiB to 1 GiB.
    public var tableBytes: Int = 64 << 20
    /// ... or when this much log would have to be replayed.
    public var replayBytesMax: Int = 256 << 20
    /// Values of at least this size stay in the log behind a pointer. 16 bytes to 512 MiB; live.
    public var valueSeparationThreshold: Int = 1024
    /// Size of a log segment. 1 MiB to 1 GiB.
    public var segmentBytes: Int = 64 << 20
    /// Uncompressed target of a table block. 512 bytes to 64 KiB.
    public var blockBytes: Int = 4096
    /// Bloom filter bits per key, 0 for none: in runs of leaves; runs of inner buckets, which are small, get 4 more,
    /// the oldest run of a leaf 2 less.
    public var filterBitsPerKey: Int = 12
    /// Threads for merges, 1 to 64; 0: one less than there are processors, and at least one. Flushes have one of their
    /// own.
    public var backgroundThreads: Int = 0
    /// Table files of merges are cut at this size.
    public var tableFileBytes: Int = 32 << 20
    /// Runs of similar size that are merged at once, 2 to 16; also the runs that a slot of a bucket houses.
    public var mergeWidth: Int = 8
    /// A slot of an inner bucket with this much goes down to its child. 4 KiB and more.
    package var pushBytes = 64 << 20
    /// A leaf larger than this is split. 4 KiB and more.
    package var leafBytes = 512 << 20
    /// A job reads about this much before it publishes what it has. 4 KiB and more.
    package var jobBytes = 96 << 20
    /// Deletes bring on a merge of their own when there are so many entries where they are.
    package var deletesEntriesMin: UInt64 = 1000
    /// Children of a bucket, 3 to 64; of new stores: a store keeps its own.
    package var fanOut = 8
    /// Everything on the disk is read and checked once in so many seconds, slowly; 0 never. Live.
    public var scrubPeriodSeconds: Int = 7 * 86_400
    /// ... at most so many bytes a second. Live.
    public var scrubBytesPerSecond: Int = 8 << 20
    /// Allocated over live bytes of the log that the garbage collector works for. 1.1 to 2.0; live.
    public var spaceTarget = 1.3
    /// What merges and the garbage collector may read and write in a second; 0 is no limit. Live.
    public var backgroundBytesPerSecond = 0
    /// Holes are made for at least so many dead bytes side by side, at most so many in a segment, and for at most so
    /// many milliseconds of each second (0: no limit) unless writers wait for space: a call holds up others who use
    /// the file system, for 0.08 ms on one machine and for 1 ms on another.
    package var punchBytesMin = 64 << 10
    package var holesPerSegmentMax = 256
    package var punchMillisecondsPerSecond = 500
    /// Whether keys carry `[namespace u32 big-endian][space u8]` in front and those of space 1 are counted per
    /// namespace.
    package var countsNamespaces = false
    /// What merges may leave out; see MergeFilter.
    package var mergeFilter: (any MergeFilter)?
    /// Range deletions (pieces of them) that may be live. At half of it merges go after whatever they hide, and at all
    /// of it every batch with one more is followed by a flush. It is no bound for writers. 16 and more.
    package var rangeDeletionsMax = 16_384
    /// False: no threads. Flushes and merges happen only when `flushTables`, `mergeOnce` or `mergeAll` are called, the
    /// log syncs inside the calls that ask for it, and `commit` never waits for a flush. For tests that must see the
    /// same disk operations in the same order each time, and for tools.
    package var usesThreads = true
    /// A manifest larger than this (and than twice its first record) is rolled over.
    package var manifestRollBytes = 1 << 20

    public init(path: String) { self.path = path }

    /// `backgroundThreads`, or what stands for its 0.
    package var mergeThreads: Int {
        backgroundThreads > 0 ? backgroundThreads : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1)
    }
}

/// Keys per namespace. Exact when `unknown` is 0; otherwise `unknown` blind writes have not been looked at yet.
package struct NamespaceCounts: Sendable, Equatable {
    package var keys: Int64 = 0
    /// Keys with an expiry time.
    package var expires: Int64 = 0
    package var unknown: Int64 = 0

    package init(keys: Int64 = 0, expires: Int64 = 0, unknown: Int64 = 0) {
        self.keys = keys
        self.expires = expires
        self.unknown = unknown
    }

    package static func += (a: inout NamespaceCounts, b: NamespaceCounts) {
        a.keys += b.keys
        a.expires += b.expires
        a.unknown += b.unknown
    }
}
