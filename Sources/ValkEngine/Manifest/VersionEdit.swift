// One change of the store's structure, as the manifest records it. An edit is all or nothing.
//
// An edit is a list of items: kind (varint), length (varint), payload. Kinds below 128 must be understood by the
// reader: an unknown one means that a newer build wrote the store. Kinds from 128 on may be skipped.

import ValkBase

/// What the manifest knows of one table file: physical facts. Where it belongs, fragments say.
struct TableRecordItem: Equatable, Sendable {
    var fileId: UInt64 = 0
    /// 0, except in stores from before there was a tree: there the file as a whole is part of this run of the root.
    var legacyRun: UInt64 = 0
    var bytes: UInt64 = 0
    var entries: UInt64 = 0
    var tombstones: UInt64 = 0
    /// Entries whose prior is still unknown; 0 also when they were accounted for later.
    var unknownPriors: UInt64 = 0
    var sequenceMin: UInt64 = 0
    var sequenceMax: UInt64 = 0
    var expireAtMin: UInt64 = 0
    var expireAtMax: UInt64 = 0
    var smallest: [UInt8] = []
    var largest: [UInt8] = []
    /// Log segments that the file's pointers lead to, with the bytes of the values there.
    var segments: [SegmentShare] = []
    /// No entry of the file is hidden by a range deletion with at most this sequence.
    var rangesAppliedTo: UInt64 = 0
    /// Entries with `.priorNamed`.
    var namedPriors: UInt64 = 0
    var hides = HiddenCount()
}

/// How many older versions in the tree some entries hide. An estimate, except right after a flush that looked for all
/// of them.
struct HiddenCount: Equatable, Sendable {
    var all: UInt64 = 0
    /// Of those, how many have no value in the log that would still have to be named dead.
    var named: UInt64 = 0

    /// `part` of `whole` of it.
    func share(_ part: UInt64, of whole: UInt64) -> HiddenCount {
        func share(_ number: UInt64) -> UInt64 { UInt64(Double(number) * Double(part) / Double(max(1, whole))) }
        return HiddenCount(all: share(all), named: share(named))
    }

    static func - (a: HiddenCount, b: HiddenCount) -> HiddenCount {
        HiddenCount(all: a.all - min(a.all, b.all), named: a.named - min(a.named, b.named))
    }

    static func += (a: inout HiddenCount, b: HiddenCount) {
        a.all += b.all
        a.named += b.named
    }
}

struct SegmentShare: Equatable, Sendable {
    var segment: UInt32
    var bytes: UInt64
    var count: UInt64
}

/// Everything before `position` with a sequence of at most `sequence` is in table files.
struct Checkpoint: Equatable, Sendable {
    var position: LogPosition = .zero
    var sequence: UInt64 = 0
}

/// Settings that a store keeps for life.
struct StoreIdentity: Equatable, Sendable {
    var idHigh: UInt64 = 0
    var idLow: UInt64 = 0
    /// Child slots of a bucket.
    var fanOut: UInt32 = 8
    var countsNamespaces = false
}

/// A bucket of the tree. A number that a child list names and that no record describes is a leaf's.
struct BucketRecord: Equatable, Sendable {
    var id: UInt64 = 0
    var height: UInt64 = 0
    var pivots: [[UInt8]] = []
    var children: [UInt64] = []
}

/// A part of a table file that is part of a run of a bucket.
struct FragmentRecord: Hashable, Comparable, Sendable {
    var bucket: UInt64 = 0
    /// Runs of a bucket order by this number, the newest has the highest.
    var run: UInt64 = 0
    var file: UInt64 = 0
    /// Empty: unbounded.
    var lower: [UInt8] = []
    var upper: [UInt8] = []
    /// Of the blocks that the bounds touch, 0 when it was not known. What it describes is the same with it and without.
    var bytes: UInt64 = 0

    static func == (a: FragmentRecord, b: FragmentRecord) -> Bool {
        a.bucket == b.bucket && a.run == b.run && a.file == b.file && a.lower == b.lower && a.upper == b.upper
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(bucket)
        hasher.combine(run)
        hasher.combine(file)
        hasher.combine(lower)
    }

