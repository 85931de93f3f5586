// What can be said of a string value from its bytes.

import ValkBase

package enum StringValue {
    /// Longest value that Redis keeps in one allocation with its header.
    package static var embeddedBytesMax: Int { 44 }

    /// OBJECT ENCODING's word for a value of `length` bytes that was stored under `tag`. `bytes` are needed only for
    /// lengths of at most 20.
    package static func encoding(tag: UInt8, length: Int, bytes: ByteView) -> StaticString {
        if tag == StringTag.raw { return "raw" }
        if tag != StringTag.text && length <= 20 && Decimal.parse(bytes) != nil { return "int" }
        return length <= embeddedBytesMax ? "embstr" : "raw"
    }

    /// The part of a value of `length` bytes that GETRANGE's `start ... end` means; both count from the end when
    /// negative and are cut to what is there.
    package static func range(start: Int64, end: Int64, length: Int) -> Range<Int> {
        if start < 0 && end < 0 && start > end { return 0..<0 }
        let count = Int64(length)
        var first = start < 0 ? max(0, start &+ count) : start
        var last = end < 0 ? max(0, end &+ count) : end
        if last >= count { last = count - 1 }
        if first > last || count == 0 { return 0..<0 }
        if first < 0 { first = 0 }
        return Int(first)..<Int(last) + 1
    }
}
