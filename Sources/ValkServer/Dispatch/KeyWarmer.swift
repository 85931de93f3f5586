// Look-ahead for pipelines: tells the store which keys the next requests of a connection name, so that their memory is
// on its way before they run one by one. Loop thread; memory of a fixed size, allocated once.
//
// Where requests name the same key one after another, its entry comes with the first of them; of the others the field
// or member is announced, if the key holds a collection whose elements have entries of their own.

import ValkBase
import ValkData
import ValkEngine
import ValkRESP

struct KeyWarmer: ~Copyable {
    private static var slotBytes: Int { (ElementKey.memberRoom + RequestPreview.keyBytesMax + 15) & ~15 }

    private let keys: UnsafeMutablePointer<ByteView>
    private let members: UnsafeMutablePointer<ByteView>
    private let memory: UnsafeMutableRawPointer

    init() {
        keys = .allocate(capacity: StoreReader.warmKeysMax)
        members = .allocate(capacity: StoreReader.warmKeysMax)
        memory = .allocate(byteCount: StoreReader.warmKeysMax * Self.slotBytes, alignment: 64)
    }

    deinit {
        keys.deallocate()
        members.deallocate()
        memory.deallocate()
    }

    /// Looks at the requests in `[from, length)` at `bytes`, made in a database that lives in `namespace`. Returns how
    /// many requests need no further look, at least 1.
    func look(
        _ bytes: UnsafeRawPointer, from: Int, length: Int, namespace: UInt32, _ access: KeyAccess
    ) -> Int {
        let found = RequestPreview.keys(
            bytes, from: from, length: length, into: keys, members: members, room: StoreReader.warmKeysMax)
        // What was announced before refers to the memory that is written now.
        access.reader.cool()
        // One key alone has nothing to overlap with.
        if found.keys > 1 { announce(found.keys, namespace, access) }
        return max(1, found.requests)
    }

    /// Most keys that differ do so at their ends.
    @inline(__always)
    private static func isSame(_ a: ByteView, _ b: ByteView) -> Bool {
        if a.count != b.count { return false }
        if a.count >= 8 {
            let tail = a.count &- 8
            let end = a.base.loadUnaligned(fromByteOffset: tail, as: UInt64.self)
            if end != b.base.loadUnaligned(fromByteOffset: tail, as: UInt64.self) { return false }
        }
        return a == b
    }

    private func announce(_ count: Int, _ namespace: UInt32, _ access: KeyAccess) {
        var announced = 0
        var last = keys[0]
        // Of the collection at `last`; nil while nobody has looked.
        var id: UInt64?
        for i in 0..<count {
            let key = keys[i]
            let at = memory + announced &* Self.slotBytes
            if i > 0 && Self.isSame(key, last) {
                if members[i].isEmpty { continue }
                let known = id ?? access.spreadID(atEncoded: KeyEncoding.write(namespace, key, to: at))
                id = known
                if known == 0 { continue }
                keys[announced] = ElementKey.writeMember(namespace, known, members[i], to: at)
            } else {
                last = key
                id = nil
                keys[announced] = KeyEncoding.write(namespace, key, to: at)
                access.accesses.prefetch(keys[announced].hash64)
            }
            announced &+= 1
        }
        if announced > 1 { access.reader.warm(keys, announced) }
    }
}
