// The index of a table: for each data block a separator S with
//     every key in the block <= S <= every key in the next block,
// where equality on the right happens only when versions of one key go on in the next block. The block to look into for
// a key is therefore the first one whose separator is not before the key.
//
// On disk (index block): per block, in file order:
//     shared varint | unshared varint | unshared separator bytes | stored varint | content varint
// `shared` counts bytes in common with the separator before; `stored` is the block's bytes in the file, trailer
// included; `content` is its content's bytes after decompression, 0 when it is not compressed. Offsets are sums: block
// 0 is at 0.
//
// In memory: flat arrays in one allocation. The common prefix of all separators is taken off, and the next eight bytes
// of each, as one big-endian word padded with zeros, are what the binary search looks at; whole separators are compared
// only among equal words. Padding keeps the order: where two words differ, the separators differ the same way.

import CValk
import Glibc
import ValkBase

/// Where a data block lies.
struct BlockReference {
    var offset: Int
    /// Bytes in the file, trailer included.
    var stored: UInt32
    /// Bytes of the content, and whether it is compressed in the top bit.
    var contentAndFlag: UInt32

    @inline(__always) var isCompressed: Bool { contentAndFlag >> 31 != 0 }
    @inline(__always) var content: Int { Int(contentAndFlag & 0x7FFF_FFFF) }
}

/// Writes the index block while the data blocks are written.
struct TableIndexBuilder: ~Copyable {
    private(set) var encoded = ByteBuffer()
    private var previous = ByteBuffer()
    private(set) var count = 0

    init() {}

    /// `content` is 0 for a block that is not compressed.
    mutating func add(separator: ByteView, stored: Int, content: Int) {
        let shared = previous.view.commonPrefix(with: separator)
        encoded.appendVarint(UInt64(shared))
        encoded.appendVarint(UInt64(separator.count - shared))
        encoded.append(separator.dropFirst(shared))
        encoded.appendVarint(UInt64(stored))
        encoded.appendVarint(UInt64(content))
        previous.truncate(shared)
        previous.append(separator.dropFirst(shared))
        count += 1
    }

    /// Writes to `out` the shortest separator between `last` and a following `next`.
    static func separator(_ last: ByteView, _ next: ByteView, into out: inout ByteBuffer) {
        out.removeAll()
        let common = last.commonPrefix(with: next)
        // `last` is a prefix of `next`, or the key goes on.
        if common == last.count {
            out.append(last)
            return
        }
        let low = last[common]
        let high = next[common]
        out.append(last[0..<common])
        if low &+ 1 < high {
            out.append(low &+ 1)
            return
        }
        if next.count > common + 1 {
            out.append(high)
            return
        }
        // `next` is the common part and one byte that follows directly on `low`: raise a later byte of `last`.
        out.append(low)
        var i = common + 1
        while i < last.count {
            if last[i] != 0xFF {
                out.append(last[i] &+ 1)
                return
            }
            out.append(last[i])
            i += 1
        }
    }
}

/// The index in memory. Immutable after `decode`, but for the cache slots.
struct TableIndex {
    let count: Int
    private let words: UnsafeMutablePointer<UInt64>
    /// count + 1 offsets into `separators`.
    private let offsets: UnsafeMutablePointer<UInt32>
    private let separators: UnsafeMutableRawPointer
    let commonPrefix: ByteView
    let blocks: UnsafeMutablePointer<BlockReference>
    /// For each block the cache's frame that holds it, 0 when none does: the cache's own words (see BlockCache).
    let slots: UnsafeMutablePointer<UInt64>
    private let memory: UnsafeMutableRawPointer
    let memoryBytes: Int

    func free() { memory.deallocate() }

    @inline(__always)
    func separator(_ i: Int) -> ByteView {
        let start = Int(offsets[i])
        return ByteView(base: UnsafeRawPointer(separators) + start, count: Int(offsets[i &+ 1]) &- start)
    }

    /// True when the separator of block `i` is `key`: its versions may go on in the next block.
    func separatorEquals(_ i: Int, _ key: ByteView) -> Bool {
        let rest = separator(i)
        return key.count == commonPrefix.count + rest.count && key.starts(with: commonPrefix)
            && key.dropFirst(commonPrefix.count) == rest
    }

    /// The first eight bytes of `view` as a number that orders like them.
    @inline(__always)
    static func word(_ view: ByteView) -> UInt64 {
        if view.count >= 8 { return view.base.bigEndian(0, UInt64.self) }
        var word: UInt64 = 0
        var i = 0
        while i < view.count {
            word |= UInt64(view[i]) << UInt64(truncatingIfNeeded: 56 &- i &* 8)
            i &+= 1
        }
        return word
    }

