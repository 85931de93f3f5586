// What every implementation of the disk seam promises, run over the real disk, the simulated one and the faulty one
// without rules.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

enum DiskUnderTest: String, CaseIterable, Sendable {
    case posix, simulated, faulty
}

/// A disk with an empty folder on it.
struct Bench {
    let disk: any Disk
    let folder: String
    /// Keeps the real folder alive.
    private let temporary: TemporaryFolder?

    init(_ kind: DiskUnderTest) throws {
        if kind == .posix {
            let made = TemporaryFolder()
            temporary = made
            disk = PosixDisk()
            folder = made.path
        } else {
            temporary = nil
            let simulated = SimulatedDisk()
            disk = kind == .simulated ? simulated : FaultyDisk(simulated)
            folder = "/bench"
            try disk.createDirectory(folder)
        }
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func make(_ name: String) throws -> any DiskFile { try disk.open(path(name), [.readWrite, .create]) }
}

/// The kind of the error that `body` throws, nil when it throws none.
func failure(_ body: () throws -> Void) -> DiskError.Kind? {
    do {
        try body()
        return nil
    } catch let error as DiskError {
        return error.kind
    } catch {
        return nil
    }
}

@Suite struct DiskContractTests {
    @Test(arguments: DiskUnderTest.allCases)
    func opensAsTheModeSays(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let path = bench.path("a")
        #expect(failure { _ = try bench.disk.open(path, .readOnly) } == .notFound)
        #expect(failure { _ = try bench.disk.open(path, .readWrite) } == .notFound)
        #expect(try !bench.disk.exists(path))
        try bench.disk.writeFile(path, [1, 2, 3])
        #expect(try bench.disk.exists(path))
        #expect(failure { _ = try bench.disk.open(path, [.readWrite, .create, .exclusive]) } == .exists)
        #expect(try bench.disk.open(path, [.readWrite, .create]).readAll() == [1, 2, 3])
        #expect(try bench.disk.open(path, [.readWrite, .truncate]).size() == 0)
        #expect(failure { _ = try bench.disk.open(bench.path("no/such"), [.readWrite, .create]) } == .notFound)
        let reader = try bench.disk.open(path, .readOnly)
        #expect(failure { try reader.write([1], at: 0) } == .system)
        #expect(reader.path == path)
    }

    @Test(arguments: DiskUnderTest.allCases)
    func readsAreShortOnlyAtTheEnd(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try file.write(bytes, at: 0)
        #expect(try file.size() == 10_000)
        #expect(try file.read(10_000, at: 0) == bytes)
        #expect(try file.read(9000, at: 5000) == Array(bytes[5000...]))
        #expect(try file.read(10, at: 10_000).isEmpty)
        #expect(try file.read(10, at: 50_000).isEmpty)
        #expect(try file.read(0, at: 0).isEmpty)
        #expect(try file.read(600, at: 4000) == Array(bytes[4000..<4600]))
    }

