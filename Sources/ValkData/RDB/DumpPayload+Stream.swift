// Streams as DUMP writes them: form 19 of RDBStream, nodes of up to a hundred entries.

import ValkBase
import ValkEngine

extension DumpPayload {
    private static let nodeEntriesMax = 100
    private static let nodeBytesMax = 4096

    static func appendStream(
        _ keys: KeyAccess, _ stream: Collection, _ out: inout ByteBuffer, _ compressor: LZFCompressor?
    ) throws(Interruption) {
        out.append(RDBType.stream)
        let first = try appendNodes(keys, stream, &out, compressor)
        appendLength(stream.count, &out)
        for id in [stream.lastID, first, stream.deletedID] { append(id, &out) }
        appendUnsigned(UInt64(bitPattern: stream.added), &out)
        try appendGroups(keys, stream, &out, compressor)
    }

    private static func append(_ id: StreamID, _ out: inout ByteBuffer) {
        appendUnsigned(id.milliseconds, &out)
        appendUnsigned(id.sequence, &out)
    }

    private static func appendPlain(_ id: StreamID, _ out: inout ByteBuffer) {
        id.write(to: out.reserve(StreamID.bytes))
        out.advance(StreamID.bytes)
    }

    private static func appendUnsigned(_ number: UInt64, _ out: inout ByteBuffer) {
        if let length = Int(exactly: number) { return appendLength(length, &out) }
        out.append(0x81)
        out.reserve(8).storeBytes(of: number.bigEndian, as: UInt64.self)
        out.advance(8)
    }

    // MARK: Entries

    /// Returns the id of the first entry, zero without any.
    private static func appendNodes(
        _ keys: KeyAccess, _ stream: Collection, _ out: inout ByteBuffer, _ compressor: LZFCompressor?
    ) throws(Interruption) -> StreamID {
        // Their number comes first.
        var nodes = ByteBuffer()
        var nodeCount = 0
        var first = StreamID.zero
        var walk = try ElementWalk(keys, stream, ElementKind.entry)
        try walk.seekToFirst()
        var parts: [ByteView] = []
        while walk.isValid {
            // One node.
            let id = StreamID(walk.key, at: 1)
            if nodeCount == 0 { first = id }
            var entries: [(id: StreamID, fields: [[UInt8]])] = []
            var bytes = 0
            while walk.isValid && entries.count < nodeEntriesMax && bytes < nodeBytesMax {
                parts.removeAll(keepingCapacity: true)
                StreamFields.forEach(try walk.value()) { parts.append($0) }
                entries.append((StreamID(walk.key, at: 1), parts.map(\.array)))
                bytes += parts.reduce(32) { $0 + $1.count + 2 }
                try walk.next()
            }
            let memory = nodes.reserve(1 + StreamID.bytes)
            memory.storeBytes(of: UInt8(StreamID.bytes), as: UInt8.self)
            id.write(to: memory + 1)
            nodes.advance(1 + StreamID.bytes)
            var pack = node(id, entries)
            append(pack.finish(), &nodes, compressor)
            nodeCount += 1
        }
        appendLength(nodeCount, &out)
        out.append(nodes.view)
        return first
    }

    private static func node(_ id: StreamID, _ entries: [(id: StreamID, fields: [[UInt8]])]) -> ListpackWriter {
        var pack = ListpackWriter()
        let names = names(entries[0].fields)
        pack.append(Int64(entries.count))
        pack.append(0)
        pack.append(Int64(names.count))
        for name in names { name.withView { pack.append($0) } }
        pack.append(0)
        for entry in entries {
            let isAlike = self.names(entry.fields) == names
            pack.append(isAlike ? 2 : 0)
            pack.append(Int64(bitPattern: entry.id.milliseconds &- id.milliseconds))
            pack.append(Int64(bitPattern: entry.id.sequence &- id.sequence))
            if !isAlike { pack.append(Int64(entry.fields.count / 2)) }
            for (i, part) in entry.fields.enumerated() where !isAlike || i % 2 == 1 {
                part.withView { pack.append($0) }
            }
            pack.append(Int64(isAlike ? names.count + 3 : entry.fields.count + 4))
        }
        return pack
    }

