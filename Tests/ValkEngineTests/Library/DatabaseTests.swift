// The engine as a program that embeds it sees it: only public names of ValkEngine are used here.

import Testing
import ValkEngine
import ValkTestSupport

@Suite struct DatabaseTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func keys(_ database: Database, from lower: String = "", to upper: String? = nil, reverse: Bool = false)
        throws -> [String]
    {
        var found: [String] = []
        try database.scan(from: bytes(lower), to: upper.map(bytes), reverse: reverse) { key, _ in
            found.append(String(decoding: key, as: UTF8.self))
            return true
        }
        return found
    }

    @Test func keepsWhatWasWrittenAcrossAReopening() throws {
        let folder = TemporaryFolder()
        let large = [UInt8](repeating: 7, count: 100_000)
        let database = try Database(path: folder.file("db"))
        try database.set(bytes("red"), for: bytes("apple"))
        try database.set(large, for: bytes("large"))
        try database.set([], for: bytes("empty"))
        try database.set(bytes("gone"), for: bytes("pear"))
        try database.remove(bytes("pear"))
        #expect(try database.value(of: bytes("apple")) == bytes("red"))
        try database.close()

        let again = try Database(path: folder.file("db"))
        #expect(try again.value(of: bytes("apple")) == bytes("red"))
        #expect(try again.value(of: bytes("large")) == large)
        #expect(try again.value(of: bytes("empty")) == [])
        #expect(try again.value(of: bytes("pear")) == nil)
        try again.sync()
        try again.close()
        withExtendedLifetime(folder) {}
    }

    @Test func scansInOrderBothWays() throws {
        let folder = TemporaryFolder()
        let database = try Database(path: folder.file("db"))
        var batch = Database.Batch()
        for name in ["cherry", "apple", "banana", "date"] { batch.set(bytes("value of \(name)"), for: bytes(name)) }
        try database.write(batch)
        #expect(try keys(database) == ["apple", "banana", "cherry", "date"])
        #expect(try keys(database, reverse: true) == ["date", "cherry", "banana", "apple"])
        #expect(try keys(database, from: "b", to: "date") == ["banana", "cherry"])
        #expect(try keys(database, from: "b", to: "date", reverse: true) == ["cherry", "banana"])
        var first: String?
        try database.scan { key, value in
            first = String(decoding: value, as: UTF8.self)
            return false
        }
        #expect(first == "value of apple")
        var removal = Database.Batch()
        removal.remove(from: bytes("b"), to: bytes("d"))
        removal.set(bytes("new"), for: bytes("cranberry"))
        try database.write(removal)
        #expect(try keys(database) == ["apple", "cranberry", "date"])
        try database.close()
        withExtendedLifetime(folder) {}
    }

    @Test func saysWhatIsWrong() throws {
        let folder = TemporaryFolder()
        let database = try Database(path: folder.file("db"))
        #expect(throws: DatabaseError.self) { try database.set([], for: []) }
        #expect(throws: DatabaseError.self) { try database.value(of: [UInt8](repeating: 1, count: 100_000)) }
        var batch = Database.Batch()
        batch.set(bytes("1"), for: bytes("a"))
        batch.remove(from: bytes("z"), to: bytes("b"))
        #expect(throws: DatabaseError.self) { try database.write(batch) }
        #expect(try database.value(of: bytes("a")) == nil)
        let second = #expect(throws: DatabaseError.self) { try Database(path: folder.file("db")) }
        #expect(second?.kind == .inUse)
        try database.close()
        withExtendedLifetime(folder) {}
    }
}
