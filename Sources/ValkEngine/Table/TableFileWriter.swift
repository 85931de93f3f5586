// Writes a file front to back in whole megabytes, past the page cache: table files are read at random later, and the
// blocks worth keeping are in the block cache already.
//
// The buffer, every offset and every length are multiples of 4 KiB; what is appended may have any length. `finish` pads
// the end with zeros so that the footer is the last thing of a whole number of pages.

import Glibc
import ValkBase
import ValkDisk

struct TableFileWriter: ~Copyable {
    private let file: any DiskFile
    private let buffer: UnsafeMutableRawPointer
    private let capacity: Int
    private var filled = 0
    /// Bytes of the file that are written.
    private var written = 0

    init(_ file: any DiskFile, bufferBytes: Int) {
        precondition(bufferBytes > 0 && bufferBytes % TableFormat.pageBytes == 0, "a buffer of \(bufferBytes) bytes")
        self.file = file
        capacity = bufferBytes
        buffer = .allocate(byteCount: bufferBytes, alignment: TableFormat.pageBytes)
    }

    deinit { buffer.deallocate() }

    /// Where the next byte goes in the file.
    var position: Int { written + filled }

    mutating func append(_ bytes: ByteView) throws(StoreError) {
        var rest = bytes
        while rest.count > 0 {
            let n = min(rest.count, capacity - filled)
            memcpy(buffer + filled, rest.base, n)
            filled += n
            rest = rest.dropFirst(n)
            if filled == capacity { try flush() }
        }
    }

    /// Pads, appends the footer, which `make` builds for a given length of the file, and syncs. Returns that length.
    mutating func finish(_ make: (_ fileBytes: Int) -> TableFooter) throws(StoreError) -> Int {
        let page = TableFormat.pageBytes
        let fileBytes = (position + TableFormat.footerBytes + page - 1) / page * page
        var padding = fileBytes - TableFormat.footerBytes - position
        while padding > 0 {
            let n = min(padding, capacity - filled)
            memset(buffer + filled, 0, n)
            filled += n
            padding -= n
            if filled == capacity { try flush() }
        }
        // The buffer is a whole number of pages, so the footer never straddles its end.
        make(fileBytes).encode(to: buffer + filled)
        filled += TableFormat.footerBytes
        try flush()
        do { try file.sync() } catch { throw StoreError(error) }
        return fileBytes
    }

    private mutating func flush() throws(StoreError) {
        guard filled > 0 else { return }
        do { try file.write(UnsafeRawBufferPointer(start: buffer, count: filled), at: written) } catch {
            throw StoreError(error)
        }
        written += filled
        filled = 0
    }
}
