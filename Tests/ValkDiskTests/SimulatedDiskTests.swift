// The power loss of the simulated disk: that what was synced always survives, that what was not may be lost in every
// way a machine can lose it, and that a program which forgets a sync is found out.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@Suite struct SimulatedDiskTests {
    /// A disk with one durable file of 8 sectors of ones.
    private func makeDisk() throws -> (SimulatedDisk, any DiskFile) {
        let disk = SimulatedDisk()
        let file = try disk.open("/a", [.readWrite, .create])
        try file.write([UInt8](repeating: 1, count: 4096), at: 0)
        try file.sync()
        try disk.syncDirectory("/")
        return (disk, file)
    }

    @Test func syncedBytesSurviveEveryPolicy() throws {
        let (disk, _) = try makeDisk()
        for policy in CrashPolicy.allCases {
            for seed in 0..<10 as Range<UInt64> {
                let bytes = try disk.crashClone(seed: seed, policy: policy).readFile("/a")
                #expect(bytes == [UInt8](repeating: 1, count: 4096))
            }
        }
    }

    @Test func aKilledProcessLosesNothingButItsBytesStayUnsynced() throws {
        let (disk, file) = try makeDisk()
        try file.write([2], at: 0)
        _ = try disk.open("/b", [.readWrite, .create])
        let killed = disk.crashClone(seed: 1, policy: .keepAll)
        #expect(try killed.readFile("/a")[0] == 2)
        #expect(try killed.list("/").sorted() == ["a", "b"])
        let lost = killed.crashClone(seed: 1, policy: .dropAll)
        #expect(try lost.readFile("/a")[0] == 1)
        #expect(try lost.list("/") == ["a"])
        let again = try killed.open("/a", .readWrite)
        try again.sync()
        #expect(try killed.crashClone(seed: 1, policy: .dropAll).readFile("/a")[0] == 2)
    }

    @Test func sectorsSurviveOnTheirOwnAndOnlyAsTheyWere() throws {
        let (disk, file) = try makeDisk()
        try file.write([UInt8](repeating: 2, count: 4096), at: 0)
        try file.write([UInt8](repeating: 3, count: 100), at: 0)
        var firsts: Set<[UInt8]> = []
        var isMixed = false
        for seed in 0..<200 as Range<UInt64> {
            let bytes = try disk.crashClone(seed: seed, policy: .random).readFile("/a")
            #expect(bytes.count == 4096)
            let sectors = stride(from: 0, to: 4096, by: 512).map { Array(bytes[$0..<$0 + 512]) }
            firsts.insert(sectors[0])
            for sector in sectors[1...] { #expect(Set(sector) == [1] || Set(sector) == [2]) }
            if Set(sectors[1...]).count == 2 { isMixed = true }
        }
        let ones = [UInt8](repeating: 1, count: 512)
        let twos = [UInt8](repeating: 2, count: 512)
        // The second write saw the first in the page cache: threes never stand before ones.
        #expect(firsts == [ones, twos, [UInt8](repeating: 3, count: 100) + twos[100...]])
        #expect(isMixed)
    }

    @Test func tearsOnlyWhatWasBeingWritten() throws {
        let (disk, file) = try makeDisk()
        try file.write([UInt8](repeating: 2, count: 300), at: 100)
        var isTorn = false
        var isNeighbourHit = false
        for seed in 0..<400 as Range<UInt64> {
            let bytes = try disk.crashClone(seed: seed, policy: .torn).readFile("/a")
            #expect(Set(bytes[..<100]) == [1] && Set(bytes[400...]) == [1])
            if Set(bytes[100..<400]).count > 1 { isTorn = true }
            let hard = try disk.crashClone(seed: seed, policy: .tornSectors).readFile("/a")
            #expect(Set(hard[512...]) == [1])
            if Set(hard[..<100]) != [1] { isNeighbourHit = true }
        }
        #expect(isTorn && isNeighbourHit)
    }

    @Test func sizesMaySurviveWithoutBytesAndBytesWithoutSizes() throws {
        let disk = SimulatedDisk()
        let file = try disk.open("/a", [.readWrite, .create])
        try disk.syncDirectory("/")
        try file.write([UInt8](repeating: 1, count: 512), at: 0)
        try file.write([UInt8](repeating: 2, count: 512), at: 512)
        var seen: Set<[UInt8]> = []
        for seed in 0..<300 as Range<UInt64> {
            let bytes = try disk.crashClone(seed: seed, policy: .random).readFile("/a")
            #expect([0, 512, 1024].contains(bytes.count))
            seen.insert(stride(from: 0, to: bytes.count, by: 512).map { bytes[$0] })
        }
        #expect(seen == [[], [0], [1], [0, 0], [0, 2], [1, 0], [1, 2]])
    }

    @Test func allocationsPunchesAndCutsMayBeLost() throws {
        let (disk, file) = try makeDisk()
        try file.allocate(0..<16_384)
        var sizes: Set<Int> = []
        for seed in 0..<60 as Range<UInt64> {
            sizes.insert(try disk.crashClone(seed: seed, policy: .random).readFile("/a").count)
        }
        #expect(sizes == [4096, 16_384])
        try file.sync()
        try file.punch(0..<4096)
        var contents: Set<[UInt8]> = []
        for seed in 0..<60 as Range<UInt64> {
            contents.insert(Array(try disk.crashClone(seed: seed, policy: .random).readFile("/a")[..<4096]))
        }
        #expect(contents == [[UInt8](repeating: 0, count: 4096), [UInt8](repeating: 1, count: 4096)])
        try file.sync()
        try file.truncate(to: 10)
        sizes.removeAll()
        for seed in 0..<60 as Range<UInt64> {
            sizes.insert(try disk.crashClone(seed: seed, policy: .random).readFile("/a").count)
        }
        #expect(sizes == [10, 16_384])
    }

    @Test func namesAreLostUntilTheDirectoryIsSynced() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/d")
        try disk.writeFile("/d/x", [1])
        try disk.open("/d/x", .readWrite).sync()
        try disk.syncDirectory("/d")
        // The directory itself hangs by a name in the root that nobody synced.
        #expect(try disk.crashClone(seed: 1, policy: .dropAll).list("/").isEmpty)
        try disk.syncDirectory("/")
        #expect(try disk.crashClone(seed: 1, policy: .dropAll).readFile("/d/x") == [1])
        try disk.remove("/d/x")
        #expect(try disk.crashClone(seed: 1, policy: .dropAll).readFile("/d/x") == [1])
        try disk.syncDirectory("/d")
        #expect(try disk.crashClone(seed: 1, policy: .dropAll).list("/d").isEmpty)
    }

    @Test func namesMaySurviveOutOfOrderButRenamesStayWhole() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("/p")
        try disk.createDirectory("/q")
        for (path, byte) in [("/p/current", 1), ("/p/new", 2), ("/p/move", 3)] as [(String, UInt8)] {
            try disk.writeFile(path, [byte])
            try disk.open(path, .readWrite).sync()
        }
        for path in ["/p", "/q", "/"] { try disk.syncDirectory(path) }
        try disk.rename("/p/new", to: "/p/current")
        try disk.rename("/p/move", to: "/q/move")
        var seen: Set<[Int]> = []
        for seed in 0..<100 as Range<UInt64> {
            let clone = disk.crashClone(seed: seed, policy: .random)
            let current = try clone.readFile("/p/current")
            #expect(try clone.exists("/p/new") == (current == [1]))
            let isMoved = try clone.exists("/q/move")
            #expect(try clone.exists("/p/move") != isMoved)
            seen.insert([Int(current[0]), isMoved ? 1 : 0])
        }
        #expect(seen == [[1, 0], [1, 1], [2, 0], [2, 1]])
        try disk.syncDirectory("/q")
        #expect(try disk.crashClone(seed: 1, policy: .dropAll).list("/p").sorted() == ["current", "new"])
    }

    @Test func hardLinksAreOneFileAfterTheCrash() throws {
        let (disk, file) = try makeDisk()
        try disk.link("/a", to: "/b")
        try disk.syncDirectory("/")
        try file.write([UInt8](repeating: 5, count: 4096), at: 0)
        let clone = disk.crashClone(seed: 3, policy: .random)
        #expect(try clone.readFile("/a") == clone.readFile("/b"))
        try clone.open("/a", .readWrite).write([9], at: 0)
        #expect(try clone.readFile("/b")[0] == 9)
    }

    @Test func oneSeedGivesOneCrash() throws {
        let (disk, file) = try makeDisk()
        for round in 0..<20 { try file.write([UInt8](repeating: UInt8(round), count: 700), at: round * 300) }
        for seed in 0..<20 as Range<UInt64> {
            let first = try disk.crashClone(seed: seed, policy: .torn).readFile("/a")
            let second = try disk.crashClone(seed: seed, policy: .torn).readFile("/a")
            #expect(first == second)
        }
    }

    /// Crash tests count operations in one run and crash at each in others.
    @Test func aListingHasTheSameOrderOnEveryDisk() throws {
        let listings = try (0..<8).map { _ in
            let disk = SimulatedDisk()
            for i in 0..<12 { _ = try disk.open("/file\(i)", [.readWrite, .create]) }
            return try disk.list("/")
        }
        #expect(listings.allSatisfy { $0 == listings[0] })
    }

    @Test func afterTheCrashEverythingFails() throws {
        let (disk, file) = try makeDisk()
        let count = disk.operationCount
        disk.crashAt(operation: count + 2)
        try file.write([2], at: 0)
        #expect(!disk.isCrashed)
        do {
            try file.sync()
            Issue.record("the crash did not come")
        } catch { #expect(error.injected) }
        #expect(disk.isCrashed)
        #expect(failure { _ = try file.read(1, at: 0) } == .system)
        #expect(failure { _ = try disk.list("/") } == .system)
        #expect(disk.operationCount == count + 2)
        #expect(try disk.crashClone(seed: 1, policy: .dropAll).readFile("/a")[0] == 1)
        #expect(try disk.crashClone(seed: 1, policy: .keepAll).readFile("/a")[0] == 2)
        #expect(disk.recentOperations.last == "\(count + 2): sync /a ")
    }

    @Test func locksDieWithTheProcess() throws {
        let disk = SimulatedDisk()
        let held = try disk.lock("/lock")
        #expect(failure { _ = try disk.lock("/lock") } == .locked(getpid()))
        try disk.crashClone(seed: 1, policy: .keepAll).lock("/lock").release()
        held.release()
    }

    @Test func fullDisksRefuse() throws {
        let (disk, file) = try makeDisk()
        disk.capacityBytes = 8192
        try file.write([1], at: 4096)
        #expect(failure { try file.write([UInt8](repeating: 1, count: 5000), at: 8192) } == .noSpace)
        #expect(failure { try file.allocate(8192..<65_536) } == .noSpace)
        try file.punch(0..<4096)
        #expect(try disk.space("/").free == 4096)
    }

    // MARK: A small program under crashes, and with its syncs taken away

    /// Replaces /s/current step by step: temporary file, sync, rename, sync of the directory. Calls `acknowledged`
    /// when a content is promised to be durable.
    private func replace(_ disk: SimulatedDisk, _ contents: [[UInt8]], _ acknowledged: (Int) -> Void) throws {
        try disk.createDirectory("/s")
        try disk.syncDirectory("/")
        for (index, content) in contents.enumerated() {
            let file = try disk.open("/s/temporary", [.readWrite, .create, .truncate])
            try file.write(content, at: 0)
            try file.sync()
            try disk.rename("/s/temporary", to: "/s/current")
            try disk.syncDirectory("/s")
            acknowledged(index)
        }
    }

    /// Explores every crash of `replace`; returns how many ended with a content that is neither whole nor recent.
    private func explore(_ mutation: SimulatedDisk.Mutation) throws -> Int {
        let contents = (1...3).map { [UInt8](repeating: UInt8($0), count: 1500 + $0 * 100) }
        let whole = SimulatedDisk()
        whole.mutation = mutation
        try replace(whole, contents) { _ in }
        var failures = 0
        for operation in 1...whole.operationCount + 1 {
            let disk = SimulatedDisk()
            disk.mutation = mutation
            disk.crashAt(operation: operation)
            var promised = -1
            _ = failure { try replace(disk, contents) { promised = $0 } }
            for policy in CrashPolicy.allCases {
                for seed in 0..<20 as Range<UInt64> {
                    let clone = disk.crashClone(seed: seed, policy: policy)
                    let found = try? clone.readFile("/s/current")
                    let index = found.flatMap { contents.firstIndex(of: $0) } ?? -1
                    if found != nil && index < 0 || index < promised { failures += 1 }
                }
            }
        }
        return failures
    }

    @Test func aCarefulProgramSurvivesEveryCrash() throws { #expect(try explore(.none) == 0) }

    @Test func forgottenSyncsAreFoundOut() throws {
        #expect(try explore(.init(ignoresSync: { $0.hasSuffix("temporary") })) > 0)
        #expect(try explore(.init(ignoresDirectorySync: { $0 == "/s" })) > 0)
        #expect(try explore(.init(ignoresDirectorySync: { $0 == "/" })) > 0)
    }
}
