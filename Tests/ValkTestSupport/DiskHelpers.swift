// Whole arrays in and out of disk files, so that tests need no pointers.

import ValkBase
import ValkDisk

extension DiskFile {
    package func write(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
        let outcome = bytes.withUnsafeBytes { raw -> DiskError? in
            do throws(DiskError) {
                try write(raw, at: offset)
                return nil
            } catch { return error }
        }
        if let outcome { throw outcome }
    }

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    package func read(_ count: Int, at offset: Int) throws(DiskError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let outcome = bytes.withUnsafeMutableBytes { raw -> Result<Int, DiskError> in
            do throws(DiskError) {
                return .success(try read(into: raw, at: offset))
            } catch { return .failure(error) }
        }
        bytes.removeSubrange(try outcome.get()...)
        return bytes
    }

    package func readAll() throws(DiskError) -> [UInt8] { try read(try size(), at: 0) }
}

extension Disk {
    /// Creates the file or replaces what it holds. Syncs nothing.
    package func writeFile(_ path: String, _ bytes: [UInt8]) throws(DiskError) {
        let file = try open(path, [.readWrite, .create, .truncate])
        defer { file.close() }
        try file.write(bytes, at: 0)
    }

    package func readFile(_ path: String) throws(DiskError) -> [UInt8] {
        let file = try open(path, .readOnly)
        defer { file.close() }
        return try file.readAll()
    }
}
