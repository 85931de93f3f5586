// Nanoseconds per operation on a warm table. Opt-in: VALK_MICROBENCH=1, in a release build
// (swift test -c release -Xswiftc -enable-testing --filter TableMicroBenchmark). Prints; expects nothing of time.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite(.enabled(if: getenv("VALK_MICROBENCH") != nil)) struct TableMicroBenchmark {
    /// The thread's processor time, so that neighbours on the machine disturb less.
    static func cpu() -> UInt64 {
        var t = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
        return UInt64(t.tv_sec) * 1_000_000_000 + UInt64(t.tv_nsec)
    }

    /// Key number `i` (21 bytes), in `memory`.
    @inline(__always)
    static func key(_ i: Int, _ memory: UnsafeMutableRawPointer) -> ByteView {
        memory.storeBigEndian(UInt32(1), 0)
        memory.storeBytes(of: 1, toByteOffset: 4, as: UInt8.self)
        memcpy(memory + 5, "key:", 4)
        var n = i
        var at = 20
        while at > 8 {
            memory.storeBytes(of: UInt8(0x30 + n % 10), toByteOffset: at, as: UInt8.self)
            n /= 10
            at -= 1
        }
        return ByteView(base: memory, count: 21)
    }

    @Test func printsNanosecondsPerOperation() throws {
        let folder = TemporaryFolder()
        let disk = PosixDisk()
        let path = folder.file("1.sst")
        let count = 1_000_000
        let cache = BlockCache(budgetBytes: 512 << 20)
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
        var random = SeededRandom(seed: 1)
        let value = (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) }

        for (interval, compression) in [(8, BlockCompression.none), (16, .none), (8, .lz4)] {
            var options = TableOptions()
            options.restartInterval = interval
            options.compression = compression
            var start = Self.cpu()
            let writer = try TableWriter(disk: disk, path: path, fileId: 1, options: options, cache: cache)
            try value.withView { view in
                for i in 0..<count {
                    try writer.add(
                        Entry(
                            key: Self.key(i * 2, memory), sequence: UInt64(i * 7919 % count + 1), kind: .put, tag: 1,
                            value: view))
                }
            }
            let finished = try writer.finish()
            let wrote = Self.cpu() - start
            print("interval \(interval) \(compression): \(finished.fileBytes) bytes, add \(wrote / UInt64(count)) ns")
            let table = try Table.open(disk: disk, path: path, fileId: 1, cache: cache, warm: finished)
            print("  blocks \(table.blockCount), memory \(table.memoryBytes)")
            for (name, range, odd) in [("all", count, 0), ("10k hot", 10_000, 0), ("absent", count, 1)] {
                for round in 0..<3 {
                    var entry = Entry()
                    var found = 0
                    let n = 1_000_000
                    start = Self.cpu()
                    for _ in 0..<n {
                        let key = Self.key(random.below(range) * 2 + odd, memory)
                        if table.find(key, key.hash64, maxSequence: .max, &entry, pins, mayBlock: true) == .found {
                            found += 1
                        }
                        pins.pointee.releaseAll()
                    }
                    let took = Self.cpu() - start
                    if round > 0 { print("  find \(name): \(took / UInt64(n)) ns, found \(found)") }
                }
            }
            start = Self.cpu()
            var sink: UInt64 = 0
            for i in 0..<1_000_000 {
                let key = Self.key(random.below(count) * 2, memory)
                sink &+= key.hash64 &+ UInt64(i)
            }
            print("  of which making and hashing the key \((Self.cpu() - start) / 1_000_000) ns (\(sink & 1))")
            for access in [TableAccess.scan, .merge] {
                start = Self.cpu()
                let cursor = TableCursor(table, pins, access: access, mayBlock: true)
                try cursor.seekToFirst()
                var n = 0
                while cursor.isValid {
                    n += 1
                    try cursor.next()
                }
                print("  next \(access): \((Self.cpu() - start) / UInt64(n)) ns")
            }
            // Nearly every block comes from the system's page cache, checked and unpacked.
            cache.budgetBytes = 4 << 20
            let misses = cache.statistics.misses
            start = Self.cpu()
            for _ in 0..<100_000 {
                var entry = Entry()
                let key = Self.key(random.below(count) * 2, memory)
                _ = table.find(key, key.hash64, maxSequence: .max, &entry, pins, mayBlock: false)
                pins.pointee.releaseAll()
            }
            let took = Self.cpu() - start
            print("  find in page cache: \(took / 100_000) ns, \(cache.statistics.misses - misses) misses of 100000")
            cache.budgetBytes = 512 << 20
            try disk.remove(path)
        }
        memory.deallocate()
    }
}
