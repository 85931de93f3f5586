// Tables from arrays of versions, and the answers that they should give.

import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

/// One version as tests see it.
struct TestVersion: Equatable, Sendable, CustomStringConvertible {
    var key: [UInt8]
    var sequence: UInt64
    var kind = EntryKind.put
    var flags: EntryFlags = []
    var tag: UInt8 = 0
    var expireAt: UInt64 = 0
    var value: [UInt8] = []
    var pointer = ValuePointer.none

    init(_ key: [UInt8], _ sequence: UInt64, _ value: [UInt8] = []) {
        self.key = key
        self.sequence = sequence
        self.value = value
    }

    init(_ entry: Entry) {
        key = entry.key.array
        sequence = entry.sequence
        kind = entry.kind
        flags = entry.flags
        tag = entry.tag
        expireAt = entry.expireAt
        value = entry.value.array
        pointer = entry.isSeparated ? entry.pointer : .none
    }

    var description: String { "\(ByteText(key))@\(sequence) \(kind) \(value.count) bytes" }

    /// Calls `body` with an entry whose views are valid during the call.
    func withEntry<R>(_ body: (Entry) throws -> R) rethrows -> R {
        try key.withView { keyView in
            try value.withView { valueView in
                var entry = Entry(
                    key: keyView, sequence: sequence, kind: kind, flags: flags, tag: tag, expireAt: expireAt,
                    value: valueView)
                if flags.contains(.separated) {
                    entry.pointer = pointer
                    entry.valueLength = Int(pointer.length)
                }
                return try body(entry)
            }
        }
    }

    static func isBefore(_ a: TestVersion, _ b: TestVersion) -> Bool {
        if a.key != b.key { return a.key.lexicographicallyPrecedes(b.key) }
        return a.sequence > b.sequence
    }
}

struct ByteText: CustomStringConvertible {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    var description: String {
        bytes.count > 40 ? "(\(bytes.count) bytes, begins \(bytes.prefix(8)))" : "\(bytes)"
    }
}

/// Versions in order, and what they answer.
struct TableModel {
    var versions: [TestVersion]

    func find(_ key: [UInt8], maxSequence: UInt64) -> TestVersion? {
        let at = lowerBound(key)
        return versions[at...].first { $0.key != key || $0.sequence <= maxSequence }.flatMap {
            $0.key == key ? $0 : nil
        }
    }

