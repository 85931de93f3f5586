// The bytes of a segment from some offset on, for looking through what may never have been written.
//
// A segment's blocks are reserved when it is made, so after a crash up to two whole segments behind the log's end have
// to be looked through. Reading them directly keeps them out of the page cache: filling fresh pages with what nobody
// wants took most of the time of a start. One thread.

import Glibc
import ValkBase
import ValkDisk

final class SegmentScan {
    private let file: any DiskFile
    private let window: UnsafeMutableRawBufferPointer
    /// Bytes `start ..< start + count` of the file are in the window; `start` is a multiple of the block.
    private var start = 0
    private var count = 0

    private static let windowBytes = 1 << 20
    private static let blockBytes = 4096

    init(disk: any Disk, path: String) throws(StoreError) {
        do { file = try disk.open(path, .direct) } catch { throw StoreError(error) }
        window = .allocate(byteCount: SegmentScan.windowBytes, alignment: SegmentScan.blockBytes)
    }

    deinit {
        window.deallocate()
        file.close()
    }

    /// At least `least` bytes (at most half a window) at `offset` and what else is at hand, valid until the next call;
    /// nil where the file is shorter.
    func bytes(at offset: Int, least: Int) throws(StoreError) -> ByteView? {
        if offset < start || offset + least > start + count {
            start = offset & ~(SegmentScan.blockBytes - 1)
            count = 0
            do { count = try file.read(into: window, at: start) } catch { throw StoreError(error) }
            if offset + least > start + count { return nil }
        }
        return ByteView(UnsafeRawBufferPointer(rebasing: window[(offset - start)..<count]))
    }
}
