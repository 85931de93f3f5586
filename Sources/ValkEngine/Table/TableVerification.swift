// Reads a whole table and compares everything in it with everything else: for `valk-inspect`, and after a merge in
// tests.

import ValkBase

/// What `verify` saw.
package struct TableVerification: Sendable, Equatable {
    package var blocks = 0
    package var entries: UInt64 = 0
    /// Bytes of the data blocks in the file and before compression.
    package var storedBytes = 0
    package var contentBytes = 0
}

extension Table {
    /// One line per fact, for people.
    package var summary: [(name: String, value: String)] {
        let p = properties
        return [
            ("file id", "\(fileId)"), ("file bytes", "\(fileBytes)"), ("data blocks", "\(blockCount)"),
            ("entries", "\(p.entryCount)"), ("keys", "\(p.keyCount)"), ("deletes", "\(p.tombstoneCount)"),
            ("blind writes", "\(p.unknownPriorCount)"), ("priors named dead", "\(p.namedPriorCount)"),
            ("with expiry", "\(p.expiringCount)"),
            ("key bytes", "\(p.keyBytes)"), ("inline value bytes", "\(p.valueBytes)"),
            ("separated values", "\(p.separatedCount)"), ("separated bytes", "\(p.separatedBytes)"),
            ("content bytes", "\(p.contentBytes)"), ("sequences", "\(p.sequenceMin)...\(p.sequenceMax)"),
            ("expiry", p.expiringCount == 0 ? "none" : "\(p.expireAtMin)...\(p.expireAtMax)"),
            ("smallest key", Self.printable(p.smallestKey)), ("largest key", Self.printable(p.largestKey)),
            ("index and filter memory", "\(memoryBytes)"),
            ("segments", p.segments.map { "\($0.segment): \($0.bytes) bytes in \($0.count)" }.joined(separator: ", ")),
        ]
    }

    /// Offset, bytes in the file, bytes of content and separator of block `i`.
    package func blockSummary(_ i: Int) -> (offset: Int, stored: Int, content: Int, separator: [UInt8]) {
        let reference = index.blocks[i]
        return (
            reference.offset, Int(reference.stored), reference.content,
            index.commonPrefix.array + index.separator(i).array
        )
    }

    /// ASCII as it is, everything else as \xNN, at most 200 bytes.
    package static func printable(_ bytes: [UInt8]) -> String {
        var text = ""
        for byte in bytes.prefix(200) {
            if byte >= 0x20 && byte < 0x7F && byte != 0x5C {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
            }
        }
        return bytes.count > 200 ? "\(text)… (\(bytes.count) bytes)" : text
    }

    /// Reads every block from the disk (or the cache) and checks order, separators, filter and properties. Throws the
    /// first thing that is wrong. `visit` is shown each entry and the number of its block. May wait for the disk.
    /// O(file).
    package func verify(
        _ pins: UnsafeMutablePointer<BlockPins>, visit: (Entry, Int) throws(StoreError) -> Void = { _, _ in }
    ) throws(StoreError) -> TableVerification {
        var result = TableVerification(blocks: index.count)
        for i in 0..<index.count {
            result.storedBytes += Int(index.blocks[i].stored)
            result.contentBytes += index.blocks[i].content
        }
        var counted = TableProperties()
        counted.contentBytes = UInt64(result.contentBytes)
        let cursor = TableCursor(self, pins, access: .merge, mayBlock: true)
        var last = ByteBuffer()
        var lastSequence: UInt64 = 0
        do {
            try cursor.seekToFirst()
            while cursor.isValid {
                try check(cursor.entry, cursor.currentBlock, last.view, lastSequence, &counted)
                try visit(cursor.entry, cursor.currentBlock)
                if counted.entryCount == 1 { counted.smallestKey = cursor.entry.key.array }
                last.removeAll()
                last.append(cursor.entry.key)
                lastSequence = cursor.entry.sequence
                try cursor.next()
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw takeFault() ?? StoreError(.corruption, "cannot be read: \(error)", path: path)
        }
        if counted.entryCount > 0 { counted.largestKey = last.view.array }
        counted.segments = properties.segments
        // A file of version 1 does not count them; what looks like one there is none.
        if properties.namedPriorCount == 0 { counted.namedPriorCount = 0 }
        guard counted == properties else { throw wrong("the properties do not describe the entries") }
        let referenced = properties.segments.reduce(into: (bytes: UInt64(0), count: UInt64(0))) { sum, reference in
            sum.bytes &+= reference.bytes
            sum.count &+= reference.count
        }
        guard referenced.bytes == counted.separatedBytes, referenced.count == counted.separatedCount else {
            throw wrong("the references to segments do not add up")
        }
        result.entries = counted.entryCount
        return result
    }

    private func check(
        _ entry: Entry, _ block: Int, _ last: ByteView, _ lastSequence: UInt64, _ counted: inout TableProperties
    ) throws(StoreError) {
        let order = counted.entryCount == 0 ? 1 : entry.key.compare(last)
        guard order > 0 || (order == 0 && entry.sequence < lastSequence) else {
            throw wrong("entry \(counted.entryCount) is out of order", block)
        }
        // The separator before is not after the key, the block's own is not before it.
        let first = index.lowerBound(entry.key)
        guard first <= block, first == block || order == 0 || index.separatorEquals(block - 1, entry.key) else {
            throw wrong("the index leads past entry \(counted.entryCount)", block)
        }
        guard mayContain(entry.key.hash64) else {
            throw wrong("the filter does not know the key of entry \(counted.entryCount)", block)
        }
        counted.count(entry, isNewKey: order != 0)
    }

    private func wrong(_ what: String, _ block: Int = -1) -> StoreError {
        StoreError(.corruption, what, path: path, offset: block >= 0 ? index.blocks[block].offset : -1)
    }
}
