// Builds one table file from entries that come in order.
//
// Steps: `init` creates the file; `add` each entry (key ascending, sequence descending); `finish` writes index, filter,
// properties and footer and syncs the file. The caller then syncs the directory and opens the table. After an error the
// writer is of no more use: the caller calls `abandon` and removes the file.
//
// With a cache, finished blocks are kept in it as they are written, and go to the table's slots when it is opened: what
// was just written is what is read next.
//
// One thread at a time.

import CCompression
import CValk
import Glibc
import ValkBase
import ValkDisk

package struct TableOptions: Sendable {
    /// Greatest size of a block in the file before compression, trailer included; one entry may exceed it alone.
    package var blockBytes = 4096
    /// Every how many entries a key is stored whole; 1...
    package var restartInterval = 8
    /// 0: no filter. About 1 % false positives at 10, 0.5 % at 12.
    package var filterBitsPerKey = 10
    package var compression = BlockCompression.lz4
    /// Multiple of 4096.
    package var bufferBytes = 1 << 20
    package init() {}
}

/// What a finished file is.
package struct FinishedTable {
    package let fileId: UInt64
    package let path: String
    package let fileBytes: Int
    package let properties: TableProperties
    /// Blocks that wait in the cache for `Table.open`. Of a table that is never opened, they are evicted in time.
    let warm: [BlockFramePointer?]
}

