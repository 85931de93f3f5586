// Readers that wait for their next use hold no files back that were replaced.

import Testing
import ValkDisk
import ValkTestSupport

@testable import ValkEngine

@Suite struct IdleReaderTests {
    @Test func letGoOfWhatWasReplaced() throws {
        let folder = TemporaryFolder()
        let database = try Database(path: folder.file("db"))
        for round in 0..<3 {
            for i in 0..<100 { try database.set(Array("value \(round)".utf8), for: Array("key \(i)".utf8)) }
            #expect(try database.value(of: Array("key 7".utf8)) == Array("value \(round)".utf8))
            try database.store.flushTables()
        }
        try database.store.mergeAll()
        database.store.janitor.drain()
        #expect(try PosixDisk().list(folder.file("db/tables")).count == 1)
        try database.close()
        withExtendedLifetime(folder) {}
    }
}
