// What the system knows of this process and machine: memory, CPU time, descriptors. Asked when INFO is; nothing is
// kept.

import CValk
import Glibc
import ValkBase

package enum ProcessFacts {
    /// Bytes of physical memory in use (resident set).
    package static func residentBytes() -> Int {
        guard case .success(let bytes) = TextFile.read("/proc/self/statm") else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    /// The largest resident set so far, bytes.
    package static func residentBytesPeak() -> Int { (status("VmHWM:") ?? 0) * 1024 }

    /// Bytes the program holds from the heap.
    package static func heapBytes() -> Int { Int(valk_heap_bytes()) }

    /// Bytes that the heap has from the system.
    package static func heapActiveBytes() -> Int { Int(valk_heap_active_bytes()) }

    /// Threads of this process.
    package static func threadCount() -> Int { status("Threads:") ?? 0 }

    package static func totalMemoryBytes() -> Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

    /// CPU time in seconds, as INFO prints it (six decimals).
    package static func cpuSeconds(children: Bool) -> (system: String, user: String) {
        var user: UInt64 = 0
        var system: UInt64 = 0
        _ = valk_cpu_times(children ? 1 : 0, &user, &system)
        return (seconds(system), seconds(user))
    }

    /// Microseconds as seconds with six decimals.
    package static func seconds(_ microseconds: UInt64) -> String {
        let rest = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - rest.count) + rest
    }

    /// The number behind `key` in the kernel's account of the process.
    private static func status(_ key: String) -> Int? {
        guard case .success(let bytes) = TextFile.read("/proc/self/status") else { return nil }
        for line in splitLines(bytes) {
            let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            if words.count > 1 && words[0] == key { return Int(words[1]) }
        }
        return nil
    }

    /// "Linux 6.1.0 x86_64".
    package static func systemName() -> String {
        var name = utsname()
        uname(&name)
        return "\(text(&name.sysname)) \(text(&name.release)) \(text(&name.machine))"
    }

    private static func text<T>(_ field: inout T) -> String {
        withUnsafeBytes(of: &field) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The program's absolute path.
    package static func executablePath() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let n = buffer.withUnsafeMutableBytes { raw -> Int in
            guard let base = raw.baseAddress else { return 0 }
            return readlink("/proc/self/exe", base.assumingMemoryBound(to: CChar.self), raw.count)
        }
        return n > 0 ? String(decoding: buffer[0..<n], as: UTF8.self) : ""
    }

    /// As Redis writes sizes for people: "512B", "1.50K", "2.00M".
    package static func humanBytes(_ bytes: Int) -> String {
        if bytes < 1024 { return "\(bytes)B" }
        var value = Double(bytes) / 1024
        for unit in ["K", "M", "G", "T"] {
            if value < 1024 || unit == "T" { return twoDecimals(value) + unit }
            value /= 1024
        }
        return "\(bytes)B"
    }

    /// Nanoseconds as microseconds with three decimals.
    package static func microseconds(_ nanoseconds: UInt64) -> String {
        let rest = String(nanoseconds % 1000)
        return "\(nanoseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }

    /// A number without a fraction of zero.
    package static func shortest(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
    }

    /// A number with two decimals.
    package static func twoDecimals(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "0.00" }
        let hundredths = Int((abs(value) * 100).rounded())
        let rest = hundredths % 100
        return "\(value < 0 ? "-" : "")\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