package final class TableWriter {
    private let options: TableOptions
    private let fileId: UInt64
    private let path: String
    private let file: any DiskFile
    private let cache: BlockCache?
    private var out: TableFileWriter
    private var block: BlockBuilder
    private var index = TableIndexBuilder()
    private var properties = TableProperties()
    private var hashes = ByteBuffer()
    private var lastKey = ByteBuffer()
    private var lastSequence: UInt64 = 0
    private var separator = ByteBuffer()
    private var content = ByteBuffer()
    private var compressed = ByteBuffer()
    private var warm: [BlockFramePointer?] = []
    private var segments: [UInt32: (bytes: UInt64, count: UInt64)] = [:]
    private var isClosed = false

    /// Creates the file, which must not exist yet. `cache`: where finished blocks are kept; nil keeps none.
    package init(
        disk: any Disk, path: String, fileId: UInt64, options: TableOptions = TableOptions(), cache: BlockCache? = nil
    ) throws(StoreError) {
        precondition(
            options.blockBytes >= 64 && options.blockBytes <= 16 << 20, "blocks of \(options.blockBytes) bytes")
        self.options = options
        self.fileId = fileId
        self.path = path
        self.cache = cache
        do { file = try disk.open(path, [.readWrite, .create, .exclusive, .direct]) } catch { throw StoreError(error) }
        out = TableFileWriter(file, bufferBytes: options.bufferBytes)
        block = BlockBuilder(interval: options.restartInterval)
    }

    deinit { if !isClosed { abandon() } }

    package var entryCount: UInt64 { properties.entryCount }

    /// About how long the file would be if it were finished now.
    package var estimatedFileBytes: Int {
        out.position + block.sizeNow + index.encoded.count
            + Int(properties.keyCount) * options.filterBitsPerKey / 8 + TableFormat.pageBytes
    }

    /// Adds one version. Its views need to be valid only during the call. Throws `.corruption` when the entry is not
    /// after the one before, which happens when a source is damaged.
    package func add(_ entry: Entry) throws(StoreError) {
        precondition(
            !entry.key.isEmpty && entry.key.count <= EntryLimits.keyBytesMax, "a key of \(entry.key.count) bytes")
        precondition(entry.kind == .put || !entry.isSeparated, "a delete with a separated value")
        let key = entry.key
        var shared = 0
        var isNewKey = true
        if properties.entryCount > 0 {
            let last = lastKey.view
            shared = last.commonPrefix(with: key)
            if shared == key.count && shared == last.count {
                isNewKey = false
                guard entry.sequence < lastSequence else { throw outOfOrder(entry) }
            } else if shared == key.count || (shared < last.count && key[shared] < last[shared]) {
                throw outOfOrder(entry)
            }
            if block.count > 0
                && block.sizeWith(entry, shared: shared) + TableFormat.trailerBytes > options.blockBytes
            {
                try closeBlock(next: key)
            }
        } else {
            properties.smallestKey = key.array
        }
        block.add(entry, shared: shared)
        lastKey.truncate(shared)
        lastKey.append(key.dropFirst(shared))
        lastSequence = entry.sequence
        count(entry, isNewKey: isNewKey)
        if isNewKey && options.filterBitsPerKey > 0 { hashes.appendFixed(key.hash64) }
    }

    private func count(_ entry: Entry, isNewKey: Bool) {
        properties.count(entry, isNewKey: isNewKey)
        if entry.isSeparated {
            segments[entry.pointer.segment, default: (0, 0)].bytes += UInt64(entry.pointer.length)
            segments[entry.pointer.segment, default: (0, 0)].count += 1
        }
    }

    private func outOfOrder(_ entry: Entry) -> StoreError {
        StoreError(
            .corruption,
            "entry \(properties.entryCount) is out of order (sequence \(entry.sequence) after \(lastSequence))",
            path: path)
    }

    // MARK: Blocks

    /// `next`: the key that follows, nil at the end.
    private func closeBlock(next: ByteView?) throws(StoreError) {
        content.removeAll()
        let bytes = block.finish(into: &content)
        _ = content.reserve(TableFormat.trailerBytes)
        properties.contentBytes += UInt64(bytes)
        let number = index.count
        keepWarm(content.view, block: number)
        let packed = options.compression == .lz4 ? compress(content.view) : nil
        let stored: Int
        if let packed {
            stored = try appendBlock(&compressed, packed, .lz4)
        } else {
            stored = try appendBlock(&content, bytes, .none)
        }
        if let next {
            TableIndexBuilder.separator(lastKey.view, next, into: &separator)
            index.add(separator: separator.view, stored: stored, content: packed == nil ? 0 : bytes)
        } else {
            index.add(separator: lastKey.view, stored: stored, content: packed == nil ? 0 : bytes)
        }
    }

    /// Compresses into `compressed` and returns the size, nil when it gains less than an eighth.
    private func compress(_ content: ByteView) -> Int? {
        let allowed = content.count - content.count / 8
        guard content.count >= 64, content.count <= Int(LZ4_MAX_INPUT_SIZE) else { return nil }
        compressed.removeAll()
        let to = compressed.reserve(allowed + TableFormat.trailerBytes)
        let n = LZ4_compress_default(
            content.base.assumingMemoryBound(to: CChar.self), to.assumingMemoryBound(to: CChar.self),
            Int32(content.count), Int32(allowed))
        guard n > 0 else { return nil }
        return Int(n)
    }

    /// Seals the `bytes` bytes at the front of `buffer`, which has room for a trailer, and writes them.
    private func appendBlock(
        _ buffer: inout ByteBuffer, _ bytes: Int, _ compression: BlockCompression
    ) throws(StoreError) -> Int {
        buffer.truncate(0)
        let base = buffer.reserve(bytes + TableFormat.trailerBytes)
        TableFormat.seal(base, content: bytes, compression, fileId: fileId, offset: out.position)
        buffer.advance(bytes + TableFormat.trailerBytes)
        try out.append(buffer.view)
        return buffer.count
    }

    private func keepWarm(_ content: ByteView, block: Int) {
        guard let cache else { return }
        let frame = cache.allocate(content.count, fileId: fileId, block: block, cold: false)
        memcpy(frame.pointee.bytes, content.base, content.count)
        frame.pointee.count = UInt32(content.count)
        let isGuest = frame.pointee.isGuest
        cache.publishWarm(frame)
        warm.append(isGuest ? nil : frame)
    }

    // MARK: The end

    /// Writes what is left and syncs the file. An empty table is legal.
    package func finish() throws(StoreError) -> FinishedTable {
        precondition(!isClosed, "finished twice")
        if block.count > 0 { try closeBlock(next: nil) }
        if properties.entryCount > 0 { properties.largestKey = lastKey.view.array }
        properties.segments = segments.map {
            SegmentReference(segment: $0.key, bytes: $0.value.bytes, count: $0.value.count)
        }
        .sorted { $0.segment < $1.segment }

        let indexRange = try appendMeta(index.encoded.view)
        let probes = properties.keyCount > 0 ? KeyFilter.probes(bitsPerKey: options.filterBitsPerKey) : 0
        var filterRange = FileRange(offset: out.position, bytes: 0)
        if probes > 0 {
            let lines = KeyFilter.lineCount(keys: Int(properties.keyCount), bitsPerKey: options.filterBitsPerKey)
            var bits = ByteBuffer(capacity: lines * KeyFilter.lineBytes)
            let base = bits.reserve(lines * KeyFilter.lineBytes)
            memset(base, 0, lines * KeyFilter.lineBytes)
            for i in 0..<(hashes.count / 8) {
                KeyFilter.insert(hashes.view.base.fixed(i * 8, UInt64.self), into: base, lines: lines, probes: probes)
            }
            bits.advance(lines * KeyFilter.lineBytes)
            filterRange = try appendMeta(bits.view)
        }
        var described = ByteBuffer()
        properties.encode(into: &described)
        let propertiesRange = try appendMeta(described.view)
        let blockCount = index.count
        let id = fileId
        let fileBytes = try out.finish { fileBytes in
            TableFooter(
                fileId: id, index: indexRange, filter: filterRange, properties: propertiesRange, fileBytes: fileBytes,
                blockCount: blockCount, filterProbes: UInt8(probes))
        }
        isClosed = true
        file.close()
        return FinishedTable(fileId: fileId, path: path, fileBytes: fileBytes, properties: properties, warm: warm)
    }

    private func appendMeta(_ bytes: ByteView) throws(StoreError) -> FileRange {
        let offset = out.position
        content.removeAll()
        let to = content.reserve(bytes.count + TableFormat.trailerBytes)
        memcpy(to, bytes.base, bytes.count)
        let stored = try appendBlock(&content, bytes.count, .none)
        return FileRange(offset: offset, bytes: stored)
    }

    /// Closes the file and lets the cache forget its blocks. The caller removes the file. Idempotent.
    package func abandon() {
        guard !isClosed else { return }
        isClosed = true
        file.close()
        cache?.drop(warm, fileId: fileId)
        warm = []
    }
}
