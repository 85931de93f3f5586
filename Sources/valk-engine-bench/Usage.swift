// What the process has cost so far.

import Glibc
import ValkBase

enum Usage {
    /// Seconds of CPU, user and system, of all threads.
    static func cpu() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Bytes that were sent towards the device, and bytes that were passed to write calls.
    static func io() -> (written: UInt64, passed: UInt64) {
        var result: (written: UInt64, passed: UInt64) = (0, 0)
        guard let file = fopen("/proc/self/io", "r") else { return result }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            let parts = text.split(separator: " ")
            guard parts.count == 2, let number = UInt64(parts[1]) else { continue }
            if parts[0] == "write_bytes:" { result.written = number }
            if parts[0] == "wchar:" { result.passed = number }
        }
        return result
    }

    /// Until the process has been idle for a second: what it put off is part of its work.
    static func waitUntilIdle() {
        for _ in 0..<600 {
            let before = cpu()
            let written = io().written
            usleep(1_000_000)
            if cpu() - before < 0.02 && io().written == written { return }
        }
    }

    /// Bytes that the file system holds for the files below `path`.
    static func allocated(_ path: String) -> Int {
        guard let directory = opendir(path) else { return 0 }
        defer { closedir(directory) }
        var sum = 0
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") { continue }
            var facts = stat()
            guard stat(path + "/" + name, &facts) == 0 else { continue }
            let isDirectory = facts.st_mode & S_IFMT == S_IFDIR
            sum += isDirectory ? allocated(path + "/" + name) : Int(facts.st_blocks) * 512
        }
        return sum
    }
}