    static func < (a: FragmentRecord, b: FragmentRecord) -> Bool {
        if a.bucket != b.bucket { return a.bucket < b.bucket }
        if a.run != b.run { return a.run < b.run }
        if a.file != b.file { return a.file < b.file }
        return KeyRange.isBefore(a.lower, b.lower)
    }
}

enum EditItem: Equatable, Sendable {
    case identity(StoreIdentity)
    case addTable(TableRecordItem)
    case removeTable(UInt64)
    /// Every unknown prior in the file has been accounted for.
    case resolveTable(UInt64)
    case checkpoint(Checkpoint)
    /// Counts of one namespace up to the checkpoint; replaces what was known of it.
    case counts(UInt32, NamespaceCounts)
    case addRangeTombstone(RangeTombstone)
    case removeRangeTombstone(UInt64)
    /// File ids from here on have never been used.
    case nextFileId(UInt64)
    /// Numbers of runs and buckets from here on have never been used.
    case nextRunId(UInt64)
    /// A bucket as it is from now on.
    case bucket(BucketRecord)
    case removeBucket(UInt64)
    case addFragment(FragmentRecord)
    case removeFragment(FragmentRecord)
    /// Everything in the log before this position was durable. A reader may skip it.
    case durableLog(LogPosition)
    case garbage(GarbageItem)
}

struct VersionEdit: Equatable, Sendable {
    var items: [EditItem] = []

    // Stored; never renumber.
    private enum Kind {
        static let identity: UInt64 = 1
        static let addTable: UInt64 = 2
        static let removeTable: UInt64 = 3
        static let resolveTable: UInt64 = 4
        static let checkpoint: UInt64 = 5
        static let counts: UInt64 = 6
        static let addRangeTombstone: UInt64 = 7
        static let removeRangeTombstone: UInt64 = 8
        static let nextFileId: UInt64 = 9
        static let nextRunId: UInt64 = 10
        static let bucket: UInt64 = 11
        static let removeBucket: UInt64 = 12
        static let addFragment: UInt64 = 13
        static let removeFragment: UInt64 = 14
        static let last: UInt64 = 14
        static let skippableMin: UInt64 = 128
        static let durableLog: UInt64 = 129
    }

    func encode(into out: inout ByteBuffer) {
        var payload = ByteBuffer(capacity: 512)
        for item in items {
            payload.removeAll()
            let kind = VersionEdit.encode(item, &payload)
            out.appendVarint(kind)
            out.appendVarint(UInt64(payload.count))
            out.append(payload.view)
        }
    }

    private static func encode(_ item: EditItem, _ out: inout ByteBuffer) -> UInt64 {
        switch item {
        case .identity(let identity):
            out.appendFixed(identity.idHigh)
            out.appendFixed(identity.idLow)
            out.appendFixed(identity.fanOut)
            out.append(identity.countsNamespaces ? 1 : 0)
            return Kind.identity
        case .addTable(let table):
            encode(table, &out)
            return Kind.addTable
        case .removeTable(let id):
            out.appendVarint(id)
            return Kind.removeTable
        case .resolveTable(let id):
            out.appendVarint(id)
            return Kind.resolveTable
        case .checkpoint(let checkpoint):
            out.appendFixed(checkpoint.position.rawValue)
            out.appendFixed(checkpoint.sequence)
            return Kind.checkpoint
        case .counts(let namespace, let counts):
            out.appendFixed(namespace)
            out.appendFixed(counts.keys)
            out.appendFixed(counts.expires)
            out.appendFixed(counts.unknown)
            return Kind.counts
        case .addRangeTombstone(let tombstone):
            out.appendFixed(tombstone.sequence)
            appendBytes(tombstone.lower, &out)
            appendBytes(tombstone.upper, &out)
            return Kind.addRangeTombstone
        case .removeRangeTombstone(let sequence):
            out.appendFixed(sequence)
            return Kind.removeRangeTombstone
        case .nextFileId(let id):
            out.appendVarint(id)
            return Kind.nextFileId
        case .nextRunId(let id):
            out.appendVarint(id)
            return Kind.nextRunId
        case .bucket(let bucket):
            out.appendVarint(bucket.id)
            out.appendVarint(bucket.height)
            out.appendVarint(UInt64(bucket.children.count))
            for child in bucket.children { out.appendVarint(child) }
            for pivot in bucket.pivots { appendBytes(pivot, &out) }
            return Kind.bucket
        case .removeBucket(let id):
            out.appendVarint(id)
            return Kind.removeBucket
        case .addFragment(let fragment):
            encode(fragment, &out)
            return Kind.addFragment
        case .removeFragment(let fragment):
            encode(fragment, &out)
            return Kind.removeFragment
        case .durableLog(let position):
            out.appendFixed(position.rawValue)
            return Kind.durableLog
        case .garbage(let item): return item.encode(&out)
        }
    }

