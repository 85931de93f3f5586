// Backups through the library, on a real file system and while others write.

import Synchronization
import Testing
import ValkBase
import ValkDisk
import ValkEngine
import ValkTestSupport

@Suite struct DatabaseBackupTests {
    @Test func backupWhileOthersWrite() throws {
        let folder = TemporaryFolder()
        var options = StoreOptions(path: folder.file("source"))
        options.memoryBytes = 16 << 20
        options.tableBytes = 256 << 10
        options.segmentBytes = 1 << 20
        let database = try Database(options)
        let ends = Atomic<Bool>(false)
        let last = Atomic<Int>(0)
        let failures = Atomic<Int>(0)
        // Key n is written after key n - 1: a moment is a prefix.
        let writer = PThread(name: "writer") {
            var n = 0
            while !ends.load(ordering: .relaxed) {
                let value = [UInt8](repeating: UInt8(n % 256), count: n % 3 == 0 ? 3000 : 200)
                do { try database.set(value, for: DatabaseBackupTests.key(n)) } catch {
                    failures.add(1, ordering: .relaxed)
                    return
                }
                n += 1
                last.store(n, ordering: .releasing)
            }
        }
        for round in 0..<4 {
            while last.load(ordering: .acquiring) < 3000 * (round + 1) && failures.load(ordering: .relaxed) == 0 {}
            let before = last.load(ordering: .acquiring)
            let path = folder.file("backup-\(round)")
            let report = try database.backup(to: path, verifying: round == 3)
            #expect(report.path == path && report.linkedFiles + report.copiedFiles > 0)
            let copy = try Database(path: path)
            var count = 0
            try copy.scan { key, value in
                if Array(key) != DatabaseBackupTests.key(count) || value.first != UInt8(count % 256) {
                    Issue.record("key \(count) is wrong in backup \(round)")
                    return false
                }
                count += 1
                return true
            }
            #expect(count >= before)
            try copy.set([1], for: [1])
            try copy.close()
        }
        ends.store(true, ordering: .relaxed)
        writer.join()
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(throws: DatabaseError.self) { try database.backup(to: folder.file("backup-0")) }
        try database.close()
        #expect(throws: DatabaseError.self) { try database.backup(to: folder.file("late")) }
        withExtendedLifetime(folder) {}
    }

    private static func key(_ n: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: n >> (24 - 8 * $0)) } }
}
