// One table file for people: what it says of itself, its blocks, its entries.

import ValkBase
import ValkDisk

package struct TableDump {
    package struct Line: Sendable {
        package var block: Int
        package var key: [UInt8]
        package var sequence: UInt64
        package var kind: EntryKind
        package var flags: EntryFlags
        package var tag: UInt8
        package var expireAt: UInt64
        package var valueLength: Int
        package var pointer: ValuePointer?
        /// The first bytes of an inline value.
        package var preview: [UInt8]
    }

    private let cache: BlockCache
    package let table: Table
    package var summary: [(name: String, value: String)] { table.summary }
    package var blocks: [(offset: Int, stored: Int, content: Int, separator: [UInt8])] {
        (0..<table.blockCount).map { table.blockSummary($0) }
    }

    /// Opens a table file by itself. Its number is the one in its name, or in its footer when it was renamed. Throws
    /// `.corruption`, `.newerFormat`, `.disk`.
    package init(disk: any Disk, path: String) throws(StoreError) {
        let disk = ReadOnlyDisk(disk)
        cache = BlockCache(budgetBytes: 4 << 20)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let id: UInt64
        if let named = StoreFolder.tableId(ofName: name) {
            id = named
        } else {
            id = try TableDump.idInFooter(disk, path)
        }
        table = try Table.open(disk: disk, path: path, fileId: id, cache: cache)
    }

    private static func idInFooter(_ disk: any Disk, _ path: String) throws(StoreError) -> UInt64 {
        var bytes = ByteBuffer(capacity: TableFormat.footerBytes)
        do {
            let file = try disk.open(path, .readOnly)
            defer { file.close() }
            let count = TableFormat.footerBytes
            let target = UnsafeMutableRawBufferPointer(start: bytes.reserve(count), count: count)
            bytes.advance(try file.read(into: target, at: max(0, try file.size() - count)))
        } catch {
            throw StoreError(error)
        }
        guard bytes.count == TableFormat.footerBytes, bytes.view.base.fixed(88, UInt64.self) == TableFormat.magic else {
            throw StoreError(.corruption, "not a table: the footer's magic is missing", path: path)
        }
        return bytes.view.base.fixed(0, UInt64.self)
    }

    /// Proves the whole file and shows each entry. Throws the first thing that is wrong.
    package func forEach(_ body: (Line) -> Void) throws(StoreError) {
        let pins = BlockPins.make(cache)
        defer { BlockPins.destroy(pins) }
        _ = try table.verify(pins) { entry, block in
            body(
                Line(
                    block: block, key: entry.key.array, sequence: entry.sequence, kind: entry.kind, flags: entry.flags,
                    tag: entry.tag, expireAt: entry.expireAt, valueLength: entry.valueLength,
                    pointer: entry.isSeparated ? entry.pointer : nil,
                    preview: Array(entry.value.array.prefix(KeyVersion.previewBytes))))
        }
    }
}
