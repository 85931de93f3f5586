// A value log on a disk of choice, with shorthand for adding batches and reading them back.

import Testing
import ValkBase
import ValkDisk

@testable import ValkEngine

/// One record as tests see it.
struct Written: Equatable, Sendable, CustomStringConvertible {
    var type = RecordType.put
    var flags: EntryFlags = []
    var tag: UInt8 = 0
    var expireAt: UInt64 = 0
    var sequence: UInt64 = 0
    var key: [UInt8]
    var value: [UInt8]
    var isSeparated = false
    var endsBatch = false

    var description: String {
        "\(type) #\(sequence) \(ByteView.withArray(key) { $0.string }) \(value.count) bytes\(endsBatch ? " end" : "")"
    }
}

extension ByteView {
    static func withArray<R>(_ array: [UInt8], _ body: (ByteView) -> R) -> R { array.withView(body) }
}

let testStore = StoreId(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)

/// Events of a log, for looking at afterwards.
final class EventList: @unchecked Sendable {  // Guarded by `lock`.
    private let lock = Lock()
    private var list: [LogEvent] = []
    func add(_ event: LogEvent) { lock.withLock { list.append(event) } }
    var stops: [StoreError] {
        lock.withLock { list.compactMap { if case .stopped(let error) = $0 { error } else { nil } } }
    }
    var damages: [StoreError] {
        lock.withLock { list.compactMap { if case .damaged(let error) = $0 { error } else { nil } } }
    }
    var spaceEvents: [String] {
        lock.withLock {
            list.compactMap {
                switch $0 {
                case .spaceRunsOut: "out"
                case .spaceIsBack: "back"
                default: nil
                }
            }
        }
    }
}

final class LogFixture {
    let disk: any Disk
    let directory: String
    let log: ValueLog
    let events = EventList()
    private(set) var sequence: UInt64

    init(
        _ disk: any Disk, _ directory: String, options: LogOptions, resume: LogResume = LogResume(),
        lastSequence: UInt64 = 0
    ) throws {
        self.disk = disk
        self.directory = directory
        sequence = lastSequence
        if !options.isReadOnly {
            try disk.createDirectory(directory)
            try disk.syncDirectory(parentDirectory(of: directory))
        }
        log = try ValueLog(
            disk: disk, directory: directory, storeId: testStore, options: options, resume: resume,
            clock: ManualClock(), report: { [events] event in events.add(event) })
    }

    /// Without threads, with the smallest segments: every disk operation happens in a known order.
    static func quiet(segmentBytes: Int = 64 << 10, policy: SyncPolicy = .everySecond) -> LogOptions {
        var options = LogOptions()
        options.segmentBytes = segmentBytes
        options.policy = policy
        options.usesThreads = false
        return options
    }

    /// Adds records as one batch; numbers them. Returns what replay should find, where values went, and the position.
    @discardableResult
    func add(
        _ records: [Written], isUrgent: Bool = false, mayBlock: Bool = true
    ) throws -> (records: [Written], pointers: [ValuePointer], position: LogPosition) {
        log.commitLock.lock()
        defer { log.commitLock.unlock() }
        var bytes = 0
        for record in records {
            bytes += LogFormat.bytesMax(
                keyBytes: record.key.count, valueBytes: record.value.count, isSeparated: record.isSeparated)
        }
        try log.reserve(bytes, isUrgent: isUrgent, mayBlock: mayBlock)
        var added: [Written] = []
        var pointers: [ValuePointer] = []
        for var record in records {
            sequence += 1
            record.sequence = sequence
            let pointer = record.key.withView { key in
                record.value.withView { value in
                    log.add(
                        record.type, flags: record.flags, tag: record.tag, expireAt: record.expireAt,
                        sequence: record.sequence, key: key, value: value, isSeparated: record.isSeparated)
                }
            }
            if record.isSeparated { record.flags.insert(.separated) }
            added.append(record)
            pointers.append(pointer)
        }
        if !added.isEmpty { added[added.count - 1].endsBatch = true }
        return (added, pointers, log.endBatch())
    }

    func read(_ pointer: ValuePointer, key: [UInt8], mayBlock: Bool = true) throws -> [UInt8] {
        var buffer = ByteBuffer()
        return try withUnsafeMutablePointer(to: &buffer) { buffer in
            try key.withUnsafeBytes { raw in
                try log.readValue(pointer, key: ByteView(raw), into: buffer, mayBlock: mayBlock).array
            }
        }
    }

    static func replay(
        _ disk: any Disk, _ directory: String, from: LogPosition = .zero, after: UInt64 = 0, floor: LogPosition = .zero
    ) throws -> (records: [Written], report: LogReplay.Report) {
        var found: [Written] = []
        let report = try LogReplay.run(
            disk: disk, directory: directory, storeId: testStore, from: from, after: after, floor: floor
        ) { record in found.append(Written(record)) }
        return (found, report)
    }
}

extension Written {
    init(_ record: LogRecord) {
        self.init(
            type: record.type, flags: record.flags, tag: record.tag, expireAt: record.expireAt,
            sequence: record.sequence, key: record.key.array, value: record.value.array,
            isSeparated: record.pointer != nil, endsBatch: record.endsBatch)
    }

    static func put(_ key: String, _ value: String, expireAt: UInt64 = 0, isSeparated: Bool = false) -> Written {
        Written(tag: 1, expireAt: expireAt, key: Array(key.utf8), value: Array(value.utf8), isSeparated: isSeparated)
    }

    static func put(_ key: String, bytes: Int, isSeparated: Bool) -> Written {
        var random = SeededRandom(seed: UInt64(key.utf8.count * 131 + bytes))
        let value = (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        return Written(tag: 1, key: Array(key.utf8), value: value, isSeparated: isSeparated)
    }

    static func delete(_ key: String) -> Written { Written(type: .delete, key: Array(key.utf8), value: []) }

    /// Of random kind and size; small sizes are likelier.
    static func random(_ random: inout SeededRandom, valueBytesMax: Int) -> Written {
        let key = Array("key:\(random.below(1000))".utf8)
        if random.oneIn(5) { return Written(type: .delete, flags: .priorPresent, key: key, value: []) }
        if random.oneIn(20) { return Written(type: .deleteRange, key: key, value: Array("z\(random.below(9))".utf8)) }
        let bytes = random.oneIn(4) ? random.below(valueBytesMax + 1) : random.below(min(valueBytesMax, 200) + 1)
        let value = (0..<bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        return Written(
            flags: random.oneIn(2) ? .priorUnknown : [], tag: UInt8(random.below(7)),
            expireAt: random.oneIn(3) ? 1_700_000_000_000 + random.next() % 1_000_000 : 0, key: key, value: value,
            isSeparated: bytes >= 100 && random.oneIn(2))
    }
}
