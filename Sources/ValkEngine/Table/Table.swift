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
}

package final class Table: @unchecked Sendable {  // Immutable but for atomics and `fault`, which has a lock.
    package let fileId: UInt64
    package let path: String
    package let properties: TableProperties
    package let fileBytes: Int
    /// Memory of index and filter; the cache counts it in its budget while the table is open.
    package let memoryBytes: Int
    let index: TableIndex
    let file: any DiskFile
    let cache: BlockCache
    private let filter: UnsafeMutableRawPointer?
    private let filterLines: Int
    private let filterProbes: Int
    private let faultLock = Lock()
    private var fault: StoreError?

    /// Opens and checks a table file. Throws `.corruption`, `.newerFormat` or `.disk` with the place. `warm`: what the
    /// writer left in the cache.
    package static func open(
        disk: any Disk, path: String, fileId: UInt64, cache: BlockCache, warm: FinishedTable? = nil
    ) throws(StoreError) -> Table {
        do {
            let file = try disk.open(path, .readOnly)
            do throws(StoreError) {
                let table = try Table(file, path, fileId, cache)
                if let warm, warm.fileId == fileId, warm.warm.count == table.index.count {
                    cache.adopt(warm.warm, fileId: fileId, slots: table.index.slots)
                }
                return table
            } catch {
                file.close()
                throw error
            }
        } catch let error as DiskError {
            throw StoreError(error)
        } catch let error as StoreError {
            throw error
        } catch {
            preconditionFailure("neither a disk's nor the store's error: \(error)")
        }
    }

    private init(_ file: any DiskFile, _ path: String, _ fileId: UInt64, _ cache: BlockCache) throws(StoreError) {
        let reader = MetaReader(file: file, path: path, fileId: fileId)
        let footer = try reader.footer()
        let properties = try reader.block(footer.properties, "properties") { TableProperties.decode($0) }
        let dataBytes = footer.index.offset
        let index = try reader.block(footer.index, "index") {
            TableIndex.decode($0, blockCount: footer.blockCount, dataBytes: dataBytes)
        }
        var filter: UnsafeMutableRawPointer?
        var lines = 0
        if footer.filter.bytes > 0 {
            do throws(StoreError) {
                filter = try reader.block(footer.filter, "filter") { bits in
                    guard bits.count > 0, bits.count % KeyFilter.lineBytes == 0, footer.filterProbes >= 1,
                        footer.filterProbes <= KeyFilter.probesMax
                    else { return nil }
                    let memory = UnsafeMutableRawPointer.allocate(byteCount: bits.count, alignment: KeyFilter.lineBytes)
                    memcpy(memory, bits.base, bits.count)
                    return memory
                }
            } catch {
                index.free()
                throw error
            }
            lines = (footer.filter.bytes - TableFormat.trailerBytes) / KeyFilter.lineBytes
        }
        self.fileId = fileId
        self.path = path
        self.properties = properties
        self.index = index
        self.file = file
        self.cache = cache
        self.filter = filter
        filterLines = lines
        filterProbes = Int(footer.filterProbes)
        fileBytes = footer.fileBytes
        memoryBytes = index.memoryBytes + lines * KeyFilter.lineBytes
        cache.countTable(memoryBytes)
    }

    deinit {
        cache.detach(index.slots, count: index.count)
        cache.countTable(-memoryBytes)
        index.free()
        filter?.deallocate()
        file.close()
    }

    package var blockCount: Int { index.count }

    /// The newest fault that a reader met in this table, and forgets it.
    package func takeFault() -> StoreError? {
        faultLock.withLock {
            defer { fault = nil }
            return fault
        }
    }

    func report(_ error: StoreError) { faultLock.withLock { fault = error } }

    // MARK: Finding

    /// False: no version of the key with this hash is in the table.
    @inline(__always)
    package func mayContain(_ hash: UInt64) -> Bool {
        guard let filter else { return true }
        return KeyFilter.mayContain(hash, in: filter, lines: filterLines, probes: filterProbes)
    }

    /// Asks for the memory that `find` touches first. A reader of several tables calls it for all of them before it
    /// searches the first, so that it waits for memory once.
    @inline(__always)
    package func prefetch(_ hash: UInt64) {
        if let filter { KeyFilter.prefetch(hash, in: filter, lines: filterLines) }
    }

    /// Looks for the newest version of `key` whose sequence is at most `maxSequence`. `hash` is `key.hash64`. On
    /// `.found` the entry's key is `key` itself and its value lies in a block that `pins` holds. O(log blocks) and,
    /// when the block is not in memory, one read.
    package func find(
        _ key: ByteView, _ hash: UInt64, maxSequence: UInt64, _ entry: UnsafeMutablePointer<Entry>,
        _ pins: UnsafeMutablePointer<BlockPins>, mayBlock: Bool
    ) -> FindResult {
        guard mayContain(hash) else { return .absent }
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

/// Reads the parts of a table file that are not data blocks.
private struct MetaReader {
    let file: any DiskFile
    let path: String
    let fileId: UInt64

    func footer() throws(StoreError) -> TableFooter {
        do {
            let size = try file.size()
            guard size >= TableFormat.footerBytes, size % TableFormat.pageBytes == 0 else {
                throw StoreError(.corruption, "a table of \(size) bytes is not whole", path: path)
            }
            return try withUnsafeTemporaryAllocation(byteCount: TableFormat.footerBytes, alignment: 16) { buffer in
                let place = size - TableFormat.footerBytes
                guard try file.read(into: buffer, at: place) == TableFormat.footerBytes, let base = buffer.baseAddress
                else { throw StoreError(.corruption, "the footer ends early", path: path, offset: place) }
                return try TableFooter.decode(base, fileBytes: size, fileId: fileId, path: path)
            }
        } catch {
            throw translate(error)
        }
    }

    /// Reads and checks one block and gives its content to `decode`.
    func block<T>(_ range: FileRange, _ name: String, _ decode: (ByteView) -> T?) throws(StoreError) -> T {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(range.bytes, 1), alignment: 64)
        defer { memory.deallocate() }
        do {
            let n = try file.read(
                into: UnsafeMutableRawBufferPointer(start: memory, count: range.bytes), at: range.offset)
            guard n == range.bytes else {
                throw StoreError(.corruption, "the \(name) block ends early", path: path, offset: range.offset)
            }
        } catch {
            throw translate(error)
        }
        guard TableFormat.verify(memory, range.bytes, fileId: fileId, offset: range.offset) == BlockCompression.none
        else {
            throw StoreError(.corruption, "the \(name) block has a wrong checksum", path: path, offset: range.offset)
        }
        guard let value = decode(ByteView(base: memory, count: range.bytes - TableFormat.trailerBytes)) else {
            throw StoreError(.corruption, "the \(name) block has a wrong layout", path: path, offset: range.offset)
        }
        return value
    }

    private func translate(_ error: any Error) -> StoreError {
        if let error = error as? StoreError { return error }
        if let error = error as? DiskError { return StoreError(error) }
        return StoreError(.disk, "\(error)", path: path)
    }
}
