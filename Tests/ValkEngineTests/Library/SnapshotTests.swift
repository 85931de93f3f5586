// Snapshots, closing, events and many threads, through public names only.

import Testing
import ValkBase
import ValkEngine
import ValkTestSupport

@Suite struct SnapshotTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func cursorWalksBothWaysAndKeepsItsMoment() throws {
        let folder = TemporaryFolder()
        let database = try Database(path: folder.file("db"))
        for i in 0..<50 { try database.set(bytes("\(i)"), for: bytes("key \(100 + 2 * i)")) }
        let cursor = try database.snapshot().cursor(from: bytes("key 110"), to: bytes("key 120"))
        #expect(!cursor.isValid && cursor.key == nil)
        #expect(try cursor.value() == nil)
        try cursor.next()
        for i in 0..<50 { try database.remove(bytes("key \(100 + 2 * i)")) }
        try cursor.seekToFirst()
        var keys: [[UInt8]] = []
        while let key = cursor.key {
            keys.append(key)
            try cursor.next()
        }
        #expect(keys == (5..<10).map { bytes("key \(100 + 2 * $0)") })
        try cursor.seek(to: bytes("key 113"))
        #expect(cursor.key == bytes("key 114"))
        #expect(try cursor.value() == bytes("7"))
        try cursor.previous()
        #expect(cursor.key == bytes("key 112"))
        try cursor.seek(before: bytes("key 112"))
        #expect(try cursor.withEntry { key, value in key.count + value.count } == 8)
        try cursor.previous()
        #expect(!cursor.isValid)
        try cursor.seekToLast()
        #expect(cursor.key == bytes("key 118"))
        #expect(try database.value(of: bytes("key 118")) == nil)
        try database.close()
        #expect(throws: DatabaseError.self) { try cursor.next() }
        withExtendedLifetime(folder) {}
    }

    @Test func snapshotDoesNotSeeLaterWrites() throws {
        let folder = TemporaryFolder()
        var options = StoreOptions(path: folder.file("db"))
        options.tableBytes = 64 << 10
        options.segmentBytes = 1 << 20
        let database = try Database(options)
        for i in 0..<100 { try database.set(bytes("old \(i)"), for: bytes("key \(1000 + i)")) }
        let snapshot = try database.snapshot()
        // Enough to write tables out and to merge them.
        for round in 0..<10 {
            var batch = Database.Batch()
            for i in 0..<100 { batch.set([UInt8](repeating: UInt8(round), count: 2000), for: bytes("key \(1000 + i)")) }
            try database.write(batch)
        }
        var removal = Database.Batch()
        removal.remove(from: [], to: bytes("z"))
        try database.write(removal)
        #expect(try database.value(of: bytes("key 1050")) == nil)
        #expect(try snapshot.value(of: bytes("key 1050")) == bytes("old 50"))
        var seen: [[UInt8]] = []
        try snapshot.scan(from: bytes("key 1010"), to: bytes("key 1020"), reverse: true) { key, value in
            seen.append(Array(value))
            return true
        }
        #expect(seen == (10..<20).reversed().map { bytes("old \($0)") })
        let figures = try database.statistics()
        #expect(figures.logBytesWritten > 2_000_000 && figures.memoryTables >= 1 && figures.recovery == "new store")
        try database.close()
        withExtendedLifetime(folder) {}
    }

    @Test func closedDatabaseRefusesEverything() throws {
        let folder = TemporaryFolder()
        let database = try Database(path: folder.file("db"))
        try database.set([1], for: [1])
        let snapshot = try database.snapshot()
        try database.close()
        try database.close()
        func refused(_ body: () throws -> Void) {
            let error = #expect(throws: DatabaseError.self) { try body() }
            #expect(error?.kind == .closed)
        }
        refused { _ = try database.value(of: [1]) }
        refused { try database.set([1], for: [1]) }
        refused { try database.scan { _, _ in true } }
        refused { try database.sync() }
        refused { _ = try database.statistics() }
        refused { _ = try snapshot.value(of: [1]) }
        refused { try snapshot.scan { _, _ in true } }
        // The directory is free again.
        let again = try Database(path: folder.file("db"))
        #expect(try again.value(of: [1]) == [1])
        withExtendedLifetime((folder, snapshot)) {}
    }

    /// Goal: any thread may call anything, also while another one closes. Method: threads write and read until they are
    /// told that the database is closed; what was acknowledged is there after opening it again.
    @Test func manyThreadsUseOneDatabase() throws {
        let folder = TemporaryFolder()
        var options = StoreOptions(path: folder.file("db"))
        options.tableBytes = 64 << 10
        let database = try Database(options)
        let done = Counts()
        let threads = (0..<4).map { number in
            PThread(name: "user") {
                var i = 0
                while true {
                    let key = Array("thread \(number) key \(i % 500)".utf8)
                    do throws(DatabaseError) {
                        try database.set(Array("\(i)".utf8), for: key)
                        guard try database.value(of: key) == Array("\(i)".utf8) else { return done.fail(number) }
                    } catch { return error.kind == .closed ? done.finish(number, i) : done.fail(number) }
                    i += 1
                    done.step()
                }
            }
        }
        done.wait(steps: 2000)
        try database.close()
        for thread in threads { thread.join() }
        #expect(done.failed.isEmpty)
        let again = try Database(path: folder.file("db"))
        for (number, last) in done.finished where last > 0 {
            let value = try again.value(of: bytes("thread \(number) key \((last - 1) % 500)"))
            #expect(value == bytes("\(last - 1)"))
        }
        try again.close()
        withExtendedLifetime(folder) {}
    }
}

/// What the threads report.
private final class Counts: @unchecked Sendable {  // Behind `lock`.
    private let lock = Lock()
    private let changed = Condition()
    private var steps = 0
    private(set) var finished: [Int: Int] = [:]
    private(set) var failed: [Int] = []

    func step() {
        lock.withLock {
            steps += 1
            changed.signal()
        }
    }

    func finish(_ thread: Int, _ count: Int) { lock.withLock { finished[thread] = count } }

    func fail(_ thread: Int) {
        lock.withLock {
            failed.append(thread)
            changed.signal()
        }
    }

    func wait(steps wanted: Int) {
        lock.lock()
        while steps < wanted && failed.isEmpty { changed.wait(lock) }
        lock.unlock()
    }
}
