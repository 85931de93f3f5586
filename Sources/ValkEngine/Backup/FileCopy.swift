// Copies a file, or the first part of it, without filling its holes: whole blocks of zeros are left out.

import Glibc
import ValkBase
import ValkDisk

enum FileCopy {
    private static let pieceBytes = 1 << 20
    private static let blockBytes = 4096

    /// Copies `source` (up to `bytes`, nil for all) to the new file `target` and syncs it. Returns its size.
    static func copy(
        _ disk: any Disk, _ source: String, to target: String, bytes: Int?, isCancelled: () -> Bool
    ) throws(StoreError) -> Int {
        do throws(DiskError) {
            let from = try disk.open(source, .readOnly)
            defer { from.close() }
            let size = try from.size()
            let wanted = bytes ?? size
            guard size >= wanted else {
                throw DiskError(.system, "read", source, offset: size, code: EIO)
            }
            let to = try disk.open(target, [.readWrite, .create, .exclusive])
            defer { to.close() }
            try to.truncate(to: wanted)
            let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: blockBytes)
            defer { piece.deallocate() }
            var at = 0
            while at < wanted {
                if isCancelled() { return -1 }
                let count = min(pieceBytes, wanted - at)
                let buffer = UnsafeMutableRawBufferPointer(rebasing: piece[0..<count])
                guard try from.read(into: buffer, at: at) == count else {
                    throw DiskError(.system, "read", source, offset: at, code: EIO)
                }
                try write(UnsafeRawBufferPointer(buffer), to, at)
                at += count
            }
            try to.sync()
            return wanted
        } catch {
            throw StoreError(error)
        }
    }

    /// Runs of blocks that hold something, each with one write.
    private static func write(_ piece: UnsafeRawBufferPointer, _ file: any DiskFile, _ offset: Int) throws(DiskError) {
        var start = 0
        var at = 0
        while at < piece.count {
            let end = min(at + blockBytes, piece.count)
            if isZero(piece, at..<end) {
                if start < at {
                    try file.write(UnsafeRawBufferPointer(rebasing: piece[start..<at]), at: offset + start)
                }
                start = end
            }
            at = end
        }
        if start < at { try file.write(UnsafeRawBufferPointer(rebasing: piece[start..<at]), at: offset + start) }
    }

    private static func isZero(_ piece: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        guard let base = piece.baseAddress, piece[range.lowerBound] == 0 else { return false }
        return memcmp(base + range.lowerBound, base + range.lowerBound + 1, range.count - 1) == 0
    }
}