    /// The first block whose separator is not before `key`: where the key's newest version is, if it is anywhere.
    /// `count` when all separators are before it.
    @inline(__always)
    func lowerBound(_ key: ByteView) -> Int {
        let prefixLength = commonPrefix.count
        if prefixLength > 0 {
            let shared = key.count < prefixLength ? key.count : prefixLength
            let order = memcmp(key.base, commonPrefix.base, shared)
            if order != 0 { return order < 0 ? 0 : count }
            if key.count < prefixLength { return 0 }
        }
        let rest = key.dropFirst(prefixLength)
        let wanted = Self.word(rest)
        if count == 0 { return 0 }
        // Branch-free: the answer stays in [base, base + n].
        var base = words
        var n = count
        while n > 1 {
            let half = n >> 1
            base += base[half &- 1] < wanted ? half : 0
            n &-= half
        }
        var low = (base - words) &+ (base.pointee < wanted ? 1 : 0)
        if low == count || words[low] != wanted { return low }
        // Equal words: compare the separators themselves.
        if separator(low).compare(rest) >= 0 { return low }
        var high = count
        low &+= 1
        while low < high {
            let middle = (low &+ high) >> 1
            if words[middle] == wanted && separator(middle).compare(rest) < 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Decodes the content of an index block whose blocks end at `dataBytes`; nil when it is not one.
    static func decode(_ content: ByteView, blockCount: Int, dataBytes: Int) -> TableIndex? {
        guard blockCount <= content.count, content.count <= Int(UInt32.max) else { return nil }
        // First pass: check, and learn the sizes.
        var key = ByteBuffer()
        var common = ByteBuffer()
        var total = 0
        var offset = 0
        var reader = ByteReader(content)
        for i in 0..<blockCount {
            guard let (shared, tail, stored, content) = readEntry(&reader), shared <= key.count else { return nil }
            if i > 0 && !isAfter(tail, key.view, shared) { return nil }
            key.truncate(shared)
            key.append(tail)
            guard key.count <= EntryLimits.keyBytesMax else { return nil }
            if i == 0 { common.append(key.view) } else { common.truncate(common.view.commonPrefix(with: key.view)) }
            total += key.count
            guard stored > TableFormat.trailerBytes, stored <= TableFormat.blockBytesMax,
                content <= TableFormat.blockBytesMax
            else { return nil }
            offset += stored
        }
        guard reader.remaining == 0, offset == dataBytes else { return nil }
        let separatorBytes = total - blockCount * common.count
        guard separatorBytes <= Int(UInt32.max) else { return nil }

        // Second pass: fill the arrays. Biggest alignment first.
        let bytes =
            blockCount * (8 + 8 + MemoryLayout<BlockReference>.stride) + (blockCount + 1) * 4 + separatorBytes
            + common.count
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 64), alignment: 64)
        var at = memory
        func take<T>(_ type: T.Type, _ n: Int) -> UnsafeMutablePointer<T> {
            defer { at += n * MemoryLayout<T>.stride }
            return at.bindMemory(to: type, capacity: n)
        }
        let words = take(UInt64.self, blockCount)
        let slots = take(UInt64.self, blockCount)
        let blocks = take(BlockReference.self, blockCount)
        let offsets = take(UInt32.self, blockCount + 1)
        let separators = at
        slots.initialize(repeating: 0, count: blockCount)
        let prefixAt = separators + separatorBytes
        memcpy(prefixAt, common.view.base, common.count)

        key.removeAll()
        reader = ByteReader(content)
        offset = 0
        var written = 0
        for i in 0..<blockCount {
            guard let (shared, tail, stored, content) = readEntry(&reader) else {
                memory.deallocate()
                return nil
            }
            key.truncate(shared)
            key.append(tail)
            let rest = key.view.dropFirst(common.count)
            words[i] = word(rest)
            offsets[i] = UInt32(written)
            memcpy(separators + written, rest.base, rest.count)
            written += rest.count
            blocks[i] = BlockReference(
                offset: offset, stored: UInt32(stored),
                contentAndFlag: content > 0
                    ? UInt32(content) | 1 << 31 : UInt32(stored - TableFormat.trailerBytes))
            offset += stored
        }
        offsets[blockCount] = UInt32(written)
        return TableIndex(
            count: blockCount, words: words, offsets: offsets, separators: separators,
            commonPrefix: ByteView(base: UnsafeRawPointer(prefixAt), count: common.count), blocks: blocks, slots: slots,
            memory: memory, memoryBytes: bytes)
    }

    /// Separators never fall; they are equal only where one key fills several blocks.
    private static func isAfter(_ tail: ByteView, _ previous: ByteView, _ shared: Int) -> Bool {
        let rest = previous.dropFirst(shared)
        return rest.compare(tail) <= 0
    }

    private static func readEntry(_ reader: inout ByteReader) -> (Int, ByteView, Int, Int)? {
        guard let shared = reader.varint(), let unshared = reader.varint(), shared <= UInt64(EntryLimits.keyBytesMax),
            unshared <= UInt64(reader.remaining), let tail = reader.bytes(Int(unshared)), let stored = reader.varint(),
            let content = reader.varint(), stored <= UInt64(TableFormat.blockBytesMax) + 5,
            content <= UInt64(TableFormat.blockBytesMax)
        else { return nil }
        return (Int(shared), tail, Int(stored), Int(content))
    }
}
