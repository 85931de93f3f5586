// What an open table keeps in memory: index, filter and properties, and the file they came from. Read and checked as a
// whole, immutable from then on.

import Glibc
import ValkBase
import ValkDisk

struct TableParts {
    let file: any DiskFile
    let index: TableIndex
    let properties: TableProperties
    let fileBytes: Int
    let filter: UnsafeMutableRawPointer?
    let filterLines: Int
    let filterProbes: Int

    var memoryBytes: Int { index.memoryBytes + filterLines * KeyFilter.lineBytes }

    /// Opens the file and reads the parts. Throws `.corruption`, `.newerFormat` or `.disk` with the place.
    static func read(_ disk: any Disk, _ path: String, _ fileId: UInt64) throws(StoreError) -> TableParts {
        let file: any DiskFile
        do { file = try disk.open(path, .readOnly) } catch { throw StoreError(error) }
        do {
            return try TableParts(MetaReader(file: file, path: path, fileId: fileId))
        } catch {
            file.close()
            throw error
        }
    }

    private init(_ reader: MetaReader) throws(StoreError) {
        let footer = try reader.footer()
        properties = try reader.block(footer.properties, "properties") { TableProperties.decode($0) }
        let dataBytes = footer.index.offset
        index = try reader.block(footer.index, "index") {
            TableIndex.decode($0, blockCount: footer.blockCount, dataBytes: dataBytes)
        }
        guard footer.filter.bytes > 0 else {
            (filter, filterLines) = (nil, 0)
            filterProbes = Int(footer.filterProbes)
            fileBytes = footer.fileBytes
            file = reader.file
            return
        }
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
        filterLines = (footer.filter.bytes - TableFormat.trailerBytes) / KeyFilter.lineBytes
        filterProbes = Int(footer.filterProbes)
        fileBytes = footer.fileBytes
        file = reader.file
    }

    /// Gives memory and file back.
    func free() {
        index.free()
        filter?.deallocate()
        file.close()
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
