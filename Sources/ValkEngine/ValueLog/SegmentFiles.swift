// Open files of segments, for reading values. Bounded: a table of slots in which a segment's file may be replaced by
// another's; whoever still reads holds the file alive.
//
// A look-up takes one of 64 short locks (never held during a system call, except to open a file that is not open, which
// only threads that may block do). A segment's number is known here as long as the segment exists.

import Glibc
import ValkBase
import ValkDisk

final class SegmentFiles: @unchecked Sendable {  // `slots` and `generations` are guarded by the locks beside them.
    private struct Slot {
        var segment: UInt32 = 0
        var file: (any DiskFile)?
    }
    private let disk: any Disk
    private let directory: String
    private let slots: UnsafeMutablePointer<Slot>
    private let locks: [Lock]
    private let catalogLock = Lock()
    private var generations: [UInt32: UInt32] = [:]
    /// Segments with holes: their files are not fit for another life.
    private var punched: Set<UInt32> = []

    /// A power of two; at most this many files are open for reading.
    static let slotCount = 1024
    private static let lockCount = 64

    init(disk: any Disk, directory: String) {
        self.disk = disk
        self.directory = directory
        slots = .allocate(capacity: SegmentFiles.slotCount)
        slots.initialize(repeating: Slot(), count: SegmentFiles.slotCount)
        locks = (0..<SegmentFiles.lockCount).map { _ in Lock() }
    }

    deinit {
        slots.deinitialize(count: SegmentFiles.slotCount)
        slots.deallocate()
    }

    /// Makes a segment known; `file` is kept for reading when it is given.
    func insert(_ segment: UInt32, generation: UInt32, file: (any DiskFile)?) {
        catalogLock.withLock { generations[segment] = generation }
        if let file { place(segment, file) }
    }

    /// The segment's file is of another generation from now on; those who read the old one keep it open.
    func replace(_ segment: UInt32, generation: UInt32) {
        let index = Int(segment) & (SegmentFiles.slotCount - 1)
        let lock = locks[index & (SegmentFiles.lockCount - 1)]
        lock.lock()
        let old = slots[index]
        catalogLock.withLock {
            generations[segment] = generation
            punched.remove(segment)
        }
        if slots[index].segment == segment { slots[index] = Slot() }
        lock.unlock()
        withExtendedLifetime(old) {}
    }

    func markPunched(_ segment: UInt32) { catalogLock.withLock { _ = punched.insert(segment) } }

    func isPunched(_ segment: UInt32) -> Bool { catalogLock.withLock { punched.contains(segment) } }

    /// Forgets a segment and returns its generation, and whether its file may have another life. It is closed when the
    /// last reader lets go.
    func remove(_ segment: UInt32) -> (generation: UInt32, isWhole: Bool) {
        let removed = catalogLock.withLock { () -> (UInt32, Bool) in
            let generation = generations.removeValue(forKey: segment) ?? 0
            return (generation, punched.remove(segment) == nil && generation == 0)
        }
        let index = Int(segment) & (SegmentFiles.slotCount - 1)
        let lock = locks[index & (SegmentFiles.lockCount - 1)]
        lock.lock()
        if slots[index].segment == segment { slots[index] = Slot() }
        lock.unlock()
        return removed
    }

    func contains(_ segment: UInt32) -> Bool { catalogLock.withLock { generations[segment] != nil } }

    /// Numbers of all segments, in order.
    var segments: [UInt32] { catalogLock.withLock { generations.keys.sorted() } }

    func generation(_ segment: UInt32) -> UInt32 { catalogLock.withLock { generations[segment] ?? 0 } }

    func path(_ segment: UInt32) -> String {
        let generation = catalogLock.withLock { generations[segment] ?? 0 }
        return directory + "/" + LogFormat.segmentName(segment, generation: generation)
    }

    /// Bytes that the file system holds for a segment. Asks it each time.
    func size(_ segment: UInt32) throws(DiskError) -> Int {
        let file = try disk.open(path(segment), .readOnly)
        defer { file.close() }
        return try file.allocatedBytes()
    }

    /// The open file of a segment; nil when it is not open and `mayBlock` is false. Throws `.disk`, `.newerFormat`, or
    /// `.corruption` for a rewritten segment whose map is damaged.
    @inline(__always)  // One call site, in the read path.
    func file(_ segment: UInt32, mayBlock: Bool) throws(StoreError) -> (any DiskFile)? {
        let index = Int(segment) & (SegmentFiles.slotCount - 1)
        let lock = locks[index & (SegmentFiles.lockCount - 1)]
        lock.lock()
        if slots[index].segment == segment, let file = slots[index].file {
            lock.unlock()
            return file
        }
        lock.unlock()
        return mayBlock ? try openFile(segment) : nil
    }

    @inline(never)
    private func openFile(_ segment: UInt32) throws(StoreError) -> any DiskFile {
        while true {
            let generation = generation(segment)
            do throws(StoreError) {
                let file = try open(segment, generation)
                place(segment, file, generation)
                return file
            } catch {
                // It may have been rewritten, and the old file removed, between the look at its generation and here.
                if self.generation(segment) == generation { throw error }
            }
        }
    }

    /// A file that is read by logical offsets.
    private func open(_ segment: UInt32, _ generation: UInt32) throws(StoreError) -> any DiskFile {
        let path = directory + "/" + LogFormat.segmentName(segment, generation: generation)
        let file: any DiskFile
        do { file = try disk.open(path, .readOnly) } catch { throw StoreError(error) }
        do throws(StoreError) {
            try SegmentHeader.refuseNewer(file)
            if generation == 0 { return file }
            return RewrittenFile(file, try SegmentMap.load(file, segment: segment, generation: generation).map)
        } catch {
            file.close()
            throw error
        }
    }

    /// Keeps a file for others unless its segment has been rewritten meanwhile.
    private func place(_ segment: UInt32, _ file: any DiskFile, _ generation: UInt32) {
        let index = Int(segment) & (SegmentFiles.slotCount - 1)
        let lock = locks[index & (SegmentFiles.lockCount - 1)]
        lock.lock()
        let old = slots[index]
        if self.generation(segment) == generation { slots[index] = Slot(segment: segment, file: file) }
        lock.unlock()
        withExtendedLifetime(old) {}
    }

    private func place(_ segment: UInt32, _ file: any DiskFile) {
        let index = Int(segment) & (SegmentFiles.slotCount - 1)
        let lock = locks[index & (SegmentFiles.lockCount - 1)]
        lock.lock()
        let old = slots[index]
        slots[index] = Slot(segment: segment, file: file)
        lock.unlock()
        withExtendedLifetime(old) {}
    }
}
