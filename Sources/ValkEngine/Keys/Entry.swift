// One version of one key, the unit that every part of the engine passes around.
//
// Order, everywhere: key ascending as unsigned bytes, then sequence descending (newest first). A key's newest version
// hides the older ones. Keys are 1...65,600 bytes. Sequence numbers start at 1 and grow by one per entry; 0 means
// "none".

import ValkBase

/// What a version says of its key. Stored on disk; never renumber.
@usableFromInline
package enum EntryKind: UInt8, Sendable {
    /// The key has this value (the log's AppendOrUpdate).
    case put = 1
    case delete = 2
}

/// Stored on disk; never renumber.
@usableFromInline
package struct EntryFlags: OptionSet, Sendable {
    @usableFromInline package let rawValue: UInt8
    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The value lies in the log; the entry holds a pointer to it.
    @inlinable package static var separated: EntryFlags { EntryFlags(rawValue: 1) }
    /// A blind write: whether the key existed before this version is not known. Cleared when a merge finds out.
    @inlinable package static var priorUnknown: EntryFlags { EntryFlags(rawValue: 2) }
    /// The key existed (and was not deleted) before this version. Meaningless with `priorUnknown`.
    @inlinable package static var priorPresent: EntryFlags { EntryFlags(rawValue: 4) }
    /// What existed before carried an expiry time.
    @inlinable package static var priorExpiring: EntryFlags { EntryFlags(rawValue: 8) }
    /// In tables, which do not store the two above: what this version hides in the tree has been named dead already, by
    /// the flush that brought this version (see PriorSearch). The merge that meets the two says nothing of it.
    @inlinable package static var priorNamed: EntryFlags { EntryFlags(rawValue: 16) }
}

/// Where a separated value lies in the log.
@frozen
@usableFromInline
package struct ValuePointer: Equatable, Sendable {
    /// Segment number; stays the same when the segment is rewritten.
    @usableFromInline package var segment: UInt32
    /// Byte offset of the value's record in the segment.
    @usableFromInline package var offset: UInt32
    /// Bytes of the value (not of the record).
    @usableFromInline package var length: UInt32
    /// CRC32C of the value record that `offset` names (key, value and the facts beside them).
    @usableFromInline package var crc: UInt32

    @inlinable
    package init(segment: UInt32, offset: UInt32, length: UInt32, crc: UInt32) {
        self.segment = segment
        self.offset = offset
        self.length = length
        self.crc = crc
    }

    @inlinable package static var none: ValuePointer { ValuePointer(segment: 0, offset: 0, length: 0, crc: 0) }
}

/// A look at one version. The views belong to whoever filled the struct in (sorted table, pinned block, cursor) and are
/// valid as long as that one promises.
@frozen
@usableFromInline
package struct Entry {
    @usableFromInline package var key: ByteView
    @usableFromInline package var sequence: UInt64
    @usableFromInline package var kind: EntryKind
    @usableFromInline package var flags: EntryFlags
    /// The upper layer's type byte; the engine only carries it.
    @usableFromInline package var tag: UInt8
    /// Milliseconds since 1970 at which the entry is no longer there for readers; 0 is never.
    @usableFromInline package var expireAt: UInt64
    /// Bytes of the value, wherever it lies.
    @usableFromInline package var valueLength: Int
    /// The value, when it is inline; empty for separated values and deletes.
    @usableFromInline package var value: ByteView
    /// Valid only with `.separated`.
    @usableFromInline package var pointer: ValuePointer

    @inlinable
    package init(
        key: ByteView, sequence: UInt64, kind: EntryKind, flags: EntryFlags = [], tag: UInt8 = 0, expireAt: UInt64 = 0,
        value: ByteView = .empty
    ) {
        self.key = key
        self.sequence = sequence
        self.kind = kind
        self.flags = flags
        self.tag = tag
        self.expireAt = expireAt
        self.valueLength = value.count
        self.value = value
        self.pointer = .none
    }

    @inlinable
    package init() { self.init(key: .empty, sequence: 0, kind: .delete) }

    @inlinable package var isSeparated: Bool { flags.contains(.separated) }

    @inline(__always)
    mutating func setPriorNamed(_ isNamed: Bool) {
        if isNamed { flags.insert(.priorNamed) } else { flags.remove(.priorNamed) }
    }

    @inline(__always)
    mutating func setPriorUnknown(_ isUnknown: Bool) {
        if isUnknown { flags.insert(.priorUnknown) } else { flags.remove(.priorUnknown) }
    }
}

package enum EntryLimits {
    /// User keys of 64 KiB and the layers' prefixes fit.
    package static let keyBytesMax = 65_600
    package static let valueBytesMax = 512 << 20
}
