// An open file of a `SimulatedDisk`. All state lies in the inode; this is a path, a mode and whether it is closed.
// Stricter than Linux where that finds mistakes: direct transfers must be aligned to 4096 in offset, length and memory.

import Glibc
import ValkBase
import ValkDisk

package final class SimulatedFile: DiskFile, @unchecked Sendable {  // `isClosed` and the inode: under the disk's lock.
    package let path: String
    let inode: SimulatedInode
    private let mode: OpenMode
    private let disk: SimulatedDisk
    private var isClosed = false

    init(path: String, mode: OpenMode, disk: SimulatedDisk, inode: SimulatedInode) {
        self.path = path
        self.mode = mode
        self.disk = disk
        self.inode = inode
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
        try disk.guardian.withLock { () throws(DiskError) in
            try usable("read", offset)
            try requireAligned("read", offset, UnsafeRawBufferPointer(buffer))
            return inode.current.read(into: buffer, at: offset)
        }
    }

    package func tryRead(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DiskError) -> ReadAttempt {
        try disk.guardian.withLock { () throws(DiskError) in
            try usable("read", offset)
            try requireAligned("read", offset, UnsafeRawBufferPointer(buffer))
            if mode.contains(.direct) || !disk.isResident() { return .wouldBlock }
            return .read(inode.current.read(into: buffer, at: offset))
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
        try write(bytes, UnsafeRawBufferPointer(start: nil, count: 0), at: offset)
    }

    package func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) {
        try disk.perform { () throws(DiskError) in
            try usable("write", offset)
            try requireWritable("write", offset)
            try requireAligned("write", offset, first)
            try requireAligned("write", offset, second)
            let bytes = Array(first) + Array(second)
            if bytes.isEmpty { return }
            try disk.requireSpace(bytes.count, "write", path, offset)
            let number = UInt64(truncatingIfNeeded: disk.operationsUnlocked)
            try disk.count("write", path, "at \(offset), \(bytes.count) bytes") {
                // A killed process may have got part of its write done.
                var random = SeededRandom(seed: number)
                let end = offset + random.below(bytes.count + SparseBytes.sectorBytes)
                let done = min(end / SparseBytes.sectorBytes * SparseBytes.sectorBytes - offset, bytes.count)
                if done > 0 { inode.apply(.write(offset: offset, bytes: Array(bytes[..<done]))) }
            }
            inode.apply(.write(offset: offset, bytes: bytes))
        }
    }

    package func sync() throws(DiskError) {
        try disk.perform { () throws(DiskError) in
            try usable("sync", -1)
            try disk.count("sync", path)
            if !disk.forgetsSync(path) { inode.sync() }
        }
    }

    /// Makes this sync fail as a bad device does: the unsynced pages count as clean from now on, some of them read as
    /// before they were written, and no later sync saves the others. The caller throws.
    func failSync(_ random: inout SeededRandom) {
        disk.guardian.withLock { inode.failSync(&random) }
    }

    package func size() throws(DiskError) -> Int {
        try disk.guardian.withLock { () throws(DiskError) in
            try usable("size", -1)
            return inode.current.size
        }
    }

    package func truncate(to size: Int) throws(DiskError) {
        try change("truncate", size, .resize(size), 0)
    }

    package func allocate(_ range: Range<Int>) throws(DiskError) {
        if range.isEmpty { return }
        try change("allocate", range.lowerBound, .allocate(range), range.count)
    }

    package func punch(_ range: Range<Int>) throws(DiskError) {
        if range.isEmpty { return }
        try change("punch", range.lowerBound, .punch(range), 0)
    }

    package func allocatedBytes() throws(DiskError) -> Int {
        try disk.guardian.withLock { () throws(DiskError) in
            try usable("size", -1)
            return inode.current.allocatedBytes
        }
    }

    package func linkCount() throws(DiskError) -> Int {
        try disk.guardian.withLock { () throws(DiskError) in
            try usable("size", -1)
            return disk.nameCount(inode)
        }
    }

    package func dropCache(_ range: Range<Int>) {}
    package func willNeed(_ range: Range<Int>) {}

    package func startWriting(_ range: Range<Int>) {}

    package func close() { disk.guardian.withLock { isClosed = true } }

    private func change(
        _ operation: String, _ offset: Int, _ change: SimulatedInode.Change, _ space: Int
    ) throws(DiskError) {
        try disk.perform { () throws(DiskError) in
            try usable(operation, offset)
            try requireWritable(operation, offset)
            try disk.requireSpace(space, operation, path, offset)
            try disk.count(operation, path, "\(change)")
            inode.apply(change)
        }
    }

    private func usable(_ operation: String, _ offset: Int) throws(DiskError) {
        if isClosed { throw DiskError(.closed, operation, path, offset: offset) }
        try disk.alive(operation, path)
    }

    private func requireWritable(_ operation: String, _ offset: Int) throws(DiskError) {
        if !mode.contains(.readWrite) { throw DiskError(.system, operation, path, offset: offset, code: EBADF) }
    }

    private func requireAligned(
        _ operation: String, _ offset: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(DiskError) {
        guard mode.contains(.direct), let base = bytes.baseAddress else { return }
        if (offset | bytes.count | Int(bitPattern: base)) & 4095 != 0 {
            throw DiskError(.system, operation, path, offset: offset, code: EINVAL)
        }
    }
}
