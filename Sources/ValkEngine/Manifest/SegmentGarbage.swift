// What the manifest knows of each segment's garbage: how much of it is value records, and which of those are dead.
//
// Offsets are logical: those that pointers in tables carry, which stay what they were when the segment is rewritten.
// Everything in a sealed segment behind the checkpoint that is no value record (frame headers, small areas) is dead.

import ValkBase

/// Starts of dead records of one segment, as one edit (or several, joined) brought them.
///
/// Bytes: groups, one behind the other; a group is a count (varint) and as many offsets / 8, ascending, each as the
/// difference to the one before (varint).
struct DiscardChunk: Sendable {
    var list: [UInt8]
    var bytes: UInt64
    var count: UInt64
    /// The first view that shows nothing of these records any more: they are garbage when all older views are gone.
    /// `.max` until the edit is shown; 0 for what a manifest was read with. Not stored.
    var shownFrom: UInt64

    init(list: [UInt8], bytes: UInt64, count: UInt64, shownFrom: UInt64 = .max) {
        self.list = list
        self.bytes = bytes
        self.count = count
        self.shownFrom = shownFrom
    }

    /// `offsets` ascend and are multiples of 8.
    init(_ offsets: [UInt32], bytes: UInt64) {
        self.init(list: DiscardChunk.encode(offsets), bytes: bytes, count: UInt64(offsets.count))
    }

    static func encode(_ offsets: [UInt32]) -> [UInt8] {
        var out = ByteBuffer(capacity: 16 + 2 * offsets.count)
        out.appendVarint(UInt64(offsets.count))
        var last: UInt32 = 0
        for offset in offsets {
            out.appendVarint(UInt64((offset - last) >> 3))
            last = offset
        }
        return out.view.array
    }

    /// All offsets in `list`, in no order; nil when the bytes are no such list.
    static func decode(_ list: [UInt8]) -> [UInt32]? {
        list.withView { view in
            var reader = ByteReader(view)
            var offsets: [UInt32] = []
            while reader.remaining > 0 {
                guard let count = reader.varint(), count <= UInt64(reader.remaining) else { return nil }
                var last: UInt64 = 0
                for _ in 0..<count {
                    guard let step = reader.varint(), step <= UInt64(UInt32.max) else { return nil }
                    last += step << 3
                    guard let offset = UInt32(exactly: last) else { return nil }
                    offsets.append(offset)
                }
            }
            return offsets
        }
    }
}

extension DiscardChunk: Equatable {
    static func == (a: DiscardChunk, b: DiscardChunk) -> Bool {
        a.list == b.list && a.bytes == b.bytes && a.count == b.count
    }
}

struct SegmentGarbage: Sendable {
    /// How often the segment has been rewritten: its file's generation.
    var generation: UInt32 = 0
    /// Value records in the file, dead ones included.
    var valueBytes: UInt64 = 0
    var valueCount: UInt64 = 0
    /// Dead among them, in the order in which they became known.
    var chunks: [DiscardChunk] = []
    /// Logical starts of the records that were left when holes were punched into the file (encoded as a chunk's list);
    /// nil while it has none. Frames of such a file can no longer be walked.
    var known: [UInt8]?
    /// What the holes gave back.
    var punchedBytes: UInt64 = 0

    /// A record that was named twice counts twice.
    var deadBytes: UInt64 { chunks.reduce(0) { $0 + $1.bytes } }
    var deadCount: UInt64 { chunks.reduce(0) { $0 + $1.count } }
    var liveBytes: UInt64 { valueBytes - min(deadBytes, valueBytes) }

    /// How many chunks are garbage for everybody when views older than `horizon` are gone. They come first.
    func effectiveChunks(_ horizon: UInt64) -> Int {
        chunks.prefix { $0.shownFrom <= horizon }.count
    }

    /// Dead records of the first `count` chunks, ascending, each once.
    func deadOffsets(_ count: Int) -> [UInt32] {
        var offsets: [UInt32] = []
        for chunk in chunks[..<count] { offsets += DiscardChunk.decode(chunk.list) ?? [] }
        offsets.sort()
        var kept = 0
        for offset in offsets where kept == 0 || offsets[kept - 1] != offset {
            offsets[kept] = offset
            kept += 1
        }
        offsets.removeLast(offsets.count - kept)
        return offsets
    }

    /// Whether the file may lack records that are named dead: those that went with an earlier generation, or with
    /// holes, and that are named once more.
    var mayLackDead: Bool { generation > 0 || known != nil }

