// What FUNCTION DUMP answers and FUNCTION RESTORE takes: libraries as Redis 7.0 writes them into its files.
//
//   ([245 u8][string: the text])*[version of the format, u16 LE][CRC-64 of everything before, u64 LE]

import ValkBase
import ValkCommands
import ValkData
import ValkScripting

enum LibraryPayload {
    private static let library: UInt8 = 245
    /// As release candidates of Redis 7.0 had it.
    private static let oldLibrary: UInt8 = 246

    static func make(_ set: LibrarySet, _ context: CommandContext) -> [UInt8] {
        var payload = ByteBuffer(capacity: 256)
        for library in set.libraries.values.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
            payload.append(Self.library)
            library.text.withView { text in
                let memory = payload.reserve(RDB.roomForString(text.count))
                payload.advance(RDB.writeString(text, to: memory, compressor: context.compressor))
            }
        }
        payload.appendFixed(RDB.version)
        payload.appendFixed(CRC64.of(payload.view))
        return payload.view.array
    }

    /// The texts in an intact payload.
    static func texts(_ payload: ByteView) throws(Complaint) -> [[UInt8]] {
        var reader = RDBReader(payload[0..<payload.count - DumpPayload.footerBytes])
        var texts: [[UInt8]] = []
        while let type = reader.byte() {
            if type == oldLibrary { throw Complaint("Pre-release function format not supported") }
            guard type == library else { throw Complaint("given type is not a function") }
            guard let string = reader.string(), let text = bytes(string) else {
                throw Complaint("Failed loading library data")
            }
            texts.append(text)
        }
        return texts
    }

    private static func bytes(_ string: RDBString) -> [UInt8]? {
        switch string {
        case .plain(let view): return view.array
        case .number(let number): return Array(String(number).utf8)
        case .compressed(let packed, let count):
            var isWhole = false
            let text = [UInt8](unsafeUninitializedCapacity: count) { memory, used in
                if let base = memory.baseAddress {
                    isWhole = LZF.expand(packed, to: UnsafeMutableRawPointer(base), count: count)
                }
                used = isWhole ? count : 0
            }
            return isWhole ? text : nil
        }
    }
}
