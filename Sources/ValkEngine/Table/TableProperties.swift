// What a table file says of itself: counts, sizes and bounds, collected while it is written. The manifest copies what
// planning needs; the file keeps all of it, so that a lost manifest can be rebuilt and `verify` has something to
// compare.
//
// Stored as fields (tag varint, length varint, bytes), so that an older build skips what it does not know.

import ValkBase

/// How much of one log segment the values of a table occupy.
package struct SegmentReference: Equatable, Sendable {
    package var segment: UInt32
    /// Bytes of the values (not of their records).
    package var bytes: UInt64
    /// How many entries point there.
    package var count: UInt64

    package init(segment: UInt32, bytes: UInt64, count: UInt64) {
        self.segment = segment
        self.bytes = bytes
        self.count = count
    }
}

package struct TableProperties: Equatable, Sendable {
    /// Versions in the table.
    package var entryCount: UInt64 = 0
    /// Different keys.
    package var keyCount: UInt64 = 0
    /// Entries that are deletes.
    package var tombstoneCount: UInt64 = 0
    /// Entries with `.priorUnknown`.
    package var unknownPriorCount: UInt64 = 0
    /// Entries with `.priorNamed`.
    package var namedPriorCount: UInt64 = 0
    /// Entries with an expiry time.
    package var expiringCount: UInt64 = 0
    /// Bytes of all keys, once per entry, uncompressed.
    package var keyBytes: UInt64 = 0
    /// Bytes of inline values.
    package var valueBytes: UInt64 = 0
    /// Bytes of values that stay in the log.
    package var separatedBytes: UInt64 = 0
    package var separatedCount: UInt64 = 0
    /// Bytes of all data blocks' contents before compression.
    package var contentBytes: UInt64 = 0
    /// 0 only in an empty table.
    package var sequenceMin: UInt64 = 0
    package var sequenceMax: UInt64 = 0
    /// Over entries with an expiry; 0 when there is none.
    package var expireAtMin: UInt64 = 0
    package var expireAtMax: UInt64 = 0
    package var smallestKey: [UInt8] = []
    package var largestKey: [UInt8] = []
    /// In ascending segment order.
    package var segments: [SegmentReference] = []

    package init() {}

    /// Takes one more entry into account, but for bounds of keys and segments.
    mutating func count(_ entry: Entry, isNewKey: Bool) {
        sequenceMin = entryCount == 0 ? entry.sequence : min(sequenceMin, entry.sequence)
        sequenceMax = max(sequenceMax, entry.sequence)
        entryCount += 1
        if isNewKey { keyCount += 1 }
        if entry.kind == .delete { tombstoneCount += 1 }
        if entry.flags.contains(.priorUnknown) { unknownPriorCount += 1 }
        if entry.flags.contains(.priorNamed) { namedPriorCount += 1 }
        keyBytes += UInt64(entry.key.count)
        if entry.expireAt != 0 {
            expireAtMin = expiringCount == 0 ? entry.expireAt : min(expireAtMin, entry.expireAt)
            expireAtMax = max(expireAtMax, entry.expireAt)
            expiringCount += 1
        }
        if entry.isSeparated {
            separatedCount += 1
            separatedBytes += UInt64(entry.pointer.length)
        } else if entry.kind == .put {
            valueBytes += UInt64(entry.value.count)
        }
    }

    // Stored tags; never renumber.
    private static let scalars: [(tag: UInt64, path: any WritableKeyPath<TableProperties, UInt64> & Sendable)] = [
        (1, \.entryCount), (2, \.keyCount), (3, \.tombstoneCount), (4, \.unknownPriorCount), (5, \.expiringCount),
        (6, \.keyBytes), (7, \.valueBytes), (8, \.separatedBytes), (9, \.separatedCount), (10, \.contentBytes),
        (11, \.sequenceMin), (12, \.sequenceMax), (13, \.expireAtMin), (14, \.expireAtMax),
        (15, \.namedPriorCount),
    ]
    private static let smallestKeyTag: UInt64 = 32
    private static let largestKeyTag: UInt64 = 33
    private static let segmentsTag: UInt64 = 34

    func encode(into out: inout ByteBuffer) {
        for (tag, path) in Self.scalars {
            let value = self[keyPath: path]
            out.appendVarint(tag)
            out.appendVarint(UInt64(Varint.size(value)))
            out.appendVarint(value)
        }
        for (tag, key) in [(Self.smallestKeyTag, smallestKey), (Self.largestKeyTag, largestKey)] {
            out.appendVarint(tag)
            out.appendVarint(UInt64(key.count))
            out.append(key)
        }
        var list = ByteBuffer()
        list.appendVarint(UInt64(segments.count))
        for reference in segments {
            list.appendVarint(UInt64(reference.segment))
            list.appendVarint(reference.bytes)
            list.appendVarint(reference.count)
        }
        out.appendVarint(Self.segmentsTag)
        out.appendVarint(UInt64(list.count))
        out.append(list.view)
    }

    /// Nil when the bytes are not a whole list of fields.
    static func decode(_ content: ByteView) -> TableProperties? {
        var result = TableProperties()
        var reader = ByteReader(content)
        while reader.remaining > 0 {
            guard let tag = reader.varint(), let length = reader.varint(), length <= UInt64(reader.remaining),
                let field = reader.bytes(Int(length))
            else { return nil }
            var inner = ByteReader(field)
            if let scalar = scalars.first(where: { $0.tag == tag }) {
                guard let value = inner.varint(), inner.remaining == 0 else { return nil }
                result[keyPath: scalar.path] = value
            } else if tag == smallestKeyTag {
                result.smallestKey = field.array
            } else if tag == largestKeyTag {
                result.largestKey = field.array
            } else if tag == segmentsTag {
                guard let count = inner.varint(), count <= UInt64(inner.remaining) else { return nil }
                for _ in 0..<count {
                    guard let segment = inner.varint(), segment <= UInt64(UInt32.max), let bytes = inner.varint(),
                        let entries = inner.varint()
                    else { return nil }
                    result.segments.append(
                        SegmentReference(segment: UInt32(segment), bytes: bytes, count: entries))
                }
            }
        }
        return result
    }
}