    /// Joins the first `count` chunks.
    mutating func join(_ count: Int) {
        guard count > 1 else { return }
        var joined = DiscardChunk(list: [], bytes: 0, count: 0, shownFrom: 0)
        for chunk in chunks[..<count] {
            joined.list += chunk.list
            joined.bytes += chunk.bytes
            joined.count += chunk.count
            joined.shownFrom = max(joined.shownFrom, chunk.shownFrom)
        }
        chunks.replaceSubrange(..<count, with: [joined])
    }
}

extension SegmentGarbage: Equatable {
    /// How the dead records are cut into chunks is of no account.
    static func == (a: SegmentGarbage, b: SegmentGarbage) -> Bool {
        a.generation == b.generation && a.valueBytes == b.valueBytes && a.valueCount == b.valueCount
            && a.known == b.known && a.punchedBytes == b.punchedBytes && a.deadBytes == b.deadBytes
            && a.chunks.flatMap(\.list) == b.chunks.flatMap(\.list)
    }
}

/// A table that a range deletion dropped whole while some of the segments that its values lie in stay: which of their
/// records died is found out by reading the table, later.
struct OwedTable: Equatable, Sendable {
    var fileId: UInt64
    /// The keys that were dropped, both ends included.
    var smallest: [UInt8]
    var largest: [UInt8]
    /// ... or without the last.
    var excludesLargest = false
    /// The first view that does not show the table. Not stored; 0 for what a manifest was read with.
    var shownFrom: UInt64 = 0

    static func == (a: OwedTable, b: OwedTable) -> Bool {
        a.fileId == b.fileId && a.smallest == b.smallest && a.largest == b.largest
            && a.excludesLargest == b.excludesLargest
    }
}

/// Items of edits that concern garbage. What they add up to is `ManifestState.garbage` and `.owed`.
enum GarbageItem: Equatable, Sendable {
    /// So many more value records of a segment have been flushed.
    case values(UInt32, bytes: UInt64, count: UInt64)
    /// These records of a segment are dead.
    case discards(UInt32, DiscardChunk)
    /// All that is known of a segment from now on: after a rewrite or a punch, and in a manifest's first edit.
    case segment(UInt32, SegmentGarbage)
    /// The segment is gone.
    case forget(UInt32)
    case owe(OwedTable)
    /// The table's dead records have been counted; the file may go.
    case settle(OwedTable)

    // Stored; never renumber.
    enum Kind {
        static let values: UInt64 = 32
        static let discards: UInt64 = 33
        static let segment: UInt64 = 34
        static let forget: UInt64 = 35
        static let owe: UInt64 = 36
        static let settle: UInt64 = 37
    }

    static func isKind(_ kind: UInt64) -> Bool { kind >= Kind.values && kind <= Kind.settle }

    func encode(_ out: inout ByteBuffer) -> UInt64 {
        switch self {
        case .values(let segment, let bytes, let count):
            for value in [UInt64(segment), bytes, count] { out.appendVarint(value) }
            return Kind.values
        case .discards(let segment, let chunk):
            for value in [UInt64(segment), chunk.bytes, chunk.count] { out.appendVarint(value) }
            out.append(chunk.list)
            return Kind.discards
        case .segment(let segment, let garbage):
            let dead = garbage.chunks.flatMap(\.list)
            for value in [
                UInt64(segment), UInt64(garbage.generation), garbage.valueBytes, garbage.valueCount,
                garbage.deadBytes, garbage.deadCount, garbage.punchedBytes, garbage.known == nil ? 0 : 1,
                UInt64(dead.count),
            ] {
                out.appendVarint(value)
            }
            out.append(dead)
            if let known = garbage.known { out.append(known) }
            return Kind.segment
        case .forget(let segment):
            out.appendVarint(UInt64(segment))
            return Kind.forget
        case .owe(let table):
            GarbageItem.encode(table, &out)
            return Kind.owe
        case .settle(let table):
            GarbageItem.encode(table, &out)
            return Kind.settle
        }
    }

    private static func encode(_ table: OwedTable, _ out: inout ByteBuffer) {
        out.appendVarint(table.fileId)
        for key in [table.smallest, table.largest] {
            out.appendVarint(UInt64(key.count))
            out.append(key)
        }
        if table.excludesLargest { out.append(1) }
    }

