// Data files beside the tests.

import Glibc

enum TestData {
    struct Missing: Error {
        let path: String
    }

    /// The lines of a file in `Data/`, without comments and empty ones.
    static func lines(_ name: String, beside file: String = #filePath) throws -> [String] {
        let folder = file.split(separator: "/").dropLast().joined(separator: "/")
        let path = "/\(folder)/Data/\(name)"
        guard let stream = fopen(path, "r") else { throw Missing(path: path) }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let n = fread(&buffer, 1, buffer.count, stream)
            if n == 0 { break }
            bytes += buffer[0..<n]
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init).filter {
            !$0.hasPrefix("#")
        }
    }
}
