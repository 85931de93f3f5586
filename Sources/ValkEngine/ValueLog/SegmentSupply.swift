// Makes segment files and takes dead ones back. Touches the disk only; keeps the list of spare files.
//
// A segment gets its final name only when its blocks are reserved and its header is durable, so a file with a segment's
// name always has a valid header. A dead segment's file keeps its blocks: renamed to `.vspare`, later given a new
// header and number. Its old frames name another page id and are never mistaken for new ones.
//
// Spares have numbers of their own. A segment's would not do: one that was made ahead and never used comes back, and
// after the next start its number is given out again, so that two files could claim one spare's name.
//
// A file with more than one name belongs to a backup too (see Backup/): it is never recycled, only its name here goes.
//
// Why recycle: appending into blocks that were written before needs no change of extents or size at each sync.
//
// Calls may come from any thread, one `make` at a time.

import Glibc
import ValkBase
import ValkDisk

final class SegmentSupply: @unchecked Sendable {  // Spares are guarded by `lock`.
    private let disk: any Disk
    private let directory: String
    private let storeId: StoreId
    private let options: LogOptions
    private let clock: any WallClock
    private let lock = Lock()
    private var spares: [Spare] = []
    /// Above the number of every spare that there is or was.
    private var nextSpare: UInt64 = 1

    /// Unused reserved space at a segment's end that is worth giving back.
    static let trimmedBytesMin = 1 << 20

    enum Fate { case spare, removed }

    private struct Spare {
        var name: String
        var bytes: Int
    }

    init(disk: any Disk, directory: String, storeId: StoreId, options: LogOptions, clock: any WallClock) {
        self.disk = disk
        self.directory = directory
        self.storeId = storeId
        self.options = options
        self.clock = clock
    }

    private func path(_ name: String) -> String { directory + "/" + name }

    /// Once, before the first `make`: makes durable what recovery read, and removes discarded segments and what a crash
    /// left half made.
    func prepareDirectory(_ resume: LogResume) throws(DiskError) {
        for segment in resume.unsynced {
            let name = LogFormat.segmentName(segment.number, generation: segment.generation)
            let file = try disk.open(path(name), .readWrite)
            defer { file.close() }
            try file.sync()
            guard segment.number == resume.end.segment else { continue }
            // The torn tail and the reserved rest go; replay has reported them.
            let end = LogFormat.aligned(Int(resume.end.offset), LogFormat.blockBytes)
            if try file.size() > end { try file.truncate(to: end) }
        }
        for name in try disk.list(directory) {
            if name.hasSuffix(".vtmp") { try disk.remove(path(name)) }
            guard let number = LogFormat.parseSpareName(name) else { continue }
            lock.withLock { nextSpare = max(nextSpare, number + 1) }
            _ = try keep(name)
        }
        // Removed, not kept: under the same number again, frames left in them could seem to continue new ones.
        for segment in resume.discarded {
            try disk.remove(path(LogFormat.segmentName(segment.number, generation: segment.generation)))
        }
        try disk.syncDirectory(directory)
    }

    /// Makes segment `number`, ready to be written: blocks reserved up to `capacity`, header and name durable.
    func make(_ number: UInt32, capacity: Int, prewrites: Bool) throws(DiskError) -> Segment {
        let final = path(LogFormat.segmentName(number, generation: 0))
        let spare = capacity <= options.segmentBytes ? takeSpare() : nil
        let unfinished = path(spare?.name ?? LogFormat.unfinishedName(number))
        let file = try disk.open(unfinished, spare == nil ? [.readWrite, .create, .truncate] : .readWrite)
        var isNamed = false
        do {
            let size = try file.size()
            if spare != nil && size > capacity { try file.truncate(to: capacity) }
            // A spare may have holes from its earlier life.
            if spare != nil || size < capacity {
                try reserveBlocks(file, (spare == nil ? size : 0)..<capacity)
            }
            if spare == nil && prewrites { try prewrite(unfinished, capacity) }
            try writeHeader(file, number)
            try file.sync()
            try disk.rename(unfinished, to: final)
            isNamed = true
            try disk.syncDirectory(directory)
        } catch {
            file.close()
            if let spare, !isNamed {
                lock.withLock { spares.append(spare) }
            } else {
                try? disk.remove(isNamed ? final : unfinished)  // If even that fails, the next start does it.
            }
            throw error
        }
        // The file was opened under its earlier name; errors should speak of the one it has now.
        let named = try disk.open(final, .readWrite)
        file.close()
        return Segment(
            number: number, generation: 0, file: named, capacity: capacity, isRecycled: spare != nil)
    }

