// An open file of a `FaultyDisk`. Passes everything on to the wrapped file, unless a rule says otherwise.
//
// For syncs that lose pages on a disk that cannot do so itself, the bytes under every write are kept until the next
// sync; losing a page then means writing them back. That is done per open file, which is what a failed sync in one
// process looks like as long as a file has one writer.

import ValkBase
import ValkDisk

package final class FaultyFile: DiskFile, @unchecked Sendable {  // `overwritten` is guarded by `guardian`.
    package var path: String { base.path }
    private let base: any DiskFile
    private let disk: FaultyDisk
    private let guardian = Lock()
    private var overwritten: [(offset: Int, bytes: [UInt8])] = []

    init(_ base: any DiskFile, _ disk: FaultyDisk) {
        self.base = base
        self.disk = disk
    }

    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
        let fault = disk.fault(.read, path, at: offset)
        if let fault, fault != .bitFlip { throw FaultyDisk.error(fault, "read", path, at: offset) }
        let count = try base.read(into: buffer, at: offset)
        if fault == .bitFlip { flip(buffer, count) }
        return count
    }

    package func tryRead(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DiskError) -> ReadAttempt {
        let fault = disk.fault(.tryRead, path, at: offset)
        if fault == .wouldBlock { return .wouldBlock }
        if let fault, fault != .bitFlip { throw FaultyDisk.error(fault, "read", path, at: offset) }
        let attempt = try base.tryRead(into: buffer, at: offset)
        if fault == .bitFlip, case .read(let count) = attempt { flip(buffer, count) }
        return attempt
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
        try write(bytes, UnsafeRawBufferPointer(start: nil, count: 0), at: offset)
    }

    package func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, at offset: Int
    ) throws(DiskError) {
        let fault = disk.fault(.write, path, at: offset)
        if case .error? = fault, let fault { throw FaultyDisk.error(fault, "write", path, at: offset) }
        if disk.mayLosePages { try remember(offset, first.count + second.count) }
        guard let fault else { return try base.write(first, second, at: offset) }
        var bytes = Array(first) + Array(second)
        switch fault {
        case .shortWrite:
            bytes.removeSubrange(Int(disk.draw() % UInt64(bytes.count + 1))...)
            try base.write(bytes, at: offset)
            throw FaultyDisk.error(fault, "write", path, at: offset)
        case .bitFlip:
            bytes.withUnsafeMutableBytes { flip($0, $0.count) }
            try base.write(bytes, at: offset)
        case .error, .lostPages, .wouldBlock:
            throw FaultyDisk.error(fault, "write", path, at: offset)
        }
    }

    package func sync() throws(DiskError) {
        guard let fault = disk.fault(.sync, path) else {
            try base.sync()
            guardian.withLock { overwritten.removeAll() }
            return
        }
        if fault == .lostPages { try losePages() }
        throw FaultyDisk.error(fault, "sync", path)
    }

    package func size() throws(DiskError) -> Int {
        if let fault = disk.fault(.size, path) { throw FaultyDisk.error(fault, "size", path) }
        return try base.size()
    }

    package func truncate(to size: Int) throws(DiskError) {
        if let fault = disk.fault(.truncate, path, at: size) {
            throw FaultyDisk.error(fault, "truncate", path, at: size)
        }
        try base.truncate(to: size)
    }

    package func allocate(_ range: Range<Int>) throws(DiskError) {
        let offset = range.lowerBound
        if let fault = disk.fault(.allocate, path, at: offset) {
            throw FaultyDisk.error(fault, "allocate", path, at: offset)
        }
        try base.allocate(range)
    }

    package func punch(_ range: Range<Int>) throws(DiskError) {
        let offset = range.lowerBound
        if let fault = disk.fault(.punch, path, at: offset) { throw FaultyDisk.error(fault, "punch", path, at: offset) }
        try base.punch(range)
    }

    package func allocatedBytes() throws(DiskError) -> Int {
        if let fault = disk.fault(.size, path) { throw FaultyDisk.error(fault, "size", path) }
        return try base.allocatedBytes()
    }

    package func linkCount() throws(DiskError) -> Int {
        if let fault = disk.fault(.size, path) { throw FaultyDisk.error(fault, "size", path) }
        return try base.linkCount()
    }

    package func dropCache(_ range: Range<Int>) { base.dropCache(range) }

    package func willNeed(_ range: Range<Int>) {
        // A hint cannot fail; whatever the rule says, it is not taken then.
        if disk.fault(.willNeed, path, at: range.lowerBound) == nil { base.willNeed(range) }
    }

    package func startWriting(_ range: Range<Int>) { base.startWriting(range) }

    package func close() { base.close() }

    private func flip(_ buffer: UnsafeMutableRawBufferPointer, _ count: Int) {
        if count == 0 { return }
        let bit = Int(disk.draw() % UInt64(count * 8))
        buffer[bit / 8] ^= 1 << UInt8(bit % 8)
    }

    private func remember(_ offset: Int, _ count: Int) throws(DiskError) {
        if base is SimulatedFile { return }
        // Past the old end there is nothing to go back to but zeros.
        var bytes = try base.read(count, at: offset)
        bytes += [UInt8](repeating: 0, count: count - bytes.count)
        guardian.withLock { overwritten.append((offset, bytes)) }
    }

    private func losePages() throws(DiskError) {
        if let file = base as? SimulatedFile {
            var random = SeededRandom(seed: disk.draw())
            file.failSync(&random)
            return
        }
        let writes = guardian.withLock {
            defer { overwritten.removeAll() }
            return overwritten
        }
        var lost: [Int: Bool] = [:]
        // Newest first: what stays is the oldest content, from before the first of the writes.
        for (offset, bytes) in writes.reversed() {
            for page in SparseBytes.pageRange(offset..<offset + bytes.count) {
                let isLost = lost[page] ?? (disk.draw() & 1 == 0)
                lost[page] = isLost
                if !isLost { continue }
                let start = max(page * SparseBytes.pageBytes, offset)
                let end = min((page + 1) * SparseBytes.pageBytes, offset + bytes.count)
                try base.write(Array(bytes[start - offset..<end - offset]), at: start)
            }
        }
    }
}
