// The one seam to the file system. Everything above it reads and writes through these two protocols, so that tests can
// stand in a simulated disk that loses power, or one that fails at the Nth call.
//
// Rules that every implementation keeps:
// 1. Offsets and lengths are bytes. EINTR and short transfers are handled below the seam: a write is whole or throws.
// 2. Names created, renamed or removed are durable only after `syncDirectory`; contents only after `sync`.
// 3. After a failed `sync` the file's state is unknown; callers stop using it.
// 4. All calls may be made from any thread; calls on one file may overlap.

import ValkBase

package protocol Disk: AnyObject, Sendable {
    /// Opens `path`. Without `.create` a missing file throws `.notFound`.
    func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile
    func exists(_ path: String) throws(DiskError) -> Bool
    /// Names (not paths) of the entries of a directory, without "." and "..", in no order.
    func list(_ directory: String) throws(DiskError) -> [String]
    /// Creates one directory; it is no error when it is there already.
    func createDirectory(_ path: String) throws(DiskError)
    func syncDirectory(_ path: String) throws(DiskError)
    /// Replaces `target` when it exists.
    func rename(_ source: String, to target: String) throws(DiskError)
    func remove(_ path: String) throws(DiskError)
    func link(_ source: String, to target: String) throws(DiskError)
    /// Takes an exclusive lock on the file `path` (created when missing) and writes this process's id into it. Throws
    /// `.locked(pid)` when another holder has it. The lock lasts until the returned object is released.
    func lock(_ path: String) throws(DiskError) -> any DiskLock
    /// As `lock`, for those who only read: takes the lock on a file that is there and leaves the file as it is, also
    /// when the lock is released. Nil when there is no such file.
    func lockUnchanged(_ path: String) throws(DiskError) -> (any DiskLock)?
    /// Free bytes for this user and total bytes of the file system that holds `path`.
    func space(_ path: String) throws(DiskError) -> (free: UInt64, total: UInt64)
}

package protocol DiskLock: AnyObject, Sendable {
    func release()
}

package struct OpenMode: OptionSet, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
    package static let readOnly: OpenMode = []
    package static let readWrite = OpenMode(rawValue: 1)
    /// Creates the file when it is missing (implies that names change: sync the directory).
    package static let create = OpenMode(rawValue: 2)
    /// With `.create`: throws `.exists` when the file is there already.
    package static let exclusive = OpenMode(rawValue: 4)
    /// Bypasses the page cache: offsets, lengths and memory must be multiples of 4096. A hint: file systems without
    /// support get an ordinary file.
    package static let direct = OpenMode(rawValue: 8)
    package static let truncate = OpenMode(rawValue: 16)
}

/// What a non-blocking read found.
package enum ReadAttempt: Sendable {
    /// This many bytes were read; fewer than asked only at the end of the file.
    case read(Int)
    /// The bytes are not in memory; a blocking read would wait for the device.
    case wouldBlock
}

package protocol DiskFile: AnyObject, Sendable {
    var path: String { get }
    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int
    /// As `read`, but never waits for the device.
    func tryRead(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> ReadAttempt
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError)
    /// Writes `first` and then `second` as if they were one run of bytes.
    func write(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, at offset: Int) throws(DiskError)
    /// Makes contents (and the size that is needed to read them) durable: fdatasync.
    func sync() throws(DiskError)
    func size() throws(DiskError) -> Int
    func truncate(to size: Int) throws(DiskError)
    /// Reserves blocks for the range and extends the size to its end. `.unsupported` where the file system cannot.
    func allocate(_ range: Range<Int>) throws(DiskError)
    /// Gives the whole blocks of the range back; they read as zeros. `.unsupported` where the file system cannot.
    func punch(_ range: Range<Int>) throws(DiskError)
    /// Bytes that the file system holds for this file (holes do not count).
    func allocatedBytes() throws(DiskError) -> Int
    /// Names that lead to this file. Above 1 another directory (a backup) shares it, and nobody may change it in place:
    /// not punch, not cut below what it holds, not give it another life.
    func linkCount() throws(DiskError) -> Int
    /// Asks the system to forget its cached copy of the range; a hint.
    func dropCache(_ range: Range<Int>)
    /// Has the device begin to read the range, so that a `read` that follows waits less; a hint. Not for loops: where
    /// the device's queue is full it waits for a place.
    func willNeed(_ range: Range<Int>)
    /// Has the device begin to write the range, which was written to the file, so that the `sync` to come waits less; a
    /// hint, which makes nothing durable. Not for loops, as `willNeed`.
    func startWriting(_ range: Range<Int>)
    /// Idempotent. Reads and writes after it throw `.closed`.
    func close()
}