    /// Reserves more blocks for a segment that has not been written yet.
    func extend(_ segment: Segment, to capacity: Int) throws(DiskError) {
        let size = try segment.file.size()
        if size < capacity { try reserveBlocks(segment.file, size..<capacity) }
        try segment.file.sync()
    }

    /// Puts a dead segment's file among the spares, or removes it. Not `isWhole`: it was rewritten or has holes, so its
    /// blocks are not all there.
    func recycle(_ number: UInt32, generation: UInt32, isWhole: Bool = true) throws(DiskError) -> Fate {
        let old = path(LogFormat.segmentName(number, generation: generation))
        guard try disk.exists(old) else { return .removed }
        let spare = lock.withLock { () -> UInt64? in
            guard isWhole, spares.count < options.spareSegmentsMax else { return nil }
            defer { nextSpare += 1 }
            return nextSpare
        }
        guard let spare else {
            try disk.remove(old)
            return .removed
        }
        let name = LogFormat.spareName(spare)
        try disk.rename(old, to: path(name))
        // Before the header changes: no name of a segment may ever lead to another segment's header.
        try disk.syncDirectory(directory)
        return try keep(name) ? .spare : .removed
    }

    /// False: there are enough, or a backup has the file too; it is gone from here.
    private func keep(_ name: String) throws(DiskError) -> Bool {
        let file = try disk.open(path(name), .readOnly)
        defer { file.close() }
        let isShared = try file.linkCount() > 1
        let bytes = try file.allocatedBytes()
        let isKept = lock.withLock {
            guard !isShared, spares.count < options.spareSegmentsMax else { return false }
            spares.append(Spare(name: name, bytes: bytes))
            return true
        }
        if !isKept { try disk.remove(path(name)) }
        return isKept
    }

    /// Bytes that the file system holds for spares.
    var spareBytes: Int { lock.withLock { spares.reduce(0) { $0 + $1.bytes } } }

    /// Gives all spares back to the file system.
    func removeSpares() throws(DiskError) {
        while let spare = takeSpare() { try disk.remove(path(spare.name)) }
    }

    private func takeSpare() -> Spare? { lock.withLock { spares.popLast() } }

    private func reserveBlocks(_ file: any DiskFile, _ range: Range<Int>) throws(DiskError) {
        do {
            try file.allocate(range)
        } catch {
            guard error.kind == .unsupported else { throw error }
            // Such a file system grows the file as it is written; a full device then stops writing instead of refusing.
            try file.truncate(to: range.upperBound)
        }
    }

    private func writeHeader(_ file: any DiskFile, _ number: UInt32) throws(DiskError) {
        let header = SegmentHeader(
            storeId: storeId, segment: number, generation: 0, createdMilliseconds: clock.milliseconds())
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: LogFormat.segmentHeaderBytes, alignment: LogFormat.blockBytes)
        defer { block.deallocate() }
        guard let base = block.baseAddress else { return }
        header.encode(to: base)
        try file.write(UnsafeRawBufferPointer(block), at: 0)
    }

    /// Writes zeros past the page cache, so that later syncs find extents that need no conversion.
    private func prewrite(_ path: String, _ capacity: Int) throws(DiskError) {
        let chunk = 1 << 20
        let file = try disk.open(path, [.readWrite, .direct])
        defer { file.close() }
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: LogFormat.blockBytes)
        defer { zeros.deallocate() }
        zeros.initializeMemory(as: UInt8.self, repeating: 0)
        var at = 0
        while at < capacity {
            let n = min(chunk, LogFormat.aligned(capacity - at, LogFormat.blockBytes))
            try file.write(UnsafeRawBufferPointer(rebasing: zeros[0..<n]), at: at)
            at += n
        }
    }
}
