// Strings out of a payload as bytes, whatever form they have there.

import ValkBase

struct RDBStrings {
    var reader: RDBReader
    private let allocate: (Int) -> UnsafeMutableRawPointer

    /// Bytes lie in `payload` or in memory from `allocate`.
    init(_ payload: ByteView, _ allocate: @escaping (Int) -> UnsafeMutableRawPointer) {
        reader = RDBReader(payload)
        self.allocate = allocate
    }

    /// The next string; nil when there is none.
    mutating func string() -> ByteView? {
        guard let string = reader.string() else { return nil }
        switch string {
        case .plain(let bytes): return bytes
        case .number(let number): return text(number)
        case .compressed(let packed, let count):
            let memory = allocate(count)
            return LZF.expand(packed, to: memory, count: count) ? ByteView(base: memory, count: count) : nil
        }
    }

    func text(_ number: Int64) -> ByteView {
        let memory = allocate(24)
        return ByteView(base: memory, count: Decimal.write(number, to: memory))
    }

    func bytes(_ value: PackedValue) -> ByteView {
        switch value {
        case .text(let bytes): return bytes
        case .number(let number): return text(number)
        }
    }
}
