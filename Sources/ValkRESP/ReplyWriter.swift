// Writes replies in RESP2 or RESP3 at the end of a byte buffer.
//
// A trivial value: a pointer to the buffer and the version that the client asked for. What has no form in RESP2 is
// written as RESP2 clients expect it: maps and sets as arrays, doubles as bulk strings, booleans as 0 and 1.
// Aggregates are written as a header followed by that many elements; nothing checks that the elements follow.

import CValk
import Glibc
import ValkBase

@frozen
@usableFromInline
package struct ReplyWriter {
    @usableFromInline package let out: UnsafeMutablePointer<ByteBuffer>
    /// 2 or 3.
    @usableFromInline package var version: UInt8

    @inlinable
    package init(out: UnsafeMutablePointer<ByteBuffer>, version: UInt8 = 2) {
        self.out = out
        self.version = version
    }

    // MARK: Simple replies

    @inlinable
    package func ok() { out.pointee.append("+OK\r\n" as StaticString) }

    /// `text` holds no line ends.
    @inlinable
    package func simple(_ text: StaticString) {
        out.pointee.append(UInt8(ascii: "+"))
        out.pointee.append(text)
        crlf()
    }

    /// An error; `text` is what follows '-', code first: "ERR syntax error".
    package func error(_ text: StaticString) {
        out.pointee.append(UInt8(ascii: "-"))
        out.pointee.append(text)
        crlf()
    }

    /// As above. Line ends in `text` become spaces, so that one error stays one line.
    package func error(_ text: String) {
        out.pointee.append(UInt8(ascii: "-"))
        for byte in text.utf8 { out.pointee.append(byte == 0x0D || byte == 0x0A ? 0x20 : byte) }
        crlf()
    }

    /// As above, with bytes that need not be text.
    package func error(bytes: ByteView) {
        out.pointee.append(UInt8(ascii: "-"))
        for i in 0..<bytes.count {
            let byte = bytes[i]
            out.pointee.append(byte == 0x0D || byte == 0x0A ? 0x20 : byte)
        }
        crlf()
    }

    @inlinable
    package func integer(_ value: Int64) { header(UInt8(ascii: ":"), value) }

    @inlinable
    package func integer(_ value: Int) { header(UInt8(ascii: ":"), Int64(value)) }

    // MARK: Strings

    @inlinable
    package func bulk(_ bytes: ByteView) {
        // 24: '$', at most 19 digits, two line ends.
        let start = out.pointee.reserve(bytes.count &+ 24)
        start.storeBytes(of: UInt8(ascii: "$"), as: UInt8.self)
        var n = 1 &+ Decimal.write(UInt64(bytes.count), to: start + 1)
        (start + n).storeBytes(of: UInt16(0x0A0D).littleEndian, as: UInt16.self)
        n &+= 2
        memcpy(start + n, bytes.base, bytes.count)
        n &+= bytes.count
        (start + n).storeBytes(of: UInt16(0x0A0D).littleEndian, as: UInt16.self)
        out.pointee.advance(n &+ 2)
    }

    package func bulk(_ text: StaticString) { bulk(ByteView(text)) }

    /// For people-facing text; not for hot paths.
    package func bulk(_ text: String) {
        var text = text
        text.withUTF8 { bulk(ByteView(UnsafeRawBufferPointer($0))) }
    }

    /// An integer as a bulk string.
    package func bulk(integer value: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { scratch in
            guard let base = scratch.baseAddress else { return }
            let n = Decimal.write(value, to: base)
            bulk(ByteView(base: base, count: n))
        }
    }

    /// Announces a bulk string of `count` bytes; the caller appends them to `out` and then calls `crlf`.
    @inlinable
    package func bulkHeader(_ count: Int) { header(UInt8(ascii: "$"), Int64(count)) }

    /// Text for people: a verbatim string of kind "txt" in RESP3, a bulk string in RESP2.
    package func verbatim(_ text: String) {
        guard version >= 3 else { return bulk(text) }
        header(UInt8(ascii: "="), Int64(text.utf8.count + 4))
        out.pointee.append("txt:" as StaticString)
        out.pointee.append(text)
        crlf()
    }

    // MARK: Null, numbers, booleans

    @inlinable
    package func null() {
        if version >= 3 {
            out.pointee.append("_\r\n" as StaticString)
        } else {
            out.pointee.append("$-1\r\n" as StaticString)
        }
    }

    package func nullArray() {
        if version >= 3 {
            out.pointee.append("_\r\n" as StaticString)
        } else {
            out.pointee.append("*-1\r\n" as StaticString)
        }
    }

    package func double(_ value: Double) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { scratch in
            guard let base = scratch.baseAddress else { return }
            let n = Int(valk_format_double(value, base, 64))
            double(text: ByteView(base: UnsafeRawPointer(base), count: n))
        }
    }

    /// A double that is written already.
    package func double(text: ByteView) {
        if version < 3 { return bulk(text) }
        out.pointee.append(UInt8(ascii: ","))
        out.pointee.append(text)
        crlf()
    }

    package func boolean(_ value: Bool) {
        if version >= 3 {
            out.pointee.append(value ? "#t\r\n" : "#f\r\n" as StaticString)
        } else {
            out.pointee.append(value ? ":1\r\n" : ":0\r\n" as StaticString)
        }
    }

    // MARK: Aggregates

    /// `count` elements follow.
    @inlinable
    package func array(_ count: Int) { header(UInt8(ascii: "*"), Int64(count)) }

    /// `pairs` keys, each with its value, follow.
    package func map(_ pairs: Int) {
        if version >= 3 { header(UInt8(ascii: "%"), Int64(pairs)) } else { array(pairs * 2) }
    }

    package func set(_ count: Int) { header(version >= 3 ? UInt8(ascii: "~") : UInt8(ascii: "*"), Int64(count)) }

    /// Out-of-band data; RESP2 clients get an array.
    package func push(_ count: Int) { header(version >= 3 ? UInt8(ascii: ">") : UInt8(ascii: "*"), Int64(count)) }

    // MARK: Pieces

    @inlinable
    package func crlf() {
        out.pointee.reserve(2).storeBytes(of: UInt16(0x0A0D).littleEndian, as: UInt16.self)
        out.pointee.advance(2)
    }

    /// A type byte, a number and the line end.
    @inlinable
    package func header(_ type: UInt8, _ value: Int64) {
        let start = out.pointee.reserve(24)
        start.storeBytes(of: type, as: UInt8.self)
        let n = 1 &+ Decimal.write(value, to: start + 1)
        (start + n).storeBytes(of: UInt16(0x0A0D).littleEndian, as: UInt16.self)
        out.pointee.advance(n &+ 2)
    }
}
