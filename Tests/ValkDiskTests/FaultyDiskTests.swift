// The fault injector itself: that rules hit what they say, and nothing else.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@Suite struct FaultyDiskTests {
    private func make(_ rules: [FaultRule], seed: UInt64 = 1) throws -> (FaultyDisk, any DiskFile) {
        let disk = FaultyDisk(SimulatedDisk(), rules: rules, seed: seed)
        return (disk, try disk.open("/a.log", [.readWrite, .create]))
    }

    @Test func failsTheNthMatchingOperationOnce() throws {
        let (disk, file) = try make([FaultRule([.write], suffix: ".log", nth: 2, .noSpace)])
        let other = try disk.open("/b.tab", [.readWrite, .create])
        try file.write([1], at: 0)
        try other.write([1], at: 0)
        #expect(failure { try file.write([2], at: 1) } == .noSpace)
        try file.write([3], at: 1)
        #expect(try file.readAll() == [1, 3])
        #expect(disk.injected.count == 1)
        #expect(disk.injected[0].path == "/a.log" && disk.injected[0].operation == .write)
        #expect(disk.count(.write) == 4 && disk.count(.open) == 2)
    }

    @Test func failsForeverFromTheNthOn() throws {
        let (disk, file) = try make([FaultRule([.sync, .truncate], nth: 2, forever: true, .io)])
        try file.sync()
        for _ in 0..<3 { #expect(failure { try file.sync() } == .system) }
        #expect(failure { try file.truncate(to: 0) } == .system)
        disk.removeRules()
        try file.sync()
        #expect(disk.injected.count == 4)
    }

    @Test func shortWritesLeaveAPrefix() throws {
        var lengths: Set<Int> = []
        for seed in 0..<40 as Range<UInt64> {
            let (_, file) = try make([FaultRule([.write], .shortWrite(EIO))], seed: seed)
            #expect(failure { try file.write([1, 2, 3, 4], at: 0) } == .system)
            let bytes = try file.readAll()
            #expect(Array([1, 2, 3, 4].prefix(bytes.count)) == bytes)
            lengths.insert(bytes.count)
        }
        #expect(lengths == [0, 1, 2, 3, 4])
    }

    @Test func bitFlipsChangeOneBit() throws {
        let (_, file) = try make([FaultRule([.read], nth: 1, .bitFlip), FaultRule([.write], nth: 2, .bitFlip)])
        let zeros = [UInt8](repeating: 0, count: 100)
        try file.write(zeros, at: 0)
        #expect(try file.readAll().reduce(0) { $0 + $1.nonzeroBitCount } == 1)
        #expect(try file.readAll() == zeros)
        try file.write(zeros, at: 0)
        #expect(try file.readAll().reduce(0) { $0 + $1.nonzeroBitCount } == 1)
    }

    @Test(arguments: [true, false])
    func lostPagesAreOldOrNewAndNeverSaved(_ isSimulated: Bool) throws {
        let folder = TemporaryFolder()
        var states: Set<UInt8> = []
        for seed in 0..<12 as Range<UInt64> {
            let simulated = SimulatedDisk()
            let base: any Disk = isSimulated ? simulated : PosixDisk()
            let path = isSimulated ? "/a" : folder.file("a\(seed)")
            let disk = FaultyDisk(base, rules: [FaultRule([.sync], nth: 2, .lostPages)], seed: seed)
            let file = try disk.open(path, [.readWrite, .create])
            try file.write([UInt8](repeating: 1, count: 8192), at: 0)
            try file.sync()
            try file.write([UInt8](repeating: 2, count: 5000), at: 0)
            try file.write([UInt8](repeating: 3, count: 5000), at: 0)
            #expect(failure { try file.sync() } == .system)
            let bytes = try file.readAll()
            #expect(Set(bytes[..<4096]).count == 1 && Set(bytes[4096..<5000]).count == 1)
            #expect([1, 3].contains(bytes[0]) && [1, 3].contains(bytes[4096]) && bytes[5000] == 1)
            states.insert(bytes[0] * 4 + bytes[4096])
            // The next sync succeeds and saves nothing of it, only what is written anew.
            try file.write([7], at: 8191)
            try file.sync()
            if isSimulated {
                try disk.syncDirectory("/")
                let after = simulated.crashClone(seed: 1, policy: .dropAll)
                let saved = try after.readFile("/a")
                #expect(saved[0] == 1 && saved[8191] == 7 && saved.count == 8192)
            }
        }
        #expect(states.count == 4)
    }

    @Test func everyKindOfOperationCanFail() throws {
        let disk = FaultyDisk(SimulatedDisk())
        let file = try disk.open("/f", [.readWrite, .create])
        var buffer: [UInt8] = [0]
        let calls: [(DiskOperation, () throws -> Void)] = [
            (.open, { _ = try disk.open("/f", .readOnly) }), (.exists, { _ = try disk.exists("/f") }),
            (.list, { _ = try disk.list("/") }), (.createDirectory, { try disk.createDirectory("/d") }),
            (.syncDirectory, { try disk.syncDirectory("/") }), (.rename, { try disk.rename("/f", to: "/g") }),
            (.remove, { try disk.remove("/f") }), (.link, { try disk.link("/f", to: "/h") }),
            (.lock, { _ = try disk.lock("/l") }), (.space, { _ = try disk.space("/") }),
            (.read, { _ = try file.read(1, at: 0) }),
            (.tryRead, { _ = try buffer.withUnsafeMutableBytes { try file.tryRead(into: $0, at: 0) } }),
            (.write, { try file.write([1], at: 0) }), (.sync, { try file.sync() }), (.size, { _ = try file.size() }),
            (.truncate, { try file.truncate(to: 1) }), (.allocate, { try file.allocate(0..<9) }),
            (.punch, { try file.punch(0..<9) }),
        ]
        // A hint has no way to fail.
        #expect(Set(calls.map(\.0)) == Set(DiskOperation.allCases).subtracting([.willNeed]))
        for (operation, call) in calls {
            disk.removeRules()
            disk.add(FaultRule([operation], .io))
            #expect(failure(call) == .system, "\(operation)")
        }
        #expect(disk.injected.count == calls.count)
        #expect(try disk.base.list("/") == ["f"])
    }
}
