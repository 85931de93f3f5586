// Bytes, numbers and keys as people read them, and as they type them.

import Glibc
import ValkBase
import ValkData
import ValkDisk
import ValkEngine

enum Text {
    static func size(_ bytes: Int) -> String {
        var value = Double(bytes)
        var unit = 0
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(bytes) bytes" : "\(decimal(value, 1)) \(units[unit])"
    }

    static func decimal(_ value: Double, _ places: Int) -> String {
        var factor = 1.0
        for _ in 0..<places { factor *= 10 }
        let scaled = Int((value * factor).rounded())
        if places == 0 { return "\(scaled)" }
        let whole = scaled / Int(factor)
        let rest = String(scaled % Int(factor))
        return "\(whole)." + String(repeating: "0", count: places - rest.count) + rest
    }

    static func count(_ n: Int, _ noun: String) -> String { n == 1 ? "1 \(noun)" : "\(n) \(noun)s" }

    /// ASCII as it is, everything else as \xNN.
    static func bytes(_ bytes: [UInt8]) -> String { Table.printable(bytes) }

    /// The reverse of `bytes`: `\xNN` and `\\` are escapes, everything else is UTF-8. Nil when an escape is wrong.
    static func parse(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x5C else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case 0x5C: result.append(0x5C)
            case 0x78:
                guard rest.count >= 2,
                    let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                rest = rest.dropFirst(2)
                result.append(value)
            default: return nil
            }
        }
        return result
    }

    /// Milliseconds since 1970 as a date in UTC, with the number.
    static func time(_ milliseconds: UInt64) -> String {
        guard milliseconds < 253_402_300_800_000 else { return "\(milliseconds)" }
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ n: Int32) -> String { n < 10 ? "0\(n)" : "\(n)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC (\(milliseconds))"
    }

    static func kind(_ kind: EntryKind) -> String { kind == .put ? "put" : "delete" }

    static func flags(_ flags: EntryFlags) -> String {
        var words: [String] = []
        if flags.contains(.separated) { words.append("value in the log") }
        if flags.contains(.priorUnknown) { words.append("blind") }
        if flags.contains(.priorPresent) { words.append("key was there") }
        if flags.contains(.priorExpiring) { words.append("with expiry") }
        if flags.contains(.priorNamed) { words.append("prior named dead") }
        return words.joined(separator: ", ")
    }

    static func pointer(_ pointer: ValuePointer) -> String {
        "segment \(pointer.segment) offset \(pointer.offset), \(pointer.length) bytes, CRC "
            + String(pointer.crc, radix: 16)
    }
}

/// How keys are shown: those of a server's store begin with namespace and space (KeyEncoding.md).
struct KeyText {
    let isServerStore: Bool

    init(isServerStore: Bool) { self.isServerStore = isServerStore }

    /// For a file inside of a store's `tables` or `log` folder: what the store's manifest says, where there is one.
    init(ofFile path: String, disk: any Disk) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let directory = parts.count >= 3 ? parts.dropLast(2).joined(separator: "/") : (parts.count == 2 ? "." : "..")
        let manifest = try? ManifestDump(disk: disk, directory: directory)  // Without it keys are shown as they are.
        isServerStore = manifest?.isServerStore ?? false
    }

    func text(_ key: [UInt8]) -> String {
        guard isServerStore, key.count >= 5 else { return Text.bytes(key) }
        return key.withView { view in
            let namespace = KeyEncoding.namespace(view)
            let rest = Array(key.dropFirst(5))
            switch view[4] {
            case KeySpace.keys: return "namespace \(namespace) key \(Text.bytes(rest))"
            case KeySpace.expiry where rest.count >= 8:
                return
                    "namespace \(namespace) expiry index \(number(rest.prefix(8))) \(Text.bytes(Array(rest.dropFirst(8))))"
            case KeySpace.bookmarks where rest.count == 12:
                return "bookmark of namespace \(number(rest.prefix(4))), label \(number(rest.dropFirst(4)))"
            case KeySpace.databases where rest.count == 4: return "database \(number(rest[...]))"
            case KeySpace.nextNamespace where rest.isEmpty: return "next namespace"
            case KeySpace.libraries: return "library \(Text.bytes(rest))"
            default: return Text.bytes(key)
            }
        }
    }

    private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    func type(_ tag: UInt8) -> String {
        guard isServerStore, let type = ValueType(tag: tag) else { return "tag \(tag)" }
        return "\(type.name), tag \(tag)"
    }
}