    private static func appendBytes(_ bytes: [UInt8], _ out: inout ByteBuffer) {
        out.appendVarint(UInt64(bytes.count))
        out.append(bytes)
    }

    private static func encode(_ fragment: FragmentRecord, _ out: inout ByteBuffer) {
        for value in [fragment.bucket, fragment.run, fragment.file] { out.appendVarint(value) }
        appendBytes(fragment.lower, &out)
        appendBytes(fragment.upper, &out)
        out.appendVarint(fragment.bytes)
    }

    private static func encode(_ table: TableRecordItem, _ out: inout ByteBuffer) {
        for value in [
            table.fileId, table.legacyRun, 0, 0, table.bytes, table.entries,
            table.tombstones, table.unknownPriors, table.sequenceMin, table.sequenceMax, table.expireAtMin,
            table.expireAtMax,
        ] {
            out.appendVarint(value)
        }
        appendBytes(table.smallest, &out)
        appendBytes(table.largest, &out)
        out.appendVarint(UInt64(table.segments.count))
        for share in table.segments {
            out.appendVarint(UInt64(share.segment))
            out.appendVarint(share.bytes)
            out.appendVarint(share.count)
        }
        let more = [table.rangesAppliedTo, table.namedPriors, table.hides.all, table.hides.named]
        for value in more[..<((more.lastIndex { $0 > 0 } ?? -1) + 1)] { out.appendVarint(value) }
    }

    // MARK: Decoding

    enum DecodeFault: Error {
        case damaged
        /// An item of this kind must be understood and is not.
        case newer(UInt64)
    }

    static func decode(_ bytes: ByteView) throws(DecodeFault) -> VersionEdit {
        var edit = VersionEdit()
        var reader = ByteReader(bytes)
        while reader.remaining > 0 {
            guard let kind = reader.varint(), let length = reader.varint(), length <= UInt64(reader.remaining),
                let payload = reader.bytes(Int(length))
            else { throw .damaged }
            var inner = ByteReader(payload)
            if kind > Kind.last && kind != Kind.durableLog && !GarbageItem.isKind(kind) {
                if kind < Kind.skippableMin { throw .newer(kind) }
                continue
            }
            guard let item = decode(kind, &inner) else { throw .damaged }
            edit.items.append(item)
        }
        return edit
    }

    private static func decode(_ kind: UInt64, _ reader: inout ByteReader) -> EditItem? {
        if GarbageItem.isKind(kind) { return GarbageItem.decode(kind, &reader).map { .garbage($0) } }
        switch kind {
        case Kind.identity:
            guard let high = reader.fixed(UInt64.self), let low = reader.fixed(UInt64.self),
                let fanOut = reader.fixed(UInt32.self), let counts = reader.fixed(UInt8.self)
            else { return nil }
            return .identity(StoreIdentity(idHigh: high, idLow: low, fanOut: fanOut, countsNamespaces: counts != 0))
        case Kind.addTable: return decodeTable(&reader).map { .addTable($0) }
        case Kind.removeTable: return reader.varint().map { .removeTable($0) }
        case Kind.resolveTable: return reader.varint().map { .resolveTable($0) }
        case Kind.checkpoint:
            guard let position = reader.fixed(UInt64.self), let sequence = reader.fixed(UInt64.self) else { return nil }
            return .checkpoint(Checkpoint(position: LogPosition(rawValue: position), sequence: sequence))
        case Kind.counts:
            guard let namespace = reader.fixed(UInt32.self), let keys = reader.fixed(Int64.self),
                let expires = reader.fixed(Int64.self), let unknown = reader.fixed(Int64.self)
            else { return nil }
            return .counts(namespace, NamespaceCounts(keys: keys, expires: expires, unknown: unknown))
        case Kind.addRangeTombstone:
            guard let sequence = reader.fixed(UInt64.self), let lower = decodeBytes(&reader),
                let upper = decodeBytes(&reader)
            else { return nil }
            return .addRangeTombstone(RangeTombstone(lower: lower, upper: upper, sequence: sequence))
        case Kind.removeRangeTombstone: return reader.fixed(UInt64.self).map { .removeRangeTombstone($0) }
        case Kind.nextFileId: return reader.varint().map { .nextFileId($0) }
        case Kind.nextRunId: return reader.varint().map { .nextRunId($0) }
        case Kind.bucket: return decodeBucket(&reader).map { .bucket($0) }
        case Kind.removeBucket: return reader.varint().map { .removeBucket($0) }
        case Kind.addFragment: return decodeFragment(&reader).map { .addFragment($0) }
        case Kind.removeFragment: return decodeFragment(&reader).map { .removeFragment($0) }
        case Kind.durableLog: return reader.fixed(UInt64.self).map { .durableLog(LogPosition(rawValue: $0)) }
        default: return nil
        }
    }

