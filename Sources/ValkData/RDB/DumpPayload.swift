// What DUMP answers and RESTORE takes: a value alone, as Redis writes it, so that it can go to and come from one.
//
//   [type u8][value][version of the format, u16 LE][CRC-64 of everything before, u64 LE]

import ValkBase

package enum DumpPayload {
    package static let footerBytes = 10
    /// The type byte of strings.
    static let stringType: UInt8 = 0

    /// Room for the payload of a string of `count` bytes.
    package static func roomForString(_ count: Int) -> Int { 1 + RDB.roomForString(count) + footerBytes }

    /// Writes a string's payload to memory with that room. Returns its length.
    package static func writeString(
        _ string: ByteView, to memory: UnsafeMutableRawPointer, compressor: @autoclosure () -> LZFCompressor?
    ) -> Int {
        memory.storeBytes(of: stringType, as: UInt8.self)
        let end = 1 + RDB.writeString(string, to: memory + 1, compressor: compressor())
        memory.storeBytes(of: RDB.version.littleEndian, toByteOffset: end, as: UInt16.self)
        let checksum = CRC64.of(ByteView(base: memory, count: end + 2))
        memory.storeBytes(of: checksum.littleEndian, toByteOffset: end + 2, as: UInt64.self)
        return end + footerBytes
    }

    /// Whether the footer is one of a known version and of these bytes.
    package static func isIntact(_ payload: ByteView) -> Bool {
        guard payload.count >= footerBytes else { return false }
        let footer = payload.base + (payload.count - footerBytes)
        if UInt16(littleEndian: footer.loadUnaligned(as: UInt16.self)) > RDB.version { return false }
        let checksum = UInt64(littleEndian: footer.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
        return checksum == CRC64.of(payload[0..<payload.count - 8])
    }

    package enum Content {
        case string(RDBString)
        /// A list, set, sorted set, hash or stream, in any of their forms.
        case otherType
    }

    /// What an intact payload holds; nil when it is not understood. What stands behind the value is not looked at.
    package static func content(_ payload: ByteView) -> Content? {
        // The footer may be read as part of a value that is too short, as Redis does.
        var reader = RDBReader(payload)
        guard payload.count > footerBytes, let type = reader.byte() else { return nil }
        if type == stringType { return reader.string().map { .string($0) } }
        return (1...5).contains(type) || (9...19).contains(type) ? .otherType : nil
    }
}
