// What only the real disk can show: descriptors, other processes, transfers that the kernel cuts.

import Glibc
import Testing
import ValkBase
import ValkDisk
import ValkTestSupport

@Suite struct PosixDiskTests {
    @Test func closingWhileOthersReadNeverTouchesAnotherFile() throws {
        // Goal: a descriptor number that is reused must not be read through the old object. Method: one thread reads
        // file A until it is told `closed`; another closes A and at once opens files of other content.
        let folder = TemporaryFolder()
        let disk = PosixDisk()
        try disk.writeFile(folder.file("a"), [UInt8](repeating: 1, count: 64))
        try disk.writeFile(folder.file("b"), [UInt8](repeating: 2, count: 64))
        for _ in 0..<200 {
            let file = try disk.open(folder.file("a"), .readOnly)
            let reader = PThread(name: "reader") {
                while true {
                    do {
                        let bytes = try file.read(64, at: 0)
                        if bytes != [UInt8](repeating: 1, count: 64) {
                            Issue.record("read \(bytes.count) bytes of another file")
                            return
                        }
                    } catch {
                        if (error as? DiskError)?.kind != .closed { Issue.record("\(error)") }
                        return
                    }
                }
            }
            sched_yield()
            file.close()
            let others = try (0..<3).map { _ in try disk.open(folder.file("b"), .readOnly) }
            reader.join()
            for other in others { other.close() }
        }
    }

    @Test func closesDescriptorsOnceAndAll() throws {
        let folder = TemporaryFolder()
        let disk = PosixDisk()
        let before = try disk.list("/proc/self/fd").count
        for round in 0..<20 {
            let file = try disk.open(folder.file("f\(round)"), [.readWrite, .create])
            if round % 2 == 0 { file.close() }
            _ = try disk.lock(folder.file("lock"))
            _ = try disk.list(folder.path)
            try disk.syncDirectory(folder.path)
        }
        // Other tests run beside this one and open files too: only a leak of every file would stand out.
        #expect(try disk.list("/proc/self/fd").count < before + 20)
    }

    @Test func namesTheProcessThatHoldsTheLock() throws {
        let folder = TemporaryFolder()
        let path = folder.file("lock")
        // The shell takes the lock, writes its own number and waits for its input to end.
        var ends: [Int32] = [0, 0]
        var ready: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0 && pipe(&ready) == 0)
        // Bash picks a descriptor for the lock that nothing has, the pipes' ends least of all.
        let script = """
            exec {held}>>\(path); flock -n $held || exit 1
            echo $$ >\(path); echo ok >&\(ready[1]); read line <&\(ends[0])
            """
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("bash"), strdup("-c"), strdup(script), nil]
        defer { for argument in arguments { free(argument) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        var pid: pid_t = 0
        try #require(posix_spawnp(&pid, "bash", &actions, nil, &arguments, environ) == 0)
        posix_spawn_file_actions_destroy(&actions)
        close(ready[1])
        close(ends[0])
        var byte: UInt8 = 0
        let told = read(ready[0], &byte, 1)
        if told == 1 { #expect(failure { _ = try PosixDisk().lock(path) } == .locked(pid)) }
        close(ends[1])
        close(ready[0])
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        try #require(told == 1, "flock(1) is missing")
        try PosixDisk().lock(path).release()
    }

    @Test func coldReadsDoNotBlock() throws {
        // Either answer is right for a page that was dropped (the kernel may keep it); the bytes never differ.
        let folder = TemporaryFolder()
        let file = try PosixDisk().open(folder.file("a"), [.readWrite, .create])
        let bytes = (0..<1 << 18).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try file.write(bytes, at: 0)
        try file.sync()
        file.dropCache(0..<bytes.count)
        var buffer = [UInt8](repeating: 0, count: 4096)
        var blocked = 0
        for offset in stride(from: 0, to: bytes.count, by: 4096) {
            switch try buffer.withUnsafeMutableBytes({ try file.tryRead(into: $0, at: offset) }) {
            case .wouldBlock: blocked += 1
            case .read(let count): #expect(count == 4096 && buffer.elementsEqual(bytes[offset..<offset + 4096]))
            }
        }
        #expect(try file.readAll() == bytes)
        let attempt = try buffer.withUnsafeMutableBytes { try file.tryRead(into: $0, at: 8192) }
        if case .read(let count) = attempt { #expect(count == 4096) }
    }

    @Test func aWriteThatTheKernelCutsIsResumed() throws {
        // Goal: a short transfer must not pass for a whole one. Method: the limit on file sizes cuts a write in the
        // middle; the rest is then tried too and meets the limit. 1 GiB is far beyond what other tests write.
        let limit = 1 << 30
        let folder = TemporaryFolder()
        let file = try PosixDisk().open(folder.file("a"), [.readWrite, .create])
        var old = rlimit()
        try #require(getrlimit(__rlimit_resource_t(1), &old) == 0)
        var new = rlimit(rlim_cur: rlim_t(limit), rlim_max: old.rlim_max)
        signal(SIGXFSZ, SIG_IGN)
        try #require(setrlimit(__rlimit_resource_t(1), &new) == 0)
        defer { setrlimit(__rlimit_resource_t(1), &old) }
        let first = [UInt8](repeating: 1, count: 3000)
        let second = [UInt8](repeating: 2, count: 5192)
        do {
            try first.withUnsafeBytes { a in try second.withUnsafeBytes { b in try file.write(a, b, at: limit - 4096) }
            }
            Issue.record("a write past the limit passed for whole")
        } catch { #expect((error as? DiskError)?.code == EFBIG) }
        #expect(try file.size() == limit)
        #expect(try file.read(8192, at: limit - 4096) == first + second[..<1096])
    }

    @Test func fullDevicesAnswerNoSpace() throws {
        let file = try PosixDisk().open("/dev/full", .readWrite)
        #expect(failure { try file.write([1], at: 0) } == .noSpace)
    }

    @Test func errorsSayWhatAndWhere() throws {
        let folder = TemporaryFolder()
        do {
            _ = try PosixDisk().open(folder.file("none"), .readOnly)
            Issue.record("opened a file that is not there")
        } catch {
            #expect(error.operation == "open" && error.path == folder.file("none") && error.code == ENOENT)
            #expect(!error.injected)
        }
    }
}