    @Test(arguments: DiskUnderTest.allCases)
    func nonBlockingReadsGiveTheSameBytesOrNone(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        let bytes = (0..<9000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        try file.write(bytes, at: 0)
        var buffer = [UInt8](repeating: 0, count: 8000)
        for (offset, expected) in [(0, 8000), (5000, 4000), (9000, 0), (20_000, 0)] {
            let attempt = try buffer.withUnsafeMutableBytes { try file.tryRead(into: $0, at: offset) }
            guard case .read(let count) = attempt else { continue }
            #expect(count == expected)
            #expect(buffer[..<count].elementsEqual(bytes[min(offset, 9000)..<min(offset, 9000) + count]))
        }
    }

    @Test(arguments: DiskUnderTest.allCases)
    func writesTwoBuffersAsOneRun(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        let cases: [([UInt8], [UInt8])] = [([1, 2], [3]), ([], [4, 5]), ([6], []), ([], [])]
        var expected: [UInt8] = []
        for (first, second) in cases {
            try first.withUnsafeBytes { a in
                try second.withUnsafeBytes { b in try file.write(a, b, at: expected.count) }
            }
            expected += first + second
        }
        #expect(try file.readAll() == expected)
        try file.write([9], at: 10)
        #expect(try file.readAll() == [1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 9])
    }

    @Test(arguments: DiskUnderTest.allCases)
    func truncatesAndExtendsWithZeros(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        try file.write([UInt8](repeating: 7, count: 5000), at: 0)
        try file.truncate(to: 100)
        #expect(try file.size() == 100)
        try file.truncate(to: 6000)
        #expect(try file.readAll() == [UInt8](repeating: 7, count: 100) + [UInt8](repeating: 0, count: 5900))
        try file.truncate(to: 0)
        #expect(try file.readAll().isEmpty)
    }

    @Test(arguments: DiskUnderTest.allCases)
    func allocatesAndPunches(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        try file.write([1, 2, 3], at: 0)
        if failure({ try file.allocate(0..<65_536) }) == .unsupported { return }
        #expect(try file.size() == 65_536)
        #expect(try file.allocatedBytes() >= 65_536)
        #expect(try file.read(5, at: 0) == [1, 2, 3, 0, 0])
        try file.write([UInt8](repeating: 5, count: 65_536), at: 0)
        try file.sync()
        let before = try file.allocatedBytes()
        if failure({ try file.punch(8192..<40_960) }) == .unsupported { return }
        try file.sync()
        #expect(try file.size() == 65_536)
        #expect(try before - file.allocatedBytes() == 32_768)
        #expect(try file.read(1, at: 8191) == [5])
        #expect(try file.read(32_768, at: 8192) == [UInt8](repeating: 0, count: 32_768))
        #expect(try file.read(1, at: 40_960) == [5])
        try file.allocate(10..<10)
        try file.punch(10..<10)
        file.dropCache(0..<65_536)
        file.willNeed(0..<65_536)
        file.willNeed(10..<10)
        #expect(try file.read(1, at: 0) == [5])
    }

    @Test(arguments: DiskUnderTest.allCases)
    func directFilesTakeAlignedTransfers(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.disk.open(bench.path("a"), [.readWrite, .create, .exclusive, .direct])
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8192, alignment: 4096)
        defer { memory.deallocate() }
        _ = memory.initializeMemory(as: UInt8.self, repeating: 3)
        try file.write(UnsafeRawBufferPointer(memory), at: 4096)
        try file.sync()
        #expect(try file.size() == 12_288)
        _ = memory.initializeMemory(as: UInt8.self, repeating: 0)
        #expect(try file.read(into: memory, at: 8192) == 4096)
        #expect(memory[0] == 3 && memory[4095] == 3 && memory[4096] == 0)
        #expect(try file.read(into: memory, at: 12_288) == 0)
    }

    @Test(arguments: DiskUnderTest.allCases)
    func renamesReplaceAndHandlesFollowTheFile(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        try bench.disk.writeFile(bench.path("old"), [1])
        try bench.disk.writeFile(bench.path("new"), [2])
        let file = try bench.disk.open(bench.path("new"), .readWrite)
        try bench.disk.rename(bench.path("new"), to: bench.path("old"))
        #expect(try bench.disk.list(bench.folder) == ["old"])
        #expect(try bench.disk.readFile(bench.path("old")) == [2])
        try file.write([4], at: 0)
        #expect(try bench.disk.readFile(bench.path("old")) == [4])
        #expect(failure { try bench.disk.rename(bench.path("none"), to: bench.path("x")) } == .notFound)
    }

    @Test(arguments: DiskUnderTest.allCases)
    func removedFilesLiveOnInHandlesAndLinks(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        try bench.disk.writeFile(bench.path("a"), [1, 2])
        let file = try bench.disk.open(bench.path("a"), .readWrite)
        let first = try bench.disk.open(bench.path("a"), .readOnly)
        #expect(try first.linkCount() == 1)
        try bench.disk.link(bench.path("a"), to: bench.path("b"))
        #expect(try first.linkCount() == 2)
        #expect(failure { try bench.disk.link(bench.path("a"), to: bench.path("b")) } == .exists)
        #expect(failure { try bench.disk.link(bench.path("none"), to: bench.path("c")) } == .notFound)
        try bench.disk.remove(bench.path("a"))
        #expect(failure { try bench.disk.remove(bench.path("a")) } == .notFound)
        try file.write([9], at: 1)
        #expect(try bench.disk.readFile(bench.path("b")) == [1, 9])
        try bench.disk.remove(bench.path("b"))
        #expect(try file.readAll() == [1, 9])
    }

