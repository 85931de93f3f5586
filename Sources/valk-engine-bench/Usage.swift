// What the process has cost so far, and what the device under the database was asked for.

import Glibc
import ValkBase

struct Usage {
    /// Seconds, user and system, of all threads.
    var cpu = 0.0
    /// Bytes that were sent towards the device and fetched from it, and bytes that were passed to write calls.
    var written: UInt64 = 0
    var read: UInt64 = 0
    var passed: UInt64 = 0
    /// Reads that the block device has done and their bytes, for whomever; 0 where it does not say.
    var deviceReads: UInt64 = 0
    var deviceReadBytes: UInt64 = 0

    static func now(of directory: String) -> Usage {
        var usage = Usage()
        usage.takeProcess()
        var facts = stat()
        if stat(directory, &facts) == 0 {
            let major = (facts.st_dev >> 8) & 0xFFF
            let minor = (facts.st_dev & 0xFF) | (facts.st_dev >> 12 & 0xFFF00)
            lines(of: "/sys/dev/block/\(major):\(minor)/stat") { words in
                guard words.count > 2 else { return }
                usage.deviceReads = words[0].number
                usage.deviceReadBytes = words[2].number * 512
            }
        }
        return usage
    }

    private mutating func takeProcess() {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        cpu = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        var found = self
        Usage.lines(of: "/proc/self/io") { words in
            guard words.count == 2 else { return }
            if words[0] == "write_bytes:" { found.written = words[1].number }
            if words[0] == "read_bytes:" { found.read = words[1].number }
            if words[0] == "wchar:" { found.passed = words[1].number }
        }
        self = found
    }

    /// Until the process has been idle for a second: what it put off is part of its work.
    static func waitUntilIdle() {
        var before = Usage()
        before.takeProcess()
        for _ in 0..<600 {
            usleep(1_000_000)
            var after = Usage()
            after.takeProcess()
            if after.cpu - before.cpu < 0.02 && after.written == before.written { return }
            before = after
        }
    }

    private static func lines(of path: String, _ body: ([Substring]) -> Void) {
        guard let file = fopen(path, "r") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            body(text.split(separator: " "))
        }
    }
}

extension Substring {
    fileprivate var number: UInt64 { UInt64(self) ?? 0 }
}
