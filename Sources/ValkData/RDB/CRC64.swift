// The checksum behind Redis's dumped values: CRC-64 with the polynomial of Jones, reflected, beginning with 0.

import ValkBase

package enum CRC64 {
    private static let polynomial: UInt64 = 0x95AC_9329_AC4B_C9B5  // 0xAD93D23594C935A9, bits reversed.

    /// Eight tables of 256, so that eight bytes are taken at a time: table n is for a byte with n bytes behind it.
    // SAFETY: written once, before it is seen.
    private nonisolated(unsafe) static let tables: UnsafePointer<UInt64> = {
        let tables = UnsafeMutablePointer<UInt64>.allocate(capacity: 8 * 256)
        for byte in 0..<256 {
            var value = UInt64(byte)
            for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ polynomial }
            tables[byte] = value
        }
        for n in 1..<8 {
            for byte in 0..<256 {
                let before = tables[(n - 1) * 256 + byte]
                tables[n * 256 + byte] = tables[Int(before & 0xFF)] ^ before >> 8
            }
        }
        return UnsafePointer(tables)
    }()

    package static func of(_ bytes: ByteView) -> UInt64 {
        let tables = tables
        var value: UInt64 = 0
        var at = 0
        while at + 8 <= bytes.count {
            value ^= UInt64(littleEndian: (bytes.base + at).loadUnaligned(as: UInt64.self))
            var next: UInt64 = 0
            for n in 0..<8 { next ^= tables[(7 - n) * 256 + Int(value >> UInt64(n * 8) & 0xFF)] }
            value = next
            at += 8
        }
        while at < bytes.count {
            value = tables[Int((value ^ UInt64(bytes[at])) & 0xFF)] ^ value >> 8
            at += 1
        }
        return value
    }
}
