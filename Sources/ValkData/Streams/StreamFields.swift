// The fields of an entry of a stream, as they are stored: [length varint][bytes], names and values by turns.

import ValkBase

package enum StreamFields {
    package static func forEach(_ value: ByteView, _ body: (ByteView) -> Void) {
        var at = value.base
        let end = value.base + value.count
        while at < end {
            let count = Int(Varint.readTrusted(&at))
            body(ByteView(base: at, count: count))
            at += count
        }
    }

    /// For an entry; valid until the transaction ends.
    package static func stored(_ parts: [ByteView], _ keys: KeyAccess) -> ByteView {
        let size = parts.reduce(0) { $0 + Varint.size(UInt64($1.count)) + $1.count }
        let memory = keys.allocate(size)
        var at = memory
        for part in parts {
            at += Varint.write(UInt64(part.count), to: at)
            at.copyMemory(from: part.base, byteCount: part.count)
            at += part.count
        }
        return ByteView(base: memory, count: size)
    }
}
