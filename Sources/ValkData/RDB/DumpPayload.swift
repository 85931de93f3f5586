// What DUMP answers and RESTORE takes: a value alone, as Redis writes it, so that it can go to and come from one.
//
//   [type u8][value][version of the format, u16 LE][CRC-64 of everything before, u64 LE]
//
// Collections are written in the plain forms of RDBCollection (1, 2, 4, 5), which every Redis reads and brings into the
// form that it likes, streams as 7.0 has them (RDBStream). A hash with fields that expire needs form 24 and the version
// that brought it: a Redis that does not know it refuses the payload.

import ValkBase
import ValkEngine

package enum DumpPayload {
    package static let footerBytes = 10
    /// The type byte of strings.
    static let stringType: UInt8 = 0
    /// The version that brought hashes with fields that expire.
    private static let versionOfTimes: UInt16 = 12

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
        let version = UInt16(littleEndian: footer.loadUnaligned(as: UInt16.self))
        if version > RDB.version && !(version == versionOfTimes && payload[0] == RDBType.hashWithTimes) { return false }
        let checksum = UInt64(littleEndian: footer.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
        return checksum == CRC64.of(payload[0..<payload.count - 8])
    }

    package enum Content {
        case string(RDBString)
        /// For an `RDBCollectionReader`.
        case collection
        /// For an `RDBStreamReader`.
        case stream
    }

    /// What an intact payload holds; nil when it is not understood. What stands behind the value is not looked at.
    package static func content(_ payload: ByteView) -> Content? {
        // The footer may be read as part of a value that is too short, as Redis does.
        var reader = RDBReader(payload)
        guard payload.count > footerBytes, let type = reader.byte() else { return nil }
        if type == stringType { return reader.string().map { .string($0) } }
        if RDBType.type(type) != nil { return .collection }
        return type == 15 || type == 19 ? .stream : nil
    }

    /// Appends a collection's payload. False, and nothing, when all that it has has expired.
    package static func append(
        _ collection: Collection, _ keys: KeyAccess, to out: inout ByteBuffer, compressor: LZFCompressor?
    ) throws(Interruption) -> Bool {
        switch collection.type {
        case .list:
            out.append(RDBType.list)
            try each(keys, collection, ElementKind.position, &out) { walk, out throws(Interruption) in
                append(try walk.value(), &out, compressor)
            }
        case .set:
            out.append(RDBType.set)
            try each(keys, collection, ElementKind.member, &out) { walk, out throws(Interruption) in
                append(walk.member, &out, compressor)
            }
        case .sortedSet:
            out.append(RDBType.sortedSet)
            try each(keys, collection, ElementKind.score, &out) { walk, out throws(Interruption) in
                let (score, member) = walk.scored
                append(member, &out, compressor)
                out.appendFixed(score.bitPattern)
            }
        case .hash: return try appendHash(keys, collection, &out, compressor)
        case .stream: try appendStream(keys, collection, &out, compressor)
        case .string: return false
        }
        seal(&out, RDB.version)
        return true
    }

    private static func appendHash(
        _ keys: KeyAccess, _ hash: Collection, _ out: inout ByteBuffer, _ compressor: LZFCompressor?
    ) throws(Interruption) -> Bool {
        var live = hash.count
        var earliest: UInt64 = 0
        if hash.extra[0] != 0 {
            (live, earliest) = try times(keys, hash)
            if live == 0 { return false }
        }
        out.append(earliest == 0 ? RDBType.hash : RDBType.hashWithTimes)
        if earliest != 0 { out.appendFixed(earliest) }
        appendLength(live, &out)
        var walk = try ElementWalk(keys, hash, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid {
            if !walk.isExpired {
                if earliest != 0 {
                    let time = walk.expireAt
                    appendLength(time == 0 ? 0 : Int(time - earliest) + 1, &out)
                }
                append(walk.member, &out, compressor)
                append(try walk.value(), &out, compressor)
            }
            try walk.next()
        }
        seal(&out, earliest == 0 ? RDB.version : versionOfTimes)
        return true
    }

    /// How many fields of a hash live, and the earliest expiry of those, 0 without.
    private static func times(_ keys: KeyAccess, _ hash: Collection) throws(Interruption) -> (Int, UInt64) {
        var live = 0
        var earliest: UInt64 = 0
        var walk = try ElementWalk(keys, hash, ElementKind.member)
        try walk.seekToFirst()
        while walk.isValid {
            if !walk.isExpired {
                live += 1
                let time = walk.expireAt
                if time != 0 && (earliest == 0 || time < earliest) { earliest = time }
            }
            try walk.next()
        }
        return (live, earliest)
    }

    private static func each(
        _ keys: KeyAccess, _ collection: Collection, _ kind: UInt8, _ out: inout ByteBuffer,
        _ body: (borrowing ElementWalk, inout ByteBuffer) throws(Interruption) -> Void
    ) throws(Interruption) {
        appendLength(collection.count, &out)
        var walk = try ElementWalk(keys, collection, kind)
        try walk.seekToFirst()
        var count = 0
        while walk.isValid {
            try body(walk, &out)
            count += 1
            try walk.next()
        }
        if count != collection.count { throw .damaged }
    }

    static func append(_ string: ByteView, _ out: inout ByteBuffer, _ compressor: LZFCompressor?) {
        let memory = out.reserve(RDB.roomForString(string.count))
        out.advance(RDB.writeString(string, to: memory, compressor: compressor))
    }

    static func appendLength(_ length: Int, _ out: inout ByteBuffer) {
        out.advance(RDB.writeLength(length, to: out.reserve(9)))
    }

    private static func seal(_ out: inout ByteBuffer, _ version: UInt16) {
        out.appendFixed(version)
        out.appendFixed(CRC64.of(out.view))
    }
}