    @Test(arguments: DiskUnderTest.allCases)
    func listsAndMakesDirectories(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        #expect(try bench.disk.list(bench.folder).isEmpty)
        try bench.disk.createDirectory(bench.path("d"))
        try bench.disk.createDirectory(bench.path("d"))
        try bench.disk.writeFile(bench.path("d/x"), [])
        try bench.disk.writeFile(bench.path(".hidden"), [])
        #expect(try bench.disk.list(bench.folder).sorted() == [".hidden", "d"])
        #expect(try bench.disk.list(bench.path("d")) == ["x"])
        try bench.disk.syncDirectory(bench.path("d"))
        #expect(failure { _ = try bench.disk.list(bench.path("none")) } == .notFound)
        #expect(failure { try bench.disk.syncDirectory(bench.path("none")) } == .notFound)
        #expect(failure { try bench.disk.createDirectory(bench.path("d/x")) } == .exists)
        #expect(failure { try bench.disk.createDirectory(bench.path("no/such")) } == .notFound)
        #expect(failure { try bench.disk.remove(bench.path("d")) } == .system)
        try bench.disk.remove(bench.path("d/x"))
        try bench.disk.remove(bench.path("d"))
        #expect(try !bench.disk.exists(bench.path("d")))
    }

    @Test(arguments: DiskUnderTest.allCases)
    func locksOnceAndNamesTheHolder(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let path = bench.path("lock")
        let held = try bench.disk.lock(path)
        #expect(failure { _ = try bench.disk.lock(path) } == .locked(getpid()))
        #expect(try bench.disk.readFile(path) == Array("\(getpid())\n".utf8))
        held.release()
        held.release()
        var again: (any DiskLock)? = try bench.disk.lock(path)
        held.release()
        #expect(failure { _ = try bench.disk.lock(path) } == .locked(getpid()))
        #expect(again != nil)
        again = nil
        try bench.disk.lock(path).release()
    }

    @Test(arguments: DiskUnderTest.allCases)
    func closedFilesRefuseEverything(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        try file.write([1], at: 0)
        file.close()
        file.close()
        #expect(failure { _ = try file.read(1, at: 0) } == .closed)
        #expect(failure { try file.write([1], at: 0) } == .closed)
        #expect(failure { try file.sync() } == .closed)
        #expect(failure { _ = try file.size() } == .closed)
        #expect(failure { try file.truncate(to: 0) } == .closed)
        #expect(try bench.disk.readFile(bench.path("a")) == [1])
    }

    @Test(arguments: DiskUnderTest.allCases)
    func tellsTheSpace(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let space = try bench.disk.space(bench.folder)
        #expect(space.free > 0 && space.free <= space.total)
        #expect(failure { _ = try bench.disk.space(bench.path("none")) } == .notFound)
    }

    @Test(arguments: DiskUnderTest.allCases)
    func manyThreadsShareOneFile(_ kind: DiskUnderTest) throws {
        let bench = try Bench(kind)
        let file = try bench.make("a")
        let threads = (0..<4).map { number in
            PThread(name: "writer") {
                for round in 0..<50 {
                    let offset = (round * 4 + number) * 1000
                    do {
                        try file.write([UInt8](repeating: UInt8(number + 1), count: 1000), at: offset)
                        let back = try file.read(1000, at: offset)
                        if back != [UInt8](repeating: UInt8(number + 1), count: 1000) {
                            Issue.record("read back \(offset)")
                        }
                    } catch { Issue.record("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        let all = try file.readAll()
        #expect(all.count == 200_000)
        for at in stride(from: 0, to: all.count, by: 1000) { #expect(all[at] == UInt8(at / 1000 % 4 + 1)) }
    }
}