    static func decode(_ kind: UInt64, _ reader: inout ByteReader) -> GarbageItem? {
        guard let first = reader.varint() else { return nil }
        if kind == Kind.owe || kind == Kind.settle {
            guard let smallest = bytes(&reader), let largest = bytes(&reader) else { return nil }
            let isOpen = reader.fixed(UInt8.self) == 1
            let table = OwedTable(fileId: first, smallest: smallest, largest: largest, excludesLargest: isOpen)
            return kind == Kind.owe ? .owe(table) : .settle(table)
        }
        guard let segment = UInt32(exactly: first) else { return nil }
        switch kind {
        case Kind.values:
            guard let bytes = reader.varint(), let count = reader.varint() else { return nil }
            return .values(segment, bytes: bytes, count: count)
        case Kind.discards:
            guard let bytes = reader.varint(), let count = reader.varint(), let rest = reader.bytes(reader.remaining)
            else { return nil }
            guard DiscardChunk.decode(rest.array)?.count == Int(clamping: count) else { return nil }
            return .discards(segment, DiscardChunk(list: rest.array, bytes: bytes, count: count, shownFrom: 0))
        case Kind.segment: return decodeSegment(segment, &reader)
        case Kind.forget: return .forget(segment)
        default: return nil
        }
    }

    private static func decodeSegment(_ segment: UInt32, _ reader: inout ByteReader) -> GarbageItem? {
        var numbers: [UInt64] = []
        for _ in 0..<8 {
            guard let value = reader.varint() else { return nil }
            numbers.append(value)
        }
        guard let generation = UInt32(exactly: numbers[0]), numbers[7] <= UInt64(reader.remaining),
            let dead = reader.bytes(Int(numbers[7])), let rest = reader.bytes(reader.remaining),
            DiscardChunk.decode(dead.array)?.count == Int(clamping: numbers[4])
        else { return nil }
        var garbage = SegmentGarbage(generation: generation, valueBytes: numbers[1], valueCount: numbers[2])
        if numbers[4] > 0 {
            garbage.chunks = [DiscardChunk(list: dead.array, bytes: numbers[3], count: numbers[4], shownFrom: 0)]
        }
        garbage.punchedBytes = numbers[5]
        if numbers[6] != 0 {
            guard DiscardChunk.decode(rest.array) != nil else { return nil }
            garbage.known = rest.array
        }
        return .segment(segment, garbage)
    }

    private static func bytes(_ reader: inout ByteReader) -> [UInt8]? {
        guard let length = reader.varint(), length <= UInt64(reader.remaining) else { return nil }
        return reader.bytes(Int(length))?.array
    }
}

extension ManifestState {
    mutating func apply(_ item: GarbageItem) -> String? {
        switch item {
        case .values(let segment, let bytes, let count):
            garbage[segment, default: SegmentGarbage()].valueBytes += bytes
            garbage[segment, default: SegmentGarbage()].valueCount += count
        case .discards(let segment, let chunk):
            garbage[segment, default: SegmentGarbage()].chunks.append(chunk)
        case .segment(let segment, let known):
            if known.generation < garbage[segment]?.generation ?? 0 { return "segment \(segment) grows younger" }
            garbage[segment] = known
        case .forget(let segment): garbage[segment] = nil
        case .owe(let table): owed.append(table)
        case .settle(let table):
            guard let at = owed.firstIndex(of: table) else { return "table \(table.fileId) is settled but not owed" }
            owed.remove(at: at)
        }
        return nil
    }

    /// The file of each segment that is not of generation 0.
    var generations: [UInt32: UInt32] { garbage.filter { $0.value.generation > 0 }.mapValues(\.generation) }

    /// The dead records of an edit become garbage when the views before `view` are gone.
    mutating func showDiscards(of items: [EditItem], from view: UInt64) {
        for case .garbage(.discards(let segment, _)) in items {
            guard let count = garbage[segment]?.chunks.count else { continue }
            for i in 0..<count where garbage[segment]?.chunks[i].shownFrom == .max {
                garbage[segment]?.chunks[i].shownFrom = view
            }
        }
        for i in owed.indices where owed[i].shownFrom == .max { owed[i].shownFrom = view }
    }

    /// What an edit has to say of parts of tables that it drops unread; `self` is the state without them. Nothing is
    /// owed for a table whose segments go with it.
    func debts(for dropped: [(table: TableRecordItem, part: OwedTable)]) -> [EditItem] {
        let writing = dropped.filter { !$0.table.segments.isEmpty }
        if writing.isEmpty { return [] }
        var kept = Set<UInt32>()
        for table in tables.values { for share in table.segments { kept.insert(share.segment) } }
        return writing.filter { dropped in
            dropped.table.segments.contains {
                $0.segment >= checkpoint.position.segment || kept.contains($0.segment)
            }
        }.map { .garbage(.owe($0.part)) }
    }

    func owes(_ fileId: UInt64) -> Bool { owed.contains { $0.fileId == fileId } }
}
