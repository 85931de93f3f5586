// Writes a listpack (see Listpack), for the nodes of streams. Texts stay texts, also where they look like numbers.

import ValkBase

struct ListpackWriter: ~Copyable {
    private var out = ByteBuffer()
    private var count = 0

    init() { out.append([0, 0, 0, 0, 0, 0]) }

    /// Bytes so far.
    var byteCount: Int { out.count }

    mutating func append(_ number: Int64) {
        let start = out.count
        switch number {
        case 0...127: out.append(UInt8(number))
        case -4096...4095:
            let bits = UInt16(bitPattern: Int16(number)) & 0x1FFF
            out.append(0xC0 | UInt8(bits >> 8))
            out.append(UInt8(bits & 0xFF))
        case Int64(Int16.min)...Int64(Int16.max):
            out.append(0xF1)
            out.appendFixed(Int16(number))
        case Int64(Int32.min)...Int64(Int32.max):
            out.append(0xF3)
            out.appendFixed(Int32(number))
        default:
            out.append(0xF4)
            out.appendFixed(number)
        }
        end(start)
    }

    mutating func append(_ text: ByteView) {
        let start = out.count
        if text.count < 64 {
            out.append(0x80 | UInt8(text.count))
        } else if text.count < 4096 {
            out.append(0xE0 | UInt8(text.count >> 8))
            out.append(UInt8(text.count & 0xFF))
        } else {
            out.append(0xF0)
            out.appendFixed(UInt32(text.count))
        }
        out.append(text)
        end(start)
    }

    /// The length of what was appended, to be read from behind.
    private mutating func end(_ start: Int) {
        let length = out.count - start
        let bytes = Listpack.backLengthBytes(length)
        for i in (0..<bytes).reversed() {
            let group = UInt8(length >> (7 * i) & 0x7F)
            out.append(i == bytes - 1 ? group : group | 0x80)
        }
        count += 1
    }

    /// The whole, of which nothing more can be written.
    mutating func finish() -> ByteView {
        out.append(0xFF)
        let base = UnsafeMutableRawPointer(mutating: out.view.base)
        base.storeBytes(of: UInt32(out.count).littleEndian, as: UInt32.self)
        base.storeBytes(of: UInt16(min(count, 65_535)).littleEndian, toByteOffset: 4, as: UInt16.self)
        return out.view
    }
}
