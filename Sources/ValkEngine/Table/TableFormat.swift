// The constants and the small fixed structures of a table file. OnDiskFormat-Tables.md describes all of it byte by byte
// and must stay in step with this folder.
//
//   file := data block* | index block | filter block? | properties block | zeros | footer (ends on a 4 KiB border)
//   block := content | compression (1 byte) | checksum (4 bytes)
//
// All integers are little-endian. A block's checksum is seeded with the file's id and the block's place, so that a
// block which is whole but in the wrong place does not pass.

import CValk
import ValkBase

/// How a block's content is stored. Stored on disk; never renumber.
package enum BlockCompression: UInt8, Sendable {
    case none = 0
    case lz4 = 1
}

package enum TableFormat {
    /// "VALKTBL1" as little-endian bytes.
    package static let magic: UInt64 = 0x314C_4254_4B4C_4156
    /// The newest format this build reads, and the one it writes.
    package static let version: UInt32 = 2
    /// Compression byte and checksum behind each block's content.
    package static let trailerBytes = 5
    package static let footerBytes = 96
    /// Direct input and output: memory, offsets and the file's size are multiples of this.
    package static let pageBytes = 4096
    /// No block is bigger: a value of the greatest inline size with its key fits many times over.
    package static let blockBytesMax = 1 << 30

    /// Checksum of `count` bytes that end with the compression byte, for a block at `offset` of file `fileId`.
    static func checksum(_ bytes: UnsafeRawPointer, _ count: Int, fileId: UInt64, offset: Int) -> UInt32 {
        let seed = (fileId &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(truncatingIfNeeded: offset)
        return UInt32(truncatingIfNeeded: valk_xxh3(bytes, count, seed))
    }

    /// Verifies the trailer of a block of `stored` bytes (trailer included) and returns how its content is stored, or
    /// nil when the checksum or the compression byte is wrong.
    static func verify(_ bytes: UnsafeRawPointer, _ stored: Int, fileId: UInt64, offset: Int) -> BlockCompression? {
        guard stored >= trailerBytes else { return nil }
        let content = stored - trailerBytes
        guard checksum(bytes, content + 1, fileId: fileId, offset: offset) == bytes.fixed(content + 1, UInt32.self)
        else { return nil }
        return BlockCompression(rawValue: bytes.load(fromByteOffset: content, as: UInt8.self))
    }

    /// Writes the trailer behind `content` bytes at `bytes`.
    static func seal(
        _ bytes: UnsafeMutableRawPointer, content: Int, _ compression: BlockCompression, fileId: UInt64, offset: Int
    ) {
        bytes.storeBytes(of: compression.rawValue, toByteOffset: content, as: UInt8.self)
        bytes.storeFixed(checksum(bytes, content + 1, fileId: fileId, offset: offset), content + 1)
    }
}

/// A run of bytes in the file.
package struct FileRange: Equatable, Sendable {
    package var offset: Int
    package var bytes: Int
    package var end: Int { offset + bytes }
}

/// The last 96 bytes of the file.
package struct TableFooter: Equatable, Sendable {
    package var fileId: UInt64
    package var index: FileRange
    /// No bytes when the table has no filter.
    package var filter: FileRange
    package var properties: FileRange
    /// Length of the whole file, padding and footer included.
    package var fileBytes: Int
    package var blockCount: Int
    /// Bits tested per key; 0 when the table has no filter.
    package var filterProbes: UInt8

    func encode(to: UnsafeMutableRawPointer) {
        to.initializeMemory(as: UInt8.self, repeating: 0, count: TableFormat.footerBytes)
        to.storeFixed(fileId, 0)
        to.storeFixed(UInt64(index.offset), 8)
        to.storeFixed(UInt64(index.bytes), 16)
        to.storeFixed(UInt64(filter.offset), 24)
        to.storeFixed(UInt64(filter.bytes), 32)
        to.storeFixed(UInt64(properties.offset), 40)
        to.storeFixed(UInt64(properties.bytes), 48)
        to.storeFixed(UInt64(fileBytes), 56)
        to.storeFixed(UInt64(blockCount), 64)
        to.storeBytes(of: filterProbes, toByteOffset: 72, as: UInt8.self)
        to.storeFixed(TableFormat.version, 80)
        to.storeFixed(Self.checksum(to), 84)
        to.storeFixed(TableFormat.magic, 88)
    }

    /// Of everything in front of the checksum.
    static func checksum(_ at: UnsafeRawPointer) -> UInt32 { valk_crc32c(0, at, 84) }

    /// Reads and checks the footer of a file of `fileBytes` bytes whose id should be `fileId`.
    static func decode(
        _ at: UnsafeRawPointer, fileBytes: Int, fileId: UInt64, path: String
    ) throws(StoreError) -> TableFooter {
        let place = fileBytes - TableFormat.footerBytes
        guard at.fixed(88, UInt64.self) == TableFormat.magic else {
            throw StoreError(.corruption, "not a table: the footer's magic is missing", path: path, offset: place + 88)
        }
        // The version and the checksum stay where they are in every later format.
        guard checksum(at) == at.fixed(84, UInt32.self) else {
            throw StoreError(.corruption, "the footer's checksum is wrong", path: path, offset: place)
        }
        let version = at.fixed(80, UInt32.self)
        guard version <= TableFormat.version else {
            throw StoreError(
                .newerFormat, "table format \(version); this build reads up to \(TableFormat.version)", path: path,
                offset: place + 80)
        }
        guard version > 0 else {
            throw StoreError(.corruption, "table format 0 does not exist", path: path, offset: place + 80)
        }
        guard at.fixed(0, UInt64.self) == fileId else {
            throw StoreError(
                .corruption, "the file says that it is table \(at.fixed(0, UInt64.self)), expected \(fileId)",
                path: path, offset: place)
        }
        guard at.fixed(56, UInt64.self) == UInt64(fileBytes) else {
            throw StoreError(
                .corruption, "the file has \(fileBytes) bytes, its footer says \(at.fixed(56, UInt64.self))",
                path: path, offset: place + 56)
        }
        // SAFETY of the sums below: every field is checked to lie inside the file before it is added to another.
        func range(_ offset: Int) throws(StoreError) -> FileRange {
            let start = at.fixed(offset, UInt64.self)
            let bytes = at.fixed(offset + 8, UInt64.self)
            guard start <= UInt64(place), bytes <= UInt64(place) - start else {
                throw StoreError(
                    .corruption, "a footer field points outside the file", path: path, offset: place + offset)
            }
            return FileRange(offset: Int(start), bytes: Int(bytes))
        }
        let index = try range(8)
        let filter = try range(24)
        let properties = try range(40)
        let blockCount = at.fixed(64, UInt64.self)
        guard index.end == filter.offset, filter.end == properties.offset, blockCount <= UInt64(fileBytes),
            index.bytes >= TableFormat.trailerBytes, properties.bytes >= TableFormat.trailerBytes,
            filter.bytes == 0 || filter.bytes >= TableFormat.trailerBytes
        else {
            throw StoreError(.corruption, "the footer's fields contradict each other", path: path, offset: place)
        }
        return TableFooter(
            fileId: fileId, index: index, filter: filter, properties: properties, fileBytes: fileBytes,
            blockCount: Int(blockCount), filterProbes: at.load(fromByteOffset: 72, as: UInt8.self))
    }
}
