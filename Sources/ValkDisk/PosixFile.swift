// An open file of the real file system.
//
// Invariants:
// 1. The descriptor is closed once, and only when no call is inside it: a number that the kernel has handed out again
//    must never be read or written by a late caller. `users` counts the calls inside; `close` sets its top bit, and
//    whoever then brings the count to zero closes.
// 2. A transfer is resumed after a short one, so that callers see whole writes and reads that are short only at the
//    end.
//
// Any thread may call anything at any time.

import CValk
import Glibc
import Synchronization
import ValkBase

package final class PosixFile: DiskFile {
    package let path: String
    private let fd: Int32
    private let isDirect: Bool
    /// Calls inside the descriptor, plus `closedBit` after `close`.
    private let users = Atomic<UInt64>(0)
    private let isReleased = Atomic<Bool>(false)

    private static let closedBit: UInt64 = 1 << 63

    init(path: String, fd: Int32, isDirect: Bool) {
        self.path = path
        self.fd = fd
        self.isDirect = isDirect
    }

    deinit { close() }

    package func close() {
        let before = users.bitwiseOr(PosixFile.closedBit, ordering: .acquiringAndReleasing).oldValue
        if before & ~PosixFile.closedBit == 0 { releaseDescriptor() }
    }

    private func releaseDescriptor() {
        // Late entrants bring the count back to zero once more, so this may run again.
        if isReleased.exchange(true, ordering: .acquiringAndReleasing) { return }
        _ = valk_close(fd)
    }

    /// Runs a call with the descriptor held open. `body` answers -errno or a count.
    @inline(__always)  // The closure then costs nothing.
    private func held(
        _ operation: StaticString, _ offset: Int, _ body: (Int32) -> Int64
    ) throws(DiskError) -> Int64 {
        let count = users.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue
        let isClosed = count & PosixFile.closedBit != 0
        let status = isClosed ? 0 : body(fd)
        let left = users.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue
        if left == PosixFile.closedBit { releaseDescriptor() }
        if isClosed || status < 0 { throw failure(operation, offset, status) }
        return status
    }

    @inline(never)  // Keeps the building of strings away from the hot calls.
    private func failure(_ operation: StaticString, _ offset: Int, _ status: Int64) -> DiskError {
        if status == 0 { return DiskError(.closed, operation.description, path, offset: offset) }
        return Posix.failure(status, operation.description, path, offset: offset)
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
        let count = try held("read", offset) { fd in
            guard let base = buffer.baseAddress else { return 0 }
            var done = 0
            while done < buffer.count {
                let n = valk_pread(fd, base + done, buffer.count - done, Int64(offset + done))
                if n < 0 { return n }
                if n == 0 { break }
                done += Int(n)
                // The end of the file may lie in the middle of a block, where the next direct read may not begin.
                if isDirect && done & 4095 != 0 { break }
            }
            return Int64(done)
        }
        return Int(count)
    }

    package func tryRead(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DiskError) -> ReadAttempt {
        let count = try held("read", offset) { fd in
            guard let base = buffer.baseAddress else { return 0 }
            // A direct read always waits for the device, whatever it is told.
            if isDirect { return PosixFile.notNow }
            var done = 0
            while done < buffer.count {
                let n = valk_pread_nowait(fd, base + done, buffer.count - done, Int64(offset + done))
                if n == Int64(-EAGAIN) || n == Int64(-EOPNOTSUPP) || n == Int64(-ENOSYS) { return PosixFile.notNow }
                if n < 0 { return n }
                if n == 0 { break }
                done += Int(n)
            }
            return Int64(done)
        }
        return count == PosixFile.notNow ? .wouldBlock : .read(Int(count))
    }

    /// Stands for "would block" among counts of bytes; no transfer is this long.
    private static let notNow = Int64.max

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
        try write(bytes, UnsafeRawBufferPointer(start: nil, count: 0), at: offset)
    }

    package func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) {
        _ = try held("write", offset) { fd in
            let total = first.count + second.count
            var done = 0
            while done < total {
                let at = Int64(offset + done)
                let n: Int64
                if done >= first.count {
                    n = valk_pwrite(fd, second.baseAddress.map { $0 + (done - first.count) }, total - done, at)
                } else {
                    n = valk_pwritev2(
                        fd, first.baseAddress.map { $0 + done }, first.count - done, second.baseAddress, second.count,
                        at)
                }
                if n < 0 { return n }
                // The kernel does not answer 0 to a write of something; without this the loop would not end if it did.
                if n == 0 { return Int64(-EIO) }
                done += Int(n)
            }
            return 0
        }
    }

    package func sync() throws(DiskError) {
        _ = try held("sync", -1) { fd in Int64(valk_fdatasync(fd)) }
    }

    package func size() throws(DiskError) -> Int {
        Int(try held("size", -1) { fd in valk_file_size(fd) })
    }

    package func truncate(to size: Int) throws(DiskError) {
        _ = try held("truncate", size) { fd in Int64(valk_ftruncate(fd, Int64(size))) }
    }

    package func allocate(_ range: Range<Int>) throws(DiskError) {
        _ = try held("allocate", range.lowerBound) { fd in
            range.isEmpty ? 0 : Int64(valk_allocate(fd, Int64(range.lowerBound), Int64(range.count)))
        }
    }

    package func punch(_ range: Range<Int>) throws(DiskError) {
        _ = try held("punch", range.lowerBound) { fd in
            range.isEmpty ? 0 : Int64(valk_punch_hole(fd, Int64(range.lowerBound), Int64(range.count)))
        }
    }

    package func allocatedBytes() throws(DiskError) -> Int {
        Int(try held("size", -1) { fd in valk_allocated_bytes(fd) })
    }

    package func linkCount() throws(DiskError) -> Int {
        Int(try held("size", -1) { fd in valk_link_count(fd) })
    }

    package func willNeed(_ range: Range<Int>) {
        if range.isEmpty || isDirect { return }
        _ = try? held("read ahead", range.lowerBound) { fd in
            valk_will_need(fd, Int64(range.lowerBound), Int64(range.count))
            return 0
        }
    }

    package func startWriting(_ range: Range<Int>) {
        if range.isEmpty || isDirect { return }
        _ = try? held("start writing", range.lowerBound) { fd in
            valk_start_writing(fd, Int64(range.lowerBound), Int64(range.count))
            return 0
        }
    }

    package func dropCache(_ range: Range<Int>) {
        if range.isEmpty { return }
        // A hint: that the file is closed is nobody's concern here.
        _ = try? held("drop cache", range.lowerBound) { fd in
            valk_drop_cache(fd, Int64(range.lowerBound), Int64(range.count))
            return 0
        }
    }
}