    private static func decodeBytes(_ reader: inout ByteReader) -> [UInt8]? {
        guard let length = reader.varint(), length <= UInt64(reader.remaining), let bytes = reader.bytes(Int(length))
        else { return nil }
        return bytes.array
    }

    private static func decodeFragment(_ reader: inout ByteReader) -> FragmentRecord? {
        guard let bucket = reader.varint(), let run = reader.varint(), let file = reader.varint(),
            let lower = decodeBytes(&reader), let upper = decodeBytes(&reader)
        else { return nil }
        // Older builds wrote no size.
        let bytes = reader.remaining == 0 ? 0 : reader.varint()
        guard let bytes, bytes <= UInt64(Int32.max) << 20 else { return nil }
        return FragmentRecord(bucket: bucket, run: run, file: file, lower: lower, upper: upper, bytes: bytes)
    }

    private static func decodeBucket(_ reader: inout ByteReader) -> BucketRecord? {
        guard let id = reader.varint(), let height = reader.varint(), height <= UInt64(Bucket.heightMax),
            let count = reader.varint(), count <= UInt64(reader.remaining)
        else { return nil }
        var bucket = BucketRecord(id: id, height: height)
        for _ in 0..<count {
            guard let child = reader.varint() else { return nil }
            bucket.children.append(child)
        }
        for _ in 0..<max(1, count) - 1 {
            guard let pivot = decodeBytes(&reader) else { return nil }
            bucket.pivots.append(pivot)
        }
        return bucket
    }

    private static func decodeTable(_ reader: inout ByteReader) -> TableRecordItem? {
        var numbers: [UInt64] = []
        for _ in 0..<12 {
            guard let value = reader.varint() else { return nil }
            numbers.append(value)
        }
        guard let smallest = decodeBytes(&reader), let largest = decodeBytes(&reader), let count = reader.varint(),
            numbers[2] == 0, numbers[3] == 0, count <= UInt64(reader.remaining)
        else { return nil }
        var table = TableRecordItem(
            fileId: numbers[0], legacyRun: numbers[1], bytes: numbers[4], entries: numbers[5], tombstones: numbers[6],
            unknownPriors: numbers[7], sequenceMin: numbers[8],
            sequenceMax: numbers[9], expireAtMin: numbers[10], expireAtMax: numbers[11], smallest: smallest,
            largest: largest)
        for _ in 0..<count {
            guard let segment = reader.varint(), segment <= UInt64(UInt32.max), let bytes = reader.varint(),
                let entries = reader.varint()
            else { return nil }
            table.segments.append(SegmentShare(segment: UInt32(segment), bytes: bytes, count: entries))
        }
        // Missing in what older builds wrote.
        if reader.remaining > 0 {
            guard let sequence = reader.varint() else { return nil }
            table.rangesAppliedTo = sequence
        }
        if reader.remaining > 0 {
            guard let count = reader.varint() else { return nil }
            table.namedPriors = count
        }
        if reader.remaining > 0 {
            guard let all = reader.varint() else { return nil }
            table.hides.all = all
        }
        if reader.remaining > 0 {
            guard let named = reader.varint() else { return nil }
            table.hides.named = named
        }
        return table
    }
}
