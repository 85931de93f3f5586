// An open table file: index, filter and properties in memory, data blocks by way of the cache.
//
// `find` is the hot path of every read: one filter probe, one index search, one block. It allocates nothing, takes no
// lock and counts no references as long as the block is in memory. All of its state is in `let`s, so any number of
// threads may use a table at once; the cache slots inside the index are the cache's own atomics.
//
// The table must be kept alive by whoever reads it (views hold their tables); blocks that were found stay valid through
// their pins even after the table is gone. The file stays open as long as the table exists.

import CCompression
import CValk
import Glibc
import ValkBase
import ValkDisk

package enum FindResult: Sendable {
    /// The entry is filled in; it may be a delete.
    case found
    case absent
    /// The block is not in memory and the caller must not wait.
    case wouldBlock
    /// The block failed its checks. `takeFault` tells the story.
    case damaged
    /// The device or the file system refused to read. `takeFault` tells the story.
    case readFailed

    init(_ interruption: Interruption) {
        switch interruption {
        case .wouldBlock: self = .wouldBlock
        case .damaged: self = .damaged
        default: self = .readFailed
        }
    }
}

package final class Table: @unchecked Sendable {  // Immutable but for atomics and `fault`, which has a lock.
    package let fileId: UInt64
    package let path: String
    let cache: BlockCache
    private let disk: any Disk
    /// Address of the parts in memory, 0 until somebody needed them.
    private let slot: UnsafeMutablePointer<UInt64>
    private let loadLock = Lock()
    private let faultLock = Lock()
    private var fault: StoreError?

    /// A table whose file is looked at when it is first used. Of a file that cannot be opened or is damaged, readers
    /// learn then.
    package init(disk: any Disk, path: String, fileId: UInt64, cache: BlockCache) {
        self.disk = disk
        self.path = path
        self.fileId = fileId
        self.cache = cache
        slot = .allocate(capacity: 1)
        slot.initialize(to: 0)
    }

    /// Opens and checks a table file. Throws `.corruption`, `.newerFormat` or `.disk` with the place. `warm`: what the
    /// writer left in the cache.
    package static func open(
        disk: any Disk, path: String, fileId: UInt64, cache: BlockCache, warm: FinishedTable? = nil
    ) throws(StoreError) -> Table {
        let table = Table(disk: disk, path: path, fileId: fileId, cache: cache)
        try table.load()
        if let warm, warm.fileId == fileId, warm.warm.count == table.index.count {
            cache.adopt(warm.warm, fileId: fileId, slots: table.index.slots)
        }
        return table
    }

    deinit {
        if let parts {
            cache.detach(parts.pointee.index.slots, count: parts.pointee.index.count)
            cache.countTable(-parts.pointee.memoryBytes)
            parts.pointee.free()
            UnsafeMutablePointer(mutating: parts).deinitialize(count: 1).deallocate()
        }
        slot.deallocate()
    }

    // MARK: What is in memory

    @inline(__always)
    private var parts: UnsafePointer<TableParts>? {
        UnsafePointer(bitPattern: UInt(valk_load_acquire_u64(slot)))
    }

    /// Whether index and filter are in memory, so that `index` and what builds on it may be used.
    @inline(__always)
    package var isLoaded: Bool { valk_load_acquire_u64(slot) != 0 }

    @inline(__always)
    private var loaded: UnsafePointer<TableParts> {
        guard let parts else { preconditionFailure("a table is used before it is loaded") }
        return parts
    }

    // Only of a table that is loaded.
    @inline(__always) var index: TableIndex { loaded.pointee.index }
    var file: any DiskFile { loaded.pointee.file }
    package var properties: TableProperties { loaded.pointee.properties }
    package var fileBytes: Int { loaded.pointee.fileBytes }
    package var blockCount: Int { loaded.pointee.index.count }
    /// Memory of index and filter; the cache counts it in its budget while the table is loaded.
    package var memoryBytes: Int { loaded.pointee.memoryBytes }

    /// Reads index and filter, if nobody did yet. Waits for the device.
    package func load() throws(StoreError) {
        if isLoaded { return }
        loadLock.lock()
        defer { loadLock.unlock() }
        if isLoaded { return }
        let parts = UnsafeMutablePointer<TableParts>.allocate(capacity: 1)
        do {
            parts.initialize(to: try TableParts.read(disk, path, fileId))
        } catch {
            parts.deallocate()
            throw error
        }
        cache.countTable(parts.pointee.memoryBytes)
        valk_store_release_u64(slot, UInt64(UInt(bitPattern: parts)))
    }

    /// Loads the table for a reader; nil when it is there.
    @inline(never)
    func prepare(mayBlock: Bool) -> Interruption? {
        if isLoaded { return nil }
        if !mayBlock { return .wouldBlock }
        do throws(StoreError) { try load() } catch {
            report(error)
            return error.kind == .disk || error.kind == .noSpace ? .readFailed : .damaged
        }
        return nil
    }

    /// The newest fault that a reader met in this table, and forgets it.
    package func takeFault() -> StoreError? {
        faultLock.withLock {
            defer { fault = nil }
            return fault
        }
    }

    func report(_ error: StoreError) { faultLock.withLock { fault = error } }

    // MARK: Finding

    /// False: no version of the key with this hash is in the table. Of a table that is not loaded nothing is known.
    @inline(__always)
    package func mayContain(_ hash: UInt64) -> Bool {
        guard let parts, let filter = parts.pointee.filter else { return true }
        return KeyFilter.mayContain(
            hash, in: filter, lines: parts.pointee.filterLines, probes: parts.pointee.filterProbes)
    }

    /// Asks for the memory that `find` touches first. A reader of several tables calls it for all of them before it
    /// searches the first, so that it waits for memory once.
    @inline(__always)
    package func prefetch(_ hash: UInt64) {
        guard let parts, let filter = parts.pointee.filter else { return }
        KeyFilter.prefetch(hash, in: filter, lines: parts.pointee.filterLines)
    }

    /// Looks for the newest version of `key` whose sequence is at most `maxSequence`. `hash` is `key.hash64`. On
    /// `.found` the entry's key is `key` itself and its value lies in a block that `pins` holds. O(log blocks) and,
    /// when the block is not in memory, one read.
    package func find(
        _ key: ByteView, _ hash: UInt64, maxSequence: UInt64, _ entry: UnsafeMutablePointer<Entry>,
        _ pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool
    ) -> FindResult {
        if !isLoaded, let interruption = prepare(mayBlock: mayBlock) { return FindResult(interruption) }
        guard mayContain(hash) else { return .absent }
        let index = loaded.pointee.index
        var block = index.lowerBound(key)
        while block < index.count {
            let frame: BlockFramePointer
            if let hit = BlockFramePointer.pin(slot: index.slots + block, warm: true) {
                pins.pointee.countHit()
                frame = hit
            } else {
                switch load(block, pins, mayBlock: mayBlock, cold: false) {
                case .frame(let loaded): frame = loaded
                case .wouldBlock: return .wouldBlock
                case .damaged: return .damaged
                case .readFailed: return .readFailed
                }
            }
            let view = BlockView(base: frame.pointee.bytes, count: Int(frame.pointee.count))
            view.prefetch()
            pins.pointee.add(frame)
            switch view.find(key, maxSequence, entry) {
            case .found: return .found
            case .absent: return .absent
            case .continues:
                guard index.separatorEquals(block, key) else { return .absent }
                block &+= 1
            }
        }
        return .absent
    }

    // MARK: Loading blocks

    enum Load {
        /// With one pin, which the caller ends.
        case frame(BlockFramePointer)
        case wouldBlock
        case damaged
        case readFailed
    }

    /// Brings a block in that is in no frame. Reads what the file has, checks it, unpacks it, publishes it.
    @inline(never)
    func load(_ block: Int, _ pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool, cold: Bool) -> Load {
        pins.pointee.countMiss()
        let reference = index.blocks[block]
        let stored = Int(reference.stored)
        // Read into scratch memory first: a block that does not come must not cost another one its place.
        let raw = pins.pointee.scratchMemory(stored)
        let target = UnsafeMutableRawBufferPointer(start: raw, count: stored)
        do {
            if mayBlock {
                let n = try file.read(into: target, at: reference.offset)
                guard n == stored else { return damaged(block, "ends early, \(n) of \(stored) bytes") }
            } else {
                switch try file.tryRead(into: target, at: reference.offset) {
                case .wouldBlock: return .wouldBlock
                case .read(let n):
                    guard n == stored else { return damaged(block, "ends early, \(n) of \(stored) bytes") }
                }
            }
        } catch {
            report(StoreError(error))
            return .readFailed
        }
        return admit(block, UnsafeRawPointer(raw), cold: cold)
    }

    /// Checks the bytes of a block as they are in the file, and puts the content into the cache.
    func admit(_ block: Int, _ raw: UnsafeRawPointer, cold: Bool) -> Load {
        let content = index.blocks[block].content
        let frame = cache.allocate(content, fileId: fileId, block: block, cold: cold)
        if let problem = unpack(block, raw, into: frame.pointee.bytes) {
            frame.unpin()
            return damaged(block, problem)
        }
        frame.pointee.count = UInt32(content)
        cache.publish(frame, slot: index.slots + block, heat: cold ? 0 : 1)
        return .frame(frame)
    }

    /// Checks the bytes of a block as they are in the file, and writes its content to `content`, which has room for it.
    /// Returns what is wrong, nil when all is well.
    func unpack(_ block: Int, _ raw: UnsafeRawPointer, into content: UnsafeMutableRawPointer) -> String? {
        let reference = index.blocks[block]
        let stored = Int(reference.stored)
        guard let compression = TableFormat.verify(raw, stored, fileId: fileId, offset: reference.offset) else {
            return "has a wrong checksum"
        }
        guard (compression == .lz4) == reference.isCompressed else { return "is not stored as the index says" }
        if compression == .lz4 {
            let n = LZ4_decompress_safe(
                raw.assumingMemoryBound(to: CChar.self), content.assumingMemoryBound(to: CChar.self),
                Int32(stored - TableFormat.trailerBytes), Int32(reference.content))
            guard Int(n) == reference.content else { return "cannot be decompressed" }
        } else {
            memcpy(content, raw, reference.content)
        }
        return BlockFormat.validate(ByteView(base: content, count: reference.content)) ? nil : "has a wrong layout"
    }

    func damaged(_ block: Int, _ problem: String) -> Load {
        report(
            StoreError(.corruption, "data block \(block) \(problem)", path: path, offset: index.blocks[block].offset))
        return .damaged
    }
}
