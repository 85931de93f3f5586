// The contents of a simulated file: 4 KiB pages, absent where nothing was ever written. Copies share pages until one
// of them writes, which is what makes thousands of crash clones cheap.
//
// Bytes of a page past `size` are always zero.

package struct SparseBytes: Sendable {
    package static let pageBytes = 4096
    package static let sectorBytes = 512
    private static let zeroPage = [UInt8](repeating: 0, count: pageBytes)

    package private(set) var size = 0
    private var pages: [[UInt8]?] = []

    package init() {}

    package var allocatedBytes: Int {
        pages.reduce(into: 0) { if $1 != nil { $0 += SparseBytes.pageBytes } }
    }

    /// The whole contents, for tests that compare.
    package var array: [UInt8] {
        var out = [UInt8](repeating: 0, count: size)
        out.withUnsafeMutableBytes { _ = read(into: $0, at: 0) }
        return out
    }

    /// Returns how many bytes there were to read.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let count = min(buffer.count, size - offset)
        if count <= 0 { return 0 }
        var done = 0
        while done < count {
            let page = (offset + done) / SparseBytes.pageBytes
            let start = (offset + done) % SparseBytes.pageBytes
            let n = min(count - done, SparseBytes.pageBytes - start)
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + n])
            if page < pages.count, let bytes = pages[page] {
                bytes.withUnsafeBytes {
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + n]))
                }
            } else {
                target.initializeMemory(as: UInt8.self, repeating: 0)
            }
            done += n
        }
        return count
    }

    package mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        if bytes.isEmpty { return }
        makePages(upTo: offset + bytes.count)
        size = max(size, offset + bytes.count)
        var done = 0
        while done < bytes.count {
            let page = (offset + done) / SparseBytes.pageBytes
            let start = (offset + done) % SparseBytes.pageBytes
            let n = min(bytes.count - done, SparseBytes.pageBytes - start)
            let source = UnsafeRawBufferPointer(rebasing: bytes[done..<done + n])
            modify(page) { UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + n]).copyMemory(from: source) }
            done += n
        }
    }

    /// Cuts the end off or adds a hole.
    package mutating func resize(to newSize: Int) {
        if newSize < size {
            let keep = (newSize + SparseBytes.pageBytes - 1) / SparseBytes.pageBytes
            if pages.count > keep { pages.removeSubrange(keep...) }
            let tail = newSize % SparseBytes.pageBytes
            if tail != 0, keep == pages.count, pages[keep - 1] != nil {
                modify(keep - 1) { UnsafeMutableRawBufferPointer(rebasing: $0[tail...]).zero() }
            }
        }
        size = newSize
    }

    /// Gives pages to the range; they read as before. Does not change the size.
    package mutating func reserve(_ range: Range<Int>) {
        makePages(upTo: range.upperBound)
        for page in SparseBytes.pageRange(range) where pages[page] == nil { pages[page] = SparseBytes.zeroPage }
    }

    /// Whole pages go back, the rest of the range is zeroed. Does not change the size.
    package mutating func punch(_ range: Range<Int>) {
        for page in SparseBytes.pageRange(range) where page < pages.count && pages[page] != nil {
            let start = max(range.lowerBound - page * SparseBytes.pageBytes, 0)
            let end = min(range.upperBound - page * SparseBytes.pageBytes, SparseBytes.pageBytes)
            if start == 0 && end == SparseBytes.pageBytes {
                pages[page] = nil
            } else {
                modify(page) { UnsafeMutableRawBufferPointer(rebasing: $0[start..<end]).zero() }
            }
        }
    }

    /// Makes one page the same as in `other`; the size stays.
    package mutating func copyPage(_ page: Int, from other: SparseBytes) {
        let source = page < other.pages.count ? other.pages[page] : nil
        if source == nil && page >= pages.count { return }
        makePages(upTo: (page + 1) * SparseBytes.pageBytes)
        pages[page] = source
    }

    /// The 512 bytes of a sector, zeros where there is nothing.
    package func sector(_ index: Int) -> [UInt8] {
        let page = index * SparseBytes.sectorBytes / SparseBytes.pageBytes
        let start = index * SparseBytes.sectorBytes % SparseBytes.pageBytes
        guard page < pages.count, let bytes = pages[page] else {
            return [UInt8](repeating: 0, count: SparseBytes.sectorBytes)
        }
        return [UInt8](bytes[start..<start + SparseBytes.sectorBytes])
    }

    /// Replaces a sector; the size stays, so that the caller must set it at the end.
    package mutating func setSector(_ index: Int, _ bytes: [UInt8]) {
        let page = index * SparseBytes.sectorBytes / SparseBytes.pageBytes
        let start = index * SparseBytes.sectorBytes % SparseBytes.pageBytes
        makePages(upTo: (page + 1) * SparseBytes.pageBytes)
        bytes.withUnsafeBytes { source in
            modify(page) {
                UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + source.count]).copyMemory(from: source)
            }
        }
    }

    /// Sets the size after `setSector` and clears what lies past it.
    package mutating func settle(size newSize: Int) {
        size = max(newSize, pages.count * SparseBytes.pageBytes)
        resize(to: newSize)
    }

    package static func pageRange(_ range: Range<Int>) -> Range<Int> {
        if range.isEmpty { return 0..<0 }
        return range.lowerBound / pageBytes..<(range.upperBound + pageBytes - 1) / pageBytes
    }

    package static func sectorRange(_ range: Range<Int>) -> Range<Int> {
        if range.isEmpty { return 0..<0 }
        return range.lowerBound / sectorBytes..<(range.upperBound + sectorBytes - 1) / sectorBytes
    }

    private mutating func makePages(upTo end: Int) {
        let wanted = (end + SparseBytes.pageBytes - 1) / SparseBytes.pageBytes
        while pages.count < wanted { pages.append(nil) }
    }

    private mutating func modify(_ page: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        if pages[page] == nil { pages[page] = SparseBytes.zeroPage }
        pages[page]?.withUnsafeMutableBytes { body($0) }
    }
}

extension UnsafeMutableRawBufferPointer {
    func zero() { _ = initializeMemory(as: UInt8.self, repeating: 0) }
}