    private static func names(_ fields: [[UInt8]]) -> [[UInt8]] {
        stride(from: 0, to: fields.count, by: 2).map { fields[$0] }
    }

    // MARK: Groups

    private static func appendGroups(
        _ keys: KeyAccess, _ stream: Collection, _ out: inout ByteBuffer, _ compressor: LZFCompressor?
    ) throws(Interruption) {
        appendLength(stream.groupCount, &out)
        var groups: [(name: [UInt8], group: StreamGroup)] = []
        try each(keys, stream, ElementKind.group) { walk throws(Interruption) in
            guard let group = StreamGroup(try walk.value()) else { throw .damaged }
            groups.append((walk.key.dropFirst(1).array, group))
        }
        guard groups.count == stream.groupCount else { throw .damaged }
        for (name, group) in groups {
            name.withView { append($0, &out, compressor) }
            append(group.lastID, &out)
            appendUnsigned(UInt64(bitPattern: group.entriesRead), &out)
            try appendPending(keys, stream, group, &out)
            try appendConsumers(keys, stream, group, &out, compressor)
        }
    }

    private static func appendPending(
        _ keys: KeyAccess, _ stream: Collection, _ group: StreamGroup, _ out: inout ByteBuffer
    ) throws(Interruption) {
        appendLength(Int(group.pending), &out)
        var count: UInt64 = 0
        var walk = try walk(keys, stream, ElementKind.pending, group.number)
        while walk.isValid {
            guard let entry = PendingEntry(try walk.value()) else { throw .damaged }
            appendPlain(StreamID(walk.key, at: 5), &out)
            out.appendFixed(entry.deliveredAt)
            appendUnsigned(entry.deliveries, &out)
            count += 1
            try walk.next()
        }
        if count != group.pending { throw .damaged }
    }

    private static func appendConsumers(
        _ keys: KeyAccess, _ stream: Collection, _ group: StreamGroup, _ out: inout ByteBuffer,
        _ compressor: LZFCompressor?
    ) throws(Interruption) {
        var consumers: [(name: [UInt8], consumer: StreamConsumer)] = []
        var walk = try walk(keys, stream, ElementKind.consumer, group.number)
        while walk.isValid {
            guard let consumer = StreamConsumer(try walk.value()) else { throw .damaged }
            consumers.append((walk.key.dropFirst(5).array, consumer))
            try walk.next()
        }
        if consumers.count != Int(group.consumers) { throw .damaged }
        appendLength(consumers.count, &out)
        for (name, consumer) in consumers {
            name.withView { append($0, &out, compressor) }
            out.appendFixed(consumer.seenAt)
            appendLength(Int(consumer.pending), &out)
            var count: UInt64 = 0
            let lower = keys.elementBound(32).owned(group.number, consumer.number, .zero)
            let upper = keys.elementBound(32).owned(group.number, consumer.number, .max)
            var owned = try ElementWalk(keys, stream, from: lower, to: upper)
            try owned.seekToFirst()
            while owned.isValid {
                appendPlain(StreamID(owned.key, at: 9), &out)
                count += 1
                try owned.next()
            }
            if count != consumer.pending { throw .damaged }
        }
    }

    /// What a group has of a kind, from the first on.
    private static func walk(
        _ keys: KeyAccess, _ stream: Collection, _ kind: UInt8, _ group: UInt32
    ) throws(Interruption) -> ElementWalk {
        let lower = keys.elementBound(8)
        let upper = keys.elementBound(8)
        var walk = try ElementWalk(keys, stream, from: lower.begin(kind, group), to: upper.end(kind, group))
        try walk.seekToFirst()
        return walk
    }

    private static func each(
        _ keys: KeyAccess, _ stream: Collection, _ kind: UInt8,
        _ body: (borrowing ElementWalk) throws(Interruption) -> Void
    ) throws(Interruption) {
        var walk = try ElementWalk(keys, stream, kind)
        try walk.seekToFirst()
        while walk.isValid {
            try body(walk)
            try walk.next()
        }
    }
}
