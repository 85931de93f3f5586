// The scripts that the server knows by the SHA-1 of their text: shared by all threads, kept in memory only, as in
// Redis.
//
// Threads keep what they have compiled and come here for a script that is new to them. `generation` tells them that
// SCRIPT FLUSH has made all of that worthless: one load a script.

import CValkLua
import Synchronization
import ValkBase

/// A SHA-1, as it is asked for: 40 hexadecimal digits.
package struct ScriptDigest: Hashable, Sendable {
    package let a: UInt64
    package let b: UInt64
    package let c: UInt32

    /// Of the text.
    package init(of text: ByteView) {
        var digits: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)
        self = withUnsafeMutableBytes(of: &digits) { raw in
            valk_lua_sha1(ValkLuaBytes(text), raw.baseAddress?.assumingMemoryBound(to: CChar.self))
            return ScriptDigest(digits: ByteView(UnsafeRawBufferPointer(raw))) ?? ScriptDigest(a: 0, b: 0, c: 0)
        }
    }

    /// From 40 digits in any case; nil when they are none.
    package init?(digits: ByteView) {
        guard digits.count == 40 else { return nil }
        var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
        for i in 0..<40 {
            let c = digits[i]
            let value: UInt8
            switch c {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = c &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = c &- UInt8(ascii: "a") &+ 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = c &- UInt8(ascii: "A") &+ 10
            default: return nil
            }
            if i < 16 {
                words.0 = words.0 << 4 | UInt64(value)
            } else if i < 32 {
                words.1 = words.1 << 4 | UInt64(value)
            } else {
                words.2 = words.2 << 4 | UInt64(value)
            }
        }
        self.init(a: words.0, b: words.1, c: UInt32(truncatingIfNeeded: words.2))
    }

    private init(a: UInt64, b: UInt64, c: UInt32) {
        self.a = a
        self.b = b
        self.c = c
    }

    /// 40 lower-case digits.
    package var digits: [UInt8] {
        let hex: StaticString = "0123456789abcdef"
        var out: [UInt8] = []
        for shift in stride(from: 60, through: 0, by: -4) { out.append(hex.utf8Start[Int(a >> UInt64(shift) & 15)]) }
        for shift in stride(from: 60, through: 0, by: -4) { out.append(hex.utf8Start[Int(b >> UInt64(shift) & 15)]) }
        for shift in stride(from: 28, through: 0, by: -4) { out.append(hex.utf8Start[Int(c >> UInt32(shift) & 15)]) }
        return out
    }

    /// The digest is as good as random: a part of it will do.
    package func hash(into hasher: inout Hasher) { hasher.combine(a) }
}

package final class ScriptRegistry: Sendable {
    /// Rises with every flush.
    package let generation = Atomic<UInt64>(1)
    private let lock = Lock()
    // SAFETY: under `lock` only.
    private nonisolated(unsafe) var scripts: [ScriptDigest: [UInt8]] = [:]
    private nonisolated(unsafe) var bytes = 0

    package init() {}

    /// The text of a script; nil when it is not known.
    package func source(_ digest: ScriptDigest) -> [UInt8]? { lock.withLock { scripts[digest] } }

    package func knows(_ digest: ScriptDigest) -> Bool { lock.withLock { scripts[digest] != nil } }

    package func add(_ digest: ScriptDigest, _ source: [UInt8]) {
        lock.withLock {
            if scripts.updateValue(source, forKey: digest) == nil { bytes += source.count }
        }
    }

    package func removeAll() {
        lock.withLock {
            scripts = [:]
            bytes = 0
            generation.wrappingAdd(1, ordering: .releasing)
        }
    }

    /// How many, and about how many bytes they take.
    package var size: (count: Int, bytes: Int) { lock.withLock { (scripts.count, bytes + scripts.count * 96) } }
}
