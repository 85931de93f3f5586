// Look-ahead for pipelines: tells the store which keys the next requests of a connection name, so that their memory is
// on its way before they run one by one. Loop thread; memory of a fixed size, allocated once.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

struct KeyWarmer: ~Copyable {
    private static var slotBytes: Int { KeyEncoding.prefixBytes + RequestPreview.keyBytesMax + 3 }

    private let keys: UnsafeMutablePointer<ByteView>
    private let memory: UnsafeMutableRawPointer

    init() {
        keys = .allocate(capacity: StoreReader.warmKeysMax)
        memory = .allocate(byteCount: StoreReader.warmKeysMax * Self.slotBytes, alignment: 64)
    }

    deinit {
        keys.deallocate()
        memory.deallocate()
    }

    /// Looks at the requests in `[from, length)` at `bytes`, made in a database that lives in `namespace`. Returns how
    /// many requests need no further look, at least 1.
    func look(
        _ bytes: UnsafeRawPointer, from: Int, length: Int, namespace: UInt32, _ reader: StoreReader,
        _ accesses: AccessTable
    ) -> Int {
        let found = RequestPreview.keys(
            bytes, from: from, length: length, into: keys, room: StoreReader.warmKeysMax)
        // What was announced before refers to the memory that is written now.
        reader.cool()
        // One key alone has nothing to overlap with.
        if found.keys > 1 {
            for i in 0..<found.keys {
                let at = memory + i &* Self.slotBytes
                keys[i] = KeyEncoding.write(namespace, keys[i], to: at)
                accesses.prefetch(keys[i].hash64)
            }
            reader.warm(keys, found.keys)
        }
        return max(1, found.requests)
    }
}