    /// Index of the first version at or after `key`.
    func lowerBound(_ key: [UInt8]) -> Int {
        var low = 0
        var high = versions.count
        while low < high {
            let middle = (low + high) / 2
            if versions[middle].key.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A table on a disk in memory, with what is needed for reading it.
final class TableFixture {
    let disk: any Disk
    let cache: BlockCache
    let pins: UnsafeMutablePointer<BlockPins>
    static let path = "/t/1.sst"
    static let fileId: UInt64 = 77

    init(_ cache: BlockCache = BlockCache(budgetBytes: 8 << 20, shardCount: 1)) throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/t")
        self.disk = disk
        self.cache = cache
        pins = BlockPins.make(cache)
    }

    deinit { BlockPins.destroy(pins) }

    @discardableResult
    func write(_ versions: [TestVersion], _ options: TableOptions = TableOptions(), warm: Bool = false) throws
        -> FinishedTable
    {
        let writer = try TableWriter(
            disk: disk, path: Self.path, fileId: Self.fileId, options: options, cache: warm ? cache : nil)
        for version in versions { try version.withEntry { try writer.add($0) } }
        return try writer.finish()
    }

    func open(warm: FinishedTable? = nil) throws -> Table {
        try Table.open(disk: disk, path: Self.path, fileId: Self.fileId, cache: cache, warm: warm)
    }

    func find(_ table: Table, _ key: [UInt8], maxSequence: UInt64 = .max) -> (FindResult, TestVersion?) {
        Self.find(table, pins, key, maxSequence: maxSequence)
    }

    static func find(
        _ table: Table, _ pins: UnsafeMutablePointer<BlockPins>, _ key: [UInt8], maxSequence: UInt64 = .max,
        mayBlock: Bool = true
    ) -> (FindResult, TestVersion?) {
        var entry = Entry()
        return key.withView { view in
            let result = table.find(view, view.hash64, maxSequence: maxSequence, &entry, pins, mayBlock: mayBlock)
            let version = result == .found ? TestVersion(entry) : nil
            pins.pointee.releaseAll()
            return (result, version)
        }
    }

    func cursor(_ table: Table, _ access: TableAccess = .scan) -> TableCursor {
        TableCursor(table, pins, access: access, mayBlock: true)
    }

    func bytes() throws -> [UInt8] {
        let file = try disk.open(Self.path, .readOnly)
        defer { file.close() }
        var bytes = [UInt8](repeating: 0, count: try file.size())
        _ = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        return bytes
    }

    func replace(_ bytes: [UInt8]) throws {
        let file = try disk.open(Self.path, [.readWrite, .create, .truncate])
        defer { file.close() }
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
    }
}

extension TableCursor {
    /// Everything from here on, by `next`.
    func restForward() throws -> [TestVersion] {
        var result: [TestVersion] = []
        while isValid {
            result.append(TestVersion(entry))
            try next()
        }
        return result
    }

    /// Everything from here on, by `previous`.
    func restBackward() throws -> [TestVersion] {
        var result: [TestVersion] = []
        while isValid {
            result.append(TestVersion(entry))
            try previous()
        }
        return result
    }
}

/// Random versions in order: keys of several shapes, several versions of some, all kinds of entries.
func randomVersions(_ random: inout SeededRandom, keys: Int, longKeys: Bool = false, valuesUpTo: Int = 120)
    -> [TestVersion]
{
    var seen: Set<[UInt8]> = []
    var result: [TestVersion] = []
    var sequences = Set<UInt64>()
    let spread = [1_000, 1_000_000, 1 << 50][random.below(3)] + keys * 40
    func sequence() -> UInt64 {
        while true {
            let s = UInt64(1 + random.below(spread))
            if sequences.insert(s).inserted { return s }
        }
    }
    while seen.count < keys {
        var key: [UInt8]
        switch random.below(longKeys ? 7 : 6) {
        case 0: key = Array("key:\(String(1_000_000 + random.below(keys * 4)).dropFirst())".utf8)
        case 1: key = (0...random.below(5)).map { _ in UInt8(random.below(3)) }
        case 2: key = (0...random.below(12)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case 3: key = [UInt8](repeating: 0x61, count: 1 + random.below(200)) + [UInt8(random.below(256))]
        case 4: key = [UInt8](repeating: 0xFF, count: 1 + random.below(12)) + [UInt8(254 + random.below(2))]
        case 5: key = [0, 0, 0, 1, 1] + Array("user:\(random.below(keys)):profile".utf8)
        default: key = [UInt8](repeating: UInt8(random.below(2)), count: 60_000 + random.below(5_600))
        }
        // Prefixes of keys that are there, and keys that extend them.
        if random.oneIn(8), let other = result.last { key = Array(other.key.prefix(1 + random.below(other.key.count))) }
        if random.oneIn(8), let other = result.last, other.key.count < 60_000 {
            key = other.key + [UInt8(random.below(256))]
        }
        guard seen.insert(key).inserted else { continue }
        let versions = random.oneIn(20) ? 1 + random.below(30) : 1
        for _ in 0..<versions {
            var version = TestVersion(key, sequence())
            version.tag = UInt8(random.below(4))
            if random.oneIn(3) { version.expireAt = 1_700_000_000_000 + UInt64(random.below(1 << 36)) }
            if random.oneIn(6) { version.flags.insert(.priorUnknown) }
            if random.oneIn(6) { version.flags.insert(.priorNamed) }
            if random.oneIn(9) {
                version.kind = .delete
            } else if random.oneIn(5) {
                version.flags.insert(.separated)
                version.pointer = ValuePointer(
                    segment: UInt32(random.below(5)), offset: UInt32(truncatingIfNeeded: random.next()),
                    length: UInt32(random.below(1 << 20)), crc: UInt32(truncatingIfNeeded: random.next()))
            } else {
                let length = random.oneIn(4) ? 0 : random.oneIn(50) ? random.below(20_000) : random.below(valuesUpTo)
                let byte = random.oneIn(2)
                version.value = (0..<length).map { byte ? UInt8($0 & 7) : UInt8(truncatingIfNeeded: random.next()) }
            }
            result.append(version)
        }
    }
    return result.sorted(by: TestVersion.isBefore)
}
